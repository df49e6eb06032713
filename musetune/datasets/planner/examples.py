"""Songs → pairs of a caption and the words of a plan, drawn anew at each turn.

Two kinds. A *song*: a run of its sections, in any key, sometimes barred anew, with its own genre; a caption of what
then holds. An *order*: a caption of facts drawn at random and the plan's first line alone, so that obeying depends on
no song; only what the caption names is learned from it. Most orders hold two numbers, a tempo and a length, so that
their roles are told apart.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from musetune.datasets.planner.captions import CaptionFacts, caption
from musetune.datasets.planner.songs import PlannerSong
from musetune.datasets.planner.style_names import fitting_styles
from musetune.datasets.planner.words import COMMON, TEMPO_WORDS
from musetune.planning.planner.constraints import FREE_LETTERS, WRITTEN
from musetune.planning.planner.form_detection import derive_form
from musetune.planning.planner.language import Plan, PlanBar, PlanChord, bars_in, bars_of, steps_per_beat
from musetune.planning.planner.vocabulary import LETTERS
from musetune.planning.rules.styles import STYLES
from musetune.symbols import GENRES, Key, Meter

MAJORS = ("C", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B")
MINORS = ("C", "C#", "D", "D#", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
RARE = ("C#", "Db", "D#", "Gb", "Ab", "A#", "Cb")  # in the mode where they are not usual: orders only
METERS = (
    ("4/4",) * 9
    + ("3/4",) * 6
    + ("6/8",) * 4
    + ("2/4", "2/2", "12/8", "12/8", "5/4", "5/4", "7/8", "9/8", "7/4", "6/4", "5/8", "3/8")
)
REBARRED = {
    "4/4": ("3/4", "3/4", "6/8", "6/8", "12/8", "2/2", "2/4", "5/4", "7/8")
}  # meters that a song in 4/4 can be moved to
OWN_STYLE = 0.7  # share of songs with a style of their source that are called by it, not by a row that they fit
EXACT = 0.5  # share of orders with a tempo and a length in numbers
Sections = list[tuple[str, tuple[PlanBar, ...]]]
Pair = tuple[str, list[int], set[str] | None]  # caption, places of words, what to learn of the first line (None: all)


def sections_of(song: PlannerSong) -> Sections:
    """The song's sections, found from its chords.

    Bars before the tune begins are an intro, bars after it ends an outro.
    """
    bars = bars_of(song.sheet)
    first, last = song.sung or (0, len(bars))
    first, last = first if first <= 16 else 0, last if len(bars) - last <= 16 else len(bars)
    out: Sections = [("intro", tuple(bars[:first]))] if first else []
    at = first
    for label, count in derive_form(bars[first:last]):
        out.append((label, tuple(bars[at : at + count])))
        at += count
    return out + ([("outro", tuple(bars[last:]))] if last < len(bars) else [])


class PlannerExamples:
    """Draws pairs from ``songs``.

    Genres with fewer songs come more often than their share (by the root of their count).
    """

    def __init__(self, songs: Sequence[PlannerSong]) -> None:
        self.songs = list(songs)
        self.sections = lru_cache(maxsize=None)(lambda index: sections_of(self.songs[index]))
        counts = Counter(song.sheet.genre for song in songs)
        self.weights = [counts[song.sheet.genre] ** -0.5 for song in songs]

    def song(self, rng: random.Random) -> tuple[str, Plan]:
        """A caption and a whole plan."""
        index = rng.choices(range(len(self.songs)), self.weights)[0]
        song = self.songs[index]
        meter = song.sheet.meter
        form, content = window(self.sections(index), rng)
        if rng.random() < 0.25 and (others := REBARRED.get(str(meter))):
            meter = Meter.parse(rng.choice(others))
            content = {label: tuple(rebar(bar, meter) for bar in bars) for label, bars in content.items()}
        mode, genre = song.sheet.key.mode, str(song.sheet.genre)
        bpm, word = tempo(song.sheet.bpm if song.timed else None, genre, rng)
        plan = Plan(
            genre, meter, Key(rng.choice(MAJORS if mode == "major" else MINORS), mode), bpm, ("open", 0), form, content
        )
        plan = replace(plan, length=requested_length(plan, rng))
        letters = "".join(label[0].upper() if len(label) == 1 else "" for label in form)
        worded_form = 1 < len(letters) < 9 and len(letters) == len(form) and rng.random() < 0.3
        facts = facts_of(plan, word, letters if worded_form else "")
        own = song.styles if meter == song.sheet.meter else ()
        if styles := own if own and rng.random() < OWN_STYLE else fitting_styles(plan):
            facts = replace(facts, style=rng.choice(styles))
        return caption(facts, rng)[0], plan


def order(rng: random.Random) -> tuple[str, Plan, set[str]]:
    """A caption, a plan without chords whose first line it describes, and what the caption names of it."""
    mode = rng.choice(("major", "minor"))
    tonic = rng.choice((*(MAJORS if mode == "major" else MINORS), rng.choice(RARE)))
    exact = rng.random() < EXACT
    bpm, word = tempo(None, None, rng, worded=0.3 if exact else 0.6)
    kind = rng.choice(("bars", "seconds") if exact else ("bars", "bars", "seconds", "seconds", "open"))
    count = rng.choice((rng.randint(1, 64), rng.choice((4, 8, 12, 16, 20, 24, 32, 40, 48, 64)), rng.randint(1, 200)))
    if kind == "seconds":
        count = rng.choice((rng.randint(5, 120), 5 * rng.randint(1, 60), 30 * rng.randint(1, 12), rng.randint(5, 400)))
    plan = Plan(
        rng.choice(GENRES),
        Meter.parse(rng.choice(METERS)),
        Key(tonic, mode),
        bpm,
        (kind, count if kind != "open" else 0),
        (),
        {},
    )
    text, named = caption(facts_of(plan, word), rng, exact=exact)
    return text, plan, named | {"length"}


def facts_of(plan: Plan, word: str | None, form: str = "") -> CaptionFacts:
    """What a caption may say of a plan."""
    return CaptionFacts(
        plan.genre, str(plan.meter), plan.key.mode, plan.key.tonic, round(plan.bpm), word, plan.length, form
    )


def tempo(own: float | None, genre: str | None, rng: random.Random, worded: float = 0.4) -> tuple[int, str | None]:
    """Beats a minute, and with the chance ``worded`` a word for it: the song's own, its genre's or any."""
    if rng.random() < worded:
        word = rng.choice((*TEMPO_WORDS, *COMMON))
        return rng.randint(*TEMPO_WORDS[word]), word
    if genre is not None and rng.random() < 0.6:
        low, high = STYLES[genre].tempo
        return round(own) if own is not None else rng.randint(low, high), None
    return rng.choice((rng.randint(50, 180), 5 * rng.randint(8, 44), rng.randint(36, 240))), None


def requested_length(plan: Plan, rng: random.Random) -> tuple[str, int]:
    """What a caption asks for so that the plan has this many bars.

    Bars, seconds (round ones where they do) or nothing.
    """
    kind = rng.choice(("bars", "seconds", "open"))
    if kind == "seconds":
        exact = plan.bars * plan.meter.beats_per_bar * 60 / plan.bpm
        for unit in (30, 15, 10, 5, 1):
            near = unit * round(exact / unit)
            if 0 < near < 1000 and bars_in(near, plan.bpm, plan.meter) == plan.bars:
                return "seconds", near
    return ("bars", plan.bars) if kind != "open" else ("open", 0)


def window(sections: Sections, rng: random.Random) -> tuple[tuple[str, ...], dict[str, tuple[PlanBar, ...]]]:
    """A run of sections: the whole song, or some; the last one cut short now and then. Letters begin at A again."""
    first, last = 0, len(sections)
    if rng.random() < 0.7:
        first = rng.choice((0, rng.randrange(len(sections))))
        last = min(len(sections), first + rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6, 8)))
    stretch = sections[first:last]
    if rng.random() < 0.25:
        label, bars = stretch[-1]
        keep = rng.choice((4, 8, rng.randint(1, 16)))
        if keep < len(bars):
            stretch = [*stretch[:-1], (f"{label}'", bars[:keep])]
    return with_letters(stretch)


def with_letters(sections: Sections) -> tuple[tuple[str, ...], dict[str, tuple[PlanBar, ...]]]:
    """The form and what its sections hold, with letters from A on.

    Ends before a plan would become larger than one may be made up.
    """
    form: list[str] = []
    names: dict[str, str] = {}
    content: dict[str, tuple[PlanBar, ...]] = {}
    for label, bars in sections:
        if label not in names:
            letters = sum(len(name) == 1 for name in names.values())
            if form and (letters == FREE_LETTERS or sum(map(len, content.values())) + len(bars) > WRITTEN):
                break
            plain = label if label in ("intro", "outro") else LETTERS[letters]
            names[label], content[plain] = plain, bars
        form.append(names[label])
    if len(form) == 1:
        return ("A",), {"A": content[form[0]]}
    return tuple(form), content


def rebar(bar: PlanBar, meter: Meter) -> PlanBar:
    """A bar of 4/4 in another meter.

    Chords keep their share of the bar in compound and two-beat meters, else their beat.
    """
    steps = meter.beats_per_bar * steps_per_beat(meter)
    shrunk = meter.compound or meter.beats_per_bar == 2
    share = (
        steps / 8 if shrunk else 2 if meter.denominator == 8 else 1
    )  # a step is an eighth in 4/4, a sixteenth in 7/8
    moved: dict[int, PlanChord] = {}
    for chord in bar:
        step = round(chord.step * share)
        if step < steps:
            moved.setdefault(step, chord._replace(step=step))
    return tuple(moved.values())


def pairs(examples: PlannerExamples, seed: object, songs: int, orders: int) -> list[Pair]:
    """(caption, places of words, what to learn of the first line or None for all): songs first."""
    rng = random.Random(f"{seed}")
    out: list[Pair] = []
    for _ in range(songs):
        text, plan = examples.song(rng)
        out.append((text, plan.words(), None))
    for _ in range(orders):
        text, plan, named = order(rng)
        out.append((text, plan.words(body=False)[:-1], named))
    return out
