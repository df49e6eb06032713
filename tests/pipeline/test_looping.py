"""Loops: whole bars to the sample, no seam, and what cannot be looped is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.pipeline.looping import stretch_circle
from musetune.pipeline.windows import blend, circular_starts

SHEET = LeadSheet.parse("| C | F |", bpm=173)


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


def test_loops_last_whole_bars_and_have_no_step_at_the_seam(pipe: MuseTunePipeline) -> None:
    made = pipe.loop(SHEET, "pop", loops=2, generator=seeded(), num_inference_steps=1)
    assert made.audios.shape == (2, round(8 * 60 / 173 * made.sampling_rate))
    assert not np.array_equal(*made.audios)
    for audio in made.audios:
        steps = np.abs(np.diff(audio))
        assert abs(audio[0] - audio[-1]) <= np.percentile(steps, 99.5)


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
