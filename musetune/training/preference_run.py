"""What a round of preference tuning works on, and what it leaves behind: its adapter, and the weights of the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from musetune.datasets.preference_set import PreferenceSet
from musetune.datasets.tokens import TokenTable
from musetune.training.denoiser import Denoiser
from musetune.training.frozen_copy import FrozenCopy
from musetune.training.run_info import describe_music, save_adapter, save_lora, with_averages
from musetune.training.setup import GENRE
from musetune.training.state import TrainingState

WEIGHTS = "trained.safetensors"  # the parameters that learned, averaged


class PreferenceRun(NamedTuple):
    """What the loop of one round works on.

    model: the denoiser as it is trained, perhaps in DDP's wrapper; denoiser: without; reference: as it was when the
    round began; factor: step → factor of the learning rate; alphas: of the noise schedule, (timesteps,); sets: what is
    preferred, and tokens: of their takes; facts: what a resumed run must have alike to be exact.
    """

    model: torch.nn.Module
    denoiser: Denoiser
    reference: FrozenCopy
    state: TrainingState
    factor: Callable[[int], float]
    alphas: Tensor
    prediction_type: str
    sets: Sequence[PreferenceSet]
    tokens: Sequence[TokenTable]
    facts: dict[str, str | int]


def save_round(run: PreferenceRun, folder: Path, config: Mapping[str, object], *, stacked: bool) -> None:
    """Write a round's adapter, averaged, and at last the weights, with which the round is done.

    Args:
        run: The round.
        folder: The round's; gets adapter/ and `WEIGHTS`.
        config: For the adapter's `training.json` and its name.
        stacked: Whether a LoRA learned on top of the adapter.
    """
    music = asdict(run.sets[0].data.info) | describe_music(run.sets[0].data)
    info = {"config": dict(config), "data": music, "step": run.state.step}
    with with_averages(run.state.parameters, run.state.averages):
        if stacked:
            save_lora(run.denoiser.unet, GENRE, folder / "adapter", info)
        else:
            save_adapter(run.denoiser.adapter, folder / "adapter", info)
        scratch = folder / f"{WEIGHTS}.tmp"
        save_file({name: value.detach().cpu().contiguous() for name, value in run.state.named.items()}, scratch)
        scratch.rename(folder / WEIGHTS)
