"""Where bases and adapters are found: bundled names, folders, the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

BASES = Path(__file__).parents[1] / "models" / "bases"


def find_base(name: str | Path) -> str:
    """A bundled base's folder by its name ("nano"), else ``name`` as it is: a folder or a Hub id.

    Raises FileNotFoundError for what looks like a path and is none.
    """
    bundled = BASES / str(name)
    if (bundled / "model_index.json").is_file():
        return str(bundled)
    text = str(name)
    if Path(text).exists() or (text.count("/") == 1 and not text.startswith((".", "/", "~"))):
        return text
    names = ", ".join(sorted(p.name for p in BASES.glob("*") if (p / "model_index.json").is_file())) or "none"
    raise FileNotFoundError(
        f"no base {text!r}: give a folder, a Hub id such as cvssp/audioldm2, or a bundled base ({names})"
    )


LORA_MARKS = ("adapter_config.json", "pytorch_lora_weights.safetensors")  # of peft, of diffusers
PLACES = (
    Path(__file__).parents[1] / "_adapters",
    Path(__file__).parents[2] / "adapters",
)  # bundled: in a wheel, in the repository


def find_adapter(name: str | Path, **hub: Any) -> str:
    """An adapter's folder, theory or genre: a path, a bundled name such as "theory", else ``name`` as a Hub id.

    hub: revision, token, cache_dir, local_files_only, for a Hub id. Raises FileNotFoundError for what is none of the
    three, ValueError where the weights are no safetensors.
    """
    path = Path(name)
    for place in (path, *(place / str(name) for place in PLACES)):
        if is_adapter(place) or any(place.glob("*.bin")):
            return _safe(place)
    if str(name).count("/") == 1 and not path.exists():
        from musetune.hub import pull

        return str(pull(str(name), **hub))
    import difflib

    known = sorted({p.name for place in PLACES for p in place.glob("*") if is_adapter(p)})
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; bundled adapters: {', '.join(known) or 'none'}"
    raise FileNotFoundError(
        f"no adapter {str(name)!r}: give a folder with config.json, a bundled name or a Hub id{hint}"
    )


def is_lora(folder: str | Path) -> bool:
    """Whether a folder holds a LoRA, by peft or by diffusers, and not a MusicAdapter."""
    return any((Path(folder) / mark).is_file() for mark in LORA_MARKS)


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds a MusicAdapter or a LoRA."""
    return (Path(folder) / "config.json").is_file() or is_lora(folder)


def _safe(folder: str | Path) -> str:
    """``folder``. Raises ValueError where it has no safetensors, perhaps pickles instead."""
    if not any(Path(folder).glob("*.safetensors")):
        pickles = ", ".join(
            sorted(p.name for p in Path(folder).glob("*") if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        )
        raise ValueError(
            f"{folder} holds no safetensors{f' but {pickles}' if pickles else ''}: nothing else is read, since a "
            f"pickle such as a .bin may "
            "run any code when it is opened; ask its author for safetensors, or convert it where that can do no harm"
        )
    return str(folder)


def read_index(base: str, **hub: Any) -> dict[str, Any]:
    """model_index.json of a folder or a Hub id."""
    if Path(base).is_dir():
        return json.loads((Path(base) / "model_index.json").read_text())
    from huggingface_hub import hf_hub_download

    return json.loads(Path(hf_hub_download(base, "model_index.json", **hub)).read_text())
