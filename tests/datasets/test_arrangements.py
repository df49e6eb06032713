"""Arrangements change the players and the truth together."""

from __future__ import annotations

from collections.abc import Callable

import mir_eval
import numpy as np
import pretty_midi
import pytest

from musetune.datasets.arrangements import (
    late_drums,
    pedal_bass,
    rearrange,
    without_chords,
    without_drums,
    without_thirds,
)
from musetune.datasets.corpus import AnnotatedSong

LOOP = ("C:maj", "A:min", "F:maj/3", "G:maj")


def song(bars: int = 16) -> AnnotatedSong:
    """Two-second bars of the loop by piano and bass, with drums on each beat."""
    piano, bass = pretty_midi.Instrument(0, name="PIANO"), pretty_midi.Instrument(33, name="BASS")
    drums = pretty_midi.Instrument(0, is_drum=True, name="DRUMS")
    labels = [LOOP[bar % 4] for bar in range(bars)]
    for bar, label in enumerate(labels):
        root, shape, low = mir_eval.chord.encode(label)
        for step in np.flatnonzero(shape):
            piano.notes.append(pretty_midi.Note(80, 60 + (root + int(step)) % 12, 2.0 * bar, 2.0 * bar + 1.9))
        bass.notes.append(pretty_midi.Note(80, 36 + (root + low) % 12, 2.0 * bar, 2.0 * bar + 1.9))
        drums.notes += [pretty_midi.Note(90, 36, 2.0 * bar + at, 2.0 * bar + at + 0.1) for at in (0, 0.5, 1, 1.5)]
    midi = pretty_midi.PrettyMIDI()
    midi.instruments += [piano, bass, drums]
    starts = 2.0 * np.arange(bars)
    beats = np.arange(4 * bars) / 2
    return AnnotatedSong("s", midi, np.stack([starts, starts + 2], 1), labels, beats, beats[::4], "C:maj", 2.0 * bars)


def snapshot(of: AnnotatedSong) -> list:
    return [[(n.pitch, n.start, n.end) for n in part.notes] for part in of.midi.instruments] + [of.labels]


def sounding(of: AnnotatedSong, start: float, end: float) -> list[int]:
    parts = [part for part in of.midi.instruments if not part.is_drum]
    return [note.pitch for part in parts for note in part.notes if note.start < end and note.end > start]


CHANGES: list[Callable[[AnnotatedSong, np.random.Generator], AnnotatedSong]] = [
    late_drums, pedal_bass, without_thirds, without_chords, rearrange, lambda of, rng: without_drums(of)
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(4))
def test_the_original_stays_and_the_truth_covers_the_same_time(change: Callable, seed: int) -> None:
    before = song()
    kept = snapshot(before)
    one, same = (change(before, np.random.default_rng(seed)) for _ in range(2))
    assert snapshot(before) == kept
    assert snapshot(one) == snapshot(same)
    assert len(one.labels) == len(one.intervals_s)
    assert one.intervals_s[0, 0] == 0
    assert one.intervals_s[-1, 1] == before.duration_s
    np.testing.assert_allclose(one.intervals_s[1:, 0], one.intervals_s[:-1, 1])
    np.testing.assert_array_equal(one.beats_s, before.beats_s)
    mir_eval.chord.encode_many(one.labels)


def test_drums_go_or_come_late() -> None:
    assert not any(part.is_drum for part in without_drums(song()).midi.instruments)
    late = late_drums(song(), np.random.default_rng(1))
    [drums] = [part for part in late.midi.instruments if part.is_drum]
    first = drums.notes[0].start
    assert first in song().downbeats_s
    assert 0 < first < 16


def test_drums_alone_keep_their_drums() -> None:
    alone = song()
    alone.midi.instruments = [part for part in alone.midi.instruments if part.is_drum]
    assert without_drums(alone) is alone
    assert late_drums(alone, np.random.default_rng(0)) is alone


@pytest.mark.parametrize("seed", range(8))
def test_the_lowest_note_of_a_pedal_is_what_the_labels_say(seed: int) -> None:
    after = pedal_bass(song(), np.random.default_rng(seed))
    changed = 0
    for (start, end), label in zip(after.intervals_s, after.labels):
        root, _, bass = mir_eval.chord.encode(label)
        assert min(sounding(after, start + 0.1, end - 0.2)) % 12 == (root + bass) % 12
        changed += label not in LOOP
    assert changed
    assert [label.split("/")[0] for label in after.labels] == [label.split("/")[0] for label in song().labels]


@pytest.mark.parametrize("seed", range(8))
def test_a_riff_loses_thirds_but_its_chord_is_told_elsewhere(seed: int) -> None:
    after = without_thirds(song(), np.random.default_rng(seed))
    assert after.labels == song().labels
    with_third: dict[str, list[bool]] = {}
    for (start, end), label in zip(after.intervals_s, after.labels):
        root, shape, _ = mir_eval.chord.encode(label)
        third = (root + (3 if shape[3] else 4)) % 12
        pitches = {pitch % 12 for pitch in sounding(after, start + 0.1, end - 0.2)}
        assert {root, (root + 7) % 12} <= pitches
        with_third.setdefault(label, []).append(third in pitches)
    for places in with_third.values():
        assert places[0]
        assert all(places) or places == [True, False] * (len(places) // 2)


def test_some_riffs_lose_thirds() -> None:
    lost = [snapshot(without_thirds(song(), np.random.default_rng(seed))) != snapshot(song()) for seed in range(8)]
    assert sum(lost) >= 4


@pytest.mark.parametrize("seed", range(8))
def test_no_chord_is_no_pitch(seed: int) -> None:
    after = without_chords(song(), np.random.default_rng(seed))
    silent = [(a, b) for (a, b), label in zip(after.intervals_s, after.labels) if label == "N"]
    assert silent
    assert 2 <= sum(b - a for a, b in silent) <= 8
    for (start, end), label in zip(after.intervals_s, after.labels):
        assert bool(sounding(after, start + 0.05, end - 0.2)) == (label != "N")


def test_a_short_song_is_left_alone() -> None:
    short = song(1)
    assert without_chords(short, np.random.default_rng(0)) is short
    assert pedal_bass(short, np.random.default_rng(0)) is short
