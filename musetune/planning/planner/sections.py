"""The form of a plan, as a part of the grammar: sections that add up to the song."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from musetune.planning.planner.constraints import (
    FREE_LETTERS,
    INTRO,
    LONGEST,
    OPEN_BARS,
    SHORTEST,
    WRITTEN,
    PlanConstraints,
)
from musetune.planning.planner.vocabulary import FIRST, LABELS, LETTERS, MOST_SECTION

FORMED = FIRST["formed"]


class _Form:
    """Sections so far: ``form`` in order, ``counts`` bars of each label, ``left`` bars to the end (``closed``:
    exactly).
    """

    def __init__(self, pins: PlanConstraints, total: int | None) -> None:
        self.form: list[str] = []
        self.counts: dict[str, int] = {}
        self.exact, self.left, self.unit = total is not None, OPEN_BARS if total is None else total, pins.unit
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
        out = [label for label in letters if self.counts[label] <= self.left]
        if len(letters) < FREE_LETTERS and self.lengths(self.new_letter()):
            out.append(self.new_letter())
        if not self.form and self.left > SHORTEST and not self.unit:
            out.append("intro")
        if letters and self.lengths("outro"):
            out.append("outro")
        return out

    def new_letter(self) -> str:
        return next(letter for letter in LETTERS if letter not in self.counts)

    def lengths(self, label: str) -> list[int]:
        """The bars that a new section may have."""
        if label == "outro":
            return [self.left] if self.exact and self.left <= LONGEST else [] if self.exact else list(range(1, 17))
        if label == "intro":
            return list(range(1, min(INTRO, self.left - 1) + 1))
        room = min(self.left, LONGEST, WRITTEN - sum(self.counts.values()))
        out = [n for n in range(1, room + 1) if n >= SHORTEST or n == self.left]
        if self.unit and not self.form:
            whole = [n for n in out if n % self.unit == 0]
            out = whole or [min(self.left, self.unit, MOST_SECTION)]
        return out


def form(
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
    for change in range(len(free) + 1):  # AA cannot have 15 bars: 14 or 16 are as near as it gets
        for bars in (room - change, room + change):
            if shares := share(free, bars):
                return lengths | shares
    raise ValueError(f"{total} bars do not hold the sections {' '.join(label for label, _ in pins.form)}: ask for more")


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
