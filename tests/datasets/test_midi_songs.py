"""MIDI files of others as songs with truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musetune.datasets.midi_songs import load_midi_song, split_midi
from musetune.datasets.song_split import for_tests


def write_midi(path: Path, meter: tuple[int, int] = (4, 4), bars: int = 24, late_s: float = 0.0) -> Path:
    """Piano and drums at 120 beats a minute, a bar of C and one of A minor in turn, the eighth bar without piano;
    every other bar is late."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    midi.time_signature_changes = [pretty_midi.TimeSignature(*meter, 0)]
    bar = meter[0] * 2.0 / meter[1]
    piano, drums = pretty_midi.Instrument(0), pretty_midi.Instrument(0, is_drum=True)
    for number in range(bars):
        at = number * bar + late_s * (number % 2)
        if number != 7:
            chord = (48, 60, 64, 67) if number % 2 == 0 else (45, 60, 64, 69)
            piano.notes += [pretty_midi.Note(80, pitch, at, at + bar - 0.05) for pitch in chord]
        drums.notes.append(pretty_midi.Note(100, 36, at, at + 0.1))
    midi.instruments += [piano, drums]
    midi.write(str(path))
    return path


def test_beats_bars_and_chords_of_a_file(tmp_path: Path) -> None:
    song, certainty = load_midi_song(write_midi(tmp_path / "a.mid"), 0.0, 20.0)
    assert song.meter == "4/4"
    assert song.duration_s == pytest.approx(20.0)
    np.testing.assert_allclose(song.beats_s, np.arange(40) / 2, atol=1e-3)
    np.testing.assert_allclose(song.downbeats_s, np.arange(0, 20, 2), atol=1e-3)
    assert song.labels[:3] == ["C:maj", "A:min", "C:maj"]
    at = int(np.searchsorted(song.intervals_s[:, 0], 15.0, side="right")) - 1
    assert song.labels[at] == "N"
    assert song.key == "none"
    assert certainty > 0.9


def test_a_later_stretch_begins_at_a_bar_line(tmp_path: Path) -> None:
    song, _ = load_midi_song(write_midi(tmp_path / "a.mid"), 5.0, 16.0)
    assert song.labels[0] == "A:min"  # the bar from 6 s on
    assert song.downbeats_s[0] == 0
    starts = [note.start for part in song.midi.instruments for note in part.notes]
    assert min(starts) == pytest.approx(0, abs=1e-3)
    assert max(note.end for part in song.midi.instruments for note in part.notes) <= song.duration_s + 1e-6
    assert song.intervals_s[0, 0] == 0
    assert song.intervals_s[-1, 1] == pytest.approx(song.duration_s)


@pytest.mark.parametrize("meter", [(3, 4), (6, 8), (5, 4)])
def test_other_meters(tmp_path: Path, meter: tuple[int, int]) -> None:
    song, _ = load_midi_song(write_midi(tmp_path / "a.mid", meter), 0.0, 18.0)
    assert song.meter == f"{meter[0]}/{meter[1]}"
    assert np.median(np.diff(song.downbeats_s)) == pytest.approx(song.beats_per_bar * 60 / song.bpm, rel=1e-3)
    assert song.labels[:2] == ["C:maj", "A:min"]


def test_what_cannot_be_believed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"off its grid"):
        load_midi_song(write_midi(tmp_path / "a.mid", late_s=0.06))
    with pytest.raises(ValueError, match=r"is in 9/8"):
        load_midi_song(write_midi(tmp_path / "b.mid", (9, 8)))
    with pytest.raises(ValueError, match=r"a song has more"):
        load_midi_song(write_midi(tmp_path / "c.mid", bars=1))


def test_unsure_chords_are_x(tmp_path: Path) -> None:
    path = write_midi(tmp_path / "a.mid")
    midi = pretty_midi.PrettyMIDI(str(path))
    midi.instruments[0].notes += [pretty_midi.Note(80, pitch, 4.0, 5.99) for pitch in range(48, 60)]
    midi.write(str(path))
    song, certainty = load_midi_song(path, 0.0, 12.0)
    at = int(np.searchsorted(song.intervals_s[:, 0], 5.0, side="right")) - 1
    assert song.labels[at] == "X"
    assert certainty < 0.95


def test_every_file_is_for_training_or_held_out(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.mid").write_bytes(b"")
    train, held = split_midi(tmp_path, held_out=False), split_midi(tmp_path, held_out=True)
    assert len(train) + len(held) == 40
    assert not set(train) & set(held)
    assert len(held) > 0
    assert all(for_tests(path.name, "midi") for path in held)
