"""In which key, and where it changes.

The network's view of each half beat, the chords' fit to Temperley's profiles, and the likeliest sequence of keys over
the bars.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musetune.analysis.listening.chords import ChordScores, ChordTrack, pool
from musetune.analysis.listening.vocabulary import N_KEYS, PITCHES, SHAPES

# Temperley, Music and Probability (2007), from the Kostka–Payne corpus
MAJOR = np.array([0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400])
MINOR = np.array([0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330])
TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
CHORD_WEIGHT = 0.5  # of the chords' evidence beside the network's, a bar
HEARD_WEIGHT = 1.0
CHANGE_COST = 12.0  # nats; so that a key must hold for some bars
SHARPNESS = 1.5  # on the mean evidence of a bar: makes the confidence the share that is right, on the songs that tuned


@dataclass(frozen=True)
class KeyTrack:
    """`names` ("Bb major", …) from each of `starts` (beats of the grid) on; `main` the one that lasts longest and
    `confidence` 0…1 of it. Without any chord nothing tells: then C major, 0."""

    starts: tuple[float, ...]
    names: tuple[str, ...]
    main: str
    confidence: float


def find_keys(track: ChordTrack, scores: ChordScores, edges_beat: np.ndarray, bars: np.ndarray) -> KeyTrack:
    """Keys of the chords of `track`, whose half beats between `edges_beat` have `scores`.

    Changes fall on `bars` (beats).
    """
    if all(label == "N" for label in track.labels):
        return KeyTrack((0.0,), ("C major",), "C major", 0.0)
    lines = np.unique(
        np.concatenate([edges_beat[:1], bars[(bars > edges_beat[0]) & (bars < edges_beat[-1])], edges_beat[-1:]])
    )
    evidence = bar_evidence(track, scores, edges_beat, lines)
    path = _viterbi(evidence)
    starts = np.flatnonzero(np.append(True, np.diff(path) != 0))
    shares = np.bincount(path, np.diff(lines), N_KEYS)
    main = int(shares.argmax())
    total = evidence[path == main].mean(axis=0) * SHARPNESS
    sure = float(np.exp(total[main] - np.logaddexp.reduce(total)))
    return KeyTrack(
        tuple(float(lines[start]) for start in starts),
        tuple(key_name(path[start]) for start in starts),
        key_name(main),
        sure,
    )


def key_name(number: int) -> str:
    """'Bb major' of key 10."""
    mode = "major" if number < 12 else "minor"
    return f"{TONICS[mode][number % 12]} {mode}"


def bar_evidence(track: ChordTrack, scores: ChordScores, edges_beat: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """(bars, N_KEYS) nats for each key from what lies between `lines`."""
    sounding = np.where(scores.sounding[:, None], scores.key, -np.log(N_KEYS))
    centres = (edges_beat[:-1] + edges_beat[1:]) / 2
    evidence_sum = np.stack([fit(chord_profile([label])) + tonic(label) for label in track.labels])
    at = np.clip(np.searchsorted(track.beats[:, 0], centres, side="right") - 1, 0, len(evidence_sum) - 1)
    both = HEARD_WEIGHT * sounding + CHORD_WEIGHT * evidence_sum[at]
    return pool(both, centres, lines)


def chord_profile(labels: list[str]) -> np.ndarray:
    """(12,) how many of the chords hold each pitch class."""
    profile = np.zeros(12)
    for label in labels:
        if label != "N":
            root, quality = split(label)
            profile[[(root + step) % 12 for step in SHAPES[quality]]] += 1
    return profile


def split(label: str) -> tuple[int, str]:
    """'Bb:maj7/3' → (10, 'maj7')."""
    root, quality = label.split("/")[0].split(":")
    return PITCHES.index(root), quality


def fit(profile: np.ndarray) -> np.ndarray:
    """(N_KEYS,) mean log of Temperley's probabilities of the pitch classes in `profile` (12,), against their mean."""
    if profile.sum() == 0:
        return np.zeros(N_KEYS)
    logs = np.array([np.roll(np.log(shape), tonic) for shape in (MAJOR, MINOR) for tonic in range(12)])
    value = logs @ profile / profile.sum()
    return value - value.mean()


def tonic(label: str) -> np.ndarray:
    """(N_KEYS,) a bonus for the keys whose tonic the chord is."""
    bonus = np.zeros(N_KEYS)
    if label != "N":
        root, quality = split(label)
        bonus[root + (12 if quality.startswith("min") else 0)] = 0.5
    return bonus


def _viterbi(evidence: np.ndarray) -> np.ndarray:
    """(bars,) likeliest keys where a change costs CHANGE_COST."""
    best, came = evidence[0].copy(), np.zeros(evidence.shape, int)
    for bar in range(1, len(evidence)):
        top = int(best.argmax())
        jump = best[top] - CHANGE_COST > best
        came[bar] = np.where(jump, top, np.arange(N_KEYS))
        best = np.where(jump, best[top] - CHANGE_COST, best) + evidence[bar]
    path = np.zeros(len(evidence), int)
    path[-1] = best.argmax()
    for bar in range(len(evidence) - 1, 0, -1):
        path[bar - 1] = came[bar, path[bar]]
    return path
