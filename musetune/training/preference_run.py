"""What a round of preference tuning leaves behind: its adapter, and the weights that the next round begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file

from musetune.training.preference_step import PreferenceRun
from musetune.training.run_info import describe_music, save_adapter, save_lora, with_averages
from musetune.training.setup import GENRE

WEIGHTS = "trained.safetensors"  # the parameters that learned, averaged


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
