"""A song plan as words and as a lead sheet.

    <genre:pop> <meter:4/4> <mode:minor> <tonic:D> <1> <2> <0>            120 beats a minute
    <bars> <0> <1> <6>                                                    what was asked: bars, seconds or nothing
    (<open>)
    <section:A> <bars:8> <section:B> <bars:4> <section:A> </form>         A comes back, so its length is not said again
    <section:A> <0:min> <10:maj> <bass:4> <step:4> <5:maj> …              bars of A, then of B

A chord's word begins a bar; ``<step:k>`` puts a further chord into it, k half beats (in compound meters thirds of a
beat) after the bar line; ``<bass:n>`` puts the tone n semitones above the root into the bass. A section is written
once, however often it comes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from musetune.planning.planner.section_purposes import section_purposes
from musetune.planning.planner.vocabulary import FIRST, LABELS, LENGTHS, RANGE, chord_index, word_index
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Section
from musetune.symbols.key import SCALES
from musetune.symbols.names import FLATS, SHARPS, spell
from musetune.symbols.qualities import FLAT_DEGREES, degree_semitones

RAISED = ("dim", "dim7", "hdim7")  # qualities of chords that lead a semitone up
RAISED_STEPS = {1: 0, 3: 1, 6: 3, 8: 4}  # degrees between two of major, and letters above the tonic of the lower one
ODD_NAMES = ("B#", "E#", "Cb", "Fb")


class PlanChord(NamedTuple):
    """A chord from ``step`` of a bar on: ``degree`` 0–11 semitones above the tonic, ``bass`` 0–11 above the root.

    ``intervals`` are those of `Chord` where the words of the plan language, which have qualities alone, lack them.
    """

    step: int
    degree: int
    quality: str
    bass: int = 0
    intervals: tuple[int, ...] = ()


PlanBar = tuple[PlanChord, ...]


@dataclass(frozen=True)
class Plan:
    """A song: ``length`` is ("bars", 16), ("seconds", 60) or ("open", 0); ``form`` names sections in order,
    ``content`` has their bars, ``names`` what labels are called on a lead sheet, ``style`` the styles that it is in.
    """

    genre: str
    meter: Meter
    key: Key
    bpm: float
    length: tuple[str, int]
    form: tuple[str, ...]
    content: dict[str, tuple[PlanBar, ...]]
    names: tuple[tuple[str, str], ...] = ()
    style: str | None = None

    @property
    def bars(self) -> int:
        """Bars of the whole song."""
        return sum(len(self.content[label]) for label in self.form)

    def words(self, body: bool = True) -> list[int]:
        """Places of the words that say this plan; without ``body`` up to the end of the form."""
        out = [
            word_index(f"<genre:{self.genre}>"),
            word_index(f"<meter:{self.meter}>"),
            word_index(f"<mode:{self.key.mode}>"),
        ]
        out += [word_index(f"<tonic:{self.key.tonic}>"), *digits(round(self.bpm))]
        out += [
            FIRST["length"] + LENGTHS.index(self.length[0]),
            *(digits(self.length[1]) if self.length[0] != "open" else ()),
        ]
        for index, label in enumerate(self.form):
            out.append(FIRST["label"] + LABELS.index(label))
            if label not in self.form[:index]:
                out.append(FIRST["count"] + len(self.content[label]) - 1)
        out.append(FIRST["formed"])
        for label in dict.fromkeys(self.form) if body else ():
            out.append(FIRST["label"] + LABELS.index(label))
            for bar in self.content[label]:
                out += bar_words(bar)
        return out

    def sheet(self, labels: dict[str, str] | None = None) -> LeadSheet:
        """The lead sheet; ``labels`` says what the sections shall be called, by default as in ``names``."""
        labels = dict(self.names) if labels is None else labels
        beats, per_bar = step_beats(self.meter), Fraction(self.meter.beats_per_bar)
        spans: list[ChordSpan] = []
        sections: list[Section] = []
        start = Fraction(0)
        titles = [labels.get(label, label) for label in self.form]
        for label, title, purpose in zip(self.form, titles, section_purposes(titles), strict=True):
            bars = self.content[label]
            sections.append(Section(start, per_bar * len(bars), title, purpose))
            for bar in bars:
                ends = [chord.step * beats for chord in bar[1:]] + [per_bar]
                for chord, end in zip(bar, ends, strict=True):
                    at = chord.step * beats
                    spans.append(ChordSpan(start + at, end - at, absolute(chord, self.key)))
                start += per_bar
        zero, grid = Fraction(0), BeatGrid.constant(self.bpm, int(start))
        return LeadSheet(
            tuple(spans),
            (KeySpan(zero, self.key),),
            (MeterSpan(zero, self.meter),),
            grid,
            start,
            tuple(sections),
            self.genre,
            style=self.style,
        )


def digits(number: int) -> list[int]:
    """The words of a number 0–999, three digits."""
    return [FIRST["digit"] + int(digit) for digit in f"{number:03d}"]


def bar_words(bar: PlanBar) -> list[int]:
    """The words of a bar."""
    out: list[int] = []
    for chord in bar:
        if chord.step:
            out.append(RANGE["step"][chord.step - 1])
        out.append(chord_index(chord.degree, chord.quality))
        if chord.bass:
            out.append(RANGE["bass"][chord.bass - 1])
    return out


def steps_per_beat(meter: Meter) -> int:
    """Places in a beat where a chord may begin."""
    return 3 if meter.compound else 2


def step_beats(meter: Meter) -> Fraction:
    """Beats of a step."""
    return Fraction(1, steps_per_beat(meter))


def absolute(chord: PlanChord, key: Key) -> Chord:
    """The chord in ``key``, spelled as the key does.

    A diminished chord between two degrees of major is the lower one raised, from which it leads up: C#dim7 to Dm. A
    root outside of the key with a name that nobody reads gives way to the plain one: C5, not B#5.
    """
    if chord.quality == "N":
        return Chord(None, "N")
    pc = (key.tonic_pc + chord.degree) % 12
    name = key.name_of(pc)
    if chord.quality in RAISED and key.mode == "major" and chord.degree in RAISED_STEPS:
        name = spell(key.tonic, RAISED_STEPS[chord.degree], pc)
    scale = SCALES[key.mode]
    if len(name) > 2 or (name in ODD_NAMES and chord.degree not in scale):
        name = (FLATS if key.uses_flats else SHARPS)[pc]
    return Chord(name, chord.quality, FLAT_DEGREES[chord.bass], chord.intervals)


def relative(chord: Chord, key: Key, step: int) -> PlanChord:
    """``chord`` as this language has it."""
    if chord.root_pc is None:
        return PlanChord(step, 0, "N")
    return PlanChord(step, (chord.root_pc - key.tonic_pc) % 12, chord.quality, degree_semitones(chord.bass) % 12)


def bars_of(sheet: LeadSheet, key: Key | None = None) -> list[PlanBar]:
    """The chords of each bar from beat 0 on, in ``key`` (default: the sheet's), a begun bar counted whole.

    A chord sounds on from the bar before where none begins on the bar line; a bar that no chord reaches is empty.
    Chords that begin between two steps move to the nearer one; of two on one step the later stays.
    """
    key, per_beat, per_bar = key or sheet.key, steps_per_beat(sheet.meter), sheet.meter.beats_per_bar
    steps = per_bar * per_beat
    chords_by_bar: list[dict[int, Chord]] = [{} for _ in range(math.ceil(sheet.length / per_bar))]
    for span in sheet.chords:
        first, last = round(span.start * per_beat), round(span.end * per_beat)
        for bar in range(first // steps, -(-last // steps)):
            if bar < len(chords_by_bar) and last > first:
                chords_by_bar[bar][max(first - bar * steps, 0)] = span.chord
    return [_bar(chords, key) for chords in chords_by_bar]


def _bar(chords: dict[int, Chord], key: Key) -> PlanBar:
    """A bar's chords in order; the first from the bar line on, equal neighbours as one."""
    out: list[PlanChord] = []
    for step in sorted(chords):
        chord = relative(chords[step], key, step if out else 0)
        if not out or out[-1][1:] != chord[1:]:
            out.append(chord)
    return tuple(out)


def bars_in(seconds: float, bpm: float, meter: Meter) -> int:
    """Whole bars nearest to ``seconds`` at ``bpm``, one at least."""
    return max(1, round(seconds * bpm / 60 / meter.beats_per_bar))
