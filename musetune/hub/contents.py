"""What a folder that people share may hold: each file is what its name says, and nothing is a pickle."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

MAX_BYTES = 64 * 2**20  # of a text; a large tokenizer takes 20 MiB
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
TEXTS = (".json", ".md", ".txt", ".py")
AUDIO = (".flac", ".wav", ".ogg", ".mp3")
ADAPTER_KINDS = (".safetensors", ".json", ".md", ".png", *AUDIO)
PIPELINE_FILES = ("pipeline.py", "*.txt", "*.model")  # beside them in a whole pipeline's folder


SECRET_NAMES = re.compile(  # such as token.json, aws_credentials.json; tokenizer.json and added_tokens.json are none
    r"tokens|kaggle|(.*[-_. ])?(token|secrets?|credentials?|passwords?|passwd|auth|id_rsa|(api|private)[-_]?keys?|"
    r"service[-_]?account)([-_. ].*)?"
)
SECRETS = {  # what a text must not hold → what that is
    rb"hf_[A-Za-z0-9]{30,}": "a token of the Hugging Face Hub",
    rb"gh[pousr]_[A-Za-z0-9]{30,}": "a token of GitHub",
    rb"\bsk-[A-Za-z0-9_-]{32,}": "a key of OpenAI or Anthropic",
    rb"AKIA[0-9A-Z]{16}": "a key of AWS",
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----": "a private key",
}


def kind_of(folder: Path) -> str | None:
    """Return "theory" or "lora" for an adapter's folder, "pipeline" for a whole pipeline's, None for any other."""
    if (folder / PIPELINE).is_file():
        return "pipeline"
    for mark, (kind, weights) in WEIGHTS.items():
        if (folder / mark).is_file() and (folder / weights).is_file():
            return kind
    return None


def shareable(folder: str | Path, *, strict: bool = True) -> list[str]:
    """List the files of a folder that may be shared, each checked to be what its name says.

    Files and folders whose names begin with a dot are left out.

    Args:
        folder: an adapter's, or a whole pipeline's.
        strict: refuse the folder for a file of another kind, a link, or a secret, as before a push; else leave files of
        other kinds out and
            follow links, which the Hub's cache is made of.

    Returns:
        Names relative to the folder, with "/", sorted.

    Raises:
        FileNotFoundError: where there is no such folder.
        ValueError: for a folder that holds neither an adapter nor a pipeline, and for what ``strict`` refuses; it names
        the file.

    Example:
        >>> from musetune.hub import shareable
        >>> from musetune.hub.locate import find_adapter
        >>> "diffusion_pytorch_model.safetensors" in shareable(find_adapter("theory"))
        True
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: give an adapter's, such as pipe.save_adapter writes")
    kind = kind_of(folder)
    if kind is None:
        pairs = " or ".join(" with ".join(dict.fromkeys((mark, file))) for mark, (_, file) in WEIGHTS.items())
        raise ValueError(f"{folder} holds no adapter: that is {pairs}; pipe.save_adapter(folder) writes one")
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        if strict:
            _require_plain(path, name, folder)
        if not path.is_file():
            continue
        if may_share(name.as_posix(), kind):
            check(path, name.as_posix())
            if strict:
                _refuse_secrets(path, name)
            names.append(name.as_posix())
        elif strict:
            raise ValueError(_refusal(name, folder, kind))
    return names


def may_share(name: str, kind: str) -> bool:
    """Return whether a file of that name may be shared in a folder of that kind."""
    path = Path(name)
    extra = kind == "pipeline" and any(path.match(pattern) for pattern in PIPELINE_FILES)
    return path.suffix.lower() in ADAPTER_KINDS or (extra and (path.suffix != ".py" or name == "pipeline.py"))


def check(path: Path, name: str) -> None:
    """Raise ValueError where a file's bytes are not what its ``name`` says, or are a pickle."""
    with path.open("rb") as file:
        head = file.read(16)
    # a safetensors file may start with a length of 0x0280
    if is_pickle(head) and not (path.suffix == ".safetensors" and head[8:9] == b"{"):
        raise ValueError(f"{name} is a pickle, which can run code when it is loaded: save the weights as safetensors")
    suffix = path.suffix.lower()
    starts = STARTS.get(suffix)
    try:
        if starts is None:
            READERS.get(suffix, _read_text)(path)
        elif not head.startswith(starts):
            raise ValueError(f"it starts with {head[:4]!r}")
    except Exception as error:  # safetensors raises its own kind
        raise ValueError(
            f"{name} is not what its name says, {suffix[1:]} ({error}): write it anew, or take it out"
        ) from error


def _require_plain(path: Path, name: Path, folder: Path) -> None:
    """Raise ValueError for a link, which may lead out of the folder, and for what is neither a file nor a folder."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise ValueError(
            f"{name.as_posix()} in {folder} is a link: put a copy of what is meant in its place, or take it out"
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{name.as_posix()} in {folder} is neither a file nor a folder: take it out")


def _refuse_secrets(path: Path, name: Path) -> None:
    """Raise ValueError for a file that is called as secrets are, or a text that holds one."""
    if SECRET_NAMES.fullmatch(path.stem.lower()):
        raise ValueError(f"{name.as_posix()} is called as secrets are: take it out, or give it another name")
    if path.suffix.lower() in TEXTS:
        text = path.read_bytes()
        for pattern, what in SECRETS.items():
            if re.search(pattern, text):
                raise ValueError(
                    f"{name.as_posix()} holds what looks like {what}: take it out of the file, and revoke it"
                )


def is_pickle(head: bytes) -> bool:
    """Return whether bytes begin like a pickle (protocols 2 to 5), a file of torch.save, or an array of numpy's."""
    protocol = len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
    return protocol or head.startswith((b"PK\x03\x04", b"\x93NUMPY", b"\x1f\x8b", b"BZh"))


def _refusal(name: Path, folder: Path, kind: str) -> str:
    if name.suffix.lower() in PICKLED:
        return (
            f"{name.as_posix()} in {folder} can hold a pickle, which can run code when it is loaded: save the weights "
            "as safetensors, and take it out"
        )
    kinds = ", ".join((*ADAPTER_KINDS, *(PIPELINE_FILES if kind == "pipeline" else ())))
    return f"{name.as_posix()} in {folder} is none of {kinds}: only these are shared; take it out"


def _read_header(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        file.keys()


def _read_text(path: Path) -> str:
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes, more than the {MAX_BYTES:,} of any text")
    return path.read_text(encoding="utf-8")


READERS: dict[str, Callable[[Path], object]] = {
    ".safetensors": _read_header,
    ".json": lambda path: json.loads(_read_text(path)),
}
