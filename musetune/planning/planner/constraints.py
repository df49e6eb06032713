"""What is given to a plan before it is written, and how large it may become."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from musetune.planning.planner.language import PlanBar, bars_in
from musetune.planning.planner.vocabulary import MOST_SECTION
from musetune.symbols import BPM_RANGE, Key, Meter

MOST_BARS = 512  # of a song
OPEN_BARS = 128  # of a song whose length nobody named
WRITTEN = 96  # bars that are written out, unless a form is pinned: what is longer comes back
FREE_LETTERS = 8  # sections that a model may make up
SHORTEST, LONGEST = 4, 32  # bars of a section that it makes up; a rest that is shorter may be one too
INTRO = 16  # most bars of an intro
PHRASE_BARS = 4  # of the phrase of which sections hold two, four or eight
FITTING = 0.3  # share of the tempi at which a song of so many seconds keeps nearest to the usual bars of its sections
FULL = 60  # bars of a section whose length follows from the song's, so that all can be made to add up


def whole_phrases(order: Sequence[str], bars: int, phrase: int) -> dict[str, int] | None:
    """Lengths of the labels of ``order``, multiples of ``phrase``, that add up to ``bars``, as alike as can be.

    None where there are none.

    Example:
        >>> whole_phrases(["A", "B", "A"], 24, 4)
        {'A': 8, 'B': 8}
        >>> whole_phrases(["A", "A"], 12, 4) is None
        True
    """
    total, wrong = divmod(bars, phrase)
    counts = {label: order.count(label) for label in dict.fromkeys(order)}
    if wrong or total < len(order):
        return None
    lengths = {label: max(1, total // len(order)) for label in counts}
    rest = total - sum(lengths[label] * count for label, count in counts.items())
    more: dict[int, tuple[int, dict[str, int]]] = {0: (0, {})}  # phrases to add → how uneven, what each label gets
    for label, count in counts.items():
        for got, (uneven, shares) in list(more.items()):
            for times in range(1, (rest - got) // count + 1):
                there, cost = got + times * count, uneven + count * times**2
                if there not in more or cost < more[there][0]:
                    more[there] = cost, shares | {label: times}
    if rest not in more:
        return None
    out = {label: (length + more[rest][1].get(label, 0)) * phrase for label, length in lengths.items()}
    return out if max(out.values()) <= MOST_SECTION else None


@lru_cache(maxsize=64)
def _phrases_near(
    order: tuple[str, ...], phrase: int, usual: tuple[tuple[str, int], ...]
) -> dict[int, tuple[int, tuple[int, ...]]]:
    """All bars that the labels of ``order`` can have together in whole phrases → how far off, phrases of each label."""
    near = dict(usual)
    table: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for label in dict.fromkeys(order):
        times, wanted = order.count(label), max(1, round(near.get(label, 2 * phrase) / phrase))
        grown: dict[int, tuple[int, tuple[int, ...]]] = {}
        for length in range(1, MOST_SECTION // phrase + 1):
            uneven = (
                phrase == PHRASE_BARS and length > 1 and length % 2 == 1 != wanted % 2
            )  # 12 or 20 bars in place of 16
            cost = times * ((length - wanted) ** 2 + uneven)
            for bars, (off, lengths) in table.items():
                total = bars + times * length * phrase
                if total <= MOST_BARS and (total not in grown or off + cost < grown[total][0]):
                    grown[total] = off + cost, (*lengths, length)
        table = grown
    return table


def phrases_near(
    order: Sequence[str], bars: int, phrase: int, usual: Sequence[tuple[str, int]]
) -> dict[str, int] | None:
    """Lengths of the labels of ``order``, multiples of ``phrase``, that add up to ``bars``, as near to the usual ones
    as can be.

    Args:
        order: Labels of sections in order.
        bars: Bars of all of them.
        phrase: Bars of which each length is a multiple.
        usual: Label and usual bars; a label that is missing has two phrases.

    Returns:
        Bars of each label, at most MOST_SECTION; None where no such lengths add up.

    Example:
        >>> phrases_near(["intro", "A", "B", "A"], 32, 4, [("intro", 4), ("A", 8), ("B", 8)])
        {'intro': 8, 'A': 8, 'B': 8}
    """
    found = _phrases_near(tuple(order), phrase, tuple(usual)).get(bars)
    if found is None:
        return None
    return {label: length * phrase for label, length in zip(dict.fromkeys(order), found[1], strict=True)}


LabelledBars = tuple[tuple[str, int], ...]  # labels of a song's sections in order, and their bars
Content = Callable[[Key, Meter, LabelledBars], dict[tuple[str, int], PlanBar]]


def _nothing(_key: Key, _meter: Meter, _sections: LabelledBars) -> dict[tuple[str, int], PlanBar]:
    return {}


@dataclass(frozen=True)
class StylePrior:
    """What a style wants of one plan, as `StyleSteering` shifts the transformer's thoughts.

    Attributes:
        meters: Time signatures and their weights.
        changes: Chord changes in a bar; None: as the transformer thinks.
        hold: Most bars on one chord; None: any.
        shares: Share, 0–1, of chords of a kind (`style_rows.CHORD_SHARES`).
        palette: Most different roots of chords; None: any.
        home: Whether the song's last bar comes to the tonic, or may lead to the beginning instead.
        closes: Whether sections close and phrases are alike, as `StyleSteering` says; not so in chorales, whose phrases
            the transformer knows.
        resolves: Whether dominant sevenths lead on to the chord a fifth below; not so in blues, where they rest.
        approaches: Degrees, semitones above the tonic, of the chords that lead home at the end of a song, by mode.
    """

    meters: tuple[tuple[str, float], ...] = ()
    changes: float | None = None
    hold: int | None = None
    shares: dict[str, float] = field(default_factory=dict)
    palette: int | None = None
    home: bool = False
    closes: bool = True
    resolves: bool = True
    approaches: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanConstraints:
    """What is given.

    ``keys``: those to choose from. ``bars`` or ``seconds``: the length, of which one may be given. ``form``: (label,
    bars or None) of the first sections; ``closed``: there are no others. ``content(key, meter, sections)``: bars by
    (label, number), in a song of these sections. ``unit``: bars of a progression of which the first section shall hold
    a whole number, where its length is free.

    What a prompt's everyday words mean narrows what is free: ``genres`` and ``meters`` to choose from (empty: any),
    ``tempo``: fewest and most beats a minute, ``chords``: most in a bar that is written, ``least_open``: fewest bars of
    a song whose length nobody named, ``phrase``: bars of which sections that the model makes up hold a whole number
    where they can, ``names``: what the labels of ``form`` are called, ``prior``: what the style wants, ``style``: its
    name, or several parted by commas, ``near``: whether a form's whole phrases go before its length in seconds,
    ``usual``: (label, bars) of the sections of ``form`` whose bars are open, near which they stay where they can.
    """

    genre: str | None = None
    meter: Meter | None = None
    keys: tuple[Key, ...] | None = None
    bpm: float | None = None
    bars: int | None = None
    seconds: float | None = None
    form: tuple[tuple[str, int | None], ...] = ()
    closed: bool = False
    content: Content = _nothing
    unit: int | None = None
    genres: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    tempo: tuple[int, int] | None = None
    chords: int | None = None
    least_open: int = 0
    phrase: int | None = None
    names: tuple[tuple[str, str], ...] = ()
    prior: StylePrior | None = None
    style: str | None = None
    near: bool = False
    usual: LabelledBars = ()

    @property
    def has_content(self) -> bool:
        """Whether chords are pinned."""
        return self.content is not _nothing

    @property
    def least(self) -> int:
        """Fewest bars that the pinned sections have, 0 without any."""
        return sum(count or 1 for _, count in self.form)

    @property
    def most(self) -> int:
        """Most bars that the song can have: the sections of a closed form are not longer than FULL."""
        return min(MOST_BARS, sum(count or FULL for _, count in self.form)) if self.closed else MOST_BARS

    @property
    def approximate(self) -> bool:
        """Whether a form of sections with their bars goes before the seconds that are asked for."""
        return self.near and self.closed and all(count for _, count in self.form)

    def tempi(self, meter: Meter) -> Sequence[int]:
        """Beats a minute to choose from in ``meter``.

        The pinned ones, or such that the song's bars fit into the pinned seconds, where it can be in whole phrases.
        """
        low, high = map(int, BPM_RANGE)
        least, most = max(1, self.least), self.most
        if self.bpm is not None:
            fits = self.seconds is None or self.approximate or least <= bars_in(self.seconds, self.bpm, meter) <= most
            return range(round(self.bpm), round(self.bpm) + 1) if fits else range(0)
        if self.seconds is not None and not self.approximate:
            bar = meter.beats_per_bar * 60 / self.seconds  # the tempo at which the song is one bar long
            low = max(low, math.ceil((least - 0.49) * bar)) if least > 1 else low
            high = min(high, int((most + 0.49) * bar))
        if self.tempo is not None and max(low, self.tempo[0]) <= min(high, self.tempo[1]):
            low, high = max(low, self.tempo[0]), min(high, self.tempo[1])
        tempi = range(low, high + 1)
        if (
            self.seconds is None or not self.phrase or self.tempo is None or self.approximate
        ):  # a prompt may tell the tempo itself
            return tempi
        whole = [bpm for bpm in tempi if self.holds_phrases(bars_in(self.seconds, bpm, meter))]
        if not self.usual or not whole:
            return whole or tempi
        costs = {bpm: self._unusual(bars_in(self.seconds, bpm, meter)) for bpm in whole}
        most = sorted(costs.values())[int(FITTING * (len(costs) - 1))]
        return [bpm for bpm in whole if costs[bpm] <= most]

    def _unusual(self, bars: int) -> int:
        """How far the open sections of whole phrases are from their usual bars in a song of ``bars``."""
        labels = tuple(label for label, count in self.form if count is None)
        rest = bars - sum(count or 0 for _, count in self.form)
        return _phrases_near(labels, self.phrase or 1, self.usual)[rest][0] if labels else 0

    def holds_phrases(self, bars: int) -> bool:
        """Whether sections of whole phrases can have so many bars."""
        open_labels = [label for label, count in self.form if count is None]
        rest = bars - sum(count or 0 for _, count in self.form)
        if not self.closed or not open_labels:
            return rest % (self.phrase or 1) == 0
        if self.usual:
            return phrases_near(open_labels, rest, self.phrase or 1, self.usual) is not None
        return whole_phrases(open_labels, rest, self.phrase or 1) is not None
