"""Checkpoints that survive a kill at any moment: written beside, renamed into place, only then are old ones deleted.

A checkpoint is a folder `checkpoint-<step>` with `state.safetensors` (weights, optimiser moments, averages; exact
dtypes) and `state.json` (step, counters, and the digest of the former). No pickle, no generator states: see
`musetune.training.seeding`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from musetune.symbols.json_values import JsonObject

_NAME = re.compile(r"checkpoint-(\d+)")
_SCRATCH = ".writing-"
_DIGEST = "state_digest"


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, object], total_limit: int | None = None
) -> Path:
    """Write the checkpoint of a step, then delete the oldest ones.

    Args:
        folder: The run's folder, which gets `checkpoint-<step>`; made where it is missing.
        step: Optimiser steps done, at least 0.
        tensors: All that training changes, by name, as `pack_state` gives it.
        meta: Counters, as JSON can hold them.
        total_limit: How many checkpoints stay, at least 1; None keeps all.

    Returns:
        The checkpoint's folder. One that is there already is left as it is: a run is exact, so it holds the same.

    Raises:
        ValueError: `total_limit` is below 1.
    """
    if total_limit is not None and total_limit < 1:
        raise ValueError(f"checkpoints_total_limit={total_limit} would keep none: give at least 1, or null to keep all")
    scratch, final = folder / f"{_SCRATCH}{step}", folder / f"checkpoint-{step}"
    if final.exists():
        return final
    folder.mkdir(parents=True, exist_ok=True)
    _remove_scratch(folder)
    scratch.mkdir()
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, scratch / "state.safetensors")
    digest = _digest(scratch / "state.safetensors")
    (scratch / "state.json").write_text(json.dumps({**meta, _DIGEST: digest}), encoding="utf-8")
    for path in (*scratch.iterdir(), scratch):
        _sync(path)
    scratch.rename(final)
    _sync(folder)
    for old in list_checkpoints(folder)[: -total_limit if total_limit else 0]:
        _remove(old)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run's folder, oldest first."""
    steps = [(int(m[1]), p) for p in folder.glob("checkpoint-*") if (m := _NAME.fullmatch(p.name)) and p.is_dir()]
    return [path for _, path in sorted(steps)]


def find_checkpoint(folder: Path, resume_from: str | None) -> Path | None:
    """Find the checkpoint that a run goes on from.

    Args:
        folder: The run's folder.
        resume_from: None, `latest`, the name of a checkpoint in `folder`, or a path.

    Returns:
        The checkpoint's folder; None where a run begins anew: for None, and for `latest` where there is none.

    Raises:
        ValueError: There is no such checkpoint, or the run would go on beside checkpoints that are not its own.
    """
    own = list_checkpoints(folder)
    if resume_from is None:
        if own:
            raise ValueError(f"{folder} holds checkpoints: give resume_from_checkpoint=latest or another output_dir")
        return None
    if resume_from == "latest":
        return own[-1] if own else None
    for path in (folder / resume_from, Path(resume_from)):
        if (path / "state.json").is_file() or path in own:
            if own and path.resolve().parent != folder.resolve():
                raise ValueError(
                    f"resume_from_checkpoint={resume_from} lies elsewhere, and {folder} holds checkpoints of its own: "
                    "give another output_dir"
                )
            return path
    names = ", ".join(p.name for p in own) or "none yet"
    raise ValueError(f"resume_from_checkpoint={resume_from!r} is no checkpoint; give latest, a path or one of: {names}")


def load_checkpoint(path: Path, counters: Collection[str] = ()) -> tuple[dict[str, Tensor], JsonObject]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The folder `checkpoint-<step>`.
        counters: Names of whole numbers from 0 on that must stand among the counters.

    Returns:
        The tensors and the counters.

    Raises:
        ValueError: The checkpoint is damaged; the message names the newest older one that is not.
    """
    try:
        meta = json.loads((path / "state.json").read_text(encoding="utf-8"))
        digest = meta.pop(_DIGEST, None)
        if digest is not None and digest != _digest(path / "state.safetensors"):
            raise ValueError("state.safetensors is not what was written")
        if wrong := [name for name in counters if type(meta.get(name)) is not int or meta[name] < 0]:
            raise ValueError(f"state.json says {wrong[0]}={meta.get(wrong[0])!r:.60}, which is no count")
        return load_file(path / "state.safetensors"), meta
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, SafetensorError) as error:
        older = _older_whole_one(path, counters)
        advice = f"give resume_from_checkpoint={older.name}" if older else "no older one is whole: begin anew"
        raise ValueError(f"the checkpoint {path} is damaged ({_reason(error)}); {advice}") from None


def remove_later_checkpoints(folder: Path, step: int) -> list[str]:
    """Remove the checkpoints beyond a step: those of the run that a resume from an older checkpoint leaves behind.

    Args:
        folder: The run's folder.
        step: The step that the run goes on from.

    Returns:
        The names of the checkpoints that went.
    """
    _remove_scratch(folder)
    later = [path for path in list_checkpoints(folder) if int(path.name.partition("-")[2]) > step]
    for path in reversed(later):  # the newest first: a kill between two leaves no gap
        _remove(path)
    return [path.name for path in later]


def pack_state(
    named: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, averages: Sequence[Tensor] | None = None
) -> dict[str, Tensor]:
    """Pack all that training changes into one flat dictionary.

    Args:
        named: The trained parameters, in the optimiser's order.
        optimizer: Whose moments are kept.
        averages: The parameters' moving averages in the same order; None where there are none.

    Returns:
        Tensors by the names `model.<name>`, `ema.<name>`, `optimizer.<index>.<name>`.
    """
    state = {f"model.{name}": value for name, value in named.items()}
    if averages is not None:
        state |= {f"ema.{name}": value for name, value in zip(named, averages, strict=True)}
    moments = optimizer.state_dict()["state"]
    return state | {
        f"optimizer.{i}.{k}": torch.as_tensor(v) for i, values in moments.items() for k, v in values.items()
    }


def unpack_state(
    state: Mapping[str, Tensor],
    named: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    averages: Sequence[Tensor] | None = None,
) -> None:
    """Write a packed state back into the parameters, the optimiser and the averages, in place.

    The inverse of `pack_state`.

    Args:
        state: What `pack_state` gave.
        named: The trained parameters, in the optimiser's order.
        optimizer: Gets the moments.
        averages: Get the moving averages; None where there are none.

    Raises:
        ValueError: The state is of other parameters; the message names them.
    """
    saved = {key.removeprefix("model.") for key in state if key.startswith("model.")}
    if wrong := saved ^ named.keys():
        raise ValueError(f"the checkpoint has other trained parameters than this run: {sorted(wrong)[:6]}")
    for name, value in named.items():
        if (shape := state[f"model.{name}"].shape) != value.shape:
            raise ValueError(f"the checkpoint's {name} has the shape {tuple(shape)}, this run's {tuple(value.shape)}")
    if averages is not None and not any(key.startswith("ema.") for key in state):
        raise ValueError("the checkpoint has no moving averages: give use_ema=false, as when it was written")
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


def resume_latest(
    folder: Path,
    named: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    averages: Sequence[Tensor] | None = None,
) -> JsonObject:
    """Go on from the newest checkpoint of a folder, in place; for recipes whose same command goes on by itself.

    Args:
        folder: The run's.
        named: The trained parameters, in the optimiser's order.
        optimizer: Gets the moments.
        averages: Get the moving averages; None where there are none.

    Returns:
        The checkpoint's counters; empty where there is none.

    Raises:
        ValueError: The checkpoint is damaged, or of other parameters, or the folder holds a run of MuseTune 0.1.0.
    """
    latest = find_checkpoint(folder, "latest")
    if latest is None:
        for former in ("state.pt", "checkpoint.pt"):
            if (folder / former).exists():
                raise ValueError(f"{folder / former} is of MuseTune 0.1.0: finish with that, or give another folder")
        return {}
    tensors, meta = load_checkpoint(latest)
    unpack_state(tensors, named, optimizer, averages)
    return meta


def load_parameters(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint's parameters into a model, in place, for use without its optimiser.

    Args:
        model: Of the shape that was trained.
        tensors: What `load_checkpoint` gave.

    Raises:
        ValueError: The checkpoint is of other parameters.
    """
    named = dict(model.named_parameters())  # tied weights stand here once, as in the checkpoint
    saved = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    if wrong := saved.keys() ^ named.keys():
        raise ValueError(f"the checkpoint has other parameters than the model: {sorted(wrong)[:6]}")
    with torch.no_grad():
        for name, value in named.items():
            value.copy_(saved[name])


def truncate_log(path: Path, last_step: int) -> None:
    """Keep a JSON-lines log up to `last_step`: what a killed run wrote after its checkpoint is done again."""
    if not path.exists():
        return
    lines = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        try:
            step = json.loads(line)["step"]
        except ValueError:  # half a line, which a kill left
            break
        if step > last_step:
            break
        lines.append(line + "\n")
    scratch = path.with_suffix(".tmp")
    scratch.write_text("".join(lines), encoding="utf-8")
    os.replace(scratch, path)


def _older_whole_one(path: Path, counters: Collection[str]) -> Path | None:
    """The newest checkpoint before `path` in its folder that can be read."""
    name = _NAME.fullmatch(path.name)
    older = [p for p in list_checkpoints(path.parent) if name and int(p.name.partition("-")[2]) < int(name[1])]
    for candidate in reversed(older):
        try:
            load_checkpoint(candidate, counters)
        except ValueError:
            continue
        return candidate
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{Path(error.filename).name} is missing"
    if isinstance(error, AttributeError | TypeError | RecursionError):
        return "state.json is no object of JSON"
    return str(error)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _remove(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint.rename(checkpoint.parent / f"{_SCRATCH}old-{checkpoint.name}"))


def _remove_scratch(folder: Path) -> None:
    for path in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
