"""Classifier-free guidance with two conditions: words, and music on top of words."""

from __future__ import annotations

from torch import Tensor


def guide(predictions: Tensor, text_scale: float, music_scale: float, rescale: float = 0.0) -> Tensor:
    """ε∅ + w_text (ε_text − ε∅) + w_music (ε_both − ε_text), as InstructPix2Pix orders two conditions (arXiv 2211.09800).

    predictions (3 · B, …): without conditions, with words, with words and music, in this order; returns (B, …).
    rescale 0…1: how far the result goes back to ε_both's own standard deviation, against over-exposure (arXiv 2305.08891, eq. 15–16).
    """
    nothing, text, both = predictions.chunk(3)
    guided = nothing + text_scale * (text - nothing) + music_scale * (both - text)
    if rescale == 0.0:
        return guided
    axes = tuple(range(1, guided.dim()))
    factor = both.std(axes, keepdim=True) / guided.std(axes, keepdim=True)
    return guided * (rescale * factor + 1 - rescale)
