"""The benchmark of narrower pairs: its table, what it takes of a run, and the cost of a pass."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pruning
import pytest
from realsize import Time
from small_pipe import make_pipe

from musetune.evaluation.bootstrap import Mean

RESULT = {
    "before": {"loss": 1.0, "distance": 0.4},
    "after": {"loss": 0.7, "distance": 0.1},
    "wide": {"loss": 0.6, "distance": 0.0},
}


def test_a_line_says_what_a_pair_costs_lost_and_obeys() -> None:
    means = dict.fromkeys((*pruning.MEASURES, "clap"), Mean(0.5, 0.25, 0.75, 24))
    turns = [Time(9.0, 1.0), Time(9.0, 2.0), Time(9.0, 4.0)]
    wide = [Time(1.0, 2.0), Time(1.0, 6.0), Time(1.0, 8.0)]
    rows = [
        {"pair": pruning.WIDE, "parameters": 9_000_000, **pruning.cost(wide, wide), "loss": 0.6, **means},
        {"pair": "half", "parameters": 2_500_000, **pruning.cost(turns, wide), **pruning.losses_of(RESULT), **means},
    ]
    head, _, first, second = pruning.table(rows).splitlines()
    assert head.startswith("| pair | parameters, M | MB | seconds | faster | loss before | distance before | loss |")
    assert first.startswith("| wide | 9.00 | 18.0 | 6.000 | 1.00 | — | — | 0.600 | — | 50.0 (25–75) |")
    assert second.startswith("| half | 2.50 | 5.0 | 2.000 | 2.00 | 1.000 | 0.400 | 0.700 | 0.100 | 50.0 (25–75) |")
    assert second.endswith("| 0.500 (0.250–0.750) |")
    assert len({line.count("|") for line in (head, first, second)}) == 1


def test_a_run_is_a_name_and_a_folder_with_results_and_an_adapter(tmp_path: Path) -> None:
    for text in ("0.75", f"0.75={tmp_path}", f"={tmp_path}"):
        with pytest.raises(argparse.ArgumentTypeError, match="is no NAME=FOLDER of a finished run"):
            pruning.run_of(text)
    (tmp_path / "results.json").write_text(json.dumps(RESULT))
    with pytest.raises(argparse.ArgumentTypeError, match=r"has no adapter/: give prune[.]py theory_adapter=theory"):
        pruning.run_of(f"0.75={tmp_path}")
    (tmp_path / "adapter").mkdir()
    assert pruning.run_of(f"pruned 0.75={tmp_path}") == ("pruned 0.75", tmp_path)
    for taken in (pruning.WIDE, "a/b"):
        with pytest.raises(argparse.ArgumentTypeError):
            pruning.run_of(f"{taken}={tmp_path}")


def test_a_lora_that_is_merged_is_not_counted(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    adapter, unet = pipe.adapter, pipe.unet
    assert adapter.lora_weights()
    counted = pruning.weights_of(pipe)
    adapter.absorb_lora()
    assert pruning.weights_of(pipe) == counted == pruning.count(unet) + pruning.count(adapter)
    found = pruning.costs_of({pruning.WIDE: pipe}, str(tiny_base))[pruning.WIDE]
    assert (found["parameters"], found["faster"]) == (counted, 1.0)
    assert found["seconds"] > 0
