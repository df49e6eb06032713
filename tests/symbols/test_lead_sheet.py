"""Lead sheets: charts, laws of cutting and moving, files."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetune.formats.chart_text import from_progression, parse_chart
from musetune.symbols import BeatGrid, LeadSheet, Meter, Note

TOKENS = st.sampled_from(["C", "G/B", "Am7", "F:maj7", "V7", "ii", "N.C.", "."])
BARS = st.lists(st.lists(TOKENS, min_size=1, max_size=4), min_size=1, max_size=5).filter(lambda bars: bars[0][0] != ".")
SHEETS = st.builds(
    lambda bars, bpm, meter: LeadSheet.parse("|".join(["", *map(" ".join, bars), ""]), bpm=bpm, time_signature=meter),
    BARS,
    st.floats(30, 300),
    st.sampled_from(["4/4", "3/4", "6/8", "5/4"]),
)


def test_chart_shares_bars_holds_and_repeats() -> None:
    sheet = LeadSheet.parse("| Cmaj7 | G/B . Am7 . | % |", bpm=100)
    assert sheet.chord_labels == ["C:maj7", "G:maj/3", "A:min7", "G:maj/3", "A:min7"]
    assert [span.start for span in sheet.chords] == [0, 4, 6, 8, 10]
    assert sheet.length == 12


def test_progression_repeats_and_its_last_bar_is_cut() -> None:
    sheet = LeadSheet.parse("I V vi IV", key="C major", bpm=120, duration_seconds=9.0)
    assert sheet.chord_labels == ["C:maj", "G:maj", "A:min", "F:maj", "C:maj"]
    assert sheet.duration_s == pytest.approx(9.0)
    assert sheet.chords[-1].beats == 2
    np.testing.assert_allclose(sheet.downbeats_s, [0, 2, 4, 6, 8])


@pytest.mark.parametrize(
    ("text", "labels", "starts"),
    [
        ("| C | G % |", ["C:maj", "G:maj", "G:maj"], [0, 4, 6]),
        ("| C | % G |", ["C:maj", "C:maj", "G:maj"], [0, 4, 6]),
        ("|: C :|", ["C:maj", "C:maj"], [0, 4]),
        ("| F |: C | G :| A |", ["F:maj", "C:maj", "G:maj", "C:maj", "G:maj", "A:maj"], [0, 4, 8, 12, 16, 20]),
        ("|: C :|: G :|", ["C:maj", "C:maj", "G:maj", "G:maj"], [0, 4, 8, 12]),
        ("|C|G:|", ["C:maj", "G:maj", "C:maj", "G:maj"], [0, 4, 8, 12]),
        ("C:maj(9,11) G", ["C:maj(9,11)", "G:maj"], [0, 4]),
        ("C, G:min(b7, 9),F", ["C:maj", "G:min9", "F:maj"], [0, 4, 8]),
    ],
)
def test_charts_repeat_and_keep_commas_in_chords(text: str, labels: list[str], starts: list[int]) -> None:
    sheet = LeadSheet.parse(text)
    assert (sheet.chord_labels, [span.start for span in sheet.chords]) == (labels, starts)


def test_a_text_of_a_progression_is_read_as_a_chart() -> None:
    assert LeadSheet.from_progression("I V") == LeadSheet.parse("I V")
    assert [s.start for s in LeadSheet.from_progression("I V", beats_per_chord=2).chords] == [0, 2]


@pytest.mark.parametrize(
    ("method", "function"), [(LeadSheet.parse, parse_chart), (LeadSheet.from_progression, from_progression)]
)
def test_the_sheet_shows_the_settings_of_its_readers(method, function) -> None:
    assert inspect.signature(method) == inspect.signature(function)


def test_waltz_and_compound_meter() -> None:
    assert [s.start for s in LeadSheet.parse("F Bb C", time_signature="3/4").chords] == [0, 3, 6]
    six = Meter.parse("6/8")
    assert (six.beats_per_bar, six.beat_quarters) == (2, Fraction(3, 2))


@given(SHEETS)
def test_json_round_trip_is_exact(sheet: LeadSheet) -> None:
    assert LeadSheet.from_json(json.loads(json.dumps(sheet.to_json()))) == sheet


@given(SHEETS, st.integers(-11, 11))
def test_transposition_moves_chords_and_key_together(sheet: LeadSheet, n: int) -> None:
    moved = sheet.transpose(n)
    assert (moved.key.tonic_pc - sheet.key.tonic_pc - n) % 12 == 0
    for a, b in zip(sheet.chords, moved.chords, strict=True):
        assert {(pc + n) % 12 for pc in a.chord.pitch_classes} == set(b.chord.pitch_classes)


@settings(deadline=None)
@given(SHEETS, st.floats(0, 0.7), st.floats(0.2, 0.3))
def test_a_crop_sounds_like_the_whole(sheet: LeadSheet, at: float, share: float) -> None:
    start, seconds = at * sheet.duration_s, share * sheet.duration_s
    part = sheet.crop(start, seconds)
    for t in np.linspace(0.01, 0.99, 7) * seconds:
        whole = sheet.chord_at(float(sheet.grid.beat_at(start + t)))
        here = part.chord_at(float(part.grid.beat_at(t)))
        near_edge = min((abs(start + t - edge) for edge in sheet.chord_intervals_s.ravel()), default=1) < 2e-3
        assert near_edge or whole == here
    inside = sheet.downbeats_s[(sheet.downbeats_s >= start) & (sheet.downbeats_s < start + seconds - 1e-3)]
    assert all(np.min(np.abs(part.downbeats_s - (d - start))) < 1e-6 for d in inside)


@given(SHEETS, st.integers(-11, 11))
def test_moving_there_and_back_keeps_plain_spellings(sheet: LeadSheet, n: int) -> None:
    assert sheet.transpose(n).transpose(-n).chord_labels == sheet.chord_labels


@given(st.integers(0, 127), st.integers(-60, 60))
def test_a_melody_moves_and_stays_in_range(pitch: int, n: int) -> None:
    sheet = replace(LeadSheet.parse("C"), melody=(Note(Fraction(0), Fraction(1), pitch),))
    moved = sheet.transpose(n).melody[0].pitch
    assert 0 <= moved <= 127
    assert (moved - pitch - n) % 12 == 0
    assert moved == pitch + n or not 0 <= pitch + n <= 127 or n % 12 == 0


@given(SHEETS, st.integers(-3, 9), st.integers(0, 30), st.integers(1, 8))
def test_a_slice_keeps_the_bar_lines(sheet: LeadSheet, first: int, start: int, beats: int) -> None:
    sheet = replace(sheet, first_downbeat=Fraction(max(first, 1 - sheet.meter.beats_per_bar)))
    start, end = Fraction(min(start, sheet.length - 1)), min(Fraction(start + beats), sheet.length)
    if start < end:
        part = sheet.slice(start, end)
        assert part.downbeats() == [b - start for b in sheet.downbeats() if start <= b < end]


def test_rubato_is_kept_by_the_grid() -> None:
    grid = BeatGrid((0.0, 0.5, 1.1, 1.5))
    assert grid.time_at(1.5) == pytest.approx(0.8)
    assert grid.beat_at(0.8) == pytest.approx(1.5)
    assert grid.time_at(4) == pytest.approx(1.9)


@pytest.mark.parametrize("suffix", ["json", "mid", "musicxml", "jams"])
@pytest.mark.filterwarnings("ignore")
def test_files_keep_chords_key_meter_and_tempo(tmp_path: Path, suffix: str) -> None:
    sheet = LeadSheet.parse("| Cmaj7 | G/B . Am7 . | F#m7b5 Bb7 | Dsus4 |", bpm=100, genre="jazz")
    sheet = replace(sheet, melody=(Note(Fraction(0), Fraction(1, 2), 60), Note(Fraction(1), Fraction(2), 67)))
    read = LeadSheet.load(sheet.save(tmp_path / f"sheet.{suffix}"))
    assert read.chord_labels == sheet.chord_labels
    assert [s.start for s in read.chords] == [s.start for s in sheet.chords]
    assert (read.key, read.meter, read.length) == (sheet.key, sheet.meter, sheet.length)
    assert read.bpm == pytest.approx(100, abs=0.01)


@pytest.mark.filterwarnings("ignore")
def test_midi_keeps_rubato(tmp_path: Path) -> None:
    times = (0.0, 0.5, 1.1, 1.5, 2.2)
    sheet = replace(LeadSheet.parse("C"), grid=BeatGrid(times))
    read = LeadSheet.load(sheet.save(tmp_path / "rubato.mid"))
    np.testing.assert_allclose(read.grid.times_s, times, atol=1e-5)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'\.txt' is not one of"):
        LeadSheet.parse("C").save(tmp_path / "sheet.txt")
