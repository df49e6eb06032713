"""What the sections of a song do, by their names and places: a chorus is louder and fuller than a verse, the last most.

The figures are our own reading of how arrangers speak of these parts (R. Snoman, "Dance Music Manual"; W. Everett, "The
Foundations of Rock", on verse, chorus and bridge); 0 is the song's usual.
"""

from __future__ import annotations

from collections.abc import Sequence

from musetune.symbols.spans import SectionPurpose

NAMED = {  # dynamics, density, register
    "intro": (-0.4, -0.5, 0.0),
    "verse": (0.0, 0.0, 0.0),
    "pre-chorus": (0.2, 0.2, 0.1),
    "chorus": (0.4, 0.3, 0.2),
    "hook": (0.4, 0.2, 0.1),
    "bridge": (-0.2, -0.2, 0.2),
    "solo": (0.3, 0.2, 0.4),
    "interlude": (-0.2, -0.3, 0.0),
    "break": (-0.4, -0.6, 0.0),
    "breakdown": (-0.5, -0.6, 0.1),
    "build": (0.3, 0.4, 0.3),
    "drop": (0.7, 0.6, 0.0),
    "vamp": (0.2, 0.1, 0.0),
    "montuno": (0.4, 0.4, 0.2),
    "climax": (0.8, 0.6, 0.5),
    "theme": (0.0, 0.0, 0.0),
    "trio": (-0.2, -0.2, 0.0),
    "outro": (-0.4, -0.4, -0.1),
}
PLAIN = {"A": (0.0, 0.0, 0.0), "B": (0.15, 0.1, 0.2)}  # letters; all after B are FURTHER
FURTHER = (-0.15, -0.1, 0.1)
GROWTH = 0.15  # by which the last of several equal sections is louder and fuller; those between by half of it
STEADY = ("intro", "outro", "break", "breakdown", "interlude")  # sections that do not grow


def section_purposes(labels: Sequence[str]) -> list[SectionPurpose | None]:
    """What each section of a song does; None of a label that says nothing, and of a song that is one section.

    Args:
        labels: The sections' names in order, such as "verse" or "A".

    Example:
        >>> verse, chorus, again, last = section_purposes(["verse", "chorus", "verse", "chorus"])
        >>> chorus.dynamics > verse.dynamics, last.dynamics > chorus.dynamics
        (True, True)
    """
    if len(labels) < 2:
        return [None] * len(labels)
    return [_purpose(labels, index) for index in range(len(labels))]


def _purpose(labels: Sequence[str], index: int) -> SectionPurpose | None:
    label = labels[index]
    name = label.lower().rstrip("' 0123456789")
    one_letter = len(label) == 1 and label.isupper()
    usual = NAMED.get(name) or (PLAIN.get(label, FURTHER) if one_letter else None)
    if usual is None:
        return None
    times, before = labels.count(label), labels[:index].count(label)
    growth = 0.0 if name in STEADY or before == 0 else GROWTH if before == times - 1 else GROWTH / 2
    dynamics, density, register = usual
    return SectionPurpose(round(min(dynamics + growth, 1), 3), round(min(density + growth, 1), 3), register)
