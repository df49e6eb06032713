"""Named chord progressions, found in any key, with sevenths, inversions and suspensions, as loops in any rotation.

A pattern is text: one step a chord, ``|`` between alternatives. A step is an accidental, a numeral on the major
scale's degree (bVI, #iv) in upper case for a major third and lower case for a minor one (diminished chords too), and
a 7 where only a dominant seventh will do.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby

from musetune.symbols.chord import NO_CHORD, Chord
from musetune.symbols.key import SCALES, Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.theory.harmony.pattern_table import TABLE
from musetune.theory.numerals.roman import NUMERALS, scale_degree

_STEP = re.compile(r"^([b#]?)([IViv]+)(7?)$")
# Semitones above the tonic; third: "M", "m" or "?" (sus, power); is it a dominant seventh?
Step = tuple[int, str, bool]
DOMINANTS = ("7", "9")


@dataclass(frozen=True)
class Pattern:
    """Named progression.

    Args:
        name: What it is called.
        kind: How it is looked for.
            loop: goes round; any rotation counts where it comes round twice, the order as named where it comes once;
            ``least`` chords (all of them by default) must be there in a row.
            phrase: from the first step to the last.
            free: a phrase in any key, whether or not that key is established, if its dominants are sevenths.
            vamp: two chords that alternate at least four times.
            chain: ``least`` chords in a row of an endless cycle, from anywhere.
            bars: one step a bar (or two bars), by the chord on the bar line.
            bass: degrees of the bass line.
        text: Steps, as this module's docstring says.
        known_as: Another name in use, or "".
        least: Fewest chords in a row; 0 for all.

    Example:
        >>> Pattern("Dorian vamp", "vamp", "i IV").steps
        (((0, 'm', False),), ((5, 'M', False),))
    """

    name: str
    kind: str
    text: str
    known_as: str = ""
    least: int = 0

    @cached_property
    def steps(self) -> tuple[tuple[Step, ...], ...]:
        """The alternatives of each step."""
        return tuple(tuple(_read(one, self.name) for one in step.split("|")) for step in self.text.split())


def _read(text: str, name: str) -> Step:
    match = _STEP.match(text)
    if not match:
        raise ValueError(f"pattern {name!r}: step {text!r} is not a numeral such as bVI, ii or V7")
    accidental, numeral, seventh = match.groups()
    degree = SCALES["major"][NUMERALS.index(numeral.upper())] + {"b": -1, "#": 1, "": 0}[accidental]
    return degree % 12, "M" if numeral.isupper() else "m", bool(seventh)


PATTERNS = tuple(Pattern(*row) for row in TABLE)


@dataclass(frozen=True)
class PatternMatch:
    """Pattern that a sheet follows.

    Args:
        pattern: Which.
        start_beat: Beat of its first occurrence.
        occurrences: How often it comes.
        rotation: Chords by which a loop begins late, 0 as named.
    """

    pattern: Pattern
    start_beat: float
    occurrences: int
    rotation: int = 0


@dataclass(frozen=True)
class _HeldHarmony:
    """Chords in a row on one root and with one kind of third, of which the first begins at ``start``.

    ``basses``: where each of them begins and its bass, semitones above the tonic.
    """

    start: float
    step: Step
    basses: tuple[tuple[float, int], ...]


def find_patterns(sheet: LeadSheet) -> list[PatternMatch]:
    """Find the PATTERNS that the chords of a sheet follow, each in the local key.

    Chords that only change colour or bass count as held; occurrences do not overlap; N breaks a pattern; of blues forms
    the longest counts. A loop begins where most of its rounds begin on a four-bar line, else where its run of chords
    does; if that order has a name, it counts as named, else as the rotation of the first name in the table.

    Args:
        sheet: Chords, keys and bar lines.

    Returns:
        One match a pattern, the most frequent first.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> match = find_patterns(LeadSheet.from_progression("G D Em C G D Em C", key="G"))[0]
        >>> match.pattern.name, match.occurrences
        ('I-V-vi-IV', 2)
    """
    runs, bars = list(_runs(sheet)), _bar_steps(sheet)
    fours = {float(line) for line in sheet.downbeats()[::4]}
    matches: list[PatternMatch] = []
    for pattern in PATTERNS:
        if pattern.kind == "loop":
            matches += _loops(pattern, runs, fours)
        elif pattern.kind == "bars":
            matches += _bars(pattern, bars)
        else:
            at = [start for run in runs for start in _SEARCH[pattern.kind](pattern, run)]
            matches += [PatternMatch(pattern, at[0], len(at))] if at else []
    forms = [len(one.pattern.steps) for one in matches if one.pattern.kind == "bars"]
    matches = [one for one in matches if one.pattern.kind != "bars" or len(one.pattern.steps) == max(forms)]
    exact = {_ring(one.pattern) for one in matches if one.pattern.kind == "loop" and one.rotation == 0}
    matches = [one for one in matches if one.rotation == 0 or _ring(one.pattern) not in exact]
    named = {
        _ring(one.pattern): one for one in reversed(matches) if one.rotation
    }  # the first name of a ring stands for it
    matches = [one for one in matches if one.rotation == 0 or named[_ring(one.pattern)] is one]
    return sorted(matches, key=lambda one: (-one.occurrences, one.start_beat))


def _runs(sheet: LeadSheet) -> Iterator[list[_HeldHarmony]]:
    """The harmonies between silences."""
    for silent, spans in groupby(sheet.chords, lambda span: span.chord.root is None):
        run: list[_HeldHarmony] = []
        for span in () if silent else spans:
            step, bass = _step(span.chord, sheet.key_at(span.start))
            here = _HeldHarmony(float(span.start), step, ((float(span.start), bass),))
            if run and _same(run[-1].step, step):
                run[-1] = _held_on(run[-1], here)
            else:
                run.append(here)
        if run:
            yield run


def _held_on(first: _HeldHarmony, more: _HeldHarmony) -> _HeldHarmony:
    """One harmony of two: a suspension takes its third from the other, a seventh in either counts."""
    (degree, third, seventh), (_, other, another) = first.step, more.step
    third = other if third == "?" else third
    return _HeldHarmony(first.start, (degree, third, seventh or another), first.basses + more.basses)


def _step(chord: Chord, key: Key) -> tuple[Step, int]:
    intervals = QUALITY_INTERVALS[chord.quality]
    third = "M" if 4 in intervals else "m" if 3 in intervals else "?"
    assert chord.bass_pc is not None
    return (scale_degree(chord, key), third, chord.quality in DOMINANTS), (chord.bass_pc - key.tonic_pc) % 12


def _same(one: Step, other: Step) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or "?" in (one[1], other[1]))


@lru_cache(maxsize=1 << 16)
def _fits(step: Step, options: tuple[Step, ...], shift: int = 0) -> bool:
    """Whether a chord, ``shift`` semitones lower, is one of the alternatives."""
    low = ((step[0] - shift) % 12, step[1], step[2])
    return any(_same(low, one) and (step[2] or not one[2]) for one in options)


def _walk(run: list[_HeldHarmony], size: int, fits: Callable[[int], bool]) -> Iterator[float]:
    """Starts of stretches of ``size`` harmonies that ``fits`` (index → bool) takes, without overlap but for a shared
    chord.
    """
    at = 0
    while at <= len(run) - size:
        if fits(at):
            yield run[at].start
            at += size - 1
        else:
            at += 1


def _phrases(pattern: Pattern, run: list[_HeldHarmony]) -> Iterator[float]:
    steps = pattern.steps
    return _walk(run, len(steps), lambda at: all(_fits(h.step, s) for h, s in zip(run[at:], steps)))


def _free(pattern: Pattern, run: list[_HeldHarmony]) -> Iterator[float]:
    steps = pattern.steps
    dominant = next(i for i, s in enumerate(steps) if s[0][1] == "M" and i > 0)

    def fits(at: int) -> bool:
        shift = (run[at].step[0] - steps[0][0][0]) % 12
        sure = shift == 0 or run[at + dominant].step[2]
        return sure and all(_fits(h.step, s, shift) for h, s in zip(run[at:], steps))

    return _walk(run, len(steps), fits)


def _vamps(pattern: Pattern, run: list[_HeldHarmony]) -> Iterator[float]:
    """Each round of a vamp that comes round four times or more."""
    first, second = pattern.steps
    fits = [(_fits(h.step, first), _fits(h.step, second)) for h in run]
    at = 0
    while at < len(run):
        size = 0
        while at + size < len(run) and fits[at + size][size % 2]:
            size += 1
        if size >= 8:
            yield from (run[at + k].start for k in range(0, size - 1, 2))
        at += max(1, size - 1 if size > 1 else 1)


def _chains(pattern: Pattern, run: list[_HeldHarmony]) -> Iterator[float]:
    for start, size, _ in _stretches(pattern, run):
        if size >= pattern.least:
            yield from (run[start + at].start for at in range(0, max(1, size - pattern.least + 1), len(pattern.steps)))


def _stretches(pattern: Pattern, run: list[_HeldHarmony]) -> Iterator[tuple[int, int, int]]:
    """(index, harmonies, place in the pattern) of the longest stretches that go round the pattern's ring."""
    count = len(pattern.steps)
    reach = [[0] * count for _ in range(len(run) + 1)]  # harmonies from here on, if the first stands at this place
    for index in range(len(run) - 1, -1, -1):
        for position, options in enumerate(pattern.steps):
            if _fits(run[index].step, options):
                reach[index][position] = 1 + reach[index + 1][(position + 1) % count]
    last = -1  # where the stretch before ended
    for start in range(len(run)):
        size = max(reach[start])
        if size > 1 and start + size - 1 > last:
            last = start + size - 1
            yield start, size, reach[start].index(size)


def _basses(pattern: Pattern, run: list[_HeldHarmony]) -> Iterator[float]:
    """A bass line, whatever stands on it; a note that is repeated counts once."""
    degrees = [step[0][0] for step in pattern.steps]
    moved = [(start, bass) for harmony in run for start, bass in harmony.basses]
    moved = [one for index, one in enumerate(moved) if index == 0 or one[1] != moved[index - 1][1]]
    for at in range(len(moved) - len(degrees) + 1):
        if [bass for _, bass in moved[at : at + len(degrees)]] == degrees:
            yield moved[at][0]


_SEARCH = {"phrase": _phrases, "free": _free, "vamp": _vamps, "chain": _chains, "bass": _basses}


def _ring(pattern: Pattern) -> tuple[tuple[Step, ...], ...]:
    """Return the steps in the one order that all rotations of a loop share."""
    steps = pattern.steps
    return min(steps[index:] + steps[:index] for index in range(len(steps)))


def _loops(pattern: Pattern, runs: list[list[_HeldHarmony]], fours: set[float]) -> list[PatternMatch]:
    """Where the loop goes round: as named once or more, rotated twice or more."""
    count, least = len(pattern.steps), pattern.least or len(pattern.steps)
    best: dict[int, PatternMatch] = {}
    for run in runs:
        for start, size, index in _stretches(pattern, run):
            if size < least:
                continue
            skip = _first_round(run, start, size, count, fours)
            rotation = (index + skip) % count
            if size < 2 * count - 1 and rotation:
                skip, rotation = (count - index) % count, 0  # once only: as named
            rounds = (size - skip + (count == size - skip + 1 and least < count)) // count
            rounds = max(rounds, 1) if size - skip >= least else rounds
            if rounds < 1 or size - skip < least or (rotation and size - skip < 2 * count - 1):
                continue
            old = best.get(rotation)
            begin = run[start + skip].start if old is None else old.start_beat
            best[rotation] = PatternMatch(pattern, begin, rounds + (old.occurrences if old else 0), rotation)
    return list(best.values())


def _first_round(run: list[_HeldHarmony], start: int, size: int, count: int, fours: set[float]) -> int:
    """Harmonies by which the first round begins after ``start``: at the place where most rounds begin on a four-bar
    line, the earliest in a tie.
    """
    hits = [
        sum(run[at].start in fours for at in range(start + skip, start + size, count))
        for skip in range(min(count, size))
    ]
    return max(range(len(hits)), key=lambda skip: (hits[skip], -skip))


def _bar_steps(sheet: LeadSheet) -> list[tuple[float, Step | None]]:
    """The bar lines, each with the chord that sounds on it."""
    starts, out = [span.start for span in sheet.chords], []
    for line in sheet.downbeats():
        at = bisect_right(starts, line) - 1
        chord = sheet.chords[at].chord if at >= 0 and sheet.chords[at].end > line else NO_CHORD
        out.append((float(line), None if chord.root is None else _step(chord, sheet.key_at(line))[0]))
    return out


def _bars(pattern: Pattern, bars: list[tuple[float, Step | None]]) -> list[PatternMatch]:
    """By the chord on each bar line, else on every second one (a blues counted twice as fast)."""
    for stride in (1, 2):
        size = stride * len(pattern.steps)
        at, starts = 0, []
        while at + size - stride < len(bars):
            steps = bars[at : at + size : stride]
            if all(step is not None and _fits(step, options) for (_, step), options in zip(steps, pattern.steps)):
                starts.append(bars[at][0])
                at += size
            else:
                at += 1
        if starts:
            return [PatternMatch(pattern, starts[0], len(starts))]
    return []
