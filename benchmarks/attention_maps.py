"""Where do the music attentions look? How much weight does each site give to what sounds at that time?

    python benchmarks/attention_maps.py --base nano --adapter theory --limit 8 --out out/attention

For every site: the mean weight on the event that sounds at the query's time, on its two neighbours, on the event that
says "nothing", and on the rest; beside it what even weights would give. Averaged over heads, columns, steps and sheets;
clips no longer than one window of the base. Without --sheets these are the test set's: it explains the weights that are
there, and is no ground to choose others by. Leaves a picture of the first sheet, rows of time by events, for every
site.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from musetune.adapter.attention import MusicAttention, MusicStream, rotate
from musetune.conditioning import tokenize
from musetune.evaluation import TestSheet, load_test_sheets
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import LeadSheet

KINDS = ("sounding", "neighbours", "nothing", "rest", "even")


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)
    pipe.set_progress_bar_config(disable=True)
    shares: dict[str, list[np.ndarray]] = defaultdict(list)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, test in enumerate(tqdm(load_test_sheets(args.sheets)[: args.limit], unit="sheet")):
        maps = watch(pipe, test)
        starts, seconds = event_starts(pipe, test.sheet)
        for site, weight in maps.items():
            shares[site].append(looks(weight, starts, seconds))
        if number == 0:
            draw(args.out / "attention.png", maps, f"{test.id}: {' '.join(test.sheet.chord_labels)}")
    lines = ["| site | " + " | ".join(KINDS) + " |", "|---" * (1 + len(KINDS)) + "|"]
    lines += [
        f"| {s} | " + " | ".join(f"{100 * x:.0f} %" for x in np.mean(rows, 0)) + " |" for s, rows in shares.items()
    ]
    (args.out / "attention.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano", help="bundled name, folder or Hub name")
    parser.add_argument("--adapter", default="theory", help="bundled name, folder or Hub name")
    parser.add_argument("--sheets", help="folder of lead sheets; default: the test set")
    parser.add_argument("--limit", type=int, help="only the first so many sheets")
    parser.add_argument("--out", type=Path, default=Path("out/attention"))
    return parser.parse_args(arguments)


def event_starts(pipe: MuseTunePipeline, sheet: LeadSheet) -> tuple[np.ndarray, float]:
    """Starts (events,) in seconds of the tokens that the pipeline makes of a sheet, and how long its latents are, in
    seconds.
    """
    config, rows = pipe.adapter.config, max(8, math.ceil(sheet.duration_s / pipe.row_s - 1e-6))
    if rows > pipe.unet.config.sample_size:
        window_s = pipe.unet.config.sample_size * pipe.row_s
        raise ValueError(
            f"a sheet of {sheet.duration_s:.2f} s is more than one window of {window_s:.2f} s: give shorter"
        )
    per_row = config.frames_per_row
    tokens = tokenize(sheet, frame_s=pipe.row_s / per_row, n_frames=rows * per_row, event_s=config.event_s)
    return tokens.event_times_s[0, :, 0].numpy(), rows * pipe.row_s


def watch(pipe: MuseTunePipeline, test: TestSheet) -> dict[str, np.ndarray]:
    """Play a sheet; for each site the weights (rows, 1 + events), means over heads, columns and steps."""
    seen: dict[str, list[Tensor]] = defaultdict(list)

    def hook(name: str):  # type: ignore[no-untyped-def]
        def look(layer: MusicAttention, inputs: tuple[Tensor, Tensor, Tensor, MusicStream]) -> None:
            seen[name].append(weights(layer, *inputs))

        return look

    handles = [site.register_forward_pre_hook(hook(f"site {i}")) for i, site in sorted(pipe.adapter.sites.items())]
    pipe(test.prompt, lead_sheet=test.sheet, generator=torch.Generator().manual_seed(test.seed))
    for handle in handles:
        handle.remove()
    return {name: torch.stack(maps).mean(0).numpy() for name, maps in seen.items()}


def weights(layer: MusicAttention, hidden: Tensor, keys: Tensor, values: Tensor, stream: MusicStream) -> Tensor:
    """What the layer's attention gives to each event, of the batch's last row, the one that hears the music.

    (rows, 1 + events).
    """
    angles = next(a for a in stream.angles if a.queries == hidden.shape[1])
    q = layer.to_q(hidden[-1:]).unflatten(-1, (layer.heads, -1)).transpose(1, 2)
    q = rotate(q, angles.cos, angles.sin) if layer.rotary else q
    scores = q @ keys[-1:].transpose(-1, -2) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~stream.mask[-1:, None, None, :], float("-inf"))
    each = scores.softmax(-1)[0].mean(0)  # (rows · columns, events)
    rows = len(torch.unique(angles.cos[:, 0]))
    return each.unflatten(0, (rows, -1)).mean(1)


def looks(weight: np.ndarray, starts: np.ndarray, seconds: float) -> np.ndarray:
    """KINDS' shares of one site, the first four of which sum to 1, from its ``weight`` (rows, 1 + events), the first
    column of which is "nothing". starts: of the events, seconds; seconds: of all rows. Raises ValueError where starts
    and columns differ in number.
    """
    rows, events = weight.shape
    if events != 1 + len(starts):
        raise ValueError(f"{events} columns of weights do not fit {len(starts)} events and the one that says nothing")
    times = (np.arange(rows) + 0.5) * seconds / rows
    now = np.clip(np.searchsorted(starts, times, side="right"), 1, events - 1)
    at = weight[np.arange(rows), now].mean()
    beside = sum(
        np.where(
            (now + step > 0) & (now + step < events), weight[np.arange(rows), np.clip(now + step, 1, events - 1)], 0
        ).mean()
        for step in (-1, 1)
    )
    nothing = weight[:, 0].mean()
    return np.array([at, beside, nothing, 1 - at - beside - nothing, 1 / events])


def draw(path: Path, maps: dict[str, np.ndarray], title: str) -> None:
    """One panel a site."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(maps), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (name, weight) in zip(np.atleast_1d(figure.subplots(1, len(maps))), maps.items(), strict=True):
        axis.imshow(weight, aspect="auto", origin="lower", cmap="magma")
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("event (0: nothing)")
    figure.suptitle(title[:120], fontsize=9)
    figure.supylabel("time")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
