"""The former home of ``LoraMixer``: pipelines that 0.1.0 saved name ``musetune.adapter.shelf.LoraShelf`` in model_index.json."""

from musetune.adapter.mixing import LoraMixer as LoraShelf

__all__ = ["LoraShelf"]
