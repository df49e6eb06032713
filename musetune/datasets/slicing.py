"""One file of music as clips for training: decoded, analysed, moved to other keys, cut on downbeats."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musetune.analysis.bar_confidence import BarConfidence
from musetune.datasets.bar_weights import MIN_CONFIDENCE, SURE_SHARE, sure_share
from musetune.datasets.captions import caption as describe
from musetune.datasets.captions import surely_heard
from musetune.datasets.clips import clip_starts, cut, rms_db
from musetune.datasets.latent_dataset import Clip
from musetune.datasets.metadata import MetadataRow, MusicFindings, arrangement, findings
from musetune.datasets.music_files import MIDI
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.symbols.json_values import JsonObject

SAMPLE_RATE = 16_000
SILENCE_DB = -60.0  # RMS below this, re full scale, is silence
NOTHING = MetadataRow({}, "")


@dataclass(frozen=True)
class SliceJob:
    """One source file for a worker.

    Attributes:
        path: Of the file.
        file: Relative to the source, readable.
        row: What metadata says of it.
        clip_seconds: Length of a clip.
        transpose: Semitones of the further copies.
        licence: Where metadata has none.
        genre: Where metadata has none.
        caption: The prompt, where metadata has none.
        min_confidence: From which on a bar counts as surely heard, 0…1.
        expression: Whether loudness, density, syncopation, swing and complexity of each clip are measured.
    """

    path: Path
    file: str
    row: MetadataRow
    clip_seconds: float
    transpose: tuple[int, ...]
    licence: str | None
    genre: str | None = None
    caption: str | None = None
    min_confidence: float = MIN_CONFIDENCE
    expression: bool = False

    @property
    def metadata(self) -> JsonObject:
        """What is said of the file: by its own metadata, else of all files."""
        general = {"genre": self.genre, "text": self.caption, "licence": self.licence}
        return {name: value for name, value in general.items() if value is not None} | self.row.fields


@dataclass(frozen=True)
class SlicedFile:
    """Clips of one file with their waves (n, samples) float32 at 16 kHz, or the reason why there are none.

    `unsure`: how many more were left out, copies not counted, because too little of them is heard surely.
    """

    clips: list[Clip]
    waves: np.ndarray
    unsure: int = 0
    reason: str | None = None


def slice_or_reason(job: SliceJob) -> SlicedFile:
    """Decode, analyse, slice; what is wrong with the file becomes the reason of its quarantine."""
    try:
        clips, waves, unsure = slice_file(job)
        return SlicedFile(clips, np.stack(waves), unsure)
    except Exception as error:  # any decoder may raise anything: the reason is recorded, the other files go on
        reason = f"{type(error).__name__}: {error}".replace(str(job.path), job.file)  # wherever the folder lies
        return SlicedFile([], np.empty(0), reason=reason)


def slice_file(job: SliceJob) -> tuple[list[Clip], list[np.ndarray], int]:
    """The clips of one file at each transposition, their waves (samples,), and how many more, copies not counted, are
    heard too unsurely. Raises ValueError where there are none.
    """
    metadata = job.metadata
    if job.row.fault:
        raise ValueError(f"{job.row.location}: {job.row.fault}")
    digest = hashlib.sha256(job.path.read_bytes()).hexdigest()
    original, clips, waves = decode(job, 0), [], []
    try:
        found = findings(metadata, original, SAMPLE_RATE)
        players = arrangement(metadata, found.sheet)
    except Exception as error:
        if not job.row.location:
            raise
        raise ValueError(f"{job.row.location}: {error}") from error
    sheet = found.sheet
    text = metadata.get("text") or describe(sheet, job.file, found.genre, surely_heard(original, SAMPLE_RATE))
    provenance = provenance_of(job) | {"findings": summary_of(found, len(original) / SAMPLE_RATE)}
    unsure: set[float] = set()
    for semitones in (0, *job.transpose):
        wave = original if semitones == 0 else decode(job, semitones)
        for start in clip_starts(sheet.downbeats_s, len(wave) / SAMPLE_RATE, job.clip_seconds):
            clip_wave = cut(wave, SAMPLE_RATE, start, job.clip_seconds)
            if rms_db(clip_wave) < SILENCE_DB:
                continue
            bars = bars_within(found.bars, start, job.clip_seconds)
            if sure_share(bars, job.min_confidence) < SURE_SHARE:
                unsure.add(start)
                continue
            moved = sheet.crop(start, job.clip_seconds).transpose(semitones)
            notes = players and players.crop(start, job.clip_seconds, moved.grid).transpose(semitones)
            clips.append(
                Clip(
                    id=f"{job.file}@{start:.3f}{f'{semitones:+d}' if semitones else ''}",
                    file=job.file,
                    sha256=digest,
                    offset_s=start,
                    duration_s=job.clip_seconds,
                    text=text,
                    lead_sheet=moved.to_json(),
                    arrangement=None if notes is None else notes.to_json(),
                    genre=found.genre,
                    transpose=semitones,
                    licence=metadata.get("licence"),
                    provenance=provenance,
                    bars=bars,
                    expression=expression_of(clip_wave, moved, notes) if job.expression else None,
                )
            )
            waves.append(clip_wave)
    if unsure and not clips:
        raise ValueError(
            f"heard too unsurely: none of its {len(unsure)} clips has half of its time in bars of a confidence of "
            f"{job.min_confidence:g}; say in metadata what is played, or give a lower --min-confidence"
        )
    return clips, waves, len(unsure)


def expression_of(wave: np.ndarray, sheet: LeadSheet, notes: Arrangement | None) -> JsonObject:
    """How a clip (samples,) at 16 kHz is played, as `Clip.expression` has it."""
    from musetune.analysis.expression import hear_expression

    return hear_expression(wave, SAMPLE_RATE, sheet, notes).to_json()


def decode(job: SliceJob, semitones: int) -> np.ndarray:
    """Mono samples (n,) of a file at 16 kHz, moved by some semitones. Raises ValueError where there is nothing to
    learn from.
    """
    from musetune.audio import load_audio, synthesize

    if job.path.suffix.lower() in MIDI:
        import pretty_midi

        from musetune.formats.smf import read_midi

        midi = pretty_midi.PrettyMIDI(mido_object=read_midi(job.path))  # which mends what its own reader refuses
        for note in (note for i in midi.instruments if not i.is_drum for note in i.notes):
            note.pitch += semitones
        wave = synthesize(midi, SAMPLE_RATE)
    else:
        wave, _ = load_audio(job.path, SAMPLE_RATE, mono=True)
        if semitones:
            import librosa

            wave = librosa.effects.pitch_shift(wave, sr=SAMPLE_RATE, n_steps=semitones)
    wave = np.asarray(wave, np.float32).squeeze()
    if not np.isfinite(wave).all():
        raise ValueError("has samples that are not finite")
    if len(wave) < (job.clip_seconds - 0.05) * SAMPLE_RATE:
        raise ValueError(f"too short: {len(wave) / SAMPLE_RATE:.2f} s, a clip takes {job.clip_seconds} s")
    if rms_db(wave) < SILENCE_DB:
        raise ValueError(f"silent: {rms_db(wave):.0f} dB RMS is below {SILENCE_DB:.0f} dB")
    return wave


def provenance_of(job: SliceJob) -> JsonObject:
    """Where a file's clips come from: its name, and what metadata said of it."""
    return {"source": Path(job.file).name, "metadata": sorted(job.row.fields), "metadata_digest": job.row.digest}


def summary_of(found: MusicFindings, seconds: float) -> JsonObject:
    """What a person wants to check before training: key, bpm, meter, the genre's guess with its confidence, length."""
    sheet = found.sheet
    return {
        "key": str(sheet.key),
        "bpm": round(sheet.bpm, 1),
        "time_signature": str(sheet.meter),
        "genre_guess": found.guess,
        "genre_confidence": found.confidence,
        "duration_s": round(seconds, 2),
    }


def bars_within(bars: Sequence[BarConfidence], start_s: float, seconds: float) -> list[list[float]]:
    """(start_s, end_s, confidence) of each bar in a clip, from the clip's start; cut at its ends."""
    cuts = [(max(bar.start_s - start_s, 0.0), min(bar.end_s - start_s, seconds), bar.confidence) for bar in bars]
    return [[round(low, 4), round(high, 4), round(sure, 4)] for low, high, sure in cuts if high - low > 1e-3]
