"""Chords, local keys and Roman numerals from the notes of a score, by a small network on top of the rules."""
