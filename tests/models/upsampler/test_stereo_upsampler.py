"""StereoUpsampler keeps its input, whatever its weights are, and gives what its formulas say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import torch

from musetune.audio import resample
from musetune.models.upsampler import BANDS, StereoUpsampler, load_upsampler
from musetune.models.upsampler import __file__ as upsampler
from musetune.models.upsampler.space import band_filters, coherence, decorrelate, level_difference, twin_signs

WEIGHTS = Path(upsampler).parent / "weights"


@pytest.fixture(scope="module")
def network() -> StereoUpsampler:
    """A small one whose heads are far from zero, so that it adds much."""
    torch.manual_seed(3)
    small = StereoUpsampler(dim=24, hidden=48, layers=2, level_frames=16).eval()
    with torch.no_grad():
        for head in (small.magnitude, small.gate, small.space):
            head.weight.normal_(std=0.2)
    return small


def music(seconds: float, seed: int = 0) -> torch.Tensor:
    """Tones that fade, and clicks of noise, at 16 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16000)) / 16000
    wave = sum(np.sin(2 * np.pi * hz * time) * np.exp(-3 * (time % 0.5)) for hz in rng.uniform(80, 5000, 6)) / 12
    wave = wave + rng.normal(size=len(time)) * 0.1 * np.exp(-40 * (time % 0.25))
    return torch.from_numpy(wave.astype(np.float32))


def ratio_db(signal: torch.Tensor, noise: torch.Tensor) -> float:
    return float(10 * torch.log10(signal.double().square().sum() / noise.double().square().sum().clamp_min(1e-30)))


def folded(stereo: torch.Tensor) -> torch.Tensor:
    """The mean of both channels at 16 kHz, by Fourier: everything below 8 kHz and nothing else, no resampler's edge."""
    return torch.from_numpy(scipy.signal.resample(stereo.double().mean(0).numpy(), stereo.shape[-1] // 3))


@pytest.mark.parametrize("weights", ["random", "shipped"])
@pytest.mark.parametrize("sound", ["music", "noise", "band edge"])
def test_folded_down_it_is_the_input(network: StereoUpsampler, sound: str, weights: str) -> None:
    time = np.arange(64000) / 16000
    wave = {
        "music": music(4.0),
        "noise": 0.1 * torch.randn(64000, generator=torch.Generator().manual_seed(1)),
        "band edge": torch.from_numpy(0.3 * np.sin(2 * np.pi * 7990 * time).astype(np.float32)),
    }[sound]
    stereo = (network if weights == "random" else load_upsampler()).upsample(wave)
    assert stereo.shape == (2, 3 * len(wave))
    inside = slice(4000, -4000)  # Fourier takes the end to be followed by the beginning
    assert ratio_db(wave[inside], folded(stereo)[inside] - wave[inside]) > 50
    side = (stereo[0] - stereo[1]) / 2
    if sound == "noise":
        assert ratio_db(wave.repeat_interleave(3), side) < 20  # and it is no mono


@pytest.mark.parametrize("sound", ["music", "noise"])
def test_a_resampler_of_everyday_gives_the_input_back(network: StereoUpsampler, sound: str) -> None:
    wave = music(3.0) if sound == "music" else 0.1 * torch.randn(48000, generator=torch.Generator().manual_seed(2))
    back = torch.from_numpy(resample(network.upsample(wave).mean(0).numpy(), 48000, 16000))
    ideal = scipy.signal.resample(wave.double().numpy(), 144000).astype(np.float32)
    reference = torch.from_numpy(resample(ideal, 48000, 16000))  # it softens the last 600 Hz itself
    inside = slice(4000, -4000)
    assert ratio_db(reference[inside], (back - reference)[inside]) > 50


def test_it_adds_sound_above_8_khz(network: StereoUpsampler) -> None:
    spectrum = torch.fft.rfft(network.upsample(music(2.0)).mean(0)).abs().square()
    assert spectrum[2 * 8200 :].sum() > 1e-4 * spectrum.sum()


def test_silence_stays_silence_and_loudness_scales(network: StereoUpsampler) -> None:
    assert network.upsample(torch.zeros(20000)).abs().max() == 0
    loud = network.upsample(music(2.0))
    soft = network.upsample(music(2.0) * 0.01)
    assert ratio_db(loud, soft * 100 - loud) > 60


@pytest.mark.parametrize("samples", [1, 127, 128, 16001, 40000])
def test_any_length_is_deterministic(network: StereoUpsampler, samples: int) -> None:
    wave = music(3.0)[:samples]
    first, again = network.upsample(wave), network.upsample(wave)
    assert first.shape == (2, 3 * samples)
    assert torch.equal(first, again)
    assert bool(first.isfinite().all())


def test_blocks_equal_the_whole(network: StereoUpsampler) -> None:
    wave = music(12.3)
    whole, blocks = network.upsample(wave, block_s=60.0), network.upsample(wave, block_s=1.0)
    assert ratio_db(whole, whole - blocks) > 60
    both = network.upsample(torch.stack([torch.zeros_like(wave), wave]), block_s=5.0)
    assert ratio_db(whole, whole - both[1]) > 60
    assert both[0].abs().max() == 0


@pytest.mark.slow
def test_minutes_in_blocks_equal_the_whole(network: StereoUpsampler) -> None:
    wave = music(5.0).repeat(20)  # 100 s: five blocks, and the noise begins again many times
    whole, blocks = network.upsample(wave, block_s=1000.0), network.upsample(wave)
    assert ratio_db(whole, whole - blocks) > 60


def test_saved_in_half_precision_it_sounds_alike(network: StereoUpsampler, tmp_path: Path) -> None:
    half = StereoUpsampler.from_config(network.config)
    half.load_state_dict(network.state_dict())
    half.half().save_pretrained(tmp_path)
    loaded = StereoUpsampler.from_pretrained(tmp_path)
    wave, settings = music(1.0), {"rtol": 0.0, "atol": 5e-3}
    torch.testing.assert_close(loaded.upsample(wave), network.upsample(wave), **settings)


def test_the_shipped_size_fits_8_megabytes() -> None:
    assert sum(weight.numel() for weight in StereoUpsampler().parameters()) * 2 < 8e6
    files = list(WEIGHTS.glob("*.safetensors"))
    assert 1e6 < sum(file.stat().st_size for file in files) < 8e6


@pytest.mark.parametrize(
    ("wave", "options", "message"),
    [
        (torch.zeros(1, 2, 100), {}, r"shape \(1, 2, 100\)"),
        (torch.tensor([0.0, float("nan")]), {}, "not finite"),
        (torch.zeros(100), {"block_s": 0.5}, "less than 1 s"),
    ],
)
def test_errors_say_what_is_wrong(network: StereoUpsampler, wave: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network.upsample(wave, **options)


def test_a_config_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n_fft=500 is no multiple"):
        StereoUpsampler(n_fft=500)


def test_level_difference_and_coherence_are_those_of_the_channels() -> None:
    torch.manual_seed(0)
    middle, twin = torch.randn(2, 400000)
    for tilt, width in ((0.0, 0.0), (0.3, 0.0), (-0.5, 0.4), (0.0, 1.0)):
        side = tilt * middle + width * twin
        left, right = middle + side, middle - side
        difference = 10 * torch.log10(left.square().mean() / right.square().mean())
        likeness = (left * right).mean() / (left.square().mean() * right.square().mean()).sqrt()
        numbers = torch.tensor(tilt), torch.tensor(width)
        assert float(level_difference(*numbers)) == pytest.approx(float(difference), abs=0.1)
        assert float(coherence(*numbers)) == pytest.approx(float(likeness), abs=0.01)


def test_the_twin_is_as_loud_and_unlike_and_neither_side_is_louder() -> None:
    torch.manual_seed(0)
    spectrum, signs = torch.randn(1, 769, 200, dtype=torch.complex64), twin_signs(769)
    twin = decorrelate(spectrum, signs)
    torch.testing.assert_close(twin.abs(), spectrum.abs())
    assert float((spectrum * twin.conj()).real.abs().max()) < 1e-5
    torch.testing.assert_close((spectrum + 0.7 * twin).abs(), (spectrum - 0.7 * twin).abs())
    assert 0.3 < float((signs > 0).float().mean()) < 0.7


def test_width_makes_channels_unlike_without_moving_them(network: StereoUpsampler) -> None:
    """Noise and chords at tilt 0: coherence falls as the formula says, and no band is louder on one side."""
    wave = music(4.0)[None]
    middle = torch.stft(wave, 512, 128, window=torch.hann_window(512), return_complex=True)
    middle = torch.nn.functional.pad(middle, (0, 0, 0, network.all_bins - network.low_bins))
    flat = torch.zeros(1, BANDS, middle.shape[-1])
    side = network.side(middle, flat, flat + 0.8)
    mid, off = (network.to_wave(spectrum, wave.shape[-1])[0] for spectrum in (middle, side))
    left, right = mid + off, mid - off
    likeness = (left * right).sum() / (left.square().sum() * right.square().sum()).sqrt()
    assert float(likeness) == pytest.approx(float(coherence(torch.tensor(0.0), torch.tensor(0.8))), abs=0.15)
    assert abs(ratio_db(left, right)) < 0.5


def test_bands_share_out_every_frequency() -> None:
    filters = band_filters(769, 48000)
    assert filters.shape == (BANDS, 769)
    torch.testing.assert_close(filters.sum(0), torch.ones(769))
    assert bool((filters >= 0).all())
    assert bool(((filters > 0).sum(0) <= 2).all())  # neighbours overlap, others do not
    assert bool((filters.argmax(0).diff() >= 0).all())
