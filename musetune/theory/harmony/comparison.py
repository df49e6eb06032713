"""Asked and recognised chords compared, label by label."""

from __future__ import annotations

import mir_eval

from musetune.symbols.estimate import Estimate


def longest(estimate: Estimate, start_s: float, end_s: float) -> tuple[str, float, float]:
    """Find the label that lasts longest between two times.

    Args:
        estimate: Report of a listener.
        start_s: Begin, seconds.
        end_s: End, seconds.

    Returns:
        The label, its share of that time, and its mean confidence (NaN where none is given). "N", 0 and NaN where
        nothing is reported there.
    """
    seconds: dict[str, float] = {}
    weighted: dict[str, float] = {}
    for (low, high), label, sure in zip(estimate.intervals_s, estimate.labels, estimate.confidence, strict=True):
        overlap = min(high, end_s) - max(low, start_s)
        if overlap > 0:
            seconds[label] = seconds.get(label, 0.0) + overlap
            weighted[label] = weighted.get(label, 0.0) + overlap * sure
    if not seconds:
        return "N", 0.0, float("nan")
    best = max(seconds, key=lambda label: seconds[label])
    return best, float(seconds[best] / (end_s - start_s)), float(weighted[best] / seconds[best])


def chords_agree(reference: str, estimate: str) -> bool:
    """Whether two Harte labels have one root and are both major or both minor.

    Chords that are neither (dim, aug, sus) agree by root and third or fourth.

    Example:
        >>> chords_agree("C:maj7", "C:7"), chords_agree("C:min", "C:maj")
        (True, False)
    """
    if "N" in (reference, estimate):
        return reference == estimate
    same = float(mir_eval.chord.majmin([reference], [estimate])[0])
    return bool(same == 1) if same >= 0 else bool(mir_eval.chord.thirds([reference], [estimate])[0] == 1)
