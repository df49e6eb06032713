"""Rhythm: metric hierarchy, syncopation, polyrhythm, swing."""
