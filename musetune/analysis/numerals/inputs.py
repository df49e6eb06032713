"""What the network of numerals is shown of a score: notes, meter and what the rules read, in eighth notes or less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musetune.analysis.numerals.vocabulary import MODES, N_INVERSIONS, N_KEYS, QUALITIES
from musetune.symbols.score import Score
from musetune.theory.numerals.decode import ChordSegment
from musetune.theory.numerals.frames import CENTRE, ScoreFrames
from musetune.theory.numerals.score_analysis import signature_of

NAMES = 35  # places on the line of fifths, F♭♭ to B♯♯; further ones are left out
MIDDLE = NAMES // 2
SIGNATURES = 15  # seven flats to seven sharps
LEVELS = 5
RULES = N_KEYS + 12 + 12 + len(QUALITIES) + N_INVERSIONS + 1  # as `Reading` has them, one-hot
SIZE = 12 + NAMES + 12 + LEVELS + 1 + 1 + SIGNATURES + 1 + RULES + 1


@dataclass(frozen=True)
class Reading:
    """A reading of n frames in numbers, −1 where there is none.

    Args:
        key: (n,) number of the key.
        applied: (n,) pitch class of the tonicised degree.
        root: (n,) pitch class.
        quality: (n,) place in `QUALITIES`.
        inversion: (n,) 0–3.
        starts: (n,) whether a numeral begins here.
    """

    key: np.ndarray
    applied: np.ndarray
    root: np.ndarray
    quality: np.ndarray
    inversion: np.ndarray
    starts: np.ndarray

    def moved(self, semitones: int) -> Reading:
        """The reading of the same music transposed up by `semitones`."""
        key = np.where(self.key < 0, -1, (self.key + 2 * semitones) % N_KEYS)
        applied, root = (np.where(x < 0, -1, (x + semitones) % 12) for x in (self.applied, self.root))
        return Reading(key, applied, root, self.quality, self.inversion, self.starts)


@dataclass(frozen=True)
class NumeralInputs:
    """A score as the network sees it, before transposition.

    Args:
        classes: (n, 12) how much each pitch class sounds.
        names: (n, NAMES) the same by note name; zeros where names are not known.
        bass: (n, 12) share of the bass.
        level: (n,) metrical level, 0 the bar line.
        starts: (n,) whether a note begins.
        signature: Sharps (flats below 0); None where not known.
        rules: What the rules read.
    """

    classes: np.ndarray
    names: np.ndarray
    bass: np.ndarray
    level: np.ndarray
    starts: np.ndarray
    signature: int | None
    rules: Reading


def inputs_of(score: Score, frames: ScoreFrames, segments: list[ChordSegment]) -> NumeralInputs:
    """Inputs from a score's frames and the segments that the rules found in them."""
    step = float(frames.places[1] - frames.places[0])
    names = np.zeros((len(frames.classes), NAMES))
    if frames.spelled:
        names[:] = frames.notes[:, CENTRE - MIDDLE : CENTRE + MIDDLE + 1] / step
    bass = frames.bass / (frames.bass.sum(1, keepdims=True) + 1e-30)
    signature = signature_of(score.signatures[0].key)
    return NumeralInputs(
        classes=(frames.classes / step).astype(np.float32),
        names=names.astype(np.float32),
        bass=bass.astype(np.float32),
        level=frames.level.astype(np.int64),
        starts=frames.starts.astype(bool),
        signature=signature if abs(signature) <= SIGNATURES // 2 else None,
        rules=reading_of(segments, len(frames.classes)),
    )


def reading_of(segments: list[ChordSegment], count: int) -> Reading:
    """Segments as numbers a frame."""
    columns = np.full((5, count), -1, np.int64)
    starts = np.zeros(count, bool)
    for segment in segments:
        tonic = 7 * segment.key[0] % 12
        entry = segment.entry
        columns[:, segment.first : segment.last] = np.array(
            [
                2 * tonic + MODES.index(segment.key[1]),
                (tonic + entry.target) % 12,
                (tonic + entry.root) % 12,
                QUALITIES.index(entry.quality),
                segment.inversion,
            ]
        )[:, None]
        starts[segment.first] = True
    key, applied, root, quality, inversion = columns
    return Reading(key, applied, root, quality, inversion, starts)


def matrix(
    inputs: NumeralInputs, fifths: int = 0, spelled: bool = True, signature: bool = True, rules: bool = True
) -> np.ndarray:
    """(n, SIZE) floats for the network.

    Args:
        inputs: Of the score.
        fifths: By how many fifths to transpose upwards (a fifth up is seven semitones).
        spelled: Whether to show the names of notes.
        signature: Whether to show the key signature.
        rules: Whether to show what the rules read.
    """
    count, semitones = len(inputs.level), 7 * fifths % 12
    known = spelled and bool(inputs.names.any())
    names = np.zeros((count, NAMES), np.float32)
    if known:
        low, high = max(0, fifths), NAMES + min(0, fifths)
        names[:, low:high] = inputs.names[:, low - fifths : high - fifths]
    sharps = np.zeros((count, SIGNATURES + 1), np.float32)
    place = None if inputs.signature is None or not signature else inputs.signature + fifths
    if place is not None:
        while abs(place) > SIGNATURES // 2:
            place -= 12 if place > 0 else -12
    sharps[:, SIGNATURES if place is None else place + SIGNATURES // 2] = 1.0
    parts = [
        np.roll(inputs.classes, semitones, axis=1),
        names,
        np.roll(inputs.bass, semitones, axis=1),
        np.eye(LEVELS, dtype=np.float32)[inputs.level],
        inputs.starts[:, None].astype(np.float32),
        np.full((count, 1), float(known), np.float32),
        sharps,
    ]
    read = inputs.rules.moved(semitones)
    for column, size in (
        (read.key, N_KEYS),
        (read.applied, 12),
        (read.root, 12),
        (read.quality, len(QUALITIES)),
        (read.inversion, N_INVERSIONS),
    ):
        shown = np.zeros((count, size), np.float32)
        rows = np.flatnonzero(column >= 0) if rules else np.zeros(0, int)
        shown[rows, column[rows]] = 1.0
        parts.append(shown)
    parts.append((read.starts[:, None] & rules).astype(np.float32))
    parts.append(np.full((count, 1), float(rules), np.float32))
    return np.concatenate(parts, axis=1, dtype=np.float32)
