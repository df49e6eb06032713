"""What genre adapters cost on the real U-Net, by the clock.

Loading from disk, swapping, and having the active ones in the weights.

    python benchmarks/adapter_swap.py [--base audioldm2 nano] [--rank 16] [--swaps 1000] [--loads 5]

The theory adapter of the recipe with its LoRA is attached; two genre LoRAs of ``--rank`` on every layer that the
recipe's adapts lie on disk as `pipe.save_adapter` writes them. Rows: `load_adapter` of a folder (read, checked against
the U-Net, resident); `set_adapter` between resident ones; and what a generation spends once, whatever is active: adding
the active LoRAs to the weights before its first step and putting the weights back after its last. The aims are 500 ms
and 50 ms. Then how much memory the process gained over all swaps, and whether the U-Net's weights are what they were.

Medians and worst, by the clock and by the processor's time: where the two differ, something else kept the machine busy.
"""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path
from typing import Any

import torch
from realsize import Base, Time, adapter_of, base_of, finish, parser_of, recipe_of, table, timed, unet_of

from musetune.adapter import lora
from musetune.adapter.lora import LoraDelta
from musetune.adapter.lora_files import Lora
from musetune.adapter.metadata import AdapterMetadata
from musetune.pipeline.pipeline import MuseTunePipeline

GENRES = ("jazz", "rock")
LOAD, SWAP, IN, OUT = "load_adapter from disk", "set_adapter", "active LoRAs into the weights", "weights put back"
AIMS_S = {LOAD: 0.5, SWAP: 0.05}


def pipe_of(base: Base) -> MuseTunePipeline:
    """A pipeline that has nothing but the U-Net and the recipe's adapter with a LoRA that does something."""
    pipe = MuseTunePipeline(*[None] * 8, unet_of(base), None, None)  # type: ignore[arg-type]
    recipe = recipe_of(base.name)
    adapter = adapter_of(pipe.unet, base, recipe, recipe.rank)
    for parameter in lora.parameters(pipe.unet, "music"):
        torch.nn.init.normal_(parameter, std=0.02)
    pipe.register_modules(adapter=adapter)
    return pipe


def write_genre(pipe: MuseTunePipeline, folder: Path, rank: int, seed: int) -> Path:
    """A LoRA on the layers that the theory adapter's adapts, random weights."""
    drawn = torch.Generator().manual_seed(seed)
    weights, parts = lora.plain_weights(pipe.unet), {}
    for key in lora.state(pipe.unet, "music"):
        if ".lora_A" in key:
            name = key.removesuffix(".lora_A.weight")
            out, *inside = weights[f"{name}.weight"].shape
            down = torch.randn(rank, *inside, generator=drawn) * 0.02
            parts[name] = LoraDelta(
                down, torch.randn(out, rank, *(1,) * (len(inside) - 1), generator=drawn) * 0.02, 1.0
            )
    Lora(parts, AdapterMetadata.of(pipe.unet, "lora", folder.name, "random", genre=folder.name)).write(folder)
    return folder


def rss_mb() -> float:
    """Memory of this process now; the most that it ever had where the system does not tell."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


@torch.no_grad()
def measure(name: str, *, rank: int, swaps: int, loads: int) -> dict[str, Any]:
    """Times of each of LOAD, SWAP, IN and OUT; what the swaps left behind."""
    base = base_of(name)
    pipe = pipe_of(base)
    before = {key: weight.clone() for key, weight in lora.plain_weights(pipe.unet).items()}
    with tempfile.TemporaryDirectory() as place:
        folders = [write_genre(pipe, Path(place) / genre, rank, seed) for seed, genre in enumerate(GENRES)]
        pipe.load_adapter(folders[0])
        times = {LOAD: [timed(lambda i=i: pipe.load_adapter(folders[i % 2])) for i in range(loads)]}
        pipe.load_adapter(folders[1])
    around = [_around(pipe) for _ in range(3)]
    memory = rss_mb()
    times[SWAP] = [timed(lambda i=i: pipe.set_adapter(GENRES[i % 2])) for i in range(swaps)]
    gained = rss_mb() - memory
    around += [_around(pipe) for _ in range(max(1, loads - 3))]
    times |= {IN: [first for first, _ in around], OUT: [last for _, last in around]}
    same = all(torch.equal(weight, before[key]) for key, weight in lora.plain_weights(pipe.unet).items())
    return {
        "base": base.name,
        "rank": rank,
        "parameters": pipe.adapters[GENRES[0]].parameters,
        "threads": torch.get_num_threads(),
        "gained_mb": gained,
        "weights_as_before": same,
        "times": {what: [tuple(t) for t in seen] for what, seen in times.items()},
    }


def _around(pipe: MuseTunePipeline) -> tuple[Time, Time]:
    """What a generation does with the weights before its first step and after its last."""
    context = pipe.adapter_manager.playing(1.0, music=True)
    return timed(context.__enter__), timed(lambda: context.__exit__(None, None, None))


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Rows of ``measure`` as a table's."""
    head = ["base", "LoRA", "what", "times", "median, ms", "worst, ms", "CPU median, ms", "aim, ms"]
    body = [
        [
            row["base"],
            f"rank {row['rank']}, {row['parameters'] / 1e6:.2f} M",
            what,
            str(len(times)),
            *_milliseconds([wall for wall, _ in times]),
            _milliseconds([cpu for _, cpu in times])[0],
            f"{1000 * AIMS_S[what]:.0f}" if what in AIMS_S else "",
        ]
        for row in rows
        for what, times in row["times"].items()
    ]
    return [head, *body]


def _milliseconds(seconds: list[float]) -> list[str]:
    return [f"{1000 * of(seconds):.3g}" for of in (_median, max)]


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rank", type=int, default=16, help="of the genre LoRAs; default: 16")
    parser.add_argument("--swaps", type=int, default=1000, help="default: 1000")
    parser.add_argument("--loads", type=int, default=5, help="default: 5")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [measure(name, rank=args.rank, swaps=args.swaps, loads=args.loads) for name in args.base]
    print(table(lines(rows)))
    for row in rows:
        kept = "are what they were" if row["weights_as_before"] else "have CHANGED"
        print(f"{row['base']}: after {args.swaps} swaps {row['gained_mb']:+.1f} MB; the U-Net's weights {kept}")
    finish(rows, args.json)


if __name__ == "__main__":
    main()
