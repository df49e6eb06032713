"""From a folder of music to a data set of cached latents: decoded, analysed, cut on downbeats, encoded.

A file that cannot be used goes to OUT/quarantine.jsonl with the reason, and the others go on. What a run was begun
with is kept in OUT/prepare.json, and what metadata said of a file beside its clips, so that a run that goes on
otherwise can say so.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.analysis.bar_confidence import BarConfidence
from musetune.datasets.bar_weights import MIN_CONFIDENCE, SURE_SHARE, check_confidence, sure_share
from musetune.datasets.captions import caption as describe
from musetune.datasets.captions import surely_heard
from musetune.datasets.clips import clip_starts, cut, rms_db
from musetune.datasets.engines import Engine, check_engine, map_items
from musetune.datasets.fingerprint import fingerprint
from musetune.datasets.latent_dataset import Clip, DatasetInfo, DatasetWriter, LatentDataset, TextEmbedding
from musetune.datasets.metadata import MetadataRow, MusicFindings, arrangement, findings, genre_fault, scan_metadata
from musetune.datasets.tokens import load_tokens
from musetune.datasets.versions import library_versions
from musetune.formats.json_object import read_json_object
from musetune.processes import CrashSafeWorker, crash_safe_map
from musetune.symbols.json_values import JsonObject

AUDIO = {".mp3", ".wav", ".flac", ".ogg"}
MIDI = {".mid", ".midi"}
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


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    base: str = "nano",
    clip_seconds: float = 10.24,
    transpose: Sequence[int] = (-2, 3),
    licence: str | None = None,
    genre: str | None = None,
    caption: str | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    workers: int = 2,
    shard_size: int = 256,
    frames_per_row: int = 4,
    device: str | None = None,
    engine: Engine = "local",
    address: str | None = None,
) -> Path:
    """Make a data set of cached latents from a folder of music, or go on with one.

    Args:
        source: Holds MP3, WAV, FLAC, OGG or MIDI files in any depth, and perhaps metadata.jsonl or metadata.csv.
        out: The data set's folder.
        base: Whose latents to make: `nano`, a folder or a Hub id.
        clip_seconds: Length of a clip; a whole number of the base's latent rows.
        transpose: Semitones by which further copies of every file are moved; empty: none.
        licence: Of the music, where metadata does not say.
        genre: Of the files, where metadata does not say: one of musetune's genres or another word; None: as analysis
            hears it, where it is sure.
        caption: The prompt of the files, where metadata does not say; None: words made from what is known of each.
        min_confidence: From which on a bar counts as surely heard, 0…1; a clip with less than half of its time in such
            bars is left out, and recipes/finetune.py lets the unsure bars of the others count less. 0: trust all.
        workers: Processes that decode and analyse; 0: this one.
        shard_size: Clips a file of latents; a kill costs as many.
        frames_per_row: Of the adapter to train: for the cache of its tokens.
        device: Such as cpu or cuda:1; None: cuda where there is one.
        engine: Who decodes and analyses: "local" for processes of this machine, "ray" for actors of a cluster, on which
            every machine sees `source` under the same path. The clips are the same, their order may differ.
        address: Of Ray's cluster, such as "auto"; None: $RAY_ADDRESS, else one that is started here.

    Returns:
        The folder `out`.

    Raises:
        ValueError: `source` is no folder or has no music in it, `genre` is misspelt, or `out` was made with another
            base or clip length, or `min_confidence` is outside 0…1.
    """
    if genre is not None and (fault := genre_fault(genre)):
        raise ValueError(fault)
    check_confidence(min_confidence)
    check_engine(engine, max(1, workers))
    source, out = Path(source), Path(out)
    if not source.is_dir():
        raise ValueError(f"{source} is no folder: give one with {', '.join(sorted(AUDIO | MIDI))} in it")
    files, remarks = find_music(source)
    if not files:
        raise ValueError(" · ".join([f"{source} holds no {', '.join(sorted(AUDIO | MIDI))}", *remarks]))
    rows, faults = scan_metadata(source)
    if absent := sorted(rows.keys() - files.keys()):
        remarks.append(f"metadata tells of files that {source} does not hold: {', '.join(absent)}")
    for remark in [*remarks, *faults]:
        print(remark, file=sys.stderr)
    encoder = LatentEncoder(base, clip_seconds, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with DatasetWriter(out, encoder.info, shard_size) as writer:
        settings: JsonObject = {"transpose": list(transpose), "licence": licence, "genre": genre, "caption": caption}
        settings["min-confidence"] = min_confidence
        for remark in changes(out, settings, writer.provenance, rows):
            print(remark, file=sys.stderr)
        jobs = [
            SliceJob(
                path,
                name,
                rows.get(name, NOTHING),
                clip_seconds,
                tuple(transpose),
                licence,
                genre,
                caption,
                min_confidence,
            )
            for name, path in files.items()
            if name not in writer.done
        ]
        unsure = 0
        results = slice_files(jobs, workers, engine, address)
        for job, result in tqdm(results, total=len(files), initial=len(files) - len(jobs), unit="file"):
            if result is None or result.reason is not None:
                reason = result.reason if result else "killed the process that read it"
                writer.quarantine(job.file, reason or "", provenance_of(job))
                continue
            unsure += result.unsure
            texts = {text: encoder.text(text) for text in {"", *(c.text for c in result.clips)}}
            writer.add(result.clips, encoder.latents(result.waves), texts)
    if (out / "clips.jsonl").exists():
        dataset = LatentDataset(out)
        load_tokens(dataset, frames_per_row)
        print(f"{len(dataset)} clips of {encoder.info.rows * encoder.info.row_s:.2f} s in {out}")
    if unsure:
        print(f"{unsure} clips left out: less than half of each is heard with a confidence of {min_confidence:g}")
    if (out / "quarantine.jsonl").exists():
        count = (out / "quarantine.jsonl").read_bytes().count(b"\n")
        print(f"{count} files could not be used: see {out / 'quarantine.jsonl'}", file=sys.stderr)
    return out


def find_music(source: Path) -> tuple[dict[str, Path], list[str]]:
    """The music in a folder, by readable path relative to it, in order; and remarks on what was left out.

    A name that is not UTF-8 is written with escapes, as `caf\\xe9.wav`.
    """
    files: dict[str, Path] = {}
    remarks: list[str] = []
    apple: list[str] = []

    def unreadable(error: OSError) -> None:
        remarks.append(f"left out the folder {readable(Path(error.filename))}: {error.strerror}")

    for folder, folders, names in os.walk(source, onerror=unreadable):
        folders.sort()
        for path in (Path(folder, name) for name in names):
            name = readable(path.relative_to(source))
            if path.suffix.lower() not in AUDIO | MIDI:
                continue
            if path.name.startswith("._"):
                apple.append(name)
            elif not path.is_file():
                remarks.append(f"left out {name}: {_kind(path)}, not a file")
            else:
                files[name] = path
    if apple:
        remarks.append(f"left out {len(apple)} files that macOS writes beside the real ones, such as {min(apple)}")
    return {name: files[name] for name in sorted(files)}, sorted(remarks)


def readable(path: Path) -> str:
    """The path with forward slashes, in characters that UTF-8 has."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"a link to nothing ({error.strerror})" if path.is_symlink() else str(error.strerror)
    kinds = {stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    return next((kind for test, kind in kinds.items() if test(mode)), "something else")


def changes(
    out: Path, settings: JsonObject, provenance: dict[str, JsonObject], rows: dict[str, MetadataRow]
) -> list[str]:
    """What is otherwise than when a data set was begun, said in sentences; a new one's settings are written down.

    Args:
        out: The data set's folder.
        settings: Options that shape the clips, by name.
        provenance: Of the files that are in it already, by file.
        rows: What metadata says now, by file.
    """
    path, lines = out / "prepare.json", []
    try:
        begun = read_json_object(path) if path.exists() else None
    except ValueError as error:  # a kill or a full disk left half of it
        lines.append(f"{error}; it is written anew, and the options of the run before are not known")
        begun = None
    if begun is None:
        path.write_text(json.dumps(settings), encoding="utf-8")
    for name, now in settings.items():
        if begun is not None and begun.get(name) != now:
            lines.append(
                f"{out} was begun with --{name} {begun.get(name)}, not {now}: the "
                f"{len(provenance)} files that are done stay as they are; write to another folder for a data set that "
                "is alike throughout"
            )
    other = sorted(
        file
        for file, before in provenance.items()
        if "metadata_digest" in before and before["metadata_digest"] != rows.get(file, NOTHING).digest
    )
    if other:
        some = ", ".join(other[:5]) + (f" and {len(other) - 5} more" if len(other) > 5 else "")
        lines.append(
            f"metadata has changed since {some} went into {out}: they stay as they are; write to another "
            "folder, or, for files that were set aside, delete quarantine.jsonl"
        )
    return lines


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


def slice_files(
    jobs: list[SliceJob], workers: int, engine: Engine, address: str | None
) -> Iterator[tuple[SliceJob, SlicedFile | None]]:
    """(job, its clips; None where it killed the process that read it) as they come."""
    if engine == "local":
        yield from crash_safe_map(slice_or_reason, jobs, workers)
        return
    make = partial(CrashSafeWorker[SliceJob, SlicedFile], slice_or_reason)
    for index, result in map_items(make, jobs, engine, max(1, workers), address):
        yield jobs[index], result


def slice_or_reason(job: SliceJob) -> SlicedFile:
    """Decode, analyse, slice; what is wrong with the file becomes the reason of its quarantine."""
    try:
        clips, waves, unsure = slice_file(job)
        return SlicedFile(clips, np.stack(waves), unsure)
    except Exception as error:  # any decoder may raise anything: the reason is recorded, the other files go on
        return SlicedFile([], np.empty(0), reason=f"{type(error).__name__}: {error}")


def bars_within(bars: Sequence[BarConfidence], start_s: float, seconds: float) -> list[list[float]]:
    """(start_s, end_s, confidence) of each bar in a clip, from the clip's start; cut at its ends."""
    cuts = [(max(bar.start_s - start_s, 0.0), min(bar.end_s - start_s, seconds), bar.confidence) for bar in bars]
    return [[round(low, 4), round(high, 4), round(sure, 4)] for low, high, sure in cuts if high - low > 1e-3]


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
                )
            )
            waves.append(clip_wave)
    if unsure and not clips:
        raise ValueError(
            f"heard too unsurely: none of its {len(unsure)} clips has half of its time in bars of a confidence of "
            f"{job.min_confidence:g}; say in metadata what is played, or give a lower --min-confidence"
        )
    return clips, waves, len(unsure)


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


class LatentEncoder:
    """The base's autoencoder and text encoders: waves → latents, prompts → embeddings.

    Args:
        base: `nano`, a folder or a Hub id.
        clip_seconds: Length of the waves; a whole number of latent rows.
        device: Where it computes.

    Raises:
        ValueError: `clip_seconds` is no whole number of the base's latent rows.
    """

    def __init__(self, base: str, clip_seconds: float, device: str) -> None:
        from musetune.audio import mel_frontend
        from musetune.hub.locate import find_base
        from musetune.pipeline.pipeline import MuseTunePipeline

        self.pipe, self.device = MuseTunePipeline.from_pretrained(base).to(device), device
        self.frontend = mel_frontend(self.pipe).to(device)
        self.texts: dict[str, TextEmbedding] = {}
        vocoder = self.pipe.vocoder.config
        row_s = self.pipe.vae_scale_factor * float(np.prod(vocoder.upsample_rates)) / vocoder.sampling_rate
        self.rows = round(clip_seconds / row_s)
        if abs(self.rows * row_s - clip_seconds) > row_s / 2:
            raise ValueError(f"clip_seconds={clip_seconds} is no whole number of latent rows of {row_s} s")
        shape = self.latents(np.zeros((1, round(clip_seconds * SAMPLE_RATE)), np.float32)).shape
        self.info = DatasetInfo(
            base=Path(base).name if Path(base).is_dir() else base,
            base_fingerprint=fingerprint(find_base(base)),
            channels=shape[1],
            rows=shape[2],
            cols=shape[3],
            row_s=row_s,
            versions=library_versions(),
        )

    @torch.no_grad()
    def latents(self, waves: np.ndarray, batch: int = 16) -> torch.Tensor:
        """waves (n, samples) → the means of the autoencoder's latents, scaled, (n, channels, rows, cols)."""
        vae, parts = self.pipe.vae, []
        for some in torch.from_numpy(waves).to(self.device).split(batch):
            mel = self.frontend(some.float())[:, :, : self.rows * self.pipe.vae_scale_factor]
            parts.append(vae.encode(mel.to(self.device, vae.dtype)).latent_dist.mode().float().cpu())
        return torch.cat(parts) * vae.config.scaling_factor

    @torch.no_grad()
    def text(self, prompt: str) -> TextEmbedding:
        """The embeddings of one prompt, by itself: padding would leak into the language model."""
        if prompt not in self.texts:
            states, mask, generated = self.pipe.encode_prompt(prompt, self.device, 1, False)
            self.texts[prompt] = TextEmbedding(states[0].cpu(), mask[0].cpu(), generated[0].cpu())
        return self.texts[prompt]
