"""What a section is for, in dynamics, density and register: an intro is sparse, a chorus full, a build rises."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from musetune.symbols import Section

USUAL_HEIGHT, LIFT = 0.45, 10  # semitones from the lowest to the highest


@dataclass(frozen=True)
class SectionShape:
    """How a section is played.

    Attributes:
        level: Loudness at its beginning and its end; 1 is as the players play by themselves.
        density: How much is played at its beginning and its end, 0–1.
        height: Where in its range the lead lies, 0–1; guitar and keys go along (`lift`).
        resting: Players who do not play.
    """

    level: tuple[float, float] = (0.95, 0.98)
    density: tuple[float, float] = (0.72, 0.72)
    height: float = USUAL_HEIGHT
    resting: tuple[str, ...] = ()

    @property
    def lift(self) -> int:
        """Semitones by which guitar and keys lie higher than usual, -4 to 6."""
        return round(LIFT * (self.height - USUAL_HEIGHT))

    def level_at(self, part: float) -> float:
        """Loudness after a part, 0–1, of the section."""
        return self.level[0] + (self.level[1] - self.level[0]) * part

    def density_at(self, part: float) -> float:
        """Density after a part, 0–1, of the section."""
        return self.density[0] + (self.density[1] - self.density[0]) * part


SHAPES = {
    "intro": SectionShape((0.8, 0.86), (0.4, 0.6), 0.4, ("lead",)),
    "verse": SectionShape((0.88, 0.92), (0.6, 0.64), 0.35),
    "pre-chorus": SectionShape((0.9, 1.0), (0.66, 0.8), 0.5),
    "chorus": SectionShape((1.05, 1.08), (0.9, 0.95), 0.75),
    "hook": SectionShape((1.05, 1.05), (0.9, 0.9), 0.65),
    "bridge": SectionShape((0.88, 1.0), (0.55, 0.75), 0.55),
    "solo": SectionShape((1.0, 1.06), (0.85, 0.95), 0.75),
    "interlude": SectionShape((0.86, 0.9), (0.5, 0.6), 0.45, ("lead",)),
    "break": SectionShape((0.85, 0.95), (0.45, 0.7), 0.45, ("lead",)),
    "breakdown": SectionShape((0.72, 0.8), (0.3, 0.4), 0.4, ("drums", "bass")),
    "build": SectionShape((0.78, 1.05), (0.4, 1.0), 0.55),
    "drop": SectionShape((1.1, 1.1), (0.95, 1.0), 0.6),
    "climax": SectionShape((1.08, 1.14), (0.95, 1.0), 0.85),
    "theme": SectionShape((0.95, 1.0), (0.7, 0.75), 0.5),
    "vamp": SectionShape((1.0, 1.0), (0.8, 0.85), 0.5),
    "montuno": SectionShape((1.02, 1.06), (0.9, 0.95), 0.65),
    "outro": SectionShape((0.9, 0.72), (0.6, 0.35), 0.3),
    "B": SectionShape((0.98, 1.02), (0.75, 0.8), 0.65),
    "C": SectionShape((0.9, 1.0), (0.6, 0.75), 0.55),
}
USUAL = SectionShape()
ALSO = {
    "refrain": "chorus",
    "prechorus": "pre-chorus",
    "middle eight": "bridge",
    "coda": "outro",
    "end": "outro",
    "introduction": "intro",
}


def shape_of_section(section: Section) -> SectionShape:
    """The shape of a section: its label says how it moves and who rests, its purpose how loud, full and high it is.

    Example:
        >>> from fractions import Fraction
        >>> from musetune.symbols import SectionPurpose
        >>> loud = SectionPurpose(dynamics=0.5)
        >>> shape_of_section(Section(Fraction(0), Fraction(16), "verse", loud)).level_at(0.5) > 1
        True
    """
    shape, purpose = shape_of(section.label), section.purpose
    if purpose is None:
        return shape
    louder = 0.95 + 0.3 * purpose.dynamics - shape.level_at(0.5)
    fuller = 0.65 + 0.6 * purpose.density - shape.density_at(0.5)
    return replace(
        shape,
        level=(shape.level[0] + louder, shape.level[1] + louder),
        density=(_share(shape.density[0] + fuller), _share(shape.density[1] + fuller)),
        height=_share(0.4 + 1.2 * purpose.register),
    )


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def shape_of(label: str | None) -> SectionShape:
    """The shape of a section by its label; a number after the name ("verse 2") changes nothing.

    Example:
        >>> shape_of("Chorus 2").density > shape_of("verse").density
        True
    """
    name = re.sub(r"[\s_]*\d+$|'+$", "", (label or "").strip())
    found = SHAPES.get(name) or SHAPES.get(ALSO.get(name.lower(), name.lower()))
    return found or USUAL
