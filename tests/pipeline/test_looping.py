"""Loops: whole bars to the sample, no seam, and what cannot be looped is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import torch
from small_pipe import make_pipe, play, read_stems, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.models.upsampler import StereoUpsampler
from musetune.pipeline.looping import stereo_loop, stretch_circle
from musetune.pipeline.windows import blend, circular_starts
from musetune.planning.rules.orchestrate import orchestrate

SHEET = LeadSheet.parse("| C | F |", bpm=173)


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    """With players, and a small upsampler."""
    pipe = read_stems(make_pipe(tiny_base))
    torch.manual_seed(5)
    pipe.register_modules(upsampler=StereoUpsampler(dim=16, hidden=32, layers=1).eval())
    return pipe


def step_at_the_seam(wave: np.ndarray) -> float:
    """The step from the last sample to the first, in 99.5th percentiles of all steps."""
    return float(np.abs(wave[..., 0] - wave[..., -1]).max() / np.percentile(np.abs(np.diff(wave)), 99.5))


def test_a_set_of_loops_fits_together(pipe: MuseTunePipeline) -> None:
    made = pipe.loop(SHEET, ["pop", "jazz"], loops=3, generator=seeded(), num_inference_steps=1)
    samples = round(8 * 60 / 173 * made.sampling_rate)
    assert made.audios.shape == (3, samples)
    assert not np.array_equal(made.audios[0], made.audios[1])
    meter = pyloudnorm.Meter(made.sampling_rate)
    loudness = [meter.integrated_loudness(np.tile(audio, 3).astype(float)) for audio in made.audios]
    assert max(loudness) - min(loudness) < 0.1
    assert max(map(step_at_the_seam, made.audios)) <= 1
    wide = pipe.loop(SHEET, "pop", stereo=True, generator=[seeded(1)], num_inference_steps=1)
    assert (wide.sampling_rate, wide.audios.shape) == (48000, (1, 2, round(8 * 60 / 173 * 48000)))


def test_a_call_makes_a_loop(pipe: MuseTunePipeline) -> None:
    options: dict[str, Any] = {"harmonic_progression": "I V", "bpm": 173, "duration_seconds": None, "loop": True}
    made = play(pipe, **options)
    assert made.audios.shape == (1, round(8 * 60 / 173 * made.sampling_rate))
    assert step_at_the_seam(made.audios[0]) <= 1
    assert made.lead_sheet == LeadSheet.parse("I V", key="C major", bpm=173)
    assert made.latents is None  # they are played in another tempo
    notes = orchestrate(made.lead_sheet, seed=1).arrangement
    sheet = {"harmonic_progression": None, "bpm": None, "lead_sheet": made.lead_sheet, "arrangement": notes}
    band = play(pipe, **(options | sheet), stems=True, stereo=True, num_inference_steps=1)
    assert band.sampling_rate == 48000
    assert {stem.shape for stem in band.stems.values()} == {(2, round(8 * 60 / 173 * 48000))}
    np.testing.assert_allclose(sum(band.stems.values()), band.audios[0], atol=1e-5)


def test_stereo_flows_from_the_end_to_the_beginning(pipe: MuseTunePipeline) -> None:
    time = np.arange(24000) / 16000  # whole periods: as a circle it has no seam
    wave = (0.3 * np.sin(2 * np.pi * 220 * time) + 0.1 * np.sin(2 * np.pi * 1250 * time)).astype(np.float32)
    wide = stereo_loop(pipe, wave, 1.5)
    assert wide.shape == (2, 72000)
    assert stereo_loop(pipe, wave, 72001 / 48000).shape == (2, 72001)
    assert step_at_the_seam(wide) <= 1
    middle = wide.mean(axis=0)
    spectrum = np.abs(np.fft.rfft(middle))
    assert set(np.argsort(spectrum)[-2:]) == {330, 1875}
    straight = pipe.to_stereo(wave)
    inside = slice(24000, 48000)  # far from the seam it is what it is anyway, but for the noise above 8 kHz
    low = [np.fft.irfft(np.fft.rfft(x)[:8000], 72000)[inside] for x in (middle, straight.mean(axis=0))]
    np.testing.assert_allclose(*low, atol=1e-3)


def test_every_row_of_a_circle_is_covered_twice_and_the_seam_is_no_border() -> None:
    for rows, size in ((62, 62), (125, 80), (200, 80), (9, 8)):
        starts = circular_starts(rows, size)
        covered = np.zeros(rows)
        for start in starts:
            covered[(start + np.arange(size)) % rows] += 1
        assert covered.min() >= 2 - (size < rows and len(starts) * size < 2 * rows)
    latents = torch.randn(1, 2, 20, 4, generator=seeded())
    assert torch.allclose(blend(latents, 80, 40, lambda window, index: 2 * window, circular=True), 2 * latents)

    def neighbours(window: torch.Tensor, index: int) -> torch.Tensor:
        return window.roll(1, 2) * torch.tensor([0.0] + [1.0] * (window.shape[2] - 1))[:, None]

    open_end = blend(latents, 80, 40, neighbours)
    closed = blend(latents, 80, 40, neighbours, circular=True)
    assert (open_end[:, :, 0] == 0).all()  # nothing comes before the first row
    assert torch.allclose(closed[:, :, 0] / latents[:, :, -1], closed[:, :, 10] / latents[:, :, 9])


def test_a_stretched_circle_stays_one() -> None:
    wave = torch.sin(2 * torch.pi * torch.arange(50) / 50)[None, None, :, None]
    longer = stretch_circle(wave, 53)
    expected = torch.sin(2 * torch.pi * torch.arange(53) / 53)
    assert torch.allclose(longer[0, 0, :, 0], expected, atol=0.01)


def test_what_is_no_whole_number_of_bars_is_refused(pipe: MuseTunePipeline) -> None:
    with pytest.raises(ValueError, match=r"7 beats.*slice\(0, 4\)"):
        pipe.loop(SHEET.slice(0, 7))
    with pytest.raises(ValueError, match="loops=0"):
        pipe.loop(SHEET, loops=0)
    with pytest.raises(ValueError, match="names no loop"):
        pipe.loop(SHEET, [])
    with pytest.raises(ValueError, match="follow_seconds"):
        pipe("pop", lead_sheet=SHEET, loop=True, follow_seconds=(0, 1))
    with pytest.raises(ValueError, match="loop and output_type"):
        play(pipe, loop=True, output_type="latent")
