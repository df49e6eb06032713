"""What the music adapter adds to one denoising step, by the clock: the plain U-Net and the U-Net with adapter in turns.

    python benchmarks/adapter_overhead.py [--base audioldm2 nano] [--events 128] [--pairs 7] [--threads 2]

Music is embedded once (`MusicAdapter.prepare`: keys and values of all sites, the map, what is added at the sites), as a
generation does it before its first step; a step then is `MusicAdapter.inputs` and the U-Net's forward. The aim is 3 %
at 128 event tokens on the real U-Net.

Rows: the adapter; the adapter with the LoRA of the recipe (`--rank`); the same with the LoRA merged into the U-Net's
weights, as the pipeline has it while it generates (`MusicAdapter.merged`). These compare forwards of equal batch: what
the modules cost. Guidance costs more: a guided step has two rows a clip without music (nothing, words) and three with
it (and words with music), two again where both scales are equal. The last row compares three with two, merged.

All run on the same weights (the merged one has its own), in every turn each once, each turn in another order. `added`
compares medians; `pairs` is the median of the turns' own ratios, `CPU` compares the processor's time: where the three
differ, something else kept the machine busy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from diffusers import AudioLDM2UNet2DConditionModel
from realsize import (
    Base,
    adapter_of,
    alternate,
    base_of,
    count,
    finish,
    medians,
    paired_ratio,
    parser_of,
    recipe_of,
    table,
    timed,
    tokens_of,
    unet_of,
    words_of,
)
from torch import Tensor

from musetune.adapter import MusicAdapter

PLAIN, ADAPTER, LORA, MERGED = "U-Net", "with adapter", "with adapter and LoRA", "with adapter and merged LoRA"
TWO, THREE = "guided U-Net, 2 rows", "guided step, 3 rows against 2"
CASES = {
    PLAIN: (PLAIN, 1, PLAIN),
    ADAPTER: (ADAPTER, 1, PLAIN),
    LORA: (LORA, 1, PLAIN),
    MERGED: (MERGED, 1, PLAIN),
    TWO: (PLAIN, 2, TWO),
    THREE: (MERGED, 3, TWO),
}  # row → variant, rows a clip, the row that it is compared with
Step = Callable[[], Tensor]


def sharing(unet: AudioLDM2UNet2DConditionModel) -> AudioLDM2UNet2DConditionModel:
    """The same modules anew on the same parameters: what is plugged into one is not in the other."""
    return copy.deepcopy(unet, {id(p): p for p in unet.parameters()})


def variants(base: Base, rank: int) -> dict[str, tuple[AudioLDM2UNet2DConditionModel, MusicAdapter | None]]:
    """The four U-Nets with their adapters; the LoRA of MERGED is yet to be merged."""
    unet, recipe = unet_of(base), recipe_of(base.name)
    found: dict[str, tuple[AudioLDM2UNet2DConditionModel, MusicAdapter | None]] = {PLAIN: (unet, None)}
    for name, copied, its_rank in (
        (ADAPTER, sharing, 0),
        (LORA, sharing, rank or recipe.rank),
        (MERGED, copy.deepcopy, rank or recipe.rank),
    ):
        own = copied(unet)
        found[name] = own, adapter_of(own, base, recipe, its_rank)
    return found


def step_of(
    unet: AudioLDM2UNet2DConditionModel, adapter: MusicAdapter | None, base: Base, rows: int, batch: int, events: int
) -> tuple[Step, dict[str, Any]]:
    """One denoising step, and what there is to say of its preparation."""
    sample = torch.randn(batch, unet.config.in_channels, rows, base.cols)
    states, mask, generated = words_of(base, batch)
    words = {"encoder_hidden_states_1": states, "encoder_attention_mask_1": mask}
    if adapter is None:
        return lambda: unet(sample, 500, encoder_hidden_states=generated, **words).sample, {}
    tokens = tokens_of(events, base, rows, adapter, batch)
    prepared = adapter.prepare(tokens, rows, base.cols, base.row_s)
    once = timed(lambda: adapter.prepare(tokens, rows, base.cols, base.row_s))

    def step() -> Tensor:
        fed, hidden = adapter.inputs(sample, generated, prepared)
        return unet(fed, 500, encoder_hidden_states=hidden, **words).sample

    counts = {
        "events": tokens.events.shape[1],
        "own": count(adapter),
        "trained": sum(p.numel() for p in adapter.trainable_parameters()),
    }
    return step, counts | {"prepare_s": once.wall_s}


@torch.no_grad()
def measure(
    name: str, *, events: int, pairs: int, rank: int = 0, rows: int | None = None, batch: int = 1
) -> list[dict[str, Any]]:
    """A row for each of CASES. Seconds are medians of ``pairs`` turns; ``seconds`` has all."""
    base = base_of(name)
    found = variants(base, rank)
    made = {
        what: step_of(*found[variant], base, rows or base.rows, each * batch, events)
        for what, (variant, each, _) in CASES.items()
    }
    steps = {what: step for what, (step, _) in made.items()}
    with found[MERGED][1].merged():
        for step in steps.values():
            step()
        times = alternate(steps, pairs)
    plain = {what: times[against] for what, (_, _, against) in CASES.items()}
    return [
        {
            "base": base.name,
            "what": what,
            "rows": rows or base.rows,
            "batch": CASES[what][1] * batch,
            "threads": torch.get_num_threads(),
            **made[what][1],
            "wall_s": (middle := medians(seen)).wall_s,
            "cpu_s": middle.cpu_s,
            "added": middle.wall_s / medians(plain[what]).wall_s - 1,
            "added_pairs": paired_ratio(seen, plain[what]) - 1,
            "added_cpu": middle.cpu_s / medians(plain[what]).cpu_s - 1,
            "seconds": [t.wall_s for t in seen],
        }
        for what, seen in times.items()
    ]


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Rows of ``measure`` as a table's."""
    head = ["base", "a step of", "parameters added", "seconds", "added", "pairs", "CPU", "prepared once, s"]
    body = [
        [
            row["base"],
            row["what"],
            f"{row.get('trained', 0) / 1e6:.2f} M",
            f"{row['wall_s']:.3f}",
            *(f"{100 * row[k]:+.1f} %" if "trained" in row else "" for k in ("added", "added_pairs", "added_cpu")),
            f"{row['prepare_s']:.3f}" if "trained" in row else "",
        ]
        for row in rows
    ]
    return [head, *body]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--events", type=int, default=128, help="event tokens of the music; default: 128")
    parser.add_argument("--pairs", type=int, default=7, help="turns in which every variant runs once; default: 7")
    parser.add_argument("--rank", type=int, default=0, help="of the LoRA; default: the recipe's, 12")
    parser.add_argument(
        "--batch", type=int, default=1, help="clips a step, a row each but in the guided ones; default: 1"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [
        row
        for name in args.base
        for row in measure(name, events=args.events, pairs=args.pairs, rank=args.rank, rows=args.rows, batch=args.batch)
    ]
    print(table(lines(rows)))
    finish(rows, args.json)


if __name__ == "__main__":
    main()
