"""What a caller pins, read and checked, as the grammar's Pins, and the plan that comes back as a lead sheet in the
caller's own names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral, Real

from musetune.planning.planner.constraints import MOST_BARS, LabelledBars, PlanConstraints
from musetune.planning.planner.grammar import share
from musetune.planning.planner.language import Plan, PlanBar, bars_of
from musetune.planning.planner.vocabulary import LETTERS, MODES, MOST_SECTION, TONICS
from musetune.symbols import GENRES, Chord, ChordSpan, Key, LeadSheet, Meter
from musetune.symbols.beat_grid import check_bpm, finite
from musetune.symbols.meter import METERS
from musetune.symbols.names import suggest
from musetune.theory.harmony.modulation import local_keys

Sections = str | Sequence[str | tuple[str, int]]
MOST_SECONDS = 999
MOST_CHORDS = 10_000  # characters of a progression or of section names: many times what any song needs
TYPES: dict[str, tuple[type, ...]] = {
    "key": (str, Key),
    "bpm": (Real,),
    "time_signature": (str, Meter),
    "genre": (str,),
    "chords": (str, Sequence),
    "sections": (str, Sequence),
    "duration_seconds": (Real,),
}


@dataclass(frozen=True)
class PlanArguments:
    """The arguments of ``Planner.plan`` that pin something, as they were given."""

    key: str | Key | None = None
    bpm: float | None = None
    time_signature: str | Meter | None = None
    genre: str | None = None
    chords: str | Sequence[str | Chord] | None = None
    sections: Sections | None = None
    bars: int | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True)
class PlanRequest:
    """``pins`` for the grammar and what makes a lead sheet of the plan that it lets pass."""

    pins: PlanConstraints
    finish: Callable[[Plan], LeadSheet]


def request_from_arguments(arguments: PlanArguments) -> PlanRequest:
    """Pins for a song that begins with nothing. Raises ValueError for what cannot be."""
    check_types(arguments)
    meter, key = read_meter(arguments.time_signature), read_key(arguments.key)
    if arguments.bpm is not None:
        check_bpm(arguments.bpm)
    check_genre(arguments.genre)
    check_length(arguments)
    form, names = read_sections(arguments.sections, arguments.bars)
    pins = PlanConstraints(
        genre=arguments.genre,
        meter=meter,
        keys=(spell_key(key),) if key else None,
        bpm=arguments.bpm,
        bars=arguments.bars,
        seconds=arguments.duration_seconds,
        form=tuple(form),
        closed=bool(form) and not _goes_on(form, arguments),
    )
    if arguments.chords is not None:
        pins = with_chords(pins, arguments.chords, key)

    def finish(plan: Plan) -> LeadSheet:
        plan = replace(plan, key=key) if key else plan
        sheet = plan.sheet(name_sections(plan, names))
        return sheet if arguments.chords is None else _with_exact_chords(sheet, plan, pins, arguments.chords)

    return PlanRequest(pins, finish)


def check_types(arguments: PlanArguments) -> None:
    """Raise ValueError for arguments of another type, and for more chords or sections than any song has."""
    for name, kinds in TYPES.items():
        value = getattr(arguments, name)
        if value is not None and not isinstance(value, kinds):
            raise ValueError(f"{name} is a {type(value).__name__}; give {' or '.join(kind.__name__ for kind in kinds)}")
    chords, sections = arguments.chords, arguments.sections
    if chords is not None and len(chords) > MOST_CHORDS:
        raise ValueError(f"chords has {len(chords)} characters or chords; at most {MOST_CHORDS} are read")
    if not isinstance(chords, (str, type(None))) and not all(isinstance(one, (str, Chord)) for one in chords):
        raise ValueError("chords holds something else than text and Chord: write each as text, such as 'Am7'")
    if sections is not None and len(sections) > MOST_CHORDS:
        raise ValueError(f"sections has {len(sections)} characters or sections; a song has at most {MOST_BARS}")


def name_sections(plan: Plan, names: dict[str, str]) -> dict[str, str]:
    """What each label of a plan shall be called.

    As the caller does, and what the model added by letters that he has not used.
    """
    names = dict(plan.names) | names
    free = (name for name in (*LETTERS, *(f"{letter}'" for letter in LETTERS)) if name not in names.values())
    return {
        label: names.get(label) or (next(free) if label in LETTERS else label) for label in dict.fromkeys(plan.form)
    }


def read_key(key: str | Key | None) -> Key | None:
    """A key or None."""
    return Key.parse(key) if isinstance(key, str) else key


def spell_key(key: Key) -> Key:
    """The key by the name that the plan language has for it: E# minor is F minor."""
    names = [name for name in TONICS if Key(name).tonic_pc == key.tonic_pc]
    return key if key.tonic in names else Key(names[0], key.mode)


def form_of(text: str) -> str | list[str | tuple[str, int]]:
    """``verse:8 chorus:8 verse`` as labels with bars where they are told; a form without bars, such as AABA, as it is.

    Raises ValueError for bars that are no number above 0.
    """
    if ":" not in text:
        return text
    out: list[str | tuple[str, int]] = []
    for word in text.replace(",", " ").split():
        label, colon, bars = word.partition(":")
        if colon and (not label or not bars.isdecimal() or not int(bars)):
            raise ValueError(f"form {text!r}: {word!r} is not like verse:8, a label and how many bars")
        out.append((label, int(bars)) if colon else label)
    return out


def read_meter(meter: str | Meter | None) -> Meter | None:
    """A meter or None. Raises ValueError for one that plans do not have."""
    value = Meter.parse(meter) if isinstance(meter, str) else meter
    if value is not None and str(value) not in METERS:
        raise ValueError(f"time_signature={str(value)!r} is not one that songs are planned in: {', '.join(METERS)}")
    return value


def check_genre(genre: str | None) -> None:
    """Raise ValueError for a genre that does not exist."""
    if genre is not None and genre not in GENRES:
        raise ValueError(f"genre={genre!r} is not one of {', '.join(GENRES)}{suggest(genre, GENRES)}")


def check_length(arguments: PlanArguments) -> None:
    """Raise ValueError for bars or seconds out of range, or both of them."""
    if arguments.bars is not None and arguments.duration_seconds is not None:
        raise ValueError(
            f"bars={arguments.bars} and duration_seconds={arguments.duration_seconds} both say how long: give one, and "
            f"bpm for the other"
        )
    if arguments.bars is not None and (
        isinstance(arguments.bars, bool)
        or not isinstance(arguments.bars, Integral)
        or not 1 <= arguments.bars <= MOST_BARS
    ):
        raise ValueError(f"bars={arguments.bars!r} is not a whole number 1–{MOST_BARS}")
    if (
        arguments.duration_seconds is not None
        and not 0 < finite("duration_seconds", arguments.duration_seconds) <= MOST_SECONDS
    ):
        raise ValueError(f"duration_seconds={arguments.duration_seconds:g} is outside 0–{MOST_SECONDS}")


def read_sections(sections: Sections | None, bars: int | None) -> tuple[list[tuple[str, int | None]], dict[str, str]]:
    """(label of the language, bars or None) in order, and what the labels are to be called.

    "AABA" is four sections, "verse chorus" two. Raises ValueError for none, for too many labels, for bars outside 1–64,
    for a label that comes back with other bars, and for sections that do not fit into ``bars``.
    """
    if sections is None:
        return [], {}
    if isinstance(sections, str):
        plain = sections.strip()
        sections = (
            list(plain) if re.fullmatch(r"[A-Z]+", plain) else [word for word in re.split(r"[\s,–-]+", plain) if word]
        )
    pairs = [_section(one) for one in sections]
    if not pairs:
        raise ValueError('sections names none: give such as "AABA" or [("verse", 8), ("chorus", 8)]')
    if len(pairs) > MOST_BARS:
        raise ValueError(f"sections names {len(pairs)}; a song has at most {MOST_BARS} bars")
    labels = dict.fromkeys(name for name, _ in pairs)
    if len(labels) > len(LETTERS):
        raise ValueError(f"sections has {len(labels)} different labels; a plan holds at most {len(LETTERS)}")
    lengths: dict[str, int] = {}
    for name, count in pairs:
        if count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, Integral) or not 1 <= count <= MOST_SECTION:
            raise ValueError(f"section {name!r} has bars={count!r}: give a whole number 1–{MOST_SECTION}")
        if lengths.setdefault(name, int(count)) != count:
            raise ValueError(
                f"section {name!r} has {lengths[name]} bars and then {count}: a section that comes back is the same, "
                f"so name the other apart"
            )
    letter = dict(zip(labels, LETTERS))
    form: list[tuple[str, int | None]] = [(letter[name], lengths.get(name)) for name, _ in pairs]
    if bars is not None:
        _fits(form, bars)
    return form, {letter[name]: name for name in labels}


def _section(one: str | tuple[str, int]) -> tuple[str, int | None]:
    """Return (name, bars or None). Raises ValueError for what is neither a name nor a name with its bars."""
    if isinstance(one, str):
        return one, None
    if not isinstance(one, (tuple, list)) or len(one) != 2 or not isinstance(one[0], str):
        raise ValueError(f'sections holds a {type(one).__name__} that is no name and no ("verse", 8)')
    return one[0], one[1]


def _fits(form: list[tuple[str, int | None]], bars: int) -> None:
    """Raise ValueError where the sections cannot have ``bars`` bars."""
    fixed = sum(count or 0 for _, count in form)
    free = [label for label, count in form if count is None]
    if bars < fixed + len(free):
        raise ValueError(
            f"bars={bars} do not hold sections of {fixed + len(free)} bars: ask for more bars or fewer sections"
        )
    if free and share(free, bars - fixed) is None:
        raise ValueError(
            f"bars={bars} cannot be shared out so that sections of one label are alike: try {bars - 1} or {bars + 1}"
        )


def _goes_on(form: list[tuple[str, int | None]], arguments: PlanArguments) -> bool:
    """Whether the song may be longer than its pinned sections."""
    return all(count for _, count in form) and (arguments.bars is not None or arguments.duration_seconds is not None)


def with_chords(pins: PlanConstraints, chords: str | Sequence[str | Chord], key: Key | None) -> PlanConstraints:
    """``pins`` with a progression in the first section, and, where no key is given, the keys that it allows."""
    keys = pins.keys or _keys_of(chords)

    def bars(key: Key, meter: Meter) -> list[PlanBar]:
        return bars_of(LeadSheet.from_progression(chords, key=key, time_signature=meter))

    own_bars = bars(key or keys[0], pins.meter or Meter(4, 4))
    if len(own_bars) > MOST_SECTION:
        raise ValueError(f"chords has {len(own_bars)} bars; a section has at most {MOST_SECTION}: give them as a sheet")

    def content(key: Key, meter: Meter, _sections: LabelledBars) -> dict[tuple[str, int], PlanBar]:
        progression = bars(key, meter)
        return {
            position: progression[index % len(progression)]
            for index, position in enumerate(_places(pins, len(progression)))
        }

    return replace(pins, keys=keys, content=content, unit=len(own_bars))


def _with_exact_chords(
    sheet: LeadSheet, plan: Plan, pins: PlanConstraints, chords: str | Sequence[str | Chord]
) -> LeadSheet:
    """``sheet`` with the progression's own chords in its bars, where the plan's language has only their qualities."""
    own = LeadSheet.from_progression(chords, key=plan.key, time_signature=plan.meter)
    count = int(-(-own.length // plan.meter.beats_per_bar))
    return with_exact_bars(sheet, plan, own, {place: i % count for i, place in enumerate(_places(pins, count))})


def with_exact_bars(sheet: LeadSheet, plan: Plan, own: LeadSheet, sources: dict[tuple[str, int], int]) -> LeadSheet:
    """``sheet`` with the exact chords of another in bars that were pinned to it.

    Args:
        sheet: what ``plan`` says.
        plan: it knows chords only by quality, so C7#9 as C7.
        own: where the exact chords stand.
        sources: which bar of ``own``, from 0 on, a bar of the plan was pinned to: (label, number) → bar.
    """
    if not any(span.chord.folded for span in own.chords):
        return sheet
    per_bar = Fraction(plan.meter.beats_per_bar)
    bars = [(label, number) for label in plan.form for number in range(len(plan.content[label]))]
    spans: list[ChordSpan] = []
    for bar, place in enumerate(bars):
        start, first = bar * per_bar, sources.get(place, 0) * per_bar
        exact = [span for span in own.chords if span.start < first + per_bar and span.end > first]
        if place not in sources or not any(span.chord.folded for span in exact):
            spans += [span for span in sheet.chords if start <= span.start < start + per_bar]
            continue
        for span in exact:
            low = max(span.start, first)
            high = first + per_bar if span.end == own.length else min(span.end, first + per_bar)
            spans.append(ChordSpan(start + low - first, high - low, span.chord))
    return replace(sheet, chords=tuple(spans))


def _places(pins: PlanConstraints, count: int) -> list[tuple[str, int]]:
    """The bars that a progression of ``count`` bars fills.

    The first section; what it is too short for goes on in the next ones.
    """
    lengths = dict(pins.form) or {"A": None}
    out: list[tuple[str, int]] = []
    for label, length in lengths.items():
        if not out or len(out) < count:
            room = length or MOST_SECTION
            out += [(label, index) for index in range(room if not out else min(room, count - len(out)))]
    return out


def _keys_of(chords: str | Sequence[str | Chord]) -> tuple[Key, ...]:
    """Keys that a progression leaves open.

    Of numerals all of the mode that their tonic has; of chords the best one and its relative.
    """
    tokens = [c for c in (re.split(r"[\s|,:%.]+", chords) if isinstance(chords, str) else chords) if c]
    try:
        absolute = [c if isinstance(c, Chord) else Chord.parse(c) for c in tokens]
    except ValueError:  # numerals or numbers, or a mistake that reading them in a key will name
        tonic = next((str(c) for c in tokens if re.match(r"^(i|I)(?![ivIV])", str(c))), "")
        modes = {"i": ("minor",), "I": ("major",)}.get(tonic[:1], MODES)
        return tuple(Key(name, mode) for mode in modes for name in TONICS)
    spans = LeadSheet.from_progression([c for c in absolute if c.root] or ["C"]).chords
    best = local_keys(spans, min_beats=10**6)[0].key
    other = Key(best.transpose(-3 if best.mode == "major" else 3).tonic, "minor" if best.mode == "major" else "major")
    roots = {(c.root_pc, c.quality[:3] == "min") for c in absolute}
    return tuple(spell_key(key) for key in (best, other) if key == best or (key.tonic_pc, key.mode == "minor") in roots)
