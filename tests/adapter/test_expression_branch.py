"""The branch that reads expression: nothing until trained, nothing without expression, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_unet import ROW_S, SHEETS, make_adapter, make_unet, noise, run, tokens

from musetune.adapter import MusicAdapter
from musetune.conditioning import EXPRESSION, MusicTokens, tokenize
from musetune.symbols.expression import Expression

LOUD_AND_SWUNG: dict[str, Any] = {"loudness_db": ((0, -20), (3, -8)), "swing": 0.62}


def played(rows: int = 40, **said: Any) -> MusicTokens:
    how = Expression(**(said or LOUD_AND_SWUNG))
    return MusicTokens.stack([tokenize(s, frame_s=ROW_S / 4, n_frames=4 * rows, expression=how) for s in SHEETS])


def grown(adapter: MusicAdapter) -> MusicAdapter:
    """With a branch of random weights."""
    torch.manual_seed(2)
    with torch.no_grad():
        for p in adapter.add_expression(16, 8).eval().parameters():
            p.normal_(std=0.1)
    return adapter


def test_a_fresh_branch_changes_nothing() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet)
    before = run(unet, x, adapter, played())
    assert torch.equal(before, run(unet, x, adapter, tokens()))  # without a branch nothing of it is heard
    adapter.add_expression(16, 8).eval()
    assert torch.equal(run(unet, x, adapter, played()), before)
    with pytest.raises(ValueError, match="reads expression already"):
        adapter.add_expression(16, 8)


def test_expression_is_heard_and_only_where_it_is_given() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet)
    plain = run(unet, x, adapter, tokens())
    grown(adapter)
    assert torch.equal(run(unet, x, adapter, tokens()), plain)
    music = played()
    both = run(unet, x, adapter, music)
    assert not torch.equal(both, plain)
    assert not torch.equal(run(unet, x, adapter, played(swing=0.5)), run(unet, x, adapter, played(swing=0.7)))
    music.present[EXPRESSION][1] = False
    half = run(unet, x, adapter, music)
    torch.testing.assert_close(half[1], plain[1])
    torch.testing.assert_close(half[0], both[0])


def test_it_joins_an_adapter_that_has_no_map_of_its_own() -> None:
    unet, x = make_unet(), noise()
    adapter = MusicAdapter.for_unet(unet, dim=32, hidden=16, map_entry=False, cols=16).attach(unet).eval()
    plain = run(unet, x, adapter, tokens())
    grown(adapter)
    assert not torch.equal(run(unet, x, adapter, played()), plain)
    assert torch.equal(run(unet, x, adapter, tokens()), plain)


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
        adapter.add_expression(16, 8)
