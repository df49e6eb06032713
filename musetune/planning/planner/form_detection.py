"""Sections of a song that names none: stretches whose roots come back.

The song is cut where that says it shortest (minimum description length): a stretch like an earlier one costs less than
a new one, stretches of 8 and 16 bars less than odd ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from musetune.planning.planner.language import PlanBar

ALIKE = 0.75  # share of bars in which two stretches must agree to be one section
NEW, AGAIN, BAR = 3.0, 2.0, 1.0  # cost of a section, of one that comes back, and of a bar that must be written
ODD = {
    8: 0.0,
    16: 0.5,
    4: 1.0,
    12: 1.0,
    10: 2.5,
    6: 2.5,
    9: 2.5,
    2: 4.0,
}  # extra cost of a length in bars; others ODDEST
ODDEST = 3.5
LONGEST = 16


def derive_form(bars: Sequence[PlanBar]) -> list[tuple[str, int]]:
    """(letter, bars) of the sections of a song, in order; the same letter for stretches of one length that agree in
    ALIKE of their bars.

    Letters go on from A; where more than 24 would be needed the last one stands for all further stretches of its
    length.
    """
    plain = [bar[0].degree if bar else -1 for bar in bars]
    lengths = _cut(plain)
    sections: list[tuple[str, int]] = []
    kinds: list[tuple[list, str]] = []
    at = 0
    for length in lengths:
        here = plain[at : at + length]
        label = next((name for there, name in kinds if len(there) == length and agreement(here, there) >= ALIKE), None)
        if label is None:
            label = "ABCDEFGHIJKLMNOPQRSTUVWX"[min(len(kinds), 23)]
            kinds.append((here, label))
        sections.append((label, length))
        at += length
    return sections


def agreement(one: Sequence, other: Sequence) -> float:
    """Share of bars that begin on the same root: songs colour and fill their bars anew when they come back."""
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def _cut(bars: Sequence) -> list[int]:
    """Lengths of the stretches, by dynamic programming over bar lines."""
    count = len(bars)
    runs = _runs(bars)
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the bars before each line, and the length of the last stretch
    for line in range(1, count + 1):
        options = []
        for length in range(1, min(LONGEST, line) + 1):
            start = line - length
            matches = (
                runs[line, length : start + 1] - runs[start, : max(start - length + 1, 0)]
            )  # with the stretch before each line
            mismatches = length - int(matches.max(initial=0))
            again = AGAIN + BAR * mismatches if mismatches <= (1 - ALIKE) * length else float("inf")
            cost = min(NEW + BAR * length, again) + ODD.get(length, ODDEST)
            options.append((best[start][0] + cost, length))
        best.append(min(options))
    lengths = []
    while count:
        lengths.append(best[count][1])
        count -= lengths[-1]
    return lengths[::-1]


def _runs(bars: Sequence) -> np.ndarray:
    """(lines, lines): bars that agree on the diagonal that ends before two bar lines."""
    kinds = {bar: index for index, bar in enumerate(dict.fromkeys(bars))}
    ids = np.array([kinds[bar] for bar in bars])
    out = np.zeros((len(bars) + 1, len(bars) + 1), int)
    equal = ids[:, None] == ids[None, :]
    for line in range(len(bars)):
        out[line + 1, 1:] = out[line, :-1] + equal[line]
    return out
