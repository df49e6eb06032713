"""LoraMixer: the resident genre LoRAs of a pipeline and their mix; a component of its folder like MusicAdapter."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from numbers import Real
from pathlib import Path

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from musetune.adapter.lora import LoraDelta
from musetune.adapter.lora_files import Lora, read_lora
from musetune.adapter.metadata import AdapterMetadata
from musetune.adapter.sampling import Sampling
from musetune.formats.json_object import object_field

MAX_WEIGHT = 2.0


class LoraMixer(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers' types are not followed
    """LoRAs by name, and how much each counts: 0 is resident but silent, 1 as trained.

    They are never injected into the U-Net: ``parts`` is what ``lora.merged`` adds to its weights while something is
    generated, so a swap touches no module, and what a mix sounds like does not depend on the order in which it came
    about.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, mix: dict[str, float] | None = None) -> None:
        super().__init__()
        self.loras: dict[str, Lora] = {}
        self.mix: dict[str, float] = {}
        self.register_buffer("place", torch.zeros(()), persistent=False)  # gives the module a device and a dtype

    def put(self, name: str, lora: Lora) -> None:
        """Keep ``lora`` under ``name``, silent; one of this name is replaced. Raises ValueError for what is no name."""
        check_name(name)
        self.loras[name] = lora
        self.mix[name] = 0.0

    def remove(self, name: str) -> None:
        """Forget a LoRA; the others keep their weights."""
        self.get(name)
        del self.loras[name], self.mix[name]

    def set(self, weights: Mapping[str, float]) -> None:
        """Let each LoRA count so much, 0–2, and those not named nothing, but for one of few steps: that stays as it is.

        Raises ValueError, and changes nothing, for others, for a share of a LoRA of few steps, and where two of these
        would count.
        """
        for name, weight in weights.items():
            self.get(name)
            if not (isinstance(weight, Real) and math.isfinite(weight) and 0 <= weight <= MAX_WEIGHT):
                raise ValueError(f"the weight {name}={weight!r} is outside 0–{MAX_WEIGHT:g}: 0 is silent, 1 as trained")
            if weight not in (0, 1) and self._sampling(name):
                raise ValueError(
                    f"the weight {name}={weight!r} of a LoRA of few steps is neither 0 nor 1: a part of it plays its "
                    "few steps with a model that was not distilled for them"
                )
        kept = {name: self.mix[name] for name in self.loras if self._sampling(name)}
        mix = {name: float(weights.get(name, kept.get(name, 0.0))) for name in self.loras}
        if len(several := [name for name in kept if mix[name]]) > 1:
            raise ValueError(
                f"{' and '.join(several)} each set the steps and the scheduler: let one of them count, such as "
                f"{{{several[1]!r}: 0}}"
            )
        self.mix = mix

    def beside(self, name: str) -> dict[str, float]:
        """Return how much each LoRA counts once ``name`` has come: a genre's alone, one of few steps beside what there
        is, in the place of another of few steps.
        """
        others = self.mix if self._sampling(name) else {}
        return {other: 0.0 if self._sampling(other) else weight for other, weight in others.items()} | {name: 1.0}

    @property
    def few_steps(self) -> AdapterMetadata | None:
        """Metadata of the LoRA of few steps that counts; None where none does."""
        name = next((name for name, weight in self.mix.items() if weight and self._sampling(name)), None)
        return None if name is None else self.loras[name].metadata

    @property
    def sampling(self) -> Sampling | None:
        """How the LoRA of few steps that counts is to be sampled; None where none does."""
        return None if self.few_steps is None else self.few_steps.sampling

    def _sampling(self, name: str) -> Sampling | None:
        metadata = self.loras[name].metadata
        return None if metadata is None else metadata.sampling

    def get(self, name: str) -> Lora:
        """Return the LoRA ``name``. Raises ValueError where there is none."""
        if name not in self.loras:
            raise ValueError(
                f"no genre adapter {name!r} is loaded; there are {', '.join(self.loras) or 'none'}: load_adapter(…)"
            )
        return self.loras[name]

    def parts(self, strength: float = 1.0) -> dict[str, list[LoraDelta]]:
        """Return what the mix adds, by the plain name of the weight, in the names' order, scaled by ``strength``; a
        LoRA of few steps is not scaled, since its steps and its scheduler are not either.
        """
        deltas: dict[str, list[LoraDelta]] = {}
        for name in sorted(self.loras):
            scale = self.mix[name] * (1.0 if self._sampling(name) else strength)
            for module, part in self.loras[name].parts.items() if scale else ():
                deltas.setdefault(f"{module}.weight", []).append(part._replace(scale=part.scale * scale))
        return deltas

    def check(self, unet: nn.Module) -> None:
        """Raise ValueError where one of them is not for ``unet``."""
        for lora in self.loras.values():
            lora.check(unet)

    def save_pretrained(self, save_directory: str | Path, **options) -> None:  # type: ignore[no-untyped-def, override]
        """Write config.json with the mix, and each LoRA in peft's format in a folder of its name.

        ``options`` of other formats have no meaning.
        """
        self.register_to_config(mix=self.mix)
        self.save_config(save_directory)
        for name, lora in self.loras.items():
            lora.write(Path(save_directory) / name)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options) -> LoraMixer:  # type: ignore[no-untyped-def, override]
        """Read what ``save_pretrained`` wrote.

        Only torch_dtype of ``options`` counts; the LoRAs keep the precision of their files.
        """
        weights = object_field(cls.load_config(folder), "mix", f"{folder}/config.json")
        mixer = cls(weights)
        for name in weights:
            check_name(name)  # a name such as ../x would lead out of the folder
            mixer.put(name, read_lora(Path(folder) / name))
        mixer.set(weights)
        result: LoraMixer = nn.Module.to(mixer, dtype=options.get("torch_dtype"))
        return result


def check_name(name: str) -> None:
    """Raise ValueError for what is no name of a LoRA, which is also its folder's."""
    if not re.fullmatch(r"\w[\w -]*", name):
        raise ValueError(f"name={name!r}: a name has letters, digits, '_', '-' and spaces; give another name=…")
