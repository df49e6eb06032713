"""What an evaluation's audio and figures depend on, and the file that remembers it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from musetune import __version__, analysis
from musetune.audio import find_soundfont
from musetune.evaluation.judges import versions
from musetune.evaluation.whole_files import write_json
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    import torch
    from diffusers import AudioLDM2Pipeline


def provenance(pipe: AudioLDM2Pipeline, soundfont: str | Path | None = None) -> JsonObject:
    """What audio and figures depend on beside the request.

    Every network of ``pipe`` (text encoders and adapter too) and our analyser's weights by their hashes, the scheduler,
    the judges' versions, the soundfont's name and MuseTune's version.

    Raises ImportError where judges are missing.
    """
    import torch

    parts = {**pipe.components, "adapter": getattr(pipe, "adapter", None)}
    scheduler = repr((type(pipe.scheduler).__name__, sorted(pipe.scheduler.config.items())))
    return {
        "weights": {name: fingerprint(part) for name, part in parts.items() if isinstance(part, torch.nn.Module)},
        "scheduler": hash_of(scheduler.encode()),
        "analyser": hash_of(*(path.read_bytes() for path in _analyser_files())),
        "judges": versions(),
        "soundfont": find_soundfont(soundfont).name,
        "musetune": __version__,
    }


def fingerprint(module: torch.nn.Module) -> str:
    """A hash of all weights, whatever type they are kept in."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def hash_of(*parts: bytes) -> str:
    """16 hexadecimal digits of ``parts`` in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def remember(out: Path, now: JsonObject) -> None:
    """Write what the audio depends on to settings.json in ``out``.

    Raises ValueError where it holds audio that depends on something else.
    """
    path = out / "settings.json"
    before = json.loads(path.read_text()) if path.exists() else now
    if differing := [key for key in sorted(now.keys() | before.keys()) if before.get(key) != now.get(key)]:
        raise ValueError(
            f"{out} holds audio made with another {', '.join(differing)}; give another folder or remove it"
        )
    write_json(path, now)


def _analyser_files() -> list[Path]:
    """The analyser's weights and genre conventions."""
    folder = Path(analysis.__file__).parent
    return sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".npz", ".yaml"))
