"""The cheapest reading of a score: a semi-Markov chain over (key, chord), one segment a chord, by dynamic programming.

cost = Σ over segments of notes that the chord or the key does not hold + chord tones that are missing + the bass
     + where the segment begins in the bar + what the step from the chord before costs in the key (numeral_table)
     + what a change of key costs, the chord before then read in the new key (a pivot).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from musetune.theory.numerals.frames import BINS, CENTRE, ScoreFrames
from musetune.theory.numerals.table import NumeralEntry, entries, transitions

SCALES = {
    "major": (0, 1, 2, 3, 4, 5, -1),
    "minor": (0, 1, 2, -3, -1, -4, -2, 5, 3),
}  # on the line of fifths; minor with both 6 and 7
WINDOW, LIKELY = 8.0, 6  # quarters; keys a window
INFINITE = np.float32(1e9)


@dataclass(frozen=True)
class CostWeights:
    """The constants.

    Costs are in natural logarithms of odds; notes count by quarters. Set by hand, then by some twenty trials on the
    openings (50 quarters) of 40 development pieces of ``benchmarks/numerals.py``; no statistics of its analyses went
    in.
    """

    notes: float = 14.0  # of all that foreign notes cost
    chromatic: float = 1.3  # a foreign note outside the key's scale, against 1 for one inside
    remote: float = 0.15  # and for each fifth that its name lies beyond the key's own chromatic notes
    wide: float = 0.12  # every tone of a chord of four, since four tones explain more by chance
    respelled: float = 0.25  # a chord tone under another name
    missing: float = 1.7  # a root or third that is not heard; a fifth costs a quarter of it
    seventh: float = 2.9  # a seventh that is not heard
    bass: float = 1.0  # of the share of the bass that the inversion explains
    sustained: float = 3.5  # and this more for each quarter that the segment lasts
    inverted: tuple[float, float, float, float] = (0.0, 0.5, 1.2, 1.0)
    level: tuple[float, float, float, float, float] = (0.0, 0.3, 0.7, 2.2, 3.8)  # by where a segment begins in the bar
    segment: float = 0.1  # every segment
    scale: float = 0.9  # of the table's costs
    change: float = 5.8  # of key
    distance: float = 1.2  # for each fifth between the keys' signatures beyond the first
    signature: float = 1.0  # opening outside the two keys of the signature
    unknown: float = 3.8  # a change of key from a chord that the new key lacks
    reach: int = 16  # places where a chord may begin that one segment spans at most


@dataclass(frozen=True)
class ChordSegment:
    """Stretches ``first`` to ``last`` (exclusive).

    ``entry`` in ``inversion``, in ``key`` (place of the tonic in fifths, mode).
    """

    first: int
    last: int
    key: tuple[int, str]
    entry: NumeralEntry
    inversion: int


@dataclass(frozen=True)
class CostModel:
    """Arrays over the S states (key, chord), keys in order of ``keys``; ``spans``: slice of states of each key."""

    keys: tuple[tuple[int, str], ...]
    states: tuple[tuple[int, NumeralEntry], ...]
    spans: tuple[slice, ...]
    foreign: np.ndarray  # (bins, S) cost of a quarter of each note name
    required: np.ndarray  # (12, S) cost of a tone that is missing
    lowest: np.ndarray  # (4, S) pitch class of the bass in each inversion; 12 where there is none
    chord: np.ndarray  # (S,) number of the chord as it sounds, 0–n
    moves: np.ndarray  # (K, K) cost of a change of key


def decode(frames: ScoreFrames, signature: int | None, weights: CostWeights) -> list[ChordSegment]:
    """The segments of the cheapest reading.

    ``signature``: sharps (flats below 0) at the beginning, None where not known.
    """
    model = model_of(frames.spelled, _keys(frames, signature), weights)
    cuts = np.append(np.flatnonzero(frames.starts), len(frames.level))
    path = _search(frames, model, cuts, _opening(model, signature, weights), weights)
    return [_segment(frames, model, weights, *step) for step in path]


def _keys(frames: ScoreFrames, signature: int | None) -> tuple[tuple[int, str], ...]:
    """(place of the tonic in fifths, mode) of the keys that hold some stretch of music better than others: the LIKELY
    best of any WINDOW by the notes outside their scales, and those of the signature; all majors, then all minors.
    """
    if frames.spelled:
        weights = np.cumsum(frames.notes.sum(0))
        centre = int(np.searchsorted(weights, weights[-1] / 2)) - CENTRE - 2
        places = list(range(centre - 7, centre + 8))
    else:
        places = list(range(-5, 7))
    keys = [(fifths + (3 if mode == "minor" else 0), mode) for mode in SCALES for fifths in places]
    inside = np.zeros((frames.notes.shape[1], len(keys)))
    for k, (tonic, mode) in enumerate(keys):
        bins = [tonic + p + CENTRE if frames.spelled else 7 * (tonic + p) % 12 for p in SCALES[mode]]
        inside[[b for b in bins if 0 <= b < len(inside)], k] = 1.0 if mode == "major" else 0.95
    step = max(1, round(WINDOW / float(frames.places[1] - frames.places[0])))
    fits = np.add.reduceat(frames.notes, np.arange(0, len(frames.notes), step), axis=0) @ inside
    likely = set(np.argsort(-fits, axis=1)[:, :LIKELY].ravel().tolist())
    sharps = [fifths - (3 if mode == "minor" else 0) for fifths, mode in keys]
    home = [k for k, count in enumerate(sharps) if signature is not None and (count - signature) % 12 == 0]
    return tuple(keys[k] for k in sorted(likely | set(home)))


@lru_cache(maxsize=64)
def model_of(spelled: bool, keys: tuple[tuple[int, str], ...], weights: CostWeights) -> CostModel:
    """The arrays for these ``keys``, majors before minors, over names of notes where they are known, else over pitch
    classes.
    """
    states: list[tuple[int, NumeralEntry]] = []
    spans: list[slice] = []
    for number, (_, mode) in enumerate(keys):
        spans.append(slice(len(states), len(states) + len(entries(mode))))
        states += [(number, entry) for entry in entries(mode)]
    columns = [_column(keys[k], entry, spelled, weights) for k, entry in states]
    names = [(7 * keys[k][0] % 12 + e.root) % 12 * 100 + _kind(e.quality) for k, e in states]
    chord = np.unique(names, return_inverse=True)[1]
    return CostModel(
        keys=keys,
        states=tuple(states),
        spans=tuple(spans),
        foreign=np.array([c[0] for c in columns], np.float32).T.copy(),
        required=np.array([c[1] for c in columns], np.float32).T.copy(),
        lowest=np.array([c[2] for c in columns]).T.copy(),
        chord=chord,
        moves=_moves(keys, weights),
    )


def _kind(quality: str) -> int:
    """Triads and the sevenths that they carry are one chord to a change of key."""
    kinds = {"maj": 0, "7": 0, "maj7": 0, "min": 1, "min7": 1, "dim": 2, "hdim7": 2, "dim7": 3, "aug": 4}
    return kinds.get(quality, 5)


def _column(
    key: tuple[int, str], entry: NumeralEntry, spelled: bool, weights: CostWeights
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(bins,) cost of each note, (12,) of each missing tone, (4,) bass of each inversion: one state's."""
    tonic, mode = key
    own = [tonic + tone for tone in entry.tones]
    scale = [tonic + degree for degree in SCALES[mode]]
    costs = np.full(BINS if spelled else 12, weights.chromatic)
    penalty = weights.wide if len(own) > 3 else 0.0
    if spelled:
        away = np.arange(BINS) - CENTRE - tonic - (0 if mode == "major" else -2)
        costs += weights.remote * np.maximum(np.abs(away - 1) - 5, 0)
        costs[[p + CENTRE for p in scale if 0 <= p + CENTRE < BINS]] = 1.0
        other = [p + 12 * n for p in own for n in (-1, 1)]
        costs[[p + CENTRE for p in other if 0 <= p + CENTRE < BINS]] = penalty + weights.respelled
        costs[[p + CENTRE for p in own if 0 <= p + CENTRE < BINS]] = penalty
    else:
        costs[[7 * p % 12 for p in scale]] = 1.0
        costs[[7 * p % 12 for p in own]] = penalty
    required = np.zeros(12)
    shares = (1.0, 1.0, 0.25 if entry.quality in ("maj", "min", "7", "maj7", "min7") else 1.0)
    for degree, share in zip(own, shares):
        required[7 * degree % 12] = weights.missing * share
    for degree in own[3:]:
        required[7 * degree % 12] = weights.seventh
    if entry.quality in ("It", "Fr", "Ger"):
        required[[7 * p % 12 for p in own]] = weights.seventh
    basses = [7 * own[i] % 12 if i in entry.inversions else 12 for i in range(min(4, len(own)))]
    return costs * weights.notes, required, basses + [12] * (4 - len(basses))


def _moves(keys: tuple[tuple[int, str], ...], weights: CostWeights) -> np.ndarray:
    """(K, K) cost of a change of key, by the distance of the signatures; parallel keys count as one fifth, and so do
    respelled ones.
    """
    signs = np.array([fifths - (3 if mode == "minor" else 0) for fifths, mode in keys])
    tonics = np.array([7 * fifths % 12 for fifths, _ in keys])
    apart = np.abs(signs[:, None] - signs[None])
    apart = np.minimum(apart, np.abs(12 - apart))
    apart[tonics[:, None] == tonics[None]] = np.minimum(apart[tonics[:, None] == tonics[None]], 1)
    out = weights.change + weights.distance * np.maximum(apart - 1, 0)
    np.fill_diagonal(out, 0.0)
    costs: np.ndarray = out.astype(np.float32)
    return costs


def _opening(model: CostModel, signature: int | None, weights: CostWeights) -> np.ndarray:
    """(S,) cost of each first chord."""
    out = np.zeros(len(model.states), np.float32)
    for span, (fifths, mode) in zip(model.spans, model.keys):
        sharps = fifths - (3 if mode == "minor" else 0)
        away = 0.0 if signature is None or (sharps - signature) % 12 == 0 else weights.signature
        out[span] = away + weights.scale * transitions(mode)[-1]
    return out


def _search(
    frames: ScoreFrames, model: CostModel, cuts: np.ndarray, opening: np.ndarray, weights: CostWeights
) -> list[tuple[int, int, int]]:
    """[(first, last, state)] of the cheapest chain of segments between ``cuts``."""
    evidence = (frames.notes, frames.classes, frames.bass)
    sums = [np.vstack([np.zeros(a.shape[1]), np.cumsum(a, axis=0)])[cuts] for a in evidence] + [frames.places[cuts]]
    count, size = len(cuts) - 1, len(model.states)
    total = np.full((count + 1, size), INFINITE, np.float32)
    since = np.zeros((count + 1, size), np.int32)
    came = np.zeros((count + 1, size), np.int32)
    step = _step(model, weights)
    for i in range(count):
        if i == 0:
            enter = opening.copy()
        else:
            enter, came[i] = step(total[i])
        enter = enter + np.float32(weights.segment + weights.level[frames.level[cuts[i]]])
        stop = min(count, i + weights.reach)
        costs = segment_costs(model, weights, *(s[i + 1 : stop + 1] - s[i] for s in sums))
        costs += enter
        better = costs < total[i + 1 : stop + 1]
        np.copyto(total[i + 1 : stop + 1], costs, where=better)
        np.copyto(since[i + 1 : stop + 1], i, where=better)
    path, at, state = [], count, int(total[count].argmin())
    while at > 0:
        start = int(since[at, state])
        path.append((int(cuts[start]), int(cuts[at]), state))
        at, state = start, int(came[start, state])
    return path[::-1]


def segment_costs(
    model: CostModel,
    weights: CostWeights,
    notes: np.ndarray,
    classes: np.ndarray,
    bass: np.ndarray,
    quarters: np.ndarray,
) -> np.ndarray:
    """(L, S) cost of L segments with these sums, each as each state."""
    presence = np.minimum(1.0, classes / (0.08 * classes.sum(1, keepdims=True) + 1e-6))
    out: np.ndarray = notes.astype(np.float32) @ model.foreign
    out += (1.0 - presence).astype(np.float32) @ model.required
    out += bass_costs(model, weights, bass, quarters).min(0)
    return out


def bass_costs(model: CostModel, weights: CostWeights, bass: np.ndarray, quarters: np.ndarray) -> np.ndarray:
    """(4, L, S) cost of the inversions."""
    share = bass / (bass.sum(1, keepdims=True) + 1e-30)
    costs = np.full((len(bass), 13), INFINITE, np.float32)
    costs[:, :12] = -np.log(0.05 + 0.95 * share) * (weights.bass + weights.sustained * quarters[:, None])
    out = costs[:, model.lowest].transpose(1, 0, 2)
    return out + np.array(weights.inverted, np.float32)[:, None, None]


def _step(model: CostModel, weights: CostWeights) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function from (S,) totals at a place to (S,) cheapest ways into each state and (S,) the states that they come
    from.

    A change of key first reads the chord that ends here in the new key (where that key lacks it, as a foreign chord),
    then goes on.
    """
    members, back = _members(model), np.ascontiguousarray(model.moves.T)
    blocks = [_block(model, weights, mode) for mode in dict.fromkeys(mode for _, mode in model.keys)]

    def step(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = np.append(total, INFINITE)[members]
        which = values.argmin(2)
        best = np.take_along_axis(values, which[..., None], 2)[..., 0]  # (K, chords)
        holder = np.take_along_axis(members, which[..., None], 2)[..., 0]
        arrivals = best.T[None] + back[:, None, :]  # (K to, chords, K from); argmin is fast along the last axis
        source = arrivals.argmin(2)  # the key that each chord best comes from
        chord = best.argmin(1)
        leaving = best.min(1)[None] + back
        enter, came = np.empty_like(total), np.empty(len(total), np.int32)
        for numbers, size, states, chords, table in blocks:
            old = source[numbers[:, None], chords]
            pivot = arrivals[numbers[:, None], chords, old]
            own = total[states].reshape(-1, size)
            stay = np.arange(states.start, states.stop).reshape(-1, size)
            origin = np.where(own <= pivot, stay, holder[old, chords])
            home = leaving[numbers].argmin(1)
            strange = leaving[numbers, home] + np.float32(weights.unknown)
            rows = np.concatenate([np.minimum(own, pivot), strange[:, None]], 1)
            origin = np.concatenate([origin, holder[home, chord[home]][:, None]], 1)
            ways = rows[:, None, :] + table
            way = ways.argmin(2)
            enter[states] = np.take_along_axis(ways, way[..., None], 2).ravel()
            came[states] = np.take_along_axis(origin, way, 1).ravel()
        return enter, came

    return step


def _block(model: CostModel, weights: CostWeights, mode: str) -> tuple[np.ndarray, int, slice, np.ndarray, np.ndarray]:
    """Return what is known of the keys in ``mode``: numbers, chords a key, slice of states, (keys, chords) sounding
    chords, (to, from) costs of steps.
    """
    numbers, size = [k for k, (_, m) in enumerate(model.keys) if m == mode], len(entries(mode))
    states = slice(model.spans[numbers[0]].start, model.spans[numbers[-1]].stop)
    table = np.ascontiguousarray((weights.scale * transitions(mode)).T, np.float32)
    return np.array(numbers), size, states, model.chord[states].reshape(-1, size), table


def _members(model: CostModel) -> np.ndarray:
    """(K, chords, m) states of each key that sound as each chord, filled up with S."""
    groups: dict[tuple[int, int], list[int]] = {}
    for state, (key, _) in enumerate(model.states):
        groups.setdefault((key, int(model.chord[state])), []).append(state)
    out = np.full((len(model.keys), int(model.chord.max()) + 1, max(map(len, groups.values()))), len(model.states))
    for index, states in groups.items():
        out[index][: len(states)] = states
    return out


def _segment(
    frames: ScoreFrames, model: CostModel, weights: CostWeights, first: int, last: int, state: int
) -> ChordSegment:
    key, entry = model.states[state]
    bass = frames.bass[first:last].sum(0, keepdims=True)
    return ChordSegment(
        first,
        last,
        model.keys[key],
        entry,
        int(bass_costs(model, weights, bass, frames.places[[last]] - frames.places[first])[:, 0, state].argmin()),
    )
