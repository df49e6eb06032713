"""What survives nano's way out: the rendering, then through spectrogram and vocoder, then through the autoencoder too.

    python benchmarks/roundtrip.py [--base nano] [--limit 60] [--soundfont FluidR3Mono_GM.sf3]

Renders the test sheets, reads each stage with the judges and prints a table: chords and beats in per cent, mean and 95
% bootstrap interval, what is lost of majmin and beats clip by clip; and how far the sound is from the original:
spectral convergence and log-mel L1 (0 alike), cosine of the maps of pitch salience (1 alike).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import mel_frontend
from musetune.evaluation import bootstrap_mean, load_test_sheets
from musetune.evaluation.adherence import adherence
from musetune.evaluation.audio_similarity import copy_distances
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.judges import judge_with_hints
from musetune.evaluation.references import limit_peak, render_sheet, through_codec
from musetune.pipeline.pipeline import MuseTunePipeline

MEASURES = ("root", "majmin", "triads", "tetrads", "beat_f")
LOST = ("majmin", "beat_f")
DISTANCES = ("spectral_convergence", "log_mel_l1", "pitch_salience")


@torch.no_grad()
def stages(pipe: MuseTunePipeline, wave: np.ndarray) -> dict[str, np.ndarray]:
    """The waveform (samples,) at each stage."""
    mel = mel_frontend(pipe)(torch.from_numpy(wave)[None])
    mel = mel[:, :, : mel.shape[2] // pipe.vae_scale_factor * pipe.vae_scale_factor]
    vocoded = limit_peak(pipe.mel_spectrogram_to_waveform(mel).float().numpy()[0])
    return {"original": wave, "vocoded": vocoded, "autoencoded and vocoded": through_codec(pipe, wave)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--soundfont")
    args = parser.parse_args()
    pipe = MuseTunePipeline.from_pretrained(args.base)
    rate, scores = pipe.vocoder.config.sampling_rate, {}
    tests = load_test_sheets()[: args.limit]
    for test in tqdm(tests, unit="sheet"):
        wave = render_sheet(test.sheet, rate, seed=test.seed, soundfont=args.soundfont)
        for name, made in stages(pipe, wave).items():
            (heard,) = judge_with_hints(made, rate, (test.sheet,))
            scores.setdefault(name, []).append(adherence(test.sheet, heard) | copy_distances(wave, made, rate))
    print_table(scores, len(tests))


def print_table(scores: dict[str, list[dict]], count: int) -> None:
    heads = [f"{count} sheets", *MEASURES, *(f"{m} lost" for m in LOST), *(d.replace("_", " ") for d in DISTANCES)]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name, rows in scores.items():
        cells = [cell(bootstrap_mean([row[m] for row in rows])) for m in MEASURES]
        for m in LOST:
            pairs = [(a[m], b[m]) for a, b in zip(scores["original"], rows, strict=True)]
            cells.append(cell(bootstrap_mean([a - b for a, b in pairs if None not in (a, b)])))
        cells += [f"{np.mean([row[d] for row in rows]):.3f}" for d in DISTANCES]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
