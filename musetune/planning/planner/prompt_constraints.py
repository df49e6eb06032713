"""What a prompt's everyday words leave open: the pins of a plan, narrowed to what words and style mean."""

from __future__ import annotations

import random
from dataclasses import replace
from os import PathLike

from musetune.planning.planner.constraints import MOST_BARS, PHRASE_BARS, LabelledBars, PlanConstraints, StylePrior
from musetune.planning.planner.everyday_words import OPEN, TWO, PromptReading, read_everyday_words
from musetune.planning.planner.form_words import BARS, USUAL_BARS, Sections, repeat, sections_as_labels
from musetune.planning.planner.grammar import share
from musetune.planning.planner.language import bars_in
from musetune.planning.planner.song_style import SongStyle
from musetune.planning.planner.style_forms import (
    USUAL_FORMS,
    chorus_lengths,
    choruses,
    draw_form,
    draw_form_of_length,
    sections_of,
)
from musetune.planning.planner.style_progressions import approaches, rests_on_sevenths, with_progressions
from musetune.symbols import Key, Meter
from musetune.symbols.meter import METERS
from musetune.symbols.remarks import remark

ROUND = ("jazz", "blues", "electronic")  # genres whose songs may end as they go round, where no style says
USUAL_HOLD = 4  # most bars on one chord, where no style says
USUAL_BPM = 108  # of songs whose tempo neither words nor style tell
USUAL = {  # keys that musicians write: no D# minor, whose scale has a double sharp
    "major": ("C", "G", "D", "A", "E", "B", "F", "Bb", "Eb", "Ab", "Db", "Gb"),
    "minor": ("A", "E", "B", "F#", "C#", "G#", "D", "G", "C", "F", "Bb", "Eb"),
}


def narrow(
    pins: PlanConstraints, prompt: str, seed: int | str = 0, styles: str | PathLike | None = None
) -> PlanConstraints:
    """Narrow ``pins`` to what the everyday words of ``prompt`` mean; what is pinned already stays.

    Args:
        pins: What the caller pins.
        prompt: The prompt.
        seed: What a style leaves open is drawn from it: the form, a progression, how many chords change.
        styles: YAML file of styles that go before those of the package.

    Returns:
        The pins and, where they left it open, what prompt and style mean.
    """
    exactly = pins.seconds is not None
    reading, rng = read_everyday_words(prompt, styles, pins.style), random.Random(f"{seed}:{prompt}")
    for said in reading.remarks:
        remark(said)
    if pins.bars is None and pins.seconds is None and not pins.form:
        pins = _with_length(pins, reading)
    meters = tuple(m for m in reading.meters if pins.meter is None and pins.tempi(Meter.parse(m)))
    usual = tuple(Key(name, mode) for mode in _modes(reading, rng) for name in USUAL[mode])
    plain = TWO if pins.genre is None and not reading.genre_named else None
    free = pins.bars is None and pins.seconds is None and not pins.form
    pins = replace(
        pins,
        genres=reading.genres if pins.genre is None else (),
        meters=meters,
        tempo=reading.bpm if pins.bpm is None else None,
        keys=_keys(pins, reading) or usual,
        chords=reading.chords or plain,
        least_open=reading.least_bars if free else 0,
        phrase=PHRASE_BARS,
        prior=_prior(reading, meters, rng),
        style=reading.styled or None,
    )
    return with_progressions(_with_form(pins, reading, rng, exactly), reading, rng)


def _modes(reading: PromptReading, rng: random.Random) -> tuple[str, ...]:
    """Modes to choose from where no key is told: one that is drawn, where the style says how often each is meant."""
    if reading.modes or reading.mode_named or not reading.style.modes:
        return reading.modes or tuple(USUAL)
    modes, weights = zip(*reading.style.modes, strict=True)
    return (rng.choices(modes, weights)[0],)


def _keys(pins: PlanConstraints, reading: PromptReading) -> tuple[Key, ...]:
    """The keys that are pinned, of several those that the prompt leaves open, else the prompt's."""
    pinned = pins.keys or ()
    both = tuple(key for key in pinned if key in reading.keys)
    return both if len(pinned) > 1 and both else pinned or reading.keys


def _with_length(pins: PlanConstraints, reading: PromptReading) -> PlanConstraints:
    """``pins`` with the bars or seconds that a prompt tells, where songs can have them.

    Of both, bars that are one chorus of the style are no length: "12-bar blues, 2 minutes" is two minutes long.
    """
    bars, seconds = reading.form.bars, reading.form.seconds
    if bars is not None and seconds is not None:
        if bars not in chorus_lengths(reading.style):
            return pins
        bars = None
    sized = replace(pins, bars=bars, seconds=seconds)
    usual = [pins.meter] if pins.meter else [Meter.parse(meter) for meter in reading.meters or METERS]
    if bars is not None:
        return sized if 1 <= bars <= MOST_BARS else pins
    return sized if seconds and any(replace(sized, tempo=reading.bpm).tempi(meter) for meter in usual) else pins


def _prior(reading: PromptReading, meters: tuple[str, ...], rng: random.Random) -> StylePrior | None:
    """What the style wants of one plan: shares and harmonic rhythm are drawn from its ranges."""
    style = reading.style
    changes = None
    if style.chords_a_bar is not None and not reading.dense:
        first, median, third = style.chords_a_bar
        changes = (rng.triangular(first, third, median) + median) / 2
    shares = {}
    for kind, (low, high) in () if reading.dense else style.vocabulary:
        at = rng.uniform(0.25, 0.75)
        shares[kind] = low + at * (high - low)
    weights = dict(style.meters)
    prior = StylePrior(
        tuple((meter, weights[meter]) for meter in meters if meter in weights),
        changes,
        None if reading.palette == 1 else style.hold or (None if reading.dense else USUAL_HOLD),
        shares,
        reading.palette,
        home=(style.ending or ("turnaround" if style.genre and style.genre[0] in ROUND else "home")) == "home",
        closes=not reading.dense,
        resolves=not rests_on_sevenths(style),
        approaches=approaches(style),
    )
    return None if prior == StylePrior() else prior


# -- form --------------------------------------------------------------------------------------------------------------


def _with_form(pins: PlanConstraints, reading: PromptReading, rng: random.Random, exactly: bool) -> PlanConstraints:
    """``pins`` with the form that the prompt words, or one of the style's, or a usual one.

    ``exactly``: the caller pins the seconds; those that a prompt tells give way to whole choruses. A form that what is
    pinned cannot hold is left out.
    """
    if pins.form:
        return pins
    sections = _worded_sections(pins, reading, rng)
    style = _without_sections(reading.style, reading.form.left_out)
    reading = replace(reading, style=style)
    if not sections and (pins.bars is not None or pins.seconds is not None):
        return _with_form_of_length(pins, reading, rng, exactly)
    unstyled = not style.style and reading.genres == OPEN and not pins.has_content
    forms = style.forms or (USUAL_FORMS if unstyled else ())
    if not sections and not reading.length_named and forms:
        sections = draw_form(forms, rng)
    if not sections:
        return pins
    usual = {name: next(iter(BARS.get(name, USUAL_BARS))) for name, _ in sections}
    formed = _formed(pins, sections, usual, near=pins.seconds is not None)
    return formed if _fits(formed) else pins


def _without_sections(style: SongStyle, names: tuple[str, ...]) -> SongStyle:
    """A style with forms without sections of these names; a form that has no other is left as it is."""
    forms: dict[str, float] = {}
    for form, weight in style.forms if names else ():
        kept = [(name, bars) for name, bars in sections_of(form) if name not in names]
        text = " ".join(f"{name}:{bars}" for name, bars in kept) or form
        forms[text] = forms.get(text, 0.0) + weight
    return replace(style, forms=tuple(forms.items())) if forms else style


def _with_form_of_length(
    pins: PlanConstraints, reading: PromptReading, rng: random.Random, exactly: bool
) -> PlanConstraints:
    """``pins`` with a form of the style, or a usual one, that is about as long as the pinned bars or seconds."""
    if reading.dense:
        return pins
    bars = pins.bars or _bars_about(pins, reading)
    if pins.seconds is not None and chorus_lengths(reading.style):
        return _with_choruses(pins, reading, bars, exactly)
    sections = draw_form_of_length(reading.style.forms or USUAL_FORMS, bars, rng)
    if len(sections) < 2:
        sections = (("A", bars),) if sections else ()
    usual = dict(sections)
    first = next((name for name, _ in sections if name not in ("intro", "outro")), "")
    counts = {first: pins.unit * max(1, round(usual[first] / pins.unit))} if pins.unit and first else {}
    formed = _formed(pins, tuple((name, counts.get(name)) for name, _ in sections), usual, near=False)
    return formed if sections and _fits(formed) else pins


def _with_choruses(pins: PlanConstraints, reading: PromptReading, bars: int, exactly: bool) -> PlanConstraints:
    """``pins`` with as many choruses as their seconds hold at an open tempo; at one that is told, with an ending that
    fills them where they are kept ``exactly``, else with the nearest whole choruses.
    """
    unit = chorus_lengths(reading.style)[0]
    again: Sections = (("A", unit),) * min(max(1, round(bars / unit)), MOST_BARS // unit)
    exact = _formed(pins, again, {}, near=False)
    if (exactly or reading.stated_bpm is None) and _fits(exact):
        return exact
    if exactly or 2 * bars < unit:
        cut = _formed(pins, choruses(reading.style, bars), {}, near=False)
        return cut if cut.form and _fits(cut) else pins
    return _formed(pins, again, {}, near=True)


def _formed(pins: PlanConstraints, sections: Sections, usual: dict[str, int], near: bool) -> PlanConstraints:
    """``pins`` with sections, whose bars are near the usual ones where they are open."""
    form, names = sections_as_labels(sections)
    title = dict(names)
    bars: LabelledBars = tuple((label, usual[title[label]]) for label, count in dict(form).items() if count is None)
    return replace(pins, form=form, names=names, closed=True, least_open=0, near=near, usual=bars)


def _bars_about(pins: PlanConstraints, reading: PromptReading) -> int:
    """Bars of the pinned seconds at the tempo that is told, or at one in the middle of those that are open."""
    middle = USUAL_BPM if pins.tempo is None else sum(pins.tempo) / 2
    weights = dict(reading.style.meters)
    meters = sorted(pins.meters or ("4/4",), key=lambda meter: -weights.get(meter, 0.0))
    return bars_in(pins.seconds or 0, pins.bpm or reading.stated_bpm or middle, pins.meter or Meter.parse(meters[0]))


def _worded_sections(pins: PlanConstraints, reading: PromptReading, rng: random.Random) -> Sections:
    """The sections that the prompt words; of a style that is one progression again and again, as many as it says."""
    worded = reading.form
    bars = pins.bars or worded.bars
    if bars and not worded.loop and not worded.sections and pins.seconds is None:
        again = choruses(reading.style, bars)
        if again:
            return again
    if pins.bars is not None or pins.seconds is not None:
        sections = tuple((name, None) for name, _ in worded.sections)
        return sections if worded.loop else repeat(sections, pins.bars, pins.seconds)
    return worded.measure(rng)


def _fits(pins: PlanConstraints) -> bool:
    """Whether a form can be held by the bars or seconds that are pinned."""
    if pins.bars is not None:
        bars = sum(count or 0 for _, count in pins.form)
        open_labels = [label for label, count in pins.form if count is None]
        return share(open_labels, pins.bars - bars) is not None if open_labels else bars == pins.bars
    meters = [pins.meter] if pins.meter else [Meter.parse(meter) for meter in pins.meters or METERS]
    return all(pins.tempi(meter) for meter in meters)
