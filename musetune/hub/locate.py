"""Where bases and adapters lie: bundled names, folders, the Hub. Imports no torch."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Unpack

from musetune.formats.json_object import read_json_object
from musetune.hub.options import HubOptions
from musetune.hub.places import BASES, BUNDLED_ADAPTERS
from musetune.symbols.json_values import JsonObject

LORA_MARKS = ("adapter_config.json", "pytorch_lora_weights.safetensors")  # peft's, diffusers'
PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def find_base(name: str | Path) -> str:
    """Return a bundled base's folder by its name ("nano"), else ``name`` as it is: a folder or a Hub id.

    Args:
        name: a bundled name, a folder, or a Hub id such as "cvssp/audioldm2".

    Raises:
        FileNotFoundError: for what looks like a path and is none.

    Example:
        >>> from musetune.hub.locate import find_base
        >>> find_base("cvssp/audioldm2-music")
        'cvssp/audioldm2-music'
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


def find_adapter(name: str | Path, **hub: Unpack[HubOptions]) -> str:
    """Return an adapter's folder, theory or genre, and fetch it where it lies on the Hub.

    Args:
        name: a folder, a bundled name such as "theory", or a Hub id.
        hub: revision, token, cache_dir, local_files_only, for a Hub id; see ``musetune.hub.pull``.

    Raises:
        FileNotFoundError: for what is none of the three; it names the nearest bundled name.
        ValueError: where the weights are no safetensors.
        TypeError: for what is neither text nor a path.

    Example:
        >>> from pathlib import Path
        >>> from musetune.hub.locate import find_adapter
        >>> Path(find_adapter("theory")).name
        'theory'
    """
    if not isinstance(name, str | Path):
        raise TypeError(f"adapter={name!r:.60} is a {type(name).__name__}: give one folder, bundled name or Hub id")
    path = Path(name)
    for folder in (path, *(folder / str(name) for folder in BUNDLED_ADAPTERS)):
        if is_adapter(folder) or any(folder.glob("*.bin")):
            return _require_safetensors(folder)
    if str(name).count("/") == 1 and not str(name).startswith((".", "/", "~")) and not path.exists():
        from musetune.hub.transfer import pull

        return str(pull(str(name), **hub))
    names = sorted({p.name for folder in BUNDLED_ADAPTERS for p in folder.glob("*") if is_adapter(p)})
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; bundled adapters: {', '.join(names) or 'none'}"
    raise FileNotFoundError(
        f"no adapter {str(name)!r}: give a folder with config.json, a bundled name or a Hub id{hint}"
    )


def is_lora(folder: str | Path) -> bool:
    """Return whether a folder holds a LoRA, by peft or by diffusers, and not a MusicAdapter."""
    return any((Path(folder) / mark).is_file() for mark in LORA_MARKS)


def is_adapter(folder: str | Path) -> bool:
    """Return whether a folder holds a MusicAdapter or a LoRA."""
    return (Path(folder) / "config.json").is_file() or is_lora(folder)


def _require_safetensors(folder: Path) -> str:
    """Return ``folder`` as text. Raises ValueError where it has no safetensors, perhaps pickles instead."""
    if not any(folder.glob("*.safetensors")):
        pickles = ", ".join(sorted(p.name for p in folder.glob("*") if p.suffix in PICKLES))
        raise ValueError(
            f"{folder} holds no safetensors{f' but {pickles}' if pickles else ''}: nothing else is read, since a "
            f"pickle such as a .bin may "
            "run any code when it is opened; ask its author for safetensors, or convert it where that can do no harm"
        )
    return str(folder)


def read_index(base: str, **hub: Unpack[HubOptions]) -> JsonObject:
    """Return model_index.json of a folder or a Hub id.

    Args:
        base: what ``find_base`` returned.
        hub: revision, token, cache_dir, local_files_only, for a Hub id.

    Raises:
        ValueError: where it is no JSON object.
    """
    if Path(base).is_dir():
        return read_json_object(Path(base) / "model_index.json")
    from huggingface_hub import hf_hub_download

    return read_json_object(hf_hub_download(base, "model_index.json", **hub))
