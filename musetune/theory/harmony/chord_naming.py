"""Names of chords that are given as notes."""

from __future__ import annotations

from collections.abc import Iterable

from musetune.symbols import NO_CHORD, Chord, Key
from musetune.symbols.qualities import FLAT_DEGREES, QUALITIES, QUALITY_INTERVALS

PLAIN_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")  # without a key


def name_notes(notes: Iterable[int], key: Key | None = None) -> Chord:
    """Return the chord of some notes; see ``Chord.from_notes``."""
    pitches = sorted({int(note) for note in notes})
    if not pitches:
        return NO_CHORD
    if not 0 <= pitches[0] <= pitches[-1] <= 127:
        raise ValueError(f"notes {pitches[0]}–{pitches[-1]} are not MIDI notes 0–127")
    bass = pitches[0] % 12
    roots = list(dict.fromkeys(pitch % 12 for pitch in pitches))
    root = min(roots, key=lambda candidate: _unlikeness(candidate, pitches, key))
    name = PLAIN_NAMES[root] if key is None else key.name_of(root)
    return Chord.from_intervals(name, _above(root, pitches), FLAT_DEGREES[(bass - root) % 12])


def _above(root: int, pitches: list[int]) -> list[int]:
    """Semitones of each pitch above the lowest root; what lies below it is read an octave or more higher."""
    lowest = next(pitch for pitch in pitches if pitch % 12 == root)
    return [pitch - lowest if pitch >= lowest else (pitch - lowest) % 12 for pitch in pitches]


def _unlikeness(root: int, pitches: list[int], key: Key | None) -> tuple[int, bool, bool, int]:
    """How badly a root fits: notes that its nearest quality lacks or has too much, then a bass that is another note,
    then a root that is not of the key, then how rare the quality is.
    """
    above = {(pitch - root) % 12 for pitch in pitches}
    chord = Chord.from_intervals(PLAIN_NAMES[root], _above(root, pitches))
    unlike = above ^ {interval % 12 for interval in QUALITY_INTERVALS[chord.quality]}
    foreign = key is not None and root not in {key.degree_pc(degree) for degree in range(1, 8)}
    return len(unlike), root != pitches[0] % 12, foreign, QUALITIES.index(chord.quality)
