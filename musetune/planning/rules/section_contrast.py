"""Parts that were written without the sections' purposes, brought to follow them: fuller sections have more notes than
sparser ones, in the order of their densities, and higher ones lie higher.

What is taken away are the strikes at the weakest places of bars; what is added are strikes of what sounds, half-way
through the longest, and for drums the strokes of an eighth pulse. No pitch class is added.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from musetune.planning.rules.band import BandBar
from musetune.planning.rules.grooves.bar import SPARSE
from musetune.planning.rules.grooves.chords import MOST_VOICES
from musetune.planning.rules.sheet_bars import chord_changes
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import StemNote

Group = list[StemNote]  # notes that are struck together
MORE = 0.5  # share of notes that a section has more than another by each unit of density between them
SPARSE_SHARE = 0.75  # most notes of a sparse section, as a share of the fewest of those that are not
ALIKE = 0.02  # densities this near ask for nothing
EIGHTH, LEAST = 2, 4  # steps; the shortest note that is struck twice
HIGHER, LOWER = 2, -2  # semitones of lift from which chords are turned
SLACK = 1e-6
TOUCHING = 0.1  # beats of silence over which a note goes on where the next one is left out
HAT, TAMBOURINE = 42, 54
CYMBALS = (42, 46, 51, 70, 44)
LEAD_TOP, CHORD_TOP, CHORD_BOTTOM = 88, 83, 45  # MIDI pitches within which sections move


@dataclass
class _Section:
    """A section's bars, and of each bar what a player strikes in it."""

    bars: list[BandBar]
    groups: list[list[Group]] = field(default_factory=list)

    @property
    def density(self) -> float:
        return self.bars[0].shape.density_at(0.5)

    @property
    def rate(self) -> float:
        """Notes a bar."""
        return sum(len(group) for bar in self.groups for group in bar) / len(self.bars)

    @property
    def height(self) -> float:
        pitches = [note.pitch for bar in self.groups for group in bar for note in group]
        return sum(pitches) / len(pitches) if pitches else 0.0


def follow_sections(
    sheet: LeadSheet, bars: Sequence[BandBar], parts: Mapping[str, Sequence[StemNote]]
) -> dict[str, tuple[StemNote, ...]]:
    """Bring parts into the order of the sections' densities and registers.

    Args:
        sheet: What is played.
        bars: Its bars (``band.band_bars``).
        parts: Notes of each player, beats; a player's silent sections stay silent.

    Returns:
        The parts. Where all sections are as full as each other nothing is changed.
    """
    spans = [list(group) for _, group in itertools.groupby(bars, key=lambda place: place.section)]
    if len({round(span[0].shape.density_at(0.5), 3) for span in spans}) < 2:
        return {player: tuple(notes) for player, notes in parts.items()}
    out = {}
    for player, notes in parts.items():
        sections = [_Section(span) for span in spans]
        _fill(sections, notes)
        _balance(player, sections, sheet)
        if player != "drums":
            _move(player, sections)
        kept = [note for one in sections for bar in one.groups for group in bar for note in group]
        out[player] = tuple(sorted(kept, key=lambda n: (n.start, n.pitch)))
    return out


def _fill(sections: Sequence[_Section], notes: Sequence[StemNote]) -> None:
    """Give each section the strikes of its bars."""
    places = [place for one in sections for place in one.bars]
    starts = [float(place.start) for place in places]
    inside: list[list[StemNote]] = [[] for _ in places]
    for note in notes:
        inside[max(bisect_right(starts, note.start + SLACK) - 1, 0)].append(note)
    bars = iter(inside)
    for one in sections:
        for _ in one.bars:
            ordered = sorted(next(bars), key=lambda n: (round(n.start, 6), n.pitch))
            one.groups.append([list(g) for _, g in itertools.groupby(ordered, key=lambda n: round(n.start, 6))])


def _balance(player: str, sections: Sequence[_Section], sheet: LeadSheet) -> None:
    """From the sparsest section on: no sparse one above its share, no fuller one below those before it."""
    usual = [one.rate for one in sections if one.density >= SPARSE and one.rate]
    done: list[_Section] = []
    for one in sorted((s for s in sections if s.rate), key=lambda s: s.density):
        if one.density < SPARSE and usual:
            _thin(one, SPARSE_SHARE * min(usual), sheet)
        sparser = [s for s in done if s.density < one.density - ALIKE]
        _thicken(player, one, max((s.rate * _more(one, s) for s in sparser), default=0.0))
        for other in sparser:  # where nothing is long enough to be struck twice
            _thin(other, one.rate / _more(one, other), sheet)
        done.append(one)


def _more(fuller: _Section, sparser: _Section) -> float:
    """How many times as many notes the fuller section has at least."""
    return 1 + MORE * (fuller.density - sparser.density)


def _thin(section: _Section, most: float, sheet: LeadSheet) -> None:
    """Leave out strikes, the weakest places first, until a bar has no more than ``most`` notes in the mean."""
    weakest = []
    for index, (place, groups) in enumerate(zip(section.bars, section.groups)):
        for group in groups[1:]:
            step = (group[0].start - float(place.start)) * place.per_beat
            rank = _strength(place, step)
            if not chord_changes(sheet, group[0].start):
                weakest.append((rank, -group[0].start, index, group))
    for _, _, index, group in sorted(weakest, key=lambda row: row[:3]):
        if section.rate <= most:
            return
        groups = section.groups[index]
        at = next(i for i, other in enumerate(groups) if other is group)
        end = max(note.start + note.beats for note in group)
        before = groups[at - 1]
        if max(note.start + note.beats for note in before) >= group[0].start - TOUCHING:
            before[:] = [replace(note, beats=end - note.start) for note in before]
        del groups[at]


def _strength(place: BandBar, step: float) -> int:
    """0 between the eighths, 1 between the beats, 2 on a weak beat, 3 on a strong one."""
    pulse = next((p for p in place.bar.pulses if abs(p.start - step) < 0.1), None)
    if pulse is not None:
        return 3 if pulse.quarter % 2 == 0 else 2
    return 1 if abs(step / EIGHTH - round(step / EIGHTH)) < 0.05 else 0


def _thicken(player: str, section: _Section, least: float) -> None:
    """Strike again what is long, the longest first, until a bar has ``least`` notes in the mean or all are short."""
    if player in ("keys", "guitar") and section.rate < least - SLACK:
        section.groups = [[_with_octave(group) for group in bar] for bar in section.groups]
    while section.rate < least - SLACK:
        if player == "drums":
            if not _stroke(section):
                return
            continue
        longest = max(
            (
                (min(note.beats for note in group) * place.per_beat, -at, -index)
                for index, (place, groups) in enumerate(zip(section.bars, section.groups))
                for at, group in enumerate(groups)
            ),
            default=(0, 0, 0),
        )
        steps, at, index = longest[0], -longest[1], -longest[2]
        if steps < LEAST - 0.2:
            return
        place, groups = section.bars[index], section.groups[index]
        group = groups[at]
        away = max(round(steps / 2 / EIGHTH), 1) * EIGHTH / place.per_beat
        again = [replace(note, start=note.start + away, beats=note.beats - away) for note in group]
        groups[at : at + 1] = [[replace(note, beats=away) for note in group], again]


def _with_octave(group: Group) -> Group:
    """A chord with its lowest note an octave higher as well, where the hand has room."""
    low = min(group, key=lambda note: note.pitch)
    high = low.pitch + 12
    room = 2 < len(group) < MOST_VOICES and high <= CHORD_TOP and high not in {note.pitch for note in group}
    return [*group, replace(low, pitch=high)] if room else group


def _stroke(section: _Section) -> bool:
    """Add one stroke to each bar that has room: the cymbal's eighths, then a tambourine on the weak beats."""
    struck = [note.pitch for groups in section.groups for group in groups for note in group]
    cymbal = max(CYMBALS, key=struck.count) if set(struck) & set(CYMBALS) else HAT
    added = False
    for index, place in enumerate(section.bars):
        groups = section.groups[index]
        if not groups:
            continue
        taken = {
            (round((note.start - float(place.start)) * place.per_beat), note.pitch)
            for group in groups
            for note in group
        }
        beats = [pulse.start for pulse in place.bar.pulses]
        weak = [pulse.start for pulse in place.bar.pulses if pulse.quarter % 2]
        between = [step for step in range(0, place.bar.steps, EIGHTH) if step not in beats]
        wanted = [(s, cymbal) for s in beats + between] + [(s, TAMBOURINE) for s in weak + between]
        free = next(((step, pitch) for step, pitch in wanted if (step, pitch) not in taken), None)
        if free is not None and place.beat(free[0]) < float(place.end) - SLACK:
            groups.append([StemNote(place.beat(free[0]), 0.25, free[1], 62)])
            added = True
    return added


def _move(player: str, sections: Sequence[_Section]) -> None:
    """Turn chords upwards or downwards; lift a lead by an octave where it lies below one that is to be lower."""
    for one in sections:
        lift = one.bars[0].shape.lift
        if player in ("keys", "guitar"):
            one.groups = [[_next_inversion(group, lift) for group in bar] for bar in one.groups]
        elif player == "lead" and one.rate:
            lower = [s.height for s in sections if s.rate and s.bars[0].shape.lift < lift - 1]
            top = max(note.pitch for bar in one.groups for group in bar for note in group)
            if lower and one.height < min(lower) and top + 12 <= LEAD_TOP:
                one.groups = [[[replace(n, pitch=n.pitch + 12) for n in group] for group in bar] for bar in one.groups]


def _next_inversion(group: Group, lift: int) -> Group:
    """A chord in its next inversion above or below; one or two notes stay as they are."""
    if len(group) < 3:
        return group
    ordered = sorted(group, key=lambda note: note.pitch)
    pitches = {note.pitch for note in ordered}
    low, high = ordered[0].pitch + 12, ordered[-1].pitch - 12
    if lift >= HIGHER and low <= CHORD_TOP and low not in pitches:
        return [*ordered[1:], replace(ordered[0], pitch=low)]
    if lift <= LOWER and high >= CHORD_BOTTOM and high not in pitches:
        return [replace(ordered[-1], pitch=high), *ordered[:-1]]
    return group
