"""A frozen denoiser whose U-Net's weights are its own plus a LoRA that learns."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from musetune.adapter import lora
from musetune.adapter.lora import LoraDelta
from musetune.conditioning import MusicTokens
from musetune.datasets.latent_dataset import TextEmbedding
from musetune.training.denoiser import Denoiser

TARGETS = (*lora.EVERYTHING, "linear_1", "linear_2")  # the time embedding too: a step's length is said by its timestep
_TARGET = re.compile(rf"(.*\.)?({'|'.join(re.escape(name) for name in TARGETS)})")


class LoraStudent(nn.Module):
    """The denoiser with weights W + up · down in place of each W that a LoRA may adapt.

    The denoiser itself stays as it is and can be asked too, as the teacher. What lies in its weights (a theory
    adapter's LoRA, a genre's) is heard by both.

    Args:
        denoiser: Frozen; a LoRA of its adapter is merged.
        rank: Of the LoRA, from 1 on; less where a matrix is smaller.

    Raises:
        ValueError: The rank is below 1.
    """

    def __init__(self, denoiser: Denoiser, rank: int) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank={rank} must be at least 1")
        self.denoiser = denoiser.requires_grad_(False)
        plain = lora.plain_weights(denoiser.unet)
        own = {id(weight): name for name, weight in denoiser.named_parameters()}
        self.names = {  # the plain name of each adapted weight → its name in the denoiser
            name: own[id(weight)]
            for name, weight in plain.items()
            if weight.ndim in (2, 4)
            and not name.startswith("conv_in.")
            and _TARGET.fullmatch(name.removesuffix(".weight"))
        }
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for name in self.names:
            matrix = plain[name].flatten(1)
            r = min(rank, *matrix.shape)
            down = torch.empty(r, *plain[name].shape[1:])
            nn.init.kaiming_uniform_(down.flatten(1), a=math.sqrt(5))
            up = torch.zeros(len(matrix), r, *[1] * (plain[name].ndim - 2))
            self.down[_key(name)], self.up[_key(name)] = nn.Parameter(down), nn.Parameter(up)

    @torch.no_grad()
    def load(self, parts: Mapping[str, LoraDelta]) -> None:
        """Begin with a LoRA that was trained before, as `parts` names it.

        Args:
            parts: Of the same modules, of this rank or a lower one: what is over begins as a fresh LoRA does. Scales
                are multiplied into `up`.

        Raises:
            ValueError: It adapts other modules, or is of a higher rank.
        """
        own = {name.removesuffix(".weight") for name in self.names}
        if strange := sorted(own ^ parts.keys()):
            raise ValueError(
                f"the LoRA adapts other modules than this student: {strange[0]} and {len(strange) - 1} more"
            )
        for name, part in parts.items():
            down, up = self.down[_key(name)], self.up[_key(name)]
            rank = len(part.down)
            if rank > len(down):
                raise ValueError(f"the LoRA has rank {rank} at {name}, the student {len(down)}: give rank={rank}")
            down[:rank].copy_(part.down)
            up[:, :rank].copy_(part.scale * part.up)

    def parts(self, values: Mapping[int, Tensor] | None = None) -> dict[str, LoraDelta]:
        """The LoRA by the plain names of the modules.

        Args:
            values: Tensors to take in place of parameters, by `id`; None: the parameters.
        """
        found = values or {}
        pairs = {name: (self.down[_key(name)], self.up[_key(name)]) for name in self.names}
        return {
            name.removesuffix(".weight"): LoraDelta(found.get(id(down), down), found.get(id(up), up), 1.0)
            for name, (down, up) in pairs.items()
        }

    def forward(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        tokens: MusicTokens,
        text: TextEmbedding,
        values: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """noisy (B, channels, rows, cols), timesteps (B,) → prediction like noisy; values as of `parts`."""
        weights = dict(self.denoiser.named_parameters())
        adapted = {
            self.names[f"{name}.weight"]: part.added_to(weights[self.names[f"{name}.weight"]])
            for name, part in self.parts(values).items()
        }
        predicted: Tensor = functional_call(self.denoiser, adapted, (noisy, timesteps, tokens, text))
        return predicted


def _key(name: str) -> str:
    return name.removesuffix(".weight").replace(".", "/")  # a ParameterDict takes no dots


def average_of(parameters: Sequence[nn.Parameter], averages: Sequence[Tensor] | None) -> dict[int, Tensor] | None:
    """Moving averages as `LoraStudent.forward` takes them; None where there are none."""
    if averages is None:
        return None
    return {id(p): average for p, average in zip(parameters, averages, strict=True)}
