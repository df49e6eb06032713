"""LoRA on the U-Net by peft: put in, take out, save, load."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from musetune.models.lora_config import FILE, check_lora_rank, read_lora_config

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
    """Add a LoRA called ``name`` to every module of ``unet`` whose name ends in one of ``targets``.

    B starts at zero.
    """
    from peft import LoraConfig

    if rank < 1:
        raise ValueError(f"rank={rank} must be at least 1")
    pattern = rf".*\.({'|'.join(t.replace('.', '[.]') for t in targets)})|conv_out"
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=pattern, exclude_modules=r"conv_in.*")
    _inject(unet, name, config)
    return config


def _inject(unet: nn.Module, name: str, config: LoraConfig) -> None:
    """Inject by peft, without its warning of a second LoRA: several are meant here."""
    from peft import inject_adapter_in_model

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute")
        inject_adapter_in_model(config, unet, adapter_name=name)


def stack(unet: nn.Module, name: str, *, rank: int, targets: tuple[str, ...] = EVERYTHING) -> LoraConfig:
    """``inject`` beside the LoRAs that ``unet`` holds, which are frozen and stay on.

    Raises ValueError where one is called so already.
    """
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
    """Return the names of the LoRAs that ``unet`` holds, on or off, in the order in which they came."""
    return list(getattr(unet, "peft_config", {}))


def activate(unet: nn.Module, active: list[str]) -> None:
    """Turn on the LoRAs ``active``, and only them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for _, module in walk(unet):
        if isinstance(module, BaseTunerLayer):
            module.set_adapter([name for name in active if name in module.lora_A])  # type: ignore[union-attr, operator]


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


def absorb(unet: nn.Module, name: str) -> None:
    """Add the LoRA ``name`` to the weights that it adapts, at its strength, and take it out."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for _, module in walk(unet):
        if isinstance(module, BaseTunerLayer) and name in getattr(module, "lora_A", {}):
            module.merge(adapter_names=[name])
    remove(unet, name)


def set_strength(unet: nn.Module, name: str, strength: float) -> None:
    """Scale the LoRA ``name``; 1 is as trained, 0 adds exactly nothing."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for _, module in walk(unet):
        if isinstance(module, BaseTunerLayer) and name in getattr(module, "lora_A", {}):
            module.set_scale(name, strength)  # type: ignore[operator]


def walk(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield what ``root.named_modules()`` does, each module once and in its order, in a fraction of the time.

    torch's own nests a generator in each level of modules; a U-Net's take longer than a tenth of a denoising step.

    Example:
        >>> [name for name, _ in walk(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))]
        ['', '0', '1']
    """
    waiting, seen = [("", root)], set()
    while waiting:
        name, module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        yield name, module
        prefix = f"{name}." if name else ""
        children = [(prefix + child, one) for child, one in module._modules.items() if one is not None]
        waiting += reversed(children)


class LoraDelta(NamedTuple):
    """A LoRA's share of one weight: scale · up (out, r, …) @ down (r, in, …)."""

    down: Tensor
    up: Tensor
    scale: float

    def added_to(self, weight: Tensor) -> Tensor:
        """Return ``weight`` (out, in, …) in float32 with this share on top; 1 × 1 kernels and matrices are alike."""
        down, up = (part.to(weight.device, torch.float32).flatten(1) for part in (self.down, self.up))
        return weight.float() + self.scale * (up @ down).view_as(weight)


def plain_weights(unet: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights of the U-Net under the names that they have without adapter and LoRA."""
    own = {
        f"{path}.{name}".lstrip("."): weight
        for path, module in walk(unet)
        if ".lora_" not in path
        for name, weight in module._parameters.items()
        if weight is not None
    }
    names = ((name.replace(".base_layer.", "."), weight) for name, weight in own.items())
    return {name.replace("conv_in.conv.", "conv_in.", 1): weight for name, weight in names}


def parameters(unet: nn.Module, name: str) -> list[nn.Parameter]:
    """Return the LoRA's own parameters, in the modules' order."""
    return [p for key, p in unet.named_parameters() if f".{name}." in key and "lora_" in key]


def state(unet: nn.Module, name: str) -> dict[str, Tensor]:
    """Return copies of the LoRA's weights under peft's keys."""
    own = re.compile(rf"(.*\.lora_[^.]+)\.{re.escape(name)}((?:\.|$).*)")
    matches = {key: own.fullmatch(key) for key, _ in unet.named_parameters() if ".lora_" in key}
    weights = dict(unet.named_parameters())
    return {m[1] + m[2]: weights[key].detach().clone().contiguous() for key, m in matches.items() if m}


def save(weights: dict[str, Tensor], config: LoraConfig, folder: Path) -> None:
    """Write peft's format: adapter_config.json and adapter_model.safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    config.save_pretrained(str(folder))


def read(folder: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Read config and weights that ``save`` wrote.

    Raises:
        ValueError: for damaged files, and where the config asks for a higher rank than the weights have.
    """
    from peft import LoraConfig
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / "adapter_model.safetensors"
    settings = read_lora_config(folder)
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}): get it anew") from error
    check_lora_rank(settings, path)
    try:
        config = LoraConfig.from_pretrained(str(folder))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{folder / FILE} is not a LoRA's configuration ({error}): get it anew") from error
    return config, weights


def put(unet: nn.Module, name: str, config: LoraConfig, weights: dict[str, Tensor]) -> None:
    """Put a LoRA with these weights into ``unet``.

    Raises ValueError, and leaves the U-Net as it was, where they do not fit.
    """
    from peft import set_peft_model_state_dict

    try:
        _inject(unet, name, config)
        shapes, new_shapes = ({key: tuple(w.shape) for key, w in of.items()} for of in (state(unet, name), weights))
        if strange := sorted(key for key in shapes.keys() | new_shapes if shapes.get(key) != new_shapes.get(key)):
            raise ValueError(f"the LoRA does not fit this U-Net: {len(strange)} weights differ, such as {strange[0]}")
    except ValueError:
        remove(unet, name)
        raise
    set_peft_model_state_dict(unet, weights, adapter_name=name)
