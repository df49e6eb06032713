"""Does the audio follow the lead sheet?

What was heard, compared with what was asked, through mir_eval (Raffel et al. 2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mir_eval
import numpy as np

from musetune.evaluation.judges import tempo_of
from musetune.formats.labels import MIR_EVAL_TONICS
from musetune.symbols.chord import Chord
from musetune.symbols.estimate import Estimate
from musetune.symbols.qualities import QUALITY_INTERVALS

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet

WINDOW_S = 0.07  # the tolerance of beat evaluation (Dixon 2007; MIREX)
TEMPO_TOLERANCE = 0.04  # Gouyon et al. 2006
OCTAVES = (1.0, 2.0, 0.5, 3.0, 1 / 3)  # the multiples that Accuracy 2 forgives
CHORD_MEASURES = ("root", "majmin", "triads", "tetrads")
MEASURES = (*CHORD_MEASURES, "beat_f", "downbeat_f", "bar_changes", "tempo_acc1", "tempo_acc2", "key")


def adherence(sheet: LeadSheet, estimate: Estimate) -> dict[str, float | None]:
    """Score how well what a listener heard follows a lead sheet, by mir_eval (Raffel et al., ISMIR 2014).

    Args:
        sheet: What was asked for.
        estimate: What was heard, by `musetune.analysis.hear` or `judge`.

    Returns:
        Every measure of `MEASURES`, 0…1; None where the sheet asks for nothing that it could measure.
        root, majmin, triads, tetrads: weighted chord symbol recall over the time that the sheet has a chord.
        beat_f, downbeat_f: F-measure at ±70 ms (Dixon 2007) over the whole clip.
        bar_changes: share of the chord changes on a bar line that are heard within 70 ms.
        tempo_acc1, tempo_acc2: 1 within 4 %, or within 4 % of an octave or triple (Gouyon et al. 2006), of the line
        through the sheet's beats.
        key: MIREX weighted score.

    Example:
        >>> from musetune import LeadSheet
        >>> from musetune.analysis import hear
        >>> import numpy as np
        >>> adherence(LeadSheet.parse("| C |", bpm=120), hear(np.zeros(32000), 16000))["root"]
        0.0
    """
    scores = chord_scores(sheet, estimate)
    scores["beat_f"] = f_measure(inside(sheet, sheet.beats_s), estimate.beats_s)
    scores["downbeat_f"] = f_measure(inside(sheet, sheet.downbeats_s), estimate.downbeats_s)
    scores["bar_changes"] = bar_changes(sheet, estimate)
    bpm = sheet_tempo(sheet)
    scores["tempo_acc1"] = tempo_accuracy(bpm, estimate.bpm, octaves=(1.0,))
    scores["tempo_acc2"] = tempo_accuracy(bpm, estimate.bpm, octaves=OCTAVES)
    scores["key"] = key_score(str(sheet.key), estimate.key)
    return scores


def chord_scores(sheet: LeadSheet, estimate: Estimate) -> dict[str, float | None]:
    """mir_eval's chord comparisons, averaged over time with a chord in the sheet.

    None where no chord can be compared.
    """
    ours, theirs, seconds = _side_by_side(sheet, estimate)
    if not ours:
        return dict.fromkeys(CHORD_MEASURES)
    return {name: _recall(getattr(mir_eval.chord, name)(ours, theirs), seconds) for name in CHORD_MEASURES}


def chords_as_asked(sheet: LeadSheet, estimate: Estimate) -> float | None:
    """Share of the time with a chord in the sheet in which all that the chord symbol asks for is heard.

    Each chord is compared as far as its symbol goes: a chord with a sixth, seventh or ninth by mir_eval's `tetrads`
    (C:maj7 is not C:maj), a power chord by `root`, any other by `triads`. Bass notes and tensions are not compared.

    Args:
        sheet: What was asked for.
        estimate: What was heard.

    Returns:
        0…1; None where the sheet has no chord.

    Example:
        >>> import numpy as np
        >>> from musetune import LeadSheet
        >>> from musetune.symbols.estimate import Estimate
        >>> none = np.zeros(0)
        >>> heard = Estimate(np.array([[0.0, 4.0]]), ["C:maj"], np.ones(1), none, none, None, None)
        >>> [chords_as_asked(LeadSheet.parse(chart, bpm=120), heard) for chart in ("| C | C |", "| C | Cmaj7 |")]
        [1.0, 0.5]
    """
    ours, theirs, seconds = _side_by_side(sheet, estimate)
    if not ours:
        return None
    same = {name: getattr(mir_eval.chord, name)(ours, theirs) for name in ("root", "triads", "tetrads")}
    named = [_comparison(Chord.parse(label)) for label in ours]
    return _recall(np.array([same[name][i] for i, name in enumerate(named)]), seconds)


def asks_for_sevenths(sheet: LeadSheet) -> bool:
    """Whether a chord of the sheet has more than three notes: a sixth, a seventh or a ninth."""
    return any(_comparison(span.chord) == "tetrads" for span in sheet.chords)


def _comparison(chord: Chord) -> str:
    """The comparison of mir_eval that goes as far as the chord's quality does."""
    return {0: "root", 2: "root", 3: "triads"}.get(len(QUALITY_INTERVALS[chord.quality]), "tetrads")


def _side_by_side(sheet: LeadSheet, estimate: Estimate) -> tuple[list[str], list[str], np.ndarray]:
    """Asked labels, heard labels, and for how many seconds each pair holds; the seconds are 0 where no chord is asked
    for. Empty for a sheet without chords.
    """
    reference_s = np.asarray(sheet.chord_intervals_s, dtype=float)
    reference = [span.chord.simplify().harte for span in sheet.chords]  # qualities are what listeners can tell
    if not reference:
        return [], [], np.zeros(0)
    estimate_s, labels = mir_eval.util.adjust_intervals(
        estimate.intervals_s, list(estimate.labels), reference_s.min(), reference_s.max(), "N", "N"
    )
    reference_s, reference = _fill(reference_s, reference)
    merged_s, ours, theirs = mir_eval.util.merge_labeled_intervals(reference_s, reference, estimate_s, labels)
    sounding = np.array([label != "N" for label in ours])
    return list(ours), list(theirs), mir_eval.util.intervals_to_durations(merged_s) * sounding


def _recall(same: np.ndarray, seconds: np.ndarray) -> float | None:
    """Mean of ``same`` (n,) over ``seconds`` (n,); −1 marks a chord outside the measure's vocabulary."""
    counted = (seconds > 0) & (same >= 0)
    return float(np.average(same[counted], weights=seconds[counted])) if counted.any() else None


def f_measure(reference_s: np.ndarray, estimate_s: np.ndarray) -> float | None:
    """F-measure of times at ±70 ms, nothing trimmed; None where none was asked for, 0 where none was heard."""
    if not len(reference_s):
        return None
    if not len(estimate_s):
        return 0.0
    return float(mir_eval.beat.f_measure(np.asarray(reference_s), np.asarray(estimate_s), f_measure_threshold=WINDOW_S))


def bar_changes(sheet: LeadSheet, estimate: Estimate) -> float | None:
    """Share of chord changes asked for on a bar line, the start excepted, with a chord change heard within 70 ms."""
    changes = _changes(np.asarray(sheet.chord_intervals_s, dtype=float), list(sheet.chord_labels))
    bars = np.asarray(sheet.downbeats_s, dtype=float)
    reference = [time for time in changes if len(bars) and np.abs(bars - time).min() < 1e-3]
    if not reference:
        return None
    estimate_changes = _changes(estimate.intervals_s, estimate.labels)
    return float(
        np.mean(
            [
                len(estimate_changes) > 0 and bool(np.abs(estimate_changes - time).min() <= WINDOW_S)
                for time in reference
            ]
        )
    )


def tempo_accuracy(reference_bpm: float, estimate_bpm: float | None, *, octaves: tuple[float, ...]) -> float:
    """1.0 where the heard tempo is within 4 % of one of ``octaves`` times the asked one, else 0.0."""
    if estimate_bpm is None:
        return 0.0
    return float(any(abs(estimate_bpm / (reference_bpm * octave) - 1) <= TEMPO_TOLERANCE for octave in octaves))


def key_score(reference: str, estimate: str | None) -> float:
    """MIREX: 1 the same key, 0.5 a fifth off, 0.3 the relative, 0.2 the parallel, else 0."""
    return 0.0 if estimate is None else float(mir_eval.key.weighted_score(_plain_key(reference), _plain_key(estimate)))


def sheet_tempo(sheet: LeadSheet) -> float:
    """Beats a minute of the line through the asked beats; the sheet's own where there are fewer than three."""
    return tempo_of(inside(sheet, sheet.beats_s)) or sheet.bpm


def inside(sheet: LeadSheet, times_s: np.ndarray) -> np.ndarray:
    """The times that lie in the sheet: from 0 up to its end."""
    times = np.asarray(times_s, dtype=float)
    return times[(times >= 0) & (times < sheet.duration_s)]


def _plain_key(key: str) -> str:
    """Any spelling of a key with mir_eval's tonic names."""
    from musetune.symbols import Key

    parsed = Key.parse(key)
    return f"{MIR_EVAL_TONICS[parsed.tonic_pc]} {parsed.mode}"


def _fill(intervals_s: np.ndarray, labels: list[str]) -> tuple[np.ndarray, list[str]]:
    """Put N where nothing is asked for, so that the intervals touch."""
    spans: list[tuple[float, float]] = []
    names: list[str] = []
    for (start, end), label in zip(intervals_s, labels, strict=True):
        if spans and start > spans[-1][1] + 1e-9:
            spans.append((spans[-1][1], start))
            names.append("N")
        spans.append((spans[-1][1] if spans else start, end))
        names.append(label)
    return np.array(spans), names


def _changes(intervals_s: np.ndarray, labels: list[str]) -> np.ndarray:
    """Times at which a chord begins that differs from the one before."""
    return np.array([intervals_s[i, 0] for i in range(1, len(labels)) if labels[i] != labels[i - 1]])
