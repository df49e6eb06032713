"""Voice leading by assignment, and the forbidden parallels, against hand-made cases, brute force and music21."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.symbols import LeadSheet, Note
from musetune.theory.harmony.voice_leading import closest_moves, smallest_motion, smallest_steps, voice_leading

pitch_sets = st.sets(st.integers(0, 11), min_size=1, max_size=4).map(lambda tones: tuple(sorted(tones)))


def voices(*lines: list[int]) -> tuple[tuple[Note, ...], ...]:
    """One note a beat; what repeats is struck again."""
    return tuple(tuple(Note(Fraction(at), Fraction(1), pitch) for at, pitch in enumerate(line)) for line in lines)


def sheet(text: str) -> LeadSheet:
    return LeadSheet.from_progression(text.split(), beats_per_chord=1)


@pytest.mark.parametrize(
    ("first", "second", "semitones"),
    [
        ((0, 4, 7), (0, 4, 9), 2),
        ((0, 4, 7), (0, 3, 7), 1),
        ((0, 4, 7), (2, 7, 11), 3),
        ((0, 4, 7), (0, 4, 7, 11), 1),
        ((0, 4, 7), (0, 4, 7), 0),
        ((0, 4, 7), (1, 6, 10), 6),
    ],
)
def test_smallest_motion(first: tuple[int, ...], second: tuple[int, ...], semitones: int) -> None:
    assert smallest_motion(first, second) == smallest_motion(second, first) == semitones


def by_hand(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """The same by trying all orders."""
    if len(first) > len(second):
        first, second = second, first
    apart = [[min((a - b) % 12, (b - a) % 12) for b in second] for a in first]
    best = 99
    for order in permutations(range(len(second)), len(first)):
        total = sum(apart[i][j] for i, j in enumerate(order))
        best = min(best, total + sum(min(row[j] for row in apart) for j in range(len(second)) if j not in order))
    return best


@given(pitch_sets, pitch_sets)
def test_assignment_finds_what_trying_all_orders_finds(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    assert smallest_motion(first, second) == by_hand(first, second)
    reached = {(first[place] + step) % 12 for place, step in smallest_steps(first, second)}
    assert reached == set(second)
    assert {place for place, _ in smallest_steps(first, second)} == set(range(len(first)))


def test_from_symbols() -> None:
    said = voice_leading(sheet("C Am F"))
    assert said is not None
    assert (said["mean_motion_semitones"], said["common_tones"], said["smoothness"]) == (1.5, 2.0, 0.75)
    assert said["from"] == "symbols"
    assert voice_leading(sheet("C")) is None
    assert voice_leading(sheet("C C7 N.C. C7")) is not None


def test_the_closest_voicing_of_a_whole_step_up_goes_in_parallels() -> None:
    said = voice_leading(sheet("F G"))
    assert said is not None
    assert said["parallel_fifths"] >= 1
    assert said["parallel_octaves"] >= 1
    good = voice_leading(sheet("C F/C C Am C"))
    assert good is not None
    assert good["parallel_fifths"] == good["parallel_octaves"] == 0


def test_the_closest_voicing_holds_the_chords() -> None:
    chart = LeadSheet.parse("| C | Am7 | Dm7/F | G7 | Bdim7 | C/E |")
    chords = [span.chord for span in chart.chords]
    for moves, chord in zip(closest_moves(chords), chords[1:], strict=True):
        assert {after % 12 for _, after in moves} == set(chord.pitch_classes)
        assert moves[0][1] % 12 == chord.bass_pc


@pytest.mark.parametrize(
    ("low", "high", "counts"),
    [
        ([48, 50], [55, 57], (1, 0, 0, 0)),  # fifths
        ([48, 50], [60, 62], (0, 1, 0, 0)),  # octaves
        ([48, 48], [55, 55], (0, 0, 0, 0)),  # repeated
        ([48, 43], [55, 62], (0, 0, 0, 0)),  # in contrary motion
        ([48, 53], [64, 72], (0, 0, 1, 0)),  # direct: a tenth, then a fifth, the upper voice leaps
        ([48, 53], [67, 77], (0, 0, 0, 1)),
        ([48, 53], [71, 72], (0, 0, 0, 0)),  # the upper voice steps
    ],
)
def test_parallels_in_voices(low: list[int], high: list[int], counts: tuple[int, ...]) -> None:
    said = voice_leading(sheet("C D"), voices(high, low))
    assert said is not None
    names = ("parallel_fifths", "parallel_octaves", "direct_fifths", "direct_octaves")
    assert tuple(said[name] for name in names) == counts
    assert said["from"] == "voices"


def test_from_voices() -> None:
    said = voice_leading(sheet("C F"), voices([67, 69], [64, 65], [60, 60], [48, 53]))
    assert said is not None
    assert said["mean_motion_semitones"] == 2 + 1 + 0 + 5
    assert said["common_tones"] == 1
    assert said["smoothness"] == pytest.approx(1 - 1 / 7, abs=1e-3)


def test_a_part_that_doubles_another_is_no_counterpoint() -> None:
    tune = [60, 62, 64, 65, 67, 69, 71, 72, 74, 76]
    said = voice_leading(sheet("C D E F G A B C D E"), voices([p + 12 for p in tune], tune, [48] * 10))
    assert said is not None
    assert said["parallel_octaves"] == 0


def test_rests_break_the_line() -> None:
    apart = tuple(
        (Note(Fraction(0), Fraction(1), a), Note(Fraction(3), Fraction(1), b)) for a, b in ((48, 50), (55, 57))
    )
    assert voice_leading(sheet("C D E F"), apart) is None


def test_parallels_of_a_chorale_as_music21_counts_them() -> None:
    corpus = pytest.importorskip("music21.corpus")
    from music21 import note, voiceLeading

    from musetune.formats.scores import read_score

    score = read_score(corpus.getWork("bach/bwv40.8"))
    chords = LeadSheet.from_progression(["C", "F"] * (int(score.length) // 2), beats_per_chord=1)
    said = voice_leading(chords, score.voices)
    ends = [{n.start: n for n in voice} for voice in score.voices]
    fifths = 0
    for upper in range(4):
        for lower in range(upper + 1, 4):
            for at in ends[upper].keys() & ends[lower].keys():
                before = [next((n for n in score.voices[v] if n.start + n.beats == at), None) for v in (upper, lower)]
                if None in before:
                    continue
                four = (before[0], ends[upper][at], before[1], ends[lower][at])
                quartet = voiceLeading.VoiceLeadingQuartet(*[note.Note(n.pitch) for n in four])  # type: ignore[union-attr]
                fifths += quartet.parallelFifth()
    assert said is not None
    assert said["parallel_fifths"] == fifths
