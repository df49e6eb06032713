"""Stretches of a piece, in seconds or in bars, and which of them are made anew together. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from musetune.pipeline.checks import pair, reject_arguments
from musetune.symbols import LeadSheet

Stretch = tuple[float, float]
LEAST_ROWS = 8  # that are denoised at once


@dataclass(frozen=True)
class EditSection:
    """A piece of the audio in which stretches are made anew in one call, with what is around them.

    Attributes:
        first: latent row that it begins with.
        rows: how many it has.
        stretches: (start, end) in seconds from its first row on.
    """

    first: int
    rows: int
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class PieceExtension:
    """What is put around a piece that is played on, in samples.

    Attributes:
        spare: in front of all, so that the piece begins on a latent row; it is cut off again.
        before: in front of the piece.
        samples: of the piece.
        after: behind it.
        rate: samples a second.
    """

    spare: int
    before: int
    samples: int
    after: int
    rate: int

    @property
    def duration_s(self) -> float:
        """Seconds of the whole, what is cut off again included."""
        return (self.spare + self.before + self.samples + self.after) / self.rate

    @property
    def stretches(self) -> list[Stretch]:
        """The ends that are made, in seconds of that whole."""
        first, last = (self.spare + self.before) / self.rate, (self.spare + self.before + self.samples) / self.rate
        return [(0.0, first)] * (self.before > 0) + [(last, self.duration_s)] * (self.after > 0)


def extension_of(samples: int, rate: int, before_s: float, after_s: float, row_s: float) -> PieceExtension:
    """What is put around a piece.

    Args:
        samples: of the piece.
        rate: samples a second.
        before_s: seconds to play before it.
        after_s: seconds to play after it.
        row_s: seconds of a latent row.

    Example:
        >>> extension_of(16000, 16000, before_s=0.5, after_s=1.0, row_s=0.128).stretches
        [(0.0, 0.512), (1.512, 2.512)]
    """
    before = round(before_s * rate)
    spare = round(-before_s % row_s * rate) if before else 0
    spare = 0 if math.isclose(spare, row_s * rate, abs_tol=1) else spare
    return PieceExtension(spare, before, samples, round(after_s * rate), rate)


def sections_of(
    stretches: Sequence[Stretch], duration_s: float, row_s: float, window_s: float, multiple: int = 1
) -> list[EditSection]:
    """The sections in which stretches are made, with a quarter of a window around them, and no shorter than a window
    where the audio allows it.

    Args:
        stretches: in order, apart.
        duration_s: length of the audio.
        row_s: seconds of a latent row.
        window_s: seconds that the base was trained on.
        multiple: of what number the rows are multiples; what is lacking is taken from before a section as far as there
            is audio.

    Example:
        >>> sections_of([(20.0, 22.0)], duration_s=60.0, row_s=0.25, window_s=4.0)
        [EditSection(first=76, rows=16, stretches=((1.0, 3.0),))]
    """
    sections = []
    for start, end in clusters(stretches, window_s / 4, duration_s, min(window_s, duration_s)):
        first = math.floor(start / row_s + 1e-6)
        rows = max(LEAST_ROWS, math.ceil(end / row_s - 1e-6) - first)
        lacking = -rows % multiple
        first, rows = max(0, first - lacking), rows + lacking
        inside = tuple((a - first * row_s, b - first * row_s) for a, b in stretches if a < end and b > start)
        sections.append(EditSection(first, rows, inside))
    return sections


def stretches_of(
    sheet: LeadSheet, duration_s: float, seconds: Any, bars: Any, shortest_s: float = 0.1
) -> list[Stretch]:
    """Read what is to be made anew.

    Args:
        sheet: it says where bars are.
        duration_s: length of the audio.
        seconds: (start, end), or a list of them.
        bars: (first, last), counted from 1, the last one included; or a list of them. A last bar that the audio ends
            in goes to the audio's end.
        shortest_s: a stretch is no shorter.

    Returns:
        (start, end) in seconds, in order, those that touch joined.

    Raises:
        ValueError: where neither or both are given, or a stretch lies outside the audio.

    Example:
        >>> stretches_of(LeadSheet.parse("| C | F | G | C |", bpm=120), 8.0, None, (2, 3))
        [(2.0, 6.0)]
    """
    if seconds is None and bars is None:
        raise ValueError("say what to make anew: seconds=(4, 8) or bars=(3, 4), or a list of such pairs")
    if seconds is not None:
        reject_arguments({"bars": bars}, "and seconds: give one of them")
        found = [pair("seconds", one) for one in _pairs(seconds)]
    else:
        found = [_bar_stretch(sheet, duration_s, pair("bars", one)) for one in _pairs(bars)]
    for start, end in found:
        if not 0 <= start < end <= duration_s + 0.01 or end - start < shortest_s:
            raise ValueError(
                f"stretch {start:g}–{end:g} s is not inside the audio's 0–{duration_s:.2f} s, or is shorter than "
                f"{shortest_s:g} s"
            )
    joined: list[Stretch] = []
    for start, end in sorted((start, min(end, duration_s)) for start, end in found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def clusters(stretches: Sequence[Stretch], context_s: float, duration_s: float, least_s: float) -> list[Stretch]:
    """Return the pieces of the audio, (start, end) in seconds, that stretches are made in with what is around them.

    Args:
        stretches: in order, apart.
        context_s: what is heard before and after.
        duration_s: length of the audio.
        least_s: a piece is no shorter where the audio allows it.

    Example:
        >>> clusters([(20.0, 22.0), (24.0, 25.0), (50.0, 51.0)], 2.0, 60.0, 10.0)
        [(17.5, 27.5), (45.5, 55.5)]
    """
    pieces: list[list[float]] = []
    for start, end in stretches:
        if pieces and start - context_s <= pieces[-1][1]:
            pieces[-1][1] = end + context_s
        else:
            pieces.append([start - context_s, end + context_s])
    widened: list[Stretch] = []
    for start, end in pieces:
        lacking = max(0.0, least_s - (end - start)) / 2
        start, end = start - lacking, end + lacking
        shift = max(0.0, -start) - max(0.0, end - duration_s)
        start, end = max(0.0, start + shift), min(duration_s, end + shift)
        if widened and start < widened[-1][1]:
            start, end = widened.pop()[0], max(end, start)
        widened.append((start, end))
    return widened


def _pairs(value: Any) -> list[Any]:
    """Return one pair, or several, as a list."""
    several = isinstance(value, Sequence) and len(value) > 0 and all(isinstance(one, Sequence) for one in value)
    return list(value) if several else [value]


def _bar_stretch(sheet: LeadSheet, duration_s: float, bars: tuple[float, float]) -> Stretch:
    lines = [float(time) for time in sheet.downbeats_s]
    first, last = bars
    if not (first.is_integer() and last.is_integer() and 1 <= first <= last <= len(lines)):
        raise ValueError(f"bars={first:g}–{last:g} are not whole bars within 1–{len(lines)}, which the lead sheet has")
    end = lines[int(last)] if int(last) < len(lines) else sheet.duration_s
    return lines[int(first) - 1], min(end, duration_s) if lines[int(last) - 1] < duration_s else end
