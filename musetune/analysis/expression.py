"""The expression of a piece, out of its analysis record and, for loudness, its sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from musetune.audio.loudness import momentary_loudness
from musetune.symbols.expression import LOUDNESS, Expression

STEP_S = 1.0  # between points of the curve: crescendos and drops, no single strokes


def measure_expression(
    record: Mapping[str, Any], wave: np.ndarray | None = None, rate: int | None = None
) -> Expression:
    """Loudness, density, syncopation, swing and harmonic complexity of a piece.

    Args:
        record: `musetune.analyze(…).to_json()`. What it has no figure for is None.
        wave: The sound (samples,) or (channels, samples); None: no loudness is said.
        rate: Its sampling rate in Hz.

    Returns:
        Features as they were heard; a curve has a point a second.

    Raises:
        ValueError: A wave has no rate, or lasts less than 0.4 s.

    Example:
        >>> from musetune import LeadSheet, analyze
        >>> record = analyze(LeadSheet.parse("| Am | F | C | G |", bpm=90).save("loop.mid")).to_json()
        >>> measure_expression(record).swing is None, measure_expression(record).loudness_db
        (True, ())
    """
    if wave is not None and rate is None:
        raise ValueError("give the wave's sampling rate in Hz beside it")
    rhythm, harmony = record["rhythmic_analysis"], record["harmonic_analysis"]
    ratio = rhythm["swing_ratio"]
    return Expression(
        loudness_db=() if wave is None or rate is None else loudness_curve(wave, rate),
        note_density=rhythm.get("onsets_per_second"),  # records of before 0.2 lack it
        syncopation=rhythm["syncopation_index"],
        swing=None if ratio is None else ratio / (1 + ratio),
        harmonic_complexity=harmony["progression_complexity"],
    )


def loudness_curve(wave: np.ndarray, rate: int, step_s: float = STEP_S) -> tuple[tuple[float, float], ...]:
    """Points (seconds, LUFS) in the middle of each step, of the mean power of the momentary loudness (EBU R128).

    Args:
        wave: (samples,) or (channels, samples).
        rate: Hz.
        step_s: Seconds between points, at least 0.1; a last part of less than half a step is left out.

    Returns:
        At least one point; silence is −70, and nothing is louder than 0.

    Raises:
        ValueError: The wave lasts less than 0.4 s.

    Example:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(48000) / 16000)
        >>> [time for time, _ in loudness_curve(tone, 16000)]
        [0.5, 1.5, 2.5]
    """
    times_s, levels = momentary_loudness(wave, rate)
    duration_s = np.shape(wave)[-1] / rate
    count = max(1, round(duration_s / step_s))
    places = np.minimum((times_s / step_s).astype(int), count - 1)
    sums = np.bincount(places, weights=10 ** (levels / 10), minlength=count)
    sizes = np.bincount(places, minlength=count)
    steps = [index for index in range(count) if sizes[index]]
    power = {index: sums[index] / sizes[index] for index in steps}
    middle = [min((index + 0.5) * step_s, duration_s) for index in steps]
    level_db = np.clip([10 * np.log10(power[index]) for index in steps], *LOUDNESS)
    return tuple((float(time), round(float(level), 2)) for time, level in zip(middle, level_db, strict=True))
