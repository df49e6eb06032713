"""Adapters to and from the Hugging Face Hub: push, pull, the model card, and what is at hand.

Light: imports no torch.
"""

from musetune.hub.card import card
from musetune.hub.contents import shareable
from musetune.hub.dataset_transfer import dataset_files, push_dataset
from musetune.hub.listing import ListedAdapter, list_adapters
from musetune.hub.transfer import HubError, card_to_push, files_to_push, pull, push, why_unlicensed

__all__ = [
    "push",
    "pull",
    "files_to_push",
    "card",
    "card_to_push",
    "why_unlicensed",
    "push_dataset",
    "dataset_files",
    "HubError",
    "shareable",
    "list_adapters",
    "ListedAdapter",
]
