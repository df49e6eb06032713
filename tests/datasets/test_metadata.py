"""What metadata.jsonl says of a recording, laid over what is heard in it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from small import SR, tones

from musetune.datasets import metadata as recipe
from musetune.symbols import LeadSheet, Meter


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"key": "C major"}, {"bpm": 120}, {"time_signature": "4/4"}], ids=str)
def test_given_chords_lie_on_the_beats_that_are_heard(tmp_path: Path, more: dict[str, object]) -> None:
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=22)
    wave = np.concatenate([np.zeros(round(0.45 * SR), np.float32), tones(sheet, 22)])  # a lead-in of 0.45 s
    told = recipe.lead_sheet({"chords": "| C | G/B | Am | F |", **more}, wave, SR)
    heard = recipe.lead_sheet({}, wave, SR)
    assert np.allclose((told.beats_s - 0.45 + 0.25) % 0.5 - 0.25, 0, atol=0.04)
    assert told.downbeats_s == pytest.approx(heard.downbeats_s, abs=0.04)
    assert told.chord_intervals_s[0, 0] == pytest.approx(told.downbeats_s[0])
    assert told.chord_labels[:4] == ["C:maj", "G:maj/3", "A:min", "F:maj"]
    assert [s.beats for s in told.chords[:4]] == [4] * 4
    assert told.chords[-1].end == told.length


def test_a_told_metre_starts_its_bars_where_chords_change() -> None:
    sheet = LeadSheet.from_progression(["I", "V"], key="C major", bpm=120, time_signature="3/4", duration_seconds=20)
    misheard = recipe.barred(sheet, Meter.parse("4/4"))
    waltz = recipe.barred(replace(misheard, first_downbeat=Fraction(1)), Meter.parse("3/4"))
    assert waltz.downbeats() == sheet.downbeats()


def test_wrong_metadata_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.wav"}\n\n{"text": "no name"}\n')
    with pytest.raises(ValueError, match=r"metadata\.jsonl, line 3 has no file_name"):
        recipe.read_metadata(tmp_path)
    (tmp_path / "metadata.jsonl").write_text("file_name: a.wav\n")
    with pytest.raises(ValueError, match=r"metadata\.jsonl, line 1 is no JSON"):
        recipe.read_metadata(tmp_path)
