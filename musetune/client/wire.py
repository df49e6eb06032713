"""What goes over the wire between the service and its clients; server and client share these classes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
EXAMPLE: dict[str, JsonValue] = {
    "prompt": "warm jazz trio",
    "harmonic_progression": "ii7 V7 Imaj7 Imaj7",
    "key": "Bb major",
    "bpm": 132,
    "duration_seconds": 8,
    "seed": 7,
}


class GenerationBody(BaseModel):
    """A clip to generate. The names are those of `MuseTunePipeline.__call__`, and so are the defaults.

    Example:
        >>> GenerationBody(prompt="bright pop", harmonic_progression="I V vi IV", key="C major").seed
        0
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    prompt: str = Field("", max_length=4000, description="what it should sound like: genre, instruments, mood")
    negative_prompt: str | None = Field(None, max_length=4000, description="what it should not sound like")
    harmonic_progression: str | None = Field(
        None, max_length=20_000, description="'I V vi IV', 'Am7 F C/E G' or a chart '| C | G/B . Am7 . |'"
    )
    lead_sheet: dict[str, Any] | None = Field(None, description="a lead sheet as `LeadSheet.to_json` writes it")
    key: str | None = Field(None, max_length=40, description="of the progression, such as 'Bb major'; C major")
    bpm: float | None = Field(None, description="beats a minute, 30–300; 120")
    time_signature: str | None = Field(None, max_length=40, description="of the progression; 4/4")
    genre: str | None = Field(None, max_length=40, description="pop, rock, jazz, blues, classical or electronic")
    duration_seconds: float | None = Field(
        None, description="length; without music a song is planned and arranged to it"
    )
    arrange: bool = Field(False, description="write every player's notes for the lead sheet and play those")
    stems: bool = Field(False, description="each player's audio too; needs arrange")
    num_inference_steps: int | None = Field(None, ge=1, le=1000, description="denoising steps; 20 with music")
    num_waveforms_per_prompt: int = Field(1, ge=1, le=16, description="candidates; the most obedient one is kept")
    guidance_scale: float | None = Field(None, description="how hard the words push")
    music_guidance_scale: float | None = Field(None, description="how hard the music pushes")
    stem_guidance_scale: float | None = Field(None, description="how hard the notes push")
    guidance_interval: tuple[float, float] | None = Field(None, description="shares of the steps in which words push")
    music_guidance_interval: tuple[float, float] | None = Field(None, description="the like for music and notes")
    guidance_rescale: float | None = Field(None, description="0–1; 0.8")
    window_seconds: float | None = Field(None, description="longer audio is made in overlapping windows of so much")
    follow: list[str] | None = Field(None, description="which of chords, beats, key, genre, function … count; all")
    follow_seconds: tuple[float, float] | None = Field(None, description="the stretch in which they do")
    strength: float | None = Field(None, description="of the adapters, 0–1; 1")
    adapters: dict[str, float] = Field(
        default_factory=dict, description="genre adapters and their weights, 0–2, as /v1/adapters names them"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="same seed, same audio")


class AnalysisBody(BaseModel):
    """How a song is to be analysed; the song itself is uploaded beside it."""

    model_config = ConfigDict(extra="forbid")

    beats: Literal["musetune", "madmom", "beat_this"] = Field("musetune", description="who hears the beats")
    tempo_hint: float | None = Field(None, gt=0, description="about how many beats a minute; settles half or double")


class JobProgress(BaseModel):
    """How far a running job is."""

    stage: str
    step: int | None = None
    steps: int | None = None


class Problem(BaseModel):
    """What went wrong, after RFC 9457: ``detail`` is the library's own message."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    request_id: str | None = None


class JobStatus(BaseModel):
    """A job: where it is on its way, and what it made.

    Attributes:
        position: Jobs that go before it.
        seconds_left: How long it is likely to take from now on; None where nothing is known yet.
        files: Kinds of files that can be fetched, by their URL.
        result: What came out beside the files.
    """

    id: str
    kind: Literal["generation", "analysis"]
    state: JobState
    created: float
    started: float | None = None
    finished: float | None = None
    expires: float | None = None
    attempt: int = 0
    position: int = 0
    seconds_left: float | None = None
    cancelling: bool = False
    progress: JobProgress | None = None
    files: dict[str, str] = Field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: Problem | None = None

    @property
    def final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in ("succeeded", "failed", "cancelled")


class JobUpdate(BaseModel):
    """Something that happened to a job, as its stream of events tells it."""

    number: int
    at: float
    kind: str
    data: dict[str, Any] = Field(default_factory=dict)
