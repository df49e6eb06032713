"""Stereo recordings as training data of the upsampler: decoded once, then read from the disc by crops."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import load_audio, resample

RATE, FACTOR = 48000, 3
SUFFIXES = (".flac", ".wav", ".ogg", ".mp3", ".opus")


@dataclass(frozen=True)
class Recordings:
    """Recordings one after the other.

    Attributes:
        mono: int16 (samples,), at 16 kHz.
        stereo: int16 (3 · samples, 2), at 48 kHz.
        starts: where each file begins in ``mono``.
    """

    mono: np.ndarray
    stereo: np.ndarray
    starts: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """Length of all."""
        return len(self.mono) * FACTOR / RATE

    def count_places(self, samples: int) -> int:
        """How many crops of so many samples of ``mono`` there are, each within one file."""
        return int(self._places_of_files(samples).sum())

    def crops(self, numbers: np.ndarray, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut crops, each within one file.

        Args:
            numbers: (n,) whole numbers from 0 on; modulo ``count_places`` they count the crops there are.
            samples: length in ``mono``.

        Returns:
            Mono (n, samples) at 16 kHz and stereo (n, 2, 3 · samples) at 48 kHz.

        Raises:
            ValueError: No file is as long.
        """
        rooms = self._places_of_files(samples)
        ends = np.cumsum(rooms)
        if not ends[-1]:
            raise ValueError(f"no file lasts {samples * FACTOR / RATE:.2f} s: give longer ones, or shorter crops")
        drawn = [int(number) % int(ends[-1]) for number in numbers]
        files = [int(np.searchsorted(ends, at, side="right")) for at in drawn]
        places = [self.starts[i] + int(at - ends[i] + rooms[i]) for i, at in zip(files, drawn, strict=True)]
        mono = np.stack([self.mono[at : at + samples] for at in places]).astype(np.float32) / 32768
        cuts = [self.stereo[FACTOR * at : FACTOR * (at + samples)].T for at in places]
        return torch.from_numpy(mono), torch.from_numpy(np.stack(cuts).astype(np.float32) / 32768)

    def _places_of_files(self, samples: int) -> np.ndarray:
        """How many crops begin in each file."""
        return np.maximum(np.diff(np.array([*self.starts, len(self.mono)])) - samples + 1, 0)


def read_recordings(folder: Path) -> Recordings:
    """Decode a folder's stereo audio at 48 kHz, and its mean of channels at 16 kHz, into ``folder/.upsampler``.

    Args:
        folder: Audio files in any depth; mono ones are left out and named. Where files came, went or changed (by size
            and time), all are decoded again.

    Raises:
        ValueError: There is no stereo audio, or less than 10 seconds.
    """
    cache = folder / ".upsampler"
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and cache not in p.parents)
    seen = [(path, path.stat()) for path in files]
    names = [[str(path.relative_to(folder)), about.st_size, about.st_mtime_ns] for path, about in seen]
    index = cache / "index.json"
    if not index.is_file() or json.loads(index.read_text())["files"] != names:
        cache.mkdir(exist_ok=True)
        starts, at = [], 0
        with (cache / "mono.raw").open("wb") as mono, (cache / "stereo.raw").open("wb") as stereo:
            for path in tqdm(files, desc="decoding", unit="file", mininterval=5):
                wave, _ = load_audio(path, RATE, mono=False)
                if len(wave) != 2:
                    print(f"left out {path}: it has {len(wave)} channels instead of 2")
                    continue
                samples = wave.shape[1] // FACTOR
                wave = wave[:, : FACTOR * samples]
                low = resample(wave.mean(0), RATE, RATE // FACTOR)[:samples]
                low = np.pad(low, (0, samples - len(low)))
                for file, samples_of in ((mono, low), (stereo, wave.T)):
                    file.write((np.clip(samples_of, -1, 1) * 32767).astype(np.int16).tobytes())
                starts.append(at)
                at += samples
        index.write_text(json.dumps({"files": names, "starts": starts}))
    starts = json.loads(index.read_text())["starts"]
    if not starts or (cache / "mono.raw").stat().st_size < 2 * 10 * RATE // FACTOR:
        raise ValueError(f"{folder} holds less than 10 s of stereo audio ({', '.join(SUFFIXES)}): give more")
    mono_samples = np.memmap(cache / "mono.raw", np.int16, "r")
    return Recordings(mono_samples, np.memmap(cache / "stereo.raw", np.int16, "r").reshape(-1, 2), tuple(starts))
