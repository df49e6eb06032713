"""What training the adapter takes: parameters, memory and time of a step, by batch and with or without checkpointing.

    python benchmarks/adapter_training.py [--base audioldm2] [--batch 1 4] [--steps 2] [--device cpu|cuda] [--json
    out.json]

A step is that of recipes/finetune.py on cached latents: music embedded and injected into the frozen U-Net, min-SNR
loss, backward, clipping, AdamW, average of the weights; adapter and LoRA are those of the base's recipe. Latents and
words are random, since neither memory nor time depends on them; there are 128 event tokens.

Every combination runs in a process of its own, so that its peak is its own: the most memory that the process ever had
resident (`VmHWM` on Linux), or on cuda the most that torch had allocated. `before` is what it held
when the first step began: weights, optimiser, libraries. Seconds are medians by the clock; `CPU seconds`, the
processor's own, leave out what else the machine did meanwhile. A combination that the system kills for its memory is
reported as such. `--quantization int8` rounds the frozen U-Net's matrices after they were made, so that the peak of a
small batch may be that of making them.
"""

from __future__ import annotations

import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from diffusers import DDPMScheduler
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import EMAModel
from realsize import (
    Base,
    adapter_of,
    base_of,
    count,
    finish,
    parser_of,
    recipe_of,
    table,
    timed,
    tokens_of,
    unet_of,
    words_of,
)
from torch import Tensor
from tqdm import tqdm

from musetune.conditioning import MusicTokens
from musetune.datasets import TextEmbedding
from musetune.pipeline.quantization import quantize_unet
from musetune.training.denoiser import Denoiser
from musetune.training.loss import add_noise, diffusion_loss, snr, target
from musetune.training.memory import enable_gradient_checkpointing

EVENTS = 128


class Learner:
    """The recipe's adapter on a base with random weights, and one step of the recipe's training."""

    def __init__(
        self,
        base: Base,
        *,
        checkpointing: bool,
        device: str,
        mixed_precision: str = "no",
        quantization: str | None = None,
    ) -> None:
        recipe = recipe_of(base.name)
        unet = unet_of(base)
        if device == "cpu":
            unet.set_attn_processor(AttnProcessor())  # as finetune.py does: on CPUs faster in training
        self.base_parameters = count(unet)
        if quantization is not None:
            quantize_unet(unet, quantization)
        self.adapter = adapter_of(unet, base, recipe, recipe.rank)
        if checkpointing:
            enable_gradient_checkpointing(unet)
        self.model = Denoiser(unet, self.adapter, base.row_s).train().to(device)
        self.device, self.recipe, self.bf16 = device, recipe, mixed_precision == "bf16"
        self.trained = self.adapter.trainable_parameters()
        self.optimizer = torch.optim.AdamW(self.trained, recipe.learning_rate, foreach=True)
        self.ema = EMAModel(self.trained, decay=recipe.ema_decay, foreach=True)
        self.alphas = DDPMScheduler().alphas_cumprod.to(device)

    def step(self, latents: Tensor, tokens: MusicTokens, text: TextEmbedding) -> float:
        """latents (B, channels, rows, cols), scaled → the loss, after the weights have moved."""
        noise, t = torch.randn_like(latents), torch.randint(len(self.alphas), (len(latents),), device=self.device)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.bf16):
            predicted = self.model(add_noise(latents, noise, self.alphas, t), t, tokens, text)
        wanted = target(latents, noise, self.alphas, t, "epsilon")
        ratio = snr(self.alphas, t)
        loss = diffusion_loss(predicted, wanted, ratio, "epsilon", self.recipe.snr_gamma).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, self.recipe.max_grad_norm)
        self.optimizer.step()
        self.ema.step(self.trained)
        self.optimizer.zero_grad()
        return loss.item()


class Trial(NamedTuple):
    """One combination."""

    base: str
    batch: int
    checkpointing: bool
    steps: int
    rows: int | None = None
    device: str = "cpu"
    threads: int = 2
    mixed_precision: str = "no"
    quantization: str | None = None


def measure(trial: Trial) -> dict[str, Any]:
    """Parameters, bytes at most and before the first step, seconds of each step after one that does not count."""
    torch.set_num_threads(trial.threads)
    base = base_of(trial.base)
    learner = Learner(
        base,
        checkpointing=trial.checkpointing,
        device=trial.device,
        mixed_precision=trial.mixed_precision,
        quantization=trial.quantization,
    )
    rows = trial.rows or base.rows
    latents = torch.randn(trial.batch, base.unet["in_channels"], rows, base.cols, device=trial.device)
    tokens = tokens_of(EVENTS, base, rows, learner.adapter, trial.batch).to(trial.device)
    text = TextEmbedding(*(x.to(trial.device) for x in words_of(base, trial.batch)))
    before = held(trial.device)
    losses: list[float] = []
    times = [timed(lambda: losses.append(learner.step(latents, tokens, text))) for _ in range(1 + trial.steps)][1:]
    own = count(learner.adapter)
    return trial._asdict() | {
        "base": base.name,
        "rows": rows,
        "events": tokens.events.shape[1],
        "device": _device(trial.device),
        "parameters": learner.base_parameters,
        "adapter": own,
        "lora": sum(p.numel() for p in learner.trained) - own,
        "peak": peak(trial.device),
        "before": before,
        "seconds": [t.wall_s for t in times],
        "cpu_seconds": [t.cpu_s for t in times],
        "losses": losses,
    }


def peak(device: str) -> int:
    """The most bytes so far: resident in this process, or on cuda allocated by torch."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would also count the process that this one was forked from
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def held(device: str) -> int:
    """The bytes of now: resident in this process, or on cuda allocated by torch; the most so far where the system does
    not tell.
    """
    if device != "cpu":
        return torch.cuda.memory_allocated(device)
    status = Path("/proc/self/status")
    return 1024 * int(status.read_text().split("VmRSS:")[1].split()[0]) if status.is_file() else peak(device)


def alone(trial: Trial) -> dict[str, Any]:
    """``measure`` in a new process; without figures where the system killed it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, trial).result()
        except BrokenProcessPool:
            return trial._asdict() | {"killed": True}


def _device(name: str) -> str:
    return name if name == "cpu" else torch.cuda.get_device_name(name)


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Rows of ``measure`` as a table's."""
    head = [
        "base",
        "batch",
        "checkpointing",
        "U-Net",
        "adapter",
        "LoRA",
        "trained",
        "peak, GB",
        "before, GB",
        "seconds",
        "CPU seconds",
        "clips/min",
    ]
    body: list[list[str]] = []
    for row in rows:
        start = [row["base"], str(row["batch"]), "yes" if row["checkpointing"] else "no"]
        if row.get("killed"):
            body.append([*start, *[""] * 4, "killed by the system", *[""] * 4])
            continue
        seconds, trained = median(row["seconds"]), row["adapter"] + row["lora"]
        body.append(
            [
                *start,
                *(f"{row[k] / 1e6:.2f} M" for k in ("parameters", "adapter", "lora")),
                f"{100 * trained / row['parameters']:.1f} %",
                *(f"{row[k] / 1e9:.1f}" for k in ("peak", "before")),
                f"{seconds:.2f}",
                f"{median(row['cpu_seconds']):.2f}",
                f"{60 * row['batch'] / seconds:.1f}",
            ]
        )
    return [head, *body]


def main() -> None:
    parser = parser_of(__doc__)
    parser.set_defaults(base=["audioldm2"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="clips a step; default: 1 4")
    parser.add_argument(
        "--checkpointing",
        nargs="+",
        choices=["no", "yes"],
        default=["no", "yes"],
        help="compute activations again in the backward pass instead of keeping them; default: both",
    )
    parser.add_argument("--steps", type=int, default=2, help="that count, after one that does not; default: 2")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; default: cpu")
    parser.add_argument("--mixed-precision", choices=["no", "bf16"], default="no", help="default: no")
    parser.add_argument("--quantization", choices=["int8"], help="of the frozen U-Net's matrices; default: none")
    args = parser.parse_args()
    how = (args.device, args.threads, args.mixed_precision, args.quantization)
    trials = [
        Trial(name, batch, again == "yes", args.steps, args.rows, *how)
        for name, batch, again in product(args.base, args.batch, args.checkpointing)
    ]
    rows = [alone(trial) for trial in tqdm(trials, unit="process")]
    print(
        f"{rows[0]['device']}, {args.threads} threads, {args.mixed_precision} mixed precision, "
        f"quantization {args.quantization or 'none'}\n\n{table(lines(rows))}"
    )
    finish(rows, args.json)


if __name__ == "__main__":
    main()
