"""Chords from notes, with certainty."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetune.datasets.half_bars import TEMPLATES, label_half_bars


def block(root: int, quality: str, start: float = 0.0, end: float = 1.0) -> np.ndarray:
    """The chord's notes with its root in the bass."""
    pitches = [36 + root, *(60 + root + step for step in TEMPLATES[quality])]
    return np.array([[start, end, pitch, 90] for pitch in pitches])


@settings(deadline=None)
@given(st.integers(0, 11), st.sampled_from(sorted(TEMPLATES)))
def test_a_bare_chord_is_named(root: int, quality: str) -> None:
    [chord] = label_half_bars(block(root, quality), np.array([0.0, 1.0]))
    found = mir_eval.chord.encode(chord.label)
    assert found[0] == root
    assert set(np.flatnonzero(found[1])) == set(TEMPLATES[quality])


def test_inversions_name_their_bass() -> None:
    notes = block(0, "maj")
    notes[0, 2] = 40
    [chord] = label_half_bars(notes, np.array([0.0, 1.0]))
    assert chord.label == "C:maj/3"


def test_silence_is_certainly_no_chord() -> None:
    chords = label_half_bars(block(0, "maj"), np.array([0.0, 1.0, 2.0]))
    assert [(chord.label, chord.certainty) for chord in chords][1] == ("N", 1.0)
    assert label_half_bars(np.zeros((0, 4)), np.array([0.0, 1.0]))[0].label == "N"


def test_what_is_unclear_is_unsure() -> None:
    edges = np.array([0.0, 1.0])
    clear = label_half_bars(block(0, "maj"), edges)[0].certainty
    cluster = np.array([[0.0, 1.0, pitch, 90] for pitch in range(60, 72)])
    relatives = block(0, "maj")  # C major and A minor at once
    relatives = np.concatenate([relatives, [[0.0, 1.0, 45, 90], [0.0, 1.0, 69, 90]]])
    assert clear > 0.9
    assert label_half_bars(cluster, edges)[0].certainty < 0.2
    sixth = label_half_bars(relatives, edges)[0]  # C6 and Am7 over C hold the same notes
    assert sixth.label == "C:maj6"
    assert sixth.certainty < 0.5 * clear


def test_passing_notes_do_not_turn_a_chord() -> None:
    melody = np.array([[k / 8, (k + 1) / 8, pitch, 80] for k, pitch in enumerate((72, 74, 76, 77, 79, 77, 76, 74))])
    [chord] = label_half_bars(np.concatenate([block(0, "maj"), melody]), np.array([0.0, 1.0]))
    assert chord.label.startswith("C:maj")


def test_each_stretch_is_judged_alone() -> None:
    notes = np.concatenate([block(0, "maj", 0, 1), block(9, "min", 1, 2)])
    chords = label_half_bars(notes, np.array([0.0, 1.0, 2.0]))
    assert [chord.label for chord in chords] == ["C:maj", "A:min"]
    assert [(chord.start_s, chord.end_s) for chord in chords] == [(0.0, 1.0), (1.0, 2.0)]
    assert [chord.certainty for chord in chords] == pytest.approx([1.0, 1.0], abs=0.2)
