"""Church modes that a prompt names: a plan's keys are major and minor, and each stands for the one with its third."""

from __future__ import annotations

import re

MODES = {
    "phrygian dominant": "major",
    "ionian": "major",
    "lydian": "major",
    "mixolydian": "major",
    "dorian": "minor",
    "phrygian": "minor",
    "aeolian": "minor",
    "locrian": "minor",
}
_MODE = re.compile(rf"\b({'|'.join(MODES)})\b", re.IGNORECASE)


def plain_modes(text: str) -> str:
    """Shared words of a prompt with each church mode as the plan's mode that has its third.

    Example:
        >>> plain_modes("<tonic:D> dorian groove")
        '<tonic:D> <mode:minor> groove'
    """
    return _MODE.sub(lambda m: f"<mode:{MODES[m[1].lower()]}>", text)


def church_modes(prompt: str) -> tuple[str, ...]:
    """What is to be remarked of the church modes that a prompt names.

    Example:
        >>> church_modes("funk in D dorian")
        ("plans are in major or minor: the prompt's dorian is minor here, its other notes are up to the chords",)
    """
    names = dict.fromkeys(match[1].lower() for match in _MODE.finditer(prompt))
    return tuple(
        f"plans are in major or minor: the prompt's {name} is {MODES[name]} here, its other notes are up to the chords"
        for name in names
        if name not in ("ionian", "aeolian")
    )
