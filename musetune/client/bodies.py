"""What requests of the service ask for; server and client share these classes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

JOB_ID = r"^[0-9a-f]{32}$"
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Stretch = tuple[float, float]


def body_config(*examples: dict[str, JsonValue]) -> ConfigDict:
    """The configuration of a body: no other fields, finite numbers, and examples for OpenAPI."""
    return ConfigDict(extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": list(examples)})


class SheetBody(BaseModel):
    """Where a lead sheet may come from: the request itself, an earlier job, or, as multipart, a file `lead_sheet`."""

    lead_sheet: dict[str, Any] | None = Field(None, description="a lead sheet as `LeadSheet.to_json` writes it")
    lead_sheet_job: str | None = Field(None, pattern=JOB_ID, description="id of a job whose lead sheet is meant")


class SoundBody(BaseModel):
    """What all that makes sound takes."""

    prompt: str = Field("", max_length=4000, description="what it should sound like: genre, instruments, mood")
    negative_prompt: str | None = Field(None, max_length=4000, description="what it should not sound like")
    num_inference_steps: int | None = Field(None, ge=1, le=1000, description="denoising steps; 20 with music")
    guidance_scale: float | None = Field(None, description="how hard the words push")
    music_guidance_scale: float | None = Field(None, description="how hard the music pushes")
    stem_guidance_scale: float | None = Field(None, description="how hard the notes push")
    strength: float | None = Field(None, description="of the adapters, 0–1; 1")
    adapters: dict[str, float] = Field(
        default_factory=dict, description="genre adapters and their weights, 0–2, as /v1/adapters names them"
    )
    style_strength: float | None = Field(
        None, ge=0, le=1, description="how much of the sound of a clip is meant that comes as a file `style_audio`; 1"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="same seed, same audio")


class ListeningBody(BaseModel):
    """How loud sound becomes, and how often it is heard on its way."""

    lufs: float | None = Field(None, description="loudness, −40 to −5, by EBU R128; the true peak stays below −1 dB")
    previews: int = Field(
        0, ge=0, le=8, description="how often its events let hear, while it is denoised, what it will be"
    )


class FormatBody(ListeningBody):
    """How new sound is finished."""

    mono16: bool = Field(False, description="the base's own 16 kHz mono instead of 48 kHz stereo")


class GenerationBody(SheetBody, SoundBody, FormatBody):
    """A clip to generate. The names are those of `MuseTunePipeline.__call__`, and so are the defaults.

    Example:
        >>> GenerationBody(prompt="bright pop", harmonic_progression="I V vi IV", key="C major").seed
        0
    """

    model_config = body_config(
        {
            "prompt": "warm jazz trio",
            "harmonic_progression": "ii7 V7 Imaj7 Imaj7",
            "key": "Bb major",
            "bpm": 132,
            "duration_seconds": 8,
            "seed": 7,
        },
        {"prompt": "slow piano ballad in A minor", "duration_seconds": 20, "previews": 3, "lufs": -14},
    )

    transcription: str | None = Field(None, max_length=4000, description="what is spoken, of bases that speak")
    harmonic_progression: str | None = Field(
        None, max_length=20_000, description="'I V vi IV', 'Am7 F C/E G' or a chart '| C | G/B . Am7 . |'"
    )
    key: str | None = Field(None, max_length=40, description="of the progression, such as 'Bb major'; C major")
    bpm: float | None = Field(None, description="beats a minute, 30–300; 120")
    time_signature: str | None = Field(None, max_length=40, description="of the progression; 4/4")
    genre: str | None = Field(None, max_length=40, description="pop, rock, jazz, blues, classical or electronic")
    duration_seconds: float | None = Field(
        None, description="length; without music a song is planned and arranged to it"
    )
    arrange: bool = Field(False, description="write every player's notes for the lead sheet and play those")
    arrangement_job: str | None = Field(
        None, pattern=JOB_ID, description="id of a job whose players' notes are played; or, as multipart, a file"
    )
    stems: bool = Field(False, description="each player's audio too; needs arrange, or notes")
    num_waveforms_per_prompt: int = Field(1, ge=1, le=16, description="candidates; the most obedient one is kept")
    guidance_interval: Stretch | None = Field(None, description="shares of the steps in which words push")
    music_guidance_interval: Stretch | None = Field(None, description="the like for music and notes")
    guidance_rescale: float | None = Field(None, description="0–1; 0.8")
    window_seconds: float | None = Field(None, description="longer audio is made in overlapping windows of so much")
    follow: str | list[str] | None = Field(None, description="which of chords, beats, key, genre, drums … count; all")
    follow_seconds: Stretch | None = Field(None, description="the stretch in which they do")
    expression: dict[str, Any] | None = Field(
        None,
        description="how it is played: loudness_db as [[seconds, LUFS], …], note_density, syncopation, swing, "
        "harmonic_complexity; needs an adapter that reads it",
    )
    loop: bool = Field(False, description="the last bar flows into the first, whole bars to the sample")
    eta: float = Field(0, ge=0, le=1, description="of DDIM schedulers: 0 is deterministic")
    max_new_tokens: int | None = Field(None, ge=1, le=512, description="of the language model; the base's own")


class EditBody(SheetBody, SoundBody, ListeningBody):
    """What all edits take beside their recording, which is an earlier job's or, as multipart, a file `audio`.

    A loudness is that of the whole edited recording, what is kept of it included.
    """

    source_job: str | None = Field(None, pattern=JOB_ID, description="id of a job whose sound is edited")
    arrangement_job: str | None = Field(
        None, pattern=JOB_ID, description="id of a job that holds notes of the whole piece; or, as multipart, a file"
    )


class RepaintBody(EditBody):
    """Stretches to make anew under other chords or words; all else stays, sample for sample."""

    model_config = body_config(
        {"source_job": "0" * 32, "bars": [[3, 4]], "harmonic_progression": "Dm7 G7", "prompt": "warm jazz trio"},
        {"seconds": [[12, 16]], "prompt": "distorted guitar solo", "seed": 3, "previews": 2, "lufs": -14},
    )

    seconds: list[Stretch] | None = Field(None, min_length=1, max_length=64, description="starts and ends of stretches")
    bars: list[tuple[int, int]] | None = Field(
        None, min_length=1, max_length=64, description="instead: first and last bars, counted from 1"
    )
    harmonic_progression: str | None = Field(None, max_length=20_000, description="what is played in each stretch")


class ExtendBody(EditBody):
    """More before a recording or after it. Its lead sheet is of the whole; with chords instead it is found by analysis
    and goes on with them.
    """

    model_config = body_config(
        {"source_job": "0" * 32, "after_seconds": 8, "harmonic_progression": "vi IV I V", "previews": 2},
    )

    before_seconds: Seconds = Field(0, description="seconds to put in front; needs a lead sheet of the whole")
    after_seconds: Seconds = Field(0, description="seconds to put behind")
    harmonic_progression: str | None = Field(None, max_length=20_000, description="what comes after; repeated")


class VaryBody(EditBody, FormatBody):
    """A recording to take again, near or far."""

    model_config = body_config({"source_job": "0" * 32, "amount": 0.4, "seed": 1, "lufs": -16})

    amount: float = Field(0.4, ge=0, le=1, description="0 the recording through the codec, 1 a new take")


class CoverBody(EditBody):
    """A recording to play with another sound: what it plays is heard and kept."""

    model_config = body_config(
        {"source_job": "0" * 32, "genre": "jazz", "keep": ["chords", "beats", "melody"], "previews": 3, "lufs": -14}
    )

    genre: str | None = Field(None, max_length=40, description="of the new sound; what is heard")
    keep: list[Literal["chords", "beats", "melody", "loudness"]] | None = Field(
        None, min_length=1, description="what is kept; all of it"
    )


class LoopBody(SheetBody, SoundBody, FormatBody):
    """Loops whose last bar flows into the first, whole bars to the sample. The result's audio is the first of them."""

    model_config = body_config({"prompt": "house", "harmonic_progression": "| Am | F |", "bpm": 124, "loops": 2})

    harmonic_progression: str | None = Field(None, max_length=20_000, description="a chart or chords of whole bars")
    key: str | None = Field(None, max_length=40, description="of the progression; C major")
    bpm: float | None = Field(None, description="beats a minute, 30–300; 120")
    time_signature: str | None = Field(None, max_length=40, description="of the progression; 4/4")
    genre: str | None = Field(None, max_length=40, description="pop, rock, jazz, blues, classical or electronic")
    loops: int = Field(1, ge=1, le=8, description="takes of the sheet, equally long, in loops.zip")


class PlanBody(SheetBody):
    """A song's plan to write from words: form, chords, key, tempo, meter. What is pinned is kept exactly."""

    model_config = body_config({"prompt": "slow sad ballad in A minor, waltz time", "bars": 16, "seed": 3})

    prompt: str = Field("", max_length=4000, description="what song")
    key: str | None = Field(None, max_length=40, description="such as 'D minor'")
    bpm: float | None = Field(None, description="beats a minute, 30–300")
    time_signature: str | None = Field(None, max_length=40, description="such as 6/8")
    genre: str | None = Field(None, max_length=40, description="pop, rock, jazz, blues, classical or electronic")
    chords: str | None = Field(None, max_length=20_000, description="of the first section, in any notation")
    form: str | None = Field(None, max_length=400, description="AABA, or 'verse:8 chorus:8 verse'")
    bars: int | None = Field(None, ge=1, le=512, description="length in bars")
    duration_seconds: float | None = Field(None, gt=0, le=999, description="length instead, to whole bars")
    style: str | None = Field(None, max_length=200, description="a style by name, such as 'bossa nova'")
    temperature: float = Field(0.9, ge=0, le=10, description="0 the likeliest, more is wilder")
    seed: int = Field(0, ge=0, lt=2**31, description="same seed, same plan")


class ArrangementBody(SheetBody):
    """Every player's notes to write for a lead sheet. As multipart, a file `arrangement` holds players that stay."""

    model_config = body_config({"lead_sheet_job": "0" * 32, "stems": ["drums", "bass", "keys"], "style": "reggae"})

    harmonic_progression: str | None = Field(None, max_length=20_000, description="chords instead of a lead sheet")
    key: str | None = Field(None, max_length=40, description="of the progression; C major")
    bpm: float | None = Field(None, description="beats a minute, 30–300; 120")
    time_signature: str | None = Field(None, max_length=40, description="of the progression; 4/4")
    genre: str | None = Field(None, max_length=40, description="pop, rock, jazz, blues, classical or electronic")
    duration_seconds: float | None = Field(None, gt=0, le=999, description="length of the progression, repeated")
    stems: list[Literal["drums", "bass", "guitar", "keys", "lead"]] | None = Field(
        None, min_length=1, description="which players; all"
    )
    arrangement_job: str | None = Field(None, pattern=JOB_ID, description="id of a job whose other players stay")
    style: str | None = Field(None, max_length=200, description="in which it is played; the sheet's own")
    humanize: bool = Field(True, description="whether places and loudness stray a little, as hands do")
    temperature: float = Field(0.9, ge=0, le=10, description="0 the likeliest, more is wilder")
    seed: int = Field(0, ge=0, lt=2**31, description="same seed, same notes")


class AnalysisBody(BaseModel):
    """How a song is to be analysed; the song itself is uploaded beside it."""

    model_config = body_config({"beats": "musetune", "tempo_hint": 120})

    beats: Literal["musetune", "madmom", "beat_this"] = Field("musetune", description="who hears the beats")
    tempo_hint: float | None = Field(None, gt=0, description="about how many beats a minute; settles half or double")
