"""The meter as a tree of divisions, its weights, and syncopation against them (Longuet-Higgins and Lee, 1984).

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

    Args:
        meter: The meter.
        layers: Onsets in beats by layer. Where a meter has several groupings (5/4, 7/8), that whose groups begin with
            most onsets counts, the usual one without layers or in a tie.
        first_downbeat: Beat of the first bar line.

    Example:
        >>> from musetune.symbols import Meter
        >>> [groups_of(Meter.parse(text)) for text in ("4/4", "3/4", "6/8", "5/4")]
        [(2, 2), (3,), (1, 1), (3, 2)]
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
    """Weigh the positions of a bar: 0 on the bar line, one less for each division that it takes to get there.

    The tree is bar, groups of beats, beats, halves or thirds of beats, and so on (Longuet-Higgins and Lee, 1984).

    Args:
        meter: The meter.
        division: Steps a beat, one of DIVISIONS.
        groups: Beats of each group; None takes ``groups_of``.

    Returns:
        (beats_per_bar · division,) whole numbers.

    Raises:
        ValueError: For another division, and for groups that do not fill the bar.

    Example:
        >>> from musetune.symbols import Meter
        >>> weights(Meter(4, 4), division=1).tolist()
        [0, -2, -1, -2]
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


def metric_hierarchy(meter: Meter, groups: Sequence[int] | None = None) -> dict[str, list[int] | list[float]]:
    """Say which beats of a bar are strong.

    Returns:
        ``weights``: those of the beats as 2 to the power of their tree weight (each level halves). ``strong_beats``:
        the bar line and the beats that begin a group of several, counted from 1.

    Example:
        >>> from musetune.symbols import Meter
        >>> metric_hierarchy(Meter(4, 4))
        {'strong_beats': [1, 3], 'weights': [1.0, 0.25, 0.5, 0.25]}
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

    Example:
        >>> from musetune.symbols import Meter
        >>> division_of({"hat": np.arange(16) / 2}, Meter(4, 4))
        2
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
    """Measure how much each onset is syncopated (Longuet-Higgins and Lee, Music Perception 1, 1984).

    The weight of the strongest position on which no onset falls before the next one, less the onset's own weight. A
    silence of more than a bar counts as a rest, not as a held note.

    Args:
        steps: (n,) onsets in whole steps from a bar line, rising.
        tree: Weights of the bar's positions, as ``weights`` gives them.

    Returns:
        (n − 1,) for each onset but the last, 0 where it is not syncopated.

    Example:
        >>> from musetune.symbols import Meter
        >>> lhl(np.array([0, 3, 6, 8]), weights(Meter(4, 4), division=2)).tolist()
        [0, 2, 0]
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
    """Measure syncopation, 0–1: how far each onset climbs (``lhl``) out of the climb from its position to the bar line.

    The mean over the onsets of all layers, 0 where every onset is on the beat that it belongs to. Each layer is heard
    alone, as Witek et al. (2014) do for drum kits, so that a hi-hat does not hide the backbeat.

    Args:
        layers: Onsets in beats by layer.
        meter: The meter.
        first_downbeat: Beat of the first bar line.
        division: Steps a beat; None takes ``division_of``.

    Returns:
        The mean to three places; None under FEW onsets.

    Example:
        >>> from musetune.symbols import Meter
        >>> syncopation_index({"kick": np.arange(8)}, Meter(4, 4))
        0.0
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
    """Sum of ``lhl`` as published, over layers, a bar; None under FEW onsets or half a bar."""
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
    """Entropy of where in the bar onsets fall, 0–1, our own measure; None under FEW onsets.

    On twelve steps a beat, mean over layers by their onsets, out of that of sixteenths spread evenly; at most 1.
    """
    most = np.log2(meter.beats_per_bar * (6 if meter.compound else 4))
    return _entropy({n: steps_of(x, 12, first_downbeat) % (12 * meter.beats_per_bar) for n, x in layers.items()}, most)


def interval_entropy(layers: Layers) -> float | None:
    """Entropy of the intervals between onsets, 0–1, our own measure; None under FEW onsets.

    On twelve steps a beat, mean over layers, out of that of eight equally frequent intervals; at most 1.
    """
    return _entropy({name: np.diff(steps_of(onsets, 12)) for name, onsets in layers.items()}, 3.0)


def _entropy(values: Mapping[str, np.ndarray], most: float) -> float | None:
    bits, count = 0.0, 0
    for row in values.values():
        share = np.unique(row, return_counts=True)[1] / max(1, len(row))
        bits += len(row) * float(-(share * np.log2(share)).sum())
        count += len(row)
    return round(float(min(1.0, bits / count / most)), 3) if count >= FEW - 1 else None
