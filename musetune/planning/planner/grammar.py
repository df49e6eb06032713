"""The grammar of plans, as one generator: it yields the words that may come next and is sent the word that came.

`song(pins)` returns the Plan at the end, so that what writes, checks and reads a plan is the same code. What is pinned
leaves one word to choose from. All sums are done here: seconds become whole bars at the tempo and meter that were
written, and sections add up to them.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.language import Plan, PlanBar, PlanChord, bar_words, bars_in, digits, steps_per_beat
from musetune.planning.planner.sections import form as sections
from musetune.planning.planner.vocabulary import CHORDS, END, FIRST, LABELS, LENGTHS, MODES, RANGE, TONICS, chord_at
from musetune.symbols import GENRES, Key, Meter
from musetune.symbols.meter import METERS

Words = tuple[int, ...]
Step = Generator[Words, int, int]
FREE = PlanConstraints()


def song(pins: PlanConstraints = FREE) -> Generator[Words, int, Plan]:
    """The grammar of a whole plan; see this module's description."""
    genre = GENRES[(yield from _one("genre", GENRES, (pins.genre,) if pins.genre else pins.genres or GENRES))]
    meters = [m for m in ([str(pins.meter)] if pins.meter else pins.meters or METERS) if pins.tempi(Meter.parse(m))]
    if not meters:
        at = "any tempo" if pins.bpm is None else f"{pins.bpm:g} bpm"
        raise ValueError(
            f"duration_seconds={pins.seconds} does not hold the song's {pins.least}–{pins.most} bars at {at}: ask for "
            f"other ones"
        )
    meter = Meter.parse(METERS[(yield from _one("meter", METERS, meters))])
    keys = (
        [(key.mode, key.tonic) for key in pins.keys]
        if pins.keys
        else [(mode, tonic) for mode in MODES for tonic in TONICS]
    )
    mode = MODES[(yield from _one("mode", MODES, [mode for mode, _ in keys]))]
    tonic = TONICS[(yield from _one("tonic", TONICS, [tonic for its, tonic in keys if its == mode]))]
    key, tempi = Key(tonic, mode), pins.tempi(meter)
    tempo = yield from _number(tempi[0], tempi[-1])
    bpm = float(tempo) if pins.bpm is None else pins.bpm
    length, total = yield from _length(pins, bpm, meter)
    form, counts = yield from sections(pins, total)
    content = yield from _body(counts, pins.content(key, meter), meter, pins.chords)
    return Plan(genre, meter, key, bpm, length, form, content)


def parse(words: Sequence[int], pins: PlanConstraints = FREE) -> Plan:
    """The plan that ``words`` (their places, the END among them) say.

    Raises ValueError for the first word that cannot stand where it does.
    """
    grammar = song(pins)
    choices = next(grammar)
    for index, word in enumerate(words):
        if word not in choices:
            raise ValueError(
                f"word {index} of the plan, place {word}, is not one of the {len(choices)} that may stand there"
            )
        try:
            choices = grammar.send(word)
        except StopIteration as done:
            return done.value
    raise ValueError(f"the plan ends after {len(words)} words, before its last bar")


def _one(kind: str, names: Sequence[str], choice: Sequence[str]) -> Step:
    """One word of a kind out of ``choice``; its index among ``names``."""
    word = yield tuple(sorted({FIRST[kind] + names.index(name) for name in choice}))
    return word - FIRST[kind]


def _number(low: int, high: int) -> Step:
    """Three digits between ``low`` and ``high``."""
    value = 0
    for unit in (100, 10, 1):
        fits = [d for d in range(10) if value + d * unit <= high and value + d * unit + unit - 1 >= low]
        word = yield tuple(FIRST["digit"] + d for d in fits)
        value += (word - FIRST["digit"]) * unit
    return value


def _length(
    pins: PlanConstraints, bpm: float, meter: Meter
) -> Generator[Words, int, tuple[tuple[str, int], int | None]]:
    """What is asked, and the bars that it makes: None where that is open."""
    least, most = max(1, pins.least), pins.most
    if pins.bars is not None:
        yield from _one("length", LENGTHS, ("bars",))
        yield from _force(digits(pins.bars))
        return ("bars", pins.bars), pins.bars
    if pins.seconds is not None:
        yield from _one("length", LENGTHS, ("seconds",))
        seconds, total = min(999, max(1, round(pins.seconds))), bars_in(pins.seconds, bpm, meter)
        yield from _force(digits(seconds))
        return ("seconds", seconds), total
    form_is_length = pins.form and (
        not pins.closed or all(count for _, count in pins.form)
    )  # the form says how long the song is
    kind = LENGTHS[(yield from _one("length", LENGTHS, ("open",) if form_is_length else LENGTHS))]
    if kind == "open":
        return (kind, 0), pins.least if pins.closed and form_is_length else None
    if kind == "bars":
        count = yield from _number(least, most)
        return (kind, count), count
    bar = 60 * meter.beats_per_bar / bpm
    count = yield from _number(
        min(999, max(1, math.ceil(bar * (least - 0.49)))), max(1, min(999, int((most + 0.49) * bar)))
    )
    return (kind, count), min(max(bars_in(count, bpm, meter), least), most)


def _force(words: Sequence[int]) -> Generator[Words, int, None]:
    for word in words:
        yield (word,)


def _body(
    counts: dict[str, int], fixed_bars: dict[tuple[str, int], PlanBar], meter: Meter, most_chords: int | None
) -> Generator[Words, int, dict[str, tuple[PlanBar, ...]]]:
    """The bars of each section, those that are free with at most so many chords."""
    items: list[tuple[str, int]] = [(label, index) for label, count in counts.items() for index in range(-1, count)]
    firsts: list[Words] = [
        (FIRST["label"] + LABELS.index(label),)
        if index < 0
        else (bar_words(fixed_bars[label, index])[0],)
        if (label, index) in fixed_bars
        else CHORDS
        for label, index in items
    ]
    content: dict[str, list[PlanBar]] = {label: [] for label in counts}
    steps = meter.beats_per_bar * steps_per_beat(meter)
    word = yield firsts[0]
    for (label, index), follow in zip(items, [*firsts[1:], (END,)], strict=True):
        if index < 0:
            word = yield follow
        elif (label, index) in fixed_bars:
            yield from _force(bar_words(fixed_bars[label, index])[1:])
            content[label].append(fixed_bars[label, index])
            word = yield follow
        else:
            bar, word = yield from _bar(word, follow, steps, most_chords or steps)
            content[label].append(bar)
    return {label: tuple(bars) for label, bars in content.items()}


def _bar(word: int, follow: Words, steps: int, most_chords: int) -> Generator[Words, int, tuple[PlanBar, int]]:
    """A free bar that begins with the chord ``word``; also the word of ``follow`` that came after it."""
    bar = [PlanChord(0, *chord_at(word))]
    ends = frozenset(follow)
    while True:
        basses = RANGE["bass"] if bar[-1].bass == 0 and bar[-1].quality != "N" else ()
        later = RANGE["step"][bar[-1].step : steps - 1] if len(bar) < most_chords else ()
        word = yield (*follow, *basses, *later)
        if word in ends:
            return tuple(bar), word
        if word in RANGE["bass"]:
            bar[-1] = bar[-1]._replace(bass=word - FIRST["bass"] + 1)
        else:
            step = word - FIRST["step"] + 1
            bar.append(PlanChord(step, *chord_at((yield CHORDS))))
