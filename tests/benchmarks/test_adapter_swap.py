"""The benchmark of swapping on a toy base: what it times is what it says. No clock is judged."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import adapter_swap
import pytest
import realsize


def test_it_swaps_loads_and_leaves_the_weights(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    command = ["adapter_swap.py", "--base", str(tiny_base), "--rank", "2", "--swaps", "7", "--loads", "4"]
    monkeypatch.setattr(sys, "argv", [*command, "--threads", "1", "--json", str(tmp_path / "figures.json")])
    adapter_swap.main()
    told = capsys.readouterr().out
    assert "after 7 swaps" in told
    assert "weights are what they were" in told
    (row,) = json.loads((tmp_path / "figures.json").read_text())["rows"]
    counts = {what: len(times) for what, times in row["times"].items()}
    assert counts == {adapter_swap.LOAD: 4, adapter_swap.SWAP: 7, adapter_swap.IN: 4, adapter_swap.OUT: 4}
    assert row["weights_as_before"]
    assert len(adapter_swap.lines([row])) == 5


def test_what_it_loads_does_something(tiny_base: Path, tmp_path: Path) -> None:
    pipe = adapter_swap.pipe_of(realsize.base_of(str(tiny_base)))
    pipe.load_adapter(adapter_swap.write_genre(pipe, tmp_path / "jazz", 2, seed=0))
    active, before = pipe.adapters, pipe.unet.conv_out.base_layer.weight.clone()
    assert {name: info.weight for name, info in active.items()} == {"theory": 1.0, "jazz": 1.0}
    with pipe.adapter_manager.playing(1.0, music=True):
        assert (pipe.unet.conv_out.base_layer.weight != before).any()
    assert active["jazz"].parameters > 0
