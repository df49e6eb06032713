"""The plug: exact identity, exact gradients, exact files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from omegaconf import OmegaConf
from small_unet import GPT2, SHEETS, make_adapter, make_unet, noise, run, tokens

from musetune import LeadSheet
from musetune.adapter import MusicAdapter, music_sites
from musetune.conditioning import tokenize
from musetune.hub.locate import find_adapter


def test_sites_are_the_gpt2_cross_attentions() -> None:
    sites = music_sites(make_unet())
    assert len(sites) == 7
    assert all(attn.is_cross_attention and attn.to_k.in_features == GPT2 for attn in sites)


def test_sites_keep_the_order_that_weights_are_stored_in() -> None:
    unet = make_unet()
    crossing = [m for m in unet.modules() if isinstance(m, Attention) and m.is_cross_attention]
    assert [id(m) for m in music_sites(unet)] == [id(m) for m in crossing if m.to_k.in_features == GPT2]


def test_deeper_transformers_have_a_site_a_layer() -> None:
    unet, x = make_unet(depth=2), noise()
    sites = music_sites(unet)
    assert len(sites) == 14
    assert {attn.to_k.in_features for attn in sites} == {GPT2}
    plain, adapter = run(unet, x), make_adapter(unet)
    assert not torch.equal(run(unet, x, adapter, tokens()), plain)
    adapter.detach()
    assert torch.equal(run(unet, x), plain)


def test_fresh_adapter_and_lora_change_nothing_and_detach_restores() -> None:
    unet, x = make_unet(), noise()
    plain = run(unet, x)
    names = list(unet.state_dict())
    adapter = make_adapter(unet, rank=4, seed=None)
    assert torch.equal(run(unet, x, adapter, tokens()), plain)
    assert torch.equal(run(unet, x), plain)
    adapter.detach()
    assert torch.equal(run(unet, x), plain)
    assert list(unet.state_dict()) == names


def test_detach_after_training_restores_the_base() -> None:
    unet, x = make_unet(), noise()
    plain = run(unet, x)
    adapter = make_adapter(unet, rank=4)
    assert not torch.equal(run(unet, x, adapter, tokens()), plain)
    adapter.detach()
    assert torch.equal(run(unet, x), plain)


def test_strength_scales_from_nothing() -> None:
    unet, x = make_unet(), noise()
    plain, adapter = run(unet, x), make_adapter(unet, rank=4)
    moved = []
    for strength in (0.0, 0.5, 1.0):
        adapter.strength = strength
        moved.append((run(unet, x, adapter, tokens()) - plain).abs().mean().item())
    assert moved[0] == 0.0
    assert 0 < moved[1] < moved[2]
    with pytest.raises(ValueError, match=r"strength=1\.5 is outside 0–1"):
        adapter.strength = 1.5


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradient_reaches_exactly_adapter_and_lora(checkpointing: bool) -> None:
    unet = make_unet().train()
    adapter = make_adapter(unet, rank=2).train()
    if checkpointing:
        unet.enable_gradient_checkpointing()
    run(unet, noise(), adapter, tokens()).square().mean().backward()
    trained = {id(p) for p in adapter.trainable_parameters()}
    with_gradient = {
        id(p) for p in (*unet.parameters(), *adapter.parameters()) if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert with_gradient <= trained
    silent = [n for n, p in adapter.named_parameters() if p.grad is None]
    assert silent == [] or all("null" in name for name in silent)
    assert len(with_gradient) > 0.9 * len(trained)
    assert all(p.grad is None for n, p in unet.named_parameters() if "lora_" not in n)


def test_checkpointing_gives_the_same_gradient() -> None:
    grads = []
    for checkpointing in (False, True):
        unet = make_unet().train()
        adapter = make_adapter(unet).train()
        if checkpointing:
            unet.enable_gradient_checkpointing()
        run(unet, noise(), adapter, tokens()).square().mean().backward()
        grads.append(torch.cat([p.grad.flatten() for p in adapter.parameters() if p.grad is not None]))
    torch.testing.assert_close(grads[0], grads[1])


def test_a_batch_of_two_is_two_of_one() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, rank=4)
    both = run(unet, x, adapter, tokens())
    for i in range(2):
        one = {k: v[i : i + 1] for k, v in x.items()}
        torch.testing.assert_close(
            run(unet, one, adapter, tokens(sheets=SHEETS[i : i + 1])), both[i : i + 1], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("rows", [16, 37, 80])
def test_any_length(rows: int) -> None:
    unet = make_unet()
    adapter = make_adapter(unet)
    x = noise(rows=rows)
    assert run(unet, x, adapter, tokens(rows)).shape == x["sample"].shape


def test_save_and_load_bit_exact(tmp_path: Path) -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, rank=4)
    wanted = run(unet, x, adapter, tokens())
    adapter.save_pretrained(tmp_path)
    adapter.detach()
    loaded = MusicAdapter.from_pretrained(tmp_path).attach(unet).eval()
    assert torch.equal(run(unet, x, loaded, tokens()), wanted)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert {
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "lora/adapter_config.json",
        "lora/adapter_model.safetensors",
    } <= set(names)
    assert not [n for n in names if n.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.slow
def test_switching_adapters_on_one_base() -> None:
    unet, x = make_unet(), noise()
    first = make_adapter(unet, rank=4, seed=1)
    a = run(unet, x, first, tokens())
    first.detach()
    second = make_adapter(unet, rank=2, seed=2)
    b = run(unet, x, second, tokens())
    second.detach()
    first.attach(unet)
    assert torch.equal(run(unet, x, first, tokens()), a)
    assert not torch.equal(a, b)
    with pytest.raises(ValueError, match="another MusicAdapter"):
        second.attach(unet)


def test_another_unet_is_refused_and_left_alone() -> None:
    unet = make_unet()
    adapter = MusicAdapter(channels=(96,) * 7, text_width=64)
    plain = run(unet, noise())
    with pytest.raises(ValueError, match="made for another U-Net"):
        adapter.attach(unet)
    assert torch.equal(run(unet, noise()), plain)


def test_real_size_trains_at_most_twenty_million() -> None:
    with torch.device("meta"):
        unet = AudioLDM2UNet2DConditionModel(
            sample_size=256,
            in_channels=8,
            out_channels=8,
            block_out_channels=(128, 256, 384, 640),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=[[None, 768, 1024]] * 4,
            attention_head_dim=8,
        )
        config = OmegaConf.load(Path(__file__).parents[2] / "recipes/configs/audioldm2.yaml")
        adapter = MusicAdapter.for_unet(unet, frames_per_row=config.frames_per_row).attach(unet)
        adapter.add_lora(config.rank)
        count = sum(p.numel() for p in adapter.trainable_parameters())
    assert sum(p.numel() for n, p in unet.named_parameters() if "lora_" not in n) == pytest.approx(346.9e6, rel=0.01)
    assert 1e6 < count <= 20e6


def test_an_index_of_weights_is_refused(tmp_path: Path) -> None:
    """An index may name a pickle, which torch.load would open."""
    MusicAdapter().save_pretrained(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors").rename(tmp_path / "away.bin")
    index = {"metadata": {}, "weight_map": {"entry.mix.weight": "away.bin"}}
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="is an index of weights; an adapter has one safetensors file"):
        MusicAdapter.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("diffusion_pytorch_model.safetensors", None),
        ("diffusion_pytorch_model.safetensors", b""),
        ("config.json", b"[]"),
        ("config.json", b"[" * 100_000),
        ("config.json", b"\xff\xfe"),
    ],
    ids=["half", "empty", "list", "deep", "no UTF-8"],
)
def test_a_damaged_folder_is_a_value_error_that_names_the_file(
    tmp_path: Path, file: str, content: bytes | None
) -> None:
    folder = shutil.copytree(find_adapter("theory"), tmp_path / "bad")
    path = folder / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    with pytest.raises(ValueError, match=file):
        MusicAdapter.from_pretrained(folder)


@pytest.mark.parametrize("event_s", [1e-300, 0.0, -1.0, float("nan"), float("inf")])
def test_events_are_not_packed_without_end(event_s: float) -> None:
    sheet = LeadSheet.from_progression("I V", duration_seconds=4)
    with pytest.raises(ValueError, match="event_s"):
        tokenize(sheet, frame_s=0.1, n_frames=40, event_s=event_s)
