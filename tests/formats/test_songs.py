"""A lead sheet with its stems as files: times, bars and tuplets add up, nothing is lost, and other programs read it."""

from __future__ import annotations

import random
import warnings
import xml.etree.ElementTree as ET
import zipfile
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import jams
import mido
import numpy as np
import pretty_midi
import pytest
from music21 import converter, stream

from musetune.formats.songs import in_order, load_arrangement, save_parts, save_song, with_lead
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Section
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

F = Fraction
METERS = ["4/4", "3/4", "6/8", "2/2", "7/8"]
RANGES = {"bass": (28, 50), "guitar": (40, 76), "keys": (40, 84), "lead": (60, 84)}
SHAPES = [
    (0, 1),
    (0, F(1, 2), F(3, 4)),
    (F(1, 2),),
    (0, F(1, 3), F(2, 3)),
    (F(1, 6), F(1, 3)),
    (0, F(1, 4)),
]  # onsets in a beat
COMPOUND = [(0, F(2, 3)), (0, F(1, 3), F(2, 3)), (F(1, 6), F(1, 2)), (F(1, 3),)]


def song(meter: str, seed: int = 0, pickup: int = 1, rubato: bool = True) -> tuple[LeadSheet, Arrangement]:
    """Four bars after a pickup: two sections, a change of key, notes that overlap and that are held over bar lines."""
    rng, meter = random.Random(f"{meter} {seed}"), Meter.parse(meter)
    bar = meter.beats_per_bar
    length = F(pickup + 4 * bar)
    steps = [rng.uniform(0.4, 0.7) if rubato else 0.5 for _ in range(int(length))]
    places = [F(0), *(F(pickup + n * bar) for n in range(1, 4))]
    names = ["C", "Eb:maj7", "N", "G7/B"]
    chords = [ChordSpan(a, b - a, Chord.parse(name)) for a, b, name in zip(places, [*places[1:], length], names)]
    sheet = LeadSheet(
        chords=tuple(chords),
        keys=(KeySpan(F(0), Key("C")), KeySpan(places[3], Key("Db"))),
        meters=(MeterSpan(F(0), meter),),
        grid=BeatGrid((0.0, *np.cumsum(steps).tolist())),
        length=length,
        genre="pop",
        first_downbeat=F(pickup),
        sections=(Section(F(0), places[2], "A"), Section(places[2], length - places[2], "chorus")),
    )
    programs = {"lead": 73, "bass": 33, "guitar": 27, "keys": 4}
    stems = {n: Stem(p, tuple(notes(rng, meter, length, n)), source="model") for n, p in programs.items()}
    beaten = [
        StemNote(float(b + k), 0.1, p, 100)
        for b in range(int(length))
        for k, p in [(0, 36), (0, 42), (F(1, 2), 42), (F(1, 2), 61)]
    ]
    return sheet, Arrangement(sheet.grid, {**stems, "drums": Stem(0, tuple(beaten), is_drum=True)})


def notes(rng: random.Random, meter: Meter, length: F, name: str) -> list[StemNote]:
    """One to three notes an onset, each as long as it likes, on the grid of a beat; no pitch while it sounds."""
    out: list[StemNote] = []
    until: dict[int, F] = {}
    shapes = COMPOUND if meter.compound else SHAPES
    for beat in range(int(length)):
        for onset in rng.choice(shapes)[: None if meter.denominator < 8 or meter.compound else 1]:
            start = beat + F(onset)
            for _ in range(rng.choice((1, 1, 3)) if name in ("keys", "guitar") else 1):
                pitch, beats = rng.randint(*RANGES[name]), F(rng.choice((1, 2, meter.beats_per_bar + 1)))
                end = min(start + beats - start % 1, length)  # ends on a beat, where every grid is
                if end > start and until.get(pitch, F(0)) <= start:
                    out.append(StemNote(float(start), float(end - start), pitch, rng.randint(60, 110)))
                    until[pitch] = end
    return out


def opened(path: Path) -> stream.Score:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return converter.parse(path, forceSource=True)


def heads(part: stream.Part) -> dict[tuple[F, int], F]:
    """(onset in quarters, MIDI pitch) → length, ties joined."""
    found: dict[tuple[F, int], F] = {}
    held: dict[int, tuple[F, int]] = {}
    for item in part.recurse().notes:
        if "Harmony" in item.classes:
            continue
        at = F(item.getOffsetInHierarchy(part)).limit_denominator(96)
        for note in getattr(item, "notes", [item]):
            pitch = note.pitch.midi
            place = held.pop(pitch, None) if note.tie and note.tie.type != "start" else (at, pitch)
            assert place is not None, f"a tie from nowhere to {pitch} at {at}"
            found[place] = found.get(place, F(0)) + F(item.quarterLength).limit_denominator(96)
            if note.tie and note.tie.type != "stop":
                assert place[0] + found[place] == at + F(item.quarterLength).limit_denominator(96)
                held[pitch] = place
    assert not held, f"ties to nowhere: {held}"
    return found


def hits(path: Path) -> set[tuple[F, int]]:
    """(onset in quarters, General MIDI number) of the percussion part, which music21 reads without its instruments."""
    root = ET.parse(path).getroot()
    numbers = {m.get("id"): int(m.findtext("midi-unpitched", "0")) - 1 for m in root.iter("midi-instrument")}
    part = next(part for part in root.iter("part") if part.find(".//unpitched") is not None)
    found: set[tuple[F, int]] = set()
    at = onset = F(0)
    for note in part.iter("note"):
        if note.find("chord") is None:
            onset, at = at, at + F(int(note.findtext("duration", "")), 10080)
        if note.find("unpitched") is not None:
            found.add((onset, numbers[note.find("instrument").get("id")]))  # type: ignore[union-attr]
    return found


def asked(stem: Stem, sheet: LeadSheet) -> dict[tuple[F, int], F]:
    quarter = sheet.meter.beat_quarters
    exact = lambda x: F(x).limit_denominator(96)  # noqa: E731
    return {(exact(n.start) * quarter, n.pitch): exact(n.beats) * quarter for n in stem.notes}


@pytest.fixture(scope="module", params=METERS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    sheet, arrangement = song(request.param)
    path = save_song(sheet, arrangement, tmp_path_factory.mktemp("song") / "song.musicxml", title="A song")
    return sheet, arrangement, path, opened(path)


def test_every_part_has_the_same_bars_and_they_add_up(written) -> None:  # type: ignore[no-untyped-def]
    sheet, _, _, score = written
    full = sheet.meter.beats_per_bar * sheet.meter.beat_quarters
    names = [part.partName for part in score.parts]
    assert names == ["Lead sheet", "Drums", "Bass", "Guitar", "Keys", "Keys", "Lead"]
    for part in score.parts:
        bars = list(part.getElementsByClass("Measure"))
        filled = [
            sum(F(i.quarterLength).limit_denominator(96) for i in bar.notesAndRests if "Harmony" not in i.classes)
            for bar in bars
        ]
        assert filled == [sheet.meter.beat_quarters, *[full] * 4]
        assert [bar.number for bar in bars] == list(range(5))


def test_nothing_is_lost_in_notation(written) -> None:  # type: ignore[no-untyped-def]
    sheet, arrangement, path, score = written
    parts = {part.partName: heads(part) for part in score.parts if part.partName not in ("Keys", "Drums")}
    upper, lower = (heads(part) for part in score.parts if part.partName == "Keys")
    assert min(pitch for _, pitch in upper) >= 60 > max(pitch for _, pitch in lower)
    assert {**upper, **lower} == asked(arrangement.stems["keys"], sheet)
    for name in ("bass", "guitar", "lead"):
        assert parts[name.capitalize()] == asked(arrangement.stems[name], sheet), name
    assert hits(path) == set(asked(arrangement.stems["drums"], sheet))
    assert {at for at, _ in parts["Lead sheet"]} == {at for at, _ in parts["Lead"]}


def test_tuplets_are_whole_and_values_exist(written) -> None:  # type: ignore[no-untyped-def]
    """Every symbol's length is what its type, dots and tuplet say.

    Brackets open and close in one bar around whole beats.
    """
    sheet, _, path, _ = written
    types = {
        "breve": 8,
        "whole": 4,
        "half": 2,
        "quarter": 1,
        "eighth": F(1, 2),
        "16th": F(1, 4),
        "32nd": F(1, 8),
        "64th": F(1, 16),
    }
    brackets = 0
    for measure in ET.parse(path).iter("measure"):
        sums: dict[str, F] = {}
        for note in measure.iter("note"):
            length = F(int(note.findtext("duration", "0")), 10080)
            kind, ratio = note.findtext("type"), note.find("time-modification")
            if kind is None:
                assert note.find("rest").get("measure") == "yes"  # type: ignore[union-attr]
                continue
            said = types[kind] * (2 - F(1, 2 ** len(note.findall("dot"))))
            if ratio is not None:
                said *= F(int(ratio.findtext("normal-notes", "")), int(ratio.findtext("actual-notes", "")))
            assert said == length
            if note.find("chord") is not None:
                continue
            staff, marks = note.findtext("staff", "1"), [t.get("type") for t in note.iter("tuplet")]
            if "start" in marks:
                assert staff not in sums
                sums[staff] = F(0)
            assert (staff in sums) == (ratio is not None)
            if ratio is not None:
                sums[staff] += length
            if "stop" in marks:
                assert sums.pop(staff) == min(sheet.meter.beat_quarters, 1)
                brackets += 1
        assert not sums
    assert brackets > 0 or sheet.meter.compound or sheet.meter.denominator == 8


def test_clefs_chords_sections_and_signatures(written) -> None:  # type: ignore[no-untyped-def]
    sheet, _, _, score = written
    clefs = {part.partName: part.recurse().getElementsByClass("Clef")[0].name for part in score.parts}
    assert (clefs["Bass"], clefs["Drums"], clefs["Guitar"]) == ("bass8vb", "percussion", "treble8vb")
    first = score.parts[0]
    assert [mark.content for mark in first.recurse().getElementsByClass("RehearsalMark")] == ["A", "chorus"]
    assert len(first.recurse().getElementsByClass("Harmony")) == len(sheet.chords)
    mark = first.recurse().getElementsByClass("MetronomeMark")[0]
    assert (mark.number, mark.referent.quarterLength) == (pytest.approx(sheet.bpm, abs=0.01), sheet.meter.beat_quarters)
    for part in score.parts:
        assert [str(m.ratioString) for m in part.recurse().getElementsByClass("TimeSignature")] == [str(sheet.meter)]
        keys = [k.sharps for k in part.recurse().getElementsByClass("KeySignature")]
        assert keys == ([] if part.partName == "Drums" else [0, -5])
    assert score.metadata.bestTitle == "A song"


@pytest.mark.parametrize("suffix", ["mid", "musicxml", "mxl", "jams"])
def test_the_sheet_comes_back_with_the_lead_as_its_melody(tmp_path: Path, suffix: str) -> None:
    sheet, arrangement = song("4/4")
    path = save_song(sheet, arrangement, tmp_path / f"song.{suffix}")
    found = LeadSheet.load(path)
    assert found == with_lead(sheet, arrangement)
    assert len(found.melody) == len(arrangement.stems["lead"].notes)
    assert zipfile.is_zipfile(path) == (suffix == "mxl")


@pytest.mark.parametrize("suffix", ["mid", "json"])
@pytest.mark.parametrize("meter", METERS)
def test_stems_come_back_exactly(tmp_path: Path, meter: str, suffix: str) -> None:
    sheet, arrangement = song(meter)
    loose = StemNote(0.123456789, 1 / 7, 61, 44)  # no tick, and on a pitch that may sound already
    arrangement.stems["keys"] = replace(
        arrangement.stems["keys"], notes=(*arrangement.stems["keys"].notes, loose), source="rule"
    )
    path = save_song(sheet, arrangement, tmp_path / f"song.{suffix}")
    assert LeadSheet.load(path) == (sheet if suffix == "json" else with_lead(sheet, arrangement))
    found = load_arrangement(path)
    assert found == replace(arrangement, stems=in_order(arrangement.stems))
    assert list(found.stems) == ["drums", "bass", "guitar", "keys", "lead"]


@pytest.mark.parametrize("meter", ["4/4", "6/8", "2/2"])
def test_other_programs_read_the_midi_at_the_right_times(tmp_path: Path, meter: str) -> None:
    sheet, arrangement = song(meter)
    path = save_song(sheet, arrangement, tmp_path / "song.mid")
    file = pretty_midi.PrettyMIDI(str(path))
    assert [i.name for i in file.instruments] == ["drums", "bass", "guitar", "keys", "lead"]
    assert [i.is_drum for i in file.instruments] == [True, False, False, False, False]
    assert [i.program for i in file.instruments[1:]] == [33, 27, 4, 73]
    for instrument in file.instruments:
        stem = arrangement.stems[instrument.name]
        expected = sorted((float(sheet.grid.time_at(n.start)), n.pitch, n.velocity) for n in stem.notes)
        got = sorted((n.start, n.pitch, n.velocity) for n in instrument.notes)
        assert np.allclose([t for t, *_ in got], [t for t, *_ in expected], atol=2e-3)
        assert sorted(n[1:] for n in got) == sorted(n[1:] for n in expected)
    channels = {t.name: {m.channel for m in t if not m.is_meta} for t in mido.MidiFile(path).tracks[1:]}
    assert channels == {"drums": {9}, "bass": {0}, "guitar": {1}, "keys": {2}, "lead": {3}}
    assert [(t.numerator, t.denominator) for t in file.time_signature_changes] == [tuple(map(int, meter.split("/")))]
    texts = [m.text for m in mido.MidiFile(path).tracks[0] if m.type == "marker"]
    assert [t for t in texts if t.startswith("[")] == ["[A]", "[chorus]"]
    assert [t for t in texts if not t.startswith("[")] == [span.chord.harte for span in sheet.chords]


def test_an_edited_file_says_what_it_says_now(tmp_path: Path) -> None:
    sheet, arrangement = song("4/4")
    path = save_song(sheet, arrangement, tmp_path / "song.mid")
    file = mido.MidiFile(path)
    bass = next(track for track in file.tracks if track.name == "bass")
    bass[:] = [m.copy(note=m.note + 12) if m.type.startswith("note") else m for m in bass]
    file.save(path)
    found = load_arrangement(path)
    moved, before = (
        sorted((n.start, n.pitch) for n in stems["bass"].notes) for stems in (found.stems, arrangement.stems)
    )
    assert [pitch - 12 for _, pitch in moved] == [pitch for _, pitch in before]
    assert {stem.source for stem in found.stems.values()} == {"given"}
    starts = [[n.start for n in stems["lead"].notes] for stems in (found.stems, arrangement.stems)]
    assert starts[0] == pytest.approx(starts[1], abs=1e-3)
    assert [s.label for s in LeadSheet.load(path).sections] == ["A", "chorus"]


def plain(*tracks: tuple[str, int, int, list[tuple[int, int, int]]], path: Path) -> Path:
    """A MIDI file of (name, channel, program, notes (start, stop, pitch) in ticks of 240 a quarter)."""
    file = mido.MidiFile(ticks_per_beat=240)
    file.tracks.append(
        mido.MidiTrack(
            [
                mido.MetaMessage("time_signature", numerator=6, denominator=8),
                mido.MetaMessage("set_tempo", tempo=400000),
            ]
        )
    )
    for name, channel, program, sounds in tracks:
        events = [(a, mido.Message("note_on", note=p, channel=channel)) for a, _, p in sounds]
        events += [(b, mido.Message("note_off", note=p, channel=channel)) for _, b, p in sounds]
        track, now = (
            mido.MidiTrack(
                [
                    mido.MetaMessage("track_name", name=name),
                    mido.Message("program_change", program=program, channel=channel),
                ]
            ),
            0,
        )
        for tick, message in sorted(events, key=lambda e: e[0]):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(path)
    return path


def test_tracks_of_others_are_told_by_channel_name_and_program(tmp_path: Path) -> None:
    note = [(360, 720, 50)]
    tracks = [("Kit 1", 9, 0, note), ("E-Bass (DI)", 0, 0, note), ("Lead Vocal", 1, 52, note)]
    tracks += [("BRIDGE", 2, 24, [(0, 90, 64)]), ("track", 3, 1, note), ("Strings", 4, 48, note)]
    found = load_arrangement(plain(*tracks, path=tmp_path / "other.mid"))
    assert list(found.stems) == ["drums", "bass", "guitar", "keys", "lead"]
    assert found.stems["bass"] == Stem(
        0, (StemNote(1.0, 1.0, 50, 64),), source="given"
    )  # beats of 6/8: dotted quarters
    assert found.stems["guitar"].notes == (StemNote(0.0, 0.25, 64, 64),)
    assert (len(found.stems["keys"].notes), found.stems["keys"].program) == (2, 1)
    assert found.grid.bpm == pytest.approx(100)


def test_what_is_no_stem_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"odd\.mid is not a standard MIDI file.*track 'Thunder' with program 122 is none of drums, bass.*name "
        r"the track",
    ):
        load_arrangement(plain(("Thunder", 0, 122, [(0, 9, 50)]), path=tmp_path / "odd.mid"))
    with pytest.raises(ValueError, match="it has no notes"):
        load_arrangement(plain(("bass", 0, 33, []), path=tmp_path / "empty.mid"))
    with pytest.raises(ValueError, match=r"stems are read from .json, .mid, .midi, not from '\.xml'"):
        load_arrangement(tmp_path / "song.xml")
    with pytest.raises(FileNotFoundError, match="no such file of stems"):
        load_arrangement(tmp_path / "none.mid")
    with pytest.raises(ValueError, match="it has no stems"):
        load_arrangement(song("4/4")[0].save(tmp_path / "sheet.json"))
    (tmp_path / "bad.mid").write_bytes(b"not music")
    with pytest.raises(ValueError, match=r"bad\.mid is not a standard MIDI file that gives stems: \S"):
        load_arrangement(tmp_path / "bad.mid")


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        (Stem(128, ()), r"stem 'keys': program=128 is not a General MIDI program 0–127"),
        (Stem(0, (StemNote(2.0, 0.0, 60),)), r"stem 'keys', note at beat 2.0 lasts beats=0.0"),
        (Stem(0, (StemNote(0.0, 1.0, 128),)), "pitch=128 is not a whole number 0–127"),
        (Stem(0, (StemNote(0.0, 1.0, 60, 0),)), "velocity=0 is not a whole number 1–127"),
    ],
)
def test_notes_out_of_range_are_named(tmp_path: Path, stem: Stem, message: str) -> None:
    sheet, arrangement = song("4/4")
    with pytest.raises(ValueError, match=message):
        save_song(sheet, Arrangement(arrangement.grid, {"keys": stem}), tmp_path / "song.mid")
    with pytest.raises(ValueError, match=r"song\.wav: suffix '\.wav' is not one of"):
        save_song(sheet, arrangement, tmp_path / "song.wav")


def test_jams_validates_and_has_notes_a_stem(tmp_path: Path) -> None:
    sheet, arrangement = song("3/4")
    data = jams.load(str(save_song(sheet, arrangement, tmp_path / "song.jams")), validate=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jams calls jsonschema the old way
        assert data.validate(strict=True)
    found = {a.sandbox.stem: a for a in data.search(namespace="note_midi")}
    assert set(found) == set(arrangement.stems)
    for name, stem in arrangement.stems.items():
        expected = sorted((float(sheet.grid.time_at(n.start)), float(n.pitch)) for n in stem.notes)
        got = sorted((row.time, float(row.value)) for row in found[name].data)
        assert np.allclose(got, expected, atol=1e-3), name
        assert (found[name].sandbox.program, found[name].sandbox.source) == (stem.program, stem.source)
        assert len(found[name].sandbox.velocities) == len(stem.notes)
    for namespace, count in (("chord", len(sheet.chords)), ("key_mode", 2), ("segment_open", 2)):
        assert len(data.search(namespace=namespace)[0].data) == count
    assert len(data.search(namespace="beat")[0].data) == sheet.length + 1


def test_notation_takes_what_was_played_freely(tmp_path: Path) -> None:
    """Notes off every grid, before beat 0 and past the end.

    Bars still add up, and each note is within a sixteenth of a quarter's step.
    """
    rng = random.Random(3)
    sheet, _ = song("4/4", pickup=0, rubato=False)
    played = tuple(StemNote(rng.uniform(-0.3, 15.9), rng.uniform(0.02, 6), rng.randint(40, 80), 80) for _ in range(60))
    free = Arrangement(sheet.grid, {"guitar": Stem(27, played), "keys": Stem(0, played)})
    score = opened(save_song(sheet, free, tmp_path / "song.musicxml"))
    for part in score.parts:
        bars = [bar.duration.quarterLength for bar in part.getElementsByClass("Measure")]
        assert bars == [4.0] * 4
    starts = np.array([max(n.start, 0) for n in played])
    for at, pitch in heads(score.parts[1]):
        near = [abs(float(at) - s) for s, n in zip(starts, played) if n.pitch == pitch]
        assert min(near) <= 1 / 8 + 1e-6
    assert load_arrangement(save_song(sheet, free, tmp_path / "song.mid")) == free


def test_a_file_a_player(tmp_path: Path) -> None:
    sheet, arrangement = song("6/8")
    files = save_parts(sheet, arrangement, tmp_path / "new" / "parts", title="Mine")
    assert list(files) == ["lead sheet", "drums", "bass", "guitar", "keys", "lead"]
    staves: dict[str, int] = defaultdict(int)
    for name, path in files.items():
        score = opened(path)
        staves[name] = len(score.parts)
        assert {len(part.getElementsByClass("Measure")) for part in score.parts} == {5}
        assert score.metadata.bestTitle == ("Mine" if name == "lead sheet" else f"Mine: {name}")
    assert staves == {"lead sheet": 1, "drums": 1, "bass": 1, "guitar": 1, "keys": 2, "lead": 1}
