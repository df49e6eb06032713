"""16 kHz mono → 48 kHz stereo: how near StereoUpsampler and three simpler ways come to the recording itself.

    python benchmarks/upsampling.py --set rendered=FOLDER --set recordings=FOLDER [--weights FOLDER]

Each set is a folder of stereo recordings; of each, ten seconds from its middle are folded down to 16 kHz mono and
brought back to 48 kHz stereo by

- sinc: band-limited resampling, both channels alike;
- copies: the same, and the band 4–8 kHz copied to 8–12, 12–16 and 16–20 kHz, 10, 20 and 30 dB softer;
- delay: sinc, the right channel 10 ms late and at 0.8 of the level;
- StereoUpsampler.

LSD: log-spectral distance of both channels from 8 to 20 kHz (decades of power, frames of 2048 samples, floor −100 dB).
ICC and IID: mean error of coherence and of level difference (dB, at most 24) over 50 ms windows and 24 bands, where the
recording sounds. Fold-down: SNR in dB of both channels' mean, brought back to 16 kHz, against the input. Loudness:
difference in LU (EBU R128). × real time: on one thread. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyloudnorm
import torch
from tqdm import tqdm

from musetune.audio import load_audio, resample
from musetune.datasets.upsampling import SUFFIXES
from musetune.evaluation import bootstrap_mean
from musetune.models.upsampler import StereoUpsampler, load_upsampler
from musetune.models.upsampler.space import band_filters

RATE = 48000
WINDOW = 2400  # samples: 50 ms
FLOOR = 1e-5  # magnitude, −100 dB below a full-scale sine
COLUMNS = ("LSD", "ICC error", "IID error", "fold-down SNR", "loudness error")
Way = Callable[[np.ndarray], np.ndarray]  # (samples,) at 16 kHz → (2, 3 · samples) at 48 kHz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER", help="may be given repeatedly")
    parser.add_argument("--weights", help="a folder of StereoUpsampler; default: the shipped weights")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--limit", type=int, default=24, help="recordings of each set, spread over it")
    parser.add_argument("--out", default="out/upsampling")
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = StereoUpsampler.from_pretrained(args.weights) if args.weights else load_upsampler()
    ways: dict[str, Way] = {
        "sinc": lambda x: np.stack([sinc(x)] * 2),
        "copies": lambda x: np.stack([copies(x)] * 2),
        "delay": delay,
        "StereoUpsampler": lambda x: network.upsample(torch.from_numpy(x)).numpy(),
    }
    found: dict[str, dict[str, list[list[float]]]] = {}
    spent = dict.fromkeys(ways, 0.0)
    heard = 0.0
    for name, folder in (word.split("=", 1) for word in args.set):
        files = sorted(p for p in Path(folder).rglob("*") if p.suffix in SUFFIXES and ".upsampler" not in p.parts)
        files = files if len(files) <= args.limit else [files[i * len(files) // args.limit] for i in range(args.limit)]
        found[name] = {way: [] for way in ways}
        for path in tqdm(files, desc=name, unit="recording", mininterval=5):
            truth = middle(load_audio(path, RATE, mono=False)[0], args.seconds)
            if truth is None:
                print(f"left out {path}: it is mono, silent, or shorter than a second")
                continue
            mono = resample(truth.mean(0), RATE, 16000)[: truth.shape[1] // 3]
            heard += len(mono) / 16000
            for way, make in ways.items():
                began = time.process_time()
                stereo = make(mono)
                spent[way] += time.process_time() - began
                found[name][way].append(measures(truth[:, : stereo.shape[1]], stereo, mono))
    size = sum(weight.numel() * 2 for weight in network.parameters()) / 1e6
    speed = {way: heard / max(seconds, 1e-9) for way, seconds in spent.items()}
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "upsampling.json").write_text(
        json.dumps({"settings": vars(args), "scores": found, "speed": speed}, indent=1)
    )
    print(table(found, speed, size))


def middle(wave: np.ndarray, seconds: float) -> np.ndarray | None:
    """(2, samples) from the middle of a stereo wave, a whole number of input samples; None where there is none."""
    samples = min(round(seconds * RATE), wave.shape[1]) // 3 * 3
    start = (wave.shape[1] - samples) // 2
    cut = wave[:, start : start + samples]
    return cut if len(cut) == 2 and samples >= RATE and np.abs(cut).max() > 1e-3 else None


def sinc(mono: np.ndarray) -> np.ndarray:
    """Band-limited resampling."""
    wave = resample(mono, 16000, RATE)[: 3 * len(mono)]
    return np.pad(wave, (0, 3 * len(mono) - len(wave)))


def copies(mono: np.ndarray) -> np.ndarray:
    """Spectral band replication without side information."""
    wave = torch.from_numpy(sinc(mono))
    window = torch.hann_window(2048)
    spectrum = torch.stft(wave, 2048, 512, window=window, return_complex=True)
    first, last = (round(hz / RATE * 2048) for hz in (4000, 8000))
    for i in (1, 2, 3):
        at = last + (i - 1) * (last - first)
        spectrum[at : at + last - first] = spectrum[first:last] * 10 ** (-10 * i / 20)
    return torch.istft(spectrum, 2048, 512, window=window, length=len(wave)).numpy()


def delay(mono: np.ndarray) -> np.ndarray:
    """The right channel 10 ms late and softer, as DiffRhythm 2 does."""
    wave = sinc(mono)
    late = np.concatenate([np.zeros(480, wave.dtype), wave[:-480]])
    return np.stack([wave, 0.8 * late])


def measures(truth: np.ndarray, stereo: np.ndarray, mono: np.ndarray) -> list[float]:
    """The columns' values of one clip."""
    coherence_error, level_error = space_errors(truth, stereo)
    meter = pyloudnorm.Meter(RATE)
    loudness = abs(meter.integrated_loudness(stereo.T) - meter.integrated_loudness(truth.T))
    return [spectral_distance(truth, stereo), coherence_error, level_error, fold_down(stereo, mono), loudness]


def spectral_distance(truth: np.ndarray, stereo: np.ndarray) -> float:
    """Of decades of power, root mean square over the bins of 8–20 kHz, mean over frames and channels."""
    window = torch.hann_window(2048)
    first, last = -(-8000 * 2048 // RATE), 20000 * 2048 // RATE
    a, b = (
        torch.stft(torch.from_numpy(np.ascontiguousarray(x)), 2048, 512, window=window, return_complex=True).abs()
        * (2 / window.sum())
        for x in (truth, stereo)
    )
    difference = 2 * (torch.log10(a + FLOOR) - torch.log10(b + FLOOR))[:, first : last + 1]
    return float(difference.square().mean(1).sqrt().mean())


def space_errors(truth: np.ndarray, stereo: np.ndarray) -> tuple[float, float]:
    """Mean errors of coherence and of level difference in dB, where the recording sounds."""
    filters = band_filters(WINDOW // 2 + 1, RATE).numpy()
    coherences, levels, sounds = [], [], None
    for wave in (truth, stereo):
        windows = wave[:, : wave.shape[1] // WINDOW * WINDOW].reshape(2, -1, WINDOW) * np.hanning(WINDOW)
        left, right = np.fft.rfft(windows, axis=-1)
        powers = [np.abs(left) ** 2 @ filters.T, np.abs(right) ** 2 @ filters.T, (left * right.conj()).real @ filters.T]
        coherences.append(powers[2] / np.sqrt(powers[0] * powers[1] + 1e-20))
        levels.append(np.clip(10 * np.log10((powers[0] + 1e-12) / (powers[1] + 1e-12)), -24, 24))
        if sounds is None:
            sounds = powers[0] + powers[1] > (1e-4 * WINDOW / 4) ** 2
    coherence_error = np.abs(coherences[0] - coherences[1])[sounds].mean()
    return float(coherence_error), float(np.abs(levels[0] - levels[1])[sounds].mean())


def fold_down(stereo: np.ndarray, mono: np.ndarray) -> float:
    """SNR in dB; the input has passed the same resampler, whose edge is no fault of what is measured."""
    middle, reference = resample(stereo.mean(0), RATE, 16000), resample(resample(mono, 16000, RATE), RATE, 16000)
    samples = min(len(middle), len(reference))
    error = middle[:samples] - reference[:samples]
    return float(min(99.0, 10 * np.log10((reference[:samples] ** 2).sum() / max((error**2).sum(), 1e-20))))


def table(found: dict[str, dict[str, list[list[float]]]], speed: dict[str, float], size: float) -> str:
    """Markdown: a row for each set and way, means with 95 % intervals."""
    lines = ["", f"| set | way | n | {' | '.join(COLUMNS)} | × real time | MB |", "|" + "---|" * (len(COLUMNS) + 5)]
    for name, ways in found.items():
        for way, rows in ways.items():
            cells = []
            for i in range(len(COLUMNS)):
                mean = bootstrap_mean([row[i] for row in rows])
                cells.append("—" if mean is None else f"{mean.mean:.2f} ({mean.low:.2f}–{mean.high:.2f})")
            megabytes = f"{size:.1f}" if way == "StereoUpsampler" else "—"
            lines.append(f"| {name} | {way} | {len(rows)} | {' | '.join(cells)} | {speed[way]:.0f} | {megabytes} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
