"""``torch.compile`` of the networks of a call, once for any length, sheet and mix of adapters.

The U-Net is compiled whole. nano's vocoder and the upsampler are synthesisers around a learnt chain of blocks: that is
compiled, and complex spectra and seeded noise, which compilers do not take, stay as they are. AudioLDM 2's HiFi-GAN is
compiled whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

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


@torch.no_grad()
def compile_sound(network: nn.Module, use: Callable[[], object], backend: Backend = "inductor") -> None:
    """Compile a vocoder or an upsampler for sound of any length, now.

    Args:
        network: its learnt chain of blocks is compiled; where it has none apart, all of it.
        use: calls that use the network, of little sound and of much: on processors convolutions of less than 20 000
            numbers are others. Sizes that are equal in them by chance are not taken for one.
        backend: of ``torch.compile``.
    """
    if (name := _chain_of(network)) is None:
        network.compile(dynamic=True, backend=backend)
    else:
        setattr(network, name, torch.compile(getattr(network, name), dynamic=True, backend=backend))
    with torch.fx.experimental._config.patch(use_duck_shape=False):  # type: ignore[attr-defined]  # made at run time
        use()


def uncompile(network: nn.Module) -> None:
    """Give a network back as it was before it was compiled."""
    network._compiled_call_impl = None  # what nn.Module.compile sets; there is no public way back
    if (name := _chain_of(network)) is not None:
        vars(network).pop(name, None)  # the class's own method is seen again


def _chain_of(network: nn.Module) -> str | None:
    """Return the name of the method that is a synthesiser's learnt chain, None where it has none apart."""
    return next((name for name in ("features", "_features") if hasattr(type(network), name)), None)


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
