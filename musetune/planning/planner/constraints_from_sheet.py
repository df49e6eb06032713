"""Going on from a lead sheet.

What it has stays to the letter, bars without chords and bars beyond its end are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from musetune.planning.planner.constraints import MOST_BARS, PlanConstraints
from musetune.planning.planner.constraints_from_arguments import (
    PlanArguments,
    PlanRequest,
    check_genre,
    check_length,
    name_sections,
    read_key,
    read_meter,
    spell_key,
    with_exact_bars,
)
from musetune.planning.planner.form_detection import derive_form
from musetune.planning.planner.language import Plan, PlanBar, bars_in, bars_of
from musetune.planning.planner.vocabulary import LETTERS, MOST_SECTION
from musetune.symbols import BeatGrid, Key, LeadSheet, Section
from musetune.symbols.beat_grid import check_bpm


def request_from_sheet(sheet: LeadSheet, arguments: PlanArguments) -> PlanRequest:
    """Pins that keep ``sheet``.

    Raises ValueError for a sheet with a pickup or a change of meter, and for pins that contradict it.
    """
    sheet = _apply_arguments(sheet, arguments)
    per_bar = sheet.meter.beats_per_bar
    bars = bars_of(sheet)
    target_bars = (
        arguments.bars
        if arguments.duration_seconds is None
        else bars_in(arguments.duration_seconds, round(sheet.bpm, 6), sheet.meter)
    )
    total = len(bars) if target_bars is None else target_bars
    if not len(bars) <= total <= MOST_BARS:
        raise ValueError(
            f"{total} bars asked for, the sheet has {len(bars)}: cut it with sheet.slice, or ask for "
            f"{len(bars)}–{MOST_BARS}"
        )
    form, names = _form_of(sheet, bars)
    content = {(label, index): bar for label, stretch in form for index, bar in enumerate(stretch) if bar}
    places = [(label, index) for label, stretch in form for index in range(len(stretch))]
    sources = {place: bar for bar, place in reversed(list(enumerate(places))) if place in content}
    pins = PlanConstraints(
        genre=sheet.genre,
        meter=sheet.meter,
        keys=(spell_key(sheet.key),),
        bpm=round(sheet.bpm, 6),
        bars=total,
        closed=total == len(bars),
        form=tuple((label, len(stretch)) for label, stretch in form),
        content=lambda _key, _meter, _sections: content,
        style=sheet.style,
    )

    def finish(plan: Plan) -> LeadSheet:
        plan = replace(plan, key=sheet.key)
        continuation = with_exact_bars(plan.sheet(name_sections(plan, names)), plan, sheet, sources)
        return _join(sheet, continuation, per_bar)

    return PlanRequest(pins, finish)


def _apply_arguments(sheet: LeadSheet, arguments: PlanArguments) -> LeadSheet:
    """The sheet in the key, tempo and genre that are asked for, its pins checked."""
    check_length(arguments)
    check_genre(arguments.genre)
    read_meter(sheet.meter)
    if arguments.chords is not None or arguments.sections is not None:
        raise ValueError("a sheet brings its own chords and sections: edit them in the sheet, or leave the sheet out")
    if sheet.first_downbeat:
        raise ValueError(
            f"the sheet begins with a pickup of {sheet.first_downbeat} beats: go on from "
            f"sheet.slice({sheet.first_downbeat}, {sheet.length})"
        )
    if len({span.meter for span in sheet.meters}) > 1 or arguments.time_signature not in (
        None,
        sheet.meter,
        str(sheet.meter),
    ):
        raise ValueError(
            f"the sheet is in {', '.join(str(s.meter) for s in sheet.meters)}; a plan has one meter, and the sheet's "
            f"cannot be changed here"
        )
    key = read_key(arguments.key)
    if key is not None and key.mode != sheet.key.mode:
        raise ValueError(
            f"key={str(key)!r} is not a transposition of the sheet's {sheet.key}: give a {sheet.key.mode} key, or edit "
            f"its chords"
        )
    if key is not None:
        sheet = _in_key(sheet, key)
    if arguments.bpm is not None:
        check_bpm(arguments.bpm)
        sheet = replace(sheet, grid=BeatGrid.constant(arguments.bpm, int(sheet.length)))
    return replace(sheet, genre=arguments.genre or sheet.genre)


def _in_key(sheet: LeadSheet, key: Key) -> LeadSheet:
    transposition = sheet.transpose((key.tonic_pc - sheet.key.tonic_pc + 6) % 12 - 6)
    return replace(transposition, keys=(replace(transposition.keys[0], key=key), *transposition.keys[1:]))


def _form_of(sheet: LeadSheet, bars: list[PlanBar]) -> tuple[list[tuple[str, list[PlanBar]]], dict[str, str]]:
    """(letter, its bars) in order and the sheet's names for the letters; sections whose bars differ get letters of
    their own.
    """
    form: list[tuple[str, list[PlanBar]]] = []
    kinds: list[tuple[str, list[PlanBar], str]] = []
    at = 0
    for name, count in _stretches(sheet, bars):
        here = bars[at : at + count]
        letter = next((letter for its, there, letter in kinds if its == name and there == here), None)
        if letter is None:
            if len(kinds) == len(LETTERS):
                raise ValueError(
                    f"the sheet has more than {len(LETTERS)} different sections; go on from a part of it (sheet.slice)"
                )
            letter = LETTERS[len(kinds)]
            kinds.append((name, here, letter))
        form.append((letter, here))
        at += count
    return form, {letter: name for name, _, letter in kinds}


def _stretches(sheet: LeadSheet, bars: list[PlanBar]) -> list[tuple[str, int]]:
    """(name, bars) from one beginning of a section to the next, none longer than a plan's sections; found from the
    chords where none is named.
    """
    if not sheet.sections:
        return derive_form(bars)
    per_bar = sheet.meter.beats_per_bar
    starts = {min(max(round(s.start / per_bar), 0), len(bars) - 1): s.label for s in sheet.sections}
    starts.setdefault(0, sheet.sections[0].label)
    lines = [*sorted(starts), len(bars)]
    out: list[tuple[str, int]] = []
    for start, end in pairwise(lines):
        out += [(starts[start], min(MOST_SECTION, end - at)) for at in range(start, end, MOST_SECTION)]
    return out


def _join(old: LeadSheet, new: LeadSheet, per_bar: int) -> LeadSheet:
    """``old`` with what ``new`` has in its empty bars and beyond its end."""
    old_bars = {bar for span in old.chords for bar in range(int(span.start // per_bar), int(-(-span.end // per_bar)))}
    chords = [*old.chords, *(span for span in new.chords if int(span.start // per_bar) not in old_bars)]
    last = -(-old.length // per_bar) * per_bar
    if old.chords and old.chords[-1].end == old.length < last:  # a begun bar becomes a whole one
        chords[len(old.chords) - 1] = replace(old.chords[-1], beats=last - old.chords[-1].start)
    beyond: Sequence[Section] = [section for section in new.sections if not old.sections or section.start >= last]
    return replace(
        old,
        chords=tuple(sorted(chords, key=lambda span: span.start)),
        length=new.length,
        genre=old.genre or new.genre,
        style=old.style or new.style,
        sections=(*old.sections, *beyond) if old.sections else tuple(beyond),
    )
