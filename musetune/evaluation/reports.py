"""The report beside a generated clip: chord by chord and beat by beat, what was asked and what was heard.

Plain JSON values.
"""

from __future__ import annotations

import difflib
import json
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.analysis import hear
from musetune.evaluation.adherence import (
    WINDOW_S,
    adherence,
    asks_for_sevenths,
    chords_as_asked,
    inside,
    sheet_tempo,
)
from musetune.evaluation.judges import judge, tempo_of
from musetune.symbols.estimate import Estimate
from musetune.symbols.json_values import JsonObject
from musetune.theory.harmony.comparison import chords_agree, longest

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet

LISTENERS = {"musetune": "musetune.analysis", "judges": "Chordino, madmom, essentia"}


@dataclass(frozen=True)
class Report:
    """A lead sheet, what a listener heard in the audio, and how well the two agree.

    Attributes:
        sheet: What was asked for.
        estimate: What the listener heard.
        listener: Who listened.
        scores: All measures of `adherence`.
        follow: The streams of the sheet that the audio was asked to follow; None: all.

    Example:
        >>> from musetune import LeadSheet
        >>> silence = report(np.zeros(32000), 16000, LeadSheet.parse("| C |", bpm=120))
        >>> silence.summary
        '0 % overall: chords 0 %, beats 0 %, bar lines 0 %, key 0 %'
    """

    sheet: LeadSheet
    estimate: Estimate
    listener: str
    scores: Mapping[str, float | None]
    follow: tuple[str, ...] | None = None

    @property
    def heard(self) -> Estimate:
        """Former name of `estimate`."""
        warnings.warn("Report.heard is now Report.estimate", DeprecationWarning, stacklevel=2)
        return self.estimate

    @property
    def parts(self) -> dict[str, float]:
        """What was asked for, by its plain name, and how much of it was heard, 0…1.

        In this order, each only where the request follows it and the sheet has it: "chords" or "chords with sevenths"
        (`chords_as_asked`), "beats" (F-measure at ±70 ms), "bar lines" (F-measure of the downbeats at ±70 ms) and "key"
        (MIREX weighted score).
        """
        follow = {"chords", "beats", "key"} if self.follow is None else set(self.follow)
        parts: dict[str, float | None] = {}
        if "chords" in follow:
            name = "chords with sevenths" if asks_for_sevenths(self.sheet) else "chords"
            parts[name] = chords_as_asked(self.sheet, self.estimate)
        if "beats" in follow:
            parts |= {"beats": self.scores["beat_f"], "bar lines": self.scores["downbeat_f"]}
        if "key" in follow:
            parts["key"] = self.scores["key"]
        return {name: value for name, value in parts.items() if value is not None}

    @property
    def score(self) -> float:
        """Overall score, 0…1: the mean of `parts`, each of equal weight; 0 where nothing was asked that they measure.

        Several candidates are ranked by another figure, see `musetune.pipeline.condition_mask.ConditionMask.rank`.
        """
        return float(np.mean(list(self.parts.values()))) if self.parts else 0.0

    @property
    def summary(self) -> str:
        """The overall score and its parts in words: "75 % overall: chords 50 %, key 100 %"."""
        parts = ", ".join(f"{name} {value:.0%}" for name, value in self.parts.items())
        return f"{self.score:.0%} overall: {parts or 'nothing was asked that can be measured'}".replace("%", " %")

    def to_json(self, settings: Mapping[str, Any] | None = None) -> JsonObject:
        """Plain values for json.dumps; ``settings`` (prompt, seed, …) is kept as it is.

        ``overall``: `score`. ``parts``: `parts` in their order. ``chords``: start_s, end_s, asked, heard (longest in
        that time), share (0…1 of the time that has it), confidence (0…1 or null where the listener has none), match
        (root and majmin agree). ``beats``: asked_s, heard_s, deviation_ms (heard minus asked, null where none was heard
        within 70 ms), mean_absolute_ms.
        """
        sheet, estimate = self.sheet, self.estimate
        return {
            "schema": 2,
            "listener": self.listener,
            "overall": _round(self.score),
            "parts": {name: _round(value) for name, value in self.parts.items()},
            "scores": {name: _round(value) for name, value in self.scores.items()},
            "tempo": {"asked_bpm": _round(sheet_tempo(sheet), 2), "heard_bpm": _round(estimate.bpm, 2)},
            "key": {"asked": str(sheet.key), "heard": estimate.key},
            "chords": chord_rows(sheet, estimate),
            "beats": beat_rows(inside(sheet, sheet.beats_s), estimate.beats_s),
            "downbeats": beat_rows(inside(sheet, sheet.downbeats_s), estimate.downbeats_s),
            "settings": dict(settings or {}),
        }

    def dumps(self, settings: Mapping[str, Any] | None = None) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(settings), indent=2, ensure_ascii=False, allow_nan=False)


def report(
    wave: np.ndarray, sr: int, sheet: LeadSheet, *, listener: str = "musetune", follow: Collection[str] | None = None
) -> Report:
    """Listen to a clip and compare it with its lead sheet.

    Args:
        wave: Mono audio (samples,) in −1…1.
        sr: Sampling rate in Hz.
        sheet: What was asked for.
        listener: "musetune", our own analyser, which needs nothing more and is given the octave of the tempo alone; or
            "judges", recognisers that we did not make (`judge`), which are for claims.
        follow: What the clip was asked to follow, as the pipeline's `follow`; the overall score is about that alone.
            None: all of the sheet.

    Returns:
        What was heard and the scores; `to_json` has it chord by chord and beat by beat.

    Raises:
        ValueError: `listener` is another name.
        ImportError: The judges are not installed.

    Example:
        >>> import numpy as np
        >>> from musetune import LeadSheet
        >>> report(np.zeros(32000), 16000, LeadSheet.parse("| C |", bpm=120)).score
        0.0
    """
    if listener == "musetune":
        estimate = hear(wave, sr, tempo_hint=sheet_tempo(sheet))
        estimate = replace(estimate, bpm=tempo_of(estimate.beats_s))  # as the asked one and the judges' are measured
    elif listener == "judges":
        estimate = judge(wave, sr, tempo_hint=sheet)
    else:
        raise ValueError(f"listener={listener!r} is not one of {', '.join(LISTENERS)}{suggestion(listener, LISTENERS)}")
    streams = None if follow is None else tuple(follow)
    return Report(sheet, estimate, LISTENERS[listener], adherence(sheet, estimate), streams)


def chord_rows(sheet: LeadSheet, estimate: Estimate) -> list[JsonObject]:
    """One row a chord of the sheet."""
    rows = []
    for (start, end), reference in zip(sheet.chord_intervals_s, sheet.chord_labels, strict=True):
        if end <= start:
            continue
        label, share, confidence = longest(estimate, float(start), float(end))
        rows.append(
            {
                "start_s": _round(float(start)),
                "end_s": _round(float(end)),
                "asked": reference,
                "heard": label,
                "share": _round(share),
                "confidence": None if np.isnan(confidence) else _round(confidence),
                "match": chords_agree(reference, label),
            }
        )
    return rows


def beat_rows(reference_s: np.ndarray, estimate_s: np.ndarray) -> JsonObject:
    """For each asked time the signed distance in milliseconds of the nearest heard one, null beyond 70 ms, and their
    mean size.
    """
    deviations: list[float | None] = []
    for time in reference_s:
        nearest = float(estimate_s[np.abs(estimate_s - time).argmin()] - time) if len(estimate_s) else np.inf
        deviations.append(round(1000 * nearest, 1) if abs(nearest) <= WINDOW_S else None)
    distances = [abs(value) for value in deviations if value is not None]
    return {
        "asked_s": [_round(float(time)) for time in reference_s],
        "heard_s": [_round(float(time)) for time in estimate_s],
        "deviation_ms": deviations,
        "mean_absolute_ms": _round(float(np.mean(distances)), 1) if distances else None,
    }


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return "; did you mean 'judges'?" where one is near, else nothing."""
    near = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _round(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)
