"""What a notebook shows of an analysis."""

from __future__ import annotations

import re
from pathlib import Path

from musetune import LeadSheet, analyze


def test_an_analysis_shows_what_was_found(tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | G | Am | F |" * 3 + "| C | F | G7 | C |", bpm=100)
    found = analyze(sheet.save(tmp_path / "<loop>.mid"))
    html = found._repr_html_()
    record = found.to_json()
    assert "&lt;loop&gt;.mid · C major (100 %)" in html
    assert len(re.findall(r"<b [^>]*>(C|F|G7?|Am)</b>", html)) == 16
    assert record["harmonic_analysis"]["common_patterns"][0]["name"] in html
    assert "Cadences: " in html
    assert "<svg" in html
    assert "opacity:1.00" in html
