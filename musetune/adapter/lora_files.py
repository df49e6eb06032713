"""A LoRA as a folder: peft's format, which we write, and what diffusers writes. Safetensors only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from musetune.adapter import lora
from musetune.adapter.lora import LoraDelta
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata
from musetune.formats.json_object import parse_json_object
from musetune.models.lora_config import check_lora_config, pattern_value, read_lora_config
from musetune.models.weight_checks import check_finite
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from torch import Tensor

PEFT, DIFFUSERS = "adapter_model.safetensors", "pytorch_lora_weights.safetensors"
PREFIXES = re.compile(r"^(base_model\.model\.|unet\.)+")
WEIGHT = re.compile(r"(?P<module>.+)\.lora_(?P<half>[AB])(\.[\w-]+)?\.weight")


@dataclass(frozen=True)
class Lora:
    """A LoRA, apart from any U-Net.

    Attributes:
        parts: what it adds to the weight of each module, by the module's name in the plain U-Net.
        card: its metadata, if it has any.
    """

    parts: Mapping[str, LoraDelta]
    metadata: AdapterMetadata | None = None

    @property
    def parameters(self) -> int:
        """The count of trained numbers."""
        return sum(part.down.numel() + part.up.numel() for part in self.parts.values())

    def check(self, unet: nn.Module) -> None:
        """Raise ValueError that names what differs where this LoRA is not for ``unet``."""
        if self.metadata is not None:
            self.metadata.check(unet)
        weights = lora.plain_weights(unet)
        if strange := sorted(name for name in self.parts if f"{name}.weight" not in weights):
            raise ValueError(f"the LoRA does not fit this U-Net, which has no {_some(strange)}")
        wrong = [
            f"{name}: {tuple(part.up.shape)} by {tuple(part.down.shape)} for a weight of "
            f"{tuple(weights[f'{name}.weight'].shape)}"
            for name, part in self.parts.items()
            if not _fits(part, weights[f"{name}.weight"])
        ]
        if wrong:
            raise ValueError(f"the LoRA does not fit this U-Net; wrong shapes of {_some(wrong)}")

    def write(self, folder: str | Path) -> None:
        """Write peft's format, and musetune.json where there is metadata."""
        from peft import LoraConfig

        ranks = {name: part.down.shape[0] for name, part in self.parts.items()}
        alphas = {name: part.scale * ranks[name] for name, part in self.parts.items()}
        rank, alpha = (Counter(of.values()).most_common(1)[0][0] for of in (ranks, alphas))
        config = LoraConfig(
            r=int(rank),
            lora_alpha=alpha,  # type: ignore[arg-type] # peft takes any number
            target_modules=sorted(self.parts),
            rank_pattern={f"^{name}": r for name, r in ranks.items() if r != rank},
            alpha_pattern={f"^{name}": a for name, a in alphas.items() if a != alpha},
        )
        weights = {
            f"{name}.lora_{half}.weight": tensor.contiguous()
            for name, part in self.parts.items()
            for half, tensor in (("A", part.down), ("B", part.up))
        }
        lora.save(weights, config, Path(folder))
        if self.metadata is not None:
            self.metadata.write(folder)


def read_lora(folder: str | Path) -> Lora:
    """Read a LoRA's folder, by peft or by diffusers.

    Raises:
        ValueError: for what is not a plain LoRA on a U-Net, and for damaged files.
    """
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
    from safetensors import SafetensorError, safe_open

    root = Path(folder)
    path = next((root / name for name in (PEFT, DIFFUSERS) if (root / name).is_file()), None)
    if path is None:
        raise ValueError(f"{root} holds neither {PEFT} nor {DIFFUSERS}: only safetensors are read")
    try:
        with safe_open(path, framework="pt") as file:
            weights, about = {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}): get it anew") from error
    check_finite(f"the LoRA {root.name}", weights)
    config = read_lora_config(root) if path.name == PEFT else _diffusers_config(about, str(path))
    plain = {PREFIXES.sub("", key): weight for key, weight in weights.items()}
    alphas = {key.removesuffix(".alpha"): _number(key, plain.pop(key)) for key in list(plain) if key.endswith(".alpha")}
    renamed = convert_unet_state_dict_to_peft(
        {key.replace(".processor.", "."): weight for key, weight in plain.items()}
    )
    return Lora(_parts(renamed, alphas, config, path.name), read_adapter_metadata(root))


def from_unet(unet: nn.Module, name: str, metadata: AdapterMetadata | None = None) -> Lora:
    """Return a copy of the LoRA ``name`` that was injected into ``unet``."""
    config: Any = unet.peft_config[name]  # type: ignore[index]
    return Lora(_parts(lora.state(unet, name), {}, config.to_dict(), name), metadata)


def _parts(
    weights: Mapping[str, Tensor], alphas: Mapping[str, float], config: Mapping[str, Any], source: str
) -> dict[str, LoraDelta]:
    halves: dict[str, dict[str, Tensor]] = {}
    strange = []
    for key, weight in weights.items():
        if (match := WEIGHT.fullmatch(key)) and weight.ndim in (2, 4):
            halves.setdefault(match["module"], {})[match["half"]] = weight
        else:
            strange.append(key)
    strange += [
        f"{module}.lora_{'B' if 'A' in pair else 'A'} (missing)" for module, pair in halves.items() if len(pair) < 2
    ]
    if strange or not halves:
        raise ValueError(
            f"{source} is not a plain LoRA of a U-Net: {_some(sorted(strange)) if strange else 'it is empty'}"
        )
    unknown = sorted(set(alphas) - set(halves))
    if unknown:
        raise ValueError(f"{source} has an alpha without weights: {_some(unknown)}")
    return {
        module: LoraDelta(pair["A"], pair["B"], _scale(module, pair["A"].shape[0], alphas, config))
        for module, pair in halves.items()
    }


def _scale(module: str, rank: int, alphas: Mapping[str, float], config: Mapping[str, Any]) -> float:
    """Return alpha / rank, by peft's rules.

    The file's own alpha counts more than the config's; without either the scale is 1.
    """
    own = pattern_value(
        config.get("alpha_pattern") or {}, module, rank if (alpha := config.get("lora_alpha")) is None else alpha
    )
    alpha = alphas.get(module, own)
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def _diffusers_config(metadata: Mapping[str, str], source: str) -> JsonObject:
    """Return what newer versions of diffusers write beside the weights: peft's config of the U-Net, its keys
    prefixed.
    """
    config = parse_json_object(metadata.get("lora_adapter_metadata", "{}"), source)
    return check_lora_config({key.removeprefix("unet."): value for key, value in config.items()}, source)


def _fits(part: LoraDelta, weight: Tensor) -> bool:
    """Return whether up @ down has the weight's shape; a 1 × 1 kernel may come as a matrix."""
    (out, rank), shape = part.up.flatten(1).shape, tuple(weight.shape)
    inside = part.down.flatten(1).shape
    kernel = tuple(part.down.shape[1:]) if part.down.ndim == 4 else (*part.down.shape[1:], *(1,) * (weight.ndim - 2))
    return (
        rank == part.down.shape[0] == inside[0]
        and (out, *kernel)[: weight.ndim] == shape
        and weight.numel() == out * inside[1]
    )


def _number(key: str, alpha: Tensor) -> float:
    if alpha.numel() != 1:
        raise ValueError(f"{key} holds {alpha.numel()} numbers, not one")
    return float(alpha.item())


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def with_name(lora: Lora, name: str) -> Lora:
    """Return ``lora`` with another name in its metadata."""
    return lora if lora.metadata is None else replace(lora, metadata=replace(lora.metadata, name=name))
