"""``pipe.optimize()``: what makes the U-Net faster on the machine at hand, tried there, kept where it pays."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

GAIN = 1.1  # what changes the sound a little, or takes a minute to compile, has to be so much faster
HALVES = (torch.bfloat16, torch.float16)


@dataclass
class Optimization:
    """What was tried and what is in force.

    Attributes:
        dtype: of the U-Net's arithmetic now.
        compiled: whether the U-Net is compiled.
        seconds: of a guided step of the U-Net, by what was tried; the fastest of two.
        reasons: why something was not tried.
    """

    dtype: torch.dtype
    compiled: bool
    seconds: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kept = [str(self.dtype).removeprefix("torch."), *(["compiled"] if self.compiled else [])]
        tried = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in self.seconds.items())
        return "; ".join([f"{' and '.join(kept)} (a step: {tried})", *self.reasons])


@torch.no_grad()
def optimize(pipe: Any, *, half: bool | None = None, compile: bool = False) -> Optimization:
    """Let ``pipe`` be as fast as this machine allows; see ``MuseTunePipeline.optimize``."""
    pipe.adapter_manager.check_changeable()
    found = Optimization(pipe.unet.dtype, False)
    step = guided_step(pipe)
    name = str(pipe.unet.dtype).removeprefix("torch.")
    best = found.seconds[name] = seconds_of(step)
    if half is not False:
        best = _try_halves(pipe, found, step, best, forced=half is True)
    if compile:
        _try_compiling(pipe, found, step, best)
    else:
        found.reasons.append("torch.compile was not tried: compile=True does")
    return found


def _try_halves(pipe: Any, found: Optimization, step: Callable[[], object], best: float, forced: bool) -> float:
    """Cast the U-Net to the fastest half precision where one pays; return the seconds of a step then."""
    unet = pipe.adapter_manager.unet
    if pipe.quantization is not None:
        found.reasons.append("half precision was not tried: the base is quantised")
        return best
    if unet.dtype != torch.float32:
        found.reasons.append(f"half precision was not tried: the U-Net is in {unet.dtype} already")
        return best
    times = {torch.float32: best}
    for dtype in HALVES if unet.device.type == "cuda" else HALVES[:1]:
        with casting(pipe, dtype):
            times[dtype] = found.seconds[str(dtype).removeprefix("torch.")] = seconds_of(step)
    fastest = min(HALVES, key=lambda dtype: times.get(dtype, float("inf")))
    if forced or best / times[fastest] >= GAIN:
        cast(pipe, fastest)
        unet.register_forward_pre_hook(cast_inputs, with_kwargs=True)
        found.dtype = fastest
        return times[fastest]
    return best


def _try_compiling(pipe: Any, found: Optimization, step: Callable[[], object], best: float) -> None:
    """Compile the U-Net where that is possible and pays."""
    if (missing := why_not_compile(pipe)) is not None:
        found.reasons.append(f"nothing was compiled: {missing}")
        return
    unet = pipe.adapter_manager.unet
    try:
        compile_unet(pipe)
        found.seconds["compiled"] = seconds_of(step)
    except Exception as error:  # a compiler raises what it likes
        unet._compiled_call_impl = None
        found.reasons.append(f"nothing was compiled: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
        return
    found.compiled = best / found.seconds["compiled"] >= GAIN
    if not found.compiled:
        unet._compiled_call_impl = None  # what nn.Module.compile sets; there is no public way back


@torch.no_grad()
def compile_unet(pipe: Any, backend: str | Callable[..., Any] = "inductor") -> None:
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


def why_not_compile(pipe: Any) -> str | None:
    """Return why ``torch.compile`` cannot be used here, None where it can."""
    if pipe.unet.device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        return "this machine has no C++ compiler, which torch.compile needs on processors: install g++"
    if pipe.quantization is not None:
        return "the base is quantised"
    return None


def cast(pipe: Any, dtype: torch.dtype) -> None:
    """Cast U-Net, adapter and LoRAs' place; all else stays in its precision."""
    for part in (pipe.adapter_manager.unet, pipe.adapter, pipe.loras):
        if part is not None:
            nn.Module.to(part, dtype=dtype)


def cast_inputs(
    unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a U-Net's arguments with latents and words in its precision: the stock call has them in the encoders'.

    The time step stays, which half precision would round.
    """
    dtype = next(unet.parameters()).dtype
    words: dict[str, Any] = {
        name: value.to(dtype)
        for name in ("sample", "encoder_hidden_states", "encoder_hidden_states_1")
        if isinstance(value := kwargs.get(name), Tensor)
    }
    sample = tuple(value.to(dtype) if isinstance(value, Tensor) else value for value in args[:1])
    return (*sample, *args[1:]), {**kwargs, **words}


@contextmanager
def casting(pipe: Any, dtype: torch.dtype) -> Iterator[None]:
    """A context in which U-Net and adapter are in another precision; after it their own numbers are back, exactly."""
    parts = [part for part in (pipe.adapter_manager.unet, pipe.adapter, pipe.loras) if part is not None]
    own = [(weight, weight.data) for part in parts for weight in part.parameters()]
    # casting replaces buffers by others, where it only points parameters to other numbers
    buffers = [(module, dict(module._buffers)) for part in parts for module in part.modules()]
    cast(pipe, dtype)
    try:
        yield
    finally:
        for weight, data in own:
            weight.data = data
        for module, before in buffers:
            module._buffers.update(before)


def guided_step(pipe: Any) -> Callable[[], object]:
    """Return a step as a call of the base's own length has it, by the adapter where there is one: of words and music
    three rows at once, of a LoRA of few steps one.
    """
    from musetune.pipeline.exporting import prepare_music
    from musetune.symbols import LeadSheet

    unet, rows = pipe.adapter_manager.unet, int(pipe.unet.config.sample_size)
    (_, gpt2, t5), batch = unet.config.cross_attention_dim[0], 3 if pipe.adapter_manager.sampling is None else 1
    cols = pipe.vocoder.config.model_in_dim // pipe.vae_scale_factor
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], duration_seconds=rows * pipe.row_s)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(unet.device)

    latents, generated, states = (
        draw(batch, unet.config.in_channels, rows, cols),
        draw(batch, 8, gpt2),
        draw(batch, 8, t5),
    )

    mask = torch.ones(batch, 8, dtype=torch.long, device=unet.device)

    def step() -> Any:
        dtype = unet.dtype
        sample, hidden = latents.to(dtype), generated.to(dtype)
        if pipe.adapter is not None:
            sample, hidden = pipe.adapter.inputs(
                sample, hidden, prepare_music(pipe.adapter, sheet, rows, batch, pipe.row_s)
            )
        words = {"encoder_hidden_states_1": states.to(dtype), "encoder_attention_mask_1": mask}
        with pipe.adapter_manager.playing(1.0, music=pipe.adapter is not None):  # as a call has it
            return pipe.unet(sample, torch.tensor(500), encoder_hidden_states=hidden, **words)

    return step


def seconds_of(step: Callable[[], object]) -> float:
    """Return the seconds of the faster of two runs, after one that does not count."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times[1:])
