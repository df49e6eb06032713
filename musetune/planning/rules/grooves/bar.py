"""The bar that a groove reads, and what it writes: hits of drums, strikes of pitches.

Places are counted in steps. A quarter has four, a dotted quarter of 6/8 six; of 7/8 an eighth has two. The beats that
a listener taps are pulses: four in 4/4, two in 6/8, three (2 + 2 + 3 eighths) in 7/8, five (3 + 2 quarters) in 5/4.
A pattern is written for four pulses of four steps; ``GrooveBar.line`` lays it into any other bar.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from musetune.symbols import Chord, Meter

STEPS = 4  # of a quarter
BAR_STEPS = 16  # of a pattern of one bar
SPARSE, GHOSTS, FULL = 0.5, 0.68, 0.75  # densities: below the first a section is sparse, from the last on full
# Signs of strokes: an accent, one that sparse sections keep too, one that they leave out, a ghost, one of full sections
LOUDNESS = {"X": 0.95, "o": 0.72, "x": 0.72, "g": 0.38, "f": 0.58}
LEAST_DENSITY = {"X": 0.0, "o": 0.0, "x": SPARSE, "g": GHOSTS, "f": FULL}
LEVELS = {"1": SPARSE, "2": FULL}  # the same for signs of pitches, written in a line below them
# Which quarter of a 4/4 pattern each pulse of a group plays, by the group's pulses; a second group of two is 3 and 4
QUARTERS = {1: (0,), 2: (0, 1), 3: (0, 1, 3), 4: (0, 1, 2, 3)}


@dataclass(frozen=True)
class Pulse:
    """A beat that one taps: its first step in the bar, its steps, and the quarter of a 4/4 pattern that it plays."""

    start: int
    steps: int
    quarter: int


@dataclass(frozen=True)
class BarChord:
    """A chord inside a bar, from step ``start`` to ``end``."""

    start: float
    end: float
    chord: Chord


@dataclass(frozen=True)
class Hit:
    """A stroke on a drum of ``drums.KIT``; loudness 0–1."""

    step: float
    drum: str
    loudness: float


@dataclass(frozen=True)
class Strike:
    """A note: place and length in steps, MIDI pitch, loudness 0–1."""

    step: float
    steps: float
    pitch: int
    loudness: float


@dataclass(frozen=True)
class GrooveBar:
    """What a groove knows of the bar that it plays.

    Attributes:
        meter: The bar's time signature.
        chords: The chords in it, in order; none where nobody plays chords.
        following: The chord on the next bar line, None at the end or before silence.
        number: The bar's number in its section, from 0.
        count: Bars of the section.
        density: How much is played, 0–1.
        seed: What random choices follow from; equal in sections that come back.
        song: What the choice of a pattern follows from where a player keeps one for all sections.
        before: Pitches that the player struck last.
        span: Lowest and highest MIDI pitch of a player of chords.
    """

    meter: Meter
    chords: tuple[BarChord, ...] = ()
    following: Chord | None = None
    number: int = 0
    count: int = 4
    density: float = 0.8
    seed: str = "0"
    song: str = ""
    before: tuple[int, ...] = ()
    span: tuple[int, int] = (48, 79)

    @property
    def pulses(self) -> tuple[Pulse, ...]:
        """The beats that one taps."""
        return pulses_of(self.meter)

    @property
    def steps(self) -> int:
        """Steps of the bar."""
        last = self.pulses[-1]
        return last.start + last.steps

    @property
    def last(self) -> bool:
        """Whether it ends its section."""
        return self.number == self.count - 1

    @property
    def sparse(self) -> bool:
        """Whether only what makes the groove is played."""
        return self.density < SPARSE

    @property
    def full(self) -> bool:
        """Whether players add to what is usual."""
        return self.density >= FULL

    @property
    def theme(self) -> random.Random:
        """Chance that is equal in all bars of a section, or of the song where ``song`` says so."""
        return random.Random(self.song or self.seed)

    @property
    def chance(self) -> random.Random:
        """Chance of this bar."""
        return random.Random(f"{self.seed}:{self.number}")

    def line(self, pattern: str, compound: str | None = None) -> str:
        """A pattern laid into this bar, one sign a step.

        Args:
            pattern: Signs of one bar (16) or of several that take turns (32, 64); ``-`` holds, ``.`` is silent.
            compound: Six signs a pulse for pulses of six steps; None stretches the pattern's.
        """
        signs, whole = "", len(pattern)
        # A bar of two beats plays half of a 4/4 pattern, the next bar the other half
        first = self.number * (8 if len(self.pulses) == 2 and self.pulses[0].steps == STEPS else BAR_STEPS)
        for index, pulse in enumerate(self.pulses):
            at = (first + pulse.quarter * STEPS) % whole
            cell = pattern[at : at + STEPS]
            if pulse.steps == 6 and compound is not None:
                signs += compound[index * 6 % len(compound) :][:6]
            else:
                signs += cell[: pulse.steps] if pulse.steps <= STEPS else _stretch(cell)
        return signs

    def hits(self, compound: Mapping[str, str] | None = None, /, **patterns: str) -> Iterator[Hit]:
        """Strokes of patterns by drum.

        ``X`` is an accent and ``o`` a stroke of every bar, ``x`` a stroke that a sparse bar leaves out, ``g`` a ghost,
        ``f`` a stroke of full bars alone.
        """
        for drum, pattern in patterns.items():
            for step, sign in enumerate(self.line(pattern, (compound or {}).get(drum))):
                if sign in LOUDNESS and self.density >= LEAST_DENSITY[sign]:
                    yield Hit(step, drum, LOUDNESS[sign])

    def sounding_line(self, pattern: str, compound: str | None = None, levels: tuple[str, str] = ("", "")) -> str:
        """A pattern laid into this bar, without the signs for which it is too sparse: the note before goes on.

        Args:
            pattern: As of `line`.
            compound: As of `line`.
            levels: Below pattern and compound: 1 under a sign that sparse bars leave out, 2 under one of full bars.
        """
        line, below = self.line(pattern, compound), " " * self.steps
        if levels[0]:
            below = self.line(levels[0], levels[1] or " " * 6)
        out = ""
        for sign, level in zip(line, below, strict=True):
            silent = not out or out[-1] == "."
            if sign == "-" and silent:
                sign = "."
            elif sign not in ".-" and self.density < max(LEAST_DENSITY.get(sign, 0.0), LEVELS.get(level, 0.0)):
                sign = "." if silent else "-"
            out += sign
        return out

    def places(
        self, pattern: str, compound: str | None = None, levels: tuple[str, str] = ("", "")
    ) -> Iterator[tuple[float, float, str, Chord]]:
        """(step, steps, sign, chord) of every sign heard: ``-`` holds it, and a change of harmony strikes it again."""
        line = self.sounding_line(pattern, compound, levels)
        for step, sign in enumerate(line):
            if sign in ".-":
                continue
            end = step + 1
            while end < len(line) and line[end] == "-":
                end += 1
            for span in self.chords:
                start, stop = max(span.start, step), min(span.end, end)
                if stop - start > 1e-6:
                    yield start, stop - start, sign, span.chord

    def chord_at(self, step: float) -> Chord | None:
        """The chord that sounds at a step."""
        return next((s.chord for s in self.chords if s.start - 1e-6 <= step < s.end - 1e-6), None)


@lru_cache(maxsize=64)
def pulses_of(meter: Meter) -> tuple[Pulse, ...]:
    """The beats that one taps in a meter, with what a 4/4 pattern plays on each.

    Example:
        >>> [pulse.steps for pulse in pulses_of(Meter(7, 8))], [pulse.quarter for pulse in pulses_of(Meter(5, 4))]
        ([4, 4, 6], [0, 1, 3, 2, 3])
    """
    beats = meter.numerator
    if meter.compound:
        lengths = [6] * meter.beats_per_bar
    elif meter.denominator >= 8:
        lengths = [4] * (beats // 2 - 1) + [6] if beats % 2 and beats > 1 else [4] * (beats // 2) or [2]
    elif meter.denominator <= 2:
        lengths = [4] * (2 * beats)
    else:
        lengths = [4] * beats
    pulses: list[Pulse] = []
    start = 0
    for group in _groups(len(lengths)):
        shift = 2 if pulses and group == 2 else 0
        for place in QUARTERS[group]:
            steps = lengths[len(pulses)]
            pulses.append(Pulse(start, steps, place + shift))
            start += steps
    return tuple(pulses)


def _groups(pulses: int) -> list[int]:
    """Pulses in groups of three and four, at the end of two: 5 → 3 2, 6 → 3 3, 7 → 4 3."""
    if pulses <= 4:
        return [pulses]
    if pulses in (5, 6):
        return [3, pulses - 3]
    return [4, *_groups(pulses - 4)]


def steps_per_beat(meter: Meter) -> int:
    """Steps of a beat as lead sheets count beats: 4 of a quarter, 6 in 6/8, 2 of an eighth in 7/8, 8 in 2/2."""
    return 6 if meter.compound else 2 if meter.denominator >= 8 else 8 if meter.denominator <= 2 else STEPS


def _stretch(cell: str) -> str:
    """Four signs over three eighths: second, third or fourth come on the last two; ``-`` goes on holding."""
    first, second, third, fourth = tuple(cell)
    late = third if third not in ".-" else fourth if fourth not in ".-" else third
    held = "-" if second == "-" else "."
    between = "-" if "-" in (second, third) and second not in "." else "."
    return first + held + second + between + late + ("-" if fourth == "-" else ".")
