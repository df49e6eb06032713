"""Write a base small: weights on disk in half precision, loaded in single precision as the configs say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


def save_half(pipe: DiffusionPipeline, folder: str | Path) -> Path:
    """Save a pipeline in float32, then turn every float tensor in its safetensors files into float16.

    transformers loads a model in the dtype that its config names; casting the files only leaves that at float32.
    """
    pipe.save_pretrained(folder, safe_serialization=True)
    return halve(folder)


def halve(folder: str | Path) -> Path:
    """Turn every float32 tensor in the safetensors files under ``folder`` into float16, in place."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    for path in sorted(Path(folder).rglob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        tensors = {k: v.half() if v.dtype == torch.float32 else v for k, v in load_file(path).items()}
        save_file(tensors, path, metadata=metadata)
    return Path(folder)
