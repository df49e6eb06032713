"""Editing a piece: a stretch anew, more before or after, the same once more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from musetune.audio import mel_frontend
from musetune.formats.chart_text import chart_text
from musetune.pipeline.checks import check_shares, reject_arguments
from musetune.pipeline.continuing import continue_sheet, precede_sheet, put_chords
from musetune.pipeline.decoding import frames_per_row, to_frames, to_waves
from musetune.pipeline.edit_options import EditOptions
from musetune.pipeline.edit_request import WORDS as WORDS
from musetune.pipeline.edit_request import edit_request, generate_latents
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.pieces import AudioInput, fit_sound, open_piece
from musetune.pipeline.sampler import SourceLatents
from musetune.pipeline.splicing import REACH_S, splice
from musetune.pipeline.stretches import Stretch, extension_of, sections_of, stretches_of
from musetune.symbols import Arrangement, Chord, LeadSheet
from musetune.symbols.remarks import remark

if TYPE_CHECKING:
    from musetune.evaluation import Report

COARSE = 0.1  # by how much a variation's amount may be rounded to whole steps unsaid
LOUDER = 2.0  # a new stretch is matched to the loudness around it by no more than this factor


def repaint(
    pipe: Any,
    audio: Any,
    lead_sheet: LeadSheet | None,
    prompt: str,
    seconds: Any,
    bars: Any,
    progression: str | Sequence[str | Chord] | None,
    sampling_rate: int | None,
    options: EditOptions,
) -> MuseTuneOutput:
    """Make stretches anew; see ``MuseTunePipeline.repaint``."""
    piece = open_piece(audio, sampling_rate)
    sheet, notes = _music_of(piece, lead_sheet, options, stays=progression is None)
    stretches = stretches_of(sheet, piece.duration_s, seconds, bars)
    if progression is not None:
        for start, end in stretches:
            sheet = put_chords(sheet, start, end, progression)
    return _make_anew(pipe, piece, sheet, notes, prompt, stretches, options)


def extend(
    pipe: Any,
    audio: Any,
    lead_sheet: LeadSheet | None,
    prompt: str,
    before_s: float,
    after_s: float,
    progression: str | Sequence[str | Chord] | None,
    sampling_rate: int | None,
    options: EditOptions,
) -> MuseTuneOutput:
    """Play on at either end; see ``MuseTunePipeline.extend``."""
    for name, value in (("before_seconds", before_s), ("after_seconds", after_s)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}={value} is below 0 or not finite")
    if before_s == after_s == 0:
        raise ValueError("say how much to play on: before_seconds=4 or after_seconds=8, or both")
    if lead_sheet is not None:
        reject_arguments({"harmonic_progression": progression}, "is in the lead sheet of the whole: leave one out")
    piece = open_piece(audio, sampling_rate)
    whole_s = before_s + piece.duration_s + after_s
    if lead_sheet is None:
        own, _ = _music_of(piece, None, options, stays=False)
        chords = chart_text(own) if progression is None else progression
        lead_sheet = continue_sheet(own, piece.duration_s, chords, after_s) if after_s else own
        lead_sheet = precede_sheet(lead_sheet, chords, before_s) if before_s else lead_sheet
    if lead_sheet.duration_s < whole_s - 60 / lead_sheet.bpm:
        raise ValueError(
            f"the lead sheet lasts {lead_sheet.duration_s:.2f} s, the whole {whole_s:.2f} s: give the sheet of the "
            "piece with what comes before and after it"
        )
    rate = piece.rate
    around = extension_of(piece.wave.shape[-1], rate, before_s, after_s, pipe.row_s)
    spare = around.spare
    pads = [(0, 0)] * (piece.wave.ndim - 1) + [(spare + around.before, around.after)]
    latents = piece.latents
    if latents is not None:
        rows = math.ceil(around.duration_s / pipe.row_s - 1e-6)
        front = round((spare + around.before) / rate / pipe.row_s)
        kept = latents[:, :, : piece.wave.shape[-1] * pipe._rate // rate // _row_samples(pipe)]
        latents = torch.nn.functional.pad(kept, (0, 0, front, max(0, rows - front - kept.shape[2])))
    sheet, notes = lead_sheet, options.get("arrangement")
    if spare:
        sheet = sheet.crop(-spare / rate, sheet.duration_s + spare / rate)
        notes = None if notes is None else notes.shift(spare / rate)
    wider = replace(piece, wave=np.pad(piece.wave, pads, mode="symmetric"), latents=latents)
    made = _make_anew(pipe, wider, sheet, notes, prompt, around.stretches, options)
    return replace(
        made,
        audios=made.audios[..., spare:],
        lead_sheet=lead_sheet,
        lead_sheets=(lead_sheet,),
        arrangement=options.get("arrangement"),
        latents=None if spare else made.latents,
    )


def vary(
    pipe: Any,
    audio: Any,
    lead_sheet: LeadSheet | None,
    prompt: str,
    amount: float,
    sampling_rate: int | None,
    options: EditOptions,
) -> MuseTuneOutput:
    """Take a piece again; see ``MuseTunePipeline.vary``."""
    check_shares(amount=amount)
    piece = open_piece(audio, sampling_rate)
    if lead_sheet is not None:
        check_covers(lead_sheet, piece.duration_s)
    sheet, notes = _music_of(piece, lead_sheet, options, stays=True)
    seconds = piece.duration_s
    rows = pipe._rows(seconds)
    known = _encode(pipe, piece, 0, rows)
    request = edit_request(pipe, sheet.crop(0.0, seconds), notes, prompt, seconds, options)
    source = SourceLatents(known, first_step=first_step_of(amount, request.steps))
    latents = generate_latents(pipe, request, prompt, options, source)
    with pipe.adapter_manager.playing(request.strength, music=True):
        audios = pipe._decode(latents, round(seconds * pipe._rate))
    pipe.maybe_free_model_hooks()
    reports = _reports(audios[0], pipe._rate, sheet, [(0.0, seconds)], options)
    take = fit_piece(pipe, audios[0], piece)
    return MuseTuneOutput(take[None], piece.rate, sheet, reports, notes, None, (sheet,), latents)


def first_step_of(amount: float, steps: int) -> int:
    """Return from which of ``steps`` on a piece is taken again: of any amount above 0 at least the last one.

    Where an amount is no whole number of steps, and few steps make that matter, it is said which amount is played.

    Example:
        >>> first_step_of(0.4, 20), first_step_of(0.1, 4)
        (12, 3)
    """
    first = round((1 - amount) * steps)
    if amount > 0 and first == steps:
        first = steps - 1
    played = (steps - first) / steps
    if abs(played - amount) > COARSE:
        remark(
            f"amount={amount:g}: {steps} steps play it as {played:g}, a whole number of them; give multiples of "
            f"{1 / steps:.3g}, or more steps"
        )
    return first


def fit_piece(pipe: Any, wave: np.ndarray, piece: AudioInput) -> np.ndarray:
    """Bring a new take (samples,) of a whole piece to its rate, channels and length; scaled where it would clip."""
    channels = None if piece.wave.ndim == 1 else len(piece.wave)
    sound = fit_sound(pipe, wave, piece.rate, channels)[..., : piece.wave.shape[-1]]
    sound = np.pad(sound, [(0, 0)] * (sound.ndim - 1) + [(0, piece.wave.shape[-1] - sound.shape[-1])])
    return np.asarray(sound / max(1.0, float(np.abs(sound).max(initial=0.0)) / 0.99), np.float32)


# -- what all kinds share ----------------------------------------------------------------------------------------------


def check_covers(sheet: LeadSheet, end_s: float, what: str = "audio") -> None:
    """Raise ValueError where a sheet ends more than a beat before ``end_s``: what comes after it would follow nothing.

    Example:
        >>> check_covers(LeadSheet.parse("| C | F |", bpm=120), 4.4)
    """
    if sheet.duration_s < end_s - 60 / sheet.bpm:
        raise ValueError(
            f"the lead sheet ends at {sheet.duration_s:.2f} s, the {what} at {end_s:.2f} s: give the sheet of the "
            "whole piece"
        )


def _music_of(
    piece: AudioInput, lead_sheet: LeadSheet | None, options: EditOptions, *, stays: bool
) -> tuple[LeadSheet, Arrangement | None]:
    """Return sheet and notes: the given ones, else the result's own, else what analysis finds.

    A result's notes are left out where its chords do not stay.
    """
    notes = options.get("arrangement")
    if lead_sheet is not None:
        return lead_sheet, notes
    if piece.lead_sheet is not None:
        return piece.lead_sheet, notes if notes is not None or not stays else piece.arrangement
    from musetune.analysis import analyze

    return analyze(piece.wave, piece.rate).lead_sheet, notes


def _row_samples(pipe: Any) -> int:
    """Samples of a latent row at the pipeline's rate."""
    return round(pipe.row_s * pipe._rate)


def _mel(pipe: Any, piece: AudioInput, first: int, rows: int) -> Tensor:
    """Return the spectrogram (1, 1, frames, bins) of some rows of a recording; silence after its end."""
    size = _row_samples(pipe)
    wave = piece.mono(pipe._rate)[first * size : (first + rows) * size]
    wave = np.pad(wave, (0, rows * size - len(wave)))
    frontend = mel_frontend(pipe).to(pipe._execution_device)
    mel = frontend(torch.from_numpy(wave)[None].to(pipe._execution_device))
    return mel[:, :, : rows * pipe.vae_scale_factor].to(pipe.vae.dtype)


def _encode(pipe: Any, piece: AudioInput, first: int, rows: int) -> Tensor:
    """Return latents (1, channels, rows, cols) of some rows: the result's own, else the base's encoder's."""
    if piece.latents is not None:
        known = piece.latents[:, :, first : first + rows].to(pipe._execution_device, pipe.unet.dtype)
        return torch.nn.functional.pad(known, (0, 0, 0, rows - known.shape[2]))
    latents = pipe.vae.encode(_mel(pipe, piece, first, rows)).latent_dist.mode() * pipe.vae.config.scaling_factor
    return latents.to(pipe.unet.dtype)


def _make_anew(
    pipe: Any,
    piece: AudioInput,
    sheet: LeadSheet,
    notes: Arrangement | None,
    prompt: str,
    stretches: list[Stretch],
    options: EditOptions,
) -> MuseTuneOutput:
    """Make ``stretches`` anew, each with what is around it, and put them into the waveform."""
    check_covers(sheet, stretches[-1][1], "stretch")
    window_s, row_s = pipe.unet.config.sample_size * pipe.row_s, pipe.row_s
    wave, latents = piece.wave, None if piece.latents is None else piece.latents.clone()
    for section in sections_of(stretches, piece.duration_s, row_s, window_s, pipe._row_multiple):
        first, rows, inside = section.first, section.rows, list(section.stretches)
        origin_s = first * row_s
        known = _encode(pipe, piece, first, rows)
        kept = torch.ones(rows, dtype=torch.bool, device=known.device)
        for a, b in inside:
            kept[math.floor(a / row_s + 1e-6) : math.ceil(b / row_s - 1e-6)] = False
        length = min(rows * row_s, sheet.duration_s - origin_s)
        cut = sheet.crop(origin_s, length) if first or sheet.duration_s > length else sheet
        own_notes = None if notes is None else notes.shift(-origin_s)
        request = edit_request(pipe, cut, own_notes, prompt, rows * row_s, options)
        made = generate_latents(pipe, request, prompt, options, SourceLatents(known, kept))
        new = _vocode(pipe, piece, latents, known, made, first, inside)
        wave = _put(pipe, wave, new, piece.rate, first, [(a + origin_s, b + origin_s) for a, b in inside])
        if latents is not None:
            span = min(rows, latents.shape[2] - first)
            latents[:, :, first : first + span] = made[:, :, :span].to(latents)
    pipe.maybe_free_model_hooks()
    reports = _reports(wave, piece.rate, sheet, stretches, options)
    return MuseTuneOutput(wave[None], piece.rate, sheet, reports, notes, None, (sheet,), latents)


def _vocode(
    pipe: Any, piece: AudioInput, latents: Tensor | None, known: Tensor, made: Tensor, first: int, inside: list[Stretch]
) -> np.ndarray:
    """Return audio (samples,) from row ``first`` on: new frames in the stretches, the piece's own around them, of a
    recording its spectrogram, unless a tiny decoder makes the sound, which reads latents alone.

    The vocoder's phases run from its first frame on. So a result is vocoded from its beginning, as it was before: what
    is kept comes out as it was, and new meets old in phase.
    """
    frame_s = pipe.row_s / frames_per_row(pipe)
    from_recording = latents is None and pipe.tiny_decoder is None
    mel = _mel(pipe, piece, first, known.shape[2]) if from_recording else to_frames(pipe, known)
    new = to_frames(pipe, made)
    for a, b in inside:
        span = slice(round(a / frame_s), round(b / frame_s))
        mel[:, :, span] = new[:, :, span]
    if latents is not None and first:
        before = latents[:, :, :first].to(known)
        mel = torch.cat([to_frames(pipe, before), mel], dim=2)
    audio = to_waves(pipe, mel)[0].float().cpu().numpy()
    return audio[first * _row_samples(pipe) :] if latents is not None else audio


def _put(pipe: Any, wave: np.ndarray, new: np.ndarray, rate: int, first: int, stretches: list[Stretch]) -> np.ndarray:
    """Return ``wave`` (…, samples) with the stretches of ``new`` (samples,), which begins at row ``first``.

    Where the pipeline has an upsampler a stereo piece gets its stretches in stereo.
    """
    new = fit_sound(pipe, new, rate, None if wave.ndim == 1 else len(wave))
    begin = round(first * pipe.row_s * rate)
    count = min(new.shape[-1], wave.shape[-1] - begin)
    old, new = wave[..., begin : begin + count], new[..., :count]
    spans = [(round(a * rate) - begin, min(round(b * rate) - begin, count)) for a, b in stretches]
    around = np.ones(count, dtype=bool)
    for start, end in spans:
        around[max(0, start - rate // 10) : end + rate // 10] = False
    new = new * _loudness_ratio(old[..., around], new[..., around])
    full = new.astype(wave.dtype)
    for start, end in spans:
        peak = float(np.abs(full[..., max(0, start - round(REACH_S * rate)) : end]).max(initial=0.0))
        old = splice(old, full / max(1.0, peak / 0.99), max(0, start), end, rate)
    out = wave.copy()
    out[..., begin : begin + count] = old
    return out


def _loudness_ratio(old: np.ndarray, new: np.ndarray) -> float:
    """Return how much louder the piece is than its own sound through the codec, within a factor of LOUDER."""
    if new.shape[-1] == 0:
        return 1.0
    was, now = (float(np.sqrt(np.square(x, dtype=float).mean())) for x in (old, new))
    return float(np.clip(was / now, 1 / LOUDER, LOUDER)) if was > 0 and now > 0 else 1.0


def _reports(
    wave: np.ndarray, rate: int, sheet: LeadSheet, stretches: list[Stretch], options: EditOptions
) -> list[Report] | None:
    """Return a report of each stretch, where asked."""
    if not options.get("return_report"):
        return None
    from musetune.evaluation import report

    mono = wave if wave.ndim == 1 else wave.mean(axis=0)
    return [
        report(mono[round(a * rate) : round(b * rate)], rate, sheet.crop(a, min(b, sheet.duration_s) - a))
        for a, b in stretches
    ]
