"""Adapters to and from the Hugging Face Hub: push, pull, the model card, and what is at hand.

Light: imports no torch.
"""

from musetune.hub.card import card
from musetune.hub.contents import shareable
from musetune.hub.listing import ListedAdapter, list_adapters
from musetune.hub.transfer import HubError, files_to_push, pull, push

__all__ = ["push", "pull", "files_to_push", "card", "HubError", "shareable", "list_adapters", "ListedAdapter"]
