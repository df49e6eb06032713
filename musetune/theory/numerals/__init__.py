"""Roman numerals: text to chord, chord to text, and from the notes of a score."""

from musetune.theory.numerals.context import romans
from musetune.theory.numerals.roman import resolve_roman, roman_of, scale_degree

__all__ = ["resolve_roman", "roman_of", "romans", "scale_degree"]
