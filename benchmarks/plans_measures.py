"""What is measured of the harmony and form of a lead sheet, a plan's or a real song's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from musetune.symbols import Chord, LeadSheet

PERIODS = (1, 2, 4, 8)  # bars of a loop
LEADING = (1, 2, 5, 7, 11)  # semitones by which a last root rises to a first one: ♭II or vii° to I, ♭VII, V, IV
HOME = {"major": (0, 9), "minor": (0, 3)}  # roots above the tonic on which a phrase comes home: tonic and relative
HALF = (1, 7, 10, 11)  # on which it stays open: ♭II, V, ♭VII, vii°
CADENCES = (5, 7, 11)  # roots above the tonic from which a song comes home: IV, V, vii°
OWN_CADENCES = (1, 10)  # and those of some styles: ♭II of flamenco and jazz, ♭VII of rock
MOST_NAMES = 7  # different sections of a song: intro, verse, pre-chorus, chorus, bridge, solo, outro
Bar = tuple[tuple[Fraction, Chord], ...]  # (beat within the bar, chord) of what begins or goes on there


class Share(NamedTuple):
    """A share with its interval, all 0–1."""

    mean: float
    low: float
    high: float


def wilson(held: float, count: int) -> Share:
    """A share of ``count`` and its 95 % interval (Wilson 1927).

    Example:
        >>> [round(x, 2) for x in wilson(1.0, 100)]
        [1.0, 0.96, 1.0]
    """
    z = 1.96
    middle = (held + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(held * (1 - held) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return Share(held, max(middle - half, 0.0), min(middle + half, 1.0))


# -- harmony -----------------------------------------------------------------------------------------------------------


def same(one: Chord, other: Chord) -> bool:
    """Whether two chords have one root and one quality; the bass may move."""
    return one.root_pc == other.root_pc and one.quality == other.quality


def changes(sheet: LeadSheet) -> list[Chord]:
    """Chords in order, those that go on left out."""
    chords = [span.chord for span in sheet.chords if span.chord.root_pc is not None]
    return chords[:1] + [b for a, b in itertools.pairwise(chords) if not same(a, b)]


def changes_a_bar(sheet: LeadSheet) -> float:
    """Chords that begin, in each bar on average; 2/2 is counted in bars of 4/4 as it is written."""
    return len(changes(sheet)) / float(sheet.length / sheet.meter.beats_per_bar)


def shares(sheet: LeadSheet) -> dict[str, float]:
    """Share of the time with sevenths (any fourth tone: 6, 7, 9), with dominant sevenths, and with triads or less."""
    time = {"sevenths": 0.0, "dominants": 0.0, "triads": 0.0}
    total = 0.0
    for span in sheet.chords:
        if span.chord.root_pc is None:
            continue
        tones = {i % 12 for i in span.chord.tones}
        beats = float(span.beats)
        total += beats
        full = len(tones) > 3 and bool(tones & {9, 10, 11})
        time["sevenths"] += beats * full
        time["triads"] += beats * (not full)
        time["dominants"] += beats * (10 in tones and 3 not in tones)
    return {name: value / total if total else 0.0 for name, value in time.items()}


# -- form --------------------------------------------------------------------------------------------------------------


def bars_of(sheet: LeadSheet) -> list[Bar]:
    """The chords of each bar, with what goes on from the bar before."""
    bar = sheet.meter.beats_per_bar
    out: list[list[tuple[Fraction, Chord]]] = [[] for _ in range(math.ceil(sheet.length / bar))]
    for span in sheet.chords:
        for number in range(int(span.start // bar), math.ceil(span.end / bar)):
            out[number].append((max(span.start - number * bar, Fraction(0)), span.chord))
    return [tuple(one) for one in out]


def sections(sheet: LeadSheet) -> list[tuple[str, list[Bar]]]:
    """Label and bars of each section; one section where the sheet has none."""
    bars, size = bars_of(sheet), sheet.meter.beats_per_bar
    if not sheet.sections:
        return [("A", bars)]
    return [(s.label, bars[round(s.start / size) : round((s.start + s.beats) / size)]) for s in sheet.sections]


def period(bars: Sequence[Bar]) -> int | None:
    """Bars of the loop that ``bars`` repeat, of PERIODS; None where they do not."""
    for size in PERIODS:
        if len(bars) > size and all(bar == bars[i % size] for i, bar in enumerate(bars)):
            return size
    return None


def right_length(count: int) -> bool:
    """Whether a section of ``count`` bars is made of phrases of 2, 4, 8 or 12: two bars, or fours."""
    return count == 2 or (count > 0 and count % 4 == 0)


def phrase_lengths(sheet: LeadSheet, cut: bool = False) -> bool:
    """Whether all sections have the length of phrases; with ``cut`` the last one may end early."""
    counts = [len(bars) for _, bars in sections(sheet)]
    return all(map(right_length, counts[:-1] if cut and len(counts) > 1 else counts)) or (cut and len(counts) == 1)


def sections_close(sheet: LeadSheet) -> float:
    """Share of the sections that end on the tonic or its relative, open on a dominant, lead by a fifth or semitone to
    what follows, or loop.
    """
    parts = sections(sheet)
    firsts = [next((bar[0][1] for bar in bars if bar), None) for _, bars in parts]
    closed = 0
    for number, (_, bars) in enumerate(parts):
        last = next((bar[-1][1] for bar in reversed(bars) if bar), None)
        after = firsts[(number + 1) % len(parts)]
        if last is None or last.root_pc is None:
            continue
        above = (last.root_pc - sheet.key.tonic_pc) % 12
        lead = after is not None and after.root_pc is not None and (after.root_pc - last.root_pc) % 12 in (5, 7, 11)
        closed += above in HOME[sheet.key.mode] or above in HALF or lead or period(bars) is not None
    return closed / len(parts)


def ending(sheet: LeadSheet, kind: str) -> bool:
    """Whether the last chord ends the plan (``cadence``), or leads to its beginning too (``either``), or the last
    section is a loop (``loop``).
    """
    chords = changes(sheet)
    if not chords:
        return False
    last = chords[-1].root_pc
    home = (last - sheet.key.tonic_pc) % 12 == 0  # type: ignore[operator]
    back = (chords[0].root_pc - last) % 12 in LEADING or (last - sheet.key.tonic_pc) % 12 in HALF  # type: ignore[operator]
    whole = sections(sheet)
    loop = period(whole[-1][1]) is not None or (len(whole) == 1 and len(whole[0][1]) in PERIODS)
    return home or (kind != "cadence" and back) or (kind == "loop" and loop)


def cadence(sheet: LeadSheet, kind: str) -> bool | None:
    """Whether the song comes home from a chord that leads there: V, IV or vii°, and where the style does not end on
    cadences alone (``kind`` other than ``cadence``) ♭VII and ♭II too; or goes round in a loop where it may.

    None where the last chord is no tonic and need not be one.
    """
    roots = [(chord.root_pc - sheet.key.tonic_pc) % 12 for chord in changes(sheet)]  # type: ignore[operator]
    if not roots or roots[-1] != 0:
        return False if kind == "cadence" or not roots else None
    if kind == "loop" and period(sections(sheet)[-1][1]) is not None:
        return True
    before = next((root for root in reversed(roots) if root != 0), None)
    return before in CADENCES or (kind != "cadence" and before in OWN_CADENCES)


def has_form(sheet: LeadSheet) -> bool:
    """Whether sections come back, and no more than MOST_NAMES different ones are in the song."""
    return has_recurring(sheet) and len({section.label for section in sheet.sections}) <= MOST_NAMES


def letters(labels: Sequence[str]) -> str:
    """Labels as letters in the order of their first coming: verse chorus verse is ABA."""
    names = list(dict.fromkeys(labels))
    return "".join(chr(ord("A") + names.index(label)) for label in labels)


def has_recurring(sheet: LeadSheet) -> bool:
    """Whether a label comes back."""
    labels = [section.label for section in sheet.sections]
    return len(set(labels)) < len(labels)


def recurs(sheet: LeadSheet) -> bool:
    """Whether sections of one label have the same chords, as far as the shorter goes; a last bar may differ."""
    seen: dict[str, list[Bar]] = {}
    for label, bars in sections(sheet):
        first = seen.setdefault(label, bars)
        most = max(min(len(first), len(bars)) - 1, 1)
        if first[:most] != bars[:most]:
            return False
    return True


def is_blues(sheet: LeadSheet, count: int) -> bool:
    """Whether sections of ``count`` bars go the way of the blues: I in bar 1; of 12 bars IV in the fifth and ii, V or
    ♭VI in the ninth; of 8 bars IV in one of bars 3–6.
    """
    bars, tonic = bars_of(sheet), sheet.key.tonic_pc
    if not bars or len(bars) % count:
        return False
    for at in range(0, len(bars), count):
        roots = [
            {(chord.root_pc - tonic) % 12 for _, chord in bar if chord.root_pc is not None}
            for bar in bars[at : at + count]
        ]
        if 0 not in roots[0]:
            return False
        if count == 12 and not (5 in roots[4] and {2, 7, 8} & (roots[8])):
            return False
        if count == 8 and not any(5 in bar for bar in roots[2:6]):
            return False
    return True


def cycle(sheet: LeadSheet, count: int) -> bool:
    """Whether each section goes round ``count`` chords."""
    for _, bars in sections(sheet):
        chords = [chord for bar in bars for _, chord in bar]
        chords = chords[:1] + [b for a, b in itertools.pairwise(chords) if not same(a, b)]
        if len(chords) < count or any(not same(chord, chords[i % count]) for i, chord in enumerate(chords)):
            return False
    return True


def form_as_worded(row: dict[str, Any], sheet: LeadSheet) -> dict[str, bool]:
    """What a prompt words of form and length, and whether each holds."""
    labels = [label for label, _ in sections(sheet)]
    bars = bars_of(sheet)
    plain = [label.rstrip("'0123456789 ") for label in labels]
    out: dict[str, bool] = {}
    if form := row.get("form"):
        named = form.split()
        wanted = list(form) if len(named) == 1 else named
        got = list(letters(plain)) if len(named) == 1 else plain
        times = len(got) // len(wanted)
        out["form"] = times > 0 and got == wanted * times
    if "contains" in row:
        out["contains"] = all(name in plain for name in row["contains"])
    if "bars" in row:
        out["bars"] = len(bars) == row["bars"]
    if "seconds" in row:
        bar_s = float(sheet.meter.beats_per_bar) * 60 / sheet.bpm
        out["seconds"] = abs(sheet.duration_s - row["seconds"]) <= bar_s
    if "section_bars" in row:
        out["section_bars"] = len(bars) % row["section_bars"] == 0
    if "blues" in row:
        out["blues"] = is_blues(sheet, row["blues"])
    if "cycle" in row:
        out["cycle"] = cycle(sheet, row["cycle"])
    if "distinct" in row:
        kinds = {(chord.root_pc, 3 in chord.tones) for chord in changes(sheet)}
        out["distinct"] = len(kinds) == row["distinct"]
    if "loop" in row:
        size = row["loop"]
        sizes = (size,) if size else (1, 2, 4, 8, 16)
        out["loop"] = any(
            len(bars) % one == 0 and all(bar == bars[i % one] for i, bar in enumerate(bars)) for one in sizes
        )
    return out
