"""Chord studies: made-up loops in which sevenths are as common as triads, at any tempo, in three and four.

Pop songs say little about sevenths and suspensions; a network that learned from them alone does not report any.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from musetune.analysis.listening.vocabulary import BEATS, PITCHES, SHAPES
from musetune.datasets.corpus import AnnotatedSong

if TYPE_CHECKING:
    import pretty_midi

QUALITY_SHARE = {
    "maj": 0.16, "min": 0.13, "7": 0.11, "maj7": 0.09, "min7": 0.09, "dim": 0.05, "sus2": 0.04, "sus4": 0.05,
    "hdim7": 0.05, "dim7": 0.04, "aug": 0.05, "maj6": 0.05, "min6": 0.05, "minmaj7": 0.04,
}  # fmt: skip
METER_SHARE = {"2/4": 0.1, "3/4": 0.2, "4/4": 0.34, "5/4": 0.1, "6/8": 0.14, "7/8": 0.12}
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
DIATONIC = (  # (degree, triad, seventh) of the major scale; its minor is the same set
    (0, "maj", "maj7"), (2, "min", "min7"), (4, "min", "min7"), (5, "maj", "maj7"), (7, "maj", "7"), (9, "min", "min7"),
    (11, "dim", "hdim7"),
)  # fmt: skip


def study(rng: np.random.Generator, seconds: float, vamp: bool = False) -> AnnotatedSong:
    """A loop of four to eight chords, or with `vamp` one chord all the time, comped and with a line of mostly chord
    notes above, for `seconds`; every meter.
    """
    import pretty_midi

    meter = str(rng.choice(list(METER_SHARE), p=list(METER_SHARE.values())))
    beats_per_bar = BEATS[meter]
    low, high = {"6/8": (45, 95), "7/8": (170, 300)}.get(meter, (60, 180))
    beat = 60 / rng.uniform(low, high)
    start = float(rng.uniform(0, 0.6))
    beats = start + beat * np.arange(int((seconds - start) / beat) + 1)
    chords, key = _loop(rng)
    if vamp:  # one chord does not say its key
        chords, key = chords[:1], "none"
    some = beats_per_bar // 2 if meter == "4/4" else beats_per_bar
    length = int(rng.choice([beats_per_bar, beats_per_bar, beats_per_bar, some, 2 * beats_per_bar]))
    spans, labels = [], []
    comp, lead = pretty_midi.Instrument(0, name="PIANO"), pretty_midi.Instrument(0, name="MELODY")
    manner = str(rng.choice(["held", "beats", "broken"]))
    for number, first in enumerate(range(0, len(beats) - 1, length)):
        root, quality, step = chords[number % len(chords)]
        times = beats[first : min(first + length, len(beats) - 1) + 1]
        spans.append((times[0], times[-1]))
        labels.append(f"{PITCHES[root]}:{quality}" + (f"/{DEGREES[step]}" if step else ""))
        tones = [(root + interval) % 12 for interval in SHAPES[quality]]
        comp.notes += _comp(tones, (root + step) % 12, times, manner, rng)
        lead.notes += _line(tones, times, rng)
    midi = pretty_midi.PrettyMIDI()
    midi.instruments += [comp, lead]
    return AnnotatedSong("study", midi, np.array(spans), labels, beats, beats[::beats_per_bar], key, seconds, meter)


def _loop(rng: np.random.Generator) -> tuple[list[tuple[int, str, int]], str]:
    """(root, quality, bass above the root) of each chord, and the key: within one key, or anything anywhere
    ("none").
    """
    size, tonic = int(rng.integers(4, 9)), int(rng.integers(12))
    if rng.random() < 0.6:
        sevenths, minor = rng.random(), rng.random() < 0.4
        picked = [DIATONIC[5 if minor else 0], *(DIATONIC[int(rng.integers(7))] for _ in range(size - 1))]
        loop = [
            ((tonic + degree) % 12, seventh if rng.random() < sevenths else triad) for degree, triad, seventh in picked
        ]
        key = f"{PITCHES[(tonic + 9) % 12]}:min" if minor else f"{PITCHES[tonic]}:maj"
    else:
        qualities = rng.choice(list(QUALITY_SHARE), size, p=list(QUALITY_SHARE.values()))
        loop, key = [(int(rng.integers(12)), str(quality)) for quality in qualities], "none"
    inverted = rng.choice([0.0, 0.15, 0.4])
    turned = [int(rng.choice(SHAPES[quality][1:])) if rng.random() < inverted else 0 for _, quality in loop]
    return [(root, quality, step) for (root, quality), step in zip(loop, turned, strict=True)], key


def _comp(
    tones: list[int], bass: int, times: np.ndarray, manner: str, rng: np.random.Generator
) -> list[pretty_midi.Note]:
    """All notes of the chord between C3 and C5, some doubled, the bass below.

    Held, on each beat, or one after the other.
    """
    import pretty_midi

    low = 48 + int(rng.integers(0, 12))
    pitches = sorted(low + (tone - low) % 12 for tone in tones)
    pitches += [pitch + 12 for pitch in pitches if rng.random() < 0.25]
    pitches += [36 + bass]
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
