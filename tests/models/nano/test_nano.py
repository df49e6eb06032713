"""nano's parts: what goes in comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AudioLDM2Pipeline

from musetune.audio import mel_frontend
from musetune.models.nano import LogSpectrogram, NanoVocoder, PatchAutoencoder, build_nano
from musetune.models.nano.autoencoder import from_patches, to_patches
from musetune.models.nano.folder import save_half


def tone(hertz: float, seconds: float = 2.048, rate: int = 16000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * rate)) / rate)[None]


@pytest.mark.parametrize("midi", [40, 57, 69, 81, 93])
def test_a_tone_reads_in_its_own_bin(midi: int) -> None:
    frontend = LogSpectrogram()
    hertz = 440 * 2 ** ((midi - 69) / 12)
    spectrum = frontend(tone(hertz))[0, 0, 60:70].mean(0)
    assert abs(np.log2(frontend.frequencies[int(spectrum.argmax())] / hertz)) * 12 < 0.8


def test_semitones_stand_apart() -> None:
    frontend = LogSpectrogram()
    both = frontend((tone(220.0) + tone(220.0 * 2 ** (3 / 12))) / 2)[0, 0, 64]
    bins = [int(np.argmin(np.abs(frontend.frequencies - f))) for f in (220.0, 242.0, 261.6)]
    assert both[bins[1]] < min(both[bins[0]], both[bins[2]]) - 0.5


def test_bins_past_nyquist_are_refused() -> None:
    with pytest.raises(ValueError, match="Nyquist"):
        LogSpectrogram(bins=160)


def test_patches_are_a_permutation() -> None:
    x = torch.randn(2, 1, 32, 128)
    assert torch.equal(from_patches(to_patches(x)), x)


def test_autoencoder_keeps_what_principal_components_can() -> None:
    torch.manual_seed(0)
    x = torch.nn.functional.interpolate(
        torch.randn(16, 1, 16, 16), size=(64, 128), mode="bilinear"
    ) + 0.1 * torch.randn(16, 1, 64, 128)
    vae = PatchAutoencoder(latent_channels=16)
    kept = vae.fit(x)
    latents = vae.encode(x).latent_dist.mode()
    assert latents.shape == (16, 16, 8, 16)
    assert latents.std() == pytest.approx(1, abs=0.05)
    error = (vae.decode(latents).sample - x).var() / x.var()
    assert error == pytest.approx(1 - kept, abs=0.02)
    with pytest.raises(ValueError, match="multiple of 8"):
        vae.encode(x[:, :, :30])


def test_an_untrained_vocoder_already_sings_the_right_pitch() -> None:
    torch.manual_seed(0)
    vocoder = NanoVocoder(dim=16, hidden=32, layers=1).eval()
    with torch.no_grad():
        wave = vocoder(vocoder.frontend(tone(440.0))[:, 0])
    assert wave.shape == (1, 32768)
    spectrum = torch.fft.rfft(wave[0, 8192:24576] * torch.hann_window(16384)).abs()
    assert abs(int(spectrum.argmax()) * 16000 / 16384 - 440) < 3


def test_vocoder_is_deterministic_and_keeps_the_pipelines_contract() -> None:
    vocoder = NanoVocoder(dim=16, hidden=32, layers=1).eval()
    x = torch.randn(2, 16, 128) - 6
    with torch.no_grad():
        assert torch.equal(vocoder(x), vocoder(x))
        torch.testing.assert_close(vocoder(x[0]), vocoder(x)[0])
    assert (vocoder.config.model_in_dim, np.prod(vocoder.config.upsample_rates), vocoder.config.sampling_rate) == (
        128,
        256,
        16000,
    )


def test_what_is_louder_than_all_music_sounds_as_loud_as_its_bins_ceiling(tmp_path: Path) -> None:
    torch.manual_seed(0)
    NanoVocoder(dim=16, hidden=32, layers=1, loudest=[-2.0] * 64 + [-3.0] * 64).save_pretrained(tmp_path)
    cut = NanoVocoder.from_pretrained(tmp_path).eval()
    free = NanoVocoder.from_pretrained(tmp_path, loudest=None).eval()
    calm = torch.full((1, 24, 128), -6.0)
    burst = calm.clone()
    burst[:, 8:10, 11], burst[:, 8:10, 100] = 2.0, 0.0
    capped = calm.clone()
    capped[:, 8:10, 11], capped[:, 8:10, 100] = -2.0, -3.0
    with torch.no_grad():
        assert torch.equal(cut(calm), free(calm))
        assert torch.equal(cut(burst), free(capped))
        assert free(burst).abs().max() > 5 * cut(burst).abs().max()


def test_spectral_buffers_are_exact_whatever_the_weights_are() -> None:
    vocoder = NanoVocoder(dim=16, hidden=32, layers=1).eval()
    exact = {name: buffer.clone() for name, buffer in vocoder.named_buffers()}
    torch.set_default_dtype(torch.float16)  # as diffusers does while it loads a half-precision pipeline
    try:
        half = NanoVocoder(dim=16, hidden=32, layers=1)
    finally:
        torch.set_default_dtype(torch.float32)
    x = vocoder.frontend(tone(440.0))[:, 0]
    with torch.no_grad():
        wanted = vocoder(x)
        got = vocoder.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert {p.dtype for p in vocoder.parameters()} == {torch.bfloat16}
    for module in (half, vocoder):
        assert all(torch.equal(buffer, exact[name]) for name, buffer in module.named_buffers())
    assert got.dtype == torch.float32
    assert (got - wanted).abs().max() < 0.05 * wanted.abs().max()
    assert vocoder.frontend(tone(440.0).to(torch.bfloat16)).dtype == torch.float32


def test_stock_pipeline_loads_a_half_precision_folder_and_plays(tmp_path: Path) -> None:
    save_half(build_nano("tiny"), tmp_path)
    pipe = AudioLDM2Pipeline.from_pretrained(tmp_path, use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    assert {
        next(m.parameters()).dtype for m in (pipe.unet, pipe.text_encoder, pipe.text_encoder_2, pipe.language_model)
    } == {torch.float32}
    audio = pipe("slow jazz", num_inference_steps=2, num_waveforms_per_prompt=2, audio_length_in_s=2.56).audios
    assert audio.shape == (2, 40960)
    assert np.isfinite(audio).all()


def test_frontend_belongs_to_the_base(tiny_base: Path) -> None:
    pipe = AudioLDM2Pipeline.from_pretrained(tiny_base)
    assert mel_frontend(pipe)(torch.zeros(1, 20480)).shape == (1, 1, 80, 128)


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="'big' is not one of nano, tiny"):
        build_nano("big")
