"""48 kHz stereo from a call: an optional component, saved and loaded with the pipeline; without it nothing changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, music, play, words

from musetune import MuseTunePipeline
from musetune.models.upsampler import StereoUpsampler


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of a small upsampler."""
    torch.manual_seed(5)
    StereoUpsampler(dim=16, hidden=32, layers=1).save_pretrained(tmp_path / "upsampler")
    return tmp_path / "upsampler"


def test_a_call_says_what_it_returns(tiny_base: Path, small: Path) -> None:
    pipe = make_pipe(tiny_base)
    mono, stock = play(pipe), words(pipe)
    with pytest.raises(ValueError, match=r"call pipe\.load_upsampler\(\) first"):
        play(pipe, stereo=True)
    pipe.load_upsampler(small)
    assert np.array_equal(words(pipe), stock)
    assert np.array_equal(play(pipe).audios, mono.audios)
    made = play(pipe, stereo=True)
    assert (mono.sampling_rate, made.sampling_rate) == (16000, 48000)
    assert made.audios.shape == (1, 2, 3 * mono.audios.shape[1])
    assert np.abs(made.audios).max() <= 0.99 + 1e-6
    samples = mono.audios.shape[1]
    below = slice(0, samples * 7900 // 16000)  # random weights hiss up to 8 kHz; music does not
    middle, wanted = (
        np.fft.rfft(wave * np.hanning(len(wave)))[below] for wave in (made.audios[0].mean(0), mono.audios[0])
    )
    gain = (middle * wanted.conj()).real.sum() / np.square(np.abs(wanted)).sum()  # three samples for one; scaled
    assert np.square(np.abs(middle - gain * wanted)).sum() < 1e-4 * np.square(np.abs(middle)).sum()
    assert "data:audio/flac" in made._repr_html_()
    tensor = play(pipe, stereo=True, output_type="pt", return_dict=False)[0]
    assert np.array_equal(tensor.numpy(), made.audios)


def test_words_alone_give_the_stock_sound_in_stereo(tiny_base: Path, small: Path) -> None:
    pipe = make_pipe(tiny_base)
    with pytest.raises(ValueError, match=r"call pipe\.load_upsampler\(\) first"):
        words(pipe, stereo=True)
    pipe.load_upsampler(small)
    for had in (True, False):
        if not had:
            pipe.unload_adapter()
        stock, made = words(pipe), words(pipe, stereo=True)
        wide = np.stack([pipe.to_stereo(wave) for wave in stock])
        wide /= np.maximum(1.0, np.abs(wide).max(axis=(1, 2), keepdims=True) / 0.99)
        assert made.shape == (len(stock), 2, 3 * stock.shape[1])
        assert np.array_equal(made, wide)
    tensor = words(pipe, stereo=True, output_type="pt")
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), made)


def test_what_cannot_be_stereo_is_refused(tiny_base: Path, small: Path) -> None:
    pipe = make_pipe(tiny_base)
    pipe.load_upsampler(small)
    with pytest.raises(ValueError, match="latents have no channels"):
        play(pipe, stereo=True, output_type="latent")
    with pytest.raises(ValueError, match="output_type='mel' has no stereo"):
        words(pipe, stereo=True, output_type="mel")
    with pytest.raises(ValueError, match="loop needs music"):
        words(pipe, stereo=True, loop=True)


@pytest.mark.slow
def test_it_is_saved_and_loaded_with_the_pipeline(tiny_base: Path, small: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    pipe.load_upsampler(small)
    wanted, plain = music(pipe, stereo=True), words(pipe)
    pipe.save_pretrained(tmp_path / "all")
    pipe.save_pretrained(tmp_path / "light", reference=str(tiny_base))
    for folder in ("all", "light"):
        assert json.loads((tmp_path / folder / "model_index.json").read_text())["upsampler"][1] == "StereoUpsampler"
        loaded = MuseTunePipeline.from_pretrained(tmp_path / folder)
        loaded.set_progress_bar_config(disable=True)
        assert np.array_equal(music(loaded, stereo=True), wanted)
        assert np.array_equal(words(loaded), plain)


def test_players_in_stereo_still_sum_to_the_mix(tiny_base: Path, small: Path) -> None:
    pipe = make_pipe(tiny_base)
    pipe.load_upsampler(small)
    solos = {name: np.random.default_rng(i).normal(size=4000).astype(np.float32) for i, name in enumerate("ab")}
    mix, wide, rate = pipe._spread(np.sum(list(solos.values()), axis=0, keepdims=True), solos, True)
    assert rate == 48000
    assert mix.shape == (1, 2, 12000)
    assert wide is not None
    assert np.array_equal(mix[0], np.sum(list(wide.values()), axis=0))


def test_the_shipped_weights_load(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    pipe.load_upsampler()
    assert pipe.to_stereo(np.zeros(1600)).shape == (2, 4800)
    assert pipe.to_stereo(np.zeros((3, 160))).shape == (3, 2, 480)
