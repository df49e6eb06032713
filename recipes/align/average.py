"""Average adapters of one origin, such as a tuned one and the one that it was tuned from: a part of what was learned.

    python recipes/align/average.py output_dir=runs/half adapters=[theory,runs/a/round-1/adapter] weights=[0.5,0.5]
    python recipes/align/average.py output_dir=runs/both adapters=[theory,A,B] weights=[-1,1,1]

The first is half of the way from the shipped adapter to a tuned one: often most of the gain for less of the loss. The
second adds what two runs learned from the same start. Half a minute later `output_dir` is an adapter like any other.
Whether it is better, recipes/align/tune.py says with its guards: tuned=runs/half output_dir=runs/judged.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from omegaconf import MISSING

from musetune.adapter import MusicAdapter
from musetune.adapter.averaging import average_adapters
from musetune.adapter.metadata import short_name
from musetune.hub.listing import read_json
from musetune.hub.locate import find_adapter, is_lora
from musetune.symbols.json_values import JsonObject
from musetune.training.config import command_line, read, run_command
from musetune.training.run_info import save_run_info


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    output_dir: str = MISSING  # gets the adapter
    adapters: list[str] = MISSING  # bundled names, folders or Hub ids of theory adapters; the first one's shapes count
    weights: list[float] = MISSING  # one each, summing to 1; below 0 leads away
    name: str | None = None  # of the result; null: the last part of output_dir


def average(config: Config) -> Path:
    """Write the mean that `config` asks for; returns its folder."""
    folders, out = [Path(find_adapter(adapter)) for adapter in config.adapters], Path(config.output_dir)
    if out.resolve() in [folder.resolve() for folder in folders]:
        raise ValueError(f"output_dir={out} is one of the adapters, which would be lost: give another folder")
    if loras := [name for name, folder in zip(config.adapters, folders, strict=True) if is_lora(folder)]:
        raise ValueError(
            f"{', '.join(loras)} is a LoRA: give theory adapters; LoRAs are mixed when they are called, set_adapter"
        )
    adapters = [MusicAdapter.from_pretrained(folder) for folder in folders]
    check_bases(adapters, config.adapters)
    mean = average_adapters(adapters, config.weights)
    if metadata := next((adapter.metadata for adapter in adapters if adapter.metadata is not None), None):
        mean.metadata = replace(metadata, name=config.name or short_name(out.resolve()))
    data = trained_on(folders)
    mean.save_pretrained(out)
    save_run_info(out, {"config": asdict(config), "data": data, "step": None})
    parts = " + ".join(f"{weight:g} {name}" for weight, name in zip(config.weights, config.adapters, strict=True))
    print(f"{out} = {parts}")
    return out


def check_bases(adapters: list[MusicAdapter], names: list[str]) -> None:
    """Raise ValueError for adapters that were made for other U-Nets."""
    known = {name: own.metadata for name, own in zip(names, adapters, strict=True) if own.metadata is not None}
    if len({(one.shapes, one.sketch) for one in known.values()}) > 1:
        bases = ", ".join(f"{name} for {one.base}" for name, one in known.items())
        raise ValueError(f"the adapters were made for other U-Nets: {bases}")


def trained_on(folders: list[Path]) -> JsonObject:
    """What was trained on, of the adapter that learned from most songs, with the licences of all."""
    records = [read_json(folder / "training.json") for folder in folders]
    data = [record["data"] for record in records if record and record.get("data")]
    largest: JsonObject = max(data, key=lambda one: one.get("songs") or 0, default={})
    return dict(largest) | {"licences": list(dict.fromkeys(name for one in data for name in one.get("licences", [])))}


load_config = partial(read, Config)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(average, command_line(load_config, Config, __doc__))
