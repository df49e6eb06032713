"""Classifier-free guidance with two conditions: words, and music on top of words."""

from __future__ import annotations

from torch import Tensor


def guide(predictions: Tensor, text_scale: float, music_scale: float) -> Tensor:
    """ε∅ + w_text (ε_text − ε∅) + w_music (ε_both − ε_text), as InstructPix2Pix orders two conditions (arXiv 2211.09800).

    predictions (3 · B, …): without conditions, with words, with words and music, in this order; returns (B, …).
    """
    nothing, text, both = predictions.chunk(3)
    return nothing + text_scale * (text - nothing) + music_scale * (both - text)
