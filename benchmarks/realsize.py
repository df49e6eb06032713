"""What the benchmarks of the real size share.

A base's shapes with random weights, a recipe's adapter on them, inputs, timing, tables.

Cost follows from shapes alone, so nothing is downloaded: AudioLDM 2's configs lie in tests/data/audioldm2.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from diffusers import AudioLDM2UNet2DConditionModel
from omegaconf import OmegaConf
from torch import Tensor
from tqdm import tqdm

from musetune.adapter import MusicAdapter
from musetune.conditioning import MusicTokens, tokenize
from musetune.hub.locate import find_base
from musetune.symbols import LeadSheet

REPOSITORY = Path(__file__).parents[1]
SHAPES = REPOSITORY / "tests" / "data" / "audioldm2"
RECIPES = REPOSITORY / "recipes"
PROMPT_TOKENS, GENERATED_TOKENS = 32, 8  # of T5; of GPT-2, as AudioLDM 2 has them
FASTEST_BPM = 300


class Base(NamedTuple):
    """A base by its configs. rows × cols: the latents of the base's own length; row_s: seconds of one latent row."""

    name: str
    unet: dict[str, Any]
    rows: int
    cols: int
    row_s: float


class Time(NamedTuple):
    """Seconds by the clock, and of all of this process's threads together.

    The latter does not see what else the machine does.
    """

    wall_s: float
    cpu_s: float


def config_of(folder: Path, part: str) -> dict[str, Any]:
    """``part``.json or ``part``/config.json of a folder. Raises FileNotFoundError where it has neither."""
    for path in (folder / f"{part}.json", folder / part / "config.json"):
        if path.is_file():
            return json.loads(path.read_text())
    raise FileNotFoundError(f"{folder} has neither {part}.json nor {part}/config.json: give the folder of a base")


def folder_of(name: str) -> Path:
    """Where a base's configs lie: those of "audioldm2" ship with the tests, "nano" with the package, else a folder."""
    return SHAPES if name == "audioldm2" else Path(find_base(name))


def base_of(name: str) -> Base:
    """The shapes of audioldm2, of nano, or of a folder with the configs of unet, vae and vocoder."""
    folder = folder_of(name)
    unet, vae, vocoder = (config_of(folder, part) for part in ("unet", "vae", "vocoder"))
    halved = 2 ** (len(vae["block_out_channels"]) - 1)
    row_s = halved * math.prod(vocoder["upsample_rates"]) / vocoder["sampling_rate"]
    return Base(Path(name).name, unet, unet["sample_size"], vocoder["model_in_dim"] // halved, row_s)


@dataclass(frozen=True)
class TheoryRecipe:
    """What a benchmark takes of the configuration that trains a theory adapter; defaults as in recipes/finetune.py."""

    rank: int = 0
    frames_per_row: int = 4
    dim: int = 128
    hidden: int = 96
    map_channels: int = 32
    map_entry: bool = True
    map_modulation: bool = True
    attended: list[int] | None = None
    rotary: bool = True
    event_s: float | None = None
    hidden_streams: list[str] = field(default_factory=list)
    learning_rate: float = 1e-3
    max_grad_norm: float = 1.0
    ema_decay: float = 0.999
    snr_gamma: float | None = None


SHAPE = (
    "frames_per_row",
    "dim",
    "hidden",
    "map_channels",
    "map_entry",
    "map_modulation",
    "attended",
    "rotary",
    "event_s",
    "hidden_streams",
)


def recipe_of(name: str) -> TheoryRecipe:
    """The options of the recipe that trains a theory adapter on this base; they say what its adapter is."""
    given = OmegaConf.load(RECIPES / "configs" / ("audioldm2.yaml" if name == "audioldm2" else "theory.yaml"))
    return TheoryRecipe(**{f.name: given[f.name] for f in fields(TheoryRecipe) if f.name in given})


def unet_of(base: Base) -> AudioLDM2UNet2DConditionModel:
    """Frozen, random weights, always the same."""
    torch.manual_seed(0)
    return AudioLDM2UNet2DConditionModel.from_config(base.unet).requires_grad_(False).eval()


def adapter_of(unet: AudioLDM2UNet2DConditionModel, base: Base, recipe: TheoryRecipe, rank: int = 0) -> MusicAdapter:
    """The recipe's new adapter, attached; with a LoRA of ``rank`` where that is not 0."""
    options = {name: getattr(recipe, name) for name in SHAPE}
    adapter = MusicAdapter.for_unet(unet, cols=base.cols, **options).attach(unet).eval()
    if rank:
        adapter.add_lora(rank)
    return adapter


def busy_sheet(events: int, seconds: float) -> LeadSheet:
    """A sheet with exactly so many events, evenly spread, a chord each.

    Raises ValueError where they are too few or too many.
    """
    per_beat = next(
        (n for n in range(1, events + 1) if events % n == 0 and 60 * events / n / seconds <= FASTEST_BPM), 0
    )
    bpm = 60 * events / per_beat / seconds if per_beat else 0
    if bpm < 30:
        raise ValueError(f"{events} events do not spread over {seconds:.2f} s at 30–300 bpm: give a multiple of 16")
    bar = "| " + " ".join(["C", "Am7", "F", "G7"] * per_beat) + " |"
    return LeadSheet.parse(bar, bpm=bpm, duration_seconds=seconds)


def tokens_of(events: int, base: Base, rows: int, adapter: MusicAdapter, batch: int) -> MusicTokens:
    """So many event tokens for latents of ``rows``, ``batch`` times the same."""
    per_row = adapter.config.frames_per_row
    sheet = busy_sheet(events, rows * base.row_s)
    one = tokenize(sheet, frame_s=base.row_s / per_row, n_frames=rows * per_row)
    return MusicTokens.stack([one] * batch)


def words_of(base: Base, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """What a prompt is to the U-Net.

    T5 states (B, 32, width), their mask (B, 32), GPT-2's states (B, 8, width); random.
    """
    _, gpt2, t5 = base.unet["cross_attention_dim"][0]
    mask = torch.ones(batch, PROMPT_TOKENS, dtype=torch.long)
    return torch.randn(batch, PROMPT_TOKENS, t5), mask, torch.randn(batch, GENERATED_TOKENS, gpt2)


def alternate(tasks: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[Time]]:
    """Times of each task, one a turn; all run in every turn, each turn begins with another one. Warm up before."""
    times: dict[str, list[Time]] = {name: [] for name in tasks}
    names = list(tasks)
    with tqdm(total=turns * len(names), unit="run") as bar:
        for turn in range(turns):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                bar.set_description(name)
                times[name].append(timed(tasks[name]))
                bar.update()
    return times


def timed(task: Callable[[], object]) -> Time:
    """One run of a task; a GPU's queue is waited for."""
    _wait()
    wall, cpu = time.perf_counter(), time.process_time()
    task()
    _wait()
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def medians(times: Sequence[Time]) -> Time:
    """Of clock and processor, each by itself."""
    return Time(*(median(column) for column in zip(*times, strict=True)))


def paired_ratio(of: Sequence[Time], to: Sequence[Time]) -> float:
    """The median of the turns' own ratios by the clock: what slows a whole turn falls out."""
    return median(a.wall_s / b.wall_s for a, b in zip(of, to, strict=True))


def count(module: torch.nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in module.parameters())


def table(rows: Sequence[Sequence[object]]) -> str:
    """Markdown; the first row is the head."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def parser_of(text: str | None) -> argparse.ArgumentParser:
    """What all of them ask: bases, length, threads, where to write the figures."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--base",
        nargs="+",
        default=["audioldm2", "nano"],
        help="audioldm2 (true shapes, random weights), nano, or folders with the configs of unet, vae and vocoder; "
        "default: audioldm2 nano",
    )
    parser.add_argument("--rows", type=int, help="latent rows of a clip; default: the base's own, 10.24 s")
    parser.add_argument("--threads", type=int, default=2, help="of torch; default: 2")
    parser.add_argument("--json", type=Path, help="also write every single figure to this file")
    return parser


def finish(figures: list[dict[str, Any]], path: Path | None) -> None:
    """Write the figures where asked to."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"torch": torch.__version__, "rows": figures}, indent=1) + "\n")
