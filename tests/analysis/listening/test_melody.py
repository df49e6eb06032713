"""The melody of a mix: the leading line above its accompaniment, and nothing where nobody plays."""

from __future__ import annotations

import numpy as np

from musetune.analysis.listening.melody import hear_melody
from musetune.evaluation.likeness import loudness_likeness, melody_likeness

RATE = 16000
TUNE = (76, 79, 77, 74, 72, 74)  # half a second each


def tone(pitch: float, seconds: float) -> np.ndarray:
    time = np.arange(round(RATE * seconds)) / RATE
    wave = sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * k * time) / k for k in range(1, 6))
    return np.asarray(wave * np.minimum(1, np.minimum(time, time[::-1]) / 0.01))


def test_a_line_is_heard_above_chords_strokes_and_a_bass() -> None:
    line = np.concatenate([tone(pitch, 0.5) for pitch in TUNE])
    chords = 0.4 * sum(tone(pitch, 3.0) for pitch in (48, 55, 60, 64))
    strokes = np.zeros_like(line)
    rng = np.random.default_rng(0)
    for start in range(0, len(strokes), RATE // 4):
        strokes[start : start + 400] = rng.normal(size=400)
    heard = hear_melody(0.2 * (line + chords + strokes), RATE)
    truth = np.array([(0.5 * i, 0.5 * (i + 1), pitch) for i, pitch in enumerate(TUNE)])
    assert melody_likeness(truth, heard) > 0.85
    assert (np.diff(heard[:, 0]) > 0).all()
    assert (heard[1:, 0] >= heard[:-1, 1] - 1e-9).all()  # one note at a time


def test_stereo_at_another_rate_and_silence() -> None:
    both = np.stack([0.3 * np.repeat(tone(72, 1.0), 3), np.zeros(3 * RATE)])
    assert set(hear_melody(both, 3 * RATE)[:, 2]) == {72}
    assert hear_melody(np.zeros(RATE), RATE).shape == (0, 3)
    assert hear_melody(np.zeros(100), RATE).shape == (0, 3)


def test_a_course_of_loudness_is_kept_or_not() -> None:
    rng = np.random.default_rng(1)
    noise, other = rng.normal(size=(2, 4 * RATE))
    swell = 10 ** (np.linspace(-30, -10, 4 * RATE) / 20)
    kept, apart = loudness_likeness(noise * swell, 0.5 * other * swell, RATE)
    lost, far = loudness_likeness(noise * swell, 0.1 * other * swell[::-1], RATE)
    assert kept > 0.99
    assert apart < 0.5
    assert lost == 0
    assert far > 5
    assert loudness_likeness(noise, other, RATE) == (None, None)  # it never changes
