"""How right a listener is about a song, in per cent, and the means of a set with their intervals."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import mir_eval
import numpy as np

from musetune.analysis.listening.vocabulary import BEATS
from musetune.datasets.corpus import AnnotatedSong

CHORD_COLUMNS = {  # what mir_eval calls each
    "root": "root",
    "majmin": "majmin",
    "sevenths": "sevenths",
    "inversions": "majmin_inv",
    "tetrads": "tetrads",
    "tetrads with bass": "tetrads_inv",
}
BEAT_COLUMNS = ("beat F", "AMLt", "downbeat F", "tempo", "level", "meter", "key", "× real time")
COLUMNS = (*CHORD_COLUMNS, *BEAT_COLUMNS)
SONG = "song"  # in a song's row: its name
DRAWS = 1000  # of the bootstrap

Row = dict[str, Any]  # of a song: per cent, seconds, and its name at SONG


def seconds_of(column: str) -> str:
    """What a row calls the time that a measure of chords could compare."""
    return f"{column}, s"


def chord_scores(song: AnnotatedSong, intervals_s: np.ndarray, labels: list[str]) -> dict[str, tuple[float, float]]:
    """Share 0…1 of the comparable time that is right, and that time in seconds; measures without any are left out."""
    start, end = float(song.intervals_s.min()), float(song.intervals_s.max())
    intervals, names = mir_eval.util.adjust_intervals(np.asarray(intervals_s, float), labels, start, end, "N", "N")
    both, truth, said = mir_eval.util.merge_labeled_intervals(song.intervals_s, song.labels, intervals, names)
    lengths = mir_eval.util.intervals_to_durations(both)
    scores = {}
    for column, name in CHORD_COLUMNS.items():
        right = getattr(mir_eval.chord, name)(truth, said)
        counted = right >= 0
        if (seconds := float(lengths[counted].sum())) > 0:
            scores[column] = float(lengths[counted] @ right[counted]) / seconds, seconds
    return scores


def score(song: AnnotatedSong, said: dict) -> dict[str, float]:
    """Per cent per quantity that the listener gave, and of chords how many seconds could be compared."""
    row: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heard = said.get("labels") and song.labels
        compared = chord_scores(song, said["intervals"], list(said["labels"])) if heard else {}
        row |= {column: share for column, (share, _) in compared.items()}
        for column, field, truth in (("beat F", "beats", song.beats_s), ("downbeat F", "downbeats", song.downbeats_s)):
            if said.get(field) is not None and len(truth):
                row[column] = mir_eval.beat.f_measure(truth, np.asarray(said[field], float))
        if said.get("beats") is not None:
            row["AMLt"] = mir_eval.beat.continuity(song.beats_s, np.asarray(said["beats"], float))[3]
        if said.get("bpm") and said.get("beats") is not None:
            row["tempo"] = float(abs(said["bpm"] / song.bpm - 1) < 0.04)
            row["level"] = float(abs(np.log2(said["bpm"] / song.bpm)) < 0.25)
        if (meter := name_meter(said)) is not None and len(song.downbeats_s):
            row["meter"] = float(meter in (song.meter, *BARS_OF[song.meter]))
        if said.get("key") and song.key != "none":
            row["key"] = mir_eval.key.weighted_score(mir_key(song.key), said["key"])
    seconds = {seconds_of(column): seconds for column, (_, seconds) in compared.items()}
    speed = {"× real time": song.duration_s / said["cpu_seconds"]}
    return {name: 100 * value for name, value in row.items()} | seconds | speed


BARS_OF = {meter: (f"{beats} beats",) for meter, beats in BEATS.items()}
BARS_OF["6/8"] += ("6 beats",)  # who counts its eighths is right


def name_meter(said: dict) -> str | None:
    """The analyser's meter, such as "6/8"; of others how many beats most bars have, such as "4 beats"."""
    if said.get("meter") is not None:
        return str(said["meter"])
    beats, lines = said.get("beats"), said.get("downbeats")
    if beats is None or lines is None or len(lines) < 2:
        return None
    sizes = Counter(np.diff(np.searchsorted(np.asarray(beats) + 0.01, lines)).tolist())
    return f"{sizes.most_common(1)[0][0]} beats"


def mir_key(label: str) -> str:
    tonic, mode = label.split(":")
    return f"{tonic} {'major' if mode.startswith('maj') else 'minor'}"


def weights_of(rows: list[Row], column: str) -> np.ndarray:
    """(songs,) seconds that were compared of chords, else 1."""
    return np.array([row[seconds_of(column)] if column in CHORD_COLUMNS else 1.0 for row in rows])


def mean_of(rows: list[Row], column: str) -> float:
    """Of a set's songs, chords weighed as long as they can be compared; NaN where no song has the column."""
    some = [row for row in rows if column in row]
    return float(np.average([row[column] for row in some], weights=weights_of(some, column))) if some else float("nan")


def interval_of(rows: list[Row], column: str) -> tuple[float, float]:
    """Bounds of the mean's 95 % interval: percentiles of DRAWS means of songs drawn with replacement; clips of one song
    are drawn together."""
    some = [row for row in rows if column in row]
    names = [row[SONG] for row in some]
    which = np.array([sorted(set(names)).index(name) for name in names])
    weights = weights_of(some, column)
    total, weight = (
        np.bincount(which, values) for values in (weights * np.array([row[column] for row in some]), weights)
    )
    draws = np.random.default_rng(0).integers(len(total), size=(DRAWS, len(total)))
    low, high = np.percentile(total[draws].sum(axis=1) / weight[draws].sum(axis=1), (2.5, 97.5))
    return float(low), float(high)


def cell(rows: list[Row], column: str) -> str:
    """Mean of a set's songs, as 93.8 (90–96)."""
    mean = mean_of(rows, column)
    if np.isnan(mean):
        return "—"
    if column.startswith("×"):
        return f"{mean:.0f}"
    low, high = interval_of(rows, column)
    return f"{mean:.1f} ({low:.0f}–{high:.0f})"


def comparable_seconds(rows: list[Row]) -> dict[str, float]:
    """How long each measure of chords could compare a set."""
    columns = [column for column in CHORD_COLUMNS if any(column in row for row in rows)]
    return {column: sum(row.get(seconds_of(column), 0.0) for row in rows) for column in columns}
