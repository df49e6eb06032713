"""Options that take several words, such as `--transpose -2 3`, for typer, whose own take one."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

_NUMBER = re.compile(r"[-+]?\d+")


class ListsCommand(TyperCommand):
    """A command some of whose options take all words up to the next option, or none; the option gets them as one
    string.

    Attributes:
        LISTS: Names of these options, as `--transpose`.
    """

    LISTS = ("--transpose", "--genres")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the words after a list option, then parse as usual."""
        joined: list[str] = []
        words = list(args)
        while words:
            word = words.pop(0)
            if word in self.LISTS and any(word in parameter.opts for parameter in self.params):
                some = []
                while words and (not words[0].startswith("-") or _NUMBER.fullmatch(words[0])):
                    some.append(words.pop(0))
                joined.append(f"{word}={' '.join(some)}")
            else:
                joined.append(word)
        return super().parse_args(ctx, joined)
