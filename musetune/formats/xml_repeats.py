"""The order in which the measures of a MusicXML score are played: repeats and endings.

After MusicXML 4.0's <repeat> and <ending> (W3C Music Notation Community Group, 2021).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from musetune.symbols.limits import BEATS, REPEATS, check_count, shorten
from musetune.symbols.remarks import remark

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

JUMPS = {"dacapo": "D.C.", "dalsegno": "D.S.", "tocoda": "To Coda", "fine": "Fine"}


@dataclass
class BarLines:
    """What the bar lines of one measure say.

    Attributes:
        begins: a repeat begins here.
        passes: how often the stretch that ends here is played, 0 where none ends.
        endings: the passes in which the measure is played, None for all.
    """

    begins: bool = False
    passes: int = 0
    endings: frozenset[int] | None = None


def play_order(parts: Sequence[Sequence[Element]]) -> list[int]:
    """Return the numbers of a score's measures, from 0, in the order in which they are played.

    Jumps (D.C., D.S.) are not followed, which is remarked.

    Args:
        parts: the measures of each part.

    Raises:
        ValueError: for more passes than a repeat may have, and for more bars than a piece may have.
    """
    lines = read_bar_lines(parts)
    order: list[int] = []
    at = start = 0
    turn = 1
    while at < len(lines):
        line = lines[at]
        after_endings = at > 0 and line.endings is None and lines[at - 1].endings is not None
        if at != start and (line.begins or after_endings):
            start, turn = at, 1
        if line.endings is not None and turn not in line.endings:
            at += 1
            continue
        order.append(at)
        check_count("bars with their repeats", len(order), BEATS)
        if line.passes and turn < _passes(lines, start, at):
            turn += 1
            at = start
        else:
            if line.passes and line.endings is None:
                start, turn = at + 1, 1
            at += 1
    if len(order) != len(lines):
        remark(f"its repeats are played out: {len(lines)} bars as written, {len(order)} as played")
    return order


def _passes(lines: list[BarLines], start: int, at: int) -> int:
    """How often the stretch from ``start`` is played that ends at measure ``at`` or in the endings around it."""
    last = at
    while last + 1 < len(lines) and lines[last].endings is not None and lines[last + 1].endings is not None:
        last += 1
    return max(lines[at].passes, *(max(line.endings) for line in lines[start : last + 1] if line.endings), 0)


def read_bar_lines(parts: Sequence[Sequence[Element]]) -> list[BarLines]:
    """Return what the bar lines say, measure by measure; a repeat in any part counts for all."""
    lines: list[BarLines] = []
    open_ending: frozenset[int] | None = None
    for number, measures in enumerate(zip_longest(*parts), start=1):
        line, closed = BarLines(), False
        for measure in measures:
            for mark in [] if measure is None else measure.iterfind("barline"):
                ending, repeat = mark.find("ending"), mark.find("repeat")
                if ending is not None:
                    if ending.get("type") == "start":
                        open_ending = _numbers(ending.get("number"))
                    closed = closed or ending.get("type") in ("stop", "discontinue")
                if repeat is not None and repeat.get("direction") == "forward":
                    line.begins = True
                elif repeat is not None and repeat.get("direction") == "backward":
                    times_text = repeat.get("times") or "2"
                    times = int(times_text) if re.fullmatch(r"\d{1,9}", times_text) else 2
                    check_count(f"passes of the repeat that ends in bar {number}", times, REPEATS)
                    line.passes = max(line.passes, times)
            _remark_jumps(measure, number)
        line.endings = open_ending
        open_ending = None if closed else open_ending
        lines.append(line)
    return lines


def _numbers(text: str | None) -> frozenset[int] | None:
    """The passes of an ending, "1, 2"; None where it names none."""
    numbers = frozenset(int(n) for n in re.findall(r"\d{1,3}", shorten(text or "")))
    check_count("passes of an ending", max(numbers, default=0), REPEATS)
    return numbers or None


def _remark_jumps(measure: Element | None, number: int) -> None:
    for sound in [] if measure is None else [*measure.iterfind("sound"), *measure.iterfind("direction/sound")]:
        for name, sign in JUMPS.items():
            if sound.get(name) is not None:
                remark(f"bar {number}: {sign} is not followed, the bars are read in the order of their repeats")
