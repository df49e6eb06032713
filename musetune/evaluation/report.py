"""The report beside a generated clip: chord by chord and beat by beat, what was asked and what was heard. Plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mir_eval
import numpy as np

from musetune.analysis import Heard
from musetune.evaluation.adherence import WINDOW_S, adherence, inside

if TYPE_CHECKING:
    from musetune.theory import LeadSheet

OVERALL = ("majmin", "beat_f")  # what the overall score averages


def make_report(sheet: LeadSheet, heard: Heard, *, listener: str = "", settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the report as a dictionary for json.dumps.

    ``overall``: mean of majmin recall and beat F, 0…1 (null where the sheet has neither); ``scores``: all of `adherence`;
    ``chords``: start_s, end_s, asked, heard (longest in that time), share (0…1 of the time that has it), confidence (0…1 or null
    where the listener has none), match (root and majmin agree); ``beats``: asked_s, deviation_ms (heard minus asked, null where
    none was heard within 70 ms), mean_absolute_ms. ``listener`` names who heard; ``settings`` is kept as it is.
    """
    scores = adherence(sheet, heard)
    return {
        "schema": 1,
        "listener": listener,
        "overall": overall(scores),
        "scores": {name: _rounded(value) for name, value in scores.items()},
        "tempo": {"asked_bpm": _rounded(sheet.bpm, 2), "heard_bpm": _rounded(heard.bpm, 2)},
        "key": {"asked": str(sheet.key), "heard": heard.key},
        "chords": chord_rows(sheet, heard),
        "beats": beat_rows(inside(sheet, sheet.beats_s), heard.beats_s),
        "downbeats": beat_rows(inside(sheet, sheet.downbeats_s), heard.downbeats_s),
        "settings": dict(settings or {}),
    }


def overall(scores: Mapping[str, float | None]) -> float | None:
    """Mean of the `OVERALL` scores that are defined; None where none is."""
    known = [value for name in OVERALL if (value := scores[name]) is not None]
    return _rounded(float(np.mean(known))) if known else None


def chord_rows(sheet: LeadSheet, heard: Heard) -> list[dict[str, Any]]:
    """One row a chord of the sheet."""
    rows = []
    for (start, end), asked in zip(sheet.chord_intervals_s, sheet.chord_labels, strict=True):
        if end <= start:
            continue
        label, share, confidence = longest(heard, float(start), float(end))
        rows.append(
            {
                "start_s": _rounded(float(start)),
                "end_s": _rounded(float(end)),
                "asked": asked,
                "heard": label,
                "share": _rounded(share),
                "confidence": None if np.isnan(confidence) else _rounded(confidence),
                "match": chords_agree(asked, label),
            }
        )
    return rows


def longest(heard: Heard, start_s: float, end_s: float) -> tuple[str, float, float]:
    """The label that lasts longest between two times, its share of that time, and its mean confidence (NaN: none given)."""
    seconds: dict[str, float] = {}
    weighted: dict[str, float] = {}
    for (low, high), label, sure in zip(heard.intervals_s, heard.labels, heard.confidence, strict=True):
        overlap = min(high, end_s) - max(low, start_s)
        if overlap > 0:
            seconds[label] = seconds.get(label, 0.0) + overlap
            weighted[label] = weighted.get(label, 0.0) + overlap * sure
    if not seconds:
        return "N", 0.0, float("nan")
    best = max(seconds, key=lambda label: seconds[label])
    return best, float(seconds[best] / (end_s - start_s)), float(weighted[best] / seconds[best])


def chords_agree(asked: str, heard: str) -> bool:
    """Same root and the same of major and minor; chords that are neither (dim, aug, sus) agree by root and third or fourth."""
    if "N" in (asked, heard):
        return asked == heard
    same = float(mir_eval.chord.majmin([asked], [heard])[0])
    return bool(same == 1) if same >= 0 else bool(mir_eval.chord.thirds([asked], [heard])[0] == 1)


def beat_rows(asked_s: np.ndarray, heard_s: np.ndarray) -> dict[str, Any]:
    """For each asked time the signed distance in milliseconds of the nearest heard one, null beyond 70 ms, and their mean size."""
    deviations: list[float | None] = []
    for time in asked_s:
        nearest = float(heard_s[np.abs(heard_s - time).argmin()] - time) if len(heard_s) else np.inf
        deviations.append(round(1000 * nearest, 1) if abs(nearest) <= WINDOW_S else None)
    known = [abs(value) for value in deviations if value is not None]
    return {
        "asked_s": [_rounded(float(time)) for time in asked_s],
        "heard_s": [_rounded(float(time)) for time in heard_s],
        "deviation_ms": deviations,
        "mean_absolute_ms": _rounded(float(np.mean(known)), 1) if known else None,
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)
