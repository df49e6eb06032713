"""Text ⇄ LeadSheet: progressions such as "I V vi IV" and charts such as "| Cmaj7 | G/B . Am7 . | % |"."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from fractions import Fraction

from musetune.symbols.beat_grid import BeatGrid, check_bpm, finite
from musetune.symbols.chord import Chord
from musetune.symbols.chord_suffix import write_suffix
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import ChordSpan, KeySpan, LeadSheet, MeterSpan
from musetune.symbols.meter import Meter
from musetune.symbols.names import spell

FINEST = 4  # parts of a beat in which a chart as text is written
HOLD, REPEAT = ".", "%"
Slot = tuple[Fraction, Chord]  # beats, chord


def from_progression(
    chords: str | Sequence[str | Chord],
    *,
    key: str | Key = "C major",
    bpm: float = 120,
    time_signature: str | Meter = "4/4",
    beats_per_chord: int | Fraction | None = None,
    duration_seconds: float | None = None,
    genre: str | None = None,
) -> LeadSheet:
    """One chord a bar (or every ``beats_per_chord``), repeated and cut to ``duration_seconds`` where given.

    A text is read as ``parse_chart`` reads it. Raises ValueError for an empty progression, a chord or key that cannot
    be read, bpm outside 30–300, a duration or ``beats_per_chord`` that is not above 0, or bars together with
    ``beats_per_chord``.
    """
    tonic, meter = _key(key), _meter(time_signature)
    if isinstance(chords, str):
        slots = _read(chords, tonic, meter)
        if beats_per_chord is not None and "|" in chords:
            raise ValueError(f"bars say how long chords last: leave out the bars or beats_per_chord={beats_per_chord}")
    else:
        bar = Fraction(meter.beats_per_bar)
        slots = [(bar, c if isinstance(c, Chord) else Chord.parse(c, tonic)) for c in chords]
    if beats_per_chord is not None:
        if finite("beats_per_chord", beats_per_chord) <= 0:
            raise ValueError(f"beats_per_chord={beats_per_chord} must be above 0")
        slots = [(Fraction(beats_per_chord), chord) for _, chord in slots]
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
    """Read a chart.

    Between bars the chords share the bar equally, ``.`` holds the chord before, ``%`` repeats the bar before or, among
    chords, the chord before; ``|: … :|`` is played twice. Text without bars is one chord a bar; commas separate as
    spaces do. Any notation of ``Chord.parse``, mixed. Repeats and cuts to ``duration_seconds``.

    Raises ValueError as ``from_progression`` does, for ``%`` or ``.`` with nothing before it, and for a ``|:`` that
    nothing closes.
    """
    tonic, meter = _key(key), _meter(time_signature)
    return _build(_read(text, tonic, meter), tonic, bpm, meter, duration_seconds, genre)


def _read(text: str, key: Key, meter: Meter) -> list[Slot]:
    """The slots of a chart."""
    text = re.sub(r"\([^()]*\)", lambda inside: "".join(inside[0].split()), text)
    text = _play_repeats(re.sub(r",(?![^()]*\))", " ", text))  # commas in C:maj(9,11) belong to the chord
    bars = [bar.split() for bar in text.split("|")] if "|" in text else [[token] for token in text.split()]
    slots: list[Slot] = []
    last: list[Slot] = []
    for bar in (b for b in bars if b):
        last = _bar(bar, last, key, meter)
        slots.extend(last)
    return slots


def _play_repeats(text: str) -> str:
    """``text`` with ``|: … :|`` written out twice.

    Without its ``|:``, a ``:|`` goes back to the repeat before it or the start.
    """
    out, rest = "", text.replace(":|:", ":||:")
    while ":|" in rest:
        passage, _, rest = rest.partition(":|")
        before, _, again = passage.rpartition("|:")
        out += f"{before}|{again}|{again}|"
    if "|:" in rest:
        raise ValueError(f"'|:{rest.partition('|:')[2]}' opens a repeat that nothing closes; end it with ':|'")
    return out + rest


def _bar(tokens: list[str], before: list[Slot], key: Key, meter: Meter) -> list[Slot]:
    """The slots of one bar."""
    if tokens == [REPEAT]:
        if not before:
            raise ValueError("'%' repeats the bar before, and there is none; write a chord")
        return before
    share = Fraction(meter.beats_per_bar, len(tokens))
    slots: list[Slot] = []
    for token in tokens:
        if token not in (HOLD, REPEAT):
            slots.append((share, Chord.parse(token, key)))
        elif token == HOLD and slots:
            slots[-1] = (slots[-1][0] + share, slots[-1][1])
        elif slots or before:
            slots.append((share, (slots or before)[-1][1]))
        else:
            does = "holds" if token == HOLD else "repeats"
            raise ValueError(f"{token!r} {does} the chord before, and there is none; write a chord")
    return slots


def _build(
    slots: list[Slot],
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
        if finite("duration_seconds", duration_seconds) <= 0:
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


def pop_name(chord: Chord) -> str:
    """Chord as on a lead sheet, with its exact notes: ``Bbm7/Ab``, ``C7(#9)``; ``N.C.`` for no chord."""
    if chord.root is None or chord.bass_pc is None:
        return "N.C."
    name = chord.root + write_suffix(chord.quality, chord.intervals)
    if chord.bass == "1":
        return name
    return f"{name}/{spell(chord.root, int(chord.bass.lstrip('b#')) - 1, chord.bass_pc)}"


def chart_text(sheet: LeadSheet) -> str:
    """The chords in bars as ``LeadSheet.parse`` reads them, from the first bar line on: ``| C | G/B . Am7 . | % |``.

    What stands between quarters of a beat moves to the one before it; a last bar that is not whole is filled up by its
    last chord.
    """
    bars: list[str] = []
    before = ""
    lines = sheet.downbeats()
    for low, high in zip(lines, [*lines[1:], sheet.length]):
        whole = sheet.meter.beats_per_bar if high == sheet.length else high - low
        bar = _bar_text(sheet, low, Fraction(whole))
        bars.append("%" if bar == before else bar)
        before = bar
    if not bars:  # all of it is an upbeat
        bars = [_bar_text(sheet, Fraction(0), sheet.length)]
    return f"| {' | '.join(bars)} |"


def _bar_text(sheet: LeadSheet, low: Fraction, beats: Fraction) -> str:
    """The chords of one bar, as few equal parts as tell when they change."""
    end, most = min(low + beats, sheet.length), max(1, int(beats * FINEST))
    edges = sorted({low, *(at for span in sheet.chords for at in (span.start, span.end) if low < at < end)})
    changes = [at - low for before, at in itertools.pairwise(edges) if sheet.chord_at(at) != sheet.chord_at(before)]
    parts = next((n for n in range(1, most) if all((at * n / beats).denominator == 1 for at in changes)), most)
    words: list[str] = []
    now: Chord | None = None
    for part in range(parts):
        at = low + beats * part / parts
        chord = sheet.chord_at(at)
        held = at >= sheet.length or chord == now
        words.append("." if held else pop_name(chord))
        now = now if held else chord
    return " ".join(words)
