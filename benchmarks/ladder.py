"""The rungs of `speed.py`'s ladder: ways to make a clip, each timed against the one before it in one run.

A rung's time is that of the denoising loop: steps times the time of a step, which is measured alone, since a step costs
the same at every noise level and whatever the weights are. So the rung of few steps needs no distilled adapter, and
AudioLDM 2's weights are random. A and B of a ratio alternate, so that what else the machine does falls on both.

Limit: the U-Net's floating-point operations, counted by torch, over those a second that a product of matrices of 1024 ×
1024 reaches here, in bfloat16 for the rungs that compute in it.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from realsize import Base, adapter_of, alternate, base_of, medians, paired_ratio, recipe_of, timed, unet_of
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from musetune.adapter import MusicAdapter, lora, merging
from musetune.pipeline.exported_unet import ENGINES, ExportedUNet
from musetune.pipeline.exporting import LAYOUT, prepare_music, unet_part, write_onnx
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.quantization import quantize_unet
from musetune.pipeline.request import STEPS_WITH_MUSIC, default_passes
from musetune.symbols import LeadSheet

COLUMNS = ("base", "rung", "steps × passes", "loop, s", "processor s", "faster than", "limit, s", "limit / loop")
OPTIONAL = ("compiled", "int8", *ENGINES)
FAST, HALF = "few: 4 steps of one pass", "bfloat16"
PLAIN = ("stock: 200 DDIM steps, words", "20 steps, words and music, LoRA beside", "LoRA merged")
BUSY = 1024
Step = Callable[[], object]


class Rung(NamedTuple):
    """A way to make a clip.

    against: the rung that it is compared with; steps: of a clip; passes: rows of a step; step: one of them; dtype: of
    its arithmetic.
    """

    against: str | None
    steps: int
    passes: int
    step: Callable[[], object]
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


def rungs_of(base: Base, names: Sequence[str], folder: Path, undo: ExitStack, threads: int) -> dict[str, Rung]:
    """The rungs in their order; what they hold on to is given back by ``undo``."""
    own = network_of(base)
    merged, halved, rounded = (copy.deepcopy(own) for _ in range(3))
    undo.enter_context(merging.merged(merged[0]))
    undo.enter_context(merging.merged(halved[0]))
    for part in halved:
        torch.nn.Module.to(part, dtype=torch.bfloat16)
    guided = default_passes()
    rungs = {
        PLAIN[0]: Rung(None, 200, 2, step_of(own[0], None, base, 2)),
        PLAIN[1]: Rung(PLAIN[0], STEPS_WITH_MUSIC, guided, step_of(*own, base, guided)),
        PLAIN[2]: Rung(PLAIN[1], STEPS_WITH_MUSIC, guided, step_of(*merged, base, guided)),
        FAST: Rung(PLAIN[2], 4, 1, step_of(*merged, base, 1)),
        HALF: Rung(FAST, 4, 1, step_of(*halved, base, 1, torch.bfloat16), torch.bfloat16),
    }
    if "compiled" in names:
        compiled = copy.deepcopy(halved)
        compiled[0].compile(dynamic=True)  # the first step takes minutes
        rungs["bfloat16, compiled"] = Rung(HALF, 4, 1, step_of(*compiled, base, 1, torch.bfloat16), torch.bfloat16)
    if "int8" in names:
        quantize_unet(rounded[0], "int8")
        undo.enter_context(merging.merged(rounded[0]))
        rungs["int8, LoRA beside"] = Rung(FAST, 4, 1, step_of(*rounded, base, 1))
    engines = [name for name in ENGINES if name in names]
    if engines:
        sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], duration_seconds=base.rows * base.row_s)
        part, layout = unet_part(*merged, sheet, base.rows, base.row_s)
        write_onnx(part, folder / "unet.onnx")
        (folder / LAYOUT).write_text(json.dumps(layout))
        for engine in engines:
            exported = ExportedUNet(folder, engine, threads)
            rungs[engine] = Rung(FAST, 4, 1, step_of(exported, merged[1], base, 1))
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


def climb(name: str, names: Sequence[str], repeats: int, threads: int) -> list[dict[str, Any]]:
    """A row for each rung."""
    base = base_of(name)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as undo:
        rungs = rungs_of(base, names, Path(folder), undo, threads)
        for rung in rungs.values():
            rung.step()  # compiles, warms up
        times = alternate({what: rung.step for what, rung in rungs.items()}, repeats)
        operations = {what: flops_of(rung.step) for what, rung in rungs.items() if rung.against in (None, *PLAIN)}
    speeds = {dtype: speed_of(dtype) for dtype in (torch.float32, torch.bfloat16)}
    one_pass = operations[FAST]
    rows = []
    for what, rung in rungs.items():
        middle = medians(times[what])
        limit = rung.steps * operations.get(what, one_pass) / speeds[rung.dtype]
        ratio = None
        if rung.against is not None:
            before = rungs[rung.against]
            ratio = paired_ratio(times[rung.against], times[what]) * before.steps / rung.steps
        rows.append(
            {
                "base": base.name,
                "rung": what,
                "steps": rung.steps,
                "passes": rung.passes,
                "wall_s": rung.steps * middle.wall_s,
                "cpu_s": rung.steps * middle.cpu_s,
                "against": rung.against,
                "faster": ratio,
                "limit_s": limit,
            }
        )
    return rows


def lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The table."""
    body = [
        [
            row["base"],
            row["rung"],
            f"{row['steps']} × {row['passes']}",
            f"{row['wall_s']:.2f}",
            f"{row['cpu_s']:.2f}",
            "" if row["faster"] is None else f"{row['faster']:.2f} × {row['against']}",
            f"{row['limit_s']:.2f}",
            f"{row['limit_s'] / row['wall_s']:.2f}",
        ]
        for row in rows
    ]
    return [list(COLUMNS), *body]
