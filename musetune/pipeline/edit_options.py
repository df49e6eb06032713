"""What every kind of editing takes beside its own arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from musetune.pipeline.pieces import StyleAudio
    from musetune.pipeline.sampler import Generators
    from musetune.symbols import Arrangement


class EditOptions(TypedDict, total=False):
    """Options of ``repaint``, ``extend``, ``vary``; each means what it means in a call.

    ``arrangement`` holds the notes of the whole piece.
    """

    generator: Generators
    num_inference_steps: int | None
    guidance_scale: float | None
    music_guidance_scale: float | None
    stem_guidance_scale: float | None
    negative_prompt: str | None
    strength: float | None
    arrangement: Arrangement | None
    return_report: bool
    style_audio: StyleAudio | None
    style_strength: float | None
    callback_on_step_end: Callable[..., dict[str, Any] | None] | None
