"""The Fréchet distance where its value is known, and the fixed embedding."""

from __future__ import annotations

import numpy as np
import pytest

from musetune.evaluation.audio_similarity import clap_similarity, copy_distances, frechet_distance, timbre


def test_distance_of_a_set_to_itself_is_zero() -> None:
    points = np.random.default_rng(0).normal(size=(200, 5))
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-6)


def test_distance_of_a_shift_is_its_square() -> None:
    points = np.random.default_rng(0).normal(size=(200, 5))
    assert frechet_distance(points, points + np.array([3.0, 0, 0, 4.0, 0])) == pytest.approx(25)


def test_distance_of_scaled_gaussians() -> None:
    """For Σ₂ = 4Σ₁ the formula gives tr(Σ₁)."""
    points = np.random.default_rng(1).normal(size=(500, 4))
    points -= points.mean(axis=0)
    assert frechet_distance(points, 2 * points) == pytest.approx(np.trace(np.cov(points, rowvar=False)))


def test_too_little_audio_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        frechet_distance(np.zeros((10, 40)), np.zeros((100, 40)))


def test_timbre_tells_noise_from_a_tone() -> None:
    rng, time = np.random.default_rng(0), np.arange(16000 * 3) / 16000
    noise, tone = 0.1 * rng.normal(size=len(time)), 0.3 * np.sin(2 * np.pi * 440 * time)
    again = 0.1 * rng.normal(size=len(time))
    a, b, c = (timbre(wave, 16000) for wave in (noise, again, tone))
    assert a.shape == (3, 40)
    assert np.abs(a.mean(0) - b.mean(0)).max() < 0.2 * np.abs(a.mean(0) - c.mean(0)).max()


def test_clap_gives_a_cosine_a_clip() -> None:
    from musetune.models.nano import build_nano

    waves = [np.random.default_rng(i).normal(size=16000).astype(np.float32) * 0.1 for i in range(2)]
    similar = clap_similarity(build_nano("tiny"), ["pop", "jazz"], waves, 16000)
    assert similar.shape == (2,)
    assert np.all(np.abs(similar) <= 1)


def test_copies_are_told_from_others() -> None:
    time = np.arange(16000 * 2) / 16000
    chord = sum(0.1 * np.sin(2 * np.pi * f * time) for f in (220, 277.2, 329.6)).astype(np.float32)
    other = sum(0.1 * np.sin(2 * np.pi * f * time) for f in (233.1, 293.7, 349.2)).astype(np.float32)
    same, upside_down, wrong = (copy_distances(chord, x, 16000) for x in (chord[:-100], -chord, other))
    for near in (same, upside_down):
        assert near["spectral_convergence"] == pytest.approx(0, abs=0.05)
        assert near["log_mel_l1"] == pytest.approx(0, abs=0.05)
        assert near["pitch_salience"] == pytest.approx(1, abs=0.01)
    assert wrong["spectral_convergence"] > 0.5
    assert wrong["log_mel_l1"] > 0.15
    assert wrong["pitch_salience"] < 0.7
