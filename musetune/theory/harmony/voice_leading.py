"""How voices move from chord to chord: in the notes where they are known, else as little as the chord symbols allow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np

from musetune.symbols.chord import Chord
from musetune.symbols.json_values import JsonObject
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.spans import Note

Voice = tuple[Note, ...]
Moves = list[tuple[int, int]]  # of each voice at one moment: MIDI pitch before and after, from the lowest voice up
WIDEST = {"symbols": 2.0, "voices": 7.0}  # semitones a voice of mean motion at which smoothness is 0
DOUBLED = 0.5  # share of moments in octaves from which on two voices double each other


def voice_leading(sheet: LeadSheet, voices: Sequence[Voice] | None = None) -> JsonObject | None:
    """Measure how smoothly voices move from chord to chord.

    Args:
        sheet: Chords.
        voices: Notes of each voice, where they are known; None judges the chord symbols.

    Returns:
        The record's ``voice_leading``; None for fewer than two different chords (from symbols) or no voice that moves.
        ``from`` says what it rests on. "voices": the notes; motion and common tones from one chord to the next,
        parallels at every moment at which voices move. "symbols": the closest voicing over the written bass
        (``closest_moves``), which is what a player with a chart would do who moves as little as possible; its parallels
        are those that the progression invites, not heard ones. ``mean_motion_semitones``: sum over voices at a chord
        change, from symbols without the bass, and the least there is (Tymoczko, A Geometry of Music, 2011, ch. 2:
        taxicab size); ``common_tones``: mean number of pitch classes (symbols) or of voices that keep their pitch;
        ``smoothness`` = 1 − motion a voice / WIDEST, at least 0: 2 semitones a voice is the most that the smallest
        voice leading between two triads takes, 7 a fifth.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> row = voice_leading(LeadSheet.parse("| C | Am |"))
        >>> row["mean_motion_semitones"], row["common_tones"]
        (2.0, 2.0)
    """
    if voices is not None and any(len(voice) > 1 for voice in voices):
        return _from_voices(sheet, [voice for voice in voices if voice])
    return _from_symbols([span.chord for span in sheet.chords])


def _from_symbols(chords: Sequence[Chord]) -> JsonObject | None:
    pairs = [(a, b) for a, b in pairwise(chords) if a.root and b.root and set(a.pitch_classes) != set(b.pitch_classes)]
    if not pairs:
        return None
    sizes = [smallest_motion(tuple(sorted(a.pitch_classes)), tuple(sorted(b.pitch_classes))) for a, b in pairs]
    each = [size / max(len(a.pitch_classes), len(b.pitch_classes)) for size, (a, b) in zip(sizes, pairs)]
    common = [len(set(a.pitch_classes) & set(b.pitch_classes)) for a, b in pairs]
    return _row("symbols", sizes, each, common, list(closest_moves(chords)))


def _from_voices(sheet: LeadSheet, voices: list[Voice]) -> JsonObject | None:
    changes = [b.start for a, b in pairwise(sheet.chords) if a.chord != b.chord]
    at_changes = [moves for moves in (_across(voices, beat) for beat in changes) if moves]
    doubles = _doublings(voices)
    distinct = [voice for index, voice in enumerate(voices) if index not in doubles]
    moments = sorted({note.start for voice in distinct for note in voice})
    every = [moves for moves in (_across(distinct, beat) for beat in moments) if moves]
    if not every:
        return None
    at_changes = at_changes or every
    sizes = [sum(abs(b - a) for a, b in moves) for moves in at_changes]
    upper = [float(np.mean([abs(b - a) for a, b in (moves[1:] or moves)])) for moves in at_changes]
    common = [sum(a == b for a, b in moves) for moves in at_changes]
    return _row("voices", sizes, upper, common, every)


def _row(source: str, sizes: list[int], each: list[float], common: list[int], moments: list[Moves]) -> JsonObject:
    counts = np.array([_similar(moves) for moves in moments], int).reshape(-1, 4).sum(axis=0).tolist()
    return {
        "mean_motion_semitones": round(float(np.mean(sizes)), 3),
        "parallel_fifths": counts[0],
        "parallel_octaves": counts[1],
        "direct_fifths": counts[2],
        "direct_octaves": counts[3],
        "common_tones": round(float(np.mean(common)), 3),
        "smoothness": round(max(0.0, 1 - float(np.mean(each)) / WIDEST[source]), 3),
        "from": source,
    }


def _similar(moves: Moves) -> tuple[int, int, int, int]:
    """Parallel fifths, parallel octaves (unisons too), direct fifths and octaves of one moment.

    Parallel: two voices a fifth (octave, unison) apart move the same way to another. Direct: the outer voices move the
    same way into one from another interval, the upper by a leap of more than a whole tone (Aldwell and Schachter, ch.
    5).
    """
    parallel, direct = {7: 0, 0: 0}, {7: 0, 0: 0}
    for (a, b), (c, d) in combinations(moves, 2):
        interval = (d - b) % 12
        same_way = (b > a and d > c) or (b < a and d < c)
        if same_way and interval in parallel and (c - a) % 12 == interval:
            parallel[interval] += 1
    if len(moves) > 1:
        (a, b), (c, d) = moves[0], moves[-1]
        interval = (d - b) % 12
        same_way = (b > a and d - c > 2) or (b < a and d - c < -2)
        if same_way and interval in direct and (c - a) % 12 != interval:
            direct[interval] += 1
    return parallel[7], parallel[0], direct[7], direct[0]


def _across(voices: Iterable[Voice], beat: Fraction) -> Moves:
    """Moves of the voices that sound just before ``beat`` and at it, from the lowest (after the move) up.

    A rest is no move.
    """
    moves = []
    for voice in voices:
        at = bisect_right(voice, beat, key=lambda note: note.start) - 1
        if at < 0 or voice[at].start + voice[at].beats <= beat:
            continue
        after = voice[at]
        if after.start < beat:
            moves.append((after.pitch, after.pitch))
        elif at > 0 and voice[at - 1].start + voice[at - 1].beats >= beat - Fraction(1, 8):
            moves.append((voice[at - 1].pitch, after.pitch))
    return sorted(moves, key=lambda move: move[1])


def _doublings(voices: list[Voice]) -> set[int]:
    """Indices of voices that double another at the octave or unison for DOUBLED of their notes or more.

    That is colour, not counterpoint.
    """
    out: set[int] = set()
    starts = [{note.start: note.pitch for note in voice} for voice in voices]
    for one, two in combinations(range(len(voices)), 2):
        both = starts[one].keys() & starts[two].keys()
        same = sum((starts[one][at] - starts[two][at]) % 12 == 0 for at in both)
        if one not in out and same >= 8 and same >= DOUBLED * max(len(voices[one]), len(voices[two])):
            out.add(two)
    return out


# -- the smallest motion between chords --------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def smallest_motion(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """Semitones that voices move in all, at least, from one set of pitch classes to another.

    By assignment (Jonker and Volgenant, in scipy); the smaller set doubles the notes that cost least.

    Example:
        >>> smallest_motion((0, 4, 7), (0, 5, 9))
        3
    """
    return int(sum(abs(step) for _, step in smallest_steps(first, second)))


@lru_cache(maxsize=4096)
def smallest_steps(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """(place in ``first``, signed semitones −6…6) of each voice of the smallest motion, which has as many as the larger
    set.
    """
    from scipy.optimize import linear_sum_assignment

    steps = (np.array(second)[None, :] - np.array(first)[:, None] + 6) % 12 - 6
    extra = len(second) - len(first)
    if extra >= 0:  # the nearest note of the first set is doubled
        near = np.abs(steps).argmin(axis=0)
        sources = np.concatenate([np.tile(np.arange(len(first))[:, None], len(second)), np.tile(near, (extra, 1))])
        rows, columns = linear_sum_assignment(np.abs(steps[sources, np.arange(len(second))]))
        return tuple((int(sources[r, c]), int(steps[sources[r, c], c])) for r, c in zip(rows, columns))
    near = np.abs(steps).argmin(axis=1)
    targets = np.concatenate([np.tile(np.arange(len(second)), (len(first), 1)), np.tile(near[:, None], -extra)], axis=1)
    rows, columns = linear_sum_assignment(np.abs(np.take_along_axis(steps, targets, axis=1)))
    return tuple((int(r), int(steps[r, targets[r, c]])) for r, c in zip(rows, columns))


def closest_moves(chords: Sequence[Chord]) -> Iterator[Moves]:
    """Moves of the closest voicing at each chord change.

    The bass to the nearest written bass between E2 and E♭3, above it the chord's tones by ``smallest_steps``, starting
    around middle C. N ends a chain of voices; what follows starts anew.
    """
    bass, upper = 0, []
    before: Chord | None = None
    for chord in chords:
        if chord.root is None:
            before = None
            continue
        low = 40 + (chord.bass_pc - 40) % 12  # type: ignore[operator]
        tones = tuple(sorted(chord.pitch_classes))
        if before is None:
            upper = [55 + (tone - 55) % 12 for tone in tones]
        elif chord.pitch_classes != before.pitch_classes or low != bass:
            now = [pitch % 12 for pitch in upper]
            steps = smallest_steps(tuple(now), tones)
            yield [(bass, low), *sorted(((upper[i], upper[i] + step) for i, step in steps), key=lambda move: move[1])]
            upper = sorted({upper[i] + step for i, step in steps})
        bass, before = low, chord
