"""Partial requests: some streams of a lead sheet, or a stretch of its time.

The rest is hidden from the model as training hides it.

Training hides up to nine tenths of a crop of 5 s; a window of which less is asked is beyond what the model has seen.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch

from musetune.conditioning import EXPRESSION, STEM_STREAMS, STREAMS, MusicTokens
from musetune.conditioning.stem_frames import HIDDEN
from musetune.pipeline.checks import pair
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement

# What says something of each moment; key and genre hold for all
TIMED = ("chords", "beats", "function", *STEM_STREAMS, EXPRESSION)
# What can be left out of a request by not naming it; expression counts wherever it is given
FOLLOWED = tuple(name for name in STREAMS if name != EXPRESSION)
NAMES = tuple(name for name in FOLLOWED if name != "function")  # what `follow` offers
NUMERALS_ALONE = (  # docs/results/cadences.json
    "follow names function without chords, and numerals alone are not followed: a deceptive cadence that was asked for "
    "so came in 14 % of the cases, in 17 % where an authentic one was; name chords, or give the numerals as "
    "harmonic_progression"
)
MEASURES = {"chords": "majmin", "beats": "beat_f"}  # what candidates are ranked by


@dataclass(frozen=True)
class ConditionMask:
    """The part of a lead sheet that the music shall follow.

    ``streams`` of the sheet, from ``start_s`` to ``end_s``; None: all of them, all of it.
    """

    streams: tuple[str, ...] | None = None
    stretch_s: tuple[float, float] | None = None

    def hide(self, tokens: MusicTokens, start_s: float, frame_s: float) -> MusicTokens:
        """The tokens (B, …) of a window that begins at ``start_s`` with frames of ``frame_s``, without what is not
        asked for.
        """
        if self.streams is not None:
            tokens = tokens.drop(set(FOLLOWED) - set(self.streams))
        if self.stretch_s is None:
            return tokens
        first, last = (round((time - start_s) / frame_s) for time in self.stretch_s)
        return hide_outside(tokens, first, last, frame_s)

    def rank(self, scores: Mapping[str, float | None]) -> float:
        """What candidates are ranked by, 0…1: the mean of majmin and beat F where those are asked, else the key's; 0
        without any.

        The overall score of a report is another figure (`musetune.evaluation.Report.score`). The results of "best of 4"
        were measured with this one, and a seed gives the order of candidates that it always gave.
        """
        streams = set(FOLLOWED if self.streams is None else self.streams)
        names = [name for stream, name in MEASURES.items() if stream in streams] or ["key"] * ("key" in streams)
        values = [value for name in names if (value := scores[name]) is not None]
        return sum(values) / len(values) if values else 0.0


def hide_outside(tokens: MusicTokens, first: int, last: int, frame_s: float) -> MusicTokens:
    """Silence outside frames ``first`` up to ``last``.

    Frames 0, events whose middle lies there masked (training's `hide_spans`).

    Where no frame is left, the streams that say something of each moment are absent altogether.
    """
    count = tokens.frames.shape[1]
    if min(last, count) <= max(first, 0):
        return tokens.drop(TIMED)
    frame = torch.arange(count, device=tokens.frames.device)
    hidden = (frame < first) | (frame >= last)
    middle = tokens.event_times_s.mean(2)
    inside = (middle >= first * frame_s) & (middle < last * frame_s)
    return replace(
        tokens,
        frames=tokens.frames.masked_fill(hidden[:, None], 0),
        stems=tokens.stems.masked_fill(hidden[:, None], HIDDEN),
        expression=tokens.expression.masked_fill(hidden[:, None], HIDDEN),
        event_mask=tokens.event_mask & inside,
    )


def condition_mask(
    sheet: LeadSheet,
    follow: str | Iterable[str] | None = None,
    seconds: tuple[float, float] | None = None,
    arrangement: Arrangement | None = None,
) -> ConditionMask:
    """Check a partial request against its sheet and return it.

    Raises ValueError for streams that there are none of, and stretches outside the sheet.
    """
    streams = None if follow is None else _streams(sheet, follow, arrangement)
    return ConditionMask(streams, None if seconds is None else _stretch(sheet, seconds))


def _streams(sheet: LeadSheet, follow: str | Iterable[str], arrangement: Arrangement | None) -> tuple[str, ...]:
    if not isinstance(follow, Iterable):
        raise ValueError(f"follow={follow!r} is not a list of names among {', '.join(NAMES)}")
    names = (follow,) if isinstance(follow, str) else tuple(follow)
    for name in names:
        if name not in FOLLOWED:
            near = difflib.get_close_matches(str(name), NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"follow={name!r} is not one of {', '.join(NAMES)}{hint}")
    if "function" in names and "chords" not in names:
        raise ValueError(NUMERALS_ALONE)
    for name, there in (("chords", bool(sheet.chords)), ("genre", sheet.genre is not None)):
        if name in names and not there:
            raise ValueError(f"follow names {name}, which the lead sheet has not: leave it out, or give the sheet some")
    if arrangement is None and (stems := [name for name in names if name in STEM_STREAMS]):
        raise ValueError(f"follow names {', '.join(stems)}, of which there are no notes: give an arrangement")
    return names


def _stretch(sheet: LeadSheet, seconds: tuple[float, float]) -> tuple[float, float]:
    start, end = pair("follow_seconds", seconds)
    if not 0 <= start < end <= sheet.duration_s + 0.01:
        raise ValueError(
            f"follow_seconds={start:g}–{end:g} is not a stretch of 0–{sheet.duration_s:.2f} s, which the lead sheet "
            f"lasts: "
            "give its start and its end in seconds"
        )
    return float(start), float(end)
