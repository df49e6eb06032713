"""Lead sheets as tensors, and their embedding."""

from musetune.conditioning.conditioner import MusicConditioner, MusicConditioning
from musetune.conditioning.tokens import EVENT_FIELDS, FRAME_FIELDS, GLOBAL_FIELDS, STREAMS, MusicTokens, tokenize

__all__ = [
    "EVENT_FIELDS",
    "FRAME_FIELDS",
    "GLOBAL_FIELDS",
    "STREAMS",
    "MusicConditioner",
    "MusicConditioning",
    "MusicTokens",
    "tokenize",
]
