"""At which level and threshold the drum transcriber hears best.

ADTLib judges a wave by its loudness, so a judge of mixes must settle both.

    python recipes/base/render_songs.py SONGS rendered clips=40 seed=99
    python benchmarks/drum_judge.py rendered [--base nano] [--out drum_judge.json]

Only a synthesiser's renderings are heard (of songs for training), plain and through the base's autoencoder and vocoder:
nothing that an adapter made, so the choice favours none. The percussive part of each is brought to levels 3 dB apart,
by its peak, by its root mean square, or by the 99th percentile of its magnitude; F-measures of strokes within 50 ms are
pooled over clips. How loud a clip is by any of these says little of how loud one of its strokes is, so what counts is
the mean F over a level and those up to 6 dB from it: a choice beside a cliff would measure loudness. Prints for each
way and kind the best level and threshold, F there and around it; writes JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import mir_eval
import numpy as np
from tqdm import tqdm

from musetune.audio import load_audio
from musetune.evaluation import transcription
from musetune.evaluation.notes import WINDOW_S, strokes_of
from musetune.evaluation.references import through_codec
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement

STEP_DB, AROUND_DB = 3, 6
SPAN_DB = range(-36, 19, STEP_DB)  # of the peak of the percussive part, re full scale
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
WAYS: dict[str, Callable[[np.ndarray], float]] = {
    "peak": lambda wave: float(np.abs(wave).max()),
    "rms": lambda wave: float(np.sqrt(np.mean(wave**2))),
    "q99": lambda wave: float(np.quantile(np.abs(wave), 0.99)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rendered", type=Path, help="folder of recipes/base/render_songs.py")
    parser.add_argument("--base", default="nano", help="whose autoencoder and vocoder the renderings also pass")
    parser.add_argument("--out", type=Path, default=Path("drum_judge.json"))
    args = parser.parse_args()
    pipe = MuseTunePipeline.from_pretrained(args.base)
    rows = [json.loads(line) for line in (args.rendered / "metadata.jsonl").read_text().splitlines()]
    clips: list[dict[str, Any]] = []
    for row in tqdm(rows, unit="clip"):
        sheet = LeadSheet.from_json(row["lead_sheet"])
        asked = strokes_of(Arrangement.from_json(row["arrangement"], sheet.grid), sheet.duration_s)
        wave, rate = load_audio(args.rendered / row["file_name"], sr=pipe.vocoder.config.sampling_rate)
        for version in (wave, through_codec(pipe, wave)):
            _, struck = librosa.effects.hpss(np.asarray(version, np.float32))
            if len(asked["all"]) and np.abs(struck).max() > 1e-4:
                clips.append(measured(struck, rate, asked))
    found = {way: {kind: best(clips, way, kind) for kind in transcription.DRUMS} for way in WAYS}
    for way, kinds in found.items():
        for kind, record in kinds.items():
            around = "  ".join(f"{db:+d} dB {f:.2f}" for db, f in record["around"].items())
            print(
                f"{way:5} {kind:6} level {record['level_db']:+4d} dB, above {record['threshold']:.2f}: "
                f"F {record['f']:.3f}, ±6 dB {record['robust_f']:.3f}   ({around})"
            )
        print(f"{way:5} mean of kinds, ±6 dB: {np.mean([record['robust_f'] for record in kinds.values()]):.3f}")
    args.out.write_text(json.dumps({"clips": len(clips), "found": found}, indent=1))


def measured(struck: np.ndarray, rate: int, asked: dict[str, np.ndarray]) -> dict[str, Any]:
    """How far each way's measure lies under the peak, in dB, and by kind, for every level of the peak and threshold,
    how many strokes were heard where asked for, heard, asked for.
    """
    peak = float(np.abs(struck).max())
    under = {way: 20 * np.log10(peak / size(struck)) for way, size in WAYS.items()}
    counts = {kind: np.zeros((len(SPAN_DB), len(THRESHOLDS), 3), int) for kind in transcription.DRUMS}
    for i, db in enumerate(SPAN_DB):
        found = transcription.activations(struck / peak, rate, dict.fromkeys(transcription.DRUMS, db))
        for kind, activation in found.items():
            for j, threshold in enumerate(THRESHOLDS):
                heard = transcription.peaks(activation, threshold)
                hits = (
                    mir_eval.util.match_events(asked[kind], heard, WINDOW_S) if len(heard) and len(asked[kind]) else ()
                )
                counts[kind][i, j] = len(hits), len(heard), len(asked[kind])
    return {"under": under, "counts": counts}


def best(clips: list[dict[str, Any]], way: str, kind: str) -> dict[str, Any]:
    """Level, threshold and F of the greatest mean F over `AROUND_DB`.

    Levels at which every clip was heard alone count.
    """
    unders = [clip["under"][way] for clip in clips]
    levels = np.arange(round(SPAN_DB[0] - min(unders)), SPAN_DB[-1] - max(unders), STEP_DB)  # of the way's measure
    f = np.array([pooled_f(clips, way, kind, level) for level in levels])  # (levels, thresholds)
    reach = AROUND_DB // STEP_DB
    robust = np.lib.stride_tricks.sliding_window_view(f, 2 * reach + 1, axis=0).mean(-1)
    i, j = np.unravel_index(robust.argmax(), robust.shape)
    around = {int(levels[k] - levels[i + reach]): float(f[k, j]) for k in range(i, i + 2 * reach + 1)}
    return {
        "level_db": int(levels[i + reach]),
        "threshold": THRESHOLDS[j],
        "f": around[0],
        "robust_f": float(robust[i, j]),
        "around": around,
    }


def pooled_f(clips: list[dict[str, Any]], way: str, kind: str, level_db: float) -> np.ndarray:
    """F (thresholds,) of all clips' strokes where each clip lies at ``level_db`` by ``way``, to the next level that was
    heard.
    """
    places = [round((level_db + clip["under"][way] - SPAN_DB[0]) / STEP_DB) for clip in clips]
    hits, heard, asked = sum(clip["counts"][kind][place] for clip, place in zip(clips, places, strict=True)).T
    return 2 * hits / np.maximum(heard + asked, 1)


if __name__ == "__main__":
    main()
