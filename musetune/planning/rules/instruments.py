"""Instruments in words → General MIDI programs, and the ranges in which they play a lead."""

from __future__ import annotations

from musetune.planning.rules.styles import PROGRAM_NAMES

PROGRAMS = {name: program for program, name in sorted(PROGRAM_NAMES.items(), reverse=True)} | {
    "808 bass": 38,
    "accordion": 21,
    "acoustic bass": 32,
    "acoustic guitar": 25,
    "alto saxophone": 65,
    "bagpipes": 109,
    "bandoneon": 23,
    "banjo": 105,
    "bells": 14,
    "celesta": 8,
    "celeste": 8,
    "clavinet": 7,
    "electric bass": 33,
    "electric guitar": 27,
    "electric piano": 4,
    "fiddle": 110,
    "glockenspiel": 9,
    "kalimba": 108,
    "marimba": 12,
    "mandolin": 25,
    "music box": 10,
    "ocarina": 79,
    "organ": 16,
    "pan flute": 75,
    "piccolo": 72,
    "recorder": 74,
    "rhodes": 4,
    "saxophone": 66,
    "sitar": 104,
    "slap bass": 36,
    "slow strings": 49,
    "steel drums": 114,
    "synth": 90,
    "synth brass": 62,
    "synth lead": 81,
    "synthesiser": 90,
    "synthesizer": 90,
    "tenor saxophone": 66,
    "trombone": 57,
    "tuba": 58,
    "tubular bells": 14,
    "ukulele": 24,
    "viola": 41,
    "violins": 48,
    "voice": 53,
    "whistle": 78,
    "xylophone": 13,
}
# First and last program of a family, and the MIDI pitches that its leads keep to: what players find easy to hear and
# to play, within the stem transformer's 53–88
RANGES = (
    ((0, 7), (57, 86)), ((8, 15), (62, 88)), ((16, 23), (57, 84)), ((24, 31), (53, 83)), ((32, 39), (53, 72)),
    ((40, 40), (57, 88)), ((41, 43), (53, 76)), ((44, 51), (57, 86)), ((52, 54), (55, 79)), ((56, 56), (55, 82)),
    ((57, 58), (53, 70)), ((59, 63), (55, 80)), ((64, 65), (56, 81)), ((66, 67), (53, 75)), ((68, 71), (56, 84)),
    ((72, 79), (62, 88)), ((80, 103), (57, 84)), ((104, 119), (57, 84)),
)  # fmt: skip
USUAL = (57, 84)


def program_called(words: str | None) -> int | None:
    """The General MIDI program of an instrument in words: the longest name that is in them; None for none.

    Example:
        >>> program_called("a warm nylon guitar"), program_called("theremin")
        (24, None)
    """
    text = (words or "").lower()
    named = [name for name in PROGRAMS if name in text]
    return PROGRAMS[max(named, key=len)] if named else None


def lead_range(program: int) -> tuple[int, int]:
    """Lowest and highest MIDI pitch of a lead on a General MIDI program."""
    return next((span for (low, high), span in RANGES if low <= program <= high), USUAL)
