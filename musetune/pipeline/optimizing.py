"""``pipe.optimize()``: what makes calls faster on the machine at hand, tried there, kept where it pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from musetune.pipeline.compiling import compile_sound, compile_unet, parts_of, uncompile, why_not_compile

if TYPE_CHECKING:
    from musetune.pipeline.exported_unet import ExportedUNet

LITTLE = 8  # latent rows of a short sound
GAIN = 1.1  # what changes the sound a little, or takes a minute to compile, has to be so much faster
HALVES = (torch.bfloat16, torch.float16)


@dataclass
class Optimization:
    """What was tried and what is in force.

    Attributes:
        dtype: of the U-Net's arithmetic now.
        compiled: the parts that are compiled.
        engine: that makes the U-Net's predictions, None: torch.
        seconds: of a guided step of the U-Net, or of the part that is named, by what was tried; the fastest of two.
        reasons: why something was not tried.
    """

    dtype: torch.dtype
    compiled: tuple[str, ...] = ()
    engine: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kept = [name_of(self.dtype), *([] if self.engine is None else [self.engine])]
        kept += [f"{part} compiled" for part in self.compiled]
        tried = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in self.seconds.items())
        return "; ".join([f"{' and '.join(kept)} (a step: {tried})", *self.reasons])


@torch.no_grad()
def optimize(
    pipe: Any,
    *,
    half: bool | None = None,
    compile: bool | str | tuple[str, ...] | list[str] = False,
    engines: str | Path | None = None,
    threads: int = 0,
) -> Optimization:
    """Let ``pipe`` be as fast as this machine allows; see ``MuseTunePipeline.optimize``."""
    parts = parts_of(compile)
    pipe.adapter_manager.check_changeable()
    found = Optimization(pipe.unet.dtype)
    exported: dict[str, ExportedUNet] = {}
    if engines is not None:
        pipe.load_engine(None)  # what the U-Net itself takes is to be timed
        exported = _load_engines(pipe, found, engines, threads, half)
    else:
        found.reasons.append("engines were not tried: engines=FOLDER, where musetune export wrote, does")
    rows = next((one.rows for one in exported.values()), None)
    step = guided_step(pipe, rows)
    best = found.seconds[name_of(pipe.unet.dtype)] = seconds_of(step)
    for name, engine in exported.items():
        found.seconds[name] = seconds_of(guided_step(pipe, rows, engine))
    rival = min((found.seconds[name] for name in exported), default=float("inf"))
    if half is not False:
        best = _try_halves(pipe, found, step, best, forced=half is True, rival=rival)
    if exported and best > rival and found.seconds[name_of(torch.float32)] / rival >= GAIN:
        found.engine = min(exported, key=lambda name: found.seconds[name])
        pipe.exported_unets = (exported[found.engine],)
    if not parts:
        found.reasons.append("torch.compile was not tried: compile=True does")
    elif (missing := why_not_compile(pipe)) is not None:
        found.reasons.append(f"nothing was compiled: {missing}")
    else:
        for part in parts:
            _try_compiling(pipe, found, part, step, best)
    return found


def _load_engines(
    pipe: Any, found: Optimization, folder: str | Path, threads: int, half: bool | None
) -> dict[str, ExportedUNet]:
    """Return the exported U-Net in each engine that is installed, where it is this pipeline's."""
    from musetune.pipeline.exported_unet import ENGINES, ExportedUNet, is_installed

    exported: dict[str, ExportedUNet] = {}
    if half is True or pipe.adapter is None:
        why = "they compute in float32, and half=True was asked for" if half else "there is no theory adapter"
        found.reasons.append(f"engines were not tried: {why}")
        return exported
    for name in ENGINES:
        if not is_installed(name):
            found.reasons.append(f"{name} was not tried: it is not installed")
            continue
        engine = ExportedUNet(folder, name, threads)
        try:
            with pipe.adapter_manager.playing(1.0, music=True):
                engine.check(pipe.adapter_manager.unet, pipe.adapter)
        except ValueError as error:
            found.reasons.append(f"engines were not tried: {error}")
            return {}
        exported[name] = engine
    return exported


def _try_halves(
    pipe: Any, found: Optimization, step: Callable[[], object], best: float, forced: bool, rival: float
) -> float:
    """Cast the U-Net to the fastest half precision where one pays and beats the ``rival``, seconds of a step by other
    means; return the seconds of a step then.
    """
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
            times[dtype] = found.seconds[name_of(dtype)] = seconds_of(step)
    fastest = min(HALVES, key=lambda dtype: times.get(dtype, float("inf")))
    if forced or (best / times[fastest] >= GAIN and times[fastest] <= rival):
        cast(pipe, fastest)
        unet.register_forward_pre_hook(cast_inputs, with_kwargs=True)
        found.dtype = fastest
        return times[fastest]
    return best


def _try_compiling(pipe: Any, found: Optimization, part: str, step: Callable[[], object], best: float) -> None:
    """Compile a part where that is possible and pays."""
    network = pipe.adapter_manager.unet if part == "unet" else getattr(pipe, part)
    if network is None:
        found.reasons.append(f"the {part} was not compiled: there is none")
        return
    if part == "unet" and found.engine is not None:
        found.reasons.append(f"the unet was not compiled: {found.engine} takes its place")
        return
    if part != "unet":
        step = sound_step(pipe, part)
        best = found.seconds[part] = seconds_of(step)
    try:
        compile_unet(pipe) if part == "unet" else compile_sound(
            network, lambda: [step(), sound_step(pipe, part, LITTLE)()]
        )
        found.seconds[f"{part} compiled"] = seconds_of(step)
    except Exception as error:  # a compiler raises what it likes
        uncompile(network)
        found.reasons.append(f"the {part} was not compiled: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
        return
    if best / found.seconds[f"{part} compiled"] >= GAIN:
        found.compiled += (part,)
    else:
        uncompile(network)


def sound_step(pipe: Any, part: str, rows: int | None = None) -> Callable[[], object]:
    """Return what a call of so many latent rows (default the base's own length) has the vocoder or the upsampler do."""
    rows = int(pipe.unet.config.sample_size) if rows is None else rows
    generator = torch.Generator().manual_seed(0)
    if part == "upsampler":
        wave = 0.1 * torch.randn(1, round(rows * pipe.row_s * pipe._rate), generator=generator)
        return partial(pipe.upsampler.upsample, wave)
    shape = (1, rows * pipe.vae_scale_factor, pipe.vocoder.config.model_in_dim)
    spectrogram = torch.randn(*shape, generator=generator) - 4.0
    return partial(pipe.vocoder, spectrogram.to(pipe.vocoder.device, pipe.vocoder.dtype))


def name_of(dtype: torch.dtype) -> str:
    """Return a precision's name, such as "float32"."""
    return str(dtype).removeprefix("torch.")


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


def guided_step(pipe: Any, rows: int | None = None, exported: Callable[..., Any] | None = None) -> Callable[[], object]:
    """Return a step as a call of so many latent rows (default the base's own length) has it, by the adapter where there
    is one: as many rows at once as words and music need by the defaults, one of a LoRA of few steps. ``exported`` takes
    the U-Net's place.
    """
    from musetune.pipeline.request import default_passes
    from musetune.pipeline.unet_export import prepare_music
    from musetune.symbols import LeadSheet

    unet = pipe.adapter_manager.unet
    rows = int(unet.config.sample_size) if rows is None else rows
    _, gpt2, t5 = unet.config.cross_attention_dim[0]
    batch = default_passes() if pipe.adapter_manager.sampling is None else 1
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
            return (exported or pipe.unet)(sample, torch.tensor(500), encoder_hidden_states=hidden, **words)

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
