"""Which base made a data set: a hash of the weights that make latents and embeddings, read from the files alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import safe_open

PARTS = ("vae", "text_encoder", "text_encoder_2", "language_model", "projection_model")
VALUES = 4096  # of each tensor, from its start


def fingerprint(base: str | Path) -> str:
    """`part=hash` for each part of a base that lies here, separated by spaces; no model is loaded, nothing fetched.

    `base` is a folder or a Hub id, of which the local copy counts.
    """
    folder = Path(base)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(str(base), local_files_only=True))
        except LocalEntryNotFoundError:
            return ""
    prints = {name: _hash(folder / name) for name in PARTS}
    return " ".join(f"{name}={digest}" for name, digest in prints.items() if digest)


def check_base(base: str | Path, made_with: str, made_by: str, data: str | Path) -> None:
    """Raise ValueError where `base` and the fingerprint of a data set's base, `made_with`, have a part in different
    states.

    `made_by` is that base's name, `data` the data set's folder. A part that one of the two lacks is not compared:
    training needs unet/ and scheduler/ only.
    """
    here, there = (
        dict(part.split("=") for part in text.split() if "=" in part) for text in (fingerprint(base), made_with)
    )
    if other := [name for name in PARTS if name in here and name in there and here[name] != there[name]]:
        raise ValueError(
            f"{data} was made by the base {made_by}, whose {', '.join(other)} differ from those of {base}: its latents "
            f"and "
            f"embeddings mean nothing to this base; train on the base that made them, or make another data set with "
            f"recipes/prepare.py SRC OUT --base {base}"
        )


def _hash(folder: Path) -> str:
    """Return a hash of names, shapes and first values of all tensors in a model's folder; "" where it has none."""
    digest = hashlib.blake2b(digest_size=6)
    files = [
        p for p in sorted(folder.glob("*.safetensors")) if "." not in p.stem
    ]  # without variants such as model.fp16
    for path in files:
        with safe_open(path, "pt") as file:
            for name in sorted(file.keys()):
                tensor = file.get_tensor(name)
                digest.update(f"{name}{tuple(tensor.shape)}".encode())
                digest.update(tensor.flatten()[:VALUES].float().numpy().tobytes())
    return digest.hexdigest() if files else ""
