"""In which key: pitch-class profiles of the chords and of the sound, against Temperley's key profiles."""

from __future__ import annotations

import numpy as np

from .chords import PITCHES, SHAPES, ChordTrack

# Temperley, Music and Probability (2007), from the Kostka–Payne corpus
MAJOR = np.array([0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400])
MINOR = np.array([0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330])
TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}


def find_key(track: ChordTrack, chroma: np.ndarray) -> tuple[str, float]:
    """("Bb major", confidence 0…1) from the chords of `track` and the mean treble chroma (12,) of the sound.

    Without any chord nothing tells: then ("C major", 0.0)."""
    if all(label == "N" for label in track.labels):
        return "C major", 0.0
    profile = chord_profile(track)
    scores = _fit(profile) + 0.5 * _fit(chroma) + _tonic_evidence(track)
    share = np.exp(8 * (scores - scores.max()))
    best = int(scores.argmax())
    mode = "major" if best < 12 else "minor"
    return f"{TONICS[mode][best % 12]} {mode}", float(share[best] / share.sum())


def chord_profile(track: ChordTrack) -> np.ndarray:
    """(12,) seconds for which each pitch class belongs to the chord."""
    profile = np.zeros(12)
    for label, (start, end) in zip(track.labels, track.intervals_s, strict=True):
        if label != "N":
            root, quality = split(label)
            profile[[(root + step) % 12 for step in SHAPES[quality]]] += end - start
    return profile


def split(label: str) -> tuple[int, str]:
    """'Bb:maj7' → (10, 'maj7')."""
    root, quality = label.split(":")
    return PITCHES.index(root), quality


def _fit(profile: np.ndarray) -> np.ndarray:
    """(24,) correlation with the 12 major and 12 minor keys."""
    if profile.std() < 1e-9:
        return np.zeros(24)
    return np.array(
        [np.corrcoef(profile, np.roll(shape, tonic))[0, 1] for shape in (MAJOR, MINOR) for tonic in range(12)]
    )


def _tonic_evidence(track: ChordTrack) -> np.ndarray:
    """(24,) share of time on each key's tonic triad, with a bonus for beginning and ending on it."""
    evidence = np.zeros(24)
    named = [
        (label, end - start)
        for label, (start, end) in zip(track.labels, track.intervals_s, strict=True)
        if label != "N"
    ]
    if not named:
        return evidence
    total = sum(seconds for _, seconds in named)
    for place, (label, seconds) in enumerate(named):
        root, quality = split(label)
        index = root + (12 if quality.startswith("min") else 0)
        evidence[index] += 0.6 * seconds / total + 0.1 * (place == 0) + 0.15 * (place == len(named) - 1)
    return evidence
