"""Progressions of a style in some sections of a plan, and where the transformer writes instead of them.

A progression goes round in its section. Where the song ends, where a phrase stays open on a chord that leads nowhere,
and where a chord would go on for too long into the next section, its bars are left to the transformer.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from musetune.planning.planner.constraints import FREE_LETTERS, LabelledBars, PlanConstraints
from musetune.planning.planner.everyday_words import PromptReading
from musetune.planning.planner.language import PlanBar, PlanChord
from musetune.planning.planner.song_style import SongStyle, progression_bars
from musetune.planning.planner.style_forms import chorus_bars
from musetune.planning.planner.vocabulary import LETTERS, MOST_SECTION
from musetune.symbols import Key, Meter

PROGRESSIONS = 0.5  # share of sections that take a progression of the style; the transformer writes the others
POWER_PROGRESSIONS = 0.75  # in styles with power chords, which the transformer hardly knows
CADENCES = (7, 5)  # degrees, semitones above the tonic, that lead home everywhere: V and IV
WEAK = {"major": (0, 2, 4, 9), "minor": (0, 3, 8)}  # that share too much with the tonic, or lead to V instead
OPEN_END = (0, 5, 7)  # degrees on which a song that goes round may stop: I, IV, V
Bars = dict[tuple[str, int], PlanBar]


def approaches(style: SongStyle) -> dict[str, tuple[int, ...]]:
    """Degrees of the chords that lead home in a style, by mode: V and IV, and what its progressions have before I.

    Example:
        >>> loop = SongStyle("rock", progressions=(("major", ("C | Bb | F | C", "C | Bb")),))
        >>> approaches(loop)
        {'major': (7, 5, 10), 'minor': (7, 5)}
    """
    out = {}
    for mode, weak in WEAK.items():
        degrees = list(CADENCES)
        for text in style.progressions_in(mode):
            chords = [chord for bar in progression_bars(text, mode, Meter(4, 4)) for chord in bar]
            for one, after in zip(chords, chords[1:] + chords[:1], strict=True):
                if after.degree == 0 and one.degree not in (*weak, *degrees):
                    degrees.append(one.degree)
        out[mode] = tuple(degrees)
    return out


def rests_on_sevenths(style: SongStyle) -> bool:
    """Whether a style's progressions begin on dominant sevenths, as those of blues do."""
    bars = [progression_bars(text, mode, Meter(4, 4)) for mode, texts in style.progressions for text in texts]
    return any(one[0][0].quality == "7" and one[0][0].degree == 0 for one in bars)


def with_progressions(pins: PlanConstraints, reading: PromptReading, rng: random.Random) -> PlanConstraints:
    """``pins`` with progressions of the style in some sections, unless the caller has pinned chords.

    Args:
        pins: What is pinned, the form included.
        reading: What the prompt says.
        rng: Draws which sections take a progression, and which.
    """
    style, prior = reading.style, pins.prior
    if pins.has_content or not style.progressions or reading.dense or prior is None:
        return pins
    always = chorus_bars(style) > 0
    labels = list(dict.fromkeys(label for label, _ in pins.form)) or list(LETTERS[:FREE_LETTERS])
    share = POWER_PROGRESSIONS if dict(style.vocabulary).get("power", (0, 0))[1] > 0 else PROGRESSIONS
    chosen = [label for label in labels if rng.random() < (1 if always or reading.palette else share)]
    order = {mode: rng.sample(texts, len(texts)) for mode, texts in style.progressions}

    def content(key: Key, meter: Meter, sections: LabelledBars) -> Bars:
        texts = order.get(key.mode, ())
        progressions: list[Sequence[PlanBar]] = [progression_bars(text, key.mode, meter) for text in texts]
        if reading.palette:
            progressions = _within_palette(progressions, reading.palette)
        lengths: dict[str, int | None] = dict(sections or pins.form)
        out: Bars = {}
        for index, label in enumerate(chosen if progressions else ()):
            if (sections and label not in lengths) or (always and label == "outro"):
                continue
            if always:
                bars = _nearest_length(progressions, lengths.get(label))
            else:
                bars = progressions[index % len(progressions)]
            out |= {(label, bar): bars[bar % len(bars)] for bar in range(lengths.get(label) or MOST_SECTION)}
        home = bool(sections) and (prior.home or sections[-1][0] == "outro")
        if sections and not always and not reading.form.loop:
            _release_ending(out, sections, prior.approaches[key.mode], home)
        if style.hold is not None:
            _release_static(out, sections, style.hold, home and style.hold > 1)
        return out

    return replace(pins, content=content)


def _within_palette(progressions: Sequence[Sequence[PlanBar]], most: int) -> list[Sequence[PlanBar]]:
    """Progressions on the roots of the first one that has so few: others on these, then its own bars from others on.

    Several sections on three chords so have ways of their own through them.
    """

    def roots(bars: Sequence[PlanBar]) -> set[int]:
        return {chord.degree for bar in bars for chord in bar}

    first = next((bars for bars in progressions if len(roots(bars)) <= most), None)
    if first is None:
        return []
    others = [bars for bars in progressions if bars is not first and roots(bars) <= roots(first)]
    turned = [(*first[by:], *first[:by]) for by in range(1, len(first)) if first[by] != first[by - 1]]
    return list(dict.fromkeys((tuple(first), *map(tuple, others), *turned)))


def _nearest_length(progressions: Sequence[Sequence[PlanBar]], bars: int | None) -> Sequence[PlanBar]:
    """The first progression as long as a section, else the first that fits in whole times, else the first."""
    if bars is None:
        return progressions[0]
    whole = [one for one in progressions if bars % len(one) == 0]
    return next((one for one in whole if len(one) == bars), whole[0] if whole else progressions[0])


def _release_static(bars: Bars, sections: LabelledBars, hold: int, home: bool) -> None:
    """Leave to the transformer bars at the ends of sections from which a root would go on for too long.

    Where the song comes home, its last bar is on the tonic: where that section comes back, what follows it gives way.
    """
    song = [(label, number) for label, count in sections for number in range(count)]
    known = dict(bars)
    if home:
        known.setdefault(song[-1], (PlanChord(0, 0, "maj"),))
    while run := next((run for run in _runs(known, song) if len(run) > hold), None):
        ends = [place for place, after in itertools.pairwise(run) if after[1] == 0]
        place = run[-1] if home and ends[0] == song[-1] else ends[0]
        known.pop(place)
        bars.pop(place, None)


def _runs(bars: Bars, song: Sequence[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Stretches of pinned bars on one root that go on from one section into the next."""
    run: list[tuple[str, int]] = []
    root = None
    for place in song:
        degrees = [chord.degree for chord in bars.get(place, ())]
        if run and degrees and degrees[0] == root:
            run.append(place)
        else:
            if any(number == 0 for _, number in run[1:]):
                yield run
            run = [place] if degrees else []
        if len(set(degrees)) > 1:
            if any(number == 0 for _, number in run[1:]):
                yield run
            run = [place]
        root = degrees[-1] if degrees else None
    if any(number == 0 for _, number in run[1:]):
        yield run


def _release_ending(bars: Bars, sections: LabelledBars, leading: Sequence[int], home: bool) -> None:
    """Leave to the transformer the bars in which a song must end otherwise than its progression goes.

    ``leading``: degrees from which the song comes home; ``home``: whether it does, or may go round.
    """
    label, count = sections[-1]
    last, before = (label, count - 1), (label, count - 2)
    end = [chord.degree for chord in bars.get(last, ())]
    if not home and end and end[-1] != 0:
        if end[-1] not in OPEN_END:
            bars.pop(last)
        return
    if end and end[-1] != 0:
        bars.pop(last)
        end = []
    from_inside = len(end) > 1 and end[-2] in leading
    if before in bars and bars[before][-1].degree not in leading and not from_inside:
        bars.pop(before)
        if len(end) > 1:
            bars.pop(last)
