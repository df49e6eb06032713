"""An adapter's metadata, musetune.json: what it is called, and the U-Net that it was made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from musetune.adapter.lora import plain_weights
from musetune.adapter.sampling import Sampling
from musetune.formats.json_object import number_field, object_field, read_json_object, text_field
from musetune.models.quantized import is_quantized, plain

if TYPE_CHECKING:
    from typing import Self

SCHEMA = 1
FILE = "musetune.json"
KINDS = ("theory", "lora")
SAMPLES = 64
SAME_BASE = 0.02  # relative distance of sketches: bfloat16 moves them by 0.002, another training by much more


@dataclass(frozen=True)
class AdapterMetadata:
    """What an adapter is and what it fits.

    kind: theory (a MusicAdapter) or lora. base: the name or Hub id that it was made for. theory: the adapter that a
    LoRA was trained on; theory_digest: of that adapter's weights, of a LoRA that was distilled for few steps over them,
    and sampling: scheduler and steps of such a LoRA; else None.

    shapes: hash of the names and shapes of the plain U-Net; sketch: 64 of its weights, by which single and half
    precision of one base agree while another base of the same shapes differs.
    """

    kind: str
    name: str
    base: str
    shapes: str
    sketch: tuple[float, ...]
    genre: str | None = None
    theory: str | None = None
    sampling: Sampling | None = None
    theory_digest: str | None = None

    @classmethod
    def of(
        cls,
        unet: nn.Module,
        kind: str,
        name: str,
        base: str,
        *,
        genre: str | None = None,
        theory: str | None = None,
    ) -> Self:
        """Build the metadata for ``unet``, whatever is attached to it."""
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r} is not one of {', '.join(KINDS)}")
        return cls(kind, name, base, shapes_of(unet), weight_fingerprint(unet), genre, theory)

    def write(self, folder: str | Path) -> None:
        """Write ``folder``/musetune.json."""
        text: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": self.kind,
            "name": self.name,
            "genre": self.genre,
            "base": self.base,
            "theory": self.theory,
        }
        if self.theory_digest is not None:
            text["theory_digest"] = self.theory_digest
        text["unet"] = {"shapes": self.shapes, "sketch": list(self.sketch)}
        if self.sampling is not None:
            text["sampling"] = self.sampling.to_json()
        (Path(folder) / FILE).write_text(json.dumps(text, indent=2) + "\n")

    def check(self, unet: nn.Module) -> None:
        """Raise ValueError that says what differs where ``unet`` is not the one that this adapter was made for."""
        who = f"the adapter {self.name!r} was made for another U-Net, that of {self.base!r}: "
        if shapes_of(unet) != self.shapes:
            raise ValueError(f"{who}names or shapes of the weights differ; load that base")
        here, exact = weight_fingerprint(unet), [not is_quantized(weight) for weight in _samples(unet)]
        if here and (apart := _distance(self.sketch, here, exact)) > SAME_BASE:
            raise ValueError(
                f"{who}its shapes are this one's, its weights differ by {100 * apart:.0f} %; load that base"
            )


def read_adapter_metadata(folder: str | Path) -> AdapterMetadata | None:
    """Return the metadata in a folder's musetune.json, None where there is none.

    Raises:
        ValueError: for another schema version and for what is no adapter's metadata.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        values = read_json_object(path)
        if values["schema"] != SCHEMA:
            raise ValueError(
                f"it has schema version {repr(values['schema'])[:20]}, this musetune reads {SCHEMA}: update musetune, "
                f"or make the adapter again"
            )
        kind, name, base = (_require(values, key) for key in ("kind", "name", "base"))
        genre, theory, digest = (text_field(values, key, FILE) for key in ("genre", "theory", "theory_digest"))
        unet = object_field(values, "unet", FILE)
        shapes, sketch = _require(unet, "shapes"), unet["sketch"]
        if not isinstance(sketch, list) or len(sketch) not in (0, SAMPLES):
            raise ValueError(f"its sketch must be {SAMPLES} numbers")
        numbers = [number_field({"sketch": value}, "sketch", FILE) for value in sketch]
        if kind not in KINDS or None in numbers:
            raise ValueError(f"kind={kind!r} must be one of {', '.join(KINDS)}, and sketch {SAMPLES} numbers")
        sampling = None
        if values.get("sampling") is not None:
            sampling = Sampling.from_json(object_field(values, "sampling", FILE), FILE)
    except KeyError as error:
        raise ValueError(f"{path} is no adapter's metadata: it has no {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is no adapter's metadata: {error}") from error
    fingerprint = tuple(float(value) for value in numbers if value is not None)
    return AdapterMetadata(kind, name, base, shapes, fingerprint, genre, theory, sampling, digest)


def _require(values: Mapping[str, Any], key: str) -> str:
    if (text := text_field(values, key, FILE)) is None:
        raise KeyError(key)
    return text


def shapes_of(unet: nn.Module) -> str:
    """Return a hash of all names and shapes of the plain U-Net."""
    lines = sorted(f"{name} {tuple(weight.shape)}" for name, weight in plain_weights(unet).items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def weight_fingerprint(unet: nn.Module) -> tuple[float, ...]:
    """Return the middle value of 64 matrices, evenly spread over the U-Net by name; () where weights are offloaded."""
    samples = _samples(unet)
    if any(weight.is_meta for weight in samples):
        return ()
    values = torch.stack([plain(w).flatten()[w.numel() // 2].float().cpu() for w in samples])
    return tuple(float(f"{value:.6g}") for value in values.tolist())


def _samples(unet: nn.Module) -> list[nn.Parameter]:
    matrices = [weight for _, weight in sorted(plain_weights(unet).items()) if weight.ndim > 1]
    return [matrices[i * len(matrices) // SAMPLES] for i in range(SAMPLES)]


def _distance(one: tuple[float, ...], other: tuple[float, ...], exact: list[bool]) -> float:
    """Return the distance relative to the first, by what is exact (quantised weights are rounded); 0 where that was
    not taken.
    """
    if not one:
        return 0.0
    a, b = torch.tensor(one)[exact], torch.tensor(other)[exact]
    return float((a - b).norm() / a.norm().clamp(min=1e-12))


def short_name(name_or_path: str | Path) -> str:
    """Return the name of a base or an adapter: a folder's last part; a bundled name or a Hub id as it is."""
    text = str(name_or_path)
    is_path = Path(text).is_dir() or Path(text).is_absolute() or text.startswith((".", "~"))
    return Path(text).resolve().name if is_path else text
