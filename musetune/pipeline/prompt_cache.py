"""PromptCache: what the text encoders and GPT-2 made of the last prompts, so that a call with the same words is spared
them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Encoding = tuple[Tensor, Tensor, Tensor]  # T5's states, their mask, GPT-2's embeddings
ENCODERS = ("text_encoder", "text_encoder_2", "projection_model", "language_model")
PLAIN = (str, int, float, bool, torch.device, type(None))
SIZE = 64  # prompts; of AudioLDM 2 some 100 kB each


class PromptCache:
    """The encodings of the last prompts, by the words and by the encoders' weights.

    An encoding is kept only where it can be had again exactly: encoders in evaluation mode, no gradients, words instead
    of embeddings. Weights that changed in place, were moved or cast, and encoders that were replaced are noticed;
    changes through ``.data`` are not (``clear``).

    Args:
        size: the most prompts that are kept; 0 keeps none.

    Raises:
        ValueError: for a negative size.
    """

    def __init__(self, size: int = SIZE) -> None:
        if size < 0:
            raise ValueError(f"size={size} of the prompt cache is negative: 0 keeps nothing")
        self.size = size
        self.hits = self.misses = 0
        self._encodings: OrderedDict[Hashable, Encoding] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, arguments: Mapping[str, Any], encoders: list[nn.Module], encode: Callable[[], Encoding]) -> Encoding:
        """Return what ``encode`` returns, from the cache where it was asked for with these arguments before.

        Args:
            arguments: what ``encode`` was called with.
            encoders: the modules whose weights it reads.
            encode: makes the encoding.
        """
        words = _words_of(arguments)
        if words is None or not self.size or torch.is_grad_enabled() or any(one.training for one in encoders):
            return encode()
        casts = tuple((torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda"))
        key = (words, torch.is_inference_mode_enabled(), casts, tuple(map(_state_of, encoders)))
        with self._lock:
            kept = self._encodings.get(key)
            if kept is not None:
                self.hits += 1
                self._encodings.move_to_end(key)
        if kept is None:
            kept = encode()
            with self._lock:
                self.misses += 1
                self._encodings[key] = kept
                while len(self._encodings) > self.size:
                    self._encodings.popitem(last=False)
        embeds, mask, generated = kept
        return embeds.clone(), mask.clone(), generated.clone()

    def clear(self) -> None:
        """Forget all encodings."""
        with self._lock:
            self._encodings.clear()


def _words_of(arguments: Mapping[str, Any]) -> Hashable | None:
    """Return the arguments as a key; None where some are tensors or other things without a lasting value."""
    values = {name: tuple(value) if isinstance(value, list) else (value,) for name, value in arguments.items()}
    plain = all(isinstance(one, PLAIN) for value in values.values() for one in value)
    return tuple((name, values[name]) for name in sorted(values)) if plain else None


def _state_of(encoder: nn.Module) -> Hashable:
    """Return what differs once the encoder is another or its weights were changed in place, moved or cast."""
    weights = list(encoder.parameters())
    versions = sum(0 if weight.is_inference() else weight._version for weight in weights)
    places = hash(tuple((weight.data_ptr(), weight.dtype, weight.device) for weight in weights))
    return id(encoder), versions, places
