"""Does the audio play the notes that it was given?

An arrangement compared with what transcribers hear, through mir_eval.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import mir_eval
import numpy as np

from musetune.evaluation.bootstrap import Mean, bootstrap_mean, reachable_share
from musetune.evaluation.transcription import Transcription

if TYPE_CHECKING:
    from musetune.symbols.arrangement import Arrangement

WINDOW_S = 0.05  # the tolerance of onsets in MIREX and mir_eval
MIDDLE_C = 60  # the bass is what is heard below it, the lead from it upwards
FRAME_S = 0.01
DRUM_PITCHES = {  # General MIDI percussion, as far as the transcriber tells strokes apart
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "metal": (42, 44, 46, 49, 51, 52, 53, 54, 55, 57, 59, 69, 70, 82),
}
DRUM_ROWS = ("drums_f", "kick_f", "snare_f", "metal_f", "strokes_f")
PITCH_ROWS = tuple(f"{stem}_{measure}" for stem in ("bass", "lead") for measure in ("pitch", "chroma", "f"))
NOTE_MEASURES = (*DRUM_ROWS, *PITCH_ROWS)
Scores = dict[str, float | None]


def note_scores(arrangement: Arrangement, transcription: Transcription, duration_s: float) -> Scores:
    """Every measure of `NOTE_MEASURES`, 0…1, over the first ``duration_s`` of ``arrangement``.

    None for a stem that plays nothing in it.

    drums_f: F-measure of strokes within 50 ms and of the right kind, all kinds counted together; kick_f, snare_f,
    metal_f: each kind by itself (None where the stem has none); strokes_f: any stroke against any drum, by another
    judge. bass_pitch, lead_pitch: share of the time the stem sounds in which the lowest note heard below middle C, or
    the highest from it upwards, is its own within a quarter tone (mir_eval.melody raw pitch accuracy); bass_chroma,
    lead_chroma: the same, octaves forgiven; bass_f, lead_f: F-measure of notes, onset within 50 ms and pitch within a
    quarter tone, of what is heard lowest or highest as it begins. Raises ValueError for a duration that is not
    positive.
    """
    if not duration_s > 0:
        raise ValueError(f"duration_s={duration_s} must be positive; give the clip's length in seconds")
    scores = drum_scores(strokes_of(arrangement, duration_s), transcription)
    for stem, lowest in (("bass", True), ("lead", False)):
        inside = transcription.notes[:, 2] < MIDDLE_C if lowest else transcription.notes[:, 2] >= MIDDLE_C
        scores |= pitch_scores(stem, notes_of(arrangement, stem, duration_s), transcription.notes[inside], lowest)
    return {row: scores[row] for row in NOTE_MEASURES}


def drum_scores(reference: Mapping[str, np.ndarray], transcription: Transcription) -> Scores:
    """`DRUM_ROWS`; ``reference`` holds seconds of kick, snare and metal and, under "all", of every stroke."""
    scores: Scores = {f"{name}_f": onset_f(reference[name], transcription.drums[name]) for name in DRUM_PITCHES}
    scores["strokes_f"] = onset_f(reference["all"], transcription.strokes)
    scores["drums_f"] = note_f(as_notes(reference), as_notes(transcription.drums))
    return scores


def pitch_scores(stem: str, reference: np.ndarray, transcription: np.ndarray, lowest: bool) -> Scores:
    """The stem's rows of `PITCH_ROWS`; ``reference`` and ``transcription`` are notes (n, 3).

    Onset and end in seconds, MIDI pitch.
    """
    if not len(reference):
        return {f"{stem}_{measure}": None for measure in ("pitch", "chroma", "f")}
    times_s = np.arange(0, reference[:, 1].max(), FRAME_S)
    hertz, voiced = mir_eval.melody.freq_to_voicing(line(reference, times_s, lowest))
    theirs, sounding = mir_eval.melody.freq_to_voicing(line(transcription, times_s, lowest))
    tracks = (voiced, mir_eval.melody.hz2cents(hertz), sounding, mir_eval.melody.hz2cents(theirs))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Estimated melody has no voiced frames")  # scored as such
        return {
            f"{stem}_pitch": float(mir_eval.melody.raw_pitch_accuracy(*tracks)),
            f"{stem}_chroma": float(mir_eval.melody.raw_chroma_accuracy(*tracks)),
            f"{stem}_f": note_f(outer(reference, lowest), outer(transcription, lowest)),
        }


def onset_f(reference_s: np.ndarray, estimate_s: np.ndarray) -> float | None:
    """F-measure of times within 50 ms (mir_eval.onset); None where none was asked for, 0 where none was heard."""
    if not len(reference_s):
        return None
    return float(mir_eval.onset.f_measure(reference_s, estimate_s, window=WINDOW_S)[0]) if len(estimate_s) else 0.0


def note_f(reference: np.ndarray, transcription: np.ndarray) -> float | None:
    """F-measure of notes (n, 3), onset within 50 ms and pitch within a quarter tone, ends free
    (mir_eval.transcription); as `onset_f`.
    """
    if not len(reference):
        return None
    if not len(transcription):
        return 0.0
    of = mir_eval.transcription.precision_recall_f1_overlap
    (ours, pitches), (theirs, their_pitches) = (
        (notes[:, :2], hertz_of(notes[:, 2])) for notes in (reference, transcription)
    )
    return float(of(ours, pitches, theirs, their_pitches, onset_tolerance=WINDOW_S, offset_ratio=None)[2])


def strokes_of(arrangement: Arrangement, duration_s: float) -> dict[str, np.ndarray]:
    """Seconds of the drums' strokes, once each: kick, snare, metal, and "all", with those of no such kind."""
    notes = notes_of(arrangement, "drums", duration_s)
    kinds = {**DRUM_PITCHES, "all": tuple(range(128))}
    return {name: np.unique(notes[np.isin(notes[:, 2], pitches), 0]) for name, pitches in kinds.items()}


def notes_of(arrangement: Arrangement, stem: str, duration_s: float) -> np.ndarray:
    """(n, 3), sorted: onset and end in seconds and MIDI pitch of the stem's notes that begin in the first
    ``duration_s``, cut there.
    """
    if stem not in arrangement.stems:
        return np.zeros((0, 3))
    time_at = arrangement.grid.time_at
    notes = [
        (max(0.0, float(time_at(n.start))), min(duration_s, float(time_at(n.start + n.beats))), n.pitch)
        for n in arrangement.stems[stem].notes
    ]
    return np.array(sorted(note for note in notes if note[1] > note[0]), dtype=float).reshape(-1, 3)


def as_notes(strokes: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n, 3): strokes of kick, snare and metal as short notes, one pitch a kind."""
    rows = [(s, s + WINDOW_S, 12.0 * (1 + i)) for i, name in enumerate(DRUM_PITCHES) for s in strokes[name]]
    return np.array(rows, dtype=float).reshape(-1, 3)


def line(notes: np.ndarray, times_s: np.ndarray, lowest: bool) -> np.ndarray:
    """(n,): hertz of the lowest or highest of ``notes`` (m, 3) that sounds at each of ``times_s`` (n,), 0 where none
    does.
    """
    pitches = np.full(len(times_s), np.nan)
    choose = np.fmin if lowest else np.fmax
    for onset, end, pitch in notes:
        within = slice(*np.searchsorted(times_s, (onset, end)))
        pitches[within] = choose(pitches[within], pitch)
    return np.where(np.isnan(pitches), 0.0, hertz_of(pitches))


def outer(notes: np.ndarray, lowest: bool) -> np.ndarray:
    """Those of ``notes`` (n, 3) that are the lowest, or highest, of what sounds as they begin."""
    sign = 1 if lowest else -1
    outermost = [
        (
            sign * note[2] <= sign * notes[(notes[:, 0] <= note[0] + WINDOW_S) & (notes[:, 1] > note[0] + WINDOW_S), 2]
        ).all()
        for note in notes
    ]
    return notes[np.array(outermost, dtype=bool)]


def hertz_of(pitches: np.ndarray) -> np.ndarray:
    """MIDI pitches in hertz."""
    return 440.0 * 2.0 ** ((np.asarray(pitches, dtype=float) - 69) / 12)


def gain(without: Sequence[float | None], with_notes: Sequence[float | None]) -> Mean | None:
    """Mean of what the notes bring over the clips that have both scores, and its interval.

    Clips are drawn again in pairs.
    """
    return bootstrap_mean([b - a for a, b in zip(without, with_notes, strict=True) if a is not None and b is not None])


def share_reached(without: Mean | None, with_notes: Mean | None, ceiling: Mean | None) -> float | None:
    """(with − without) / (ceiling − without) of three means; None where one is not known or the ceiling is not above
    the floor.
    """
    if without is None or with_notes is None or ceiling is None:
        return None
    share = float(reachable_share(*(np.array(mean.mean) for mean in (without, with_notes, ceiling))))
    return share if np.isfinite(share) else None
