"""A real song of POP909, rendered: the analyser against the truth that the song carries."""

from __future__ import annotations

import os
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from musetune.analysis import hear
from musetune.audio.source import RATE
from musetune.datasets.band import render
from musetune.datasets.corpus import at_tempo, in_meter, load_pop909

SHARED = Path(os.environ.get("MUSETUNE_SHARED", Path(__file__).parents[2] / "../shared"))
SONG = SHARED / "data/pop909/025"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not SONG.is_dir(), reason="POP909 is not beside the repository (MUSETUNE_SHARED)"),
]


def test_chords_beats_and_key_of_a_song() -> None:
    pytest.importorskip("tinysoundfont")
    song = load_pop909(SONG, start_s=20, duration_s=60)
    heard = hear(render(song, rng=np.random.default_rng(3)), RATE)
    *_, any_level = mir_eval.beat.continuity(song.beats_s, heard.beats_s)  # a slow ballad may be tapped in eighths
    assert any_level > 0.8
    assert mir_eval.chord.evaluate(song.intervals_s, song.labels, heard.intervals_s, heard.labels)["majmin"] > 0.7
    assert heard.key in ("A major", "F# minor")  # the song's, or its relative, in which some phrases begin


def test_the_truth_moves_with_the_music() -> None:
    song = load_pop909(SONG, duration_s=30)
    faster = at_tempo(song, 1.5)
    assert faster.bpm == pytest.approx(1.5 * song.bpm)
    assert faster.duration_s == 20
    waltz = in_meter(song, "3/4")
    assert waltz.beats_per_bar == 3
    assert waltz.duration_s < song.duration_s
    assert np.isin(np.round(waltz.downbeats_s, 6), np.round(waltz.beats_s, 6)).all()
    assert (np.diff(waltz.intervals_s, axis=1) > 0).all()
