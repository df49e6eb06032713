"""Scores of notes: what a perfect listener, a deaf one and one who errs in a known way get.

And the judges on a rendering.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from musetune.audio import synthesize
from musetune.evaluation import bootstrap_mean, load_test_sheets
from musetune.evaluation.notes import (
    DRUM_PITCHES,
    NOTE_MEASURES,
    gain,
    note_scores,
    notes_of,
    outer,
    share_reached,
    strokes_of,
)
from musetune.evaluation.transcription import Transcription, missing_transcribers, transcribe
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

present = pytest.mark.skipif(bool(missing_transcribers()), reason=f"not installed: {', '.join(missing_transcribers())}")
SECONDS = 8.0
GRID = LeadSheet.from_progression(["C", "F"], bpm=120, duration_seconds=SECONDS).grid
SONG = Arrangement(
    GRID,
    {
        "drums": Stem(0, tuple(StemNote(b / 2, 0.2, (36, 42, 38, 42)[b % 4]) for b in range(32)), is_drum=True),
        "bass": Stem(33, tuple(StemNote(b, 1, 36 + b % 5) for b in range(16))),
        "keys": Stem(0, tuple(StemNote(b, 1, 60 + third) for b in range(16) for third in (0, 4))),
        "lead": Stem(73, tuple(StemNote(b + 0.5, 0.5, 70 + b % 7) for b in range(16))),
    },
)
NOTHING = Transcription(np.zeros((0, 3)), {name: np.zeros(0) for name in DRUM_PITCHES}, np.zeros(0))


def perfect(arrangement: Arrangement) -> Transcription:
    """What a listener hears who hears everything."""
    strokes = strokes_of(arrangement, SECONDS)
    notes = np.concatenate([notes_of(arrangement, stem, SECONDS) for stem in ("bass", "keys", "lead")])
    return Transcription(notes, {name: strokes[name] for name in DRUM_PITCHES}, strokes["all"])


def test_a_perfect_listener_scores_one_and_a_deaf_one_nothing() -> None:
    scores = note_scores(SONG, perfect(SONG), SECONDS)
    assert tuple(scores) == NOTE_MEASURES
    assert {row: value for row, value in scores.items() if row != "lead_f"} == pytest.approx(
        dict.fromkeys([row for row in NOTE_MEASURES if row != "lead_f"], 1.0)
    )
    assert scores["lead_f"] == pytest.approx(
        2 * 16 / (16 + 32)
    )  # alone on the beat the keys' upper note is the highest
    assert note_scores(SONG, NOTHING, SECONDS) == dict.fromkeys(NOTE_MEASURES, 0.0)


def test_what_plays_nothing_is_not_measured() -> None:
    drums_alone = Arrangement(GRID, {"drums": SONG.stems["drums"]})
    scores = note_scores(drums_alone, perfect(SONG), SECONDS)
    assert scores["drums_f"] == scores["strokes_f"] == 1.0
    assert all(scores[row] is None for row in NOTE_MEASURES if row.startswith(("bass", "lead")))
    kick = Arrangement(GRID, {"drums": Stem(0, (StemNote(0, 1, 36),), is_drum=True)})
    assert note_scores(kick, NOTHING, SECONDS)["snare_f"] is None
    assert note_scores(Arrangement(GRID), perfect(SONG), SECONDS) == dict.fromkeys(NOTE_MEASURES)


def test_octaves_are_forgiven_to_the_chroma_alone() -> None:
    heard = perfect(SONG)
    bass = heard.notes[:, 2] < 48
    heard.notes[bass, 2] += 12
    scores = note_scores(SONG, heard, SECONDS)
    assert (scores["bass_pitch"], scores["bass_chroma"], scores["bass_f"]) == (0.0, pytest.approx(1.0), 0.0)
    heard.notes[bass, 2] += 1
    assert note_scores(SONG, heard, SECONDS)["bass_chroma"] == 0.0


@pytest.mark.parametrize(("late_s", "held"), [(0.04, True), (0.06, False)])
def test_onsets_count_within_50_ms(late_s: float, held: bool) -> None:
    heard = perfect(SONG)
    late = Transcription(
        heard.notes + np.array([late_s, late_s, 0]),
        {n: t + late_s for n, t in heard.drums.items()},
        heard.strokes + late_s,
    )
    scores = note_scores(SONG, late, SECONDS)
    assert [scores[row] > 0.9 for row in ("drums_f", "kick_f", "strokes_f", "bass_f")] == [held] * 4
    assert scores["bass_pitch"] == pytest.approx(
        1 - 2 * late_s, abs=0.01
    )  # of each half second so much is the note before


def test_strokes_of_the_wrong_kind_count_as_strokes_alone() -> None:
    heard = perfect(SONG)
    swapped = replace(heard, drums={**heard.drums, "kick": heard.drums["snare"], "snare": heard.drums["kick"]})
    scores = note_scores(SONG, swapped, SECONDS)
    assert scores["strokes_f"] == scores["metal_f"] == 1.0
    assert scores["kick_f"] == scores["snare_f"] == 0.0
    assert scores["drums_f"] == pytest.approx(0.5)  # half of the strokes are metal


def test_notes_are_cut_at_the_clips_end() -> None:
    notes = notes_of(SONG, "bass", 2.25)
    assert len(notes) == 5
    assert notes[-1].tolist() == [2.0, 2.25, 40.0]
    assert strokes_of(SONG, 1.0)["metal"].tolist() == [0.25, 0.75]


def test_outer_notes_are_the_lowest_or_highest_as_they_begin() -> None:
    notes = np.array([[0.0, 1.0, 40], [0.02, 1.0, 52], [0.5, 1.0, 47], [1.1, 2.0, 52]])
    assert outer(notes, lowest=True)[:, 2].tolist() == [40, 52]
    assert outer(notes, lowest=False)[:, 2].tolist() == [52, 52]
    assert len(outer(np.zeros((0, 3)), lowest=True)) == 0


def test_gain_is_paired_and_the_share_is_of_the_means() -> None:
    won = gain([0.1, 0.5, None, 0.2], [0.3, 0.7, 0.9, None])
    assert (won.mean, won.low, won.high, won.n) == (pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.2), 2)
    low, half, high = (bootstrap_mean([value] * 3) for value in (0.2, 0.4, 0.6))
    assert share_reached(low, half, high) == pytest.approx(0.5)
    assert share_reached(high, half, low) is None
    assert share_reached(low, None, high) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_clip_without_length_is_an_error(seconds: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        note_scores(SONG, NOTHING, seconds)


@pytest.mark.judge
@present
def test_judges_tell_a_renderings_notes_from_another_songs() -> None:
    tests = {test.id: test for test in load_test_sheets()}
    takes = [
        orchestrate(tests[name].sheet, seed=1).arrangement for name in ("13-C-minor-pop-76", "33-Ab-major-pop-123")
    ]
    takes = [replace(take, stems={**take.stems, "lead": tune(take)}) for take in takes]
    heard = transcribe(synthesize(takes[0].to_pretty_midi(), 16000, duration_s=SECONDS), 16000)
    right, wrong = (note_scores(take, heard, SECONDS) for take in takes)
    for row in ("drums_f", "strokes_f", "bass_pitch", "bass_chroma", "lead_pitch", "lead_chroma"):
        assert right[row] > 0.5, row
        assert right[row] > wrong[row] + 0.3, row


def tune(take: Arrangement) -> Stem:
    """A flute two octaves over the bass."""
    return Stem(73, tuple(replace(note, pitch=note.pitch + 36, velocity=110) for note in take.stems["bass"].notes))
