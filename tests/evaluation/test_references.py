"""What an evaluation plays beside the clips."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musetune.evaluation.audio_similarity import copy_distances
from musetune.evaluation.references import limit_peak, render_sheet, through_codec
from musetune.models.nano import build_nano
from musetune.symbols import LeadSheet

SHEET = LeadSheet.from_progression(["C", "G", "D", "F"], key="C major", bpm=120, duration_seconds=2.56)


@pytest.fixture(scope="module")
def pipe():  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return build_nano("tiny")


@pytest.mark.slow
def test_rendering_is_the_sheets_and_the_seeds() -> None:
    wave = render_sheet(SHEET, 16000, seed=1)
    assert len(wave) == pytest.approx(2.56 * 16000, abs=1)
    assert np.array_equal(wave, render_sheet(SHEET, 16000, seed=1))
    assert not np.array_equal(wave, render_sheet(SHEET.transpose(2), 16000, seed=1))


@pytest.mark.slow
def test_codec_gives_a_wave_of_that_length(pipe) -> None:  # type: ignore[no-untyped-def]
    wave = render_sheet(SHEET, 16000, seed=1)
    heard = through_codec(pipe, wave)
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(len(wave), rel=0.05)
    assert np.abs(heard).max() <= 0.99
    assert (
        copy_distances(wave, heard, 16000)["spectral_convergence"] > 0.1
    )  # not the wave itself: this codec is untrained


def test_loud_waves_are_scaled_and_others_left() -> None:
    assert np.abs(limit_peak(np.array([0.5, -3.0]))).max() == pytest.approx(0.99)
    assert limit_peak(np.array([0.5, -0.9])).tolist() == pytest.approx([0.5, -0.9])
