"""The rungs of `speed.py`'s ladder: ways to make a clip, each timed against the one before it in one run.

A rung's time is that of the denoising loop: steps times the time of a step, which is measured alone, since a step costs
the same at every noise level and whatever the weights are. So the rung of few steps needs no distilled adapter, and
AudioLDM 2's weights are random. A step predicts as many rows as a call by the defaults does: words and nothing in the
stock pipeline, what two equal scales of guidance need with music, one row in few steps.

Each rung is held against the one before it and against the rung that it changes (``against``): these alternate, so that
what else the machine does falls on all, and the ratio is the median of the turns' own. Networks are made when a rung
first needs them. Limit: the U-Net's floating-point operations, counted by torch, over those a second that a product of
matrices of 1024 × 1024 reaches here, in bfloat16 for the rungs that compute in it.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from kept_rows import KeptRows
from realsize import Base, adapter_of, alternate, base_of, medians, paired_ratio, recipe_of, timed, unet_of
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from musetune.adapter import MusicAdapter, lora, merging
from musetune.pipeline.exported_unet import ENGINES, ExportedUNet
from musetune.pipeline.onnx_file import write_onnx
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.quantization import quantize_unet
from musetune.pipeline.request import STEPS_WITH_MUSIC, default_passes
from musetune.pipeline.unet_export import LAYOUT, prepare_music, unet_part
from musetune.symbols import LeadSheet

COLUMNS = (
    "base",
    "rung",
    "steps × passes",
    "loop, s",
    "processor s",
    "× as fast as the one before",
    "× as fast as",
    "limit, s",
    "limit / loop",
)
OPTIONAL = ("compiled", "compiled-bfloat16", "int8", *ENGINES)
FAST, HALF = "few: 4 steps of one pass", "bfloat16"
PLAIN = ("stock: 200 DDIM steps, words", "20 steps, words and music, LoRA beside", "LoRA merged")
BUSY = 1024
Step = Callable[[], Any]


class Rung(NamedTuple):
    """A way to make a clip.

    against: the rung that it changes; steps: of a clip; passes: rows of a step; step: one of them, which makes its
    network when it is first called; dtype: of its arithmetic.
    """

    against: str | None
    steps: int
    passes: int
    step: Step
    dtype: torch.dtype = torch.float32


Network = tuple[Any, MusicAdapter]  # a U-Net and the adapter on it


def network_of(base: Base) -> Network:
    """nano with its theory adapter; or a base's shapes with the recipe's adapter and LoRA, random weights."""
    if base.name == "nano":
        pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")
        pipe.adapter.strength = 1.0
        return pipe.unet, pipe.adapter
    unet, recipe = unet_of(base), recipe_of(base.name)
    adapter = adapter_of(unet, base, recipe, recipe.rank)
    for parameter in lora.parameters(unet, "music"):
        torch.nn.init.normal_(parameter, std=0.02)
    return unet, adapter


class Networks:
    """The U-Nets of the rungs, each made when it is first asked for.

    Args:
        base: of which they are.
        folder: for the export.
        undo: gives back what they hold on to.
        threads: of the engines.
    """

    def __init__(self, base: Base, folder: Path, undo: ExitStack, threads: int) -> None:
        self.base, self.folder, self.undo, self.threads = base, folder, undo, threads

    @cached_property
    def own(self) -> Network:
        """The U-Net with its LoRA beside its weights."""
        return network_of(self.base)

    @cached_property
    def merged(self) -> Network:
        """With the LoRA in its weights."""
        return self._merge(copy.deepcopy(self.own))

    @cached_property
    def halved(self) -> Network:
        """In bfloat16."""
        halved = self._merge(copy.deepcopy(self.own))
        for part in halved:
            torch.nn.Module.to(part, dtype=torch.bfloat16)
        return halved

    def compiled(self, dtype: torch.dtype) -> Network:
        """Compiled by inductor, for sizes of any kind; its first step takes minutes."""
        network = copy.deepcopy(self.halved if dtype == torch.bfloat16 else self.merged)
        network[0].compile(dynamic=True)
        return network

    @cached_property
    def rounded(self) -> Network:
        """In int8, the LoRA beside."""
        rounded = copy.deepcopy(self.own)
        quantize_unet(rounded[0], "int8")
        return self._merge(rounded)

    def exported(self, engine: str) -> Network:
        """In another engine, for the base's own length alone."""
        base = self.base
        if not (self.folder / LAYOUT).exists():
            sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], duration_seconds=base.rows * base.row_s)
            part, layout = unet_part(*self.merged, sheet, base.rows, base.row_s)
            write_onnx(part, self.folder / "unet.onnx")
            (self.folder / LAYOUT).write_text(json.dumps(layout))
        return ExportedUNet(self.folder, engine, self.threads), self.merged[1]

    def _merge(self, network: Network) -> Network:
        self.undo.enter_context(merging.merged(network[0]))
        return network


@torch.no_grad()
def step_of(
    unet: Any, adapter: MusicAdapter | None, base: Base, batch: int, dtype: torch.dtype = torch.float32
) -> Step:
    """One prediction of ``batch`` rows, by any U-Net that is called like diffusers'; with music where an adapter is
    given.
    """
    generator = torch.Generator().manual_seed(0)
    _, gpt2, t5 = base.unet["cross_attention_dim"][0]
    shapes = ((batch, base.unet["in_channels"], base.rows, base.cols), (batch, 8, gpt2), (batch, 32, t5))
    sample, hidden, states = (torch.randn(*shape, generator=generator).to(dtype) for shape in shapes)
    if adapter is not None:
        sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], duration_seconds=base.rows * base.row_s)
        sample, hidden = adapter.inputs(sample, hidden, prepare_music(adapter, sheet, base.rows, batch, base.row_s))
    mask = torch.ones(batch, 32, dtype=torch.long)

    @torch.no_grad()
    def step() -> Tensor:
        return unet(
            sample,
            torch.tensor(500),
            encoder_hidden_states=hidden,
            encoder_hidden_states_1=states,
            encoder_attention_mask_1=mask,
        ).sample

    return step


def when_called(make: Callable[[], Step]) -> Step:
    """A step that is made when it is first called."""
    made: list[Step] = []

    def step() -> Any:
        if not made:
            made.append(make())
        return made[0]()

    return step


def rungs_of(base: Base, names: Sequence[str], folder: Path, undo: ExitStack, threads: int) -> dict[str, Rung]:
    """The rungs in their order, with those of OPTIONAL that are named; what they hold on to is given back by
    ``undo``.
    """
    networks, guided, half = Networks(base, folder, undo, threads), default_passes(), torch.bfloat16
    rungs = {
        PLAIN[0]: Rung(None, 200, 2, when_called(lambda: step_of(networks.own[0], None, base, 2))),
        PLAIN[1]: Rung(PLAIN[0], STEPS_WITH_MUSIC, guided, when_called(lambda: step_of(*networks.own, base, guided))),
        PLAIN[2]: Rung(
            PLAIN[1], STEPS_WITH_MUSIC, guided, when_called(lambda: step_of(*networks.merged, base, guided))
        ),
        FAST: Rung(PLAIN[2], 4, 1, when_called(lambda: step_of(*networks.merged, base, 1))),
    }
    if "compiled" in names:
        compiled = when_called(lambda: step_of(*networks.compiled(torch.float32), base, 1))
        rungs["compiled"] = Rung(FAST, 4, 1, compiled)
    rungs[HALF] = Rung(FAST, 4, 1, when_called(lambda: step_of(*networks.halved, base, 1, half)), half)
    if "compiled-bfloat16" in names:
        compiled = when_called(lambda: step_of(*networks.compiled(half), base, 1, half))
        rungs["bfloat16, compiled"] = Rung(HALF, 4, 1, compiled, half)
    if "int8" in names:
        rungs["int8, LoRA beside"] = Rung(FAST, 4, 1, when_called(lambda: step_of(*networks.rounded, base, 1)))
    for engine in ENGINES:
        if engine in names:
            exported = when_called(lambda engine=engine: step_of(*networks.exported(engine), base, 1))
            rungs[engine] = Rung(FAST, 4, 1, exported)
    return rungs


def flops_of(step: Step) -> int:
    """Floating-point operations of a step."""
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return int(counter.get_total_flops())


def speed_of(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product, the best of five."""
    a, b = (torch.randn(BUSY, BUSY).to(dtype) for _ in range(2))
    _ = a @ b
    return 2 * BUSY**3 / min(timed(lambda: a @ b).wall_s for _ in range(5))


def climb(name: str, names: Sequence[str], repeats: int, threads: int, kept: KeptRows) -> list[dict[str, Any]]:
    """A row for each rung; those that ``kept`` has are not measured again, of the others it is said on stderr."""
    base = base_of(name)
    with TemporaryDirectory() as folder, ExitStack() as undo:
        rungs = rungs_of(base, names, Path(folder), undo, threads)
        order = list(rungs)
        rows = []
        for number, what in enumerate(order):
            others = dict.fromkeys(one for one in (rungs[what].against, *order[max(0, number - 1) : number]) if one)

            def measure(what: str = what, others: Sequence[str] = tuple(others)) -> dict[str, Any]:
                print(f"{base.name}: {what}", file=sys.stderr, flush=True)
                return {"base": base.name, "rung": what, **measured(rungs, what, others, repeats)}

            rows.append(kept.row(f"{base.name}, {what}", measure))
    return rows


def measured(rungs: dict[str, Rung], what: str, others: Sequence[str], repeats: int) -> dict[str, Any]:
    """The figures of a rung, and how many times as fast it is as the others."""
    rung = rungs[what]
    began = time.perf_counter()
    for one in (what, *others):
        rungs[one].step()  # makes the network, compiles, warms up
    ready_s = time.perf_counter() - began
    times = alternate({one: rungs[one].step for one in (*others, what)}, repeats)
    middle = medians(times[what])
    counted = what if rung.against in (None, *PLAIN) else FAST  # an engine's operations torch does not count
    limit = rung.steps * flops_of(rungs[counted].step) / speed_of(rung.dtype)
    loop = {one: [rungs[one].steps * turn.wall_s for turn in turns] for one, turns in times.items()}
    faster = {one: paired_ratio(times[one], times[what]) * rungs[one].steps / rung.steps for one in others}
    return {
        "steps": rung.steps,
        "passes": rung.passes,
        "wall_s": rung.steps * middle.wall_s,
        "cpu_s": rung.steps * middle.cpu_s,
        "turns_s": loop[what],
        "against": rung.against,
        "before": others[-1] if others else None,
        "faster": faster,
        "limit_s": limit,
        "ready_s": ready_s,
    }


def lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The table."""
    body = []
    for row in rows:
        before, against = row["before"], row["against"]
        body.append(
            [
                row["base"],
                row["rung"],
                f"{row['steps']} × {row['passes']}",
                f"{row['wall_s']:.2f}",
                f"{row['cpu_s']:.2f}",
                "" if before is None else f"{row['faster'][before]:.2f}",
                "" if against in (None, before) else f"{row['faster'][against]:.2f} × {against}",
                f"{row['limit_s']:.2f}",
                f"{row['limit_s'] / row['wall_s']:.2f}",
            ]
        )
    return [list(COLUMNS), *body]
