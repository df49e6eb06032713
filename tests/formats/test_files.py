"""Lead sheets as files: exact for what we wrote, plain for what others or an editor made of it, and clear where
nothing can be read.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import jams
import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from music21 import converter

from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Note, Section
from musetune.symbols.chord import NO_CHORD
from musetune.symbols.qualities import QUALITIES

SUFFIXES = ["json", "mid", "midi", "musicxml", "xml", "mxl", "jams"]
F = Fraction
CUT = LeadSheet.parse("C G Am F", key="C major", bpm=97, duration_seconds=10.24)
GAPS = LeadSheet.parse("| C | N.C. | Bb/D | F . N.C. C |", key="F major", bpm=100, time_signature="3/4", genre="jazz")
CHANGES = LeadSheet(
    chords=(
        ChordSpan(F(0), F(4), Chord("C")),
        ChordSpan(F(4), F(6), Chord("A", "min")),
        ChordSpan(F(11), F(2), Chord("D")),
    ),
    keys=(KeySpan(F(0), Key("Eb", "minor")), KeySpan(F(9), Key("A"))),
    meters=(MeterSpan(F(0), Meter(4, 4)), MeterSpan(F(9), Meter(6, 8))),
    grid=BeatGrid(tuple(np.cumsum([0.1, *[0.5, 0.55, 0.48, 0.6] * 4]).tolist())),
    length=F(13),
    sections=(Section(F(0), F(4), "A"), Section(F(4), F(9), "refrain ♪")),
    genre="classical",
    melody=(Note(F(0), F(1, 3), 60, 33), Note(F(1, 3), F(8), 64), Note(F(9), F(7, 5), 67)),
    first_downbeat=F(1),
)
CROPPED = LeadSheet.parse("C G Am F", bpm=110).crop(0.8, 5.0)
CHORDS = st.builds(
    Chord,
    st.sampled_from(["C", "Eb", "F#", "Bb"]),
    st.sampled_from([q for q in QUALITIES if q != "N"]),
    st.sampled_from(["1", "b3", "5", "b7"]),
)


@st.composite
def sheets(draw) -> LeadSheet:  # type: ignore[no-untyped-def]
    """Anything: gaps, N.C., pickup, rubato, a cut end, a meter change, notes that overlap bar lines."""
    part = lambda low, high: draw(st.fractions(low, high, max_denominator=12))  # noqa: E731
    meter, first = draw(st.sampled_from([Meter(4, 4), Meter(3, 4), Meter(6, 8), Meter(2, 2)])), part(-1, 2)
    chords, at = [], part(0, 1)
    for chord in draw(st.lists(st.just(NO_CHORD) | CHORDS, max_size=6)):
        chords.append(ChordSpan(at, part(F(1, 4), 5), chord))
        at = chords[-1].end + draw(st.sampled_from([F(0), F(0), F(3, 2)]))
    length = at + part(F(1, 8), 2)
    change = first + meter.beats_per_bar
    meters = [MeterSpan(F(0), meter)] + (
        [MeterSpan(change, Meter(5, 4))] if change < length and draw(st.booleans()) else []
    )
    steps = draw(st.lists(st.floats(0.25, 1.5), min_size=int(length) + 2, max_size=int(length) + 2))
    notes, now = [], F(0)
    while (now := now + part(0, 2)) < length - F(1, 4) and len(notes) < 5:
        notes.append(
            Note(now, min(part(F(1, 4), 3), length - now), draw(st.integers(40, 90)), draw(st.integers(1, 127)))
        )
        now = now + notes[-1].beats
    return LeadSheet(
        chords=tuple(chords),
        keys=(KeySpan(F(0), Key("Bb", "minor")),),
        meters=tuple(meters),
        length=length,
        grid=BeatGrid(tuple((np.cumsum(steps) - draw(st.sampled_from([0.0, steps[0], 0.2]))).tolist())),
        genre=draw(st.sampled_from([None, "rock"])),
        sections=(Section(F(0), length, draw(st.sampled_from(["A", "Überleitung"]))),),
        melody=tuple(notes),
        first_downbeat=first,
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("sheet", [CUT, GAPS, CHANGES, CROPPED], ids=["cut", "gaps", "changes", "cropped"])
def test_a_file_of_ours_gives_back_the_sheet(tmp_path: Path, sheet: LeadSheet, suffix: str) -> None:
    assert LeadSheet.load(sheet.save(tmp_path / f"sheet.{suffix}")) == sheet


@pytest.mark.parametrize("suffix", ["mid", "musicxml", "jams"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sheet=sheets())
def test_round_trip_is_exact(tmp_path: Path, suffix: str, sheet: LeadSheet) -> None:
    assert LeadSheet.load(sheet.save(tmp_path / f"sheet.{suffix}")) == sheet


@pytest.mark.parametrize("suffix", ["Json", "MID", "MusicXML", "XML", "MXL", "JAMS"])
def test_suffixes_in_any_case(tmp_path: Path, suffix: str) -> None:
    path = GAPS.save(tmp_path / f"sheet.{suffix}")
    assert path.is_file()
    assert LeadSheet.load(path) == GAPS


def test_compressed_stands_beside_uncompressed(tmp_path: Path) -> None:
    plain, packed = GAPS.save(tmp_path / "sheet.musicxml"), CUT.save(tmp_path / "sheet.mxl")
    assert zipfile.is_zipfile(packed)
    assert (LeadSheet.load(plain), LeadSheet.load(packed)) == (GAPS, CUT)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sheet=sheets())
def test_scores_open_without_warnings_and_their_bars_add_up(tmp_path: Path, sheet: LeadSheet) -> None:
    path = sheet.save(tmp_path / "sheet.musicxml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bars = list(converter.parse(path, forceSource=True).parts[0].getElementsByClass("Measure"))
    for bar in bars:
        filled = sum(item.quarterLength for item in bar.notesAndRests if "ChordSymbol" not in item.classes)
        assert filled == pytest.approx(float(bar.highestTime))
        assert bar is bars[0] or filled == pytest.approx(bar.barDuration.quarterLength)


def test_midi_has_what_other_programs_read(tmp_path: Path) -> None:
    path = CHANGES.save(tmp_path / "sheet.mid")
    file = pretty_midi.PrettyMIDI(str(path))
    assert [(s.numerator, s.denominator) for s in file.time_signature_changes] == [(4, 4), (6, 8)]
    assert [pretty_midi.key_number_to_key_name(s.key_number) for s in file.key_signature_changes] == [
        "Eb minor",
        "A Major",
    ]
    seconds = [s.time for s in file.time_signature_changes]
    assert seconds == pytest.approx([0, CHANGES.grid.time_at(9) - CHANGES.grid.time_at(0)], abs=1e-4)
    markers = [m.text for track in mido.MidiFile(path).tracks for m in track if m.type == "marker"]
    assert markers == ["[A]", "C:maj", "[refrain ?]", "A:min", "N", "D:maj"]


def _without_field(path: Path) -> Path:
    """The file as a program writes it again that knows nothing of our field."""
    if path.suffix == ".mid":
        file = mido.MidiFile(path)
        for track in file.tracks:
            track[:] = [m for m in track if not (m.type == "text" and m.text.startswith("musetune="))]
        file.save(path)
    else:
        path.write_text(path.read_text().replace('"musetune"', '"other"'))
    return path


@pytest.mark.parametrize("suffix", ["mid", "musicxml", "jams"])
@pytest.mark.parametrize("sheet", [GAPS, CHANGES], ids=["gaps", "changes"])
def test_the_plain_file_sounds_the_same(tmp_path: Path, sheet: LeadSheet, suffix: str) -> None:
    read = LeadSheet.load(_without_field(sheet.save(tmp_path / f"sheet.{suffix}")))
    assert read.length >= sheet.length
    assert (read.key, read.meter, read.first_downbeat) == (sheet.key, sheet.meter, sheet.first_downbeat)
    for beat in np.arange(0.25, float(sheet.length), 0.5):
        assert read.chord_at(beat) == sheet.chord_at(beat)
    assert [n.pitch for n in read.melody] == [n.pitch for n in sheet.melody]
    if suffix != "jams":
        assert (read.meters, read.keys) == (sheet.meters, sheet.keys)


@pytest.mark.parametrize("quality", [q for q in QUALITIES if q != "N"])
def test_plain_musicxml_spells_every_quality(tmp_path: Path, quality: str) -> None:
    chords = [Chord("Eb", quality), Chord("F#", quality, "b3")]
    spans = tuple(ChordSpan(F(4 * i), F(4), chord) for i, chord in enumerate(chords))
    path = replace(LeadSheet.parse("C C"), chords=spans).save(tmp_path / "sheet.musicxml")
    assert "<bass-step>A</bass-step>" in path.read_text()
    assert [s.chord for s in LeadSheet.load(_without_field(path)).chords] == chords


def test_a_root_after_its_sharp_needs_no_natural(tmp_path: Path) -> None:
    path = tmp_path / "sheet.musicxml"
    tune = tuple(Note(Fraction(i), Fraction(1), 65 + i % 2) for i in range(16))
    replace(LeadSheet.parse("D F#m F C/F", key="D", bpm=100, duration_seconds=9.6), melody=tune).save(path)
    text = path.read_text()
    assert text.count("<root-alter>1</root-alter>") == 1
    assert "-alter>0</" not in text


def test_an_edit_in_another_program_counts(tmp_path: Path) -> None:
    score = CUT.save(tmp_path / "sheet.musicxml")
    score.write_text(score.read_text().replace("<kind>minor</kind>", "<kind>major</kind>"))
    assert LeadSheet.load(score).chord_labels == ["C:maj", "G:maj", "A:maj", "F:maj", "C:maj"]

    path = CUT.save(tmp_path / "sheet.mid")
    file = mido.MidiFile(path)
    file.tracks[0] = mido.MidiTrack(m.copy(tempo=500000) if m.type == "set_tempo" else m for m in file.tracks[0])
    file.save(path)
    assert LeadSheet.load(path).bpm == pytest.approx(120)

    path = CUT.save(tmp_path / "sheet.jams")
    data = json.loads(path.read_text())
    data["annotations"][0]["data"][1]["value"] = "E:min"
    path.write_text(json.dumps(data))
    assert LeadSheet.load(path).chord_labels[1] == "E:min"


def test_a_first_bar_that_began_before_beat_0_is_a_pickup(tmp_path: Path) -> None:
    sheet = replace(LeadSheet.parse("C G"), first_downbeat=F(-1))
    for suffix in ("mid", "musicxml", "jams"):
        path = sheet.save(tmp_path / f"sheet.{suffix}")
        assert LeadSheet.load(path) == sheet
        assert LeadSheet.load(_without_field(path)).first_downbeat in (-1, 3)


def test_a_cropped_sheet_is_valid_jams(tmp_path: Path) -> None:
    assert CROPPED.grid.times_s[0] < 0
    beats = jams.load(str(CROPPED.save(tmp_path / "sheet.jams")), validate=False).search(namespace="beat")[0].data
    assert [row.time for row in beats][: len(CROPPED.beats_s)] == pytest.approx(CROPPED.beats_s.tolist())


def test_jams_counts_the_beats_of_every_meter(tmp_path: Path) -> None:
    beats = jams.load(str(CHANGES.save(tmp_path / "sheet.jams")), validate=False).search(namespace="beat")[0].data
    assert [row.value for row in beats] == [4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 1, 2, 1]


BAD = {
    "empty": b"",
    "text": b"not music",
    "list": b"[]",
    "object": b"{}",
    "bytes": bytes(range(256)),
    "xml": b"<?xml version='1.0'?><a/>",
    "head": b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00\x00\x00\x09\x00",
    "zip": b"PK\x03\x04broken",
    "null": b"null",
    "schema": b'{"schema": 1}',
    "fields": json.dumps(CUT.to_json() | {"chords": [["0", "x", 1]]}).encode(),
    "zero": json.dumps(CUT.to_json() | {"length": "1/0"}).encode(),
    "beats": json.dumps(CUT.to_json() | {"beats_s": 3}).encode(),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    what = {"json": "JSON", "mid": "MIDI", "midi": "MIDI", "jams": "JAMS"}.get(suffix, "MusicXML")
    with pytest.raises(ValueError, match=rf"^broken\.{suffix} is not .*{what}.*: \S"):
        LeadSheet.load(path)


@pytest.mark.parametrize("data", [[], None, {}, {"schema": 1}, CUT.to_json() | {"melody": 4}])
def test_json_that_is_no_sheet_is_a_value_error(data) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="lead sheet"):
        LeadSheet.from_json(data)


def test_a_beat_beyond_midi_tempo_is_refused(tmp_path: Path) -> None:
    slow = replace(LeadSheet.parse("C"), grid=BeatGrid((0.0, 1.0, 21.0, 22.0, 23.0)))
    with pytest.raises(ValueError, match=r"beat 1 lasts 20\.0 s.*16\.7"):
        slow.save(tmp_path / "sheet.mid")


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".jams", ".json"])
def test_a_sheet_that_was_heard_from_within_a_bar_is_saved(suffix: str, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | F | G | C |", bpm=240)
    heard = replace(  # as the analyser writes it: the meter is written at the first bar line
        sheet,
        grid=sheet.grid.shift(0.2),
        meters=(replace(sheet.meters[0], start=Fraction(1)),),
        first_downbeat=Fraction(1),
    )
    saved = heard.save(tmp_path / f"heard{suffix}")
    assert LeadSheet.load(saved).downbeats_s == pytest.approx(heard.downbeats_s)
    assert LeadSheet.load(saved).chord_labels == heard.chord_labels
