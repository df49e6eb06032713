"""16 kHz mono → 48 kHz stereo: how near StereoUpsampler and three simpler ways come to the recording itself.

    python benchmarks/upsampling.py --set rendered=FOLDER --set recordings=FOLDER [--weights FOLDER] [--judges 8]

Each set is a folder of stereo recordings; of each, ten seconds from its middle are folded down to 16 kHz mono and
brought back to 48 kHz stereo by

- sinc: band-limited resampling, both channels alike;
- copies: the same, and the band 4–8 kHz copied to 8–12, 12–16 and 16–20 kHz, 10, 20 and 30 dB softer;
- delay: sinc, the right channel 10 ms late and at 0.8 of the level;
- StereoUpsampler;
- told: sinc, each of 24 bands moved as far as the recording's own is on average. No way hears that in mono: it bounds
  what one could reach that knew where everybody stands.

A set called "noise" is white noise, which has no recording to come near to: only the fold-down is measured.

LSD: log-spectral distance of both channels from 8 to 20 kHz (decades of power, frames of 2048 samples, floor −100 dB).
ICC and IID: mean error of coherence and of level difference (dB, at most 24) over 50 ms windows and 24 bands, where the
recording sounds; a band that a way leaves silent has coherence 1, since both channels are alike there. Fold-down: SNR
in dB, at most 99, of both channels' mean, brought back to 16 kHz by Fourier, against the input. Loudness: difference in
LU (EBU R128). ViSQOL: MOS of the mean of both channels in audio mode, 1 to 5, where visqol-python is installed (pip
install --no-deps visqol-python==3.8.0 libsvm-official==3.37.0). × real time: by the clock on --threads threads, and by
the processor's time, all threads together, which does not mind a busy machine. --judges: of so many clips of each set,
how much of what Chordino (majmin) and madmom (beats) hear in the mono input they hear in the mean of both channels, and
in the left one alone; and of clips that recipes/base/render_songs.py rendered, no longer than --seconds, how much of
what was played they hear in the mono input and in the stereo. Prints tables. Killed, it goes on where it was.

No weights of peers come in a package: audiosr, audiosronnx, audio-super-resolution and hifi-gan-bwe on PyPI are code
that downloads them; AP-BWE, FlashSR, FLowHigh and NovaSR are not on PyPI.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import torch
from tqdm import tqdm

from musetune.audio import load_audio, resample
from musetune.datasets.rendering.folder import read_metadata
from musetune.datasets.upsampling import SUFFIXES
from musetune.evaluation import adherence, bootstrap_mean
from musetune.evaluation.provenance import fingerprint, remember
from musetune.models.upsampler import StereoUpsampler, load_upsampler
from musetune.models.upsampler.space import band_filters
from musetune.symbols import LeadSheet

RATE = 48000
WINDOW = 2400  # samples: 50 ms
FLOOR = 1e-5  # magnitude, −100 dB below a full-scale sine
EDGE = 4000  # samples of 16 kHz at both ends that Fourier, which takes the end to precede the beginning, spoils
NOISE = "noise"
COLUMNS = ("LSD", "ICC error", "IID error", "fold-down SNR", "loudness error", "ViSQOL")
HEARD = ("chords, mean", "beats, mean", "chords, left", "beats, left")
PLAYED = ("majmin, mono", "majmin, stereo", "beat F, mono", "beat F, stereo")
NAN = float("nan")
Way = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (samples,) at 16 kHz, the truth → (2, 3 · samples) at 48 kHz


@dataclass
class Speed:
    """How long a way took for how much audio, all in seconds."""

    audio_s: float = 0.0
    clock_s: float = 0.0
    processor_s: float = 0.0

    def add(self, audio_s: float, clock_s: float, processor_s: float) -> None:
        """Count one clip more."""
        self.audio_s += audio_s
        self.clock_s += clock_s
        self.processor_s += processor_s

    def __str__(self) -> str:
        """Times as fast as real time, by the clock and by the processor."""
        return " | ".join(f"{self.audio_s / max(spent_s, 1e-9):.0f}" for spent_s in (self.clock_s, self.processor_s))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER", help="may be given repeatedly")
    parser.add_argument("--weights", help="a folder of StereoUpsampler; default: the shipped weights")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--limit", type=int, default=24, help="recordings of each set, spread over it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--visqol", type=int, default=4, help="clips of each set that ViSQOL judges")
    parser.add_argument("--judges", type=int, default=0, help="clips of each set that Chordino and madmom judge")
    parser.add_argument("--out", default="out/upsampling")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    network = StereoUpsampler.from_pretrained(args.weights) if args.weights else load_upsampler()
    ways: dict[str, Way] = {
        "sinc": lambda x, _: np.stack([sinc(x)] * 2),
        "copies": lambda x, _: np.stack([copies(x)] * 2),
        "delay": lambda x, _: delay(x),
        "StereoUpsampler": lambda x, _: network.upsample(torch.from_numpy(x)).numpy(),
        "told": told,
    }
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"seconds": args.seconds, "limit": args.limit, "threads": args.threads}
    remember(out, settings | {"weights": fingerprint(network)})
    found: dict[str, dict[str, list[list[float]]]] = {}
    heard: dict[str, list[list[float]]] = {}
    played: dict[str, list[list[float]]] = {}
    speed = {way: Speed() for way in ways}
    for name, folder in (word.split("=", 1) for word in args.set):
        found[name], heard[name] = {way: [] for way in ways if name != NOISE or way != "told"}, []
        played[name] = []
        for number, (truth, mono, sheet) in enumerate(clips(name, folder, args.limit, args.seconds)):
            for way in found[name]:
                kept = out / "clips" / f"{name}-{number}-{way}.json"
                with_visqol, with_judges = number < args.visqol, number < args.judges and way == "StereoUpsampler"
                record = measure(kept, ways[way], truth, mono, name == NOISE, with_visqol, with_judges, sheet)
                found[name][way].append(record["row"])
                speed[way].add(len(mono) / 16000, record["clock_s"], record["processor_s"])
                if record["heard"] and with_judges:
                    heard[name].append(record["heard"])
                    played[name] += [record["played"]] if record["played"] else []
    size = sum(weight.numel() * 2 for weight in network.parameters()) / 1e6
    record = {"settings": vars(args), "scores": found, "heard": heard, "played": played}
    record["speed"] = {way: vars(one) for way, one in speed.items()}
    (out / "upsampling.json").write_text(json.dumps(record, indent=1))
    print(table(found, speed, size))
    print(heard_table(heard, HEARD))
    print(heard_table(played, PLAYED))


def measure(
    kept: Path,
    way: Way,
    truth: np.ndarray,
    mono: np.ndarray,
    noise: bool,
    visqol: bool,
    judges: bool,
    sheet: LeadSheet | None,
) -> dict[str, Any]:
    """What one way makes of one clip: `row` of COLUMNS, `heard` of HEARD and `played` of PLAYED, or None, its times;
    what is kept stays.
    """
    record: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    wanted = {"row"} | ({"visqol"} if visqol and not noise else set()) | ({"heard"} if judges and not noise else set())
    wanted |= {"played"} if "heard" in wanted and sheet is not None else set()
    if wanted - record.keys():
        clock, processor = time.perf_counter(), time.process_time()
        stereo = way(mono, truth)
        took = {"clock_s": time.perf_counter() - clock, "processor_s": time.process_time() - processor}
        same = truth[:, : stereo.shape[1]]
        if "row" not in record:
            row = [NAN] * 3 + [fold_down(stereo, mono), NAN] if noise else measures(same, stereo, mono)
            record |= {"row": row, **took}
        if "visqol" in wanted - record.keys():
            record["visqol"] = opinion(same, stereo)
        if "heard" in wanted - record.keys():
            record["heard"] = agreement(mono, stereo)
        if "played" in wanted - record.keys() and sheet is not None:
            record["played"] = obedience(mono, stereo, sheet)
        kept.parent.mkdir(exist_ok=True)
        begun = kept.with_suffix(".begun")
        begun.write_text(json.dumps(record))
        begun.replace(kept)
    judged = {name: record.get(name) for name in ("heard", "played")}
    return record | {"row": [*record["row"], record.get("visqol", NAN)]} | judged


def clips(
    name: str, folder: str, limit: int, seconds: float
) -> Iterator[tuple[np.ndarray, np.ndarray, LeadSheet | None]]:
    """(truth (2, 3 · samples) at 48 kHz, mono (samples,) at 16 kHz, what it plays where that is known) of a set."""
    if name == NOISE:
        for seed in range(min(limit, 4)):
            mono = 0.1 * np.random.default_rng(seed).normal(size=round(16000 * seconds)).astype(np.float32)
            yield np.zeros((2, 3 * len(mono)), np.float32), mono, None
        return
    rows = read_metadata(Path(folder)) if (Path(folder) / "metadata.jsonl").is_file() else []
    sheets = {Path(folder) / row["file_name"]: row["lead_sheet"] for row in rows if "lead_sheet" in row}
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES and ".upsampler" not in p.parts)
    files = files if len(files) <= limit else [files[i * len(files) // limit] for i in range(limit)]
    for path in tqdm(files, desc=name, unit="recording", mininterval=5):
        wave = load_audio(path, RATE, mono=False)[0]
        truth = middle(wave, seconds)
        if truth is None:
            print(f"left out {path}: it is mono, silent, or shorter than a second")
            continue
        whole = path in sheets and wave.shape[1] <= round(seconds * RATE)
        sheet = LeadSheet.from_json(sheets[path]) if whole else None
        yield truth, resample(truth.mean(0), RATE, 16000)[: truth.shape[1] // 3], sheet


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


def told(mono: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Both channels alike but for each band's level difference, which is the recording's median."""
    levels, sounds = band_levels(truth)
    medians = np.array(
        [np.median(levels[sounds[:, i], i]) if sounds[:, i].any() else 0.0 for i in range(len(levels[0]))]
    )
    ratio = 10 ** (medians / 20)
    tilt = torch.from_numpy(((ratio - 1) / (ratio + 1)).astype(np.float32))
    window = torch.hann_window(2048)
    spectrum = torch.stft(torch.from_numpy(sinc(mono)), 2048, 512, window=window, return_complex=True)
    side = (band_filters(1025, RATE).T @ tilt)[:, None] * spectrum
    waves = [torch.istft(x, 2048, 512, window=window, length=3 * len(mono)) for x in (spectrum + side, spectrum - side)]
    return torch.stack(waves).numpy()


def measures(truth: np.ndarray, stereo: np.ndarray, mono: np.ndarray) -> list[float]:
    """The values of one clip, of all columns but ViSQOL's."""
    coherence_error, level_error = space_errors(truth, stereo)
    meter = pyloudnorm.Meter(RATE)
    loudness = abs(meter.integrated_loudness(stereo.T) - meter.integrated_loudness(truth.T))
    return [spectral_distance(truth, stereo), coherence_error, level_error, fold_down(stereo, mono), loudness]


def opinion(truth: np.ndarray, stereo: np.ndarray) -> float:
    """ViSQOL's mean opinion score of the mean of both channels, 1 to 5; NaN where it is not installed."""
    if importlib.util.find_spec("visqol") is None:
        return NAN
    visqol = importlib.import_module("visqol")

    api = visqol.VisqolApi()
    api.create(mode="audio")
    waves = [np.asarray(wave.mean(0), np.float64) for wave in (truth, stereo)]
    return float(api.measure_from_arrays(*waves, RATE).moslqo)


def agreement(mono: np.ndarray, stereo: np.ndarray) -> list[float]:
    """How much of what the judges hear in the mono input they hear in the stereo: the columns of HEARD, 0 to 1."""
    import mir_eval

    from musetune.evaluation.judges import chordino, madmom_beats

    intervals, labels = chordino(mono, 16000)
    rows: list[float] = []
    beats = np.asarray(madmom_beats(mono, 16000)[0][0])
    for wave in (stereo.mean(0), stereo[0]):
        other, names = chordino(wave, RATE)
        chords = mir_eval.chord.evaluate(intervals, labels, other, names)["majmin"]
        rows += [float(chords), float(mir_eval.beat.f_measure(beats, np.asarray(madmom_beats(wave, RATE)[0][0])))]
    return rows


def obedience(mono: np.ndarray, stereo: np.ndarray, sheet: LeadSheet) -> list[float]:
    """How much of what was played the judges hear in the mono input and in both channels' mean: PLAYED, 0 to 1."""
    from musetune.evaluation.judges import judge

    waves = ((mono, 16000), (stereo.mean(0), RATE))
    scores = [adherence(sheet, judge(wave, rate, tempo_hint=sheet)) for wave, rate in waves]
    values = [score[name] for name in ("majmin", "beat_f") for score in scores]
    return [NAN if value is None else float(value) for value in values]


def band_levels(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level differences in dB (windows, bands), at most 24, and where the wave sounds."""
    filters = band_filters(WINDOW // 2 + 1, RATE).numpy()
    windows = wave[:, : wave.shape[1] // WINDOW * WINDOW].reshape(2, -1, WINDOW) * np.hanning(WINDOW)
    left, right = (np.abs(np.fft.rfft(channel, axis=-1)) ** 2 @ filters.T for channel in windows)
    levels = np.clip(10 * np.log10((left + 1e-12) / (right + 1e-12)), -24, 24)
    return levels, left + right > (1e-4 * WINDOW / 4) ** 2


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
    """Mean errors of coherence and of level difference in dB, where the recording sounds; silence has coherence 1."""
    filters = band_filters(WINDOW // 2 + 1, RATE).numpy()
    coherences, levels, sounds = [], [], None
    for wave in (truth, stereo):
        windows = wave[:, : wave.shape[1] // WINDOW * WINDOW].reshape(2, -1, WINDOW) * np.hanning(WINDOW)
        left, right = np.fft.rfft(windows, axis=-1)
        powers = [np.abs(left) ** 2 @ filters.T, np.abs(right) ** 2 @ filters.T, (left * right.conj()).real @ filters.T]
        sounding = powers[0] + powers[1] > (1e-4 * WINDOW / 4) ** 2
        coherences.append(np.where(sounding, powers[2] / np.sqrt(powers[0] * powers[1] + 1e-20), 1.0))
        levels.append(np.clip(10 * np.log10((powers[0] + 1e-12) / (powers[1] + 1e-12)), -24, 24))
        sounds = sounding if sounds is None else sounds
    coherence_error = np.abs(coherences[0] - coherences[1])[sounds].mean()
    return float(coherence_error), float(np.abs(levels[0] - levels[1])[sounds].mean())


def fold_down(stereo: np.ndarray, mono: np.ndarray) -> float:
    """SNR in dB of the mean of both channels at 16 kHz against the input, by Fourier, the ends left out."""
    import scipy.signal

    wanted = mono[EDGE:-EDGE].astype(np.float64)
    error = scipy.signal.resample(stereo.mean(0).astype(np.float64), len(mono))[EDGE:-EDGE] - wanted
    return float(min(99.0, 10 * np.log10((wanted**2).sum() / max((error**2).sum(), 1e-20))))


def table(found: dict[str, dict[str, list[list[float]]]], speed: dict[str, Speed], size: float) -> str:
    """Markdown: a row for each set and way, means with 95 % intervals."""
    heads = ("set", "way", "n", *COLUMNS, "× real time", "by the processor", "MB")
    lines = ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, ways in found.items():
        for way, rows in ways.items():
            cells = []
            for i in range(len(COLUMNS)):
                mean = bootstrap_mean([row[i] for row in rows if not np.isnan(row[i])])
                cells.append("—" if mean is None else f"{mean.mean:.2f} ({mean.low:.2f}–{mean.high:.2f})")
            megabytes = f"{size:.1f}" if way == "StereoUpsampler" else "—"
            lines.append(f"| {name} | {way} | {len(rows)} | {' | '.join(cells)} | {speed[way]} | {megabytes} |")
    return "\n".join(lines)


def heard_table(heard: dict[str, list[list[float]]], columns: tuple[str, ...]) -> str:
    """Markdown: means of what the judges heard in each set, per cent; "" where they were not asked."""
    lines = ["", f"| set | n | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 2)]
    for name, rows in heard.items():
        if rows:
            cells = [f"{100 * np.nanmean([row[i] for row in rows]):.1f}" for i in range(len(columns))]
            lines.append(f"| {name} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 3 else ""


if __name__ == "__main__":
    main()
