"""LeadSheet → Arrangement: the stem transformer writes drums, bass, guitar, keys and lead, each after those that are
already written.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.planning.arranger.copy_filter import CopyFilter
from musetune.planning.arranger.exact_chords import voice_exactly
from musetune.planning.arranger.language import STEPS, Passage, StemEvent, hit_of
from musetune.planning.arranger.notes import stem_notes
from musetune.planning.arranger.passages import cuts, known_meters, nearest_step, passage_at
from musetune.planning.arranger.rule_stems import program_of, rule_stems
from musetune.planning.arranger.style_band import find_style, finish, follow_purposes, style_band, write_by_rule
from musetune.planning.rules.sheet_bars import SheetBar, bars_of
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import STEMS, Arrangement, Stem, StemNote

if TYPE_CHECKING:
    from musetune.planning.arranger.model import StemTransformer

SHIPPED = Path(__file__).parent / "weights"
ALIASES = {"vocals": "lead"}
GREEDY = 1e-6  # a temperature at which all but the likeliest token has no chance, and after a copy the next likeliest


@dataclass(frozen=True)
class PassagePosition:
    """Where a passage stands in the song: its first beat, and which passage of which section it is."""

    start: Fraction
    passage: Passage
    label: str | None
    part: int


class Arranger:
    """The stem transformer: writes drums, bass, guitar, keys and lead for lead sheets, each after those before.

    Args:
        model: The network.
        copies: Runs of notes from training songs that are not to be written again.
    """

    def __init__(self, model: StemTransformer, copies: CopyFilter | None = None) -> None:
        self.model, self.copies = model, copies

    @staticmethod
    def from_pretrained(name_or_path: str | Path = "nano") -> Arranger:
        """Load "nano", which is shipped, or a folder that recipes/arranger/train.py wrote.

        Raises FileNotFoundError for a folder without weights.
        """
        import torch

        from musetune.planning.arranger.model import StemTransformer

        folder = SHIPPED if name_or_path == "nano" else Path(name_or_path)
        with torch.random.fork_rng(devices=[]):  # loading draws random numbers; the caller's generator is left alone
            return Arranger(StemTransformer.from_pretrained(folder), CopyFilter.load(folder))

    def arrange(
        self,
        sheet: LeadSheet,
        *,
        stems: tuple[str, ...] = STEMS,
        given: Arrangement | None = None,
        seed: int = 0,
        temperature: float = 0.9,
        style: str | None = None,
        styles: str | PathLike | None = None,
        humanize: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Arrangement:
        """Write the notes of players for a lead sheet's chords, meter, key and sections.

        A section that recurs with equal chords re-uses what was written for its label. A sheet's own melody counts as
        a given lead. In a meter that the transformer has never heard (5/4, say) all stems are rule-made and say so
        (``Stem.source``).

        Where the sheet or ``style`` names a style (docs/reference/styles.md), its grooves
        (docs/reference/grooves.md) are played by the rules of these names, the transformer writes the other players
        after them, and all have the style's feel, its sections' dynamics and human timing; sections that come back
        are ornamented (``musetune.planning.rules.variation``). ``Stem.writers`` says who
        wrote which section. Without a style, sections that have a purpose (``Section.purpose``) are as loud, full and
        high as it says.

        Args:
            sheet: What is played.
            stems: Of "drums", "bass", "guitar", "keys", "lead"; "vocals" is another name of "lead".
            given: Stems that stay as they are, and that the others are written for.
            seed: An equal seed gives equal notes.
            temperature: 0–10; 0 takes the likeliest token each time, 1 draws as the model thinks, more is wilder.
            style: Name of the style in which it is played; None takes the sheet's own, "" none at all.
            styles: A YAML file of styles that go before those of the package.
            humanize: Whether places and velocities stray a little where there is a style, as hands do.
            progress: Called with (stems of passages written, all of them).

        Returns:
            The arrangement, in beats.

        Raises:
            ValueError: A stem, a style or a groove is unknown, or the temperature is outside 0–10.
            FileNotFoundError: There is no such file of styles.
        """
        if not 0 <= temperature <= 10:
            raise ValueError(f"temperature={temperature} is outside 0–10: 0 is the likeliest, 0.9 is usual")
        names = check_stems(stems)
        given_by_name = given_stems(sheet, given, names)
        writing = tuple(s for s in names if s not in given_by_name)
        found = None if style == "" else find_style(sheet, style, styles)
        band = None if found is None else style_band(found, seed, whole=len(names) == len(STEMS))
        ruled = {} if band is None else write_by_rule(sheet, band, writing, seed)
        free = tuple(s for s in writing if s not in ruled)
        if not known_meters(sheet):
            new_stems = rule_stems(sheet, free, seed=seed)
        else:
            heard = given_by_name | {name: stem for name, stem in ruled.items() if stem.notes}
            new_stems = self._write(sheet, free, heard, seed, temperature or GREEDY, progress)
        if band is not None:
            new_stems = finish(sheet, band, ruled | new_stems, humanize=humanize, seed=seed)
        else:
            new_stems = follow_purposes(sheet, new_stems)
        order = [s for s in STEMS if s in new_stems or s in given_by_name]
        return Arrangement(sheet.grid, {s: given_by_name[s] if s in given_by_name else new_stems[s] for s in order})

    def _write(
        self,
        sheet: LeadSheet,
        stems: tuple[str, ...],
        context: dict[str, Stem],
        seed: int,
        temperature: float,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Stem]:
        from musetune.planning.arranger.sampling import StemRequest, compose

        positions = positions_of(sheet)
        music: list[tuple[PassagePosition, StemRequest]] = []  # what is written, each once
        indices = []
        for where in positions:
            request = StemRequest(where.passage, stems, {s: events_in(stem, s, where) for s, stem in context.items()})
            same = [i for i, (p, r) in enumerate(music) if recurs(p, where) and r.context == request.context]
            indices.append(same[0] if same else len(music))
            if not same:
                music.append((where, request))
        events = (
            compose(self.model, [r for _, r in music], seed=seed, temperature=temperature, progress=progress)
            if stems
            else []
        )
        rng, out = random.Random(seed), {}
        for stem in stems:
            notes: list[StemNote] = []
            for where, i in zip(positions, indices):
                notes += stem_notes(stem, events[i][stem], where.passage, float(where.start), float(sheet.length))
            out[stem] = Stem(
                program_of(stem, sheet.genre or "pop", rng), tuple(notes), is_drum=stem == "drums", source="model"
            )
        return voice_exactly(sheet, out)


@lru_cache(maxsize=2)
def _arranger(name_or_path: str) -> Arranger:
    return Arranger.from_pretrained(name_or_path)


def arrange(
    sheet: LeadSheet,
    *,
    model: str = "nano",
    stems: tuple[str, ...] = STEMS,
    given: Arrangement | None = None,
    seed: int = 0,
    temperature: float = 0.9,
    style: str | None = None,
    styles: str | PathLike | None = None,
    humanize: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Arrangement:
    """Write the notes of players for a lead sheet, with a model that is loaded once.

    Args:
        sheet: What is played.
        model: "nano", which is in the package, or a folder that recipes/arranger/train.py wrote.
        stems: Of "drums", "bass", "guitar", "keys", "lead"; "vocals" is another name of "lead".
        given: Stems that stay as they are, and that the others are written for.
        seed: An equal seed gives equal notes.
        temperature: 0–10; 0 takes the likeliest token each time, 1 draws as the model thinks, more is wilder.
        style: Name of the style in which it is played; None takes the sheet's own, "" none at all.
        styles: A YAML file of styles that go before those of the package.
        humanize: Whether places and velocities stray a little where there is a style, as hands do.
        progress: Called with (stems of passages written, all of them).

    Returns:
        The players' notes, in beats of the sheet.

    Raises:
        FileNotFoundError: The folder has no weights, or there is no such file of styles.
        ValueError: A stem, a style or a groove is unknown, or the temperature is outside 0–10.

    Example:
        >>> song = arrange(LeadSheet.parse("| C | Am | F | G |", bpm=100), stems=("drums", "bass"))
        >>> {name: stem.source for name, stem in song.stems.items()}
        {'drums': 'model', 'bass': 'model'}
        >>> song = arrange(LeadSheet.parse("| Am | Dm | E7 | Am |", bpm=76), stems=("drums",), style="reggae")
        >>> song.stems["drums"].credit
        'by rule one_drop'
    """
    return _arranger(str(model)).arrange(
        sheet,
        stems=stems,
        given=given,
        seed=seed,
        temperature=temperature,
        style=style,
        styles=styles,
        humanize=humanize,
        progress=progress,
    )


def check_stems(stems: tuple[str, ...]) -> tuple[str, ...]:
    """The stems by their own names, in the order in which they are written.

    Raises ValueError for one that does not exist.
    """
    names = [ALIASES.get(s, s) for s in ((stems,) if isinstance(stems, str) else stems)]
    if unknown := [s for s in names if s not in STEMS]:
        raise ValueError(f"stem {unknown[0]!r} is not one of {', '.join(STEMS)} (or vocals, another name of lead)")
    return tuple(s for s in STEMS if s in names)


def given_stems(sheet: LeadSheet, given: Arrangement | None, names: tuple[str, ...]) -> dict[str, Stem]:
    """The user's stems by name, source "given"; the sheet's melody as lead where one is wanted and none is given."""
    given_by_name = {
        ALIASES.get(name, name): replace(stem, source="given", writers=())
        for name, stem in (given.stems if given else {}).items()
    }
    check_stems(tuple(given_by_name))
    if sheet.melody and "lead" in names and "lead" not in given_by_name:
        notes = tuple(StemNote(float(n.start), float(n.beats), n.pitch, n.velocity) for n in sheet.melody)
        given_by_name["lead"] = Stem(program_of("lead", sheet.genre or "pop", random.Random(0)), notes, source="given")
    return given_by_name


def positions_of(sheet: LeadSheet) -> list[PassagePosition]:
    """The song cut into passages of up to eight bars of one section and meter."""
    groups: list[list[SheetBar]] = []
    for bar in bars_of(sheet):
        if groups and (groups[-1][0].section, groups[-1][0].meter) == (bar.section, bar.meter):
            groups[-1].append(bar)
        else:
            groups.append([bar])
    positions = []
    for group in groups:
        section, at = group[0].section, 0
        label = None if section is None else sheet.sections[section].label
        for part, size in enumerate(cuts(len(group))):
            positions.append(
                PassagePosition(group[at].start, passage_at(sheet, group[at].start, size, group[at].meter), label, part)
            )
            at += size
    return positions


def recurs(before: PassagePosition, now: PassagePosition) -> bool:
    """Whether a passage is the same part of a section with the same label, meter, mode and chords.

    The key may be another.
    """
    one, other = before.passage, now.passage
    same = (one.bars, one.meter, one.mode, one.harmony) == (other.bars, other.meter, other.mode, other.harmony)
    return same and now.label is not None and (before.label, before.part) == (now.label, now.part)


def events_in(stem: Stem, name: str, where: PassagePosition) -> list[StemEvent]:
    """A given stem's notes inside a passage, moved to the nearest step of its grid."""
    passage, events = where.passage, []
    hits: dict[int, set[int]] = {}
    for note in stem.notes:
        at = float(note.start) - float(where.start)
        step = nearest_step(at, passage.meter)
        if not 0 <= step < passage.steps:
            continue
        if name == "drums":
            hits.setdefault(step, set()).add(note.pitch)
        else:
            events.append(StemEvent(step, note.pitch - passage.offset, max(round(note.beats * STEPS), 2)))
    return events + [StemEvent(step, hit_of(pitches)) for step, pitches in sorted(hits.items())]
