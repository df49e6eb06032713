"""Notes as they sound → note values as they are written: a grid for every beat, ties, tuplets that add up.

Fractions of a quarter note only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from musetune.symbols.meter import Meter

Bar = tuple[Fraction, Fraction, Meter]  # start and stop in quarters, meter
Sound = tuple[Fraction, Fraction, int, int]  # start and stop in quarters, pitch, velocity
GRID = 24  # what fits no grid is written to this part of a quarter
NEAR = Fraction(1, 96)  # quarters that a note may be off a grid and still be meant on it
PLAIN = tuple(Fraction(n, 16) for n in (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1))  # one symbol each, dots included
ODD = tuple(sorted({*PLAIN, *(Fraction(n, GRID) for n in (16, 8, 4, 2, 1))}, reverse=True))


@dataclass(frozen=True)
class Cell:
    """A beat as it is written: from ``start`` for ``length`` quarters, in ``steps`` equal ones.

    triple: it is divided in three, of a beat that has no triplets by nature.
    """

    start: Fraction
    length: Fraction
    steps: int = 1
    triple: bool = False

    @property
    def end(self) -> Fraction:
        """Where the stretch ends."""
        return self.start + self.length

    def snap(self, position: Fraction) -> Fraction:
        """The step nearest to ``position``; the earlier of two."""
        step = self.length / self.steps
        return self.start + step * -((-(position - self.start) / step + Fraction(1, 2)) // 1)


@dataclass(frozen=True)
class Piece:
    """One symbol: a rest where ``heads`` is empty, else a note or chord of (pitch, velocity, tied from before, tied to
    what follows).

    tuplet: "" for none, else its place in the bracket: "start", "inside", "stop".
    """

    start: Fraction
    length: Fraction
    heads: tuple[tuple[int, int, bool, bool], ...] = ()
    tuplet: str = ""


def notate(
    sounds: Iterable[Sound], bars: Sequence[Bar], cuts: Iterable[Fraction] = (), *, single: bool = False
) -> list[list[Piece]]:
    """The pieces of every bar, which add up to it exactly.

    Notes that sound together are chords, tied on where one of them lasts longer; with ``single`` a note ends where the
    next begins and the highest of a chord stays.

    ``cuts``: quarters at which rests end and begin again where the grid has them, such as chord symbols.
    """
    sounds = list(sounds)
    cells = cells_of(sounds, bars)
    sounds = (one_voice if single else separate)(snap(sounds, cells))
    edges = sorted({edge for sound in sounds for edge in sound[:2]})
    marks = sorted(cuts)
    return _in_bars(bars, cells, sounds, edges, marks)


def notate_hits(sounds: Iterable[Sound], bars: Sequence[Bar]) -> list[list[Piece]]:
    """Write hits, which have no length of their own: each is written up to the next one or to the end of its beat."""
    sounds = list(sounds)
    cells = cells_of([(a, a, p, v) for a, _, p, v in sounds], bars)
    starts = [cell.start for cell in cells]
    hits = {(_snap(a, cells, starts), p): v for a, _, p, v in sounds if a < bars[-1][1]}
    places = sorted({a for a, _ in hits if a < bars[-1][1]})
    stops = {a: min(b, cells[bisect_right(starts, a) - 1].end) for a, b in pairwise([*places, bars[-1][1]])}
    lengths = sorted((a, stops[a], pitch, velocity) for (a, pitch), velocity in hits.items() if a in stops)
    edges = sorted({edge for sound in lengths for edge in sound[:2]})
    return _in_bars(bars, cells, lengths, edges, [])


# -- the grid ----------------------------------------------------------------------------------------------------------


def cells_of(sounds: Sequence[Sound], bars: Sequence[Bar]) -> list[Cell]:
    """The beats of all bars, each with the coarsest grid that the notes in it fit."""
    onsets, ends = sorted(a for a, *_ in sounds), sorted(b for _, b, *_ in sounds)
    return [_fit(cell, meter, _within(onsets, cell), _within(ends, cell)) for cell, meter in _beats(bars)]


def _beats(bars: Sequence[Bar]) -> Iterator[tuple[Cell, Meter]]:
    """Beats of at most a quarter (dotted, in compound meters).

    A bar that is no whole number of them begins with the rest, as pickups do.
    """
    for start, stop, meter in bars:
        length = meter.beat_quarters if meter.compound else min(meter.beat_quarters, Fraction(1))
        first = (stop - start) % length
        if first:
            yield Cell(start, first), meter
        at = start + first
        while at < stop:
            yield Cell(at, length), meter
            at += length


def _within(places: list[Fraction], cell: Cell) -> list[Fraction]:
    return places[bisect_right(places, cell.start - NEAR) : bisect_right(places, cell.end - NEAR)]


def _fit(cell: Cell, meter: Meter, onsets: list[Fraction], ends: list[Fraction]) -> Cell:
    """The grid for a beat: one that all fits, else one that the onsets fit, else the nearer of sixteenths and
    triplets.
    """
    grids = _grids(cell, meter)
    for places in (onsets + ends, onsets):
        for grid in grids:
            if all(abs(grid.snap(position) - position) <= NEAR for position in places):
                return grid
    usual = [grid for grid in grids if grid.length / grid.steps >= Fraction(1, 6)] or grids
    return min(usual, key=lambda grid: sum(abs(grid.snap(position) - position) for position in onsets))


def _grids(cell: Cell, meter: Meter) -> list[Cell]:
    """What a beat may be divided into, the plainest first."""
    if cell.length % Fraction(1, 8):  # part of a beat before an odd first bar line
        return [replace(cell, steps=int(cell.length * GRID))] if cell.length * GRID % 1 == 0 else [cell]
    eighths = int(cell.length * 8)
    if meter.compound or eighths & (eighths - 1):
        return [replace(cell, steps=n) for n in (eighths // 4, eighths // 2, eighths) if n]
    plain = [replace(cell, steps=n) for n in (1, 2, 4) if n <= eighths]
    triple = [replace(cell, steps=n, triple=True) for n in (3, 6)]
    return [*plain, *triple, *([replace(cell, steps=8)] if eighths == 8 else [])]


def snap(sounds: Sequence[Sound], cells: Sequence[Cell]) -> list[Sound]:
    """Starts and stops on the grid; what is shorter than a step lasts one.

    What begins after the last bar is left out.
    """
    starts = [cell.start for cell in cells]
    end, out = cells[-1].end, []
    for a, b, pitch, velocity in sounds:
        start = _snap(a, cells, starts)
        if start < end:
            cell = cells[bisect_right(starts, start) - 1]
            stop = max(_snap(min(b, end), cells, starts), start + cell.length / cell.steps)
            out.append((start, _snap(stop, cells, starts), pitch, velocity))
    return out


def _snap(position: Fraction, cells: Sequence[Cell], starts: list[Fraction]) -> Fraction:
    return cells[max(bisect_right(starts, position) - 1, 0)].snap(position)


def separate(sounds: Iterable[Sound]) -> list[Sound]:
    """In order; a pitch that is struck again ends there, and of two that start together the longer stays."""
    last: dict[int, int] = {}  # pitch → where in ``out``
    out: list[Sound] = []
    for sound in sorted(sounds, key=lambda s: (s[0], s[2], -s[1])):
        index = last.get(sound[2])
        if index is not None:
            start, stop, pitch, velocity = out[index]
            if start == sound[0]:
                continue
            out[index] = (start, min(stop, sound[0]), pitch, velocity)
        last[sound[2]] = len(out)
        out.append(sound)
    return out


def one_voice(sounds: Iterable[Sound]) -> list[Sound]:
    """In order, no two at once: of notes that start together the highest stays, and each ends where the next begins."""
    top = {sound[0]: sound for sound in sorted(sounds, key=lambda s: (s[0], s[2]))}
    line = list(top.values())
    nexts = [start for start, *_ in line[1:]] + [line[-1][1]] if line else []
    return [(a, min(b, following), pitch, velocity) for (a, b, pitch, velocity), following in zip(line, nexts)]


# -- the pieces --------------------------------------------------------------------------------------------------------


def _in_bars(
    bars: Sequence[Bar], cells: list[Cell], sounds: list[Sound], edges: list[Fraction], marks: list[Fraction]
) -> list[list[Piece]]:
    """The pieces of every bar, of ``sounds`` in the order of their starts."""
    starts, waiting, here, out = [cell.start for cell in cells], deque(sounds), list[Sound](), []
    for bar in bars:
        start, stop, _ = bar
        while waiting and waiting[0][0] < stop:
            here.append(waiting.popleft())
        here = [sound for sound in here if sound[1] > start]
        beats = cells[bisect_left(starts, start) : bisect_left(starts, stop)]
        inside = marks[bisect_right(marks, start) : bisect_left(marks, stop)]
        out.append(_bar(bar, beats, here, edges, inside))
    return out


def _bar(bar: Bar, cells: list[Cell], here: list[Sound], edges: list[Fraction], marks: list[Fraction]) -> list[Piece]:
    """One bar: cut where a note begins or ends, then into values that can be written."""
    start, stop, meter = bar
    lines = {start, stop, *edges[bisect_right(edges, start) : bisect_right(edges, stop)]}
    silent = {m for m in marks if _on_grid(m, cells) and not any(a <= m < b for a, b, *_ in here)}
    pieces: list[Piece] = []
    for low, high in pairwise(sorted(lines | silent)):
        heads = [sound for sound in here if sound[0] <= low < sound[1]]
        for at, length, tuplet in _values(low, high, cells, meter.compound):
            tied = tuple((pitch, velocity, a < at, at + length < b) for a, b, pitch, velocity in heads)
            pieces.append(Piece(at, length, tied, tuplet))
    return _bracket(pieces, cells)


def _on_grid(position: Fraction, cells: list[Cell]) -> bool:
    return any(cell.start <= position < cell.end and cell.snap(position) == position for cell in cells)


def _values(
    low: Fraction, high: Fraction, cells: list[Cell], compound: bool
) -> Iterator[tuple[Fraction, Fraction, str]]:
    """(start, length, "inside" in a tuplet) of the values from ``low`` to ``high``; what crosses a beat starts on
    one.
    """
    bounds = {cell.start for cell in cells} | {cells[-1].end}
    while low < high:
        cell = next(cell for cell in cells if cell.start <= low < cell.end)
        if low == cell.start and high >= cell.end and cell.length in ODD:
            ends = (
                bounds
                if compound
                else bounds | {c.start + c.length / 2 for c in cells if not c.triple and c.length == 1}
            )
            length = next(v for v in ODD if low + v <= high and low + v in ends)
            tuplet = ""
        else:
            values = (
                [cell.length / 6 * n for n in (4, 2, 1)]
                if cell.triple
                else PLAIN
                if not cell.length % Fraction(1, 8)
                else ODD
            )
            length = next((v for v in values if low + v <= min(high, cell.end)), min(high, cell.end) - low)
            tuplet = "inside" if cell.triple else ""
        yield low, length, tuplet
        low += length


def _bracket(pieces: list[Piece], cells: list[Cell]) -> list[Piece]:
    """Return the pieces with each tuplet's first and last piece marked."""
    out = list(pieces)
    for cell in cells:
        inside = [i for i, piece in enumerate(pieces) if piece.tuplet and cell.start <= piece.start < cell.end]
        if inside:
            out[inside[0]] = replace(out[inside[0]], tuplet="start")
            out[inside[-1]] = replace(out[inside[-1]], tuplet="stop")
    return out
