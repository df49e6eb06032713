"""Chords of the plan language by what they do: which close a phrase, lead home or go on, and where beats begin."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from musetune.planning.planner.language import PlanChord, steps_per_beat
from musetune.planning.planner.song_style import chord_kinds
from musetune.planning.planner.vocabulary import RANGE, TOKENS, chord_at
from musetune.planning.rules.grooves.bar import pulses_of
from musetune.symbols import Meter
from musetune.symbols.qualities import QUALITY_INTERVALS

CHORD_WORDS = range(RANGE["chord"][0], RANGE["chord"][-1])


@lru_cache(maxsize=2)
def closing(mode: str) -> tuple[Tensor, Tensor, Tensor]:
    """(words,) each, 1 where a word is a tonic, a chord to stay open on, or one that leads to these."""
    home, half, leads = (torch.zeros(len(TOKENS) + 1) for _ in range(3))
    for word in CHORD_WORDS:
        degree, quality = chord_at(word)
        tones = set(QUALITY_INTERVALS[quality])
        third = 4 if mode == "major" else 3
        home[word] = degree == 0 and (third in tones or tones == {0, 7}) and not ({4, 10} <= tones)
        half[word] = degree == 7 and not tones & {3, 11}  # no V with a major seventh, which leads nowhere
        leads[word] = half[word] or degree in (2, 5)
    return home, half, leads


@lru_cache(maxsize=16)
def leading_home(degrees: tuple[int, ...], mode: str) -> Tensor:
    """(words,) 1 where a word is a chord on one of the degrees that leads home: triads and their sevenths."""
    out = torch.zeros(len(TOKENS) + 1)
    _, half, _ = closing(mode)
    for word in CHORD_WORDS:
        degree, quality = chord_at(word)
        plain = not {6, 8} & set(QUALITY_INTERVALS[quality])  # neither diminished nor augmented
        out[word] = degree in degrees and plain and (degree != 7 or bool(half[word]))
    return out


@lru_cache(maxsize=1)
def dominant_degrees() -> dict[int, int]:
    """Words of dominant sevenths and their degrees."""
    words = {word: chord_at(word) for word in CHORD_WORDS}
    return {w: degree for w, (degree, quality) in words.items() if {4, 10} <= set(QUALITY_INTERVALS[quality])}


@lru_cache(maxsize=8)
def of_kind(kind: str, mode: str) -> Tensor:
    """(words,) 1 where a word is a chord of the kind, else 0."""
    out = torch.zeros(len(TOKENS) + 1)
    for word in CHORD_WORDS:
        out[word] = kind in chord_kinds(PlanChord(0, *chord_at(word)), mode)
    return out


@lru_cache(maxsize=16)
def group_starts(meter: str) -> frozenset[int]:
    """Steps of a bar on which its beats begin; in 5/8 and 7/8 the groups of eighths that one counts."""
    parsed = Meter.parse(meter)
    per_beat, starts, at = steps_per_beat(parsed), set(), Fraction(0)
    if parsed.compound or parsed.denominator < 8:
        return frozenset(range(0, parsed.beats_per_bar * per_beat, per_beat))
    for pulse in pulses_of(parsed):
        starts.add(int(at))
        at += Fraction(pulse.steps * parsed.beats_per_bar * per_beat, sum(one.steps for one in pulses_of(parsed)))
    return frozenset(starts)
