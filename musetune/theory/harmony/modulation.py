"""Key areas of chords, and how one leads to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from musetune.symbols.chord import Chord
from musetune.symbols.key import SCALES, Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.names import FLATS, SHARPS
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.symbols.spans import ChordSpan, KeySpan

# All costs are natural logarithms of odds, set by hand and checked on songs of POP909 and OpenEWLD.
DIATONIC = {
    "major": {(0, "M"): 0.0, (7, "M"): 0.4, (5, "M"): 0.5, (9, "m"): 0.7, (2, "m"): 0.8, (4, "m"): 1.2, (11, "d"): 1.8},
    "minor": {(0, "m"): 0.0, (7, "M"): 0.6, (7, "m"): 1.2, (5, "m"): 0.5, (8, "M"): 0.6, (3, "M"): 0.8, (10, "M"): 0.8,
              (2, "d"): 1.2, (11, "d"): 1.2},
}  # fmt: skip
CHROMATIC = {
    "major": {(2, "M"): 2.6, (4, "M"): 2.4, (9, "M"): 2.6, (0, "D"): 0.9, (5, "D"): 0.6, (11, "M"): 3.2, (5, "m"): 2.2,
              (10, "M"): 2.6, (8, "M"): 2.8, (3, "M"): 3.0, (0, "m"): 3.2, (7, "m"): 2.6, (2, "d"): 2.6, (6, "d"): 2.8},
    "minor": {(5, "M"): 2.2, (2, "m"): 2.6, (0, "M"): 2.8, (0, "D"): 2.4, (2, "M"): 2.8, (3, "D"): 2.4, (1, "M"): 2.8,
              (9, "d"): 2.8, (6, "d"): 3.0},
}  # fmt: skip
FOREIGN = 4.5  # a chord that neither table knows
CADENCE = 0.8  # what V–I (V–i) in a key is worth
CHANGE = 8.0  # what a change of key must gain
DISTANCE = 0.5  # and more for each step on the circle of fifths beyond the first
PRIOR = 3.0  # what another key than ``prior`` must gain to open the piece
EDGE = 0.8  # what a first or last chord other than the tonic costs
KEYS = [(tonic, mode) for mode in ("major", "minor") for tonic in range(12)]


def local_keys(
    chords: Sequence[ChordSpan], *, prior: Key | None = None, min_beats: Fraction | int = 16, change: float = CHANGE
) -> tuple[KeySpan, ...]:
    """Find the key areas of chord symbols, the first from beat 0.

    The areas that cost least, exactly, by dynamic programming: each chord costs what it is rare in the key times the
    square root of its length in bars of four beats, an authentic cadence earns CADENCE, a change of key costs
    ``change`` and more for distant keys. Applied and borrowed chords are cheap enough not to make a modulation.

    Args:
        chords: Chords in order.
        prior: Key that the piece is thought to open in.
        min_beats: Fewest beats of an area, where the piece is not shorter.
        change: Cost of a change of key, in natural logarithms of odds.

    Returns:
        Keys by time; C major, or ``prior``, where no chord sounds.

    Raises:
        ValueError: For ``min_beats`` or ``change`` below 0.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> sheet = LeadSheet.from_progression("C F G7 C " * 2 + "D G A7 D " * 2)
        >>> [(int(span.start), str(span.key)) for span in local_keys(sheet.chords)]
        [(0, 'C major'), (32, 'D major')]
    """
    if min_beats < 0 or change < 0:
        raise ValueError(f"min_beats={min_beats}, change={change}: both must be 0 or more")
    spans = [span for span in chords if span.chord.root is not None]
    if not spans:
        return (KeySpan(Fraction(0), prior or Key("C")),)
    areas = _areas(spans, _costs(spans), _opening(prior), float(min_beats), change)
    out: list[KeySpan] = []
    for start, index in areas:
        beat = Fraction(0) if not out else spans[start].start
        out.append(KeySpan(beat, _spell(index, spans[start:], prior)))
    return tuple(out)


def _costs(spans: list[ChordSpan]) -> np.ndarray:
    """(chords, 24) cost of each chord, and of coming from the one before, in each key."""
    costs = np.zeros((len(spans), 24))
    for i, span in enumerate(spans):
        weight = min(2.0, (float(span.beats) / 4) ** 0.5)
        costs[i] = weight * np.array(_chord_costs(span.chord))
        if i and spans[i - 1].end == span.start:
            costs[i] -= CADENCE * weight * np.array(_resolutions(spans[i - 1].chord, span.chord))
    for edge in (0, -1):
        costs[edge] += [0.0 if spans[edge].chord.root_pc == tonic else EDGE for tonic, _ in KEYS]
    return costs


@lru_cache(maxsize=4096)
def _chord_costs(chord: Chord) -> tuple[float, ...]:
    """Cost of a chord in each of KEYS."""
    return tuple(min(_cost_in_key(chord, third, tonic, mode) for third in _kinds(chord)) for tonic, mode in KEYS)


def _cost_in_key(chord: Chord, kind: str, tonic: int, mode: str) -> float:
    assert chord.root_pc is not None
    degree = (chord.root_pc - tonic) % 12
    seventh = 10 in QUALITY_INTERVALS[chord.quality] and kind == "M"
    tables = (DIATONIC[mode], CHROMATIC[mode])
    if seventh and degree != 7 and (degree, "D") in tables[1]:
        return tables[1][degree, "D"]
    cost = next((table[degree, kind] for table in tables if (degree, kind) in table), FOREIGN)
    outside = (degree + 10) % 12 not in SCALES[mode] if 10 in QUALITY_INTERVALS[chord.quality] else False
    outside = outside or (11 in QUALITY_INTERVALS[chord.quality] and (degree + 11) % 12 not in SCALES[mode])
    return cost + (0.8 if outside and cost < 2 else 0.0)


def _kinds(chord: Chord) -> tuple[str, ...]:
    """M(ajor third), m(inor third) or d(iminished); both thirds where the chord has none."""
    intervals = QUALITY_INTERVALS[chord.quality]
    if 3 not in intervals and 4 not in intervals:
        return ("M", "m")
    return ("M",) if 4 in intervals else ("m",) if 7 in intervals else ("d",)


@lru_cache(maxsize=4096)
def _resolutions(before: Chord, after: Chord) -> tuple[float, ...]:
    """In each of KEYS: 1 where V7 goes to the tonic, 0.7 where V or vii does, else 0."""
    assert before.root_pc is not None
    out = []
    for tonic, mode in KEYS:
        arrives = (
            after.root_pc == tonic and (mode == "major") == ("M" in _kinds(after)) and after.quality not in ("7", "9")
        )
        kinds, degree = _kinds(before), (before.root_pc - tonic) % 12
        dominant = (degree == 7 and "M" in kinds) or (degree == 11 and kinds == ("d",))
        strong = degree == 7 and 10 in QUALITY_INTERVALS[before.quality]
        out.append((1.0 if strong else 0.7) if arrives and dominant else 0.0)
    return tuple(out)


def _opening(prior: Key | None) -> np.ndarray:
    """(24,) cost of opening in each key."""
    if prior is None:
        return np.zeros(24)
    return np.array([0.0 if (prior.tonic_pc, prior.mode) == key else PRIOR for key in KEYS])


@lru_cache(maxsize=8)
def _changes(change: float) -> np.ndarray:
    """(24, 24) cost of going from key to key; never from a key to itself."""
    fifths = np.array([(7 * (tonic + (3 if mode == "minor" else 0))) % 12 for tonic, mode in KEYS])
    apart = (fifths[:, None] - fifths[None]) % 12
    costs: np.ndarray = change + DISTANCE * np.maximum(np.minimum(apart, 12 - apart) - 1, 0)
    np.fill_diagonal(costs, np.inf)
    return costs


def _areas(
    spans: list[ChordSpan], costs: np.ndarray, opening: np.ndarray, shortest: float, change: float
) -> list[tuple[int, int]]:
    """[(first chord, key)] of the cheapest division into areas of at least ``shortest`` beats.

    total[j] = min over i of enter[i] + sum[j] − sum[i], enter[i] = min over other keys of total[i] + change; a
    running minimum over the i that lie far enough back makes it linear in the number of chords.
    """
    count = len(spans)
    places = np.array([float(span.start) for span in spans] + [float(spans[-1].end)])
    sums = np.vstack([np.zeros(24), np.cumsum(costs, axis=0)])
    moves = _changes(change)
    total = np.full((count + 1, 24), np.inf)
    enter, came = np.full((count + 1, 24), np.inf), np.zeros((count + 1, 24), int)
    since = np.zeros((count + 1, 24), int)
    enter[0] = opening
    best, best_at, ready = np.full(24, np.inf), np.zeros(24, int), 0
    for j in range(1, count + 1):
        while ready < j and (places[j] - places[ready] >= shortest or (ready == 0 and j == count)):
            better = enter[ready] - sums[ready] < best
            best, best_at = np.where(better, enter[ready] - sums[ready], best), np.where(better, ready, best_at)
            ready += 1
        total[j], since[j] = best + sums[j], best_at
        arrivals = total[j][:, None] + moves
        enter[j], came[j] = arrivals.min(axis=0), arrivals.argmin(axis=0)
    areas, at, key = [], count, int(total[count].argmin())
    while at > 0:
        start = int(since[at][key])
        areas.append((start, key))
        at, key = start, int(came[start][key])
    return areas[::-1]


def _spell(index: int, spans: list[ChordSpan], prior: Key | None) -> Key:
    """The key with the name that ``prior`` or the chords' own names give its tonic, else the one with fewer
    accidentals.
    """
    tonic, mode = KEYS[index]
    if prior is not None and (prior.tonic_pc, prior.mode) == (tonic, mode):
        return prior
    name = next((s.chord.root for s in spans if s.chord.root_pc == tonic), None)
    if name is not None and name in (FLATS[tonic], SHARPS[tonic]):
        plain = Key(name, mode)
        if _accidentals(plain) <= 6:
            return plain
    return min((Key(FLATS[tonic], mode), Key(SHARPS[tonic], mode)), key=_accidentals)


def _accidentals(key: Key) -> int:
    """Sharps or flats of the signature."""
    count = "FCGDAEB".index(key.tonic[0]) - 1 + 7 * (key.tonic.count("#") - key.tonic.count("b"))
    return abs(count - (3 if key.mode == "minor" else 0))


# -- modulations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Modulation:
    """Change of key.

    Args:
        at_beat: Beat from which the new key holds.
        from_key: Key before.
        to_key: Key after.
        pivot: Chord at the change that both keys own, as (numeral in the old key, numeral in the new one); None where
            the new key enters without one.
    """

    at_beat: Fraction
    from_key: Key
    to_key: Key
    pivot: tuple[str, str] | None


def modulations(sheet: LeadSheet) -> list[Modulation]:
    """List the changes of key of a sheet, each with its pivot.

    The pivot is the chord right before the change, or the one that opens the new area, where both keys own it.

    Example:
        >>> from dataclasses import replace
        >>> from musetune.symbols import KeySpan, LeadSheet
        >>> sheet = LeadSheet.from_progression("C F G C Am D7 G C D7 G")
        >>> sheet = replace(sheet, keys=(*sheet.keys, KeySpan(Fraction(20), Key("G"))))
        >>> [(int(change.at_beat), str(change.to_key), change.pivot) for change in modulations(sheet)]
        [(20, 'G major', ('vi', 'ii'))]
    """
    from musetune.theory.numerals.context import own
    from musetune.theory.numerals.roman import roman_of

    out: list[Modulation] = []
    for before, after in zip(sheet.keys, sheet.keys[1:]):
        old, new = before.key, after.key
        if (old.tonic_pc, old.mode) == (new.tonic_pc, new.mode):
            continue
        sounding = [s for s in sheet.chords if s.chord.root is not None]
        near = [s for s in sounding if s.end <= after.start][-1:] + [s for s in sounding if s.start >= after.start][:1]
        shared = next((s.chord for s in near if own(s.chord, old) and own(s.chord, new)), None)
        pivot = None if shared is None else (roman_of(shared, old), roman_of(shared, new))
        out.append(Modulation(after.start, old, new, pivot))
    return out
