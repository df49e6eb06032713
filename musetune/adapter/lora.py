"""LoRA on the U-Net by peft: put in, take out, save, load."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from peft import LoraConfig

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
EVERYTHING = (
    *ATTENTION,
    "proj_in",
    "proj_out",
    "net.0.proj",
    "net.2",
    "conv1",
    "conv2",
    "conv_shortcut",
    "time_emb_proj",
    "conv",
    "conv_out",
)


def inject(unet: nn.Module, name: str, *, rank: int, targets: tuple[str, ...] = EVERYTHING) -> LoraConfig:
    """Add a LoRA called ``name`` to every module of ``unet`` whose name ends in one of ``targets``; B starts at zero."""
    from peft import LoraConfig

    if rank < 1:
        raise ValueError(f"rank={rank} must be at least 1")
    pattern = rf".*\.({'|'.join(t.replace('.', '[.]') for t in targets)})|conv_out"
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=pattern, exclude_modules=r"conv_in.*")
    _inject(unet, name, config)
    return config


def _inject(unet: nn.Module, name: str, config: LoraConfig) -> None:
    """By peft, which warns of a second LoRA; several are meant here."""
    from peft import inject_adapter_in_model

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute")
        inject_adapter_in_model(config, unet, adapter_name=name)


def stack(unet: nn.Module, name: str, *, rank: int, targets: tuple[str, ...] = EVERYTHING) -> LoraConfig:
    """``inject`` beside the LoRAs that ``unet`` holds, which are frozen and stay on. Raises ValueError where one is called so already."""
    others = names(unet)
    if name in others:
        raise ValueError(f"the U-Net holds a LoRA called {name!r} already")
    config = inject(unet, name, rank=rank, targets=targets)
    activate(unet, [*others, name])
    for other in others:
        for parameter in parameters(unet, other):
            parameter.requires_grad_(False)
    return config


def names(unet: nn.Module) -> list[str]:
    """The LoRAs that ``unet`` holds, on or off, in the order in which they came."""
    return list(getattr(unet, "peft_config", {}))


def activate(unet: nn.Module, active: list[str]) -> None:
    """Turn on the LoRAs ``active``, and only them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in unet.modules():
        if isinstance(module, BaseTunerLayer):
            module.set_adapter([name for name in active if name in module.lora_A])  # type: ignore[union-attr]


def remove(unet: nn.Module, name: str) -> None:
    """Take the LoRA ``name`` out; where it was the only one the plain module is back in its place."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for path, module in list(unet.named_modules()):
        if isinstance(module, BaseTunerLayer):
            if name in module.active_adapters or name in getattr(module, "lora_A", {}):
                module.delete_adapter(name)
            if not module.lora_A:  # type: ignore[attr-defined]
                parent, _, child = path.rpartition(".")
                setattr(unet.get_submodule(parent), child, module.base_layer)  # type: ignore[attr-defined]
    configs = getattr(unet, "peft_config", {})
    configs.pop(name, None)
    if not configs and hasattr(unet, "peft_config"):
        del unet.peft_config


def set_strength(unet: nn.Module, name: str, strength: float) -> None:
    """Scale the LoRA ``name``; 1 is as trained, 0 adds exactly nothing."""
    for module in unet.modules():
        if name in getattr(module, "lora_A", {}):
            module.set_scale(name, strength)  # type: ignore[operator]


@contextmanager
def merged(unet: nn.Module) -> Iterator[None]:
    """Inside, every LoRA that is on is added into the weights that it adapts, so that it costs nothing; after it they are what they were,
    bit for bit. Takes as much memory as those weights. What is merged already, or offloaded (on ``meta``), stays as it is."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [
        m for m in unet.modules() if isinstance(m, BaseTunerLayer) and not m.merged and not m.disable_adapters
    ]
    layers = [m for m in layers if not m.get_base_layer().weight.is_meta]
    kept = [(m.get_base_layer().weight, m.get_base_layer().weight.detach().clone()) for m in layers]
    try:
        for layer in layers:
            layer.merge()
        yield
    finally:
        for layer in layers:
            if layer.merged:
                layer.unmerge()
        with torch.no_grad():
            for weight, before in kept:
                weight.copy_(before)


def parameters(unet: nn.Module, name: str) -> list[nn.Parameter]:
    """The LoRA's own parameters, in the modules' order."""
    return [p for key, p in unet.named_parameters() if f".{name}." in key and "lora_" in key]


def state(unet: nn.Module, name: str) -> dict[str, Tensor]:
    """The LoRA's weights under peft's keys, copied."""
    from peft import get_peft_model_state_dict

    return {k: v.detach().clone().contiguous() for k, v in get_peft_model_state_dict(unet, adapter_name=name).items()}


def save(weights: dict[str, Tensor], config: LoraConfig, folder: Path) -> None:
    """peft's format: adapter_config.json and adapter_model.safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    config.save_pretrained(str(folder))


def read(folder: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Config and weights that ``save`` wrote."""
    from peft import LoraConfig
    from safetensors.torch import load_file

    return LoraConfig.from_pretrained(str(folder)), load_file(folder / "adapter_model.safetensors")


def put(unet: nn.Module, name: str, config: LoraConfig, weights: dict[str, Tensor]) -> None:
    """Put a LoRA with these weights into ``unet``. Raises ValueError, and leaves the U-Net as it was, where they do not fit."""
    from peft import set_peft_model_state_dict

    _inject(unet, name, config)
    strange = set(weights) ^ set(state(unet, name))
    if strange:
        remove(unet, name)
        raise ValueError(
            f"the LoRA does not fit this U-Net: {len(strange)} weights differ, such as {sorted(strange)[0]}"
        )
    set_peft_model_state_dict(unet, weights, adapter_name=name)
