"""The form: where bars begin to sound otherwise than those before, and which stretches repeat each other.

Boundaries are peaks of the novelty of Foote (ICME 2000): a checkerboard kernel along the self-similarity of the bars.
Stretches are alike where the harmony of one, bar for bar, is found in the other (the best of all alignments).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

KERNEL = 8  # bars before and after a boundary that are compared
SHORTEST = 4  # bars of a section
CLEAR = 0.12  # prominence of a boundary, of the largest novelty there could be
ALIKE = 0.22  # mean distance (1 − cosine) of bars up to which two stretches are the same section
COLOUR_SHARE = 0.3  # of sound colour beside harmony
SMOOTH = 4  # bars over which harmony is averaged for boundaries
MOST_UNITS = 1500  # longer pieces are looked at in groups of bars


@dataclass(frozen=True)
class FormPart:
    """Bars `start` to `end` (exclusive), `label` "A", "B", … in order of appearance; equal labels sound alike."""

    start: int
    end: int
    label: str


def find_parts(harmony: np.ndarray, colour: np.ndarray) -> list[FormPart]:
    """Parts of a piece whose bars have `harmony` (bars, d) ≥ 0, such as chord probabilities, and `colour` (bars, e),
    such as standardised mel levels. Under eight bars everything is one part.
    """
    bars = len(harmony)
    group = max(1, -(-bars // MOST_UNITS))
    if group > 1:
        harmony, colour = (_group(rows, group) for rows in (harmony, colour))
    starts = [0, *_boundaries(harmony, colour), len(harmony)] if bars else [0]
    stretches = list(itertools.pairwise(starts))
    kinds = _kinds(_unit(harmony), _unit(colour), stretches)
    names = {kind: _letter(index) for index, kind in enumerate(dict.fromkeys(kinds))}
    return [
        FormPart(a * group, min(b * group, bars), names[kind]) for (a, b), kind in zip(stretches, kinds, strict=True)
    ]


def _letter(number: int) -> str:
    """A … Z, AA, AB and so on."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def _group(rows: np.ndarray, group: int) -> np.ndarray:
    return np.add.reduceat(rows, np.arange(0, len(rows), group), axis=0) / group


def _boundaries(harmony: np.ndarray, colour: np.ndarray) -> list[int]:
    """Bars at which something new begins, at least SHORTEST apart."""
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import find_peaks

    bars = len(harmony)
    if bars < 2 * SHORTEST:
        return []
    before = uniform_filter1d(harmony, SMOOTH, axis=0, mode="nearest", origin=SMOOTH // 2 - 1)
    after = uniform_filter1d(harmony, SMOOTH, axis=0, mode="nearest", origin=-(SMOOTH // 2))
    change = 1 - (_unit(before)[:-1] * _unit(after)[1:]).sum(axis=1)  # of harmony, from the bars before to those after
    novelty = (1 - COLOUR_SHARE) * np.append(0, change) + COLOUR_SHARE * _foote(_unit(colour))
    peaks, _ = find_peaks(novelty, distance=SHORTEST, prominence=CLEAR)
    return [int(peak) for peak in peaks if SHORTEST <= peak <= bars - SHORTEST]


def _foote(rows: np.ndarray) -> np.ndarray:
    """(bars,) 0…1: how unlike each other the KERNEL bars before and from each bar on are, and how like themselves."""
    bars = len(rows)
    like = np.pad(rows @ rows.T, KERNEL, mode="reflect" if bars > KERNEL else "edge")
    offset = np.arange(-KERNEL, KERNEL) + 0.5
    taper = np.exp(-((offset / (0.5 * KERNEL)) ** 2))
    kernel = np.outer(np.sign(offset) * taper, np.sign(offset) * taper)
    kernel /= np.abs(kernel).sum() / 2
    novelty = [(kernel * like[bar : bar + 2 * KERNEL, bar : bar + 2 * KERNEL]).sum() for bar in range(bars)]
    return np.clip(np.array(novelty), 0, 1)


def _kinds(harmony: np.ndarray, colour: np.ndarray, stretches: list[tuple[int, int]]) -> list[int]:
    """A number for each stretch, equal where they are alike (average linkage)."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(stretches) < 2:
        return [0] * len(stretches)
    apart = np.zeros((len(stretches), len(stretches)))
    for i, one in enumerate(stretches):
        for j, other in enumerate(stretches[:i]):
            apart[i, j] = apart[j, i] = _distance(harmony, colour, one, other)
    return fcluster(linkage(squareform(apart, checks=False), "average"), ALIKE, "distance").tolist()


def _distance(harmony: np.ndarray, colour: np.ndarray, one: tuple[int, int], other: tuple[int, int]) -> float:
    """Mean over bars, in the best alignment of the shorter stretch within the longer."""
    short, long = sorted((one, other), key=lambda stretch: stretch[1] - stretch[0])
    size = short[1] - short[0]
    best = np.inf
    for shift in range(long[1] - long[0] - size + 1):
        here, there = slice(*short), slice(long[0] + shift, long[0] + shift + size)
        near = (harmony[here] * harmony[there]).sum(axis=1).mean()
        tint = max(0.0, float((colour[here] * colour[there]).sum(axis=1).mean()))
        best = min(best, 1 - (1 - COLOUR_SHARE / 2) * near - COLOUR_SHARE / 2 * tint)
    return float(best)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
