"""Forms of styles for songs of any length: whole sections come again or are left out until a form is about as long."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

from musetune.planning.planner.constraints import PHRASE_BARS, LabelledBars, phrases_near
from musetune.planning.planner.constraints_from_arguments import form_of
from musetune.planning.planner.form_words import MOST_NAMED, Sections
from musetune.planning.planner.song_style import SongStyle

LETTER_BARS = 8  # of a section of a form that says none
LEAST = 4  # bars of a section
SONG = 24  # bars from which sections come back where those of the form do
# what a form that was cut costs, in octaves of its length: to be out of proportion costs as much as each of these
EDGE, PART, NO_RETURN, IN_A_ROW, BROKEN = 0.15, 0.3, 1.0, 0.15, 0.4
CHANCE = 4.0  # by which a form that costs an octave is rarer, in nats
USUAL_FORMS = (  # and their weights, of songs whose style has none
    ("A:8 A:8 B:8 A:8", 2.0),
    ("intro:4 A:8 B:8 A:8 B:8 outro:4", 2.0),
    ("A:8 A:8 B:8 A:8 C:8 A:8", 1.0),
)


def sections_of(form: str) -> LabelledBars:
    """The sections of a style's form, each with its bars.

    Example:
        >>> sections_of("verse:8 chorus:16"), sections_of("ABA")
        ((('verse', 8), ('chorus', 16)), (('A', 8), ('B', 8), ('A', 8)))
    """
    return tuple((one, LETTER_BARS) if isinstance(one, str) else (one[0], int(one[1])) for one in form_of(form))


def draw_form(forms: Sequence[tuple[str, float]], rng: random.Random) -> LabelledBars:
    """One of several forms by their weights."""
    return sections_of(rng.choices([form for form, _ in forms], [weight for _, weight in forms])[0])


def draw_form_of_length(forms: Sequence[tuple[str, float]], bars: int, rng: random.Random) -> LabelledBars:
    """One of several forms, about as long as ``bars``.

    Args:
        forms: Forms and their weights.
        bars: Bars of the song.
        rng: Draws among them, those that need little change before others.

    Returns:
        Sections with the bars that they usually have, which need not add up to ``bars``; none where the song is
        shorter than the first section of every form.

    Example:
        >>> form = draw_form_of_length([("intro:4 verse:8 chorus:8 verse:8 chorus:8", 1)], 64, random.Random(0))
        >>> [name for name, _ in form]
        ['intro', 'verse', 'chorus', 'verse', 'chorus', 'verse', 'chorus', 'verse', 'chorus']
    """
    fitting = [
        (one, weight) for form, weight in forms if (one := _nearest_variant(sections_of(form), bars)) is not None
    ]
    if not fitting:
        return ()
    weights = [weight * math.exp(-CHANCE * cost) for (cost, _), weight in fitting]
    return rng.choices([sections for (_, sections), _ in fitting], weights)[0]


def _nearest_variant(form: LabelledBars, bars: int) -> tuple[float, LabelledBars] | None:
    """The variant of a form that costs least for a song of so many bars, after its cost."""
    body = _body(form)
    if bars < max(LEAST, body[0][1]):
        return None
    best: tuple[float, LabelledBars] | None = None
    for cost, variant in sorted((_cost(variant, form, bars), variant) for variant in _variants(form, bars)):
        if best is not None and cost >= best[0]:
            break
        labels = [label for label, _ in variant]
        whole = phrases_near(labels, bars, math.gcd(PHRASE_BARS, bars), tuple(dict(variant).items())) is not None
        cost += 0.0 if whole else BROKEN
        best = (cost, variant) if best is None or cost < best[0] else best
    return best


def _body(form: LabelledBars) -> LabelledBars:
    """A form without its intro and outro."""
    inner = form[form[0][0] == "intro" : len(form) - (form[-1][0] == "outro")]
    return inner or form


def _variants(form: LabelledBars, bars: int) -> Iterator[LabelledBars]:
    """A form gone through several times, with and without its edges and a part between first and last section."""
    body = _body(form)
    intros = {form[: form[0][0] == "intro"], ()} if len(body) < len(form) else {()}
    outros = {form[-1:], ()} if form[-1][0] == "outro" and len(body) < len(form) else {()}
    whole = sum(count for _, count in body)
    rounds = {max(1, math.floor(bars / whole)), math.ceil(bars / whole), math.ceil(bars / whole) + 1}
    inner = {body[:1]}
    for times in rounds:
        long = body * times
        inner.add(long)
        last = len(long) - 1
        starts = range(1, min(last, len(body)) + 1)
        inner |= {long[:at] + long[end:] for at in starts for end in range(at + 1, min(last, at + len(body) - 1) + 1)}
    for intro, middle, outro in itertools.product(sorted(intros), sorted(inner), sorted(outros)):
        if len(middle) > 1 or not (intro or outro):
            yield (*intro, *middle, *outro)


def _cost(variant: LabelledBars, form: LabelledBars, bars: int) -> float:
    """How far a variant is from a song of so many bars, and from the form as it is; whether it can be whole is left."""
    labels, body = [label for label, _ in variant], _body(form)
    total = sum(count for _, count in variant)
    rounds = max(1, round(total / sum(count for _, count in body)))
    lost = max(0, rounds * len(body) - len(_body(variant))) / len(body)
    edges = sum(label in dict(form) and label not in labels for label in ("intro", "outro"))
    returns = len(set(labels)) < len(labels)
    missing = bars >= SONG and not returns and len(set(dict(form))) < len(form)
    in_a_row = sum(a == b for a, b in itertools.pairwise(labels)) - rounds * sum(
        a == b for a, b in itertools.pairwise(label for label, _ in form)
    )
    stretch = abs(math.log2(total / bars))
    extra = PART * lost + EDGE * edges + NO_RETURN * missing + IN_A_ROW * max(0, in_a_row)
    return stretch + extra + (0.0 if len(variant) <= 2 * MOST_NAMED else 1.0)


# -- styles of one section again and again -----------------------------------------------------------------------------


def chorus_bars(style: SongStyle) -> int:
    """Bars of the one section of a style that has forms of one section only again and again (blues), else 0."""
    for form, _ in style.forms:
        sections = sections_of(form)
        if len(set(sections)) == 1 and ":" in form:
            return sections[0][1]
    return 0


def chorus_lengths(style: SongStyle) -> list[int]:
    """Bars of such a style's section, and of its other progressions (eight bars of blues), the longest last."""
    unit = chorus_bars(style)
    if not unit:
        return []
    texts = [text for _, several in style.progressions for text in several]
    return [unit, *sorted({text.count("|") + 1 for text in texts} - {unit})]


def choruses(style: SongStyle, bars: int) -> Sections:
    """Sections of a style of one section again and again that add up to ``bars``: what is left over is an ending.

    Example:
        >>> blues = SongStyle("blues", forms=(("A:12", 1.0),))
        >>> choruses(blues, 24), choruses(blues, 30)
        ((('A', 12), ('A', 12)), (('A', 12), ('A', 12), ('outro', 6)))
    """
    lengths = chorus_lengths(style)
    if whole := [unit for unit in lengths if bars % unit == 0]:
        return (("A", whole[0]),) * (bars // whole[0])
    if not lengths or bars < lengths[0]:
        return ()
    unit, times = lengths[0], bars // lengths[0]
    times -= bars % unit < LEAST and times > 1
    rest = bars - times * unit
    return (*((("A", unit),) * times), ("outro", rest)) if rest >= LEAST else ()
