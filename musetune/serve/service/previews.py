"""Sound of what a generation is going to be, in the midst of its denoising."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from musetune.pipeline.pipeline import MuseTunePipeline

PREVIEW_S = 5.12  # so much of its beginning is decoded at most


def preview_steps(previews: int, steps: int) -> tuple[int, ...]:
    """After which steps one listens, counted from 1: evenly, never after the last, which is the result itself.

    Example:
        >>> preview_steps(3, 20)
        (5, 10, 15)
    """
    marks = {round(steps * number / (previews + 1)) for number in range(1, previews + 1)}
    return tuple(sorted(mark for mark in marks if 1 < mark < steps))  # the first step has none before it


def predicted_latents(scheduler: Any, step: int, before: Tensor, after: Tensor) -> Tensor:
    """What a denoising step takes for the clean latents.

    A step goes from x = α·x₀ + σ·ε to x′ = α′·x₀ + σ′·ε with one estimate of x₀ and ε (DDIM, arXiv 2010.02502, equation
    12 without noise), so x₀ follows from x and x′. Of DPM-Solver++(2M) (arXiv 2211.01095) this is the estimate that it
    extrapolates from its last two.

    Args:
        scheduler: Of diffusers, after ``set_timesteps``, with ``alphas_cumprod``.
        step: Which step, from 0.
        before: Latents (B, channels, rows, cols) that went into it.
        after: Latents that came out of it.

    Returns:
        Latents of the same shape.
    """
    (alpha, sigma), (next_alpha, next_sigma) = (_scales(scheduler, number) for number in (step, step + 1))
    # two equations, two unknowns
    return (next_sigma * before - sigma * after) / (alpha * next_sigma - next_alpha * sigma)


def _scales(scheduler: Any, step: int) -> tuple[float, float]:
    """Share of signal and of noise, √ᾱ and √(1−ᾱ), that a step begins with; after the last the noise is gone."""
    if step >= len(scheduler.timesteps):
        return 1.0, 0.0
    share = float(scheduler.alphas_cumprod[int(scheduler.timesteps[step])])
    return share**0.5, (1 - share) ** 0.5


class Previewer:
    """Listens after some steps.

    Args:
        pipe: What generates.
        steps: After which steps, counted from 1.
        seconds: Length of what is generated.
        folder: Where its files lie.
    """

    def __init__(self, pipe: MuseTunePipeline, steps: Sequence[int], seconds: float, folder: Path) -> None:
        self.pipe, self.steps, self.folder = pipe, frozenset(steps), folder
        self.seconds = min(seconds, PREVIEW_S)
        self._before: Tensor | None = None

    def after_step(self, step: int, latents: Tensor) -> Path | None:
        """The preview of a step, counted from 1, as an OGG file; None where none is due."""
        before, due = self._before, step in self.steps
        self._before = latents.clone() if step + 1 in self.steps else None
        if not due or before is None:
            return None
        rows = self.pipe._rows(self.seconds)
        clean = predicted_latents(self.pipe.scheduler, step - 1, before, latents)[:1, :, :rows]
        audio = self.pipe._decode(clean, round(self.seconds * self.pipe._rate))[0]
        from musetune.audio import save_audio

        return save_audio(self.folder / f"preview-{step}.ogg", audio, self.pipe._rate)
