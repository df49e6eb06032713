"""A name for the weights of a theory adapter, by which a LoRA of few steps knows the one that it was distilled over."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from musetune.adapter.adapter import MusicAdapter
    from musetune.adapter.metadata import AdapterMetadata


def theory_digest(adapter: MusicAdapter) -> str:
    """Return 16 hexadecimal digits that change with any weight of the adapter and its LoRA, attached or not.

    But for those that read expression: who asks for none plays as without them, bit for bit.

    Weights count in bfloat16, so that an adapter has one digest in single precision and in bfloat16. Float16 rounds
    weights that were saved in single precision otherwise: they get another one there.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name, weight in sorted({**adapter.state_dict(), **adapter.lora_weights()}.items()):
        if name.startswith("expression."):
            continue
        numbers = weight.detach().to("cpu", torch.bfloat16).contiguous().view(torch.int16)
        digest.update(name.encode() + numbers.numpy().tobytes())
    return digest.hexdigest()


def misfit(metadata: AdapterMetadata, adapter: MusicAdapter | None) -> str | None:
    """Return what is wrong where a LoRA of few steps lies over another theory adapter than it was distilled over.

    Args:
        metadata: of the LoRA.
        adapter: the pipeline's theory adapter; None where it has none.

    Returns:
        A sentence; None where all is well or cannot be told: no LoRA of few steps, no theory adapter, a card without
        a digest, an adapter in float16 or offloaded.
    """
    if metadata.sampling is None or metadata.theory_digest is None or adapter is None:
        return None
    if adapter.dtype == torch.float16 or any(weight.is_meta for weight in adapter.parameters()):
        return None
    if theory_digest(adapter) == metadata.theory_digest:
        return None
    name = "theory" if adapter.metadata is None else adapter.metadata.name
    return (
        f"{metadata.name!r} was distilled over other weights of a theory adapter, of {metadata.theory!r} then, than "
        f"those of {name!r}, which is loaded: what it plays was not measured; load that one, or distil anew with "
        "recipes/distill.py"
    )
