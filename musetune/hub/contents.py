"""What a folder that people share may hold: each file is what its name says, and nothing is a pickle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

PIPELINE = "model_index.json"  # a whole pipeline's folder has it
WEIGHTS = {  # the file that says which kind of adapter a folder holds → kind, and its weights
    "config.json": ("theory", "diffusion_pytorch_model.safetensors"),
    "adapter_config.json": ("lora", "adapter_model.safetensors"),
    "pytorch_lora_weights.safetensors": ("lora", "pytorch_lora_weights.safetensors"),
}
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".joblib", ".dill")
STARTS = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".flac": (b"fLaC",),
    ".wav": (b"RIFF",),
    ".ogg": (b"OggS",),
    ".mp3": (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"),
    ".model": (b"\n",),  # sentencepiece's protocol buffer
}
AUDIO = (".flac", ".wav", ".ogg", ".mp3")
ADAPTER_KINDS = (".safetensors", ".json", ".md", ".png", *AUDIO)
PIPELINE_FILES = ("pipeline.py", "*.txt", "*.model")  # beside them in a whole pipeline's folder


def kind_of(folder: Path) -> str | None:
    """ "theory" or "lora" for an adapter's folder, "pipeline" for a whole pipeline's, None for any other."""
    if (folder / PIPELINE).is_file():
        return "pipeline"
    return next(
        (kind for mark, (kind, file) in WEIGHTS.items() if all((folder / f).is_file() for f in (mark, file))), None
    )


def shareable(folder: Path, *, strict: bool = True) -> list[str]:
    """The names, with "/", of a folder's files that may be shared, sorted; names that begin with a dot are left out.

    strict: refuse the folder for a file of another kind; else leave that file out. Raises FileNotFoundError where there
    is no such folder, ValueError where it holds neither an adapter nor a pipeline, a file of another kind, or one that
    is not what its name says.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: give an adapter's, such as pipe.save_adapter writes")
    kind = kind_of(folder)
    if kind is None:
        pairs = " or ".join(" with ".join(dict.fromkeys((mark, file))) for mark, (_, file) in WEIGHTS.items())
        raise ValueError(f"{folder} holds no adapter: that is {pairs}; pipe.save_adapter(folder) writes one")
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or any(part.startswith(".") for part in name.parts):
            continue
        if allowed(name.as_posix(), kind):
            check(path, name.as_posix())
            names.append(name.as_posix())
        elif strict:
            raise ValueError(_refusal(name, folder, kind))
    return names


def allowed(name: str, kind: str) -> bool:
    """Whether a file of that name may be shared in a folder of that kind."""
    path = Path(name)
    extra = kind == "pipeline" and any(path.match(pattern) for pattern in PIPELINE_FILES)
    return path.suffix.lower() in ADAPTER_KINDS or (extra and (path.suffix != ".py" or name == "pipeline.py"))


def check(path: Path, name: str) -> None:
    """Raises ValueError where a file's bytes are not what its name says, or are a pickle."""
    with path.open("rb") as file:
        head = file.read(16)
    if is_pickle(head) and not (
        path.suffix == ".safetensors" and head[8:9] == b"{"
    ):  # which may start with a length of 0x0280
        raise ValueError(f"{name} is a pickle, which can run code when it is loaded: save the weights as safetensors")
    suffix = path.suffix.lower()
    starts = STARTS.get(suffix)
    try:
        if starts is None:
            READERS.get(suffix, _text)(path)
        elif not head.startswith(starts):
            raise ValueError(f"it starts with {head[:4]!r}")
    except Exception as error:  # safetensors raises its own kind
        raise ValueError(
            f"{name} is not what its name says, {suffix[1:]} ({error}): write it anew, or take it out"
        ) from error


def is_pickle(head: bytes) -> bool:
    """Whether bytes begin like a pickle (protocols 2 to 5), torch.save's zip or its old format, or numpy's array of
    anything.
    """
    protocol = len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
    return protocol or head.startswith((b"PK\x03\x04", b"\x93NUMPY", b"\x1f\x8b", b"BZh"))


def _refusal(name: Path, folder: Path, kind: str) -> str:
    if name.suffix.lower() in PICKLED:
        return (
            f"{name.as_posix()} in {folder} can hold a pickle, which can run code when it is loaded: save the weights "
            f"as safetensors, and take it out"
        )
    kinds = ", ".join((*ADAPTER_KINDS, *(PIPELINE_FILES if kind == "pipeline" else ())))
    return f"{name.as_posix()} in {folder} is none of {kinds}: only these are shared; take it out"


def _weights(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        file.keys()


def _text(path: Path) -> None:
    path.read_text(encoding="utf-8")


READERS: dict[str, Callable[[Path], object]] = {
    ".safetensors": _weights,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
}
