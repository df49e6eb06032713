"""What is measured is what was played: louder, denser, swung, with richer chords."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musetune import analyze
from musetune.analysis.expression import loudness_curve, measure_expression
from musetune.audio.loudness import momentary_loudness

RATE = 16000


def tone(*levels_db: float) -> np.ndarray:
    """Two seconds of 1 kHz at each level, dB below full scale."""
    wave = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    return np.concatenate([wave * 10 ** (level / 20) for level in levels_db])


def test_loudness_follows_the_level_and_silence_is_the_gate() -> None:
    times_s, levels = momentary_loudness(tone(-20.0), RATE)
    assert np.allclose(np.diff(times_s), 0.1)
    assert np.abs(levels + 23.0).max() < 0.2  # a sine of full scale in one channel is -3.01 LUFS
    curve = loudness_curve(tone(-30.0, -10.0), RATE)
    assert [time for time, _ in curve] == [0.5, 1.5, 2.5, 3.5]
    assert curve[-1][1] - curve[0][1] == pytest.approx(20, abs=0.2)
    assert loudness_curve(np.zeros(RATE), RATE) == ((0.5, -70.0),)
    stereo = loudness_curve(np.stack([tone(-30.0), tone(-30.0)]), RATE)
    assert stereo[0][1] - curve[0][1] == pytest.approx(3.01, abs=0.1)
    with pytest.raises(ValueError, match=r"lasts 0\.10 s; loudness needs at least 0\.4 s"):
        loudness_curve(np.zeros(RATE // 10), RATE)


def record(swing: float | None, onsets: float | None = 4.0) -> dict:
    rhythm = {"swing_ratio": swing, "syncopation_index": 0.25, "onsets_per_second": onsets}
    return {"rhythmic_analysis": rhythm, "harmonic_analysis": {"progression_complexity": 0.3}}


def test_swing_is_the_place_of_the_second_half() -> None:
    assert measure_expression(record(1.0)).swing == 0.5
    assert measure_expression(record(2.0)).swing == pytest.approx(2 / 3)
    said = measure_expression(record(None, None))
    assert (said.swing, said.note_density, said.syncopation, said.harmonic_complexity) == (None, None, 0.25, 0.3)
    assert said.loudness_db == ()
    with pytest.raises(ValueError, match="sampling rate"):
        measure_expression(record(None), np.zeros(RATE))


def test_swung_hats_of_a_midi_file(tmp_path: Path) -> None:
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    drums, bass = pretty_midi.Instrument(0, is_drum=True), pretty_midi.Instrument(33)
    for beat in range(32):
        places = [(36, beat), (42, beat), (42, beat + 2 / 3)]
        drums.notes += [pretty_midi.Note(90, pitch, 0.5 * at, 0.5 * at + 0.1) for pitch, at in places]
        bass.notes.append(pretty_midi.Note(90, 36 + 7 * (beat // 4 % 2), 0.5 * beat, 0.5 * beat + 0.45))
    midi.instruments += [drums, bass]
    midi.write(str(tmp_path / "swing.mid"))
    said = measure_expression(analyze(tmp_path / "swing.mid").to_json())
    assert said.swing == pytest.approx(2 / 3, abs=0.01)
    assert said.note_density == pytest.approx(8.0, rel=0.1)  # four onsets a beat, two beats a second
    assert said.syncopation == pytest.approx(0, abs=0.1)
