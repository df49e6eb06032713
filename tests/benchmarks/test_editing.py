"""The benchmarks of edits, covers and styles: what they measure."""

from __future__ import annotations

import covers
import editing
import numpy as np
import pytest
import style

from musetune import LeadSheet

SHEET = LeadSheet.parse("| C | F | G | C |", bpm=120)


def test_whole_bars_come_nearest_to_a_length() -> None:
    assert editing.whole_bars(SHEET, 5.5).duration_s == pytest.approx(6)
    assert editing.whole_bars(SHEET.slice(0, 15), 8).length == 12
    assert editing.whole_bars(SHEET, 0.5).length == 8


def test_a_click_at_a_cut_is_told_from_a_beat() -> None:
    rate = 16000
    rng = np.random.default_rng(0)
    wave = 0.01 * rng.normal(size=8 * rate)
    for time in SHEET.beats_s:  # equally loud strokes on all beats
        wave[round(time * rate) : round(time * rate) + 400] += 0.3 * rng.normal(size=400)
    same = editing.seams(wave, wave, rate, SHEET, (2.0, 6.0))
    assert max(same["fade"]) < 1
    assert max(same["beat"]) < 1.3
    clicked = wave.copy()
    clicked[round(1.96 * rate)] = 0.9
    first, second = editing.seams(clicked, wave, rate, SHEET, (2.0, 6.0))["fade"]
    assert first > 1.5 * second


def test_the_table_counts_cuts_below_the_percentile() -> None:
    one = {"majmin": 0.5, "fade": [0.5, 1.5], "beat": [0.9, 0.8], "touched": 0}
    text = editing.table([dict.fromkeys(("clip", "before", "latents", "audio", "loop"), one)] * 3)
    assert "| made anew from audio | 50.0 (50–50) | 50 % | 1.00 | 100 % | 0.85 | 0 |" in text


def test_a_take_finds_its_reference() -> None:
    references = np.random.default_rng(1).normal(size=(8, 40))
    assert style.ranks(references + 0.1, references).tolist() == [0] * 8
    assert style.ranks(np.roll(references, 1, axis=0), references).min() > 0


def test_songs_to_cover_have_a_lead() -> None:
    songs = [covers.song_with_lead(SHEET, seed) for seed in range(3)]
    assert all(len(song.stems["lead"].notes) > 3 for song in songs)
    assert covers.beat_f(SHEET.beats_s, SHEET.beats_s + 0.02) > 0.5
