"""One stem transformer for all stems, or one for each.

The likelihood of the test songs' notes; prints a table and writes JSON.

    python benchmarks/arranger_split.py JOINT_DIR drums=DIR bass=DIR … [--out arranger_split.json] [--passages N]
    [--seed 0]

The folders are work_dirs of recipes/arranger/train.py: JOINT_DIR without only=, the others with only=STEM, all with the
same examples.npz (read from JOINT_DIR). Both models read the same passages, the first version of each stem, the stems
before it told, and are asked for the same tokens: the stem's own, from its first bar to its end, without a grammar's
mask. Their best checkpoints count.

- nats a token, nats a note: joint / single, over all of the stem's tokens or notes (of drums: hits).
- single − joint: the mean over songs of the difference in nats a token, with its 95 % bootstrap interval over songs.
  Above 0 the joint model is better. It is about the test songs: how another seed would train is not in it.
- steps and tokens heard say what each model's training was.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from musetune.datasets.arranger.batches import Text, batch_of
from musetune.datasets.arranger.examples import ArrangerExample, restore
from musetune.evaluation import bootstrap_mean
from musetune.planning.arranger.grammar import contexts, read_events
from musetune.planning.arranger.model import StemTransformer
from musetune.symbols.arrangement import STEMS
from musetune.training.checkpoint import find_checkpoint, load_checkpoint, load_parameters


def best(folder: Path) -> tuple[StemTransformer, dict]:
    """The best checkpoint's model, and what its training was."""
    path = find_checkpoint(folder / "best", "latest")
    if path is None:
        raise FileNotFoundError(f"{folder} has no best/: give the work_dir of recipes/arranger/train.py")
    tensors, meta = load_checkpoint(path)
    model = StemTransformer(**{k: meta["config"][k] for k in ("dim", "layers", "heads", "ffn")})
    load_parameters(model, tensors)
    log = [json.loads(line) for line in (folder / "loss.jsonl").read_text().splitlines()]
    info = {"step": meta["step"], "validation": meta["validation"], "tokens": log[meta["step"] - 1]["tokens"]}
    return model.eval(), {**info, "only": meta["config"].get("only")}


def text_up_to(stem: str, example: ArrangerExample) -> Text:
    """The passage's head and the first version of each stem up to ``stem``: tokens (n,), contexts (n, 10)."""
    head = example.passage.head()
    order = [s for s in STEMS[: STEMS.index(stem) + 1] if s in example.stems]
    parts = [(np.array(head), np.array(contexts(head, example.passage))), *(example.stems[s][0][:2] for s in order)]
    return np.concatenate([tokens for tokens, _ in parts]), np.concatenate([table for _, table in parts])


@torch.inference_mode()
def nats(model: StemTransformer, stem: str, example: ArrangerExample) -> tuple[float, int]:
    """(sum, count) of the cross entropies of the stem's tokens."""
    tokens, table, targets = batch_of([text_up_to(stem, example)], stem)
    each = F.cross_entropy(model(tokens, table)[0], targets[0], ignore_index=-100, reduction="none")
    return each.sum().item(), int((targets >= 0).sum())


def compare(joint: StemTransformer, single: StemTransformer, stem: str, examples: Sequence[ArrangerExample]) -> dict:
    """The stem's row of the table."""
    songs: dict[str, list[np.ndarray]] = defaultdict(list)  # of each passage: joint's sum, single's sum, tokens, notes
    for example in examples:
        (ours, tokens), (own, _) = (nats(model, stem, example) for model in (joint, single))
        notes = read_events(example.stems[stem][0][0].tolist(), example.passage)[stem]
        songs[example.song].append(np.array([ours, own, tokens, len(notes)]))
    sums = np.array([np.sum(passages, axis=0) for passages in songs.values()])
    ours, own, tokens, notes = sums.sum(axis=0).tolist()
    gap = bootstrap_mean(((sums[:, 1] - sums[:, 0]) / sums[:, 2]).tolist())
    assert gap
    return {
        "songs": len(songs),
        "passages": len(examples),
        "tokens": int(tokens),
        "notes": int(notes),
        "joint": ours / tokens,
        "single": own / tokens,
        "joint_note": ours / notes,
        "single_note": own / notes,
        "single_minus_joint": [gap.mean, gap.low, gap.high],
    }


def show(stem: str, row: dict) -> None:
    """A row of the table."""
    mean, low, high = row["single_minus_joint"]
    print(
        f"{stem:8}{row['joint']:.3f} / {row['single']:.3f}    {row['joint_note']:.2f} / {row['single_note']:.2f}    "
        f"{mean:+.3f} ({low:+.3f} to {high:+.3f})    {row['songs']} songs, {row['tokens']} tokens"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("joint", type=Path)
    parser.add_argument("singles", nargs="+", metavar="STEM=DIR")
    parser.add_argument("--out", type=Path, default=Path("arranger_split.json"))
    parser.add_argument("--passages", type=int, help="of each stem, drawn; all where it is left out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    singles = dict(pair.partition("=")[::2] for pair in args.singles)
    if unknown := sorted(set(singles) - set(STEMS)):
        parser.error(f"{unknown[0]!r} is no stem: give STEM=DIR with one of {', '.join(STEMS)}")
    tests = [e for e in restore(args.joint / "examples.npz") if e.split == "test"]
    joint, story = best(args.joint)
    results: dict = {"training": {"joint": story}, "stems": {}}
    print("stem    nats a token    nats a note    single − joint, nats a token (95 %)    (each cell: joint / single)")
    for stem in (s for s in STEMS if s in singles):
        single, results["training"][stem] = best(Path(singles[stem]))
        own = [e for e in tests if stem in e.stems]
        drawn = random.Random(args.seed).sample(own, min(args.passages or len(own), len(own)))
        results["stems"][stem] = compare(joint, single, stem, drawn)
        show(stem, results["stems"][stem])
    print("\n".join(f"{who}: step {s['step']}, {s['tokens']} tokens" for who, s in results["training"].items()))
    args.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
