"""Can a bar's confidence be believed, and how sure should a bar be to be trained on?

    python benchmarks/bar_confidence.py --data ../shared/data --fluid FluidR3_GM.sf3 [--materials .cache/materials]
        [--sets pop-fluid,bands] [--songs 15] [--others 10] [--fit]

The sets are those of analysis.py, none heard in training. A bar is right where for three quarters of its time the
chord has the right root and third, both its bar lines lie within 70 ms of true ones with none between, and so does each
of its beats. Printed are the reliability of `musetune.analysis.bar_confidence` on known and on unknown music (expected
calibration error, Guo et al., ICML 2017, over ten bins), and for each `min_confidence` the share of bars that stay and
the share of these that are right; last the same of all chords, for the mark of an unsure chord.

`--fit` learns the calibration anew and writes it to musetune/analysis/bar_confidence.json: from songs for tuning
(POP909's numbers that end in 5, tens odd; other tunes and MIDI files than those that measure). Do so after training the
analyser's networks.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import mir_eval
import numpy as np
from analysis import ListeningSet, all_sets, choose, reliability, told
from scipy.optimize import minimize
from songs import HeldOutSound
from tqdm import tqdm

from musetune.analysis import analyze, hear
from musetune.analysis.bar_confidence import CALIBRATION, Calibration, bar_edges, bar_features, probability
from musetune.analysis.record import Analysis
from musetune.audio.source import RATE
from musetune.datasets.corpus import AnnotatedSong

WINDOW_S = 0.07  # as beats are counted
RIGHT = 0.75  # share of a bar's time
LEVELS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def right_chords(song: AnnotatedSong, found: Analysis, comparison: str = "thirds") -> Iterator[float]:
    """For each bar the share of its time whose chord is right; NaN where the truth is unsure for more than a quarter."""
    sheet = found.lead_sheet
    intervals, labels = mir_eval.util.adjust_intervals(
        np.asarray(sheet.chord_intervals_s, float), list(sheet.chord_labels), 0, song.duration_s, "N", "N"
    )
    truth, names = mir_eval.util.adjust_intervals(song.intervals_s, song.labels, 0, song.duration_s, "X", "X")
    both, asked, heard = mir_eval.util.merge_labeled_intervals(truth, names, intervals, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = getattr(mir_eval.chord, comparison)(asked, heard)
    for low, high in zip(*bar_edges(sheet), strict=True):
        seconds = np.minimum(both[:, 1], high) - np.maximum(both[:, 0], low)
        seconds = np.where(seconds > 0, seconds, 0.0)
        counted = right >= 0
        if seconds[counted].sum() < 0.75 * (high - low):
            yield float("nan")
        else:
            yield float((right[counted] * seconds[counted]).sum() / seconds[counted].sum())


def right_beats(song: AnnotatedSong, found: Analysis) -> Iterator[bool]:
    """For each bar whether its bar lines and beats are those of the song."""
    sheet = found.lead_sheet
    near = lambda times, time: len(times) and np.abs(times - time).min() <= WINDOW_S  # noqa: E731
    lines = {round(float(time), 4) for time in sheet.downbeats_s}
    for low, high in zip(*bar_edges(sheet), strict=True):
        ends = [time for time in (low, high) if round(float(time), 4) in lines]
        within = song.downbeats_s[(song.downbeats_s > low + WINDOW_S) & (song.downbeats_s < high - WINDOW_S)]
        beats = sheet.beats_s[(sheet.beats_s > low + 1e-3) & (sheet.beats_s < high - 1e-3)]
        truth = song.beats_s[(song.beats_s > low + WINDOW_S) & (song.beats_s < high - WINDOW_S)]
        yield (
            all(near(song.downbeats_s, time) for time in ends if time < song.duration_s - WINDOW_S)
            and not len(within)
            and len(beats) == len(truth)
            and all(near(truth, time) for time in beats)
        )


def rows_of(song: AnnotatedSong, wave: np.ndarray) -> np.ndarray:
    """(bars, features + 3): features, seconds, whether chords and beats are right; bars of unsure truth left out."""
    found = analyze(wave, RATE)
    low, high = bar_edges(found.lead_sheet)
    chords, beats = np.array(list(right_chords(song, found))), np.array(list(right_beats(song, found)))
    table = np.column_stack([bar_features(found), high - low, chords >= RIGHT, beats])
    return table[np.isfinite(chords) & (low < song.duration_s - 0.5)]


def collect(sets: Sequence[ListeningSet]) -> tuple[dict[str, list[np.ndarray]], dict[str, list[tuple]]]:
    """Each set's songs as `rows_of`, and its chords as `analysis.told`."""
    bars: dict[str, list[np.ndarray]] = {some.name: [] for some in sets}
    chords: dict[str, list[tuple]] = {some.name: [] for some in sets}
    for some in sets:
        for song, wave, _ in tqdm(some.songs(), desc=some.name, disable=None):
            bars[some.name].append(rows_of(song, wave))
            chords[some.name].extend(told(song, hear(wave, RATE)))
    return bars, chords
