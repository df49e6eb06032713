"""Notes that the stem transformer wrote for a chord's quality → notes of the exact chord.

The transformer reads fourteen qualities. Where a chord's notes are others than its quality says (``C7#9``, ``C7b5``,
``Cno3``), notes of the quality that the chord lacks move to its own, and the players of chords add what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from musetune.planning.arranger.language import STEM_RANGES
from musetune.symbols import Chord, LeadSheet
from musetune.symbols.arrangement import Stem, StemNote

COMPING = ("keys", "guitar")  # who adds what is missing: the first that strikes the chord
STRUCK = 3  # so many notes at once are a chord


def voice_exactly(sheet: LeadSheet, stems: Mapping[str, Stem]) -> dict[str, Stem]:
    """Fit written stems to the exact chords of a sheet; a sheet without such chords leaves them as they are.

    Args:
        sheet: What is played.
        stems: Written for ``sheet`` by its chords' qualities.

    Returns:
        The stems by name; drums are never changed.
    """
    spans = [span for span in sheet.chords if span.chord.folded]
    if not spans:
        return dict(stems)
    notes = {name: list(stem.notes) for name, stem in stems.items() if not stem.is_drum}
    for span in spans:
        start, end = float(span.start) - 1e-6, float(span.end) - 1e-6
        inside = {name: [i for i, note in enumerate(line) if start <= note.start < end] for name, line in notes.items()}
        for name, places in inside.items():
            for i in places:
                notes[name][i] = _moved(notes[name][i], span.chord, name)
        comping = next((name for name in COMPING if inside.get(name)), None)
        if comping is not None:
            notes[comping] += _missing([notes[comping][i] for i in inside[comping]], span.chord, comping)
    return {
        name: replace(stem, notes=_in_order(notes[name])) if name in notes else stem for name, stem in stems.items()
    }


def _in_order(notes: list[StemNote]) -> tuple[StemNote, ...]:
    """The notes by place and pitch, each pitch once at a place."""
    each = {(note.start, note.pitch): note for note in reversed(notes)}
    return tuple(each[place] for place in sorted(each))


def _moved(note: StemNote, chord: Chord, player: str) -> StemNote:
    """The note, moved to the nearest of the chord's own where it is one of its quality's that the chord lacks."""
    exact = chord.pitch_classes
    if note.pitch % 12 in exact or note.pitch % 12 not in chord.simplify().pitch_classes:
        return note
    new = set(exact) - set(chord.simplify().pitch_classes)
    low, high = STEM_RANGES[player].low, STEM_RANGES[player].high
    tones = [pitch for pitch in range(low, high + 1) if pitch % 12 in exact]
    return replace(note, pitch=min(tones, key=lambda tone: (abs(tone - note.pitch), tone % 12 not in new, -tone)))


def _missing(struck: list[StemNote], chord: Chord, player: str) -> list[StemNote]:
    """Notes that the chord has and its quality has not, for every chord that is struck, else for the first note."""
    groups: dict[float, list[StemNote]] = {}
    for note in struck:
        groups.setdefault(note.start, []).append(note)
    chords = [group for group in groups.values() if len(group) >= STRUCK] or [groups[min(groups)]]
    new = [pc for pc in chord.pitch_classes if pc not in chord.simplify().pitch_classes]
    added = []
    for group in chords:
        top = max(group, key=lambda note: note.pitch)
        sounding = {note.pitch % 12 for note in group}
        added += [replace(top, pitch=_above(pc, top.pitch, player)) for pc in new if pc not in sounding]
    return added


def _above(pc: int, top: int, player: str) -> int:
    """The pitch of a class within an octave above ``top``, or below it where the player does not reach so high."""
    pitch = top + (pc - top) % 12
    return pitch if pitch <= STEM_RANGES[player].high else pitch - 12
