"""Training of a small network: AdamW, one cycle of the learning rate, a running mean of the weights, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import swa_utils
from tqdm import tqdm

from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint

SCHEDULE = ("last_epoch", "_step_count", "_last_lr")  # what of the schedule moves


class OneCycle:
    """The steps of a run, which goes on from the last checkpoint in `folder`.

    The cycle is Smith and Topin's (2018), as `torch.optim.lr_scheduler.OneCycleLR` has it. Gradients are cut to a norm
    of 1.

    Args:
        net: What is trained.
        steps: How many steps the whole run has.
        learning_rate: The highest.
        weight_decay: Of AdamW.
        warm_up: Share of the steps in which the learning rate grows, 0…1.
        memory: Share of the running mean that a step leaves as it is, 0…1.
        folder: Of the checkpoints; None keeps none.
        checkpointing_steps: A checkpoint each so many steps, and after the last.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> cycle = OneCycle(net, 3, learning_rate=0.1)
        >>> for step in cycle.run("fit"):
        ...     cycle.learn(net(torch.ones(4, 2)).square().mean())
        >>> cycle.mean(torch.ones(1, 2)).shape
        torch.Size([1, 1])
    """

    def __init__(
        self,
        net: nn.Module,
        steps: int,
        *,
        learning_rate: float,
        weight_decay: float = 1e-2,
        warm_up: float = 0.1,
        memory: float = 0.995,
        folder: Path | None = None,
        checkpointing_steps: int = 500,
    ) -> None:
        self.net, self.steps, self.folder, self.checkpointing_steps = net, steps, folder, checkpointing_steps
        self.optimizer = torch.optim.AdamW(net.parameters(), learning_rate, weight_decay=weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, learning_rate, steps, pct_start=warm_up)
        average = swa_utils.get_ema_multi_avg_fn(memory)  # type: ignore[no-untyped-call]
        self._mean = swa_utils.AveragedModel(net, multi_avg_fn=average)
        self._named, self._averages = dict(net.named_parameters()), list(self.mean.parameters())
        self.done = self._resume() if folder else 0
        self._running: float | None = None

    @property
    def mean(self) -> nn.Module:
        """The network with the running mean of its weights."""
        return self._mean.module

    def run(self, name: str, position: int = 0) -> Iterator[int]:
        """The numbers of the steps that are left, with a progress bar in that row of the screen.

        Call `learn` in each.
        """
        with tqdm(initial=self.done, total=self.steps, desc=name, position=position) as progress:
            while self.done < self.steps:
                yield self.done
                progress.set_postfix(loss=f"{self._running:.3f}", refresh=False)
                progress.update()

    def learn(self, loss: Tensor) -> None:
        """One step down `loss`, a scalar of this step."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self._mean.update_parameters(self.net)
        now = loss.item()
        self._running = now if self._running is None else self._running + 0.02 * (now - self._running)
        self.done += 1
        if self.folder and (self.done % self.checkpointing_steps == 0 or self.done == self.steps):
            self._save(self.folder)

    def _save(self, folder: Path) -> None:
        meta = {
            "step": self.done,
            "schedule": {key: value for key, value in self.schedule.state_dict().items() if key in SCHEDULE},
            "groups": [{"lr": group["lr"], "betas": group["betas"]} for group in self.optimizer.param_groups],
        }
        tensors = pack_state(self._named, self.optimizer, self._averages)
        save_checkpoint(folder, self.done, tensors, meta, total_limit=1)

    def _resume(self) -> int:
        assert self.folder is not None
        meta = resume_latest(self.folder, self._named, self.optimizer, self._averages)
        if first := int(meta.get("step", 0)):
            self._mean.n_averaged.fill_(first)
            self.schedule.load_state_dict(self.schedule.state_dict() | meta["schedule"])
            for group, saved in zip(self.optimizer.param_groups, meta["groups"], strict=True):
                group |= {"lr": saved["lr"], "betas": tuple(saved["betas"])}
        return first
