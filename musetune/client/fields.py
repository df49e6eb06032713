"""Fields of the service's requests as keyword arguments, for type checkers; `bodies` checks their values.

The prompt of what takes it as its first argument is not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict


class SheetFields(TypedDict, total=False):
    """Fields that say where a lead sheet comes from."""

    lead_sheet: dict[str, Any] | None
    lead_sheet_job: str | None


class SoundFields(TypedDict, total=False):
    """Fields of all that makes sound."""

    negative_prompt: str | None
    num_inference_steps: int | None
    guidance_scale: float | None
    music_guidance_scale: float | None
    stem_guidance_scale: float | None
    strength: float | None
    adapters: dict[str, float]
    style_strength: float | None
    seed: int


class ListeningFields(TypedDict, total=False):
    """Fields that say how loud sound becomes, and how often it is heard on its way."""

    lufs: float | None
    previews: int


class FormatFields(ListeningFields, total=False):
    """Fields that say how new sound is finished."""

    mono16: bool


class GenerationFields(SheetFields, SoundFields, FormatFields, total=False):
    """Fields of a generation."""

    transcription: str | None
    harmonic_progression: str | None
    key: str | None
    bpm: float | None
    time_signature: str | None
    genre: str | None
    duration_seconds: float | None
    arrange: bool
    arrangement_job: str | None
    stems: bool
    num_waveforms_per_prompt: int
    guidance_interval: Sequence[float] | None
    music_guidance_interval: Sequence[float] | None
    guidance_rescale: float | None
    window_seconds: float | None
    follow: str | Sequence[str] | None
    follow_seconds: Sequence[float] | None
    expression: dict[str, Any] | None
    loop: bool
    eta: float
    max_new_tokens: int | None


class EditFields(SheetFields, SoundFields, ListeningFields, total=False):
    """Fields of all edits."""

    prompt: str
    source_job: str | None
    arrangement_job: str | None


class RepaintFields(EditFields, total=False):
    """Fields of stretches to make anew."""

    seconds: Sequence[Sequence[float]] | None
    bars: Sequence[Sequence[int]] | None
    harmonic_progression: str | None


class ExtendFields(EditFields, total=False):
    """Fields of more before a recording or after it."""

    before_seconds: float
    after_seconds: float
    harmonic_progression: str | None


class VaryFields(EditFields, FormatFields, total=False):
    """Fields of another take."""

    amount: float


class CoverFields(EditFields, total=False):
    """Fields of another sound."""

    genre: str | None
    keep: Sequence[Literal["chords", "beats", "melody", "loudness"]] | None


class LoopFields(SheetFields, SoundFields, FormatFields, total=False):
    """Fields of loops."""

    harmonic_progression: str | None
    key: str | None
    bpm: float | None
    time_signature: str | None
    genre: str | None
    loops: int


class PlanFields(SheetFields, total=False):
    """Fields of a song's plan."""

    key: str | None
    bpm: float | None
    time_signature: str | None
    genre: str | None
    chords: str | None
    form: str | None
    bars: int | None
    duration_seconds: float | None
    style: str | None
    temperature: float
    seed: int


class ArrangementFields(SheetFields, total=False):
    """Fields of players' notes."""

    harmonic_progression: str | None
    key: str | None
    bpm: float | None
    time_signature: str | None
    genre: str | None
    duration_seconds: float | None
    stems: Sequence[Literal["drums", "bass", "guitar", "keys", "lead"]] | None
    arrangement_job: str | None
    style: str | None
    humanize: bool
    temperature: float
    seed: int


class AnalysisFields(TypedDict, total=False):
    """Fields of an analysis."""

    beats: Literal["musetune", "madmom", "beat_this"]
    tempo_hint: float | None
