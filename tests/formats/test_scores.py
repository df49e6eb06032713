"""Scores from MIDI and MusicXML: voices, ties, meters, pick-up, tempo; clear errors."""

from __future__ import annotations

import io
from cProfile import Profile
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import mido
import pytest
from music21 import corpus, meter, note, stream, tie

from musetune.formats.scores import read_score
from musetune.symbols import Key, LeadSheet, Meter
from musetune.symbols.remarks import collected
from musetune.symbols.score import Score


def silent_between(score: Score) -> bool:
    """Whether no voice has two notes at once."""
    return all(a.start + a.beats <= b.start for voice in score.voices for a, b in pairwise(voice))


@pytest.fixture(scope="module")
def chorale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scores") / "chorale.musicxml"
    corpus.parse("bach/bwv269").write("musicxml", fp=str(path))
    return path


def test_a_chorale_has_four_voices_and_a_pickup(chorale: Path) -> None:
    score = read_score(chorale)
    assert len(score.voices) == 4
    assert score.meters[0].meter == Meter(3, 4)
    assert score.first_downbeat == 1
    assert score.signatures[0].key == Key("G")
    assert [voice[0].pitch for voice in score.voices] == [67, 62, 59, 43]
    assert [line[0] for line in score.fifths] == [1, 2, 5, 1]  # G D B G
    assert silent_between(score)
    assert score.downbeats()[:3] == [1, 4, 7]


def bar(number: int, *items: note.GeneralNote) -> stream.Measure:
    out = stream.Measure(number=number)
    for item in items:
        out.append(item)
    return out


def score_of(folder: Path, *bars: stream.Measure) -> Score:
    """The score of one part, by way of MusicXML."""
    path = folder / "score.musicxml"
    stream.Score([stream.Part(bars)]).write("musicxml", fp=str(path))
    return read_score(path)


def test_ties_are_joined_and_grace_notes_dropped(tmp_path: Path) -> None:
    held, goes_on = note.Note("C4", quarterLength=4), note.Note("C4", quarterLength=2)
    held.tie, goes_on.tie = tie.Tie("start"), tie.Tie("stop")
    first = bar(1, note.Note("E4", quarterLength=1).getGrace(), held)
    first.insert(0, meter.TimeSignature("4/4"))
    score = score_of(tmp_path, first, bar(2, goes_on, note.Note("D4", quarterLength=2)))
    assert [(n.start, n.beats, n.pitch) for n in score.voices[0]] == [(0, 6, 60), (6, 2, 62)]


def test_an_irregular_bar_restarts_the_count(tmp_path: Path) -> None:
    bars = [bar(1, note.Note("C4", quarterLength=4)), bar(2, note.Note("C4", quarterLength=3))]
    bars += [bar(3, note.Note("D4", quarterLength=4)), bar(4, note.Note("E4", quarterLength=4))]
    bars[0].insert(0, meter.TimeSignature("4/4"))
    bars[1].paddingRight = 1  # else music21 fills it up
    with collected() as notes:
        score = score_of(tmp_path, *bars)
    assert score.downbeats() == [0, 4, 7, 11]
    assert notes == ["bar 2 lasts 3 of the 4 quarters of 4/4; it is read as it stands"]


def test_midi_keeps_tempo_meter_percussion_and_overlapping_notes(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    keys, drums = mido.MidiTrack(), mido.MidiTrack()
    keys += [
        mido.MetaMessage("track_name", name="Piano"),
        mido.MetaMessage("time_signature", numerator=6, denominator=8),
        mido.MetaMessage("set_tempo", tempo=400_000),
        mido.Message("note_on", note=60, velocity=80),
        mido.Message("note_on", note=64, velocity=80),
        mido.Message("note_off", note=64, time=720),
        mido.Message("note_on", note=65, velocity=80),
        mido.Message("note_off", note=65, time=720),
        mido.Message("note_off", note=60),
    ]
    drums += [
        mido.Message("note_on", note=38, channel=9, velocity=90),
        mido.Message("note_off", note=38, channel=9, time=240),
    ]
    file.tracks += [keys, drums]
    file.save(tmp_path / "a.mid")
    score = read_score(tmp_path / "a.mid")
    assert score.meters[0].meter == Meter(6, 8)
    assert [[(n.start, n.beats, n.pitch) for n in voice] for voice in score.voices] == [
        [(0, 1, 64), (1, 1, 65)],
        [(0, 2, 60)],
    ]
    assert score.names == ("Piano", "Piano")
    assert [(n.pitch, n.beats) for n in score.percussion] == [(38, Fraction(1, 3))]
    assert score.grid.bpm == pytest.approx(100)
    assert score.fifths == ()


def test_a_lead_sheet_saved_as_midi_keeps_its_pickup(tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | F | G7 | C |", key="C major", bpm=96)
    score = read_score(sheet.save(tmp_path / "b.mid"))
    assert score.length == sheet.length
    assert score.first_downbeat == sheet.first_downbeat
    assert score.grid.bpm == pytest.approx(96, abs=0.01)


@pytest.mark.parametrize("name", ["x.mid", "x.musicxml", "x.mxl", "x.xml"])
@pytest.mark.parametrize(
    "content", [b"", b"RIFF garbage", b"MThd\0\0\0\6\0\1\0\0\1\xe0", b"<score-partwise/>", b"PK\3\4 broken"]
)
def test_garbage_is_a_value_error_that_names_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        read_score(tmp_path / name)


def test_another_suffix_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.wav"):
        read_score(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match="none"):
        read_score(tmp_path / "none.mid")


def midi_of(division: int, *messages: mido.Message | mido.MetaMessage) -> bytes:
    file, out = mido.MidiFile(), io.BytesIO()
    file.tracks.append(mido.MidiTrack(messages))
    file.save(file=out)
    return out.getvalue()[:12] + division.to_bytes(2, "big") + out.getvalue()[14:]


def triad(ticks: int, *, ends: bool = True) -> list[mido.Message | mido.MetaMessage]:
    """C, E and G for ``ticks``; without note-offs the track's end alone says how long."""
    begin = [mido.Message("note_on", note=pitch, velocity=80) for pitch in (60, 64, 67)]
    stops = [mido.Message("note_off", note=pitch, time=0 if i else ticks) for i, pitch in enumerate((60, 64, 67))]
    return begin + (stops if ends else [mido.MetaMessage("end_of_track", time=ticks)])


@pytest.mark.parametrize(("ticks", "quarters"), [(960, 2), (480 * 16, 4)])
def test_notes_without_an_end_sound_for_a_while(tmp_path: Path, ticks: int, quarters: int) -> None:
    (tmp_path / "a.mid").write_bytes(midi_of(480, *triad(ticks, ends=False)))
    with collected() as said:
        score = read_score(tmp_path / "a.mid")
    assert sorted((n.pitch, n.beats) for voice in score.voices for n in voice) == [(p, quarters) for p in (60, 64, 67)]
    assert said == ["3 notes of 'a track' have no end; they sound 4 quarters at most"]


@pytest.mark.parametrize(("frames", "ticks"), [(24, 4), (25, 40), (29, 80), (30, 1)])
def test_frames_of_film_are_read_in_seconds(tmp_path: Path, frames: int, ticks: int) -> None:
    tempo = mido.MetaMessage("set_tempo", tempo=2_000_000)  # says nothing where frames count
    (tmp_path / "a.mid").write_bytes(midi_of((256 - frames) << 8 | ticks, tempo, *triad(frames * ticks * 4)))
    with collected() as said:
        score = read_score(tmp_path / "a.mid")
    assert score.grid.times_s[-1] == pytest.approx(4 * (1001 / 1000 if frames == 29 else 1), abs=0.02)
    assert f"frames of film ({frames} a second)" in said[0]


@pytest.mark.parametrize(
    ("division", "words"), [(0xE600, "frames are 24, 25, 29 or 30"), (0xE700, "0 ticks"), (0, "0 ticks")]
)
def test_what_counts_nothing_is_refused(tmp_path: Path, division: int, words: str) -> None:
    (tmp_path / "a.mid").write_bytes(midi_of(division, *triad(4)))
    with pytest.raises(ValueError, match=words):
        read_score(tmp_path / "a.mid")


def test_repeats_are_played_out_or_stand_once() -> None:
    path = corpus.getWork("bach/bwv269")
    with collected():
        played, once = read_score(path), read_score(path, repeats=False)
    assert played.length > once.length
    assert [n.pitch for n in once.voices[0]][:8] == [n.pitch for n in played.voices[0]][:8]


def test_the_work_for_a_score_grows_with_its_bars_not_with_their_square(tmp_path: Path) -> None:
    def calls(bars: int) -> int:
        sheet = LeadSheet.parse("| C | N.C. |" * (bars // 2), bpm=240)
        profile = Profile()
        profile.runcall(sheet.save, tmp_path / "sheet.musicxml")
        return sum(entry.callcount for entry in profile.getstats())

    calls(4)  # what is imported and made once
    assert calls(400) < 2.2 * calls(200)
