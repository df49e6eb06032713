"""``torch.compile`` of the networks of a call, once for any length, sheet and mix of adapters.

The U-Net is compiled whole. Vocoder and upsampler are synthesisers around a chain of equal blocks: the blocks are
compiled, one graph for all of them, and complex spectra and seeded noise, which compilers do not take, stay as they
are. A vocoder without such blocks, AudioLDM 2's HiFi-GAN, is compiled whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from musetune.models.nano.vocoder import ConvNeXtBlock

PARTS = ("unet", "vocoder", "upsampler")  # what can be compiled
Backend = str | Callable[..., Any]


@torch.no_grad()
def compile_unet(pipe: Any, backend: Backend = "inductor") -> None:
    """Compile the U-Net for calls with music of any length, sheet and mix of adapters, now and not at the first call.

    Sizes are symbols, also where two are equal today: a clip of 10.24 s has as many rows as nano's first layer has
    channels. Two short calls are made, since the U-Net takes another way where rows do not halve evenly at each level.
    The first call of one row, such as a few-step LoRA's, or of several prompts may compile once more.
    """
    from musetune.symbols import LeadSheet

    unet = pipe.adapter_manager.unet
    unet.compile(dynamic=True, backend=backend)
    rows, options = int(unet.config.sample_size), dict[str, Any](num_inference_steps=1)
    with torch.fx.experimental._config.patch(use_duck_shape=False):  # type: ignore[attr-defined]  # made at run time
        for length in (rows, rows - 1):
            seconds = length * pipe.row_s
            if pipe.adapter is not None:
                options["lead_sheet"] = LeadSheet.from_progression(["I", "V", "vi", "IV"], duration_seconds=seconds)
            generator = torch.Generator().manual_seed(0)
            pipe("music", audio_length_in_s=seconds, generator=generator, **options)


def compile_sound(network: nn.Module, backend: Backend = "inductor") -> None:
    """Compile a vocoder or an upsampler for sound of any length; at its next use.

    Args:
        network: its ConvNeXt blocks are compiled; where it has none, all of it.
        backend: of ``torch.compile``.
    """
    for module in _compiled_modules(network):
        module.compile(dynamic=True, backend=backend)


def uncompile(network: nn.Module) -> None:
    """Give a network back as it was before it was compiled."""
    for module in (network, *_compiled_modules(network)):
        module._compiled_call_impl = None  # what nn.Module.compile sets; there is no public way back


def _compiled_modules(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, ConvNeXtBlock)] or [network]


def why_not_compile(pipe: Any) -> str | None:
    """Return why ``torch.compile`` cannot be used here, None where it can."""
    if pipe.unet.device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        return "this machine has no C++ compiler, which torch.compile needs on processors: install g++"
    if pipe.quantization is not None:
        return "the base is quantised"
    return None


def parts_of(compile: bool | str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return the parts that ``pipe.optimize(compile=…)`` names.

    Raises:
        ValueError: for other names.

    Example:
        >>> parts_of(True)
        ('unet', 'vocoder', 'upsampler')
    """
    if isinstance(compile, bool):
        return PARTS if compile else ()
    names = (compile,) if isinstance(compile, str) else tuple(compile)
    if strange := [name for name in names if name not in PARTS]:
        raise ValueError(f"compile={strange[0]!r} is not one of {', '.join(PARTS)}: give True for all, or some of them")
    return names
