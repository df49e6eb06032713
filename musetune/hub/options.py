"""How a name of the Hub is looked up: the options that every function takes and hands on."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict


class HubOptions(TypedDict, total=False):
    """The options of a lookup on the Hub, as huggingface_hub takes them; each may be left out.

    Attributes:
        revision: A branch, a tag or a commit; default: main.
        token: For a private repository; default: HF_TOKEN, or what ``hf auth login`` left.
        cache_dir: The Hub's cache; default: huggingface_hub's.
        local_files_only: Whether to take what the cache holds and ask nobody; default: no.
    """

    revision: str | None
    token: str | None
    cache_dir: str | Path | None
    local_files_only: bool
