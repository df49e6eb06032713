"""Classifier-free guidance with two conditions: words, and music on top of words, each within an interval of the steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

Interval = tuple[float, float]
ALWAYS: Interval = (0.0, 1.0)


@dataclass(frozen=True)
class Guidance:
    """Scales of words and music and where they apply: shares of the denoising steps, 0 the first (noise), 1 the last.

    Outside its interval a scale is 1: the condition alone, not pushed (arXiv 2404.07724). rescale: see ``guide``.
    """

    text: float
    music: float
    rescale: float = 0.0
    text_interval: Interval = ALWAYS
    music_interval: Interval = ALWAYS

    def at(self, step: int, steps: int) -> tuple[float, float]:
        """Scales of words and music in ``step`` (0 … steps − 1); a step belongs to where its middle lies."""
        middle = (step + 0.5) / steps
        text, music = (low <= middle <= high for low, high in (self.text_interval, self.music_interval))
        return self.text if text else 1.0, self.music if music else 1.0


def passes(text_scale: float, music_scale: float) -> tuple[int, ...]:
    """Which predictions ``guide`` needs: 0 without conditions, 1 with words, 2 with words and music; 2 always, for the rescaling.

    Those whose factor is 0 are left out: without conditions at ``text_scale`` 1, words alone where both scales are equal.
    """
    factors = (1 - text_scale, text_scale - music_scale, music_scale)
    return tuple(index for index, factor in enumerate(factors) if factor != 0 or index == 2)


def guide(predictions: Tensor, text_scale: float, music_scale: float, rescale: float = 0.0) -> Tensor:
    """ε∅ + w_text (ε_text − ε∅) + w_music (ε_both − ε_text), as InstructPix2Pix orders two conditions (arXiv 2211.09800).

    predictions (k · B, …): the k that ``passes`` names, in its order; returns (B, …).
    rescale 0…1: how far the result goes back to ε_both's own standard deviation, against over-exposure (arXiv 2305.08891, eq. 15–16).
    """
    which = passes(text_scale, music_scale)
    found = dict(zip(which, predictions.chunk(len(which)), strict=True))
    both = found[2]
    nothing = found.get(0, found.get(1, both))  # what is not there has the factor 0: its neighbour does as well
    text = found.get(1, nothing)
    guided = nothing + text_scale * (text - nothing) + music_scale * (both - text)
    if rescale == 0.0 or len(which) == 1:
        return guided
    axes = tuple(range(1, guided.dim()))
    factor = both.std(axes, keepdim=True) / guided.std(axes, keepdim=True)
    return guided * (rescale * factor + 1 - rescale)
