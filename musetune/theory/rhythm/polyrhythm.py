"""Polyrhythm: two layers that divide the same span evenly and differently at once, such as 3:2 and 4:3; and swing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import gcd

import numpy as np

from musetune.symbols.meter import Meter

MOST = 9  # onsets in a span
LATE = 0.08  # beats by which an onset may be off, where EVEN allows so much
EVEN = 0.2  # an onset may be off by this part of its division
PRESENT = 0.25  # share of spans from which on the polyrhythm counts as present
FEWEST = 3  # spans that must have it
FEWEST_SWINGS = 8


@dataclass(frozen=True)
class Polyrhythm:
    """Two layers that divide one span evenly and differently.

    Args:
        ratio: Onsets in a span, larger first: (3, 2).
        strength: Share of the spans in which both layers play that have it, 0–1.
        span: Beats of a span.
        layers: Names of the two layers, that of the larger number first.
        count: Spans that have it.
    """

    ratio: tuple[int, int]
    strength: float
    span: float
    layers: tuple[str, str]
    count: int


def polyrhythm(layers: Mapping[str, np.ndarray], meter: Meter, *, first_downbeat: float = 0.0) -> Polyrhythm | None:
    """Find the polyrhythm that holds for most of the time.

    Spans of 1, 2, 3 and 4 beats and a bar are laid over the piece from every beat on. In each, a layer holds n where
    its onsets are n, one of them at the start, and evenly spaced. Two layers with n and m that have no common divisor,
    both above 1, are n:m; what divides (4 against 2, 6 against 3) is only a finer layer. It must hold in FEWEST spans,
    two of them neighbours, and in PRESENT of those in which both layers play: a triplet fill is no polyrhythm, and
    neither is swing, whose long and short notes are not even.

    Args:
        layers: Onsets in beats by layer.
        meter: The meter.
        first_downbeat: Beat of the first bar line.

    Returns:
        The polyrhythm, or None.

    Example:
        >>> from musetune.symbols import Meter
        >>> layers = {"triplets": np.arange(24) / 3, "eighths": np.arange(16) / 2}
        >>> polyrhythm(layers, Meter(4, 4)).ratio
        (3, 2)
    """
    candidates = list(_candidates(layers, meter, first_downbeat))
    return max(candidates, key=lambda one: (one.strength * one.count * one.span, -one.span), default=None)


def _candidates(layers: Mapping[str, np.ndarray], meter: Meter, first_downbeat: float) -> Iterator[Polyrhythm]:
    rows = {name: np.sort(np.asarray(onsets, float)) - first_downbeat for name, onsets in layers.items()}
    rows = {name: onsets for name, onsets in rows.items() if len(onsets) >= 2 * FEWEST}
    if len(rows) < 2:
        return
    end = max(onsets[-1] for onsets in rows.values()) + 1
    for span in sorted({1, 2, 3, 4, meter.beats_per_bar}):
        for offset in range(span):
            edges = np.arange(offset, end + span, span, dtype=float)
            counts = {name: divisions(onsets, edges) for name, onsets in rows.items()}
            for (one, first), (two, second) in combinations(counts.items(), 2):
                yield from _ratios(first, second, (one, two), float(span))


def divisions(onsets: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(spans,) into how many even parts the ``onsets`` (n,) divide each span between ``edges``; 0 without onsets, −1
    where uneven.
    """
    starts, spans = edges[:-1], np.diff(edges)
    slack = LATE * np.minimum(1.0, spans)
    low, high = np.searchsorted(onsets, starts - slack), np.searchsorted(onsets, edges[1:] - slack)
    out = np.where(high > low, -1, 0)
    for count in range(1, MOST + 1):
        at = np.flatnonzero(high - low == count)
        steps = np.arange(count)
        ideal = starts[at, None] + steps * spans[at, None] / count
        off = np.abs(onsets[low[at, None] + steps] - ideal).max(axis=1)
        out[at[off <= np.minimum(LATE, EVEN * spans[at] / max(count, 4))]] = count
    return out


def _ratios(first: np.ndarray, second: np.ndarray, names: tuple[str, str], span: float) -> Iterator[Polyrhythm]:
    both = (first != 0) & (second != 0)
    pairs = {(int(a), int(b)) for a, b in zip(first, second) if min(a, b) > 1 and gcd(int(a), int(b)) == 1}
    for a, b in pairs:
        here = (first == a) & (second == b)
        strength = float(here.sum() / both.sum())
        if here.sum() >= FEWEST and (here[1:] & here[:-1]).any() and strength >= PRESENT:
            order = names if a > b else names[::-1]
            yield Polyrhythm((max(a, b), min(a, b)), round(strength, 3), span, order, int(here.sum()))


def swing_ratio(layers: Mapping[str, np.ndarray]) -> float | None:
    """Long over short part of the beat: 1 is even, 2 a triplet shuffle.

    The median over beats of a layer that are divided in two, by one onset between 40 % and 80 % of the
    way. None under FEWEST_SWINGS such beats.

    Example:
        >>> swing_ratio({"ride": np.arange(16).repeat(2) + np.tile([0, 2 / 3], 16)})
        2.0
    """
    places = []
    for onsets in layers.values():
        ordered = np.sort(np.asarray(onsets, float))
        phase = ordered - np.floor(ordered + 0.1)
        inside = phase > 0.1
        beat = np.floor(ordered + 0.1).astype(int)
        alone = {b for b, n in zip(*np.unique(beat[inside], return_counts=True)) if n == 1}
        places += [p for p, b in zip(phase[inside], beat[inside]) if b in alone and 0.4 <= p <= 0.8]
    if len(places) < FEWEST_SWINGS:
        return None
    middle = float(np.median(places))
    return round(middle / (1 - middle), 3)
