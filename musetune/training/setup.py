"""What finetune.py trains with: the processes, a frozen base with an adapter on it, and which of its parts learn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from diffusers import AudioLDM2UNet2DConditionModel, AutoencoderKL, DDPMScheduler, DiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from musetune.adapter import MusicAdapter, lora
from musetune.audio import mel_frontend
from musetune.hub.locate import find_adapter, find_base
from musetune.hub.transfer import check_cache
from musetune.models.config_limits import check_base_configs
from musetune.models.nano.autoencoder import PatchAutoencoder
from musetune.models.weight_checks import check_finite, check_weight_indices
from musetune.pipeline.folders import check_index
from musetune.pipeline.quantization import unet_config, without_advice

GENRE = "genre"  # what the LoRA on a frozen theory adapter is called while it is trained
PRECISIONS = ("no", "bf16")
TRAINABLE = "int8"  # the quantisation that gradients pass through


def resolve_mixed_precision(name: str | None) -> str:
    """The precision of the forward pass: the configuration's, else what `accelerate launch` was told, else `no`.

    Args:
        name: no, bf16, or None to leave it to `accelerate launch`.

    Raises:
        ValueError: It is another one.
    """
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION")
    precision = launched or "no" if name is None else name
    if precision not in PRECISIONS:
        source = "accelerate launch --mixed_precision" if name is None else "mixed_precision"
        raise ValueError(f"{source}={precision!r} is not one of {', '.join(PRECISIONS)}")
    if launched and launched != precision and os.environ.get("LOCAL_RANK", "0") == "0":
        print(
            f"mixed_precision={precision} of the recipe counts: accelerate launch's {launched} is ignored "
            "(mixed_precision=null leaves it to accelerate)",
            file=sys.stderr,
        )
    return precision


def start_accelerator(
    mixed_precision: str, *, cpu: bool, report_to: str | None, logs: Path, patience: timedelta | None = None
) -> Accelerator:
    """The processes that train, one or several.

    Args:
        mixed_precision: no or bf16.
        cpu: Train on the CPU even where there is a GPU.
        report_to: A tracker such as tensorboard; None: none.
        logs: The tracker's folder.
        patience: How long processes wait for one another before they give up; None: as long as torch does, which is
            some minutes.
    """
    waiting = [] if patience is None else [InitProcessGroupKwargs(timeout=patience)]
    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        cpu=cpu,
        log_with=report_to,
        project_dir=logs,
        # a configuration may leave parts of an adapter without use (attended=[]), which DDP otherwise waits for
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True), *waiting],
    )
    world_size = int(os.environ.get("WORLD_SIZE", 0))
    several = world_size > 1 or (not world_size and {"MASTER_ADDR", "ACCELERATE_MIXED_PRECISION"} <= os.environ.keys())
    if several and accelerator.num_processes == 1:
        print(
            f"one process trains, though {world_size or 'several'} were asked for, so a step has fewer samples: "
            "start them with accelerate launch --multi_gpu, or on CPUs with torchrun --nproc_per_node=2",
            file=sys.stderr,
        )
    return accelerator


def load_noise_schedule(base: str) -> DDPMScheduler:
    """The base's noise schedule for training.

    Args:
        base: Its folder or Hub id.

    Raises:
        ValueError: Its config asks for more steps than make sense.
    """
    if Path(base).is_dir():
        check_base_configs(base, {"scheduler": ["diffusers", "DDPMScheduler"]})
    schedule: DDPMScheduler = DDPMScheduler.from_pretrained(base, subfolder="scheduler")
    return schedule


def load_unet(base: str, channels: int, *, cpu: bool, quantization: str | None = None) -> AudioLDM2UNet2DConditionModel:
    """The base's U-Net, frozen, in float32.

    Args:
        base: Its folder or Hub id.
        channels: Of the data set's latents.
        cpu: It will train on a CPU.
        quantization: Of its matrices: int8, or None.

    Raises:
        ValueError: It reads latents of other channels, its config asks for more than its weights hold, or no gradient
            passes through such a quantisation.
    """
    if quantization not in (None, TRAINABLE):
        raise ValueError(f"quantization={quantization!r}: only {TRAINABLE} lets gradients through; give it, or null")
    rounding = {} if quantization is None else {"quantization_config": unet_config(quantization)}
    access = {} if Path(base).is_dir() else check_cache(base, "unet/config.json")
    if Path(base).is_dir():
        check_weight_indices(Path(base) / "unet")
        check_base_configs(base, {"unet": ["diffusers", "AudioLDM2UNet2DConditionModel"]})
    with without_advice():
        unet = AudioLDM2UNet2DConditionModel.from_pretrained(
            base, subfolder="unet", use_safetensors=True, torch_dtype=torch.float32, **access, **rounding
        ).requires_grad_(False)
    check_finite(f"the U-Net of {base}", unet.state_dict())
    if cpu or not torch.cuda.is_available():
        unet.set_attn_processor(AttnProcessor())  # on CPUs a third faster in training than the fused kernel
    if unet.config.in_channels != channels:
        raise ValueError(f"the data set has {channels} latent channels, this base {unet.config.in_channels}")
    return unet


def load_decoder(base: str, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The base's autoencoder, frozen, as a function: latents (B, channels, rows, cols) → mel (B, 1, frames, bins).

    Args:
        base: Bundled name, folder or Hub id.
        device: Where it computes.

    Raises:
        ValueError: Its autoencoder is of a kind that is not known, or its weights are not finite.
    """
    folder = find_base(base)
    if Path(folder).is_dir():
        check_weight_indices(Path(folder) / "vae")
    kinds = {kind.__name__: kind for kind in (AutoencoderKL, PatchAutoencoder)}
    named = AutoencoderKL.load_config(folder, subfolder="vae")["_class_name"]
    if named not in kinds:
        raise ValueError(f"the autoencoder of {base} is a {named}; known are {', '.join(kinds)}")
    vae = kinds[named].from_pretrained(folder, subfolder="vae", use_safetensors=True, torch_dtype=torch.float32)
    check_finite(f"the autoencoder of {base}", vae.state_dict())
    vae = vae.to(device).requires_grad_(False).eval()

    def decode(latents: Tensor) -> Tensor:
        mel: Tensor = vae.decode(latents.float() / vae.config.scaling_factor).sample
        return mel

    return decode


def attach_adapter(
    unet: AudioLDM2UNet2DConditionModel,
    cols: int,
    *,
    theory_adapter: str | None,
    init_adapter: str | None,
    frames_per_row: int,
    dim: int,
    hidden: int,
    map_channels: int,
    map_entry: bool,
    map_modulation: bool,
    attended: Sequence[int] | None,
    rotary: bool,
    event_s: float | None,
    hidden_streams: Sequence[str],
) -> MusicAdapter:
    """The adapter on the U-Net: `theory_adapter` frozen, `init_adapter` to go on training, or a new one of the shape
    that the others say.

    Args:
        unet: Gets the adapter.
        cols: Columns (frequencies) of the latents.
        theory_adapter: Name, folder or Hub id; None: it is not frozen.
        init_adapter: Name, folder or Hub id; None: a new one.
        frames_per_row: Of a new adapter, as all below: time steps of beats and chroma in a latent row.
        dim: Width of its events.
        hidden: Width of its frames.
        map_channels: Channels of the map that enters the U-Net.
        map_entry: Whether the map joins the output of the U-Net's first convolution.
        map_modulation: Whether it is added to the attention sites' outputs.
        attended: Sites that read events; None: all.
        rotary: Whether attention knows the events' times.
        event_s: Seconds between further events; None: beats and changes only.
        hidden_streams: Streams that it never reads.

    Raises:
        ValueError: Both a frozen and a trained adapter are given.
    """
    if theory_adapter and init_adapter:
        raise ValueError("theory_adapter is frozen, init_adapter trains: give one of them")
    if theory_adapter or init_adapter:
        return attach_present_adapter(unet, theory_adapter or init_adapter or "", frozen=bool(theory_adapter))
    adapter: MusicAdapter = MusicAdapter.for_unet(
        unet,
        cols=cols,
        frames_per_row=frames_per_row,
        dim=dim,
        hidden=hidden,
        map_channels=map_channels,
        map_entry=map_entry,
        map_modulation=map_modulation,
        attended=attended,
        rotary=rotary,
        event_s=event_s,
        hidden_streams=hidden_streams,
    )
    return adapter.attach(unet)


def attach_present_adapter(unet: AudioLDM2UNet2DConditionModel, name: str, *, frozen: bool) -> MusicAdapter:
    """An adapter that exists on the U-Net, all of it to go on training, or all of it frozen.

    Args:
        unet: Gets the adapter.
        name: Of the adapter, or its folder or Hub id.
        frozen: Whether it stays as it is.
    """
    adapter: MusicAdapter = MusicAdapter.from_pretrained(find_adapter(name))
    adapter.requires_grad_(not frozen)
    return adapter.attach(unet)


def choose_trained_parts(
    adapter: MusicAdapter,
    base: str,
    *,
    frozen: bool,
    rank: int,
    stem_hidden: int,
    stem_channels: int,
    new_stems: bool,
    expression_hidden: int = 0,
    expression_channels: int = 24,
) -> None:
    """Give what shall learn requires_grad.

    On a frozen adapter a LoRA, the branch for stems or that for expression alone, else all of the adapter.

    Args:
        adapter: On its U-Net.
        base: Folder or Hub id, whose vocoder says what a new branch for stems hears.
        frozen: Whether the adapter is `theory_adapter`.
        rank: Of a LoRA, where it has none; 0 adds none.
        stem_hidden: Width of the branch for stems; 0: none.
        stem_channels: Channels of a new one's map.
        new_stems: Replace the branch that the adapter has.
        expression_hidden: Width of the branch for expression; 0: none.
        expression_channels: Channels of a new one's map.

    Raises:
        ValueError: A frozen adapter with nothing, or several things, to learn.
    """
    unet = adapter.unet
    if frozen and sum(map(bool, (rank, stem_hidden, expression_hidden))) != 1:
        raise ValueError(
            "theory_adapter is frozen: give rank=8 or so, or stem_hidden=128 or so, or expression_hidden=96 or so"
        )
    if expression_hidden:
        expression = adapter.expression or adapter.add_expression(expression_hidden, expression_channels)
        if frozen:
            unet.requires_grad_(False)  # the theory adapter's LoRA too
            expression.requires_grad_(True)
            return
    if stem_hidden:
        if new_stems:
            adapter.stems = None
        stems = adapter.stems or adapter.add_stems(stem_hidden, stem_channels, bin_hz(base))
        if frozen:
            unet.requires_grad_(False)  # the theory adapter's LoRA too
            stems.requires_grad_(True)
    elif frozen:
        lora.stack(unet, GENRE, rank=rank)
    elif rank and not adapter.has_lora:
        adapter.add_lora(rank)


def bin_hz(base: str) -> np.ndarray:
    """Hertz of the bins of the base's spectrogram; of the base only the vocoder is loaded.

    Raises ValueError for a base whose vocoder is from elsewhere than diffusers, transformers and musetune, or whose
    config asks for more than its weights hold.
    """
    index = {"vocoder": DiffusionPipeline.load_config(base).get("vocoder")}
    check_index({"_class_name": "", **index}, base)
    if not isinstance(index["vocoder"], list) or None in index["vocoder"]:
        raise ValueError(f"{base}: model_index.json names no vocoder, whose spectrogram the branch for stems hears")
    if Path(base).is_dir():
        check_weight_indices(Path(base) / "vocoder")
        check_base_configs(base, index)
    library, name = index["vocoder"]
    vocoder = getattr(import_module(library), name).from_pretrained(base, subfolder="vocoder", use_safetensors=True)
    frequencies: np.ndarray = mel_frontend(SimpleNamespace(vocoder=vocoder)).frequencies
    return frequencies


def merge_lora(adapter: MusicAdapter) -> ExitStack:
    """Lay the adapter's LoRA into the base's weights, where it costs nothing, until the stack is closed."""
    merged = ExitStack()
    merged.enter_context(adapter.merged())
    return merged


@contextmanager
def without_lora(adapter: MusicAdapter, merged: ExitStack | None) -> Iterator[None]:
    """Inside, the base is plain again, so that a saved adapter describes the base that it is for.

    Args:
        adapter: Whose LoRA it is.
        merged: What `merge_lora` gave; None where nothing is merged.
    """
    if merged is None:
        yield
        return
    merged.close()
    try:
        yield
    finally:
        merged.enter_context(adapter.merged())
