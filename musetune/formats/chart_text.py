"""Text ⇄ LeadSheet: progressions such as "I V vi IV" and charts such as "| Cmaj7 | G/B . Am7 . | % |"."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from musetune.formats.chart_reader import ChartBar, read_chart
from musetune.symbols.beat_grid import BeatGrid, check_bpm, finite
from musetune.symbols.chord import Chord
from musetune.symbols.chord_suffix import write_suffix
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.limits import BEATS, CHORDS, DURATION_S, check_count
from musetune.symbols.meter import Meter
from musetune.symbols.names import spell
from musetune.symbols.spans import ChordSpan, KeySpan, MeterSpan, Section
from musetune.symbols.timeline import until_next

FINEST = 4  # parts of a beat in which a chart as text is written


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
        bars = read_chart(chords, tonic, meter)
        if beats_per_chord is not None and "|" in chords:
            raise ValueError(f"bars say how long chords last: leave out the bars or beats_per_chord={beats_per_chord}")
    else:
        bar = Fraction(meter.beats_per_bar)
        check_count("chords", len(chords), CHORDS)
        bars = [ChartBar([(bar, c if isinstance(c, Chord) else Chord.parse(c, tonic))], meter) for c in chords]
    if beats_per_chord is not None:
        if finite("beats_per_chord", beats_per_chord) <= 0:
            raise ValueError(f"beats_per_chord={beats_per_chord} must be above 0")
        check_count("beats_per_chord", beats_per_chord, BEATS)
        share = Fraction(beats_per_chord)
        bars = [replace(bar, slots=[(share, chord) for _, chord in bar.slots]) for bar in bars]
    return _build(bars, tonic, bpm, duration_seconds, genre)


def parse_chart(
    text: str,
    *,
    key: str | Key = "C major",
    bpm: float = 120,
    time_signature: str | Meter = "4/4",
    duration_seconds: float | None = None,
    genre: str | None = None,
) -> LeadSheet:
    """Lead sheet of a chart as players write it.

    Between bar lines the chords share the bar equally; ``.`` and ``/`` hold the chord before, ``%`` repeats the bar
    before or, among chords, the chord before; an empty bar holds on. ``|: … :|`` is played twice, ``:|3`` and
    ``:| x3`` three times; ``|1. … :|2. … |`` are endings. ``4/4`` at the beginning of a bar is a meter, ``[Verse]``
    before a bar a section. Text without bars is one chord a bar; commas separate as spaces do.

    Args:
        text: Chart, at most 20 000 characters, in any notation of ``Chord.parse``, mixed; a bare number is a degree
            only where no chord is named by its notes.
        key: Key, which numerals and degrees count from.
        bpm: Beats a minute, 30–300.
        time_signature: Meter until the chart says another one.
        duration_seconds: Length to which the chart is repeated and cut; None plays it once.
        genre: One of ``GENRES``, or None.

    Returns:
        Sheet without melody.

    Raises:
        ValueError: For what no player could read, a repeat that nothing closes, and numbers out of range.

    Example:
        >>> from musetune import LeadSheet
        >>> LeadSheet.parse("[A] |: C | G/B . Am7 . :| F |").chord_labels
        ['C:maj', 'G:maj/3', 'A:min7', 'C:maj', 'G:maj/3', 'A:min7', 'F:maj']
    """
    tonic, meter = _key(key), _meter(time_signature)
    return _build(read_chart(text, tonic, meter), tonic, bpm, duration_seconds, genre)


def _build(bars: list[ChartBar], key: Key, bpm: float, duration_seconds: float | None, genre: str | None) -> LeadSheet:
    """Lay the bars end to end; repeat and cut to the duration. Neighbouring equal chords stay apart, as written."""
    if not bars:
        raise ValueError("a progression needs at least one chord, for example 'I V vi IV' or '| C | G/B . Am . |'")
    check_bpm(bpm)
    total = sum((beats for bar in bars for beats, _ in bar.slots), Fraction(0))
    if duration_seconds is not None:
        if finite("duration_seconds", duration_seconds) <= 0:
            raise ValueError(f"duration_seconds={duration_seconds} must be above 0")
        check_count("duration_seconds", duration_seconds, DURATION_S)
        total = Fraction(duration_seconds * bpm / 60).limit_denominator(10**6)
    check_count("beats of music", total, BEATS)
    chords: list[ChordSpan] = []
    meters: list[MeterSpan] = []
    labels: list[tuple[Fraction, str]] = []
    at = Fraction(0)
    for bar in itertools.cycle(bars):
        if at >= total:
            break
        if not meters or meters[-1].meter != bar.meter:
            meters.append(MeterSpan(at, bar.meter))
        if bar.label is not None:
            labels.append((at, bar.label))
        for beats, chord in bar.slots:
            if at < total:
                chords.append(ChordSpan(at, min(beats, total - at), chord))
            at += beats
        check_count("chords", len(chords), 4 * CHORDS)
    return LeadSheet(
        tuple(chords),
        (KeySpan(Fraction(0), key),),
        tuple(meters),
        BeatGrid.constant(bpm, math.ceil(total)),
        total,
        sections=tuple(Section(start, stop - start, label) for start, stop, label in until_next(labels, total)),
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


def chart_text(sheet: LeadSheet, *, bars_per_line: int | None = None, marks: Sequence[str] | None = None) -> str:
    """The chords in bars as ``LeadSheet.parse`` reads them, from the first bar line on: ``| C | G/B . Am7 . | % |``.

    What stands between quarters of a beat moves to the one before it; a last bar that is not whole is filled up by its
    last chord.

    Args:
        sheet: What is written.
        bars_per_line: None writes one line. Else lines of so many bars, to read: each section begins one, under its
            name in brackets, and an upbeat stands as a bar before the first bar line.
        marks: What stands after the name of each chord of the sheet, such as "?"; None: nothing.

    Returns:
        The chart, without a line break at its end.

    Example:
        >>> from musetune import LeadSheet
        >>> sheet = LeadSheet.parse("[A] | C | C | G/B . Am7 . | [B] F |")
        >>> chart_text(sheet)
        '| C | % | G/B Am7 | F |'
        >>> print(chart_text(sheet, bars_per_line=2))
        [A]
        | C | % |
        | G/B Am7 |
        [B]
        | F |
    """
    starts = sheet.downbeats() or [Fraction(0)]  # none: all of it is an upbeat
    if bars_per_line is not None and starts[0] > 0:
        starts = [Fraction(0), *starts]
    lines: list[str] = []
    bars: list[str] = []
    before = ""
    for low, high in zip(starts, [*starts[1:], sheet.length]):
        label = next((part.label for part in sheet.sections if low <= part.start < high), None)
        if bars_per_line is not None and bars and (label is not None or len(bars) == bars_per_line):
            lines.append(f"| {' | '.join(bars)} |")
            bars = []
        if bars_per_line is not None and label is not None:
            lines.append(f"[{label}]")
        whole = sheet.meter.beats_per_bar if high == sheet.length and sheet.downbeats() else high - low
        bar = _bar_text(sheet, low, Fraction(whole), marks)
        bars.append("%" if bar == before else bar)
        before = bar
    return "\n".join([*lines, f"| {' | '.join(bars)} |"])


def _bar_text(sheet: LeadSheet, low: Fraction, beats: Fraction, marks: Sequence[str] | None) -> str:
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
        continues = at >= sheet.length or chord == now
        mark = next((m for span, m in zip(sheet.chords, marks or ()) if span.start <= at < span.end), "")
        words.append("." if continues else pop_name(chord) + mark)
        now = now if continues else chord
    return " ".join(words)
