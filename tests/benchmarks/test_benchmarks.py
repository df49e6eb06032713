"""The benchmarks of guidance and of partial requests: what they measure, and a run on two short sheets."""

from __future__ import annotations

import sys
from pathlib import Path

import guidance
import numpy as np
import partial
import pytest
from small_pipe import make_pipe

from musetune import LeadSheet
from musetune.evaluation import TestSheet, missing_judges
from musetune.pipeline.guidance import ALWAYS
from musetune.symbols.estimate import Estimate

SHEET = LeadSheet.parse("C G Am F", duration_seconds=8)
EVERY_BEAT = np.arange(0, 8, 0.5)


def heard(labels: tuple[str, ...] = ("C:maj", "G:maj", "A:min", "F:maj"), key: str | None = "C major") -> Estimate:
    edges = np.linspace(0, 8, len(labels) + 1)
    spans = np.stack([edges[:-1], edges[1:]], axis=1)
    return Estimate(spans, list(labels), np.full(len(labels), np.nan), EVERY_BEAT, EVERY_BEAT[::4], key, 120.0)


def record(found: Estimate) -> dict:
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(found).items()}
    return {"heard": plain, "timbre": [], "clap": 0.5, "seconds": 1.0}


def test_settings_are_the_grid_and_the_intervals_once() -> None:
    half = (0.0, 0.5)
    chosen = guidance.settings([1.0, 2.5], [3.0], (2.5, 3.0), [ALWAYS, half])
    assert [(s.text, s.text_interval, s.music_interval) for s in chosen] == [
        (1.0, ALWAYS, ALWAYS),
        (2.5, ALWAYS, ALWAYS),
        (2.5, half, ALWAYS),
        (2.5, ALWAYS, half),
        (2.5, half, half),
    ]
    assert [setting.passes_a_step(20) for setting in chosen] == [2.0, 3.0, 2.5, 3.0, 2.0]
    assert len({setting.name for setting in chosen}) == len(chosen)


def test_similarity_to_the_words_has_its_interval() -> None:
    records = [record(heard()) | {"clap": clap, "timbre": [[0.0]]} for clap in (0.25, 0.5)]
    tests = [TestSheet(name, name, "pop", 0, SHEET) for name in "ab"]
    figures = guidance.figures(records, tests, np.zeros((1, 1)))
    setting = {"text": 3.0, "music": 2.0, "text_interval": ALWAYS, "music_interval": ALWAYS, "passes": 3.0}
    row = guidance.table([setting | figures]).splitlines()[-1]
    assert "| 100.0 (100–100) | 0.375 (0.250–0.500) | — | 3.00 | 1.0 |" in row


def test_what_makes_music_of_a_clip() -> None:
    assert partial.diatonic(heard()) == 1.0
    assert partial.diatonic(heard(("C:maj", "F#:maj", "N", "N"))) == 0.5
    assert partial.diatonic(heard(("A:min", "E:7"), key="A minor")) == 1.0
    assert partial.diatonic(heard(key=None)) is None
    assert partial.evenness(heard()) == pytest.approx(1.0)
    assert partial.changes(heard()) == pytest.approx(3 * 60 / 8)


def test_halves_are_scored_by_themselves() -> None:
    wrong = heard(("C:maj", "G:maj", "D:maj", "B:maj"))
    test = TestSheet("x", "x", "pop", 0, SHEET)
    figures = partial.part_figures([record(wrong)], [test])
    assert figures["majmin"].mean == pytest.approx(0.5, abs=0.01)
    assert figures["majmin, first half"].mean == pytest.approx(1.0)
    assert figures["majmin, second half"].mean == pytest.approx(0.0)
    assert figures["beat_f, second half"].mean == pytest.approx(1.0)
    assert "| all | 50.0" in partial.part_table({"all": figures})


@pytest.mark.slow
@pytest.mark.judge
@pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")
def test_a_sweep_goes_on_where_it_was(tiny_base: Path, tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    make_pipe(tiny_base).adapter.save_pretrained(tmp_path / "adapter")
    (tmp_path / "sheets").mkdir()
    for name in ("a", "b"):
        LeadSheet.parse("C G", duration_seconds=2.5).save(tmp_path / "sheets" / f"{name}.json")
    out = tmp_path / "out"
    command = ["guidance.py", "--sheets", tmp_path / "sheets", "--base", tiny_base, "--adapter", tmp_path / "adapter"]
    command += ["--out", out, "--device", "cpu", "--text", "3", "--music", "3", "--intervals", "--steps"]
    monkeypatch.setattr(sys, "argv", [*map(str, command), "1"])
    guidance.main()
    assert "| 3 | 3 | 0–1 | 0–1 |" in capsys.readouterr().out
    assert len(list(out.glob("clips/*/*.json"))) == 2
    monkeypatch.setattr(guidance, "listen", None)  # what is there is read
    guidance.main()
    monkeypatch.setattr(sys, "argv", [*map(str, command), "2"])
    with pytest.raises(ValueError, match="holds audio made with another steps; give another folder or remove it"):
        guidance.main()
    LeadSheet.parse("C F", duration_seconds=2.5).save(tmp_path / "sheets" / "b.json")
    monkeypatch.setattr(sys, "argv", [*map(str, command), "1"])
    with pytest.raises(ValueError, match="another sheets;"):
        guidance.main()
