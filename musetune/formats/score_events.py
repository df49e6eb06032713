"""What MIDI and MusicXML say of notes, in quarters, and the score that it makes in beats."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.key import Key
from musetune.symbols.meter import Meter
from musetune.symbols.score import Score
from musetune.symbols.spans import KeySpan, MeterSpan, Note
from musetune.symbols.timeline import beats_of, in_force

Event = tuple[Fraction, Fraction, int, int, int | None]  # start and stop in quarters, pitch, velocity, place in fifths


def score_of(
    lines: list[tuple[str, list[Event]]],
    drums: list[Event],
    signatures: list[tuple[Fraction, Meter]],
    keys: list[tuple[Fraction, Key]],
    end: Fraction,
    times: Callable[[tuple[MeterSpan, ...], int], BeatGrid],
    pickup: Fraction,
) -> Score:
    """The score of what a file says in quarters. Raises ValueError where no note sounds."""
    lines = [(name, events) for name, events in lines if events]
    if not lines and not drums:
        raise ValueError("it has no notes")
    at = beats_of(signatures)
    meters = tuple(MeterSpan(at(q), m) for q, m in signatures)
    note = lambda e: Note(at(e[0]), at(e[1]) - at(e[0]), e[2], e[3])  # noqa: E731
    length = at(end)
    spelled = all(e[4] is not None for _, events in lines for e in events)
    return Score(
        voices=tuple(tuple(map(note, events)) for _, events in lines),
        names=tuple(name for name, _ in lines),
        percussion=tuple(map(note, sorted(drums, key=lambda e: e[:3]))),
        meters=meters,
        signatures=tuple(KeySpan(at(q), k) for q, k in in_force(keys, Key("C"), end)),
        grid=times(meters, math.ceil(length)),
        length=length,
        first_downbeat=at(pickup),
        fifths=tuple(tuple(e[4] or 0 for e in events) for _, events in lines) if spelled else (),
    )
