"""Chord studies: made-up loops in which sevenths are as common as triads, at any tempo, in three and four.

Pop songs say little about sevenths and suspensions; a network that learned from them alone does not report any.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .chords import PITCHES, SHAPES
from .corpus import Song

if TYPE_CHECKING:
    import pretty_midi

QUALITY_SHARE = {
    "maj": 0.22, "min": 0.18, "7": 0.16, "maj7": 0.12, "min7": 0.13, "dim": 0.04, "sus2": 0.03, "sus4": 0.04,
    "hdim7": 0.04, "dim7": 0.02, "aug": 0.02,
}  # fmt: skip
DIATONIC = (  # (degree, triad, seventh) of the major scale; its minor is the same set
    (0, "maj", "maj7"), (2, "min", "min7"), (4, "min", "min7"), (5, "maj", "maj7"), (7, "maj", "7"), (9, "min", "min7"),
    (11, "dim", "hdim7"),
)  # fmt: skip


def study(rng: np.random.Generator, seconds: float) -> Song:
    """A loop of four to eight chords, comped and with a line of chord notes above, for `seconds`."""
    import pretty_midi

    metre = 3 if rng.random() < 0.25 else 4
    beat = 60 / rng.uniform(60, 170)
    start = float(rng.uniform(0, 0.6))
    beats = start + beat * np.arange(int((seconds - start) / beat) + 1)
    chords = _loop(rng)
    length = int(rng.choice([metre, metre, metre, 2])) if metre == 4 else metre
    spans, labels = [], []
    comp, lead = pretty_midi.Instrument(0, name="PIANO"), pretty_midi.Instrument(0, name="MELODY")
    manner = str(rng.choice(["held", "beats", "broken"]))
    for number, first in enumerate(range(0, len(beats) - 1, length)):
        root, quality = chords[number % len(chords)]
        times = beats[first : min(first + length, len(beats) - 1) + 1]
        spans.append((times[0], times[-1]))
        labels.append(f"{PITCHES[root]}:{quality}")
        tones = [(root + step) % 12 for step in SHAPES[quality]]
        comp.notes += _comp(tones, times, manner, rng)
        lead.notes += _line(tones, times, rng)
    midi = pretty_midi.PrettyMIDI()
    midi.instruments += [comp, lead]
    return Song("study", midi, np.array(spans), labels, beats, beats[::metre], "C:maj", seconds, metre)


def _loop(rng: np.random.Generator) -> list[tuple[int, str]]:
    """(root, quality) of each chord: within one key, or anything anywhere."""
    size, tonic = int(rng.integers(4, 9)), int(rng.integers(12))
    if rng.random() < 0.6:
        sevenths = rng.random()
        picked = [DIATONIC[int(rng.integers(7))] for _ in range(size)]
        return [
            ((tonic + degree) % 12, seventh if rng.random() < sevenths else triad) for degree, triad, seventh in picked
        ]
    qualities = rng.choice(list(QUALITY_SHARE), size, p=list(QUALITY_SHARE.values()))
    return [(int(rng.integers(12)), str(quality)) for quality in qualities]


def _comp(tones: list[int], times: np.ndarray, manner: str, rng: np.random.Generator) -> list[pretty_midi.Note]:
    """All notes of the chord between C3 and C5, some doubled, the root often lowest: held, on each beat, or one after the other."""
    import pretty_midi

    low = 48 + int(rng.integers(0, 12))
    pitches = sorted(low + (tone - low) % 12 for tone in tones)
    pitches += [pitch + 12 for pitch in pitches if rng.random() < 0.25]
    pitches += [36 + tones[0]] if rng.random() < 0.7 else []
    velocity = int(rng.integers(55, 100))
    if manner == "held":
        return [pretty_midi.Note(velocity, pitch, times[0], times[-1] - 0.02) for pitch in pitches]
    if manner == "beats":
        pairs = pairwise(times)
        return [pretty_midi.Note(velocity, pitch, a, a + 0.8 * (b - a)) for a, b in pairs for pitch in pitches]
    halves = np.interp(np.arange(0, len(times) - 1, 0.5), np.arange(len(times)), times)
    order = rng.permutation(pitches)
    return [pretty_midi.Note(velocity, int(order[k % len(order)]), at, times[-1] - 0.02) for k, at in enumerate(halves)]


def _line(tones: list[int], times: np.ndarray, rng: np.random.Generator) -> list[pretty_midi.Note]:
    """Mostly chord notes in the octave and a half above middle C, on some halves of beats."""
    import pretty_midi

    notes = []
    for a, b in pairwise(times):
        for at in (a, (a + b) / 2):
            if rng.random() < (0.5 if at == a else 0.25):
                pitch_class = int(rng.choice(tones)) if rng.random() < 0.75 else int(rng.integers(12))
                pitch = 64 + (pitch_class - 64) % 12 + 12 * int(rng.integers(0, 2))
                notes.append(pretty_midi.Note(int(rng.integers(50, 100)), pitch, at, at + (b - a) * 0.45))
    return notes
