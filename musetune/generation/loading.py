"""Where bases are found, and what makes old AudioLDM 2 folders work with current libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import GPT2LMHeadModel

BASES = Path(__file__).parents[1] / "bases"


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


def language_model(
    base: str, index: dict[str, Any], dtype: torch.dtype | dict[str, torch.dtype] | None = None, **hub: Any
) -> GPT2LMHeadModel | None:
    """The folder's GPT-2 with its generation methods where the index names plain ``GPT2Model``, else None.

    dtype: of the weights, as DiffusionPipeline.from_pretrained takes it: one for all, or by component with a "default".
    Plain GPT2Model has lost what AudioLDM2Pipeline calls (diffusers issue 12630); GPT2LMHeadModel loads the same weights.
    """
    if index.get("language_model", ["", ""])[1] != "GPT2Model":
        return None
    import torch
    from transformers import GPT2LMHeadModel

    if isinstance(dtype, dict):
        dtype = dtype.get("language_model", dtype.get("default", torch.float32))
    return GPT2LMHeadModel.from_pretrained(base, subfolder="language_model", use_safetensors=True, dtype=dtype, **hub)


LORA_MARKS = ("adapter_config.json", "pytorch_lora_weights.safetensors")  # of peft, of diffusers
PLACES = (
    Path(__file__).parents[1] / "_adapters",
    Path(__file__).parents[2] / "adapters",
)  # bundled: in a wheel, in the repository


def find_adapter(name: str | Path, **hub: Any) -> str:
    """An adapter's folder, theory or genre: a path, a bundled name such as "theory", else ``name`` as a Hub id.

    hub: revision, token, cache_dir, local_files_only, for a Hub id. Raises FileNotFoundError for what is none of the three, ValueError
    where the weights are no safetensors.
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
            f"{folder} holds no safetensors{f' but {pickles}' if pickles else ''}: nothing else is read, since a pickle such as a .bin may "
            "run any code when it is opened; ask its author for safetensors, or convert it where that can do no harm"
        )
    return str(folder)


def read_index(base: str, **hub: Any) -> dict[str, Any]:
    """model_index.json of a folder or a Hub id."""
    if Path(base).is_dir():
        return json.loads((Path(base) / "model_index.json").read_text())
    from huggingface_hub import hf_hub_download

    return json.loads(Path(hf_hub_download(base, "model_index.json", **hub)).read_text())


def pick_device(name: str | None) -> str:
    """``name`` where it can be used, by default cuda where there is one, else cpu."""
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).cpu()
    except Exception as error:  # torch raises what it likes: RuntimeError, AssertionError, NotImplementedError
        raise ValueError(f"device={name!r} cannot be used here; cpu always can ({error})") from error
    return name


def quiet() -> None:
    """No bars and notices while weights are loaded; the bar of denoising stays."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    for logging in (of_diffusers, of_transformers):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
