"""Which generations can run together: the same steps, scales and length, whatever their words, chords and seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection

from pydantic import BaseModel

from musetune.client.bodies import GenerationBody
from musetune.serve.service.checks import resolve_music
from musetune.symbols import LeadSheet

EACH_ITS_OWN = (  # fields that may differ within a batch
    "prompt",
    "negative_prompt",
    "lead_sheet",
    "harmonic_progression",
    "key",
    "bpm",
    "time_signature",
    "genre",
    "duration_seconds",
    "seed",
    "mono16",
    "lufs",
)


def batch_key(task: str, body: BaseModel, files: Collection[str] = ()) -> str | None:
    """What two generations have in common that can run together; None for a request that runs alone.

    Alone run requests without chords in them, those whose music comes from files or other jobs, those for each player's
    stem, loops, and those that are listened to on their way.

    Example:
        >>> one = GenerationBody(prompt="jazz", harmonic_progression="ii7 V7", duration_seconds=8, seed=1)
        >>> other = GenerationBody(prompt="rock", harmonic_progression="I IV V", duration_seconds=8, key="E major")
        >>> batch_key("generation", one) == batch_key("generation", other)
        True
    """
    if task != "generation" or not isinstance(body, GenerationBody) or files:
        return None
    if body.lead_sheet_job or body.arrangement_job or body.stems or body.previews or body.loop:
        return None
    if body.style_strength is not None:
        return None
    own = None if body.lead_sheet is None else LeadSheet.from_json(body.lead_sheet)
    sheet = resolve_music(body, own)
    if sheet is None:
        return None
    shared = body.model_dump(mode="json", exclude=set(EACH_ITS_OWN)) | {"seconds": round(sheet.duration_s, 6)}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]
