"""The upsampler's recipe on a few seconds of made stereo: it learns, it goes on where it stopped."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from musetune.audio import save_audio
from musetune.datasets.upsampling import read_recordings
from musetune.models.upsampler import BANDS, StereoUpsampler
from musetune.training.checkpoint import load_checkpoint
from musetune.training.config import read
from musetune.training.tilt import fit_tilt, scale_tilt
from musetune.training.upsampling import band_loss, space_loss

SETTINGS = Path(__file__).parents[2] / "recipes" / "configs" / "upsampler.yaml"
SMALL = ("batch=2", "seconds=0.8", "dim=16", "hidden=32", "layers=1", "threads=1")


def run(recipe: str, *arguments: object) -> None:
    """A recipe's main() in this process, as its command line would have it."""
    before, sys.argv = sys.argv, [recipe, *map(str, arguments)]
    try:
        importlib.import_module(f"recipes.base.{recipe}").main()
    finally:
        sys.argv = before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Noise in stereo at two rates, and a mono file that is of no use."""
    rng = np.random.default_rng(0)
    for name, rate, channels in (("a.flac", 48000, 2), ("deep/b.wav", 44100, 2), ("mono.wav", 48000, 1)):
        save_audio(tmp_path / "music" / name, 0.1 * rng.normal(size=(channels, 6 * rate)).clip(-3, 3), rate)
    return tmp_path / "music"


def test_a_folder_is_decoded_once_and_stays_aligned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recordings = read_recordings(folder)
    assert "mono.wav" in capsys.readouterr().out
    assert len(recordings.starts) == 2
    assert recordings.seconds == pytest.approx(12, abs=0.01)
    stamp = (folder / ".upsampler" / "mono.raw").stat().st_mtime_ns
    read_recordings(folder)
    assert (folder / ".upsampler" / "mono.raw").stat().st_mtime_ns == stamp
    own = recordings.count_places(16384)
    assert own == 2 * (6 * 16000 - 16384 + 1)  # none begins in one file and ends in the other
    first, last = recordings.crops(np.array([0, own - 1]), 16384)[0]
    assert torch.equal(first, torch.from_numpy(recordings.mono[:16384] / np.float32(32768)))
    assert torch.equal(last, torch.from_numpy(recordings.mono[-16384:] / np.float32(32768)))
    with pytest.raises(ValueError, match=r"no file lasts 7\.00 s"):
        recordings.crops(np.array([0]), 7 * 16000)
    mono, stereo = recordings.crops(np.array([12345]), 16384)
    low = torch.fft.irfft(torch.fft.rfft(stereo.mean(1))[:, : 16384 // 2 + 1], n=16384) / 3
    middle = slice(2000, -2000)
    assert np.corrcoef(low[0, middle], mono[0, middle])[0, 1] > 0.95


def test_a_file_that_changed_is_decoded_again(folder: Path) -> None:
    assert read_recordings(folder).mono[: 6 * 16000].any()
    save_audio(folder / "a.flac", np.zeros((2, 6 * 48000)), 48000)  # the same name
    again = read_recordings(folder).mono
    assert not again[: 6 * 16000].any()
    assert again[6 * 16000 :].any()


def test_a_folder_without_stereo_is_refused(tmp_path: Path) -> None:
    save_audio(tmp_path / "mono.wav", np.zeros(480000), 48000)
    with pytest.raises(ValueError, match="less than 10 s of stereo audio"):
        read_recordings(tmp_path)


def test_losses_are_small_for_the_truth_and_grow_with_the_distance() -> None:
    torch.manual_seed(0)
    network = StereoUpsampler(dim=16, hidden=32, layers=1)
    mono = 0.1 * torch.randn(1, 16384)
    with torch.no_grad():
        found = network.predict(mono)
        own = network(mono)
        other = torch.stack([own[:, 0], 0.3 * own[:, 0]], dim=1)
        assert float(band_loss(network, found, own)) < 0.1
        assert float(band_loss(network, found, 0.01 * own)) > 1.0
        assert float(space_loss(network, found, own)) < 0.5 * float(space_loss(network, found, other))


def test_tilts_are_scaled_to_how_far_they_can_be_believed() -> None:
    """Where the recording leans as predicted a band keeps its tilt, where it leans the other way it loses it."""
    torch.manual_seed(0)
    network = StereoUpsampler(dim=16, hidden=32, layers=1)
    with torch.no_grad():
        network.space.bias[: network.space.bias.shape[0] // 2] = 0.4
    mono = 0.1 * torch.randn(2, 16384)
    with torch.no_grad():
        own = network(mono)
    factors, errors = fit_tilt(network, mono, own)
    low = slice(4, 16)  # bands in which white noise and the network both sound
    assert float(factors[low].mean()) > 0.7
    mirrored, worse = fit_tilt(network, mono, own.flip(1))
    assert float(mirrored[low].max()) == 0
    assert float(worse[-1, low].mean()) > float(errors[-1, low].mean()) + 3
    before = network.space.bias.clone()
    scale_tilt(network, torch.full((BANDS,), 0.5))
    torch.testing.assert_close(network.space.bias[:BANDS], before[:BANDS] / 2)
    assert torch.equal(network.space.bias[BANDS:], before[BANDS:])


@pytest.mark.recipe
def test_minutes_are_counted_over_continuations(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 6 s by a clock of our own: one minute is ten steps, however often the run is killed."""
    recipe, times = importlib.import_module("recipes.base.pretrain_upsampler"), itertools.count(0.0, 6.0)
    monkeypatch.setattr("musetune.training.clock.monotonic", lambda: next(times))
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def watch(self: torch.optim.AdamW) -> None:
        rates.append(self.param_groups[0]["lr"])
        step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    settings = (*SMALL, "steps=1000", "minutes=1", "save_every=4")
    run("pretrain_upsampler", folder, tmp_path / "whole", *settings)
    whole, rates = rates, []
    assert len(whole) == 10
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "save_half", lambda *_: sys.exit("killed"))
        for _ in range(2):
            with pytest.raises(SystemExit, match="killed"):
                run("pretrain_upsampler", folder, tmp_path / "killed", *settings)
    run("pretrain_upsampler", folder, tmp_path / "killed", *settings)
    assert rates == pytest.approx(whole)
    run("pretrain_upsampler", folder, tmp_path / "killed", *settings)  # a run that is done stays as it is
    assert len(rates) == 10
    (one, _), (other, _) = (load_checkpoint(tmp_path / name / "checkpoint-10") for name in ("whole", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.recipe
def test_training_goes_on_and_the_weights_load(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("pretrain_upsampler", folder, out, *SMALL, "steps=2")
    before, _ = load_checkpoint(out / "checkpoint-2")
    settings = tmp_path / "settings.yaml"
    settings.write_text("steps: 3\nheld_out_clips: 2\n")
    run("pretrain_upsampler", folder, out, settings, *SMALL, f"held_out={folder}")
    after, _ = load_checkpoint(out / "checkpoint-3")
    assert {int(after[name]) - int(before[name]) for name in after if name.endswith(".step")} == {1}
    network = StereoUpsampler.from_pretrained(out / "upsampler")
    assert network.upsample(torch.randn(1600)).shape == (2, 4800)
    # the checkpoint keeps level differences as they were learned
    run("pretrain_upsampler", folder, out, settings, *SMALL)
    untempered = StereoUpsampler.from_pretrained(out / "upsampler")
    assert not torch.equal(untempered.space.weight[:BANDS], network.space.weight[:BANDS])
    assert torch.equal(untempered.space.weight[BANDS:], network.space.weight[BANDS:])


def test_the_shipped_settings_are_options_of_the_recipe() -> None:
    options = read(importlib.import_module("recipes.base.pretrain_upsampler").Config, [str(SETTINGS)])
    assert (options.minutes, options.threads, options.dim) == (37, 1, 160)
