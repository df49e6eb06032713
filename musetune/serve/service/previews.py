"""Sound of what a generation is going to be, in the midst of its denoising."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from musetune.pipeline.pipeline import MuseTunePipeline

PREVIEW_S = 5.12  # so much is decoded at most
LEAD_IN_S = 1.0  # of what is kept, before what is new


@dataclass(frozen=True)
class DenoisingCall:
    """One call of a job that denoises.

    Attributes:
        steps: Its denoising steps.
        first: How many of them are left out at the beginning, where it starts from something.
        begin_s: Where in its sound one listens, seconds.
    """

    steps: int
    first: int = 0
    begin_s: float = 0.0


def preview_steps(previews: int, calls: Sequence[DenoisingCall]) -> tuple[tuple[int, int], ...]:
    """After which steps one listens: evenly over all calls of a job, never after a call's first step, before which
    there is nothing to compare with, nor after its last, which is the result itself.

    Returns:
        (call, step): the call from 0, its step from 1, those that are left out counted.

    Example:
        >>> preview_steps(3, [DenoisingCall(20)])
        ((0, 5), (0, 10), (0, 15))
        >>> preview_steps(2, [DenoisingCall(20, first=12), DenoisingCall(20, first=12)])
        ((0, 17), (1, 15))
    """
    total, marks = sum(call.steps - call.first for call in calls), set()
    for number in range(1, previews + 1):
        left = round(total * number / (previews + 1))
        for index, call in enumerate(calls):
            done = call.steps - call.first
            if left <= done:
                step = min(max(call.first + left, call.first + 2), call.steps - 1)
                if step >= call.first + 2:
                    marks.add((index, step))
                break
            left -= done
    return tuple(sorted(marks))


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
    """Listens after some steps of one call.

    Args:
        pipe: What generates.
        steps: After which steps, counted from 1.
        begin_s: Where in the call's sound it listens, seconds.
        folder: Where its files lie.
    """

    def __init__(self, pipe: MuseTunePipeline, steps: Collection[int], begin_s: float, folder: Path) -> None:
        self.pipe, self.steps, self.begin_s, self.folder = pipe, frozenset(steps), begin_s, folder
        self._before: Tensor | None = None

    def after_step(self, step: int, latents: Tensor, name: int) -> Path | None:
        """The preview of a step, counted from 1, as an OGG file; None where none is due.

        Args:
            step: The step.
            latents: (B, channels, rows, cols), of which the first is heard.
            name: The number in the file's name.
        """
        before, due = self._before, step in self.steps
        self._before = latents.clone() if step + 1 in self.steps else None
        if not due or before is None:
            return None
        first = min(round(self.begin_s / self.pipe.row_s), latents.shape[2] - 1)
        seconds = min((latents.shape[2] - first) * self.pipe.row_s, PREVIEW_S)
        clean = predicted_latents(self.pipe.scheduler, step - 1, before, latents)[:1]
        clean = clean[:, :, first : first + self.pipe._rows(seconds)]
        audio = self.pipe._decode(clean, round(seconds * self.pipe._rate))[0]
        from musetune.audio import save_audio

        return save_audio(self.folder / f"preview-{name}.ogg", audio, self.pipe._rate)
