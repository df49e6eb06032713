"""What a plan says of how it is played, as the plain values of `musetune.symbols.Expression`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike

import numpy as np

from musetune.planning.arranger.style_band import find_style
from musetune.planning.rules.band import band_bars
from musetune.planning.rules.expression import SwingFeel
from musetune.planning.rules.grooves.drums import KIT
from musetune.planning.rules.section_shapes import USUAL, SectionShape
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem
from musetune.symbols.expression import LOUDNESS, Expression
from musetune.theory.harmony.complexity import progression_complexity
from musetune.theory.numerals.context import romans
from musetune.theory.rhythm.syncopation import syncopation_index

USUAL_LUFS = -16.0  # of a section that is as loud as usual, between what streams (-14) and podcasts (-18) ask for
BY_VELOCITY = 40.0  # dB by tenfold velocity, as General MIDI's Level 2 and DLS define it
BY_DENSITY = 10.0  # dB by tenfold notes, whose powers add up
STEP_S = 0.25  # at most so long a section takes to reach its level
DRUMS = {pitch: name for name, pitch in KIT.items()}


def plan_expression(
    sheet: LeadSheet,
    arrangement: Arrangement | None = None,
    *,
    style: str | None = None,
    styles: str | PathLike | None = None,
) -> Expression:
    """Loudness over time, swing and harmonic complexity of a plan, and where it is arranged density and syncopation.

    Args:
        sheet: The plan. Its sections' purposes, or their names, say how loud and how full they are.
        arrangement: Its notes, which density and syncopation are counted of; None leaves both open.
        style: As of `musetune.planning.arranger.arranger.arrange`: whose feel is swing; "" is none.
        styles: A YAML file of styles that go before those of the package.

    Returns:
        The features that can be told: no loudness of a song without sections, no swing without a style or in compound
        meters.

    Raises:
        ValueError: The style is unknown.

    Example:
        >>> from musetune.planning.planner.planner import plan
        >>> song = plan("swing, verse chorus", bars=16, bpm=120)
        >>> expression = plan_expression(song)
        >>> quiet, *_, loud = (level for _, level in expression.loudness_db)
        >>> quiet < loud, expression.swing > 0.6
        (True, True)
    """
    found = None if style == "" else find_style(sheet, style, styles)
    feel = None if found is None else found.feel
    swing = None
    if feel is not None and not sheet.meter.compound:
        ratio = feel.ratio if feel.unit == 8 else 0.5  # swung sixteenths leave the halves of a beat even
        swing = round(SwingFeel(ratio).at_tempo(sheet.bpm * float(sheet.meter.beat_quarters)).ratio, 3)
    layers = {} if arrangement is None else _layers(arrangement.stems)
    first = float(sheet.first_downbeat)
    return Expression(
        loudness_db=_loudness(sheet),
        note_density=None if arrangement is None else round(sum(map(len, layers.values())) / sheet.duration_s, 3),
        syncopation=syncopation_index(layers, sheet.meter, first_downbeat=first) if layers else None,
        swing=swing,
        harmonic_complexity=progression_complexity(sheet, romans(sheet)),
    )


def _loudness(sheet: LeadSheet) -> tuple[tuple[float, float], ...]:
    """The level of each section's bars at their beginnings and ends; nothing for a song of one section."""
    bars = band_bars(sheet)
    if len({place.section for place in bars}) < 2:
        return ()
    points: list[tuple[float, float]] = []
    for index, place in enumerate(bars):
        start, end = (float(sheet.grid.time_at(max(float(at), 0.0))) for at in (place.start, place.end))
        last = index + 1 == len(bars) or bars[index + 1].section != place.section
        if place.bar.number == 0:
            points.append((start, _level(place.shape, 0.0)))
        if last:
            points.append((end - min(STEP_S, (end - start) / 2), _level(place.shape, 1.0)))
    return tuple((round(time - float(sheet.grid.time_at(0.0)), 3), level) for time, level in points)


def _level(shape: SectionShape, part: float) -> float:
    """LUFS of a section after a part of it: how hard its notes are struck, and how many there are."""
    struck = BY_VELOCITY * math.log10(shape.level_at(part) / USUAL.level_at(0.5))
    many = BY_DENSITY * math.log10(max(shape.density_at(part), 0.1) / USUAL.density_at(0.5))
    return round(min(max(USUAL_LUFS + struck + many, LOUDNESS[0]), LOUDNESS[1]), 2)


def _layers(stems: Mapping[str, Stem]) -> dict[str, np.ndarray]:
    """Onsets in beats of each player, of drums by kind."""
    rows: dict[str, list[float]] = {}
    for name, stem in stems.items():
        for note in stem.notes:
            layer = f"{name} {DRUMS.get(note.pitch)}" if stem.is_drum else name
            rows.setdefault(layer, []).append(round(note.start, 2))
    return {name: np.unique(onsets) for name, onsets in rows.items()}
