"""Make a data set of cached latents from a folder of music.

    python recipes/prepare.py SRC OUT [--base nano] [--workers 2] [--transpose -2 3] [--licence CC0]

SRC holds MP3, WAV, FLAC, OGG or MIDI files (MIDI is rendered), in any depth. Each file is decoded, analysed, cut on
downbeats into clips, and encoded by the base's autoencoder and text encoders; OUT then is all that recipes/finetune.py
needs, on that same base. Each file goes in thrice, also two semitones lower and three higher, sound, chords and key
together: an adapter that has heard a song in one key only learns the key with the chords. `--transpose` with other
semitones changes that, with none leaves it out. An AudioFolder `metadata.jsonl` in SRC overrides what analysis finds;
musetune/datasets/metadata.py says with which fields.

Run it again and it continues. A file that is corrupt, silent or too short goes to OUT/quarantine.jsonl with the
reason; to try such files again, delete that file.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from musetune.datasets import Clip, DatasetInfo, DatasetWriter, LatentDataset, TextEmbedding
from musetune.datasets.clips import clip_starts, cut, rms_db
from musetune.datasets.fingerprint import fingerprint
from musetune.datasets.metadata import arrangement, describe, lead_sheet, read_metadata
from musetune.processes import crash_safe_map
from musetune.training import load_tokens
from musetune.training.run_info import versions

AUDIO = {".mp3", ".wav", ".flac", ".ogg"}
MIDI = {".mid", ".midi"}
SAMPLE_RATE = 16_000
SILENCE_DB = -60.0  # RMS below this, re full scale, is silence


@dataclass(frozen=True)
class Job:
    """One source file for a worker."""

    path: Path
    file: str  # relative to SRC
    metadata: dict[str, Any]
    clip_seconds: float
    transpose: tuple[int, ...]
    licence: str | None


@dataclass(frozen=True)
class Result:
    """Clips of one file with their waves (n, samples) float32, or the reason why there are none."""

    clips: list[Clip]
    waves: np.ndarray
    reason: str | None = None


def process(job: Job) -> Result:
    """Decode, analyse, slice. In a worker; what is wrong with the file becomes the reason of its quarantine."""
    try:
        clips, waves = slice_file(job)
        return Result(clips, np.stack(waves))
    except Exception as error:  # any decoder may raise anything: the reason is recorded, the other files go on
        return Result([], np.empty(0), f"{type(error).__name__}: {error}")


def slice_file(job: Job) -> tuple[list[Clip], list[np.ndarray]]:
    """The clips of one file at each transposition."""
    digest = hashlib.sha256(job.path.read_bytes()).hexdigest()
    original, clips, waves = decode(job, 0), [], []
    sheet = lead_sheet(job.metadata, original, SAMPLE_RATE)
    for semitones in (0, *job.transpose):
        wave = original if semitones == 0 else decode(job, semitones)
        for start in clip_starts(sheet.downbeats_s, len(wave) / SAMPLE_RATE, job.clip_seconds):
            clip_wave = cut(wave, SAMPLE_RATE, start, job.clip_seconds)
            if rms_db(clip_wave) < SILENCE_DB:
                continue
            moved = sheet.crop(start, job.clip_seconds).transpose(semitones)
            played = arrangement(job.metadata, sheet)
            if played is not None:
                played = played.crop(start, job.clip_seconds, moved.grid).transpose(semitones)
            clips.append(
                Clip(
                    id=f"{job.file}@{start:.3f}{f'{semitones:+d}' if semitones else ''}",
                    file=job.file,
                    sha256=digest,
                    offset_s=start,
                    duration_s=job.clip_seconds,
                    text=job.metadata.get("text") or describe(sheet),
                    lead_sheet=moved.to_json(),
                    arrangement=None if played is None else played.to_json(),
                    genre=sheet.genre,
                    transpose=semitones,
                    licence=job.metadata.get("licence", job.licence),
                    provenance={"source": str(job.path.name), "metadata": sorted(job.metadata)},
                )
            )
            waves.append(clip_wave)
    return clips, waves


def decode(job: Job, semitones: int) -> np.ndarray:
    """Mono samples of a file, moved by some semitones. Raises where there is nothing to learn from."""
    from musetune.audio import load_audio, synthesize

    if job.path.suffix.lower() in MIDI:
        import pretty_midi

        midi = pretty_midi.PrettyMIDI(str(job.path))
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


class Encoder:
    """The base's ears and words: waves → latents, prompts → embeddings. One of each, in this process."""

    def __init__(self, base: str, clip_seconds: float, device: str) -> None:
        from musetune.audio import mel_frontend
        from musetune.hub.locate import find_base
        from musetune.pipeline.pipeline import MuseTunePipeline

        self.pipe, self.device = MuseTunePipeline.from_pretrained(base).to(device), device  # type: ignore[attr-defined]
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
            versions=versions(),
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


def prepare(args: argparse.Namespace) -> Path:
    """Do what the arguments say; returns OUT."""
    source, out = Path(args.src), Path(args.out)
    files = sorted(p for p in source.rglob("*") if p.suffix.lower() in AUDIO | MIDI)
    if not files:
        raise ValueError(f"{source} holds no {', '.join(sorted(AUDIO | MIDI))}")
    names = {p: p.relative_to(source).as_posix() for p in files}
    metadata = read_metadata(source)
    if absent := sorted(metadata.keys() - set(names.values())):
        print(f"metadata.jsonl tells of files that {source} does not hold: {', '.join(absent)}", file=sys.stderr)
    encoder = Encoder(args.base, args.clip_seconds, args.device)
    with DatasetWriter(out, encoder.info, args.shard_size) as writer:
        jobs = [
            Job(p, name, metadata.get(name, {}), args.clip_seconds, tuple(args.transpose), args.licence)
            for p, name in names.items()
            if name not in writer.done
        ]
        results = crash_safe_map(process, jobs, args.workers)
        for job, result in tqdm(results, total=len(files), initial=len(files) - len(jobs), unit="file"):
            if result is None or result.reason is not None:
                writer.quarantine(job.file, result.reason if result else "killed the process that read it")
                continue
            texts = {text: encoder.text(text) for text in {"", *(c.text for c in result.clips)}}
            writer.add(result.clips, encoder.latents(result.waves), texts)
    if (out / "clips.jsonl").exists():
        dataset = LatentDataset(out)
        load_tokens(dataset, args.frames_per_row)
        print(f"{len(dataset)} clips of {encoder.info.rows * encoder.info.row_s:.2f} s in {out}")
    if (out / "quarantine.jsonl").exists():
        count = len((out / "quarantine.jsonl").read_text().splitlines())
        print(f"{count} files could not be used: see {out / 'quarantine.jsonl'}", file=sys.stderr)
    return out


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("src", help="folder of audio or MIDI")
    parser.add_argument("out", help="data set to make or continue")
    parser.add_argument("--base", default="nano", help="the base whose latents to make: nano, a folder or a Hub name")
    parser.add_argument("--clip-seconds", type=float, default=10.24)
    parser.add_argument(
        "--transpose", type=int, nargs="*", default=[-2, 3], help="also copies moved by these semitones; default: -2 3"
    )
    parser.add_argument("--licence", help="of the files, where metadata does not say")
    parser.add_argument("--workers", type=int, default=2, help="processes that decode and analyse")
    parser.add_argument("--shard-size", type=int, default=256, help="clips a file of latents; a kill costs as many")
    parser.add_argument("--frames-per-row", type=int, default=4, help="of the adapter to train")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    prepare(parse(sys.argv[1:]))
