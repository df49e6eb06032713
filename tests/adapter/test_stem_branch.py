"""The branch that reads stems: nothing until trained, nothing without stems, saved and loaded with the adapter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_unet import ROW_S, SHEETS, make_adapter, make_unet, noise, run, tokens

from musetune.adapter import MusicAdapter
from musetune.conditioning import STEM_STREAMS, MusicTokens, tokenize
from musetune.planning.rules.orchestrate import orchestrate

BIN_HZ = 30.87 * 2 ** (np.arange(128) / 16)


def played(rows: int = 40) -> MusicTokens:
    return MusicTokens.stack(
        [
            tokenize(s, frame_s=ROW_S / 4, n_frames=4 * rows, arrangement=orchestrate(s, seed=5).arrangement)
            for s in SHEETS
        ]
    )


def grown(adapter: MusicAdapter) -> MusicAdapter:
    """With a branch of random weights."""
    torch.manual_seed(2)
    with torch.no_grad():
        for p in adapter.add_stems(16, 8, BIN_HZ).eval().parameters():
            p.normal_(std=0.1)
    return adapter


def test_a_fresh_branch_changes_nothing() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet)
    before = run(unet, x, adapter, played())
    adapter.add_stems(16, 8, BIN_HZ).eval()
    assert torch.equal(run(unet, x, adapter, played()), before)
    with pytest.raises(ValueError, match="reads stems already"):
        adapter.add_stems(16, 8, BIN_HZ)


def test_stems_are_heard_and_only_where_they_are_given() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet)
    plain = run(unet, x, adapter, tokens())
    grown(adapter)
    assert torch.equal(run(unet, x, adapter, tokens()), plain)
    music = played()
    both = run(unet, x, adapter, music)
    assert not torch.equal(both, plain)
    for name in STEM_STREAMS:
        music.present[name][1] = False
    half = run(unet, x, adapter, music)
    torch.testing.assert_close(half[1], plain[1])
    torch.testing.assert_close(half[0], both[0])


def test_strength_zero_is_the_base() -> None:
    unet, x = make_unet(), noise()
    base = run(unet, x)
    adapter = grown(make_adapter(unet))
    adapter.strength = 0.0
    assert torch.equal(run(unet, x, adapter, played()), base)


def test_saved_and_loaded(tmp_path: Path) -> None:
    unet, x = make_unet(), noise()
    adapter = grown(make_adapter(unet))
    moved = run(unet, x, adapter, played())
    adapter.save_pretrained(tmp_path)
    adapter.detach()
    again = MusicAdapter.from_pretrained(tmp_path).attach(unet).eval()
    assert torch.equal(run(unet, x, again, played()), moved)


def test_an_adapter_that_knows_no_levels_gets_no_branch() -> None:
    adapter = make_adapter(make_unet())
    adapter.register_to_config(site_levels=None)
    with pytest.raises(ValueError, match="needs site_levels"):
        adapter.add_stems(16, 8, BIN_HZ)
