"""Quantised pipelines: what is rounded and what is not, how adapters live on it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import genre_folders, make_pipe, music, quiet, words
from torch import nn

from musetune import MuseTunePipeline, MusicAdapter
from musetune.adapter import lora
from musetune.adapter.metadata import AdapterMetadata
from musetune.models.quantized import is_quantized, plain
from musetune.pipeline.quantization import quantize_language_model, torchao_config

pytest.importorskip("torchao")
KINDS = ("int8", "int8-dynamic", "fp8")


@pytest.fixture(scope="module")
def genres(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return genre_folders(tiny_base, tmp_path_factory.mktemp("genres"))


def load(base: Path, kind: str | None) -> MuseTunePipeline:
    return quiet(MuseTunePipeline.from_pretrained(base, quantization=kind))


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize("kind", KINDS)
def test_matrices_are_rounded_and_nothing_else(tiny_base: Path, kind: str) -> None:
    pipe, exact = load(tiny_base, kind), load(tiny_base, None)
    for part in ("unet", "text_encoder", "text_encoder_2"):
        ours, theirs = getattr(pipe, part), dict(getattr(exact, part).named_parameters())
        assert ours.dtype == torch.float32
        linear = {f"{name}.weight" for name, module in ours.named_modules() if isinstance(module, nn.Linear)}
        rounded = {name for name, weight in ours.named_parameters() if is_quantized(weight)}
        kept = ("time_emb", "audio_", "text_projection")
        assert rounded == {name for name in linear if not any(word in name for word in kept)}
        for name, weight in ours.named_parameters():
            apart = (plain(weight) - theirs[name]).norm() / theirs[name].norm().clamp(min=1e-9)
            assert 0 < apart < 0.05 if name in rounded else apart == 0
    assert all(is_quantized(m.weight) for m in pipe.language_model.transformer.h.modules() if isinstance(m, nn.Linear))
    assert pipe.quantization == kind


def test_gpt2_as_linear_layers_says_the_same(tiny_base: Path) -> None:
    exact, rounded = load(tiny_base, None).language_model, load(tiny_base, None).language_model
    quantize_language_model(rounded, "int8")
    x = torch.randn(2, 5, exact.config.n_embd, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = (m(inputs_embeds=x, output_hidden_states=True).hidden_states[-1] for m in (exact, rounded))
    assert 0 < float((one - other).norm() / one.norm()) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["int8", "int8-dynamic"])
def test_it_plays_words_and_music_near_the_exact_one(tiny_base: Path, kind: str) -> None:
    pipe, exact = load(tiny_base, kind), make_pipe(tiny_base)
    assert 0 < relative(words(pipe), words(exact)) < 0.3
    adapter = exact.adapter
    adapter.detach()
    pipe.load_adapter(adapter)  # with its LoRA
    wanted = music(make_pipe(tiny_base))
    assert 0 < relative(music(pipe), wanted) < 0.3
    layers = [m for m in pipe.unet.modules() if hasattr(m, "lora_A") and is_quantized(m.get_base_layer().weight)]
    assert layers
    assert not any(is_quantized(p) for p in adapter.trainable_parameters())
    assert music(pipe, strength=0.0).shape == wanted.shape


def test_genres_are_added_to_the_outputs_of_rounded_matrices(tiny_base: Path, genres: Path) -> None:
    """As if they lay in the dequantised weights."""
    pipe = load(tiny_base, "int8")
    pipe.load_adapter(genres / "jazz")
    parts = pipe.loras.parts()
    modules = dict(pipe.unet.named_modules())
    checked = 0
    with torch.no_grad(), pipe.adapter_manager.playing(1.0, music=False):
        for name, deltas in parts.items():
            module = modules[name.removesuffix(".weight")]
            if not is_quantized(module.weight):
                continue
            x = torch.randn(3, module.in_features, generator=torch.Generator().manual_seed(1))
            weight = plain(module.weight)
            for delta in deltas:
                weight = delta.added_to(weight)
            bias = None if module.bias is None else module.bias
            torch.testing.assert_close(module(x), nn.functional.linear(x, weight, bias), atol=1e-3, rtol=1e-3)
            checked += 1
    assert checked > 5
    assert not any(module._forward_hooks for module in modules.values())


def test_gradients_reach_a_lora_on_rounded_weights(tiny_base: Path) -> None:
    pipe = load(tiny_base, "int8")
    unet = pipe.unet.requires_grad_(False)
    adapter = MusicAdapter.for_unet(unet, dim=32, hidden=16, map_channels=8).attach(unet)
    adapter.add_lora(2)
    width = unet.config.cross_attention_dim[0][1]
    out = unet(
        torch.randn(1, unet.config.in_channels, 8, 16),
        10,
        encoder_hidden_states=torch.randn(1, 8, width),
        encoder_hidden_states_1=torch.randn(1, 3, width),
    ).sample
    out.square().mean().backward()
    own = lora.parameters(unet, "music")
    assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in own) > len(own) // 4


def test_an_adapter_of_the_exact_base_fits_the_rounded_one_and_another_bases_does_not(tiny_base: Path) -> None:
    from musetune.models.nano import build_nano

    exact, rounded = load(tiny_base, None).unet, load(tiny_base, "fp8").unet
    AdapterMetadata.of(exact, "theory", "own", "tiny").check(rounded)
    torch.manual_seed(1)
    with pytest.raises(ValueError, match="its weights differ by"):
        AdapterMetadata.of(build_nano("tiny").unet, "theory", "other", "tiny").check(rounded)


def test_what_cannot_be_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="quantization='int2' is not one of int8, int8-dynamic, fp8, int4"):
        load(tiny_base, "int2")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="int4' needs a CUDA GPU"):
            torchao_config("int4")
    pipe = load(tiny_base, "int8")
    with pytest.raises(ValueError, match="save the pipeline that was loaded without"):
        pipe.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="quantization: give one"):
        MuseTunePipeline.from_pretrained(tiny_base, quantization="int8", quantization_config=object())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_four_bits_on_a_gpu(tiny_base: Path) -> None:
    pipe = quiet(MuseTunePipeline.from_pretrained(tiny_base, quantization="int4", torch_dtype=torch.bfloat16))
    assert np.isfinite(words(pipe.to("cuda"))).all()
