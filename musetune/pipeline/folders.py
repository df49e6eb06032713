"""Folders that hold a whole pipeline, or name their base instead of holding it; and what is not to be trusted in
them.
"""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import torch

import musetune.adapter.shelf  # diffusers loads only from modules that are imported: folders of 0.1.0 name these two
import musetune.nano  # noqa: F401
from musetune.adapter import MusicAdapter
from musetune.adapter.metadata import read_adapter_metadata
from musetune.adapter.mixing import LoraMixer
from musetune.hub.locate import find_adapter, find_base, is_lora, read_index
from musetune.hub.options import HubOptions
from musetune.models.config_limits import component_class
from musetune.models.style_projection import StyleProjection
from musetune.models.weight_checks import check_finite
from musetune.symbols.json_values import JsonObject

BASE = "_base"  # in model_index.json: {"name": …, "revision": …} of a base that the folder does not hold
OURS = ("adapter", "loras", "upsampler", "style_projection", "tiny_decoder")
LIBRARIES = ("diffusers", "transformers", "musetune")
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.py")  # of a pipeline on the Hub
COMMIT = re.compile(r"[0-9a-f]{7,40}")
# what DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True) imports
CUSTOM_PIPELINE = (
    '"""MuseTune\'s pipeline; pip install musetune."""\n\n'
    "from musetune.pipeline import MuseTunePipeline  # noqa: F401\n"
)


@dataclass(frozen=True)
class Reference:
    """A base that others can find: a bundled one's name or a Hub id, and its revision."""

    name: str
    revision: str | None


def load_adapters(folder: str | Path, index: JsonObject, pipe: Any) -> None:
    """Load what a pipeline's folder holds of adapters, in place of what ``pipe`` has."""
    pipe.unload_adapter()
    if holds(index, "adapter"):
        pipe.load_adapter(MusicAdapter.from_pretrained(Path(folder) / "adapter"))
    if holds(index, "loras"):
        loras = LoraMixer.from_pretrained(Path(folder) / "loras")
        loras.check(pipe.unet)
        loras = torch.nn.Module.to(loras, pipe.unet.device, pipe.unet.dtype)
        pipe.register_modules(loras=loras)
    if holds(index, "upsampler"):
        pipe.load_upsampler(Path(folder) / "upsampler")
    if holds(index, "style_projection"):
        style = StyleProjection.from_pretrained(Path(folder) / "style_projection").eval()
        pipe.register_modules(style_projection=torch.nn.Module.to(style, pipe.unet.device, pipe.unet.dtype))
    if holds(index, "tiny_decoder"):
        pipe.load_decoder(Path(folder) / "tiny_decoder")


def read_reference(index: JsonObject, source: str, **hub: Unpack[HubOptions]) -> Reference | None:
    """The base that a model_index.json names, None where its folder holds one.

    Raises ValueError for a reference that is none, and for one to a folder that names another base, perhaps itself.
    """
    if BASE not in index:
        return None
    name, revision = (index[BASE].get(key) if isinstance(index[BASE], dict) else None for key in ("name", "revision"))
    if not isinstance(name, str) or not isinstance(revision, str | None):
        raise ValueError(
            f"{source}: model_index.json says {BASE}: {index[BASE]!r:.60}, which is no object with the base's name"
        )
    access: HubOptions = {**hub, "revision": revision}
    if BASE in read_index(find_base(name), **access):
        raise ValueError(f"{source} names the base {name!r}, which holds none but names another: name that one")
    return Reference(name, revision)


def write_reference(pipe: Any, folder: str | Path, name: str, revision: str | None) -> None:
    """A folder with the pipeline's adapters that names its base. Raises ValueError for a base that nobody else could
    find.
    """
    import diffusers

    try:
        find_base(name)
    except FileNotFoundError as error:
        raise ValueError(
            f"reference: others cannot find the base {name!r}; give reference='nano' or its Hub id"
        ) from error
    parts = {part: getattr(pipe, part) for part in OURS if getattr(pipe, part) is not None}
    index = {
        "_class_name": type(pipe).__name__,
        "_diffusers_version": diffusers.__version__,
        BASE: {"name": name, "revision": revision},
    }
    index |= {part: [type(one).__module__, type(one).__name__] for part, one in parts.items()}
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    for part, one in parts.items():
        one.save_pretrained(Path(folder) / part)


def holds(index: JsonObject, part: str) -> bool:
    """Whether a pipeline's folder has this component."""
    return isinstance(index.get(part), list) and index[part][0] is not None


def check_index(index: object, source: str, *, trusted: bool = False) -> None:
    """Raise ValueError where a model_index.json would import anything but diffusers, transformers and musetune.

    Older diffusers import a module of the working folder that an index names; ``trusted``: the user asked for remote
    code.
    """
    from diffusers import pipelines

    if not isinstance(index, dict) or "_class_name" not in index:
        raise ValueError(f"{source}: model_index.json is not an object that names its _class_name: it is no pipeline's")
    for part, entry in index.items():
        if part.startswith("_") or entry in ([None, None], None) or not isinstance(entry, list | str):
            continue  # numbers and switches are options of a pipeline
        if isinstance(entry, str) or len(entry) != 2 or not all(isinstance(word, str) for word in entry):
            raise ValueError(f"{source}: model_index.json says {part}: {entry!r}, which is not [library, class]")
        trustworthy = entry[0].split(".")[0] in LIBRARIES or hasattr(
            pipelines, entry[0]
        )  # "audioldm2": a folder of diffusers' own
        if not trustworthy and not trusted:
            raise ValueError(
                f"{source}: model_index.json takes {part} from {entry[0]!r}; only {', '.join(LIBRARIES)} are loaded "
                "without trust_remote_code"
            )
        if trustworthy:
            component_class(*entry)


def check_components(components: Mapping[str, object], source: str, skip: Collection[str]) -> None:
    """Raise ValueError where the weights of a base's component hold NaN or infinity; ``skip``: the caller's own."""
    for part, network in components.items():
        if part not in OURS and part not in skip and isinstance(network, torch.nn.Module):
            check_finite(f"{part} of {source}", network.state_dict())


@contextmanager
def without_adapters(folder: str, index: JsonObject, variant: str | None) -> Iterator[str]:
    """A context with a folder of the plain base: ``folder`` itself, or where a ``variant`` is asked for links to all
    but the adapters.

    diffusers looks for variants by the second word of every file's name, which ``adapter/lora`` has not.
    """
    if variant is None or not any(holds(index, part) for part in OURS):
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        for path in Path(folder).iterdir():
            if path.name not in (*OURS, "model_index.json"):
                (Path(name) / path.name).symlink_to(path.resolve(), target_is_directory=path.is_dir())
        plain = {key: value for key, value in index.items() if key not in OURS}
        (Path(name) / "model_index.json").write_text(json.dumps(plain))
        yield name


def fetch(name_or_path: str, index: JsonObject, **hub: Unpack[HubOptions]) -> str:
    """Return the whole folder of a Hub pipeline that holds adapters or nano's classes; any other ``name_or_path``
    as it is.

    DiffusionPipeline.download leaves files out that it does not know, such as those of a MusicAdapter's LoRA.
    """
    ours = any(isinstance(entry, list) and str(entry[0]).startswith("musetune") for entry in index.values() if entry)
    if Path(name_or_path).is_dir() or not ours:
        return name_or_path
    from huggingface_hub import snapshot_download

    return snapshot_download(name_or_path, allow_patterns=list(FILES), **hub)


def theory_of(adapter: object, index: JsonObject, **hub: Unpack[HubOptions]) -> str | None:
    """The folder of the theory adapter that a genre adapter's folder was trained on; None where none is needed, or
    the base has its own.
    """
    if not (isinstance(adapter, str) and is_lora(adapter)) or holds(index, "adapter"):
        return None
    metadata = read_adapter_metadata(adapter)
    if metadata is None or metadata.theory is None:
        return None
    try:
        return find_adapter(metadata.theory, **hub)
    except FileNotFoundError as error:
        raise ValueError(
            f"{metadata.name!r} was trained on the theory adapter {metadata.theory!r}, which is not at hand: load that "
            f"one as adapter=…, "
            f"then pipe.load_adapter({metadata.name!r})"
        ) from error


def warn_of_remote_code(name_or_path: str, options: JsonObject) -> None:
    """Warn where code from the Hub would run that is not pinned to a commit; MuseTune itself never needs such code."""
    if not options.get("trust_remote_code"):
        return
    code, revision = options.get("custom_pipeline"), options.get("custom_revision")
    sources = {name_or_path: options.get("revision")}
    if code is not None:
        sources[str(code)] = revision or (options.get("revision") if code == name_or_path else None)
    for source, pin in sources.items():
        if not Path(source).exists() and not (pin and COMMIT.fullmatch(pin)):
            what = "custom_revision" if source == code != name_or_path else "revision"
            warnings.warn(
                f"trust_remote_code=True runs whatever {source} holds at {pin or 'main'} today: pin it, "
                f"{what}='<commit hash>', or leave "
                "trust_remote_code out, which MuseTunePipeline does not need",
                stacklevel=3,
            )
