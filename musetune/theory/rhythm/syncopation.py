"""The metre as a tree of divisions, its weights, and syncopation against them (Longuet-Higgins and Lee, 1984).

Onsets are positions in beats (floats, any order) per layer: one instrument, one voice or one register of a recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from musetune.symbols.meter import Meter

Layers = Mapping[str, np.ndarray]
DIVISIONS = (1, 2, 3, 4, 6)  # steps a beat
FEW = 4  # onsets under which nothing is said
_GROUPS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1,),),
    2: ((1, 1),),
    3: ((3,),),
    4: ((2, 2),),
    5: ((3, 2), (2, 3)),
    6: ((3, 3),),
    7: ((2, 2, 3), (2, 3, 2), (3, 2, 2)),
    8: ((2, 2, 2, 2), (3, 3, 2)),
    9: ((3, 3, 3),),
    11: ((3, 3, 3, 2),),
    12: ((3, 3, 3, 3),),
    13: ((3, 3, 3, 2, 2),),
}


def groups_of(meter: Meter, layers: Layers | None = None, first_downbeat: float = 0.0) -> tuple[int, ...]:
    """How many beats each group of the bar holds.

    4/4 → (2, 2), 3/4 → (3,), 6/8 → (1, 1) dotted quarters, 5/4 → (3, 2) or (2, 3).

    Where a metre has several (5/4, 7/8), the one whose groups begin with most onsets, the first as named here without
    ``layers`` or in a tie.
    """
    beats = meter.beats_per_bar
    options = _GROUPS.get(beats) or ((2,) * (beats // 2) + (1,) * (beats % 2),)
    if layers is None or len(options) == 1:
        return options[0]
    onsets = np.concatenate([np.asarray(x, float) for x in layers.values()] or [np.zeros(0)])
    counts = np.bincount(np.round(onsets - first_downbeat).astype(int) % beats, minlength=beats)
    starts = [np.cumsum((0, *option))[:-1] for option in options]
    return options[int(np.argmax([counts[at].sum() for at in starts]))]


def weights(meter: Meter, division: int, groups: Sequence[int] | None = None) -> np.ndarray:
    """(beats_per_bar · division,) whole numbers, 0 on the bar line and one less for each division of the bar that it
    takes to get there: 4/4 in quarters 0 −2 −1 −2; the tree is bar, groups of beats, beats, halves or thirds of beats,
    and so on.

    ``division`` steps a beat, one of DIVISIONS. Raises ValueError for another, and for groups that do not fill the bar.
    """
    if division not in DIVISIONS:
        raise ValueError(f"division={division} steps a beat is not one of {', '.join(map(str, DIVISIONS))}")
    groups = tuple(groups or groups_of(meter))
    if sum(groups) != meter.beats_per_bar:
        raise ValueError(f"groups {groups} hold {sum(groups)} beats; a bar of {meter} has {meter.beats_per_bar}")
    out = [0]
    for size in groups:
        out += [-1] + [-2] * (size - 1)
    beats = np.array(out[1:])
    if len(groups) == 1 or set(groups) == {1}:
        beats = np.maximum(beats, -1)
    beats[0] = 0
    factors = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 6: (3, 2)}[division]
    level, row = int(beats.min()), beats
    for factor in factors:
        level -= 1
        finer = np.full((len(row), factor), level)
        finer[:, 0] = row
        row = finer.ravel()
    return row


def metric_hierarchy(meter: Meter, groups: Sequence[int] | None = None) -> dict[str, list]:
    """``weights`` of the beats as 2 to the power of their tree weight (each level halves), and ``strong_beats``: the
    bar line and the beats that begin a group of several, counted from 1.
    """
    groups = tuple(groups or groups_of(meter))
    values = 2.0 ** weights(meter, 1, groups)
    starts = np.cumsum((0, *groups))[:-1] + 1
    strong = [int(at) for at, size in zip(starts, groups) if at == 1 or size > 1]
    return {"strong_beats": strong, "weights": [round(float(value), 4) for value in values]}


def division_of(layers: Layers, meter: Meter) -> int:
    """Steps a beat into which the onsets fall best, of DIVISIONS.

    The least mean distance to a step, relative to what random onsets would have, plus 0.03 for each step, so that a
    finer grid must earn its place.
    """
    onsets = np.concatenate([np.asarray(x, float) for x in layers.values()] or [np.zeros(0)])
    if not len(onsets):
        return 3 if meter.compound else 2
    usual = (1, 3, 6) if meter.compound else (1, 2) if meter.denominator == 8 else (1, 2, 3, 4)
    cost = {d: 4 * np.abs(onsets * d - np.round(onsets * d)).mean() + 0.03 * d for d in usual}
    return min(cost, key=lambda d: cost[d])


def steps_of(onsets: np.ndarray, division: int, first_downbeat: float = 0.0) -> np.ndarray:
    """Onsets (n,) in beats as whole steps from the first bar line on, rising and without doubles."""
    return np.unique(np.round((np.asarray(onsets, float) - first_downbeat) * division).astype(int))


def lhl(steps: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """(n − 1,) how much each onset but the last is syncopated, 0 where not: the weight of the strongest position on
    which no onset falls before the next one, less its own weight (Longuet-Higgins and Lee, The rhythmic interpretation
    of monophonic music, Music Perception 1, 1984). ``tree`` as of ``weights``; a silence of more than a bar counts as a
    rest, not as a held note.
    """
    out = np.zeros(max(0, len(steps) - 1), int)
    for index, (here, after) in enumerate(pairwise(steps)):
        between = np.arange(here + 1, min(after, here + len(tree)))
        if len(between):
            out[index] = max(0, int(tree[between % len(tree)].max() - tree[here % len(tree)]))
    return out


def syncopation_index(
    layers: Layers, meter: Meter, *, first_downbeat: float = 0.0, division: int | None = None
) -> float | None:
    """0…1: over the onsets of all layers, the mean of how far each syncopation climbs (``lhl``) out of the climb from
    its position to the bar line. 0 where every onset is on the beat that it belongs to; each layer is heard alone, as
    Witek et al. (2014) do for drum kits, so that a hi-hat does not hide the backbeat. None under FEW onsets.
    """
    division = division or division_of(layers, meter)
    tree = weights(meter, division, groups_of(meter, layers, first_downbeat))
    climbed, count = 0.0, 0
    for onsets in layers.values():
        steps = steps_of(onsets, division, first_downbeat)
        height = np.maximum(1, -tree[steps[:-1] % len(tree)])
        climbed += float((lhl(steps, tree) / height).sum())
        count += max(0, len(steps) - 1)
    return round(climbed / count, 3) if count >= FEW - 1 else None


def lhl_per_bar(
    layers: Layers, meter: Meter, *, first_downbeat: float = 0.0, division: int | None = None
) -> float | None:
    """The sum of ``lhl`` as published, over layers, a bar; None under FEW onsets or a bar."""
    division = division or division_of(layers, meter)
    tree = weights(meter, division, groups_of(meter, layers, first_downbeat))
    rows = [steps_of(onsets, division, first_downbeat) for onsets in layers.values()]
    rows = [steps for steps in rows if len(steps)]
    count = sum(len(steps) for steps in rows)
    if count < FEW:
        return None
    bars = (max(steps[-1] for steps in rows) - min(steps[0] for steps in rows) + 1) / len(tree)
    return round(float(sum(lhl(steps, tree).sum() for steps in rows) / bars), 3) if bars >= 0.5 else None


def position_entropy(layers: Layers, meter: Meter, *, first_downbeat: float = 0.0) -> float | None:
    """0…1, our own measure: entropy of where in the bar onsets fall on twelve steps a beat, mean over layers by their
    onsets, out of that of sixteenths (compound metres: of their sixteenths) spread evenly; at most 1. None under FEW
    onsets.
    """
    most = np.log2(meter.beats_per_bar * (6 if meter.compound else 4))
    return _entropy({n: steps_of(x, 12, first_downbeat) % (12 * meter.beats_per_bar) for n, x in layers.items()}, most)


def interval_entropy(layers: Layers) -> float | None:
    """0…1, our own measure: entropy of the intervals between onsets on twelve steps a beat, mean over layers, out of
    that of eight equally frequent ones; at most 1. None under FEW onsets.
    """
    return _entropy({name: np.diff(steps_of(onsets, 12)) for name, onsets in layers.items()}, 3.0)


def _entropy(values: Mapping[str, np.ndarray], most: float) -> float | None:
    bits, count = 0.0, 0
    for row in values.values():
        share = np.unique(row, return_counts=True)[1] / max(1, len(row))
        bits += len(row) * float(-(share * np.log2(share)).sum())
        count += len(row)
    return round(float(min(1.0, bits / count / most)), 3) if count >= FEW - 1 else None
