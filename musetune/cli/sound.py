"""What commands that make audio share: the file's format, and the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

FORMATS = ("wav", "flac", "mp3")


def audio_kind(out: Path, format: str | None) -> str:
    """Return the audio format that the options mean.

    Raises:
        ValueError: for another format, or one that contradicts the file's suffix.
    """
    suffix = out.suffix.lstrip(".").lower()
    kind = (format or suffix or "wav").lower()
    if kind not in FORMATS:
        raise ValueError(f"format={kind!r} is not one of {', '.join(FORMATS)}")
    if suffix and suffix != kind:
        raise ValueError(
            f"--format {kind} contradicts -o {out}: write -o {out.with_suffix('.' + kind)} or leave --format out"
        )
    return kind


def load_pipeline(base: str, adapter: str | None, device: str, music: bool) -> tuple[MuseTunePipeline, str | None]:
    """Load the pipeline, and say which adapter is in it where there shall be music."""
    from musetune.pipeline.pipeline import MuseTunePipeline

    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter)
    if music and adapter is None:
        adapter = "theory" if pipe.adapter is None else "the base's own"
        if pipe.adapter is None:
            pipe.load_adapter(adapter)
    return pipe.to(device), adapter
