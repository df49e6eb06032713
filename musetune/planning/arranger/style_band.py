"""How a style is played: which player follows which rule, on which instrument, with which feel."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike

from musetune.planning.arranger.rule_stems import program_of
from musetune.planning.planner.song_style import SongStyle
from musetune.planning.planner.song_styles import all_styles, style_called
from musetune.planning.rules.band import BandBar, band_bars, play, resting
from musetune.planning.rules.expression import SwingFeel, perform
from musetune.planning.rules.grooves.catalogue import MODEL
from musetune.planning.rules.instruments import lead_range, program_called
from musetune.planning.rules.section_contrast import follow_sections
from musetune.planning.rules.variation import vary_repeats
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import SILENCE, STEMS, Stem, StemNote, Writer
from musetune.symbols.names import suggest


@dataclass(frozen=True)
class StyleBand:
    """Grooves and programs of the players, and the feel of all.

    Attributes:
        grooves: Name of each player's groove; players who are not in it are the transformer's.
        programs: General MIDI program of each player whose instrument the style names.
        feel: Long and short notes.
    """

    grooves: Mapping[str, str]
    programs: Mapping[str, int]
    feel: SwingFeel


def find_style(sheet: LeadSheet, style: str | None, file: str | PathLike | None) -> SongStyle | None:
    """The style that a call names, else the sheet's own; None where neither names one.

    Raises:
        ValueError: The call names a style that does not exist.
    """
    if style is None:
        return style_called(sheet.style, file)
    found = style_called(style, file)
    if found is None:
        names = [row.style for row in all_styles(file)]
        raise ValueError(f"style {style!r} is unknown{suggest(style, names)}; docs/reference/styles.md lists them")
    return found


def style_band(style: SongStyle, seed: int, whole: bool = True) -> StyleBand:
    """Choose grooves and instruments.

    Args:
        style: Names grooves and instruments.
        seed: Chooses where a style names several.
        whole: Whether the whole band was asked for; a single player who is asked to play does not rest.
    """
    grooves, programs = {}, {}
    for player in STEMS:
        if names := style.groove(player):
            name = random.Random(f"{seed}:{player}:groove").choice(names)
            if name != MODEL and (whole or name != SILENCE):
                grooves[player] = name
        program = program_called(style.instrument(player))
        if player != "drums" and program is not None:
            programs[player] = program
    feel = SwingFeel() if style.feel is None else SwingFeel(style.feel.ratio, style.feel.unit)
    return StyleBand(grooves, programs, feel)


def write_by_rule(sheet: LeadSheet, band: StyleBand, players: tuple[str, ...], seed: int) -> dict[str, Stem]:
    """The stems of those players who follow a rule, on the grid."""
    grooves = {player: name for player, name in band.grooves.items() if player in players}
    lead = band.programs.get("lead", program_of("lead", sheet.genre or "pop", random.Random(f"{seed}:lead")))
    notes = play(sheet, grooves, seed=seed, lead_range=lead_range(lead))
    stems = {}
    for player in grooves:
        chance = random.Random(f"{seed}:{player}:program")
        program = (
            lead if player == "lead" else band.programs.get(player, program_of(player, sheet.genre or "pop", chance))
        )
        stems[player] = Stem(0 if player == "drums" else program, notes[player], is_drum=player == "drums")
    return stems


def finish(
    sheet: LeadSheet, band: StyleBand, stems: Mapping[str, Stem], *, humanize: bool, seed: int
) -> dict[str, Stem]:
    """Stems with varied repeats, feel, dynamics and hands.

    Who rests in a section is silent there; each section says its writer.
    """
    bars = band_bars(sheet)
    sounding: dict[str, Sequence[StemNote]] = {}
    for player, stem in stems.items():
        silent = [place for place in bars if resting(player, place, band.grooves)]
        spans = [(float(place.start), float(place.end)) for place in silent]
        sounding[player] = [n for n in stem.notes if not any(a - 1e-6 <= n.start < b - 1e-6 for a, b in spans)]
    free = {player: notes for player, notes in sounding.items() if stems[player].source == MODEL}
    sounding |= follow_sections(sheet, bars, free)
    varied = vary_repeats(sheet, bars, sounding, band.grooves, seed)
    played = perform(sheet, bars, varied, feel=band.feel, humanize=humanize, seed=seed)
    return {
        player: replace(
            stem,
            program=band.programs.get(player, stem.program),
            notes=played[player],
            writers=tuple(_writers(player, stem, bars, band, varied[player])),
        )
        for player, stem in stems.items()
    }


def follow_purposes(sheet: LeadSheet, stems: Mapping[str, Stem]) -> dict[str, Stem]:
    """Stems of a song without a style, as loud, full and high as its sections' purposes say.

    Sections without a purpose have none to follow: a sheet that has no other sections leaves the stems as they are.
    """
    if not any(section.purpose is not None for section in sheet.sections):
        return dict(stems)
    bars = band_bars(sheet)
    parts = follow_sections(sheet, bars, {player: stem.notes for player, stem in stems.items()})
    played = perform(sheet, bars, parts, humanize=False)
    return {player: replace(stem, notes=played[player]) for player, stem in stems.items()}


def _writers(
    player: str, stem: Stem, bars: list[BandBar], band: StyleBand, notes: Sequence[StemNote]
) -> Iterator[Writer]:
    """A writer for each section: the rule's name, or that the player rests."""
    starts = [place for index, place in enumerate(bars) if not index or bars[index - 1].section != place.section]
    ends = [float(place.start) for place in starts[1:]] + [float("inf")]
    for place, end in zip(starts, ends):
        empty = not any(float(place.start) - 1e-6 <= note.start < end - 1e-6 for note in notes)
        rule = band.grooves.get(player, "") if stem.source == "rule" else ""
        if empty:
            yield Writer(max(float(place.start), 0.0), place.label, "rule", SILENCE)
        else:
            yield Writer(max(float(place.start), 0.0), place.label, stem.source, rule)
