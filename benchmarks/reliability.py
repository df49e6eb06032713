"""How far the analyser's confidences can be believed: expected calibration error and reliability tables.

Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

import warnings

import mir_eval
import numpy as np
from listening_scores import mir_key

from musetune.analysis import Analysis
from musetune.datasets.corpus import AnnotatedSong
from musetune.symbols.estimate import Estimate

BINS = 10


def chord_beliefs(song: AnnotatedSong, heard: Estimate) -> list[tuple[float, float, float]]:
    """(confidence, whether right, seconds) of each chord heard: right as sevenths are counted, weighed by time."""
    intervals, labels = mir_eval.util.adjust_intervals(
        heard.intervals_s, list(heard.labels), 0, song.duration_s, "N", "N"
    )
    sure = mir_eval.util.adjust_intervals(
        heard.intervals_s, [str(c) for c in heard.confidence], 0, song.duration_s, "0", "0"
    )[1]
    truth, names = mir_eval.util.adjust_intervals(song.intervals_s, song.labels, 0, song.duration_s, "N", "N")
    both, one, other = mir_eval.util.merge_labeled_intervals(truth, names, intervals, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = mir_eval.chord.sevenths(one, other)
    at = np.searchsorted(intervals[:, 0], both.mean(axis=1), side="right") - 1
    lengths = np.diff(both, axis=1)[:, 0]
    return [(float(sure[i]), float(r), float(s)) for i, r, s in zip(at, right, lengths, strict=True) if r >= 0]


def judged(song: AnnotatedSong, found: Analysis) -> dict[str, tuple[float, float, float]]:
    """(confidence, whether right, 1) of the record's tempo, meter and key, as far as they are known."""
    sheet, key = found.lead_sheet, found.key
    near = abs(sheet.bpm / song.bpm - 1) < 0.04
    rows = {"tempo": (found.bpm_confidence, float(near), 1.0)}
    if len(song.downbeats_s):
        rows["meter"] = (found.meter_confidence, float(str(sheet.meter) == song.meter), 1.0)
    if song.key != "none":
        same = key is not None and mir_eval.key.weighted_score(mir_key(song.key), str(key)) == 1
        rows["key"] = (found.key_confidence, float(same), 1.0)
    return rows


def bins_of(rows: list[tuple[float, float, float]]) -> list[list[float]]:
    """For each tenth of confidence (BINS, 3): total weight, weighted confidence, weight of what was right."""
    sure, right, weight = np.array(rows).T
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    sums = [np.bincount(bins, values, BINS) for values in (weight, weight * sure, weight * right)]
    return [[round(float(value), 4) for value in row] for row in np.stack(sums, axis=1)]


def reliability(rows: list[tuple[float, float, float]]) -> tuple[float, list[tuple[float, float, float]]]:
    """Expected calibration error; (mean confidence, share right, share of all in per cent) of each bin."""
    sure, right, weight = np.array(rows).T
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    table, error = [], 0.0
    for number in range(BINS):
        here = bins == number
        if share := weight[here].sum() / weight.sum():
            said, was = (float(np.average(column[here], weights=weight[here])) for column in (sure, right))
            error += share * abs(said - was)
            table.append((said, was, 100 * share))
    return float(error), table


def reliability_text(rows: list[tuple[float, float, float]]) -> str:
    """The table, and the expected calibration error above it."""
    error, table = reliability(rows)
    lines = [f"  {said:9.2f} {was:9.2f} {share:8.1f} %" for said, was, share in table]
    return f"expected calibration error {error:.3f}\n       said       was     share\n" + "\n".join(lines)


class Belief:
    """What the analyser said with which confidence, and whether it was right: of chords, tempo, meter and key."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, float, float]]] = {}

    def add(self, song: AnnotatedSong, heard: Estimate, found: Analysis) -> None:
        """One song."""
        if song.labels:
            self.rows.setdefault("chord", []).extend(chord_beliefs(song, heard))
        for name, row in judged(song, found).items():
            self.rows.setdefault(name, []).append(row)
