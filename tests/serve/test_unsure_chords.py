"""The page shows an unsure chord as unsure: a mark, a frame, and a sentence about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from musetune import LeadSheet, analyze
from musetune.display.unsure import LEGEND
from musetune.serve.markup import scores_html, song_html
from musetune.serve.player import heard_cells

SHEET = LeadSheet.parse("| C | F | G7 | C |", bpm=100)


def test_a_song_shows_which_chords_are_unsure_and_what_that_means(tmp_path: Path) -> None:
    found = replace(analyze(SHEET.save(tmp_path / "song.mid")), chord_confidence=(0.9, 0.3, 0.8, 0.7))
    html = song_html(tmp_path / "song.mid", found.to_json(), SHEET)
    assert html.count('class="mt-cell mt-plain mt-sure mt-unsure"') == 1
    assert html.count('class="mt-chord mt-unsure"') == 1
    assert html.count("<b>F?</b>") == 2
    assert f"{LEGEND} (1 of 4 chords.)" in html
    sure = song_html(tmp_path / "song.mid", analyze(tmp_path / "song.mid").to_json(), SHEET)
    assert "mt-unsure" not in sure
    assert LEGEND not in sure


def test_a_take_shows_where_the_listener_is_unsure() -> None:
    rows = [
        {
            "start_s": 0.0,
            "end_s": 2.0,
            "asked": "C:maj",
            "heard": heard,
            "share": 1.0,
            "confidence": sure,
            "match": same,
        }
        for heard, sure, same in (("C:maj", 0.9, True), ("A:min", 0.4, False), ("C:maj", None, True))
    ]
    assert [(cell.name, cell.kind) for cell in heard_cells(rows)] == [
        ("✓ C", "mt-hit"),
        ("✗ Am?", "mt-miss mt-unsure"),
        ("✓ C", "mt-hit"),
    ]
    report = {"overall": 0.5, "parts": {}, "chords": rows}
    report |= {"tempo": {"asked_bpm": 100, "heard_bpm": 100}, "key": {"asked": "C major", "heard": "C major"}}
    html = scores_html(report)
    assert "<td>Am?</td>" in html
    assert "(1 of 3 chords.)" in html
