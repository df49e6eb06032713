"""From noise to latents: the denoising loop, and the noise that it starts from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from musetune.pipeline.conditions import Conditions
from musetune.pipeline.guidance import Guidance, guide, passes
from musetune.pipeline.windows import blend
from musetune.symbols.limits import shorten

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    from musetune.adapter import MusicAdapter
    from musetune.symbols import LeadSheet

RELATED = 0.9  # correlation of the noise that two sections of one label start from
Generators = torch.Generator | list[torch.Generator] | None
OnStep = Callable[[int, Tensor, Tensor], Tensor | None]


@dataclass(frozen=True)
class SourceLatents:
    """Latents that denoising starts from, or keeps in part.

    Attributes:
        latents: (B, channels, rows, cols), clean.
        kept: (rows,) bool, which rows stay as they are; None: none of them.
        first_step: denoising steps that are left out: SDEdit (arXiv 2108.01073). Of all of them nothing is left but
            the source.
    """

    latents: Tensor
    kept: Tensor | None = None
    first_step: int = 0

    def begin(self, scheduler: SchedulerMixin, noise: Tensor) -> Tensor:
        """Return what the first step that is not left out starts from; ``noise`` is standard normal."""
        if self.first_step == 0:
            return self.hold(scheduler, noise, noise * scheduler.init_noise_sigma, 0)
        return self.noisy(scheduler, noise, self.first_step)

    def hold(self, scheduler: SchedulerMixin, noise: Tensor, latents: Tensor, step: int) -> Tensor:
        """Return ``latents`` as they go into ``step``, the kept rows the source's at that noise (arXiv 2201.09865)."""
        if self.kept is None:
            return latents
        return torch.where(self.kept[:, None], self.noisy(scheduler, noise, step), latents)

    def noisy(self, scheduler: SchedulerMixin, noise: Tensor, step: int) -> Tensor:
        """Return the source as it goes into ``step``; clean after the last."""
        if step >= len(scheduler.timesteps):
            return self.latents
        return scheduler.add_noise(self.latents, noise, scheduler.timesteps[step].expand(len(noise)))


def sample(
    unet: AudioLDM2UNet2DConditionModel,
    adapter: MusicAdapter,
    scheduler: SchedulerMixin,
    conditions: Conditions,
    guidance: Guidance,
    latents: Tensor,
    *,
    steps: int,
    window_rows: int,
    generator: Generators = None,
    eta: float = 0.0,
    cross_attention_kwargs: dict[str, Any] | None = None,
    progress: Callable[[Any], Iterable[Any]] = iter,
    on_step: OnStep | None = None,
    source: SourceLatents | None = None,
    circular: bool = False,
) -> Tensor:
    """Denoise ``latents`` under ``conditions``.

    Each step predicts every window once for each level of guidance that counts in it, guides, blends the windows and
    lets the scheduler step.

    Args:
        latents: (B, channels, rows, cols) standard normal noise.
        steps: denoising steps.
        window_rows: latent rows of a window; neighbours overlap by half (MultiDiffusion, arXiv 2302.08113).
        generator: randomness of stochastic schedulers, one for all or one a waveform.
        eta: of DDIM (arXiv 2010.02502), 0–1; 0 is deterministic.
        progress: wraps the timesteps, as ``tqdm`` does.
        on_step: called with (step, timestep, latents) after each step; returns the latents to go on with, or None to
            stop there.
        source: latents to start from or to keep in part.
        circular: the last row is followed by the first.

    Returns:
        (B, channels, rows, cols) latents.

    Raises:
        ValueError: for an ``eta`` that the scheduler does not know.
    """
    scheduler.set_timesteps(steps, device=latents.device)
    step_options = step_arguments(scheduler, generator, eta)
    noise, first = latents, 0 if source is None else source.first_step
    latents = noise * scheduler.init_noise_sigma if source is None else source.begin(scheduler, noise)
    for step, t in enumerate(progress(scheduler.timesteps[first:]), start=first):
        scales = guidance.at(step, len(scheduler.timesteps))
        levels = passes(scales)

        def predict(window: Tensor, index: int, t: Tensor = t, scales: Any = scales, levels: Any = levels) -> Tensor:
            batch = conditions.select(index, levels)
            noisy, hidden = adapter.inputs(torch.cat([window] * len(levels)), batch.generated, batch.music)
            predicted = unet(
                noisy, t, encoder_hidden_states=hidden, cross_attention_kwargs=cross_attention_kwargs, **batch.text
            ).sample
            return guide(predicted, scales, guidance.rescale)

        predicted = blend(scheduler.scale_model_input(latents, t), window_rows, window_rows // 2, predict, circular)
        latents = scheduler.step(predicted, t, latents, **step_options).prev_sample
        if source is not None:
            latents = source.hold(scheduler, noise, latents, step + 1)
        if on_step is not None:
            changed = on_step(step, t, latents)
            if changed is None:
                return latents
            latents = changed
    return latents


def check_generators(generator: object) -> None:
    """Raise TypeError for what is neither a torch.Generator nor a list of them; None is none."""
    for one in generator if isinstance(generator, list) else [] if generator is None else [generator]:
        if not isinstance(one, torch.Generator):
            raise TypeError(
                f"generator={shorten(repr(one))} is no torch.Generator: give torch.Generator().manual_seed(7), or a "
                "list of one for each waveform"
            )


def step_arguments(scheduler: SchedulerMixin, generator: Generators, eta: float) -> dict[str, Any]:
    """Return what ``scheduler.step`` takes of ``generator`` and ``eta``: all randomness is the caller's.

    Raises:
        ValueError: for an ``eta`` above 0 that it does not take.
    """
    parameters = inspect.signature(scheduler.step).parameters
    if eta and "eta" not in parameters:
        raise ValueError(f"eta={eta} has no meaning for {type(scheduler).__name__}: leave it out, or use DDIMScheduler")
    arguments: dict[str, Any] = {"eta": eta} if "eta" in parameters else {}
    return arguments | ({"generator": generator} if "generator" in parameters else {})


def relate_sections(noise: Tensor, sheet: LeadSheet, row_s: float) -> Tensor:
    """Make stretches of ``noise`` (n, channels, rows, cols), in place, alike where sections of one label lie."""
    first: dict[str, Tensor] = {}
    for label, start, end in section_rows(sheet, row_s, noise.shape[2]):
        here = noise[:, :, start:end]
        if label not in first:
            first[label] = here.clone()
            continue
        rows = min(here.shape[2], first[label].shape[2])
        here[:, :, :rows] = RELATED * first[label][:, :, :rows] + (1 - RELATED**2) ** 0.5 * here[:, :, :rows]
    return noise


def section_rows(sheet: LeadSheet, row_s: float, rows: int) -> Iterator[tuple[str, int, int]]:
    """Yield label, first row and the row after the last of every section that begins within ``rows``."""
    for section in sheet.sections:
        start, end = (float(sheet.grid.time_at(beat)) for beat in (section.start, section.start + section.beats))
        if (first := max(0, round(start / row_s))) < min(rows, last := round(end / row_s)):
            yield section.label, first, min(rows, last)
