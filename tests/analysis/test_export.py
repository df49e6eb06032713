"""Tables, label tracks and scores say what the lead sheet says."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest

from musetune.analysis.export import KINDS, beats_csv, chords_csv, export, label_tracks
from musetune.analysis.service.cache import StoredAnalysis
from musetune.formats.chart_text import pop_name
from musetune.formats.labels import bar_position
from musetune.symbols import Chord, Key, LeadSheet
from musetune.symbols.qualities import FLAT_DEGREES, QUALITIES
from musetune.symbols.spans import KeySpan, Section


def stored(sheet: LeadSheet) -> StoredAnalysis:
    rows = [
        {"start_s": round(float(a), 4), "end_s": round(float(b), 4), "beats": float(span.beats), "roman": "I",
         "function": "tonic", "confidence": 0.5}
        for (a, b), span in zip(sheet.chord_intervals_s, sheet.chords, strict=True)
    ]  # fmt: skip
    return StoredAnalysis({"source": {"file": "x.wav", "duration_s": sheet.duration_s}, "chords": rows}, sheet)


@pytest.fixture
def sheet() -> LeadSheet:
    plain = LeadSheet.parse("| C | G/B . Am7 . | % | N.C. |", bpm=120)
    keys = (*plain.keys, KeySpan(Fraction(8), Key.parse("A minor")))
    return replace(
        plain, keys=keys, sections=(Section(Fraction(0), Fraction(8), "A"), Section(Fraction(8), Fraction(8), "B"))
    )


@pytest.mark.parametrize("quality", [quality for quality in QUALITIES if quality != "N"])
def test_names_are_read_back(quality: str) -> None:
    for root, bass in product(("C", "F#", "Bb"), FLAT_DEGREES):
        chord = Chord(root, quality, bass)
        assert Chord.parse(pop_name(chord)).pitch_classes == chord.pitch_classes, pop_name(chord)
    assert pop_name(Chord(None, "N")) == "N.C."


def test_bars_are_counted_from_the_first_line(sheet: LeadSheet) -> None:
    assert bar_position(sheet, Fraction(0)) == (1, 1)
    assert bar_position(sheet, Fraction(11, 2)) == (2, Fraction(5, 2))
    upbeat = replace(sheet, first_downbeat=Fraction(1))
    assert bar_position(upbeat, Fraction(0)) == (0, 4)
    assert bar_position(upbeat, Fraction(1)) == (1, 1)


def test_the_table_of_chords(sheet: LeadSheet) -> None:
    rows = list(csv.DictReader(io.StringIO(chords_csv(stored(sheet)))))
    assert [row["name"] for row in rows][:3] == ["C", "G/B", "Am7"]
    assert rows[1] == {
        "start_s": "2.0", "end_s": "3.0", "bar": "2", "beat_in_bar": "1.0", "beats": "2.0", "chord": "G:maj/3", "name": "G/B",
        "roman": "I", "function": "tonic", "key": "C major", "section": "A", "confidence": "0.5",
    }  # fmt: skip
    assert rows[-1]["key"] == "A minor"
    assert rows[-1]["section"] == "B"


def test_the_table_of_beats(sheet: LeadSheet) -> None:
    rows = list(csv.DictReader(io.StringIO(beats_csv(stored(sheet)))))
    assert len(rows) == 16
    assert rows[5] == {"time_s": "2.5", "bar": "2", "beat": "2.0"}


def test_label_tracks(sheet: LeadSheet) -> None:
    tracks = {
        name: [line.split("\t") for line in text.splitlines()] for name, text in label_tracks(stored(sheet)).items()
    }
    assert tracks["chords"][1] == ["2.000000", "3.000000", "G/B"]
    assert [row[2] for row in tracks["keys"]] == ["C major", "A minor"]
    assert tracks["keys"][0][1] == tracks["keys"][1][0] == "4.000000"
    assert tracks["bars"] == [[f"{2 * bar:.6f}", f"{2 * bar:.6f}", str(bar + 1)] for bar in range(4)]
    assert [row[2] for row in tracks["sections"]] == ["A", "B"]
    assert "sections" not in label_tracks(stored(replace(sheet, sections=())))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file(kind: str, sheet: LeadSheet, tmp_path: Path) -> None:
    paths = export(stored(sheet), kind, tmp_path / "x.wav.analysis")
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert all(path.name.startswith("x.wav.analysis.") and path.stat().st_size for path in paths)
    if kind in ("midi", "musicxml", "jams"):
        assert LeadSheet.load(paths[0]) == sheet
    if kind == "json":
        assert json.loads(paths[0].read_text()) == stored(sheet).record


def test_no_other_kind(sheet: LeadSheet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind='pdf' is not one of"):
        export(stored(sheet), "pdf", tmp_path / "x")
