"""What training changes of a model and how far it has come: packed into checkpoints, resumed from them, logged."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from musetune.symbols.json_values import JsonObject
from musetune.training.checkpoint import (
    load_checkpoint,
    pack_state,
    remove_later_checkpoints,
    save_checkpoint,
    truncate_log,
    unpack_state,
)


@dataclass
class TrainingState:
    """The trained parameters by name, their optimiser and moving averages, and how far they have come.

    Attributes:
        named: The parameters that learn, in the optimiser's order.
        optimizer: Over those.
        ema: Their moving averages; None where none are kept.
        step: Optimiser steps done.
        bad_steps: How many of the last steps, in a row, had no finite loss.
    """

    named: dict[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    ema: EMAModel | None
    step: int = 0
    bad_steps: int = 0

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that learn, as a list: a one-shot iterator would leave nothing to clip."""
        return list(self.named.values())

    @property
    def averages(self) -> list[Tensor] | None:
        """The moving averages in the parameters' order; None where none are kept."""
        return None if self.ema is None else self.ema.shadow_params


def make_state(
    model: nn.Module,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
    ema_decay: float | None,
) -> TrainingState:
    """The fresh state of all parameters of a model that require gradients, with AdamW (arXiv 1711.05101).

    Args:
        model: Without wrappers such as DDP.
        learning_rate: Peak, over 0.
        betas: Decays of the moments, each in 0…1.
        epsilon: Added to the denominator.
        weight_decay: Decoupled from the gradient.
        ema_decay: Of the moving averages, in 0…1; None keeps none.
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    params = list(named.values())
    optimizer = torch.optim.AdamW(params, learning_rate, betas, epsilon, weight_decay, foreach=True)
    ema = None if ema_decay is None else EMAModel(params, decay=ema_decay, foreach=True)
    return TrainingState(named, optimizer, ema)


def learning_rate_factor(
    optimizer: torch.optim.Optimizer, name: str, warmup_steps: int, steps: int
) -> Callable[[int], float]:
    """One of diffusers' schedules as a function step → factor of the peak rate.

    Of the step alone, so nothing of it is resumed.
    """
    schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=steps)
    factor: Callable[[int], float] = schedule.lr_lambdas[0]
    return factor


def save_state(
    state: TrainingState,
    folder: Path,
    *,
    config: Mapping[str, object],
    data: Mapping[str, object],
    total_limit: int | None,
) -> Path:
    """Write the checkpoint of the state's step.

    Args:
        state: What training has made.
        folder: The run's folder.
        config: The run's configuration, held against a resumed run's.
        data: What is true of its data set (`clips`, `clips_digest`) and processes, held against a resumed run's too.
        total_limit: How many checkpoints stay; None keeps all.
    """
    ema_steps = state.ema.optimization_step if state.ema else 0
    meta = {
        "step": state.step,
        "bad": state.bad_steps,
        "ema_steps": ema_steps,
        "config": dict(config),
        "data": dict(data),
    }
    tensors = pack_state(state.named, state.optimizer, state.averages)
    return save_checkpoint(folder, state.step, tensors, meta, total_limit)


def resume_state(
    state: TrainingState,
    checkpoint: Path,
    *,
    config: Mapping[str, object],
    data: Mapping[str, object],
    records: Collection[str],
) -> list[str]:
    """Bring a fresh state to a checkpoint's.

    Args:
        state: Changed in place.
        checkpoint: Its folder.
        config: This run's configuration.
        data: What is true of this run's data set and processes.
        records: Names of `config` that may be otherwise while the run still repeats the uninterrupted one exactly.

    Returns:
        What is otherwise than when the checkpoint was written, each as a phrase; empty where the run will be exact.
    """
    tensors, meta = load_checkpoint(checkpoint, counters=("step", "bad", *(["ema_steps"] if state.ema else [])))
    unpack_state(tensors, state.named, state.optimizer, state.averages)
    state.step, state.bad_steps = meta["step"], meta["bad"]
    if state.ema:
        state.ema.optimization_step = meta["ema_steps"]
    return differences(meta, config=config, data=data, records=records)


def differences(
    meta: JsonObject, *, config: Mapping[str, object], data: Mapping[str, object], records: Collection[str]
) -> list[str]:
    """What is otherwise than when a checkpoint was written, each as a phrase.

    Args:
        meta: The checkpoint's counters, with `config` and `data`; those of 0.1.0 may lack either.
        config: This run's configuration.
        data: What is true of this run's data set and processes.
        records: Names of `config` that may be otherwise.
    """
    options, facts = meta.get("config", config), meta.get("data", data)
    changed = [name for name in config if name not in records and options.get(name) != config[name]]
    return changed + [
        f"{name} ({facts.get(name)} then, {now} now)" for name, now in data.items() if facts.get(name) != now
    ]


def begin(folder: Path, step: int, changed: list[str]) -> None:
    """Make the run's folder ready for step `step` + 1.

    What another run left beyond it goes, and what is otherwise is said.

    Args:
        folder: The run's folder, made where it is missing.
        step: Steps done; 0 of a new run.
        changed: What `resume_state` gave.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truncate_log(folder / "loss.jsonl", step)
    if changed:
        print(f"resuming with other {', '.join(changed)}: not exactly as if uninterrupted", file=sys.stderr)
    if gone := remove_later_checkpoints(folder, step):
        print(f"removed {', '.join(gone)}: of the run that this one leaves at step {step}", file=sys.stderr)


def log_step(
    accelerator: Accelerator,
    path: Path,
    record: Mapping[str, object],
    skipped: Iterable[tuple[str, float]] | None,
    steps_before: int = 0,
) -> None:
    """Write one step's figures to the log and the trackers.

    Args:
        accelerator: Whose main process writes.
        path: The JSON-lines log.
        record: Figures by name, `step` among them.
        skipped: Ids and losses of the clips of a step that moved nothing; those without a finite loss are named, or
            all where the gradient overflowed. None where the step was whole.
        steps_before: Of earlier rounds, so that trackers show one curve after the other.
    """
    if accelerator.is_main_process:
        line = dict(record)
        if skipped is not None:
            clips = list(skipped)
            line["skipped"] = [clip for clip, loss in clips if not math.isfinite(loss)] or [clip for clip, _ in clips]
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        accelerator.log(dict(record), int(str(record["step"])) + steps_before)


def stop_where_nothing_is_finite(state: TrainingState, max_bad_steps: int, log: Path) -> None:
    """Raise FloatingPointError after `max_bad_steps` steps in a row without a finite loss, whose clips `log` names."""
    if state.bad_steps >= max_bad_steps:
        raise FloatingPointError(
            f"no finite loss in {state.bad_steps} steps in a row: lower learning_rate, or look at the clips under "
            f"`skipped` "
            f"in {log}; resume from the last checkpoint"
        )


def out_of_time(began: float, minutes: float | None) -> bool:
    """Whether `minutes` (None: no limit) have passed since `began` (time.monotonic()), as the main process's clock
    says.
    """
    late = minutes is not None and time.monotonic() - began > 60 * minutes
    return bool(broadcast_object_list([late])[0])
