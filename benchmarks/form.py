"""Do sections come back?

Songs planned, arranged and played from prompts; how alike sections sound within a label and between labels.

    python benchmarks/form.py [--songs 6] [--seconds 40] [--out out/form]

Two sections are held against each other beat by beat: the cosine of their constant-Q frames (librosa, 7 octaves, in
decibels above the song's own mean of each bin), averaged over each beat, over as many beats as the shorter has.
Columns: pairs of one label, pairs of two, and the same songs with noise that is not related (RELATED = 0). Prints a
table and writes form.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import save_audio
from musetune.evaluation import bootstrap_mean
from musetune.pipeline import songs

PROMPTS = (
    "bright pop song with piano and drums, AABA",
    "a sad waltz for piano and strings",
    "driving rock song at 140 bpm, verse and chorus",
    "smooth late night jazz in F major",
    "slow blues in E minor",
    "calm electronic piece in A minor, 110 bpm",
)
HOP = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=len(PROMPTS))
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--form", default="AABA", help="sections of every song, so that some come back")
    parser.add_argument("--out", default="out/form")
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")
    pipe.set_progress_bar_config(disable=True)
    found: dict[str, list[float]] = {
        name: [] for name in ("within", "between", "within, noise unrelated", "between, noise unrelated")
    }
    related = songs.RELATED
    for number, prompt in enumerate(tqdm(PROMPTS[: args.songs], unit="song")):
        sheet = pipe.plan(prompt, sections=args.form, duration_seconds=args.seconds, seed=number)
        notes = pipe.arrange(sheet, seed=number)
        for correlation, suffix in ((related, ""), (0.0, ", noise unrelated")):
            songs.RELATED = correlation
            made = pipe(
                prompt,
                lead_sheet=sheet,
                arrangement=notes,
                num_inference_steps=args.steps,
                generator=torch.Generator().manual_seed(number),
            )
            save_audio(out / f"{number}{'-unrelated' if suffix else ''}.flac", made.audios[0], made.sampling_rate)
            within, between = alikeness(made.audios[0], made.sampling_rate, sheet)
            found["within" + suffix] += within
            found["between" + suffix] += between
    songs.RELATED = related
    table = {name: bootstrap_mean(values) for name, values in found.items()}
    print("| pairs of sections | n | likeness (95 %) |\n|---|---|---|")
    for name, mean in table.items():
        shown = "—" if mean is None else f"{mean.mean:.3f} ({mean.low:.3f}–{mean.high:.3f})"
        print(f"| {name} | {len(found[name])} | {shown} |")
    (out / "form.json").write_text(json.dumps({"settings": vars(args), "pairs": found}, indent=1))


def alikeness(audio: np.ndarray, rate: int, sheet: LeadSheet) -> tuple[list[float], list[float]]:
    """Likeness of every pair of sections of one label, and of every pair of two."""
    beats = beat_frames(audio, rate, sheet)
    pairs: tuple[list[float], list[float]] = ([], [])
    for one, other in itertools.combinations(sheet.sections, 2):
        a, b = (beats[int(s.start) : int(s.start + s.beats)] for s in (one, other))
        n = min(len(a), len(b))
        norms = np.linalg.norm(a[:n], axis=1) * np.linalg.norm(b[:n], axis=1)
        pairs[one.label != other.label].append(float(((a[:n] * b[:n]).sum(1) / np.maximum(norms, 1e-9)).mean()))
    return pairs


def beat_frames(audio: np.ndarray, rate: int, sheet: LeadSheet) -> np.ndarray:
    """(beats, 84) decibels of a constant-Q transform averaged over each beat, less the song's mean of each bin."""
    import librosa

    level = librosa.amplitude_to_db(np.abs(librosa.cqt(audio, sr=rate, hop_length=HOP, n_bins=84)), ref=1.0)
    edges = np.asarray(sheet.grid.time_at(np.arange(int(sheet.length) + 1)))
    frames = np.unique(np.clip(librosa.time_to_frames(edges, sr=rate, hop_length=HOP), 0, level.shape[1]))
    beats = librosa.util.sync(level, frames, pad=False).T
    return beats - beats.mean(0)


if __name__ == "__main__":
    main()
