"""A lead sheet as labels in time: keys and sections in seconds, places as bar and beat; files that mir_eval reads."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import LeadSheet

MIR_EVAL_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")  # mir_eval.key knows no Cb


def bar_position(sheet: LeadSheet, beat: Fraction) -> tuple[int, Fraction]:
    """Bar and beat in it, both from 1, of a beat of the sheet; what comes before the first bar line is bar 0."""
    lines = sheet.downbeats()
    bar = bisect.bisect_right(lines, beat)
    if bar == 0:
        upbeat = lines[0] - beat if lines else sheet.length - beat
        return 0, sheet.meter.beats_per_bar - upbeat + 1
    return bar, beat - lines[bar - 1] + 1


def key_areas(sheet: LeadSheet) -> list[tuple[float, float, str]]:
    """(start_s, end_s, "D minor") of each key."""
    starts = [0.0, *(max(0.0, float(sheet.grid.time_at(span.start))) for span in sheet.keys[1:])]
    ends = [*starts[1:], sheet.duration_s]
    return [(a, b, str(span.key)) for a, b, span in zip(starts, ends, sheet.keys) if b > a]


def section_spans(sheet: LeadSheet) -> list[tuple[float, float, str]]:
    """(start_s, end_s, label) of each section."""
    at = sheet.grid.time_at
    return [(float(at(part.start)), float(at(part.start + part.beats)), part.label) for part in sheet.sections]


def lab_files(sheet: LeadSheet, duration_s: float | None = None, key: Key | None = None) -> dict[str, str]:
    """Texts of MIREX label files, which `mir_eval.io` reads.

    Args:
        sheet: The lead sheet.
        duration_s: Seconds of the music, where the intervals end; None: the sheet's.
        key: The key of the whole; None: nothing tells it, and "key" and "keys" are left out.

    Returns:
        Texts by name. "chords" (Harte labels, N where there is no chord), "sections" (N between them; only where the
        sheet has sections) and "keys" (D:minor) are `start TAB end TAB label`, from 0 to the end without gaps: for
        `load_labeled_intervals`. "beats" and "downbeats" are a time a line: for `load_events`. "key" is `D TAB minor`:
        for `load_key`. Times are in seconds.

    Example:
        >>> print(lab_files(LeadSheet.parse("| C | N.C. | Edim |", bpm=120))["chords"])
        0.000000	2.000000	C:maj
        2.000000	4.000000	N
        4.000000	6.000000	E:dim
        <BLANKLINE>
    """
    end = sheet.duration_s if duration_s is None else duration_s
    chords = [(*times, label) for times, label in zip(sheet.chord_intervals_s, sheet.chord_labels, strict=True)]
    texts = {
        "chords": _intervals(chords, end),
        "beats": _events(sheet.beats_s, end),
        "downbeats": _events(sheet.downbeats_s, end),
    }
    if sheet.sections:
        texts["sections"] = _intervals(section_spans(sheet), end)
    if key is not None:
        *areas, (last_start, _, last) = [(a, b, f"{k.split()[0]}:{k.split()[1]}") for a, b, k in key_areas(sheet)]
        texts["keys"] = _intervals([*areas, (last_start, end, last)], end)
        texts["key"] = f"{MIR_EVAL_TONICS[key.tonic_pc]}\t{key.mode}\n"
    return texts


def _intervals(rows: Iterable[tuple[float, float, str]], end: float) -> str:
    """Lines that cover 0 to ``end`` seconds once; N where no row does, and each row cut where the next begins."""
    lines: list[tuple[int, int, str]] = []  # in microseconds, as they are written: nothing rounds into a gap
    place, stop = 0, round(end * 1e6)
    spans = sorted((round(start * 1e6), round(until * 1e6), label) for start, until, label in rows)
    for i, (start, until, label) in enumerate(spans):
        until = min([until, stop, *(following[0] for following in spans[i + 1 : i + 2])])
        start = max(start, place)
        if until <= start:
            continue
        if start > place:
            lines.append((place, start, "N"))
        lines.append((start, until, " ".join(label.split()) or "N"))
        place = until
    if stop > place:
        lines.append((place, stop, "N"))
    return "".join(f"{a / 1e6:.6f}\t{b / 1e6:.6f}\t{label}\n" for a, b, label in lines)


def _events(times_s: np.ndarray, end: float) -> str:
    """A time a line."""
    return "".join(f"{max(float(time), 0.0):.6f}\n" for time in times_s if time <= end)
