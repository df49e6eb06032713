"""What players do otherwise when a section comes back: the chords recur, the parts are ornamented.

A first chorus is played as it is written. In each further one, leads split, leave out or move a note, keys and
guitar strike again, earlier, or in another inversion, a bass leaps an octave, a drummer adds a stroke or leaves one
out. Equal seeds give equal variations.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from musetune.planning.rules.band import BandBar
from musetune.planning.rules.fills import MACHINES, QUIET
from musetune.planning.rules.grooves.bar import STEPS
from musetune.planning.rules.sheet_bars import chord_changes
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import StemNote
from musetune.symbols.key import SCALES

Group = list[StemNote]  # notes that are struck together
KICK, SNARE, HATS = 36, 38, (42, 44, 46)
EIGHTH = 2  # steps
LEAD = {"split": 0.2, "drop": 0.16, "early": 0.14, "late": 0.1}  # chance of each for a note of a repeat
CHORDS = {"split": 0.16, "drop": 0.14, "early": 0.14, "invert": 0.2}
DRUMS = {"kick": 0.3, "ghost": 0.3, "hat": 0.25}  # for a bar
BASS = {"split": 0.12, "drop": 0.06, "octave": 0.06}
HIGHEST_BASS = 55
LOOPED = 0.6  # factor of these where a drum machine goes round


def vary_repeats(
    sheet: LeadSheet,
    bars: Sequence[BandBar],
    parts: Mapping[str, Sequence[StemNote]],
    grooves: Mapping[str, str],
    seed: int = 0,
) -> dict[str, tuple[StemNote, ...]]:
    """Parts with their repeated sections ornamented.

    Args:
        sheet: What is played.
        bars: Its bars (``band.band_bars``).
        parts: Notes of each player on the grid, beats.
        grooves: Name of each player's groove; quiet drummers stay as they are.
        seed: What is varied how.

    Returns:
        The parts. First sections of each label, the song's last bar and what begins on a bar line or with a
        chord stay.
    """
    times = _times_before(bars)
    starts = [float(place.start) for place in bars]
    factor = LOOPED if grooves.get("drums") in MACHINES else 1.0
    out = {}
    for player, notes in parts.items():
        own: list[list[StemNote]] = [[] for _ in bars]
        for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
            own[max(bisect_right(starts, note.start + 1e-6) - 1, 0)].append(note)
        varied: list[StemNote] = []
        for index, (place, inside) in enumerate(zip(bars, own, strict=True)):
            if times[index] and inside and index < len(bars) - 1:
                chance = random.Random(f"{seed}:{player}:{place.label}:{times[index]}:{place.bar.number}:again")
                inside = _vary(player, inside, place, sheet, chance, factor, grooves.get("drums", ""))
            varied += inside
        out[player] = tuple(sorted(varied, key=lambda n: (n.start, n.pitch)))
    return out


def _times_before(bars: Sequence[BandBar]) -> list[int]:
    """For each bar how many sections of its label came before its own; 0 where it has no label."""
    seen: dict[str, list[int]] = {}
    out = []
    for place in bars:
        sections = seen.setdefault(place.label, [])
        if place.section not in sections:
            sections.append(place.section)
        out.append(sections.index(place.section) if place.label else 0)
    return out


def _vary(
    player: str,
    notes: list[StemNote],
    place: BandBar,
    sheet: LeadSheet,
    chance: random.Random,
    factor: float,
    groove: str,
) -> list[StemNote]:
    if player == "drums":
        return notes if groove in QUIET else _drummed(notes, place, chance)
    odds = {"lead": LEAD, "bass": BASS}.get(player, CHORDS)
    groups: list[Group] = []
    for note in notes:
        if groups and abs(groups[-1][0].start - note.start) < 1e-6:
            groups[-1].append(note)
        else:
            groups.append([note])
    return _ornamented(groups, place, sheet, chance, {name: factor * odd for name, odd in odds.items()})


def _ornamented(
    groups: list[Group], place: BandBar, sheet: LeadSheet, chance: random.Random, odds: Mapping[str, float]
) -> list[StemNote]:
    """A bar's strikes with ornaments; the one on the bar line keeps its place."""
    per_beat, begin = place.per_beat, float(place.start)
    eighth, out = EIGHTH / per_beat, list[StemNote]()
    free = begin  # where the strike before this one began
    for index, group in enumerate(groups):
        start = group[0].start
        step = (start - begin) * per_beat
        fixed = abs(step) < 1e-6 or chord_changes(sheet, start)
        onbeat = any(abs(step - pulse.start) < 1e-6 for pulse in place.bar.pulses)
        after = groups[index + 1][0].start if index + 1 < len(groups) else float(place.end)
        room = after - start
        what = _drawn(odds, chance)
        if what == "drop" and not fixed and not place.bar.full and (not onbeat or len(groups) > 3):
            continue
        held = start - eighth >= begin - 1e-6 and not chord_changes(sheet, start - eighth / 2, eighth / 2)
        if what == "early" and not fixed and held and start - free >= 2 * eighth - 1e-6:
            group = [replace(note, start=start - eighth, beats=note.beats + eighth) for note in group]
        elif what == "late" and room >= 2 * eighth - 1e-6 and not fixed:
            group = [replace(n, start=n.start + eighth, beats=max(n.beats - eighth, eighth / 2)) for n in group]
        elif what == "split" and min(n.beats for n in group) >= 2 * eighth - 0.15 and room >= 2 * eighth - 1e-6:
            at = start + (eighth * 2 if room >= 4 * eighth - 1e-6 and chance.random() < 0.5 else eighth)
            group = [replace(note, beats=at - start) for note in group] + [
                replace(note, start=at, beats=note.start + note.beats - at, pitch=pitch)
                for note in group
                if note.start + note.beats > at + 1e-6
                for pitch in [_neighbour(note.pitch, sheet, at, chance) if len(group) == 1 else note.pitch]
            ]
        elif what == "invert" and len(group) > 2:
            group = _inverted(group, chance)
        elif what == "octave" and not fixed and group[0].pitch + 12 <= HIGHEST_BASS:
            group = [replace(note, pitch=note.pitch + 12) for note in group]
        free = min(note.start for note in group)
        out += group
    return out


def _drawn(odds: Mapping[str, float], chance: random.Random) -> str:
    drawn = chance.random()
    for name, odd in odds.items():
        drawn -= odd
        if drawn < 0:
            return name
    return ""


def _neighbour(pitch: int, sheet: LeadSheet, beat: float, chance: random.Random) -> int:
    """The note above or below in the key, or the chord's next tone."""
    at = Fraction(beat).limit_denominator(48)
    key, chord = sheet.key_at(at), sheet.chord_at(at)
    scale = {(key.tonic_pc + step) % 12 for step in SCALES[key.mode]}
    tones = set(chord.pitch_classes) if chord is not None and chord.root is not None else scale
    wanted = tones if chance.random() < 0.5 else scale
    near = [p for p in range(pitch - 5, pitch + 6) if p % 12 in wanted and p != pitch]
    below, above = [p for p in near if p < pitch], [p for p in near if p > pitch]
    side = below if (chance.random() < 0.5 and below) or not above else above
    return min(side, key=lambda p: abs(p - pitch)) if side else pitch


def _inverted(group: Group, chance: random.Random) -> Group:
    """The chord's lowest but one note an octave up, or its highest an octave down; the lowest stays."""
    ordered = sorted(group, key=lambda n: n.pitch)
    taken = {n.pitch for n in ordered}
    index = 1 if chance.random() < 0.5 else len(ordered) - 1
    moved = ordered[index].pitch + (12 if index == 1 else -12)
    if moved in taken or moved <= ordered[0].pitch or moved > 88:
        return group
    ordered[index] = replace(ordered[index], pitch=moved)
    return ordered


def _drummed(notes: list[StemNote], place: BandBar, chance: random.Random) -> list[StemNote]:
    """A further kick, a ghost stroke on the snare, or a hat left out."""
    per_beat, begin = place.per_beat, float(place.start)
    out = list(notes)
    taken = {(round((n.start - begin) * per_beat), n.pitch) for n in notes}
    last = place.bar.steps - STEPS
    kicks, snares = [n for n in notes if n.pitch == KICK], [n for n in notes if n.pitch == SNARE]
    if kicks and chance.random() < DRUMS["kick"]:
        step = chance.choice(range(EIGHTH, max(last, EIGHTH + 1), EIGHTH))
        if (step, KICK) not in taken and (step, SNARE) not in taken:
            out.append(replace(kicks[-1], start=begin + step / per_beat, velocity=round(0.8 * kicks[-1].velocity)))
    if snares and chance.random() < DRUMS["ghost"]:
        step = chance.choice(range(1, max(last, 2), 2))
        if (step, SNARE) not in taken:
            out.append(replace(snares[0], start=begin + step / per_beat, velocity=max(snares[0].velocity // 2, 1)))
    hats = [n for n in notes if n.pitch in HATS and round((n.start - begin) * per_beat) % STEPS]
    if hats and chance.random() < DRUMS["hat"]:
        out.remove(chance.choice(hats))
    return out
