"""Tables, label tracks and scores say what the lead sheet says."""

from __future__ import annotations

import csv
import io
import json
import warnings
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import jams
import mir_eval
import numpy as np
import pytest

from musetune import __version__
from musetune.analysis.export import (
    KINDS,
    beats_csv,
    chords_csv,
    exports,
    label_files,
    label_tracks,
    save_sheet,
)
from musetune.analysis.service.cache import StoredAnalysis
from musetune.formats.chart_text import pop_name
from musetune.formats.labels import bar_position
from musetune.symbols import Chord, Key, LeadSheet
from musetune.symbols.estimate import AnalysisResult
from musetune.symbols.qualities import FLAT_DEGREES, QUALITIES
from musetune.symbols.spans import KeySpan, Section


def stored(sheet: LeadSheet) -> StoredAnalysis:
    rows = [
        {
            "start_s": round(float(a), 4),
            "end_s": round(float(b), 4),
            "beats": float(span.beats),
            "roman": "I",
            "function": "tonic",
            "confidence": 0.5,
        }
        for (a, b), span in zip(sheet.chord_intervals_s, sheet.chords, strict=True)
    ]
    record = {"source": {"file": "x.wav", "duration_s": sheet.duration_s + 1.5}, "chords": rows, "key": str(sheet.key)}
    record |= {"key_confidence": 0.7, "bpm_confidence": 0.8, "time_signature_confidence": 0.9}
    return StoredAnalysis(record, sheet)


def export(result: AnalysisResult, kind: str, stem: Path) -> list[Path]:
    """Write the files of a kind."""
    files = dict(exports(result, kind, stem))
    for write in files.values():
        write()
    return list(files)


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
        "start_s": "2.0",
        "end_s": "3.0",
        "bar": "2",
        "beat_in_bar": "1.0",
        "beats": "2.0",
        "chord": "G:maj/3",
        "name": "G/B",
        "roman": "I",
        "function": "tonic",
        "key": "C major",
        "section": "A",
        "confidence": "0.5",
    }
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


def test_jams_says_how_sure_each_observation_is_and_who_says_it(sheet: LeadSheet, tmp_path: Path) -> None:
    result = stored(sheet)
    for i, row in enumerate(result.record["chords"]):
        row["confidence"] = 0.1 * (i + 1)
    (path,) = export(result, "jams", tmp_path / "x.wav.analysis")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jams calls jsonschema the old way
        data = jams.load(str(path), validate=True, strict=True)
    confidence = {one.namespace: [row.confidence for row in one.data] for one in data.annotations}
    assert confidence["chord"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (set(confidence["key_mode"]), confidence["tempo"]) == ({0.7}, [0.8])
    assert set(confidence["beat"]) | set(confidence["segment_open"]) == {None}
    assert data.sandbox.meter_confidence == 0.9
    assert (data.file_metadata.title, data.file_metadata.duration) == ("x.wav", sheet.duration_s + 1.5)
    for annotation in data.annotations:
        about = annotation.annotation_metadata
        assert (about.annotator.name, about.version, about.data_source) == ("MuseTune", __version__, "program")
        assert about.annotation_tools == f"musetune.analysis {__version__}"
    assert save_sheet(result, tmp_path / "y.jams").read_bytes() == path.read_bytes()


def test_label_files_are_read_by_mir_eval_from_0_to_the_end(sheet: LeadSheet, tmp_path: Path) -> None:
    end = sheet.duration_s + 1.5
    paths = {path.name.split(".")[-2]: str(path) for path in export(stored(sheet), "lab", tmp_path / "x.analysis")}
    assert list(paths) == ["chords", "beats", "downbeats", "sections", "keys", "key"]
    for name, labels in (
        ("chords", ["C:maj", "G:maj/3", "A:min7", "G:maj/3", "A:min7", "N", "N"]),
        ("sections", ["A", "B", "N"]),
        ("keys", ["C:major", "A:minor"]),
    ):
        intervals, read = mir_eval.io.load_labeled_intervals(paths[name])
        mir_eval.util.validate_intervals(intervals)
        assert read == labels
        assert intervals[0, 0] == 0
        assert intervals[-1, 1] == pytest.approx(end)
        assert np.array_equal(intervals[1:, 0], intervals[:-1, 1])
    assert mir_eval.io.load_events(paths["beats"]) == pytest.approx(sheet.beats_s)
    assert mir_eval.io.load_events(paths["downbeats"]) == pytest.approx(sheet.downbeats_s)
    mir_eval.key.validate_key(mir_eval.io.load_key(paths["key"]))
    unknown = stored(sheet)
    unknown.record["key"] = None
    assert {"key", "keys"}.isdisjoint(label_files(unknown))


def test_no_other_kind(sheet: LeadSheet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind='pdf' is not one of"):
        export(stored(sheet), "pdf", tmp_path / "x")
