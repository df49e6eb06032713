"""Requests checked before they enter the queue, as far as that needs neither models nor the files that came along."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from musetune.client.bodies import (
    AnalysisBody,
    ArrangementBody,
    CoverBody,
    EditBody,
    ExtendBody,
    GenerationBody,
    LoopBody,
    PlanBody,
    RepaintBody,
    SheetBody,
    SoundBody,
    VaryBody,
)
from musetune.symbols import LeadSheet
from musetune.symbols.expression import Expression

if TYPE_CHECKING:
    from musetune.pipeline import MuseTunePipeline

DEFAULT_SECONDS, DEFAULT_STEPS, PLAIN_STEPS = 10.24, 20, 200
STEM_PLAYERS = 5  # that a request for stems generates one by one
WRITING_COST = 20.0  # of a plan or an arrangement, in seconds of audio × denoising steps
ANALYSIS_COST = 1.0
SETTINGS = ("key", "bpm", "time_signature", "genre")
MUSIC_ONLY = (  # without a sheet the stock call refuses them
    "music_guidance_scale",
    "stem_guidance_scale",
    "guidance_interval",
    "music_guidance_interval",
    "guidance_rescale",
    "window_seconds",
    "follow",
    "follow_seconds",
    "expression",
    "strength",
)


def resolve_music(body: GenerationBody | LoopBody | ArrangementBody, sheet: LeadSheet | None) -> LeadSheet | None:
    """The lead sheet that a request means; None where it has none.

    Args:
        body: The request.
        sheet: The sheet that it names, where it is at hand.

    Raises:
        ValueError: As the library says it.
    """
    from musetune.pipeline.request import resolve_lead_sheet

    settings = {name: getattr(body, name) for name in SETTINGS}
    seconds = getattr(body, "duration_seconds", None)
    if sheet is None and body.harmonic_progression is None:
        return None  # with duration_seconds the settings pin the plan of the prompt
    return resolve_lead_sheet(sheet, body.harmonic_progression, seconds, DEFAULT_SECONDS, settings)


def check_sheet(body: SheetBody, files: Collection[str]) -> LeadSheet | None:
    """The sheet in the request itself, None where it comes from elsewhere. Raises ValueError where two are given."""
    given = [name for name in ("lead_sheet", "lead_sheet_job") if getattr(body, name) is not None]
    given += ["a file lead_sheet"] * ("lead_sheet" in files)
    if len(given) > 1:
        raise ValueError(f"give one of {' and '.join(given)}, not both")
    if body.lead_sheet is None:
        return None
    sheet = LeadSheet.from_json(body.lead_sheet)
    known = {*sheet.to_json(), "style"}
    if unknown := sorted(set(body.lead_sheet) - known):
        raise ValueError(f"lead_sheet has no field {unknown[0][:40]!r}; its fields are {', '.join(sorted(known))}")
    return sheet


def check_sound(body: SoundBody, files: Collection[str]) -> None:
    """Check what all that makes sound takes."""
    from musetune.audio.loudness import check_loudness
    from musetune.pipeline.checks import check_scales, check_shares

    scales = ("guidance_scale", "music_guidance_scale", "stem_guidance_scale")
    check_scales(**{name: getattr(body, name) for name in scales})
    check_shares(strength=body.strength)
    check_loudness(getattr(body, "lufs", None))
    if body.style_strength is not None and "style_audio" not in files:
        raise ValueError("style_strength needs style_audio: a file, the clip whose sound is meant")
    for name, weight in body.adapters.items():
        if not 0 <= weight <= 2:
            raise ValueError(f"adapters: {name[:40]!r} has the weight {weight:g}, which is outside 0–2")


def check_length(seconds: float, most: float) -> None:
    """Raise ValueError for audio that is longer than the service makes."""
    if seconds > most:
        raise ValueError(f"duration_seconds={seconds:g} is more than the {most:g} s that this service makes at once")


def check_generation(body: GenerationBody, files: Collection[str], max_seconds: float) -> float:
    """Check a generation.

    Args:
        body: The request.
        files: Names of the files that come with it.
        max_seconds: The longest audio that the service makes.

    Returns:
        Its cost: seconds of audio × denoising steps × candidates.

    Raises:
        ValueError: As the library says it.
    """
    from musetune.pipeline.checks import check_intervals, check_positive, check_shares, reject_arguments
    from musetune.pipeline.request import NEEDS_MUSIC

    check_sound(body, files)
    check_shares(guidance_rescale=body.guidance_rescale)
    check_intervals(guidance_interval=body.guidance_interval, music_guidance_interval=body.music_guidance_interval)
    if body.duration_seconds is not None:
        check_positive("duration_seconds", body.duration_seconds)
    check_expression(body)
    has_notes = body.arrangement_job is not None or "arrangement" in files
    if body.arrange and has_notes:
        raise ValueError("arrange=true writes notes, and there are some already: leave one of them out")
    if body.stems and not (body.arrange or has_notes):
        raise ValueError("stems=True needs notes for the players: give arrange=true")
    if body.stems and body.num_waveforms_per_prompt != 1:
        raise ValueError("stems=True makes one waveform: leave out num_waveforms_per_prompt")
    own = check_sheet(body, files)
    if body.lead_sheet_job is not None or "lead_sheet" in files:
        if body.harmonic_progression is not None:
            raise ValueError("give either lead_sheet or harmonic_progression, not both")
        seconds, music = body.duration_seconds or DEFAULT_SECONDS, True
    else:
        sheet = resolve_music(body, own)
        music = sheet is not None
        if not music and (body.duration_seconds is None or has_notes):
            music_only = {name: getattr(body, name) for name in (*SETTINGS, *MUSIC_ONLY)}
            reject_arguments(music_only | {"arrange": body.arrange or None}, NEEDS_MUSIC)
            reject_arguments({"arrangement": has_notes or None}, NEEDS_MUSIC)
        seconds = sheet.duration_s if sheet is not None else body.duration_seconds or DEFAULT_SECONDS
    check_length(seconds, max_seconds)
    steps = steps_of(body, music or body.duration_seconds is not None)
    return seconds * steps * body.num_waveforms_per_prompt * (STEM_PLAYERS if body.stems else 1)


def check_expression(body: GenerationBody) -> None:
    """Raise ValueError for an expression that is none, or that stems and loops cannot have."""
    if body.expression is None:
        return
    said = Expression.from_json(body.expression)
    if body.stems:
        raise ValueError("stems=True plays one player after another, expression is of all together: leave one out")
    if body.loop and len({level for _, level in said.loudness_db}) > 1:
        raise ValueError("the loudness of a loop would jump at its seam: give expression one level, ((0, -20),)")


def steps_of(body: SoundBody, music: bool = True, pipe: MuseTunePipeline | None = None) -> int:
    """Denoising steps of a request.

    Args:
        body: The request.
        music: Whether it has chords, a lead sheet or notes.
        pipe: What makes it; where a LoRA of few steps counts in it, that one says how many are usual.
    """
    sampling = None if pipe is None else pipe.adapter_manager.sampling
    usual = DEFAULT_STEPS if sampling is None else sampling.steps
    return body.num_inference_steps or (usual if music else PLAIN_STEPS)


def check_edit(body: EditBody, files: Collection[str], max_seconds: float) -> float:
    """Check an edit as all edits are checked; its cost, the recording's length being unknown."""
    check_sound(body, files)
    check_sheet(body, files)
    if (body.source_job is not None) == ("audio" in files):
        raise ValueError("say what to edit: source_job, or a file audio, one of them")
    return DEFAULT_SECONDS * steps_of(body)


def check_repaint(body: RepaintBody, files: Collection[str], max_seconds: float) -> float:
    """Check stretches to make anew; see `check_edit`."""
    if (body.seconds is None) == (body.bars is None):
        raise ValueError("say what to make anew: seconds=[[4, 8]] or bars=[[3, 4]], one of them")
    return check_edit(body, files, max_seconds)


def check_extend(body: ExtendBody, files: Collection[str], max_seconds: float) -> float:
    """Check how a recording is to go on; see `check_edit`."""
    more = body.before_seconds + body.after_seconds
    if more == 0:
        raise ValueError("say how much to play on: before_seconds=4 or after_seconds=8, or both")
    check_length(more, max_seconds)
    has_sheet = body.lead_sheet is not None or body.lead_sheet_job is not None or "lead_sheet" in files
    if has_sheet and body.harmonic_progression is not None:
        raise ValueError(
            "give the lead sheet of the whole, or harmonic_progression, which is what comes after, not both"
        )
    if not has_sheet and (body.before_seconds or body.harmonic_progression is None):
        raise ValueError(
            "without a lead sheet of the whole only after_seconds works, and needs harmonic_progression: what is "
            "played there"
        )
    return check_edit(body, files, max_seconds)


def check_vary(body: VaryBody, files: Collection[str], max_seconds: float) -> float:
    """Check a variation; see `check_edit`."""
    return max(1.0, body.amount * check_edit(body, files, max_seconds))


def check_cover(body: CoverBody, files: Collection[str], max_seconds: float) -> float:
    """Check what of a recording is to be kept; see `check_edit`."""
    from musetune.pipeline.covering import check_keep
    from musetune.planning.planner.constraints_from_arguments import check_genre

    check_genre(body.genre)
    if body.keep is not None:
        check_keep(body.keep)
    return check_edit(body, files, max_seconds)


def check_loop(body: LoopBody, files: Collection[str], max_seconds: float) -> float:
    """Check loops; their cost as of `check_generation`."""
    from musetune.pipeline.loop_sheets import check_loop as check_whole_bars

    check_sound(body, files)
    own = check_sheet(body, files)
    elsewhere = body.lead_sheet_job is not None or "lead_sheet" in files
    if elsewhere and body.harmonic_progression is not None:
        raise ValueError("give either lead_sheet or harmonic_progression, not both")
    sheet = None if elsewhere else loop_sheet(body, own)
    if sheet is not None:
        check_whole_bars(sheet)
    seconds = DEFAULT_SECONDS if sheet is None else sheet.duration_s
    check_length(seconds * body.loops, max_seconds)
    return seconds * steps_of(body) * body.loops


def loop_sheet(body: LoopBody, sheet: LeadSheet | None) -> LeadSheet:
    """The sheet that a loop is made of: a progression once, as it is written. Raises ValueError where there is none."""
    from musetune.pipeline.checks import given_arguments, reject_arguments

    settings = {name: getattr(body, name) for name in SETTINGS}
    if sheet is not None:
        reject_arguments(settings, "is the lead sheet's own: leave it out")
        return sheet
    if body.harmonic_progression is None:
        raise ValueError("a loop needs music: give harmonic_progression or a lead sheet")
    return LeadSheet.parse(body.harmonic_progression, **given_arguments(**settings))


def check_plan(body: PlanBody, files: Collection[str], max_seconds: float) -> float:
    """Check what is pinned of a plan."""
    from musetune.pipeline.checks import reject_arguments
    from musetune.planning.planner.constraints_from_arguments import check_genre, form_of, read_meter
    from musetune.planning.planner.song_styles import check_styles
    from musetune.symbols import Key
    from musetune.symbols.beat_grid import check_bpm

    check_sheet(body, files)
    has_sheet = body.lead_sheet is not None or body.lead_sheet_job is not None or "lead_sheet" in files
    pins = ("key", "bpm", "time_signature", "genre", "chords", "form", "bars", "duration_seconds", "style")
    if not body.prompt.strip() and not has_sheet and all(getattr(body, name) is None for name in pins):
        raise ValueError("say what song in prompt, pin something such as chords, or give a lead sheet to go on from")
    if has_sheet:
        own = {name: getattr(body, name) for name in ("time_signature", "chords", "form")}
        reject_arguments(own, "is the lead sheet's own: edit it there, or leave the sheet out")
    if body.bars is not None and body.duration_seconds is not None:
        raise ValueError("bars and duration_seconds both say how long: give one of them")
    if body.bpm is not None:
        check_bpm(body.bpm)
    if body.key is not None:
        Key.parse(body.key)
    if body.form is not None:
        form_of(body.form)
    if body.style is not None:
        check_styles(body.style, None)
    read_meter(body.time_signature)
    check_genre(body.genre)
    return WRITING_COST


def check_arrangement(body: ArrangementBody, files: Collection[str], max_seconds: float) -> float:
    """Check what players' notes are to be written for."""
    from musetune.planning.planner.song_styles import check_styles

    own = check_sheet(body, files)
    if body.arrangement_job is not None and "arrangement" in files:
        raise ValueError("give arrangement_job or a file arrangement, not both")
    elsewhere = body.lead_sheet_job is not None or "lead_sheet" in files
    if elsewhere and body.harmonic_progression is not None:
        raise ValueError("give either lead_sheet or harmonic_progression, not both")
    if not elsewhere and resolve_music(body, own) is None:
        raise ValueError("an arrangement needs music: give a lead sheet or harmonic_progression")
    if body.style:
        check_styles(body.style, None)
    return WRITING_COST


def check_analysis(body: AnalysisBody, files: Collection[str], max_seconds: float) -> float:
    """Check that there is a song. Raises ValueError."""
    if "file" not in files:
        raise ValueError("file: the song is missing")
    return ANALYSIS_COST
