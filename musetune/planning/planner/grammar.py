"""The grammar of plans, as one generator: it yields the words that may come next and is sent the word that came.

`song(pins)` returns the Plan at the end, so that what writes, checks and reads a plan is the same code. What is pinned
leaves one word to choose from. All sums are done here: seconds become whole bars at the tempo and meter that were
written, and sections add up to them.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

from musetune.planning.planner.constraints import (
    FREE_LETTERS,
    INTRO,
    LONGEST,
    OPEN_BARS,
    SHORTEST,
    WRITTEN,
    PlanConstraints,
    phrases_near,
    whole_phrases,
)
from musetune.planning.planner.language import Plan, PlanBar, PlanChord, bar_words, bars_in, digits, steps_per_beat
from musetune.planning.planner.vocabulary import (
    CHORDS,
    END,
    FIRST,
    LABELS,
    LENGTHS,
    LETTERS,
    MODES,
    MOST_SECTION,
    RANGE,
    TONICS,
    chord_at,
)
from musetune.symbols import GENRES, Key, Meter
from musetune.symbols.meter import METERS

NEAR = 4  # bars a section by which a song may be longer or shorter so that its phrases are whole
Words = tuple[int, ...]
Step = Generator[Words, int, int]
FREE = PlanConstraints()
FORMED = FIRST["formed"]


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
    tempo = yield from _number(tempi)
    bpm = float(tempo) if pins.bpm is None else pins.bpm
    length, total = yield from _length(pins, bpm, meter)
    form, counts = yield from _sections(pins, total)
    fixed_bars = pins.content(key, meter, tuple((label, counts[label]) for label in form))
    content = yield from _body(counts, fixed_bars, meter, pins.chords)
    return Plan(genre, meter, key, bpm, length, form, content, pins.names, pins.style)


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


def _number(numbers: Sequence[int]) -> Step:
    """Three digits that are one of ``numbers``."""
    left = list(numbers)
    for unit in (100, 10, 1):
        fits = sorted({number // unit % 10 for number in left})
        word = yield tuple(FIRST["digit"] + digit for digit in fits)
        left = [number for number in left if number // unit % 10 == word - FIRST["digit"]]
    return left[0]


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
        count = yield from _number(range(least, most + 1))
        return (kind, count), count
    bar = 60 * meter.beats_per_bar / bpm
    count = yield from _number(
        range(min(999, max(1, math.ceil(bar * (least - 0.49)))), max(1, min(999, int((most + 0.49) * bar))) + 1)
    )
    return (kind, count), min(max(bars_in(count, bpm, meter), least), most)


class _Form:
    """Sections so far: ``form`` in order, ``counts`` bars of each label, ``left`` bars to the end (``closed``:
    exactly).
    """

    def __init__(self, pins: PlanConstraints, total: int | None) -> None:
        self.form: list[str] = []
        self.counts: dict[str, int] = {}
        self.exact, self.left = total is not None, OPEN_BARS if total is None else total
        self.unit, self.phrase = pins.unit, pins.phrase or 1
        self.closed = False

    def add(self, label: str, count: int) -> None:
        self.form.append(label)
        self.counts[label] = count
        self.left -= count

    def labels(self) -> list[str]:
        """The labels that may come next, so that the bars can be made to add up."""
        if (self.form and self.form[-1] == "outro") or self.left <= 0:
            return []
        letters = [label for label in self.counts if label in LETTERS]
        out = [label for label in letters if self.leaves_room(self.counts[label])]
        if len(letters) < FREE_LETTERS and self.lengths(self.new_letter()):
            out.append(self.new_letter())
        if not self.form and self.left > SHORTEST and not self.unit and self.lengths("intro"):
            out.append("intro")
        if letters and self.lengths("outro"):
            out.append("outro")
        return out or [label for label in letters if self.counts[label] <= self.left]

    def leaves_room(self, count: int) -> bool:
        """Whether ``count`` bars end the song or leave, where sections are phrases, as many as one has at least."""
        rest = self.left - count
        return rest == 0 or rest >= (SHORTEST if self.exact and self.phrase > 1 else 1)

    def new_letter(self) -> str:
        return next(letter for letter in LETTERS if letter not in self.counts)

    def lengths(self, label: str) -> list[int]:
        """The bars that a new section may have."""
        if label == "outro":
            return [self.left] if self.exact and self.left <= LONGEST else [] if self.exact else list(range(1, 17))
        if label == "intro":
            every = [n for n in range(1, min(INTRO, self.left - 1) + 1) if self.leaves_room(n)]
            return [n for n in every if n % self.phrase == 0]
        room = min(self.left, LONGEST, WRITTEN - sum(self.counts.values()))
        every = [n for n in range(1, room + 1) if n >= SHORTEST or n == self.left]
        out = [n for n in every if self.leaves_room(n)] or every
        if self.unit and not self.form:
            whole = [n for n in out if n % self.unit == 0]
            return whole or [min(self.left, self.unit, MOST_SECTION)]
        return [n for n in out if n % self.phrase == 0] or out


def _sections(
    pins: PlanConstraints, total: int | None
) -> Generator[tuple[int, ...], int, tuple[tuple[str, ...], dict[str, int]]]:
    """The sections: those that are pinned, then, unless the form is closed, such as fill the song."""
    state = _Form(pins, total)
    lengths = _given_lengths(pins, total)
    for label, _ in pins.form:
        yield (FIRST["label"] + LABELS.index(label),)
        if label not in state.counts:
            counts = [lengths[label]] if label in lengths else list(range(SHORTEST, LONGEST + 1))
            lengths[label] = (yield tuple(FIRST["count"] + n - 1 for n in counts)) - FIRST["count"] + 1
        state.add(label, lengths[label])
    while not pins.closed:
        choice = state.labels()
        short = not state.exact and OPEN_BARS - state.left < pins.least_open
        if short and choice != ["outro"]:
            choice = [label for label in choice if label != "outro"]
        words = [FIRST["label"] + LABELS.index(label) for label in choice]
        if state.form and (state.left <= 0 if state.exact else any(label in LETTERS for label in state.form)):
            words += [] if short and choice else [FORMED]
        word = yield tuple(sorted(set(words)))
        if word == FORMED:
            return tuple(state.form), state.counts
        label = LABELS[word - FIRST["label"]]
        if label in state.counts:
            count = state.counts[label]
        else:
            count = (yield tuple(FIRST["count"] + n - 1 for n in state.lengths(label))) - FIRST["count"] + 1
        state.add(label, count)
    yield (FORMED,)
    return tuple(state.form), state.counts


def _given_lengths(pins: PlanConstraints, total: int | None) -> dict[str, int]:
    """Bars of the pinned labels: as given, else a share of ``total``.

    Where that is open, those lengths are the model's to choose.
    """
    lengths = {label: count for label, count in pins.form if count}
    free = [label for label, _ in pins.form if label not in lengths]
    if not free or total is None or not pins.closed:
        return lengths
    room = total - sum(lengths.get(label, 0) for label, _ in pins.form)
    if pins.usual and (near := _usual_lengths(pins, free, room)):
        return lengths | near
    for change in range(NEAR * len(free) + 1 if pins.near else 1):  # whole phrases, as near to the length as they come
        for bars in (room - change, room + change):
            if pins.phrase and (shares := whole_phrases(free, bars, pins.phrase)):
                return lengths | shares
    for change in range(len(free) + 1):  # AA cannot have 15 bars: 14 or 16 are as near as it gets
        for bars in (room - change, room + change):
            if shares := share(free, bars):
                return lengths | shares
    raise ValueError(f"{total} bars do not hold the sections {' '.join(label for label, _ in pins.form)}: ask for more")


def _usual_lengths(pins: PlanConstraints, free: Sequence[str], room: int) -> dict[str, int] | None:
    """Lengths near the usual ones that add up to ``room``, or nearly so where whole phrases go before the length."""
    phrase = pins.phrase or 1
    if pins.near:
        totals = [bars for change in range(NEAR * len(free) + 1) for bars in (room - change, room + change)]
        shares = (phrases_near(free, bars, phrase, pins.usual) for bars in totals)
    else:
        shares = (phrases_near(free, room, part, pins.usual) for part in sorted({phrase, 2, 1}, reverse=True))
    return next((one for one in shares if one), None)


def share(order: Sequence[str], bars: int) -> dict[str, int] | None:
    """Lengths for the labels of ``order`` that add up to ``bars``, as alike as can be, multiples of 4 before others.

    None where there are none.
    """
    for unit in (4, 2, 1):
        usual = max(unit, round(bars / len(order) / unit) * unit)
        for rest in sorted(
            set(order), key=lambda label: (order.count(label), -order.index(label))
        ):  # takes what is left
            rest_bars, times = bars - usual * (len(order) - order.count(rest)), order.count(rest)
            if rest_bars > 0 and rest_bars % times == 0 and max(usual, rest_bars // times) <= MOST_SECTION:
                return {label: rest_bars // times if label == rest else usual for label in order}
    return None


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
