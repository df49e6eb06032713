"""How much of a piece is kept in another: chords, beats, melody and loudness, told by our analyser."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mir_eval
import numpy as np

from musetune.analysis.listening.melody import hear_melody
from musetune.audio.dynamics import FLOOR_DB, loudness_curve
from musetune.evaluation.notes import FRAME_S, line
from musetune.evaluation.reports import report
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from musetune.evaluation.reports import Report
    from musetune.symbols import LeadSheet

KEPT = ("chords", "beats", "melody", "loudness")


@dataclass(frozen=True)
class LikenessReport:
    """How well each thing was kept, 0…1, and the chord by chord report.

    The listener is our own analyser, which also told what was to be kept: it forgives in the copy what it misheard in
    the original. For claims, judge with others (`benchmarks/covers.py`).

    Attributes:
        parts: "chords" (share of the time in which both have the same root and mode), "beats" (F-measure at ±70 ms),
            "melody" (share of the original's melody in whose time the copy's has its pitch class), "loudness"
            (correlation of the two courses in dB, below 0 as 0); each only where it was to be kept and can be told.
        loudness_db: mean difference of the two courses after the whole is as loud, dB; None where it was not asked.
        report: the copy against the original's lead sheet.
    """

    parts: dict[str, float]
    loudness_db: float | None
    report: Report

    @property
    def score(self) -> float:
        """Mean of ``parts``, 0 where none could be told."""
        return float(np.mean(list(self.parts.values()))) if self.parts else 0.0

    @property
    def summary(self) -> str:
        """``parts`` in words: "kept: chords 81 %, beats 97 %"."""
        words = ", ".join(f"{name} {100 * value:.0f} %" for name, value in self.parts.items())
        return f"kept: {words or 'nothing that can be told'}"

    @property
    def sheet(self) -> LeadSheet:
        """Lead sheet of the original."""
        return self.report.sheet

    def to_json(self, settings: Mapping[str, Any] | None = None) -> JsonObject:
        """Plain values for json.dumps: those of ``report``, "kept" and "loudness_db"."""
        parts = {name: round(value, 4) for name, value in self.parts.items()}
        loudness = None if self.loudness_db is None else round(self.loudness_db, 2)
        return self.report.to_json(settings) | {"kept": parts, "loudness_db": loudness}


def likeness(
    original: np.ndarray,
    copy: np.ndarray,
    rate: int,
    sheet: LeadSheet,
    keep: Collection[str] = KEPT,
    melody: np.ndarray | None = None,
) -> LikenessReport:
    """Tell how much of a piece another keeps.

    Args:
        original: Mono (samples,).
        copy: Mono (samples,), of the same length and at the same rate.
        rate: Hz.
        sheet: What is heard in the original.
        keep: Which of ``KEPT`` to tell.
        melody: Notes (n, 3) of the original, seconds and MIDI pitch; None: what `hear_melody` hears.

    Example:
        >>> from musetune import LeadSheet
        >>> found = likeness(np.zeros(32000), np.zeros(32000), 16000, LeadSheet.parse("| C |", bpm=120), ("beats",))
        >>> found.parts
        {'beats': 0.0}
    """
    found = report(copy, rate, sheet, follow=[name for name in ("chords", "beats") if name in keep])
    parts: dict[str, float | None] = {}
    if "chords" in keep:
        parts["chords"] = found.scores["majmin"]
    if "beats" in keep:
        parts["beats"] = found.scores["beat_f"]
    if "melody" in keep:
        theirs = hear_melody(original, rate) if melody is None else melody
        parts["melody"] = melody_likeness(theirs, hear_melody(copy, rate))
    difference = None
    if "loudness" in keep:
        parts["loudness"], difference = loudness_likeness(original, copy, rate)
    return LikenessReport({name: value for name, value in parts.items() if value is not None}, difference, found)


def melody_likeness(reference: np.ndarray, estimate: np.ndarray) -> float | None:
    """Share of the reference's time in which the estimate has its pitch class (mir_eval.melody raw chroma accuracy).

    Args:
        reference: notes (n, 3): onset and end in seconds, MIDI pitch; the highest of several counts.
        estimate: likewise.

    Returns:
        0…1; None without reference.

    Example:
        >>> notes = np.array([[0.0, 1.0, 60.0], [1.0, 2.0, 62.0]])
        >>> melody_likeness(notes, notes + [0, 0, 12]), melody_likeness(notes, notes[:1])
        (1.0, 0.5)
    """
    if not len(reference):
        return None
    times_s = np.arange(0, reference[:, 1].max(), FRAME_S)
    hertz, voiced = mir_eval.melody.freq_to_voicing(line(reference, times_s, False))
    theirs, sounding = mir_eval.melody.freq_to_voicing(line(estimate, times_s, False))
    tracks = (voiced, mir_eval.melody.hz2cents(hertz), sounding, mir_eval.melody.hz2cents(theirs))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimated melody has no voiced frames")  # scored as such
        return float(mir_eval.melody.raw_chroma_accuracy(*tracks))


def loudness_likeness(original: np.ndarray, copy: np.ndarray, rate: int) -> tuple[float | None, float | None]:
    """Return the correlation of two courses of loudness, below 0 as 0, and their mean difference in dB.

    The whole is brought to the original's loudness first; silence of the original is left out. None, None where the
    original's loudness does not change by as much as 0.5 dB: nothing is to be kept there.
    """
    one, other = loudness_curve(original, rate), loudness_curve(copy, rate)
    count = min(len(one), len(other))
    sounding = one[:count] > FLOOR_DB
    one, other = one[:count][sounding], other[:count][sounding]
    if len(one) < 3 or one.std() < 0.5:
        return None, None
    difference = other - one
    apart = float(np.abs(difference - difference.mean()).mean())
    return (max(0.0, float(np.corrcoef(one, other)[0, 1])) if other.std() > 0 else 0.0), apart
