"""Checkpoints that survive a kill at any moment: written beside, renamed into place, only then are old ones deleted.

A checkpoint is a folder `checkpoint-<step>` with `state.safetensors` (weights, optimiser moments, averages; exact
dtypes) and `state.json` (step and counters). No pickle, no generator states: see `musetune.training.seeding`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

_NAME = re.compile(r"checkpoint-(\d+)")
_SCRATCH = ".writing-"


def save_checkpoint(
    folder: Path, step: int, tensors: dict[str, Tensor], meta: dict[str, Any], total_limit: int | None = None
) -> Path:
    """Write `folder/checkpoint-<step>`, then delete the oldest ones beyond `total_limit` (None keeps all)."""
    if total_limit is not None and total_limit < 1:
        raise ValueError(f"checkpoints_total_limit={total_limit} would keep none: give at least 1, or null to keep all")
    scratch, final = folder / f"{_SCRATCH}{step}", folder / f"checkpoint-{step}"
    if final.exists():  # a run is exact, so this step's checkpoint already holds what would be written
        return final
    folder.mkdir(parents=True, exist_ok=True)
    _remove_scratch(folder)
    scratch.mkdir()
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, scratch / "state.safetensors")
    (scratch / "state.json").write_text(json.dumps(meta))
    for path in (*scratch.iterdir(), scratch):
        _sync(path)
    scratch.rename(final)
    _sync(folder)
    for old in list_checkpoints(folder)[: -total_limit if total_limit else 0]:
        shutil.rmtree(old.rename(folder / f"{_SCRATCH}old-{old.name}"))
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = [(int(m[1]), p) for p in folder.glob("checkpoint-*") if (m := _NAME.fullmatch(p.name)) and p.is_dir()]
    return [path for _, path in sorted(found)]


def find_checkpoint(folder: Path, resume_from: str | None) -> Path | None:
    """What `resume_from_checkpoint` names: None, `latest` (None where there is none), a name in `folder`, or a path."""
    if resume_from is None:
        return None
    if resume_from == "latest":
        return next(reversed(list_checkpoints(folder)), None)
    for path in (folder / resume_from, Path(resume_from)):
        if (path / "state.safetensors").is_file():
            return path
    known = ", ".join(p.name for p in list_checkpoints(folder)) or "none yet"
    raise ValueError(f"resume_from_checkpoint={resume_from!r} is no checkpoint; give latest, a path or one of: {known}")


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the counters of a checkpoint."""
    return load_file(path / "state.safetensors"), json.loads((path / "state.json").read_text())


def pack_state(
    named: dict[str, Tensor], optimizer: torch.optim.Optimizer, averages: list[Tensor] | None
) -> dict[str, Tensor]:
    """All that training changes as one flat dictionary: `model.<name>`, `ema.<name>`, `optimizer.<index>.<name>`.

    named: the trained parameters, in the optimiser's order; averages: their moving averages in the same order.
    """
    state = {f"model.{name}": value for name, value in named.items()}
    if averages is not None:
        state |= {f"ema.{name}": value for name, value in zip(named, averages, strict=True)}
    moments = optimizer.state_dict()["state"]
    return state | {
        f"optimizer.{i}.{k}": torch.as_tensor(v) for i, values in moments.items() for k, v in values.items()
    }


def unpack_state(
    state: dict[str, Tensor], named: dict[str, Tensor], optimizer: torch.optim.Optimizer, averages: list[Tensor] | None
) -> None:
    """Inverse of `pack_state`, in place. A state of other parameters raises a ValueError that names them."""
    saved = {key.removeprefix("model.") for key in state if key.startswith("model.")}
    if wrong := saved ^ named.keys():
        raise ValueError(f"the checkpoint has other trained parameters than this run: {sorted(wrong)[:6]}")
    with torch.no_grad():
        for i, (name, value) in enumerate(named.items()):
            value.copy_(state[f"model.{name}"])
            if averages is not None:
                averages[i].copy_(state[f"ema.{name}"])
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def truncate_log(path: Path, last_step: int) -> None:
    """Keep a JSON-lines log up to `last_step`: what a killed run wrote after its checkpoint is done again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n") or json.loads(line)["step"] > last_step:
            break
        kept.append(line)
    scratch = path.with_suffix(".tmp")
    scratch.write_text("".join(kept))
    os.replace(scratch, path)


def _remove_scratch(folder: Path) -> None:
    for path in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
