"""Read what render_songs.py wrote: waveforms and metadata of a folder in the AudioFolder convention."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import load_audio
from musetune.models.nano import LogSpectrogram
from musetune.models.nano.autoencoder import PATCH


def read_metadata(folder: Path) -> list[dict]:
    """The rows of ``metadata.jsonl``, in its order."""
    path = folder / "metadata.jsonl"
    if not path.is_file():
        raise SystemExit(
            f"{path} does not exist; render a folder first: python recipes/base/render_songs.py SONGS {folder}"
        )
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def read_rendering(folder: Path) -> dict:
    """How the folder was rendered: render.json's settings; empty where it was made otherwise."""
    path = folder / "render.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def read_waves(folder: Path, rate: int = 16000) -> np.ndarray:
    """int16 (clips, samples) in metadata's order; decoded once, then memory-mapped from ``waves.npy``."""
    cache = folder / "waves.npy"
    if not cache.is_file():
        files = [folder / row["file_name"] for row in read_metadata(folder)]
        with ThreadPoolExecutor(2) as pool:
            waves = list(
                tqdm(pool.map(lambda f: load_audio(f, rate)[0], files), total=len(files), desc="decoding", unit="clip")
            )
        np.save(cache, (np.stack(waves) * 32767).astype(np.int16))
    return np.load(cache, mmap_mode="r")


def read_spectrograms(folder: Path) -> np.ndarray:
    """float16 (clips, frames, bins), nano's spectrogram of every clip; computed once, then memory-mapped."""
    cache = folder / "spectrograms.npy"
    if not cache.is_file():
        waves, frontend = read_waves(folder), LogSpectrogram()
        frames = waves.shape[1] // (frontend.hop * PATCH) * PATCH  # whole patches
        out = np.empty((len(waves), frames, frontend.bins), np.float16)
        for i in tqdm(range(0, len(waves), 8), desc="spectrograms", unit="batch"):
            batch = torch.from_numpy(waves[i : i + 8].astype(np.float32) / 32768)
            out[i : i + 8] = frontend(batch)[:, 0, :frames].numpy()
        np.save(cache, out)
    return np.load(cache, mmap_mode="r")
