"""Chords in the hand: which pitches a bass, a guitar or a keyboard takes, near to those before."""

from __future__ import annotations

from collections.abc import Sequence

from musetune.symbols import Chord

# MIDI pitches: E1–D3, A2–A4, C3–G5
BASS, GUITAR, KEYS = (28, 50), (45, 69), (48, 79)
PULL = 0.3  # how far each chord goes back from where the hand is to the middle of its range


def pitch_near(pitch_class: int, near: float, low: int, high: int) -> int:
    """The pitch of a class within low–high that is nearest to ``near``; the lower of two."""
    pitches = range(low + (pitch_class - low) % 12, high + 1, 12)
    return min(pitches, key=lambda pitch: (abs(pitch - near), pitch))


def bass_note(chord: Chord, low: int = 28) -> int:
    """The chord's sounding bass, in the octave from ``low`` up."""
    assert chord.bass_pc is not None
    return low + (chord.bass_pc - low) % 12


def degree(chord: Chord, sign: str) -> int:
    """Semitones above the chord's bass note of R, 3, 5, 6, 7 or 8; where the chord has no such tone, a tone it has."""
    assert chord.root_pc is not None
    assert chord.bass_pc is not None
    if sign in ("R", "8"):
        return 0 if sign == "R" else 12
    tones = [tone % 12 for tone in chord.tones]
    wanted = {"3": (4, 3, 5, 2), "5": (7, 6, 8), "6": (9, 7, 8, 6), "7": (10, 11, 9, 7, 8, 6)}[sign]
    tone = next((tone for tone in wanted if tone in tones), 0)
    return (chord.root_pc + tone - chord.bass_pc) % 12


def close_near(chord: Chord, near: Sequence[int], low: int, high: int, voices: int = 5) -> list[int]:
    """All tones of a chord within an octave or little more, in the inversion that moves least from ``near``.

    Of more than ``voices`` the fifth goes first, then the root, which the bass plays.
    """
    classes = list(dict.fromkeys(chord.pitch_classes))
    root = chord.root_pc
    for leaving in [(root + tone) % 12 for tone in (7,)] + [root] if root is not None else []:
        if len(classes) > voices and leaving in classes:
            classes.remove(leaving)
    classes = classes[:voices] if len(classes) > voices else classes
    middle = _middle(near, (low + high) / 2 - 2)
    best: list[int] = []
    for lowest in classes:
        for start in range(low + (lowest - low) % 12, high - 10, 12):
            pitches = sorted(start + (pc - start) % 12 for pc in classes)
            if pitches[-1] <= high and (not best or _travel(pitches, middle) < _travel(best, middle)):
                best = pitches
    return best


def _middle(near: Sequence[int], usual: float) -> float:
    """Where the next chord's middle goes: near to the chord before, a little back to the usual."""
    return (1 - PULL) * sum(near) / len(near) + PULL * usual if near else usual


def _travel(pitches: Sequence[int], middle: float) -> float:
    return abs(sum(pitches) / len(pitches) - middle)


def shell(chord: Chord, near: Sequence[int], low: int, high: int) -> list[int]:
    """A jazz pianist's left hand: no root, no plain fifth, where three tones or more remain; else all of the chord."""
    classes = [pc for pc in dict.fromkeys(chord.pitch_classes) if pc != chord.root_pc]
    root = chord.root_pc or 0
    fifth = (root + 7) % 12
    rest = [pc for pc in classes if pc != fifth]
    kept = rest if len(rest) >= 3 else classes if len(classes) >= 3 else list(dict.fromkeys(chord.pitch_classes))
    middle = _middle(near, (low + high) / 2)
    voicings = [
        sorted(start + (pc - start) % 12 for pc in kept[:5])
        for lowest in kept
        for start in range(low + (lowest - low) % 12, high - 10, 12)
    ]
    return min((v for v in voicings if v[-1] <= high), key=lambda v: _travel(v, middle))


def power(chord: Chord, low: int = 40) -> list[int]:
    """Root, fifth and octave; without the fifth where the chord has none."""
    assert chord.root_pc is not None
    root = low + (chord.root_pc - low) % 12
    tones = [tone % 12 for tone in chord.tones]
    fifth = next((tone for tone in (7, 6, 8) if tone in tones), None)
    return [root, *([root + fifth] if fifth else []), root + 12]
