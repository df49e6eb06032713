"""What arrangers do that rules for training music seldom do: no drums, late drums, a pedal bass, riffs without thirds,
silence of chords.

Each takes a song with its players and returns another with its truth; nothing is changed in place.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import mir_eval
import numpy as np

from musetune.datasets.corpus import AnnotatedSong

if TYPE_CHECKING:
    import pretty_midi

SHARE = {"without_drums": 0.15, "late_drums": 0.12, "pedal_bass": 0.1, "without_thirds": 0.15, "without_chords": 0.1}
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
LOW, PEDAL_LOW = 48, 28  # MIDI pitches: a pedal's other players stay above the first, the pedal lies from the second on


def rearrange(song: AnnotatedSong, rng: np.random.Generator) -> AnnotatedSong:
    """The song with some of these drawn at random, each in its `SHARE` of songs.

    Args:
        song: With its players in `midi`.
        rng: Draws them.
    """
    changes = {
        "without_drums": lambda: without_drums(song),
        "late_drums": lambda: late_drums(song, rng),
        "pedal_bass": lambda: pedal_bass(song, rng),
        "without_thirds": lambda: without_thirds(song, rng),
        "without_chords": lambda: without_chords(song, rng),
    }
    for name, share in SHARE.items():
        if rng.random() < share:
            song = changes[name]()
    return song


def without_drums(song: AnnotatedSong) -> AnnotatedSong:
    """Its other players alone; a song of drums alone stays as it is."""
    pitched = [part for part in song.midi.instruments if not part.is_drum]
    return _with_players(song, copy.deepcopy(pitched)) if any(part.notes for part in pitched) else song


def late_drums(song: AnnotatedSong, rng: np.random.Generator) -> AnnotatedSong:
    """Drums begin at a bar line in the first half."""
    lines = song.downbeats_s[(song.downbeats_s > 0) & (song.downbeats_s < song.duration_s / 2)]
    if not len(lines) or not any(not part.is_drum and part.notes for part in song.midi.instruments):
        return song
    entry = float(rng.choice(lines))
    parts = copy.deepcopy(song.midi.instruments)
    for part in parts:
        if part.is_drum:
            part.notes = [note for note in part.notes if note.start >= entry - 0.03]
    return _with_players(song, parts)


def pedal_bass(song: AnnotatedSong, rng: np.random.Generator) -> AnnotatedSong:
    """One low note under a stretch of changing chords, all other notes above it; the chords' basses say so.

    The note is the commonest root of the stretch, or its fifth.
    """
    import pretty_midi

    stretch = _stretch(song, rng, 8.0, 24.0)
    if stretch is None:
        return song
    start, end = stretch
    roots = mir_eval.chord.encode_many(song.labels)[0]
    low, high = song.intervals_s.T
    length = np.clip(np.minimum(high, end) - np.maximum(low, start), 0, None) * (roots >= 0)
    if not length.any():
        return song
    root = int(np.bincount(np.maximum(roots, 0), length, 12).argmax())
    pedal = (root + (7 if rng.random() < 0.3 else 0)) % 12
    parts = copy.deepcopy(song.midi.instruments)
    for part in parts:
        for note in part.notes:
            if not part.is_drum and note.start < end and note.end > start and note.pitch < LOW:
                note.pitch += 12 * -(-(LOW - note.pitch) // 12)
    player = pretty_midi.Instrument(int(rng.choice([32, 33, 38, 39, 43, 48])), name="PEDAL")
    beats = song.beats_s[(song.beats_s >= start - 0.01) & (song.beats_s < end - 0.1)]
    every = int(rng.choice([1, 2, 4, 1000]))
    onsets = beats[::every] if len(beats) else np.array([start])
    pitch, velocity = PEDAL_LOW + (pedal - PEDAL_LOW) % 12, int(rng.integers(70, 110))
    player.notes = [
        pretty_midi.Note(velocity, pitch, float(a), float(b)) for a, b in zip(onsets, [*onsets[1:], end]) if b > a
    ]
    song = _split(_with_players(song, [*parts, player]), start, end)
    labels = [
        _over(label, pedal) if a >= start - 1e-6 and b <= end + 1e-6 else label
        for (a, b), label in zip(song.intervals_s, song.labels)
    ]
    return replace(song, labels=labels)


def without_thirds(song: AnnotatedSong, rng: np.random.Generator) -> AnnotatedSong:
    """Riffs of roots and fifths: half of the chords that come more than once lose their thirds in half of their
    places, so that a listener knows them from their other places.
    """
    counts = {label: song.labels.count(label) for label in song.labels}
    riffs = {label for label, count in sorted(counts.items()) if count > 1 and rng.random() < 0.5}
    spans: list[tuple[float, float, set[int]]] = []
    last: dict[str, bool] = {}
    for (start, end), label in zip(song.intervals_s, song.labels):
        root, shape, _ = mir_eval.chord.encode(label)
        last[label] = label in riffs and not last.get(label, True)  # the first place keeps them
        if last[label] and root >= 0:
            spans.append((start, end, {(root + third) % 12 for third in (3, 4) if shape[third]}))
    parts = copy.deepcopy(song.midi.instruments)
    for part in parts:
        if not part.is_drum:
            part.notes = [note for note in part.notes if not _is_third(note, spans)]
    return _with_players(song, parts)


def without_chords(song: AnnotatedSong, rng: np.random.Generator) -> AnnotatedSong:
    """A stretch of 2 to 8 s in which nothing pitched sounds: drums play on, or stop; its chord is N."""
    stretch = _stretch(song, rng, 2.0, 8.0)
    if stretch is None:
        return song
    start, end = stretch
    drums = rng.random() < 0.7
    parts = copy.deepcopy(song.midi.instruments)
    for part in parts:
        if part.is_drum and drums:
            continue
        part.notes = [note for note in part.notes if not start - 0.03 <= note.start < end - 0.03]
        for note in part.notes:
            note.end = min(note.end, start) if note.start < start < note.end else note.end
    song = _split(_with_players(song, parts), start, end)
    inside = (song.intervals_s[:, 0] >= start - 1e-6) & (song.intervals_s[:, 1] <= end + 1e-6)
    return replace(song, labels=["N" if silent else label for silent, label in zip(inside, song.labels)])


def _stretch(song: AnnotatedSong, rng: np.random.Generator, least: float, most: float) -> tuple[float, float] | None:
    """From one bar line to another; None where the song has no room for `least` seconds."""
    lines = song.downbeats_s
    pairs = [(a, b) for i, a in enumerate(lines) for b in lines[i + 1 :] if least <= b - a <= most]
    if not pairs or song.duration_s < 2 * least:
        return None
    start, end = pairs[int(rng.integers(len(pairs)))]
    return float(start), float(end)


def _split(song: AnnotatedSong, *times_s: float) -> AnnotatedSong:
    """Chords cut in two at these times."""
    spans: list[tuple[float, float, str]] = []
    for (start, end), label in zip(song.intervals_s, song.labels):
        cuts = [start, *(t for t in times_s if start + 1e-6 < t < end - 1e-6), end]
        spans += [(a, b, label) for a, b in itertools.pairwise(cuts)]
    return replace(
        song, intervals_s=np.array([s[:2] for s in spans]).reshape(-1, 2), labels=[span[2] for span in spans]
    )


def _over(label: str, bass: int) -> str:
    """The chord over another bass."""
    root = int(mir_eval.chord.encode(label)[0])
    if root < 0:
        return label
    step = (bass - root) % 12
    name = label.split("/")[0]
    return f"{name}/{DEGREES[step]}" if step else name


def _is_third(note: pretty_midi.Note, spans: list[tuple[float, float, set[int]]]) -> bool:
    middle = (note.start + note.end) / 2
    return any(start <= middle < end and note.pitch % 12 in thirds for start, end, thirds in spans)


def _with_players(song: AnnotatedSong, parts: list[pretty_midi.Instrument]) -> AnnotatedSong:
    import pretty_midi

    midi = pretty_midi.PrettyMIDI()
    midi.instruments = parts
    return replace(song, midi=midi)
