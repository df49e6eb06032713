"""How much a progression asks of its listener: variety, surprise, chromaticism, richness."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from musetune.symbols.lead_sheet import LeadSheet
from musetune.theory.harmony.function import key_pitch_classes

PARTS = ("variety", "surprise", "chromaticism", "richness")


def progression_complexity(sheet: LeadSheet, romans: Sequence[str]) -> float | None:
    """Measure how much a progression asks of its listener, 0–1: the mean of ``complexity_parts``, our own measure.

    Args:
        sheet: Chords and keys.
        romans: Numeral of each sounding chord.

    Returns:
        The mean to three places; None without chords.

    Raises:
        ValueError: Where there is not one numeral a sounding chord.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> from musetune.theory.numerals import romans
        >>> loop = LeadSheet.from_progression("I V vi IV", key="C")
        >>> progression_complexity(loop, romans(loop))
        0.139
    """
    parts = complexity_parts(sheet, romans)
    return None if parts is None else round(sum(parts.values()) / len(PARTS), 3)


def complexity_parts(sheet: LeadSheet, romans: Sequence[str]) -> dict[str, float] | None:
    """Measure the PARTS of complexity, each 0–1. H is entropy, x a chord's numeral.

    Args:
        sheet: Chords and keys.
        romans: Numeral of each sounding chord.

    Returns:
        variety = H(x) / log2 12, at most 1; surprise = H(next x | x) / log2 4, at most 1, over changes of chord: 0 for
        a loop that never varies, 1 where four numerals may follow with equal chance; chromaticism = share of the
        chords' time with a note outside the local key's scale (in minor, the raised seventh is inside); richness =
        share of time with four or more notes. None without chords.

    Raises:
        ValueError: Where there is not one numeral a sounding chord.
    """
    spans = [span for span in sheet.chords if span.chord.root is not None]
    if len(spans) != len(romans):
        raise ValueError(f"{len(romans)} numerals for {len(spans)} sounding chords; give one for each")
    if not spans:
        return None
    beats = np.array([float(span.beats) for span in spans])
    outside = [not set(s.chord.pitch_classes) <= key_pitch_classes(sheet.key_at(s.start)) for s in spans]
    rich = [len(span.chord.pitch_classes) >= 4 for span in spans]
    changes = [name for at, name in enumerate(romans) if at == 0 or name != romans[at - 1]]
    following: dict[str, list[str]] = defaultdict(list)
    for now, after in pairwise(changes):
        following[now].append(after)
    count = max(1, len(changes) - 1)
    surprise = sum(len(after) / count * _bits(after) for after in following.values())
    return {
        "variety": min(1.0, _bits(romans) / float(np.log2(12))),
        "surprise": min(1.0, surprise / 2),
        "chromaticism": float(beats[outside].sum() / beats.sum()),
        "richness": float(beats[rich].sum() / beats.sum()),
    }


def _bits(symbols: Sequence[str]) -> float:
    """Entropy of the symbols, bits."""
    share = np.array(list(Counter(symbols).values())) / len(symbols)
    return max(0.0, float(-(share * np.log2(share)).sum()))
