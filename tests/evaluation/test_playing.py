"""What an evaluation plays beside the clips, and that it notices when something else is asked of a folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musetune.evaluation import bootstrap_mean, missing_judges, playing
from musetune.evaluation.sound import copy_distances
from musetune.models.nano import build_nano
from musetune.symbols import LeadSheet

SHEET = LeadSheet.from_progression(["C", "G", "D", "F"], key="C major", bpm=120, duration_seconds=2.56)


@pytest.fixture(scope="module")
def pipe():  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return build_nano("tiny")


@pytest.mark.slow
def test_rendering_is_the_sheets_and_the_seeds() -> None:
    wave = playing.render_sheet(SHEET, 16000, seed=1)
    assert len(wave) == pytest.approx(2.56 * 16000, abs=1)
    assert np.array_equal(wave, playing.render_sheet(SHEET, 16000, seed=1))
    assert not np.array_equal(wave, playing.render_sheet(SHEET.transpose(2), 16000, seed=1))


@pytest.mark.slow
def test_codec_gives_a_wave_of_that_length(pipe) -> None:  # type: ignore[no-untyped-def]
    wave = playing.render_sheet(SHEET, 16000, seed=1)
    heard = playing.through_codec(pipe, wave)
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(len(wave), rel=0.05)
    assert np.abs(heard).max() <= 0.99
    assert (
        copy_distances(wave, heard, 16000)["spectral_convergence"] > 0.1
    )  # not the wave itself: this codec is untrained


def test_loud_waves_are_scaled_and_others_left() -> None:
    assert np.abs(playing.limit_peak(np.array([0.5, -3.0]))).max() == pytest.approx(0.99)
    assert playing.limit_peak(np.array([0.5, -0.9])).tolist() == pytest.approx([0.5, -0.9])


def test_fingerprint_sees_every_weight_and_no_type() -> None:
    layer = torch.nn.Linear(3, 2).half()
    before = playing.fingerprint(layer)
    assert playing.fingerprint(layer.float()) == before
    with torch.no_grad():
        layer.bias[1] += 1e-3
    assert playing.fingerprint(layer) != before


@pytest.mark.judge
@pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")
def test_provenance_covers_all_that_audio_and_figures_depend_on(pipe, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    before = playing.provenance(pipe)
    assert before["weights"].keys() >= {"unet", "vae", "vocoder", "text_encoder", "text_encoder_2", "language_model"}
    assert before == playing.provenance(pipe)
    with torch.no_grad():
        next(pipe.text_encoder_2.parameters())[0] += 0.5
    monkeypatch.setattr(pipe, "scheduler", type(pipe.scheduler).from_config(pipe.scheduler.config, beta_end=0.5))
    monkeypatch.setattr(playing, "versions", lambda: {"madmom": "9"})
    monkeypatch.setattr(playing, "_analyser_files", list)
    now = playing.provenance(pipe)
    assert {key for key in now if now[key] != before[key]} == {"weights", "scheduler", "judges", "analyser"}
    assert {key for key in now["weights"] if now["weights"][key] != before["weights"][key]} == {"text_encoder_2"}


def test_a_folder_of_other_settings_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    playing.remember(tmp_path / "out", {"steps": 20, "judges": {"madmom": "1"}})
    playing.remember(tmp_path / "out", {"steps": 20, "judges": {"madmom": "1"}})
    with pytest.raises(ValueError, match="made with another judges, more; give another --out"):
        playing.remember(tmp_path / "out", {"steps": 20, "judges": {"madmom": "2"}, "more": 1})


def test_cell_is_in_per_cent() -> None:
    assert playing.cell(bootstrap_mean([0.25, 0.25])) == "25.0 (25–25)"
    assert playing.cell(None) == "—"
