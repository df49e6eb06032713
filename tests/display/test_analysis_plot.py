"""The picture: its systems, its chromagram, what is written in it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_sounds import SR, tone

from musetune.analysis.service.cache import StoredAnalysis
from musetune.display.analysis_plot import colour_of, draw_analysis, systems
from musetune.display.chromagram import chord_tones, chromagram
from musetune.symbols import LeadSheet
from musetune.symbols.spans import Section
from musetune.theory.harmony.function import FUNCTIONS


def stored(sheet: LeadSheet) -> StoredAnalysis:
    rows = [{"roman": "I", "function": "tonic"} for _ in sheet.chords]
    cadences = [{"type": "authentic", "subtype": "perfect", "strength": 0.9, "at_s": 4.0}]
    record = {"source": {"file": "x.wav"}, "key": "C major", "bpm": 120.0, "time_signature": "4/4", "chords": rows}
    return StoredAnalysis(record | {"harmonic_analysis": {"cadences": cadences}}, sheet)


@pytest.mark.parametrize(("bars", "count"), [(2, 1), (15, 1), (30, 2), (150, 10), (5400, 36)])
def test_systems_break_at_bar_lines(bars: int, count: int) -> None:
    sheet = LeadSheet.parse("| C | G |", bpm=120, duration_seconds=2.0 * bars)
    rows, width_s = systems(sheet, 2.0 * bars)
    assert len(rows) == count
    assert rows[0][0] == 0
    assert rows[-1][1] == 2.0 * bars
    for (_, end), (start, _) in pairwise(rows):
        assert end == start
        assert end % 2 == pytest.approx(0, abs=1e-6)
    assert all(end - start <= width_s + 1e-9 for start, end in rows)


def test_the_chromagram_shows_the_notes(tmp_path: Path) -> None:
    wave = np.concatenate([tone(69, 2.0), tone(60, 2.0)])
    soundfile.write(tmp_path / "x.wav", 0.2 * wave / np.abs(wave).max(), SR)
    chroma = chromagram(tmp_path / "x.wav", 0.1)
    assert chroma.shape[0] == 12
    assert chroma.shape[1] == pytest.approx(40, abs=3)
    assert chroma[:, 5:15].sum(axis=1).argmax() == 9
    assert chroma[:, 25:35].sum(axis=1).argmax() == 0
    assert 0 <= chroma.min() <= chroma.max() <= 1


def test_the_tones_of_chords() -> None:
    chroma = chord_tones(LeadSheet.parse("| C/E | N.C. |", bpm=120), 4.0, 0.5)
    assert chroma.shape == (12, 8)
    assert chroma[:, 0].tolist() == [0.7, 0, 0, 0, 1, 0, 0, 0.7, 0, 0, 0, 0]
    assert chroma[:, 5].sum() == 0


def test_every_function_has_its_familys_colour() -> None:
    assert colour_of("dominant") == colour_of("dominant_substitute")
    assert len({colour_of(name) for name in ("tonic", "subdominant", "dominant", "applied_dominant", "borrowed")}) == 5
    assert all(colour_of(name).startswith("#") for name in (*FUNCTIONS, None))


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_picture_names_what_is_in_it(suffix: str, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | G/B | Am7 | F |", bpm=120)
    sheet = replace(sheet, sections=(Section(Fraction(0), sheet.length, "verse"),))
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        path = draw_analysis(stored(sheet), tmp_path / "new" / f"x.{suffix}")
    if suffix == "svg":
        text = path.read_text()
        assert all(word in text for word in ("G/B", "Am7", "verse", "C major", "PAC", "120 bpm", "0:05"))
    else:
        assert path.read_bytes()[:4] == b"\x89PNG"
