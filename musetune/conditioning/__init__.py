"""Lead sheets as tensors, and their embedding."""

from musetune.conditioning.conditioner import MusicConditioner, MusicConditioning
from musetune.conditioning.expression_conditioner import ExpressionConditioner
from musetune.conditioning.expression_frames import EXPRESSION, EXPRESSION_FIELDS
from musetune.conditioning.stem_conditioner import StemConditioner
from musetune.conditioning.stem_frames import STEM_FIELDS, STEM_STREAMS
from musetune.conditioning.tokens import (
    EVENT_FIELDS,
    FRAME_FIELDS,
    GLOBAL_FIELDS,
    METERS,
    SHEET_STREAMS,
    STREAMS,
    MusicTokens,
    tokenize,
)

__all__ = [
    "EVENT_FIELDS",
    "EXPRESSION",
    "EXPRESSION_FIELDS",
    "FRAME_FIELDS",
    "GLOBAL_FIELDS",
    "METERS",
    "SHEET_STREAMS",
    "STEM_FIELDS",
    "STEM_STREAMS",
    "STREAMS",
    "ExpressionConditioner",
    "MusicConditioner",
    "MusicConditioning",
    "MusicTokens",
    "StemConditioner",
    "tokenize",
]
