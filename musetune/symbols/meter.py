"""Time signatures and what counts as their beat."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from musetune.symbols.limits import quote
from musetune.symbols.names import suggest

METERS = ("2/4", "3/4", "4/4", "5/4", "6/4", "7/4", "2/2", "3/8", "5/8", "6/8", "7/8", "9/8", "12/8")
DENOMINATORS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Meter:
    """Time signature.

    6/8, 9/8 and 12/8 count dotted quarters; every other meter counts its denominator.

    Args:
        numerator: Upper number, 1–255.
        denominator: Lower number: a power of 2 up to 128. These are all that MIDI and MusicXML hold.

    Raises:
        ValueError: For numbers outside these; it names the nearest usual meter.

    Example:
        >>> meter = Meter.parse("6/8")
        >>> meter.beats_per_bar, meter.beat_quarters
        (2, Fraction(3, 2))
    """

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if not 1 <= self.numerator <= 255 or self.denominator not in DENOMINATORS:
            hint = suggest(str(self), METERS, otherwise="4/4")
            raise ValueError(f"time signature {self} is outside 1–255 over a power of 2 up to 128{hint}")

    @staticmethod
    def parse(text: str) -> Meter:
        """Read ``3/4``.

        Raises:
            ValueError: For what is no time signature; it names the text and the nearest usual meter.
        """
        top, slash, bottom = text.strip().partition("/")
        if not slash or not (top.isdecimal() and bottom.isdecimal()) or len(text) > 20:
            raise ValueError(
                f"time signature {quote(text)} is not like 3/4 or 6/8{suggest(text, METERS, otherwise='4/4')}"
            )
        return Meter(int(top), int(bottom))

    @property
    def compound(self) -> bool:
        """Whether the beat divides in three, as in 6/8, 9/8 and 12/8."""
        return self.denominator >= 8 and self.numerator > 3 and self.numerator % 3 == 0

    @property
    def beats_per_bar(self) -> int:
        """Beats in a bar: 6/8 → 2, 3/4 → 3."""
        return self.numerator // 3 if self.compound else self.numerator

    @property
    def beat_quarters(self) -> Fraction:
        """Length of a beat in quarter notes: 6/8 → 3/2."""
        return Fraction(12 if self.compound else 4, self.denominator)

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"
