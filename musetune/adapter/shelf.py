"""The former home of ``LoraMixer``.

Pipelines that 0.1.0 saved name ``musetune.adapter.shelf.LoraShelf`` in model_index.json.
"""

# diffusers looks in a component's module for the base class that says how it is loaded
from diffusers.models.modeling_utils import ModelMixin

from musetune.adapter.mixing import LoraMixer as LoraShelf

__all__ = ["LoraShelf", "ModelMixin"]
