"""MuseTune: make AudioLDM 2 play the chords, the key and the beat that you ask for."""

__version__ = "0.1.0"
