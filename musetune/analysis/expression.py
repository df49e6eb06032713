"""The expression of a piece, out of its analysis record and, for loudness, its sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from musetune.analysis.listening.features import extract
from musetune.analysis.listening.onsets import onset_strengths
from musetune.analysis.rhythmic_analysis import register_layers, rhythmic_analysis_of_layers
from musetune.audio.loudness import momentary_loudness
from musetune.audio.source import open_sound
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.symbols.expression import LOUDNESS, Expression
from musetune.theory.harmony.complexity import progression_complexity
from musetune.theory.numerals.context import romans
from musetune.theory.rhythm.polyrhythm import swing_ratio

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


def hear_expression(
    wave: np.ndarray, rate: int, sheet: LeadSheet, arrangement: Arrangement | None = None
) -> Expression:
    """Expression of a sound whose beats, bar lines and chords are known, on the scales of `measure_expression`.

    Onsets are heard in three registers as `musetune.analyze` hears them; no beat is tracked and no chord recognised.

    Args:
        wave: (samples,) or (channels, samples), as long as the sheet or shorter.
        rate: Hz.
        sheet: What is played; its time 0 is the sound's.
        arrangement: Its notes, where they are known: they tell swing where too few halves of beats are heard alone.

    Returns:
        What can be told: no swing in compound meters and under eight divided beats, no rhythm under four beats.

    Raises:
        ValueError: The wave lasts less than 0.4 s, or is no sound.

    Example:
        >>> sheet = LeadSheet.parse("| C | G |", bpm=120)
        >>> clicks = np.where(np.arange(64000) % 4000 < 200, 0.5, 0.0) * np.sin(np.arange(64000))
        >>> heard = hear_expression(clicks, 16000, sheet)
        >>> len(heard.loudness_db), heard.syncopation
        (4, 0.0)
    """
    levels = extract(open_sound(wave, rate).blocks()).levels()
    seconds = np.shape(wave)[-1] / rate
    beats_s = np.asarray(sheet.grid.time_at(np.arange(np.ceil(float(sheet.length)))))
    beats_s = beats_s[(beats_s >= 0) & (beats_s < seconds)]
    ratio = density = syncopation = None
    if len(beats_s) > 3:
        first = float(sheet.first_downbeat)
        layers = register_layers(beats_s, onset_strengths(levels)[1])
        rhythm = rhythmic_analysis_of_layers(layers, sheet.meter, first_downbeat=first, beats_s=beats_s)
        ratio, syncopation = rhythm["swing_ratio"], rhythm["syncopation_index"]
        density = rhythm["onsets_per_second"]
    if arrangement is not None and not sheet.meter.compound:
        ratio = swing_ratio(_onsets(arrangement)) or ratio
    return Expression(
        loudness_db=loudness_curve(wave, rate),
        note_density=density,
        syncopation=syncopation,
        swing=None if ratio is None else ratio / (1 + ratio),
        harmonic_complexity=progression_complexity(sheet, romans(sheet)),
    )


def _onsets(arrangement: Arrangement) -> dict[str, np.ndarray]:
    """Onsets in beats of each player, of drums by kind."""
    rows: dict[str, list[float]] = {}
    for name, stem in arrangement.stems.items():
        for note in stem.notes:
            rows.setdefault(f"{name} {note.pitch}" if stem.is_drum else name, []).append(round(note.start, 3))
    return {name: np.unique(onsets) for name, onsets in rows.items()}


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
