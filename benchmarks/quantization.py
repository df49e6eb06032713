"""What fewer bits a weight buy and cost: megabytes, peak memory, seconds of a step, and how far the output moves.

    python benchmarks/quantization.py steps [--base audioldm2 nano] [--steps 2] [--threads 1]
    python benchmarks/quantization.py sizes [--json out/sizes.json]
    python benchmarks/quantization.py sheets [--limit 6] [--threads 1]

`steps`: the U-Net alone, each kind in a process of its own, which loads it from a folder as `from_pretrained` does and
takes guided steps (two rows). AudioLDM 2's weights are random, since cost follows from shapes. `moved` is the relative
distance of a step's output from float32's. `sizes`: megabytes of everything that `from_pretrained` rounds, U-Net, CLAP,
T5 and GPT-2, at AudioLDM 2's true size with random weights. `sheets`: nano with the theory adapter plays lead sheets of
the test set from the same noise; chords and beats as the report hears them, `moved` the relative distance of the final
latents from float32's. Another seed moves them by about 1.4: a quantised model plays *another* take once `moved` comes
near that.

With --json `steps` and `sizes` write each row as soon as it is there, and go on where they were.

Kinds: float32, bfloat16, and those of `MuseTunePipeline.from_pretrained(…, quantization=…)`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

import realsize_pipeline
import torch
from adapter_training import peak
from kept_rows import KeptRows
from realsize import base_of, finish, medians, table, timed, unet_of, words_of
from torch import Tensor
from tqdm import tqdm

from musetune.evaluation import load_test_sheets, report
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.quantization import (
    quantize_clap,
    quantize_language_model,
    quantize_unet,
    torchao_config,
    unet_config,
    without_advice,
)

KINDS = ("float32", "bfloat16", "int8", "int8-dynamic", "fp8")
STEP_COLUMNS = ("base", "weights", "MB", "peak, MB", "seconds a step", "processor s", "of float32", "moved")
SIZE_COLUMNS = ("kind", "U-Net", "CLAP", "T5", "GPT-2", "all")
SHEET_COLUMNS = ("weights", "majmin", "beat_f", "downbeat_f", "moved", "processor s a clip", "of float32")


def options_of(kind: str) -> dict[str, Any]:
    """What ``from_pretrained`` of a U-Net takes for a kind."""
    if kind in ("float32", "bfloat16"):
        return {"torch_dtype": getattr(torch, kind)}
    return {"torch_dtype": torch.float32, "quantization_config": unet_config(kind)}


def megabytes(module: torch.nn.Module) -> float:
    """What a module's weights take, in 10⁶ bytes; of torchao's tensors the numbers and their scales."""
    total = 0
    for weight in module.parameters():
        parts = getattr(weight.data, "tensor_data_names", None)
        total += sum(getattr(weight.data, name).nbytes for name in parts) if parts else weight.nbytes
    return total / 1e6


@torch.no_grad()
def steps_of(name: str, folder: str, kind: str, steps: int, threads: int) -> dict[str, Any]:
    """Size, peak and times of a kind, and what a step returns; in a process of its own."""
    from diffusers import AudioLDM2UNet2DConditionModel

    torch.set_num_threads(threads)
    base = base_of(name)
    with without_advice():
        unet = AudioLDM2UNet2DConditionModel.from_pretrained(folder, **options_of(kind)).eval()
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(2, base.unet["in_channels"], base.rows, base.cols, generator=generator).to(unet.dtype)
    torch.manual_seed(0)
    states, mask, generated = words_of(base, 2)
    words = {"encoder_hidden_states_1": states.to(unet.dtype), "encoder_attention_mask_1": mask}
    output: list[Tensor] = []

    def step() -> None:
        output[:] = [unet(sample, 500, encoder_hidden_states=generated.to(unet.dtype), **words).sample.float()]

    step()
    time = medians([timed(step) for _ in range(steps)])
    return {
        "base": base.name,
        "kind": kind,
        "mb": megabytes(unet),
        "peak_mb": peak("cpu") / 1e6,
        "wall_s": time.wall_s,
        "cpu_s": time.cpu_s,
        "output": output[0].numpy(),
    }


def measure_steps(name: str, steps: int, threads: int, kept: KeptRows) -> list[dict[str, Any]]:
    """A row a kind."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:

        def measure(kind: str) -> dict[str, Any]:
            if not any(Path(folder).iterdir()):
                unet_of(base_of(name)).save_pretrained(folder)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                row = pool.submit(steps_of, name, folder, kind, steps, threads).result()
            return row | {"output": row["output"].tolist()}

        for kind in tqdm(KINDS, unit="kind"):
            rows.append(dict(kept.row(f"{name}, {kind}", lambda kind=kind: measure(kind))))
    exact = torch.tensor(rows[0]["output"])
    for row in rows:
        row["moved"] = float((torch.tensor(row.pop("output")) - exact).norm() / exact.norm())
        row["ratio"] = row["cpu_s"] / rows[0]["cpu_s"]
    return rows


def step_lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The table of ``steps``."""
    body = [
        [
            row["base"],
            row["kind"],
            f"{row['mb']:.0f}",
            f"{row['peak_mb']:.0f}",
            f"{row['wall_s']:.2f}",
            f"{row['cpu_s']:.2f}",
            f"{row['ratio']:.2f}",
            f"{row['moved']:.3f}",
        ]
        for row in rows
    ]
    return [list(STEP_COLUMNS), *body]


def measure_sizes(kept: KeptRows) -> list[dict[str, Any]]:
    """A row a kind: megabytes of each part that is rounded, one part in memory at a time."""
    makers: dict[str, tuple[Callable[[], torch.nn.Module], Callable[[torch.nn.Module, str], None]]] = {
        "U-Net": (lambda: unet_of(base_of("audioldm2")), quantize_unet),
        "CLAP": (realsize_pipeline.text_encoder, quantize_clap),
        "T5": (realsize_pipeline.text_encoder_2, quantize_linear),
        "GPT-2": (realsize_pipeline.language_model, quantize_language_model),
    }

    def measure(part: str, kind: str) -> dict[str, float]:
        make, quantize = makers[part]
        module = make()
        if kind not in ("float32", "bfloat16"):
            quantize(module, kind)
        else:
            torch.nn.Module.to(module, getattr(torch, kind))
        return {"mb": megabytes(module)}

    rows: dict[str, dict[str, Any]] = {kind: {"kind": kind} for kind in KINDS}
    for part, kind in tqdm(list(product(makers, KINDS)), unit="part"):
        rows[kind][part] = kept.row(f"{part}, {kind}", lambda part=part, kind=kind: measure(part, kind))["mb"]
    return [row | {"all": sum(row[part] for part in makers)} for row in rows.values()]


def quantize_linear(module: torch.nn.Module, kind: str) -> None:
    """As transformers does it with T5 while one is loaded: all ``nn.Linear``."""
    from torchao.quantization import quantize_

    quantize_(module, torchao_config(kind))


def size_lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The table of ``sizes``."""
    return [list(SIZE_COLUMNS), *([row["kind"], *(f"{row[part]:.0f}" for part in SIZE_COLUMNS[1:])] for row in rows)]


def pipe_of(kind: str, base: str, adapter: str) -> MuseTunePipeline:
    """The pipeline with weights of a kind."""
    exact = kind in ("float32", "bfloat16")
    options: dict[str, Any] = {"dtype": getattr(torch, kind)} if exact else {"quantization": kind}
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def measure_sheets(base: str, adapter: str, limit: int, steps: int) -> list[dict[str, Any]]:
    """A row a kind: means over the sheets."""
    tests = load_test_sheets(None)[:limit]
    exact: list[Tensor] = []
    rows = []
    for kind in KINDS:
        pipe = pipe_of(kind, base, adapter)
        scores, moved, times = [], [], []
        for i, test in enumerate(tqdm(tests, unit="sheet", desc=kind)):
            outputs: list[Any] = []

            def call(i: int = i, test: Any = test, outputs: list[Any] = outputs, pipe: MuseTunePipeline = pipe) -> None:
                generator = torch.Generator().manual_seed(i)
                options = {"num_inference_steps": steps, "generator": generator, "lead_sheet": test.sheet}
                outputs.append(pipe(test.prompt, **options))

            times.append(timed(call).cpu_s)
            latents = outputs[0].latents.float()
            if kind == KINDS[0]:
                exact.append(latents)
            moved.append(float((latents - exact[i]).norm() / exact[i].norm()))
            scores.append(report(outputs[0].audios[0], outputs[0].sampling_rate, test.sheet).scores)
        rows.append(
            {
                "kind": kind,
                "moved": mean(moved),
                "cpu_s": mean(times),
                "scores": {name: mean(one[name] for one in scores) for name in SHEET_COLUMNS[1:4]},
            }
        )
    return rows


def sheet_lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The table of ``sheets``."""
    body = [
        [
            row["kind"],
            *(f"{100 * row['scores'][name]:.1f}" for name in SHEET_COLUMNS[1:4]),
            f"{row['moved']:.2f}",
            f"{row['cpu_s']:.2f}",
            f"{row['cpu_s'] / rows[0]['cpu_s']:.2f}",
        ]
        for row in rows
    ]
    return [list(SHEET_COLUMNS), *body]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("steps", "sizes", "sheets"))
    parser.add_argument("--base", nargs="+", default=["audioldm2", "nano"])
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--steps", type=int, help="timed steps of `steps` (2), denoising steps of `sheets` (20)")
    parser.add_argument("--limit", type=int, default=6, help="lead sheets of `sheets`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.what == "steps":
        kept = KeptRows(args.json, what="steps", steps=args.steps or 2, threads=args.threads)
        rows = [row for name in args.base for row in measure_steps(name, args.steps or 2, args.threads, kept)]
        print(table(step_lines(rows)))
    elif args.what == "sizes":
        print(table(size_lines(measure_sizes(KeptRows(args.json, what="sizes")))))
    else:
        rows = measure_sheets("nano", args.adapter, args.limit, args.steps or 20)
        print(table(sheet_lines(rows)))
        finish(rows, args.json)


if __name__ == "__main__":
    main()
