"""The exact sheet inside a file of another format, which counts while the file plainly says the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from musetune.formats.json_object import parse_json
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.remarks import collected, remark

FIELD = "musetune"  # the name under which a file of another format carries the exact sheet


def embed(sheet: LeadSheet) -> str:
    """The text, ASCII, that a file carries beside what it plainly says."""
    return json.dumps(sheet.to_json(), separators=(",", ":"))


def exact(text: str | None, read: LeadSheet, rewrite: Callable[[LeadSheet], LeadSheet]) -> LeadSheet:
    """The sheet ``embed`` as ``text`` while the file still says what it did; else ``read``: the file was edited.

    rewrite: sheet → what a file of it says.
    """
    if not text:
        return read
    try:
        sheet = LeadSheet.from_json(parse_json(text))
    except ValueError as error:
        remark(f"the exact sheet inside the file cannot be read, what the file plainly says counts: {error}")
        return read
    with collected():  # what our own writing says of itself is no news
        try:
            again = rewrite(sheet)
        except ValueError:  # a sheet that this format cannot hold was not written into it
            return read
    return sheet if _agree(again, read) else read


def like(read: LeadSheet, sheet: LeadSheet) -> LeadSheet:
    """``sheet`` as a file says it that shows no sections: those of older versions carried them in the exact sheet
    alone.
    """
    return sheet if read.sections else replace(sheet, sections=())


def _agree(a: LeadSheet, b: LeadSheet) -> bool:
    """Equal, but for beat times within 0.05 % and velocities: programs round both."""
    if len(a.grid.times_s) != len(b.grid.times_s) or not np.allclose(
        a.grid.times_s, b.grid.times_s, rtol=5e-4, atol=2e-3
    ):
        return False
    even = lambda sheet: tuple(replace(n, velocity=1) for n in sheet.melody)  # noqa: E731
    return replace(a, grid=b.grid, melody=even(a)) == replace(b, melody=even(b))
