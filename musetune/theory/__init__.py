"""Music theory over symbols: harmony, Roman numerals, rhythm.

Needs numpy, and music21 for rare numerals; no torch, no audio.
"""
