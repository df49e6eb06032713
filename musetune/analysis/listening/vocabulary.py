"""What the networks can say: chords, bass notes, keys, meters."""

from __future__ import annotations

PITCHES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SHAPES = {  # semitones above the root
    "maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6), "sus2": (0, 2, 7), "sus4": (0, 5, 7), "hdim7": (0, 3, 6, 10), "dim7": (0, 3, 6, 9),
    "aug": (0, 4, 8), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9), "minmaj7": (0, 3, 7, 11),
}  # fmt: skip
QUALITIES = tuple(SHAPES)
FOLDED = {"9": "7", "maj9": "maj7", "min9": "min7"}  # qualities of `theory` that sound as these
LABELS = (*(f"{root}:{quality}" for root in PITCHES for quality in QUALITIES), "N")
N_CHORDS = len(LABELS)  # root-major, N last
NO_BASS = 12  # classes of the bass: twelve pitch classes, and none
N_KEYS = 24  # twelve major keys from C, then twelve minor ones
METERS = ("2/4", "3/4", "4/4", "5/4", "6/8", "7/8")
BEATS = {"2/4": 2, "3/4": 3, "4/4": 4, "5/4": 5, "6/8": 2, "7/8": 7}  # a bar
