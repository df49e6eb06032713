"""Classifier-free guidance with nested conditions.

Words, music on top of words, stems on top of music, each within an interval of the steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

Interval = tuple[float, float]
ALWAYS: Interval = (0.0, 1.0)


@dataclass(frozen=True)
class Guidance:
    """Scales of words, music and, where they are given, stems, and where they apply.

    Shares of the denoising steps, 0 the first (noise).

    Outside its interval a scale is 1: the condition alone, not pushed (arXiv 2404.07724). Stems share the music's
    interval. rescale: see ``guide``.
    """

    text: float
    music: float
    rescale: float = 0.0
    text_interval: Interval = ALWAYS
    music_interval: Interval = ALWAYS
    stems: float | None = None

    def at(self, step: int, steps: int) -> tuple[float, ...]:
        """The scales in ``step`` (0 … steps − 1), in the order of their nesting.

        A step belongs to where its middle lies.
        """
        middle = (step + 0.5) / steps
        text, music = (low <= middle <= high for low, high in (self.text_interval, self.music_interval))
        scales = (self.text if text else 1.0, self.music if music else 1.0)
        return scales if self.stems is None else (*scales, self.stems if music else 1.0)

    @property
    def levels(self) -> int:
        """Predictions that may be needed: without conditions, and one more for each condition."""
        return 3 if self.stems is None else 4


def factors(scales: tuple[float, ...]) -> tuple[float, ...]:
    """Return the factor of each level's prediction in the guided sum: 1 − s₀, s₀ − s₁, …, s_last."""
    return tuple(a - b for a, b in zip((1.0, *scales), (*scales, 0.0), strict=True))


def passes(scales: tuple[float, ...]) -> tuple[int, ...]:
    """Which levels ``guide`` needs.

    0 without conditions, 1 with words, 2 with words and music, 3 with stems too; the last always, for the rescaling.
    Those whose factor is 0 are left out: without conditions at a text scale of 1, words alone where both scales are
    equal.
    """
    return tuple(level for level, factor in enumerate(factors(scales)) if factor != 0 or level == len(scales))


def guide(predictions: Tensor, scales: tuple[float, ...], rescale: float = 0.0) -> Tensor:
    """ε∅ + w_text (ε_text − ε∅) + w_music (ε_both − ε_text) …, as InstructPix2Pix orders two conditions (arXiv
    2211.09800).

    predictions (k · B, …): the k that ``passes`` names, in its order; returns (B, …).
    rescale 0…1: how far the result goes back to the last level's own standard deviation, against over-exposure (arXiv
    2305.08891, eq. 15–16).
    """
    which = passes(scales)
    by_condition = dict(zip(which, predictions.chunk(len(which)), strict=True))
    full = by_condition[len(scales)]
    # as differences from level to level, so that scales of 1 give the last level exactly; what is not there has the
    # factor 0
    levels = [full] * (len(scales) + 1)
    for level in reversed(range(len(scales))):
        levels[level] = by_condition.get(level, levels[level + 1])
    guided = levels[0]
    for scale, lower, upper in zip(scales, levels, levels[1:], strict=False):
        guided = guided + scale * (upper - lower)
    if rescale == 0.0 or len(which) == 1:
        return guided
    axes = tuple(range(1, guided.dim()))
    factor = full.std(axes, keepdim=True) / guided.std(axes, keepdim=True)
    return guided * (rescale * factor + 1 - rescale)
