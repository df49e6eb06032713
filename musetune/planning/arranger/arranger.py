"""LeadSheet → Arrangement: the stem transformer writes drums, bass, guitar, keys and lead, each after those that are
already written.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.planning.arranger.copies import Copies
from musetune.planning.arranger.language import STEPS, Event, Passage, hit_of
from musetune.planning.arranger.notes import stem_notes
from musetune.planning.arranger.passages import Bar, bars_of, cuts, known_meters, nearest_step, passage_at
from musetune.planning.arranger.rule_stems import program_of, rule_stems
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import STEMS, Arrangement, Stem, StemNote

if TYPE_CHECKING:
    from musetune.planning.arranger.model import StemTransformer

SHIPPED = Path(__file__).parent / "weights"
ALIASES = {"vocals": "lead"}
GREEDY = 1e-6  # a temperature at which all but the likeliest token has no chance, and after a copy the next likeliest


@dataclass(frozen=True)
class Place:
    """Where a passage stands in the song: its first beat, and which passage of which section it is."""

    start: Fraction
    passage: Passage
    label: str | None
    part: int


class Arranger:
    """Writes stems for lead sheets; see ``arrange``."""

    def __init__(self, model: StemTransformer, copies: Copies | None = None) -> None:
        self.model, self.copies = model, copies

    @staticmethod
    def from_pretrained(name_or_path: str | Path = "nano") -> Arranger:
        """ "nano", which is shipped, or a folder that recipes/arranger/train.py wrote.

        Raises FileNotFoundError for a folder without weights.
        """
        import torch

        from musetune.planning.arranger.model import StemTransformer

        folder = SHIPPED if name_or_path == "nano" else Path(name_or_path)
        with torch.random.fork_rng(devices=[]):  # loading draws random numbers; the caller's generator is left alone
            return Arranger(StemTransformer.from_pretrained(folder), Copies.load(folder))

    def arrange(
        self,
        sheet: LeadSheet,
        *,
        stems: tuple[str, ...] = STEMS,
        given: Arrangement | None = None,
        seed: int = 0,
        temperature: float = 0.9,
        progress: Callable[[int, int], None] | None = None,
    ) -> Arrangement:
        """Notes for ``stems`` on the sheet's chords, metre, key and sections, conditioned on ``given`` stems, which
        stay as they are.

        A section that recurs with the same chords re-uses what was written for its label. A sheet's own melody counts
        as a given lead. In a metre that the transformer has never heard (5/4, say) all stems are rule-made and say so
        (``Stem.source``). "vocals" is another name of "lead". temperature: 0 takes the likeliest token each time, 1
        draws as the model thinks, more is wilder. progress: told (stems of passages written, all of them). The same
        seed gives the same notes. Raises ValueError for an unknown stem or a temperature outside 0–10.
        """
        if not 0 <= temperature <= 10:
            raise ValueError(f"temperature={temperature} is outside 0–10: 0 is the likeliest, 0.9 is usual")
        wanted = check_stems(stems)
        kept = given_stems(sheet, given, wanted)
        writing = tuple(s for s in wanted if s not in kept)
        if not known_meters(sheet):
            written = rule_stems(sheet, writing, seed=seed)
        else:
            written = self._write(sheet, writing, kept, seed, temperature or GREEDY, progress)
        order = [s for s in STEMS if s in written or s in kept]
        return Arrangement(sheet.grid, {s: kept[s] if s in kept else written[s] for s in order})

    def _write(
        self,
        sheet: LeadSheet,
        stems: tuple[str, ...],
        given: dict[str, Stem],
        seed: int,
        temperature: float,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Stem]:
        from musetune.planning.arranger.writing import Request, compose

        places = places_of(sheet)
        music: list[tuple[Place, Request]] = []  # what is written, each once
        chosen = []
        for place in places:
            request = Request(place.passage, stems, {s: events_in(stem, s, place) for s, stem in given.items()})
            same = [i for i, (p, r) in enumerate(music) if recurs(p, place) and r.given == request.given]
            chosen.append(same[0] if same else len(music))
            if not same:
                music.append((place, request))
        events = (
            compose(self.model, [r for _, r in music], seed=seed, temperature=temperature, progress=progress)
            if stems
            else []
        )
        rng, out = random.Random(seed), {}
        for stem in stems:
            notes: list[StemNote] = []
            for place, i in zip(places, chosen):
                notes += stem_notes(stem, events[i][stem], place.passage, float(place.start), float(sheet.length))
            out[stem] = Stem(
                program_of(stem, sheet.genre or "pop", rng), tuple(notes), is_drum=stem == "drums", source="model"
            )
        return out


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
    progress: Callable[[int, int], None] | None = None,
) -> Arrangement:
    """``Arranger.arrange`` with a model that is loaded once."""
    return _arranger(str(model)).arrange(
        sheet, stems=stems, given=given, seed=seed, temperature=temperature, progress=progress
    )


def check_stems(stems: tuple[str, ...]) -> tuple[str, ...]:
    """The stems by their own names, in the order in which they are written.

    Raises ValueError for one that does not exist.
    """
    names = [ALIASES.get(s, s) for s in ((stems,) if isinstance(stems, str) else stems)]
    if unknown := [s for s in names if s not in STEMS]:
        raise ValueError(f"stem {unknown[0]!r} is not one of {', '.join(STEMS)} (or vocals, another name of lead)")
    return tuple(s for s in STEMS if s in names)


def given_stems(sheet: LeadSheet, given: Arrangement | None, wanted: tuple[str, ...]) -> dict[str, Stem]:
    """The user's stems by name, source "given"; the sheet's melody as lead where one is wanted and none is given."""
    kept = {
        ALIASES.get(name, name): replace(stem, source="given") for name, stem in (given.stems if given else {}).items()
    }
    check_stems(tuple(kept))
    if sheet.melody and "lead" in wanted and "lead" not in kept:
        notes = tuple(StemNote(float(n.start), float(n.beats), n.pitch, n.velocity) for n in sheet.melody)
        kept["lead"] = Stem(program_of("lead", sheet.genre or "pop", random.Random(0)), notes, source="given")
    return kept


def places_of(sheet: LeadSheet) -> list[Place]:
    """The song cut into passages of up to eight bars of one section and metre."""
    groups: list[list[Bar]] = []
    for bar in bars_of(sheet):
        if groups and (groups[-1][0].section, groups[-1][0].meter) == (bar.section, bar.meter):
            groups[-1].append(bar)
        else:
            groups.append([bar])
    places = []
    for group in groups:
        section, at = group[0].section, 0
        label = None if section is None else sheet.sections[section].label
        for part, size in enumerate(cuts(len(group))):
            places.append(
                Place(group[at].start, passage_at(sheet, group[at].start, size, group[at].meter), label, part)
            )
            at += size
    return places


def recurs(before: Place, now: Place) -> bool:
    """Whether a passage is the same part of a section with the same label, metre, mode and chords.

    The key may be another.
    """
    one, other = before.passage, now.passage
    same = (one.bars, one.meter, one.mode, one.harmony) == (other.bars, other.meter, other.mode, other.harmony)
    return same and now.label is not None and (before.label, before.part) == (now.label, now.part)


def events_in(stem: Stem, name: str, place: Place) -> list[Event]:
    """A given stem's notes inside a passage, moved to the nearest step of its grid."""
    passage, events = place.passage, []
    hits: dict[int, set[int]] = {}
    for note in stem.notes:
        at = float(note.start) - float(place.start)
        step = nearest_step(at, passage.meter)
        if not 0 <= step < passage.steps:
            continue
        if name == "drums":
            hits.setdefault(step, set()).add(note.pitch)
        else:
            events.append(Event(step, note.pitch - passage.offset, max(round(note.beats * STEPS), 2)))
    return events + [Event(step, hit_of(pitches)) for step, pitches in sorted(hits.items())]
