"""The bundled adapter for few steps, for playing live: chunks are made in a fraction of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

FEW_STEPS = "fast"


def few_steps_of(pipe: MuseTunePipeline) -> str | None:
    """Return the name of the resident adapter for few steps; None where there is none."""
    return next((info.name for info in pipe.adapters.values() if getattr(info, "steps", None) is not None), None)


def load_few_steps(pipe: MuseTunePipeline) -> str | None:
    """Load the bundled adapter for few steps, which then counts, where it was made for this base and theory adapter.

    Returns:
        The name of the adapter for few steps that is resident now, also where there was one before; None where none
        fits.

    Example:
        >>> from musetune import MuseTunePipeline  # doctest: +SKIP
        >>> load_few_steps(MuseTunePipeline.from_pretrained("nano", adapter="theory"))  # doctest: +SKIP
        'fast'
    """
    from musetune.adapter.metadata import read_adapter_metadata
    from musetune.adapter.theory_digest import misfit
    from musetune.hub.locate import find_adapter

    if (present := few_steps_of(pipe)) is not None:
        return present
    try:
        metadata = read_adapter_metadata(find_adapter(FEW_STEPS))
        theory = next((info.name for info in pipe.adapters.values() if info.kind == "theory"), None)
        if metadata is None or metadata.theory != theory or misfit(metadata, getattr(pipe, "adapter", None)):
            return None
        pipe.load_adapter(FEW_STEPS)
    except (FileNotFoundError, ValueError):  # not in this installation, or made for another base
        return None
    return FEW_STEPS
