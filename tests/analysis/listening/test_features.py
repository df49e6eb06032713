"""Features come out the same however the sound is cut into blocks, and tell the time right."""

from __future__ import annotations

import numpy as np
import pytest
from made_sounds import SR, song

from musetune.analysis.listening.features import FPS, RMS, extract
from musetune.analysis.listening.spectrum import HOP


@pytest.mark.parametrize("size", [1, 77, 4096, 50_000])
def test_blocks_do_not_matter(size: int) -> None:
    wave = song(["C:maj", "A:min"], 100)[: (3000 if size == 1 else 60_000)]
    whole = extract([wave])
    cut = extract(wave[start : start + size] for start in range(0, len(wave), size))
    for name in ("spectrum", "loudness", "mel"):
        np.testing.assert_allclose(getattr(whole, name), getattr(cut, name), rtol=2e-3, atol=2e-3)
    assert whole.gain == pytest.approx(cut.gain)
    assert whole.duration_s == cut.duration_s == len(wave) / SR


def test_frames_stand_where_they_say() -> None:
    wave = np.zeros(4 * SR, np.float32)
    wave[2 * SR : 2 * SR + 400] = np.random.default_rng(0).normal(0, 0.5, 400)
    features = extract([wave])
    assert abs(int(features.mel.mean(axis=1).argmax()) / FPS - 2.01) < 0.015
    assert abs(int(features.loudness.argmax()) * HOP / SR - 2.01) < 0.06
    assert len(features.mel) == 4 * FPS + 1
    assert len(features.spectrum) == 4 * SR // HOP + 1


def test_levels_do_not_depend_on_the_volume() -> None:
    wave = song(["C:maj"], 100)
    loud, soft = extract([wave]), extract([wave * 0.01])
    assert loud.gain * np.sqrt(np.square(wave, dtype=float).mean()) == pytest.approx(RMS)
    np.testing.assert_allclose(loud.levels().astype(float), soft.levels().astype(float), atol=0.03)


def test_a_sound_shorter_than_a_frame() -> None:
    features = extract([np.ones(10, np.float32)])
    assert len(features.spectrum) == len(features.mel) == 1
    assert np.isfinite(features.spectrum).all()
