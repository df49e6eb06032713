"""AudioLDM 2's way from latents to sound, autoencoder and HiFi-GAN, against the tiny decoder that can take its place.

    python benchmarks/decoders.py [--seconds 10.24] [--repeats 3] [--threads 1] [--json FILE]

At true size with random weights: time and arithmetic follow from shapes alone, how it sounds does not. Both decode the
same latents in turn; medians by the clock and by the processor's time, floating-point operations as torch counts them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from realsize import alternate, base_of, count, finish, medians, paired_ratio, table
from realsize_pipeline import sound_pair, tiny_decoder
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

COLUMNS = ("decoder", "parameters, M", "GFLOP", "seconds", "processor s", "faster than the pair")


@torch.no_grad()
def measure(seconds: float, repeats: int) -> list[dict[str, Any]]:
    """A row each: the pair, the tiny decoder."""
    base, (vae, vocoder), tiny = base_of("audioldm2"), sound_pair(), tiny_decoder()
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, base.unet["in_channels"], round(seconds / base.row_s), base.cols, generator=generator)

    def pair() -> Tensor:
        waves: Tensor = vocoder(vae.decode(latents / vae.config.scaling_factor).sample.squeeze(1))
        return waves

    tasks = {"autoencoder and HiFi-GAN": pair, "tiny decoder": lambda: tiny(latents)}
    sizes = {"autoencoder and HiFi-GAN": count(vae.decoder) + count(vocoder), "tiny decoder": count(tiny)}
    operations = {}
    for name, task in tasks.items():  # this warms up, too
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            task()
        operations[name] = counter.get_total_flops()
    with torch.no_grad():
        times = alternate({name: torch.no_grad()(task) for name, task in tasks.items()}, repeats)
    first = next(iter(tasks))
    return [
        {
            "decoder": name,
            "parameters": sizes[name],
            "flops": operations[name],
            "wall_s": medians(times[name]).wall_s,
            "cpu_s": medians(times[name]).cpu_s,
            "faster": paired_ratio(times[first], times[name]),
        }
        for name in tasks
    ]


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The table."""
    body = [
        [
            row["decoder"],
            f"{row['parameters'] / 1e6:.1f}",
            f"{row['flops'] / 1e9:.0f}",
            f"{row['wall_s']:.2f}",
            f"{row['cpu_s']:.2f}",
            f"{row['faster']:.0f} ×",
        ]
        for row in rows
    ]
    return [list(COLUMNS), *body]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = measure(args.seconds, args.repeats)
    print(table(lines(rows)))
    finish(rows, args.json)


if __name__ == "__main__":
    main()
