"""A cover: what a piece plays is kept, its sound is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.pipeline.edit_options import EditOptions
from musetune.pipeline.edit_request import edit_request, generate_latents
from musetune.pipeline.editing import check_covers, fit_piece
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.pieces import AudioInput, open_piece
from musetune.symbols import GENRES, Arrangement, LeadSheet
from musetune.symbols.arrangement import Stem, StemNote
from musetune.symbols.names import suggest

if TYPE_CHECKING:
    from musetune.evaluation.likeness import LikenessReport

KEPT = ("chords", "beats", "melody", "loudness")
STREAMS = {"chords": ("chords", "key", "function"), "beats": ("beats",), "melody": ("lead",)}  # of the adapter
FLUTE = 73  # General MIDI; the model reads of a lead its notes alone


def cover(
    pipe: Any,
    audio: Any,
    prompt: str,
    genre: str | None,
    keep: Sequence[str],
    lead_sheet: LeadSheet | None,
    sampling_rate: int | None,
    options: EditOptions,
) -> MuseTuneOutput:
    """Play a piece anew; see ``MuseTunePipeline.cover``."""
    names = check_keep(keep)
    if genre is not None and genre not in GENRES:
        raise ValueError(f"genre={genre!r} is not one of {', '.join(GENRES)}{suggest(genre, GENRES)}")
    if "melody" in names and (pipe.adapter is None or pipe.adapter.stems is None):
        raise ValueError("this adapter reads no melody: load one that does, such as 'theory', or leave it out of keep")
    piece = open_piece(audio, sampling_rate)
    if lead_sheet is not None:
        check_covers(lead_sheet, piece.duration_s)
    heard = lead_sheet or piece.lead_sheet or analyze_piece(piece)
    sheet = heard if genre is None else replace(heard, genre=genre)
    melody, notes = None, options.get("arrangement")
    if "melody" in names and notes is None:
        notes, melody = hear_lead(piece, sheet)
    follow = [stream for name in names for stream in STREAMS.get(name, ())]
    follow = [stream for stream in follow if stream != "lead" or notes is not None]
    follow += ["genre"] if sheet.genre is not None else []
    seconds = piece.duration_s
    words = prompt or (f"{sheet.genre} music" if sheet.genre else "")
    request = edit_request(pipe, sheet.crop(0.0, seconds), notes, words, seconds, options, follow=follow)
    latents = generate_latents(pipe, request, words, options)
    with pipe.adapter_manager.playing(request.strength, music=True):
        wave = pipe._decode(latents, round(seconds * pipe._rate))[0]
    pipe.maybe_free_model_hooks()
    if "loudness" in names:
        from musetune.audio.dynamics import follow_loudness, loudness_curve

        wave = follow_loudness(wave, pipe._rate, loudness_curve(piece.wave, piece.rate))
    reports = None
    if options.get("return_report", True):
        reports = [_tell_likeness(piece, wave, pipe._rate, sheet, names, melody)]
    take = fit_piece(pipe, wave, piece)
    return MuseTuneOutput(take[None], piece.rate, sheet, reports, notes, None, (sheet,), latents)


def check_keep(keep: Sequence[str]) -> tuple[str, ...]:
    """Return what is kept, in the order of ``KEPT``.

    Raises:
        ValueError: for another name, and where nothing is kept that a model can be told.

    Example:
        >>> check_keep(["beats", "chords"])
        ('chords', 'beats')
    """
    names = (keep,) if isinstance(keep, str) else tuple(keep)
    for name in names:
        if name not in KEPT:
            raise ValueError(f"keep={name!r} is not one of {', '.join(KEPT)}{suggest(str(name), KEPT)}")
    if not set(names) & set(STREAMS):
        raise ValueError(f"keep={list(names)} keeps nothing of what is played: name some of {', '.join(STREAMS)}")
    return tuple(name for name in KEPT if name in names)


def analyze_piece(piece: AudioInput) -> LeadSheet:
    """Return the lead sheet that is heard in a recording, with the genre where one is heard that adapters know."""
    from musetune.analysis import analyze

    heard = analyze(piece.wave, piece.rate)
    return replace(heard.lead_sheet, genre=heard.genre if heard.genre in GENRES else None)


def hear_lead(piece: AudioInput, sheet: LeadSheet) -> tuple[Arrangement | None, np.ndarray]:
    """Return the melody as notes of a lead on the sheet's beats, and as heard, (n, 3) seconds and MIDI pitch.

    A result that has a lead keeps its own; where no melody is heard there is no arrangement.
    """
    from musetune.analysis.listening.melody import hear_melody

    own = None if piece.arrangement is None else piece.arrangement.stems.get("lead")
    heard = hear_melody(piece.wave, piece.rate)
    if own is not None and own.notes and piece.arrangement is not None:
        return Arrangement(piece.arrangement.grid, {"lead": own}), heard
    if not len(heard):
        return None, heard
    starts, ends = (np.asarray(sheet.grid.beat_at(heard[:, column])) for column in (0, 1))
    notes = [
        StemNote(float(start), float(end - start), int(pitch))
        for start, end, pitch in zip(starts, ends, heard[:, 2], strict=True)
    ]
    return Arrangement(sheet.grid, {"lead": Stem(FLUTE, tuple(notes), source="given")}), heard


def _tell_likeness(
    piece: AudioInput, wave: np.ndarray, rate: int, sheet: LeadSheet, names: tuple[str, ...], melody: np.ndarray | None
) -> LikenessReport:
    from musetune.evaluation.likeness import likeness

    original = piece.mono(rate)
    count = min(len(original), len(wave))
    return likeness(original[:count], wave[:count], rate, sheet, names, melody)
