"""What a reader passed over or mended: said once, in plain words, to whoever reads the file.

Without a collector a remark is a warning of the logger ``musetune.remarks``, which Python prints to standard error;
inside ``collected`` it waits in a list, so that the analysis record can keep it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from musetune.symbols.limits import shorten

MOST = 20  # remarks that one file gets
LOG = logging.getLogger("musetune.remarks")
_collector: ContextVar[list[str] | None] = ContextVar("remarks", default=None)


def remark(text: str) -> None:
    """Say ``text``: what, where and why. A remark that was made already is not made again."""
    notes = _collector.get()
    text = shorten(text, 400)
    if notes is None:
        LOG.warning("%s", text)
    elif text not in notes:
        if len(notes) == MOST:
            notes.append("there is more of this kind; only the first remarks are kept")
        elif len(notes) < MOST:
            notes.append(text)


@contextmanager
def collected() -> Iterator[list[str]]:
    """The remarks that are made while it lasts, instead of being logged.

    Example:
        >>> with collected() as said:
        ...     remark("bar 3: the symbol 'Q7' is no chord")
        >>> said
        ["bar 3: the symbol 'Q7' is no chord"]
    """
    notes: list[str] = []
    token = _collector.set(notes)
    try:
        yield notes
    finally:
        _collector.reset(token)
