"""A piece with its analysis as arrays for the network of numerals."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from musetune.analysis.numerals.inputs import NumeralInputs, Reading, inputs_of
from musetune.analysis.numerals.vocabulary import MODES, QUALITIES
from musetune.datasets.numerals.labels import Label, misplaced
from musetune.symbols.score import Score
from musetune.theory.numerals.decode import CostWeights, decode
from musetune.theory.numerals.frames import frames_of
from musetune.theory.numerals.score_analysis import signature_of

NO_SIGNATURE = 99


def make_arrays(score: Score, labels: Sequence[Label]) -> dict[str, np.ndarray]:
    """Everything that training needs of a piece, n frames long: the inputs, the truth, and whether the analysis fits.

    Args:
        score: With at least one note.
        labels: By time; frames before the first have no truth.
    """
    frames = frames_of(score)
    signature = signature_of(score.signatures[0].key)
    inputs = inputs_of(score, frames, decode(frames, signature, CostWeights()))
    arrays = {f.name: getattr(inputs, f.name) for f in fields(inputs) if f.name not in ("rules", "signature")}
    arrays["signature"] = np.array(NO_SIGNATURE if inputs.signature is None else inputs.signature)
    arrays |= {f"rules_{f.name}": getattr(inputs.rules, f.name) for f in fields(Reading)}
    arrays |= {f"truth_{f.name}": getattr(truth_of(labels, frames.places), f.name) for f in fields(Reading)}
    arrays["places"], arrays["misplaced"] = frames.places, np.array(misplaced(score, labels))
    for name in ("classes", "names", "bass"):
        arrays[name] = arrays[name].astype(np.float16)
    return arrays


def truth_of(labels: Sequence[Label], places: np.ndarray) -> Reading:
    """The label in the middle of each frame, as numbers; quality −1 where the vocabulary lacks it."""
    starts = [float(label.start) for label in labels]
    columns, begins, last = np.full((5, len(places) - 1), -1, np.int64), np.zeros(len(places) - 1, bool), -1
    for frame, middle in enumerate((places[:-1] + places[1:]) / 2):
        index = bisect_right(starts, float(middle)) - 1
        if index < 0:
            continue
        label = labels[index]
        tonic, mode = label.key[0], label.key[1] if label.key[1] in MODES else "major"
        tonicised = (tonic + label.degree[1]) % 12
        columns[:, frame] = (
            2 * tonic + MODES.index(mode),
            tonicised,
            (tonicised + label.degree[0]) % 12,
            QUALITIES.index(label.quality) if label.quality in QUALITIES else -1,
            min(label.inversion, 3),
        )
        begins[frame] = last < 0 or (labels[last] != label and label_changes(labels[last], label))
        last = index
    key, applied, root, quality, inversion = columns
    return Reading(key, applied, root, quality, inversion, begins)


def label_changes(before: Label, after: Label) -> bool:
    """Whether a label says something else than the one before it."""
    return (before.key, before.degree, before.quality, before.inversion) != (
        after.key,
        after.degree,
        after.quality,
        after.inversion,
    )


def load_arrays(path: Path) -> tuple[NumeralInputs, Reading]:
    """Inputs and truth of a stored piece."""
    with np.load(path) as stored:
        names = [f.name for f in fields(Reading)]
        rules, truth = (Reading(*(stored[f"{part}_{name}"] for name in names)) for part in ("rules", "truth"))
        signature = int(stored["signature"])
        inputs = NumeralInputs(
            stored["classes"].astype(np.float32),
            stored["names"].astype(np.float32),
            stored["bass"].astype(np.float32),
            stored["level"],
            stored["starts"],
            None if signature == NO_SIGNATURE else signature,
            rules,
        )
    return inputs, truth
