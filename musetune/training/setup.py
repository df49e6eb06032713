"""What finetune.py trains: a frozen base with an adapter on it, and how the trained part is kept."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import AudioLDM2UNet2DConditionModel, DiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor

from musetune.adapter import MusicAdapter, lora
from musetune.audio import mel_frontend
from musetune.hub.locate import find_adapter, find_base
from musetune.training.denoiser import Denoiser
from musetune.training.memory import enable_gradient_checkpointing
from musetune.training.run_info import save_adapter, save_lora

if TYPE_CHECKING:
    from finetune import Config  # type: ignore[import-not-found]

    from musetune.datasets import DatasetInfo

GENRE = "genre"  # what the LoRA on a frozen theory adapter is called while it is trained
SHAPE = ("frames_per_row", "dim", "hidden", "map_channels", "map_entry", "map_modulation", "attended", "rotary", "event_s",
         "hidden_streams")  # fmt: skip


def build(cfg: Config, data: DatasetInfo) -> Denoiser:
    """The frozen base with an adapter on it; what shall learn has requires_grad."""
    base = find_base(cfg.pretrained_model_name_or_path)
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(
        base, subfolder="unet", use_safetensors=True, torch_dtype=torch.float32
    ).requires_grad_(False)
    if cfg.cpu or not torch.cuda.is_available():
        unet.set_attn_processor(AttnProcessor())  # on CPUs a third faster in training than the fused kernel
    if unet.config.in_channels != data.channels:
        raise ValueError(f"the data set has {data.channels} latent channels, this base {unet.config.in_channels}")
    adapter = make_adapter(cfg, unet, data.cols).attach(unet)
    if cfg.stem_hidden:
        if cfg.new_stems:
            adapter.stems = None
        stems = adapter.stems or adapter.add_stems(cfg.stem_hidden, cfg.stem_channels, bin_hz(base))
        if cfg.theory_adapter:
            unet.requires_grad_(False)  # the theory adapter's LoRA too
            stems.requires_grad_(True)
    elif cfg.theory_adapter:
        lora.stack(unet, GENRE, rank=cfg.rank)
    elif cfg.rank and not adapter.has_lora:
        adapter.add_lora(cfg.rank)
    if cfg.gradient_checkpointing:
        enable_gradient_checkpointing(unet)
    return Denoiser(unet, adapter, data.row_s).train()


def bin_hz(base: str) -> np.ndarray:
    """Hertz of the bins of the base's spectrogram; of the base only the vocoder is loaded."""
    library, name = DiffusionPipeline.load_config(base)["vocoder"]
    vocoder = getattr(import_module(library), name).from_pretrained(base, subfolder="vocoder")
    return mel_frontend(SimpleNamespace(vocoder=vocoder)).frequencies


def make_adapter(cfg: Config, unet: AudioLDM2UNet2DConditionModel, cols: int) -> MusicAdapter:
    """The adapter that the knobs mean, frozen where it is ``theory_adapter``."""
    if cfg.theory_adapter and cfg.init_adapter:
        raise ValueError("theory_adapter is frozen, init_adapter trains: give one of them")
    if cfg.theory_adapter and bool(cfg.rank) == bool(cfg.stem_hidden):
        raise ValueError(f"theory_adapter={cfg.theory_adapter} is frozen: give rank=8 or so, or stem_hidden=128 or so")
    if cfg.theory_adapter:
        return MusicAdapter.from_pretrained(find_adapter(cfg.theory_adapter)).requires_grad_(False)
    if cfg.init_adapter:
        return MusicAdapter.from_pretrained(find_adapter(cfg.init_adapter))
    return MusicAdapter.for_unet(unet, cols=cols, **{name: getattr(cfg, name) for name in SHAPE})


def save(cfg: Config, model: Denoiser, folder: Path, story: dict[str, Any]) -> None:
    """Write what was trained: a genre's LoRA, or a whole adapter."""
    if cfg.theory_adapter and not cfg.stem_hidden:
        save_lora(model.unet, GENRE, folder, story)
    else:
        save_adapter(model.adapter, folder, story)
