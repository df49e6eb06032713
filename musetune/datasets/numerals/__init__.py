"""Scores with analyses in Roman numerals by people, to train and to measure the analyser of notes."""
