"""The pages of docs/results/ are what their figures say, and benchmarks/README.md says nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import docs_results

REPOSITORY = Path(__file__).parents[2]
BENCHMARKS = REPOSITORY / "benchmarks" / "README.md"


def test_pages_are_fresh() -> None:
    stale = [p.name for p, text in docs_results.pages().items() if not p.is_file() or p.read_text() != text]
    assert not stale, f"run python tools/docs_results.py: {stale}"


def test_a_changed_figure_makes_its_page_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in docs_results.FOLDER.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(docs_results, "FOLDER", tmp_path)
    printed = "some words\n\n| measure | value |\n|---|---|\n| spectral convergence | 0.99 |\n"
    docs_results.take("roundtrip", printed)
    assert json.loads((tmp_path / "roundtrip.json").read_text())["rows"] == [["spectral convergence", 0.99]]
    stale = [p.name for p, text in docs_results.pages().items() if p.read_text() != text]
    assert stale == ["cost.md"]


def test_a_table_heard_by_other_networks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in docs_results.FOLDER.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(docs_results, "FOLDER", tmp_path)
    assert docs_results.heard_by_others() == []
    path = tmp_path / "certainty.json"
    record = json.loads(path.read_text()) | {"weights": "0" * 12}
    record.pop("superseded", None)
    path.write_text(json.dumps(record))
    assert docs_results.heard_by_others() == ["certainty"]
    monkeypatch.setattr(docs_results, "pages", dict)  # none is stale
    assert docs_results.main(["--check"]) == 1
    assert "Heard by earlier networks" in docs_results.section(path, record)
    path.write_text(json.dumps(record | {"superseded": "they were the first that could be measured"}))
    assert docs_results.heard_by_others() == []
    docs_results.take("certainty", "| a |\n|---|\n| 1 |")
    assert json.loads(path.read_text())["weights"] == docs_results.networks_that_ship()
    sets = {"mp3": {"weights": docs_results.networks_that_ship()}, "bands": {}}  # one of them does not say
    (tmp_path / "analyser.json").write_text(json.dumps({"sets": sets}))
    assert docs_results.heard_by_others() == ["analyser"]


def test_take_refuses_what_holds_no_table() -> None:
    with pytest.raises(SystemExit, match="no Markdown table"):
        docs_results.take("roundtrip", "nothing here")
    with pytest.raises(SystemExit, match="does not exist"):
        docs_results.take("no such table", "| a |\n|---|\n| 1 |")


@pytest.mark.parametrize("text", ["62.2 (56–69)", "-58.8 (-66–-52)", "0.733 (0.691–0.772)", "1.73×", "12", "3.00", "—"])
def test_cells_survive_reading_and_writing(text: str) -> None:
    value = docs_results.read_cell(text)
    decimals = len(text.split(" ")[0].partition(".")[2]) if not isinstance(value, str) else 0
    assert docs_results.cell(value, decimals) == text


@pytest.mark.skipif(not BENCHMARKS.is_file(), reason="this checkout has no benchmarks/README.md")
def test_tables_of_the_benchmarks_are_in_the_figures() -> None:
    """A figure that is changed in benchmarks/README.md alone is found here; `docs_results.py --take` puts it right."""
    known = [json.loads(path.read_text()) for path in docs_results.FOLDER.glob("*.json")]
    figures = [(record["columns"], record["rows"]) for record in known if "columns" in record]
    for columns, rows in docs_results.read_tables(BENCHMARKS.read_text()):
        plain = [[cell.strip("*") if isinstance(cell, str) else cell for cell in row] for row in rows]
        plain = [[docs_results.read_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in plain]
        assert (columns, plain) in figures, f"the table {columns} of benchmarks/README.md is in no docs/results/*.json"


def test_listeners_stand_side_by_side_with_the_unknown_sets_first() -> None:
    record = {
        "title": "Listeners", "about": "About.", "command": "python x.py", "page": "analysis", "order": 1,
        "sets": {
            "known-one": {"known": True, "songs": 2, "truth": "sure"},
            "strange": {"known": False, "songs": 3, "truth": "unsure", "seconds": {"majmin": 161}},
        },
        "means": {
            "musetune": {"strange": {"majmin": 80.0, "meter": 90.0}, "known-one": {"majmin": 95.0}},
            "a": {"strange": {"majmin": 85.5}, "known-one": {"majmin": 90.0}},
            "b": {"strange": {"majmin": 70.0}},
        },
        "intervals": {"musetune": {"strange": {"majmin": [71.2, 88.0]}}},
        "meters": {"musetune": {"6/8": {"3/4": 1, "6/8": 2}}},
        "calibration": {"chord, unknown timbre": 0.041},
    }  # fmt: skip
    page = docs_results.section(Path("analyser.json"), record)
    assert "| strange, unknown timbre | 80.0 (a 85.5)" in page
    assert page.index("| strange, unknown") < page.index("| known-one, known")
    assert "|  | strange (unknown) | known-one (known) |\n|---|---|---|\n| musetune | 80.0 (71–88) | 95.0 |" in page
    assert "| b | 70.0 | — |" in page
    assert "| 6/8 | 6/8 2, 3/4 1 |" in page
    assert "- strange: 3 clips; unsure; compared: majmin 161 s." in page
    assert "Heard by earlier networks" in page  # the sets do not say by which
    assert "- Major and minor chords: not behind on 0 of 1 unknown sets; behind on strange (a 5.5 ahead)." in page
