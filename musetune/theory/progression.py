"""Text → LeadSheet: progressions such as "I V vi IV" and charts such as "| Cmaj7 | G/B . Am7 . | % |"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from musetune.theory.chord import Chord
from musetune.theory.grid import BeatGrid, check_bpm
from musetune.theory.key import Key
from musetune.theory.leadsheet import ChordSpan, KeySpan, LeadSheet, MeterSpan
from musetune.theory.meter import Meter

HOLD, REPEAT = ".", "%"


def from_progression(
    chords: Sequence[str | Chord],
    *,
    key: str | Key = "C major",
    bpm: float = 120,
    time_signature: str | Meter = "4/4",
    beats_per_chord: int | Fraction | None = None,
    duration_seconds: float | None = None,
    genre: str | None = None,
) -> LeadSheet:
    """One chord a bar (or every ``beats_per_chord``), repeated and cut to ``duration_seconds`` where given.

    Raises ValueError for an empty progression, a chord or key that cannot be read, or bpm outside 30–300.
    """
    tonic, meter = _key(key), _meter(time_signature)
    beats = Fraction(beats_per_chord) if beats_per_chord is not None else Fraction(meter.beats_per_bar)
    if beats <= 0:
        raise ValueError(f"beats_per_chord={beats} must be above 0")
    slots = [(beats, c if isinstance(c, Chord) else Chord.parse(c, tonic)) for c in chords]
    return _build(slots, tonic, bpm, meter, duration_seconds, genre)


def parse_chart(
    text: str,
    *,
    key: str | Key = "C major",
    bpm: float = 120,
    time_signature: str | Meter = "4/4",
    duration_seconds: float | None = None,
    genre: str | None = None,
) -> LeadSheet:
    """Read a chart. Between bars the chords share the bar equally, ``.`` holds the chord before, ``%`` repeats the bar before;
    text without bars is one chord a bar. Any notation of ``Chord.parse``, mixed. Repeats and cuts to ``duration_seconds``.

    Raises ValueError as ``from_progression`` does, and for ``%`` or ``.`` with nothing before it.
    """
    tonic, meter = _key(key), _meter(time_signature)
    tokens = text.replace(",", " ").replace("\n", " ")
    bars = [bar.split() for bar in tokens.split("|")] if "|" in tokens else [[token] for token in tokens.split()]
    slots: list[tuple[Fraction, Chord]] = []
    last: list[tuple[Fraction, Chord]] = []
    for bar in (b for b in bars if b):
        last = _bar(bar, last, tonic, meter)
        slots.extend(last)
    return _build(slots, tonic, bpm, meter, duration_seconds, genre)


def _bar(
    tokens: list[str], before: list[tuple[Fraction, Chord]], key: Key, meter: Meter
) -> list[tuple[Fraction, Chord]]:
    """The (beats, chord) slots of one bar."""
    if tokens == [REPEAT]:
        if not before:
            raise ValueError("'%' repeats the bar before, and there is none; write a chord")
        return before
    share = Fraction(meter.beats_per_bar, len(tokens))
    slots: list[tuple[Fraction, Chord]] = []
    for token in tokens:
        if token != HOLD:
            slots.append((share, Chord.parse(token, key)))
        elif slots:
            slots[-1] = (slots[-1][0] + share, slots[-1][1])
        elif before:
            slots.append((share, before[-1][1]))
        else:
            raise ValueError("'.' holds the chord before, and there is none; write a chord")
    return slots


def _build(
    slots: list[tuple[Fraction, Chord]],
    key: Key,
    bpm: float,
    meter: Meter,
    duration_seconds: float | None,
    genre: str | None,
) -> LeadSheet:
    """Lay the slots end to end; repeat and cut to the duration. Neighbouring equal chords stay apart, as written."""
    if not slots:
        raise ValueError("a progression needs at least one chord, for example 'I V vi IV' or '| C | G/B . Am . |'")
    check_bpm(bpm)
    total = sum((beats for beats, _ in slots), Fraction(0))
    if duration_seconds is not None:
        if not duration_seconds > 0:
            raise ValueError(f"duration_seconds={duration_seconds} must be above 0")
        total = Fraction(duration_seconds * bpm / 60).limit_denominator(10**6)
    spans, at, i = [], Fraction(0), 0
    while at < total:
        beats, chord = slots[i % len(slots)]
        spans.append(ChordSpan(at, min(beats, total - at), chord))
        at, i = at + beats, i + 1
    start = Fraction(0)
    return LeadSheet(
        tuple(spans),
        (KeySpan(start, key),),
        (MeterSpan(start, meter),),
        BeatGrid.constant(bpm, math.ceil(total)),
        total,
        genre=genre,
    )


def _key(key: str | Key) -> Key:
    return key if isinstance(key, Key) else Key.parse(key)


def _meter(meter: str | Meter) -> Meter:
    return meter if isinstance(meter, Meter) else Meter.parse(meter)
