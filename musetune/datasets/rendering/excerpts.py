"""A passage of a song, recast.

Genre, tempo, key, meter and chords drawn anew, so that a model hears them apart from each other.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.planning.rules.orchestrate import recolour
from musetune.planning.rules.styles import STYLES
from musetune.symbols import BeatGrid, Chord, ChordSpan, KeySpan, LeadSheet, Meter, MeterSpan

if TYPE_CHECKING:
    from musetune.datasets.rendering.settings import RenderingConfig

RANDOM_QUALITIES = {"maj": 38, "min": 28, "7": 10, "maj7": 7, "min7": 9, "sus4": 3, "dim": 2, "hdim7": 2, "aug": 1}
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
SHARP = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
BASSES = {  # qualities that are inverted, with their third and fifth
    "maj": ("3", "5"),
    "7": ("3", "5"),
    "maj7": ("3", "5"),
    "min": ("b3", "5"),
    "min7": ("b3", "5"),
    "dim": ("b3", "b5"),
    "hdim7": ("b3", "b5"),
}
ANY_TEMPO, COMPOUND_TEMPO = (60, 180), (40, 110)  # bpm


def excerpt(song: LeadSheet, cfg: RenderingConfig, rng: random.Random) -> LeadSheet:
    """A passage of ``cfg.seconds`` in a genre, tempo, key and meter drawn from ``rng``."""
    genre, bar = rng.choice(list(STYLES)), int(song.meter.beats_per_bar)
    draw = rng.random() if bar == 4 else 1.0
    compound = draw < cfg.compound_share
    meter = Meter(6, 8) if compound else Meter(3, 4) if draw < cfg.compound_share + cfg.waltz_share else song.meter
    tempi = COMPOUND_TEMPO if compound else ANY_TEMPO if rng.random() < cfg.any_tempo_share else STYLES[genre].tempo
    grid = draw_grid(rng.uniform(*tempi), cfg.seconds, rng.random() < cfg.rubato_share, rng)
    need = Fraction(len(grid.times_s) - 3)
    beats = need * bar / meter.beats_per_bar
    bars = [b for b in range(int(song.first_downbeat), int(song.length - beats), bar) if b >= 8]
    start = Fraction(rng.choice(bars or [int(song.first_downbeat)]))
    sheet = song.slice(start, min(start + beats, song.length)).transpose(rng.randint(-6, 5))
    if meter != song.meter:
        sheet = squeeze(sheet, meter)
    sheet = replace(sheet, grid=grid, genre=genre, length=need, first_downbeat=Fraction(0))
    if rng.random() < cfg.random_share:
        sheet = replace(sheet, chords=random_chords(sheet, rng), melody=())
    if rng.random() < STYLES[genre].sevenths:
        sheet = recolour(sheet, rng)
    if rng.random() < cfg.inversion_share:
        sheet = replace(sheet, chords=tuple(invert(s, rng) if rng.random() < 1 / 3 else s for s in sheet.chords))
    if rng.random() < cfg.push_share:
        sheet = replace(sheet, chords=push(sheet.chords, Fraction(1, 3 if compound else 2), rng), melody=())
    return sheet


def draw_grid(bpm: float, seconds: float, rubato: bool, rng: random.Random) -> BeatGrid:
    """Beats for ``seconds`` and two more; with ``rubato`` the tempo sways by 3 to 10 % over 4 to 12 s."""
    times, depth = [0.0], rng.uniform(0.03, 0.1) if rubato else 0.0
    period, phase = rng.uniform(4, 12), rng.uniform(0, 2 * math.pi)
    while times[-1] < seconds or len(times) < 3 or times[-3] < seconds:
        sway = 1 + depth * math.sin(2 * math.pi * times[-1] / period + phase)
        times.append(times[-1] + 60 / (bpm * sway))
    return BeatGrid(tuple(times))


def squeeze(sheet: LeadSheet, meter: Meter) -> LeadSheet:
    """Bars of four in bars of ``meter``; in 6/8, whose halves are dotted quarters, every change moves to the beat."""
    scale = Fraction(meter.beats_per_bar, int(sheet.meter.beats_per_bar))
    edges = [(s.start * scale, (s.start + s.beats) * scale) for s in sheet.chords]
    if meter.compound:
        edges = [(Fraction(math.floor(a)), Fraction(math.floor(b))) for a, b in edges]
    chords = tuple(ChordSpan(a, b - a, s.chord) for (a, b), s in zip(edges, sheet.chords, strict=True) if b > a)
    return replace(
        sheet,
        chords=chords,
        keys=tuple(KeySpan(s.start * scale, s.key) for s in sheet.keys),
        meters=(MeterSpan(Fraction(0), meter),),
        melody=(),
        length=sheet.length * scale,
    )


def random_chords(sheet: LeadSheet, rng: random.Random) -> tuple[ChordSpan, ...]:
    """Chords that no song's habits explain.

    Mostly the key's roots, qualities and inversions at random, half bars and bars.
    """
    scale = MAJOR if sheet.key.mode == "major" else MINOR
    bar, spans, at = Fraction(sheet.meter.beats_per_bar), [], Fraction(0)
    while at < sheet.length:
        beats = min(rng.choice((bar, bar, bar / 2 if bar % 2 == 0 else Fraction(1), Fraction(1))), sheet.length - at)
        root = (sheet.key.tonic_pc + rng.choice(scale)) % 12 if rng.random() < 0.75 else rng.randrange(12)
        quality = rng.choices(list(RANDOM_QUALITIES), list(RANDOM_QUALITIES.values()))[0]
        span = ChordSpan(at, beats, Chord(SHARP[root], quality))
        spans.append(invert(span, rng) if rng.random() < 0.15 else span)
        at += beats
    return tuple(spans)


def invert(span: ChordSpan, rng: random.Random) -> ChordSpan:
    """The chord on its third or fifth; chords that have no plain ones stay."""
    basses = BASSES.get(span.chord.quality)
    return replace(span, chord=replace(span.chord, bass=rng.choice(basses))) if basses else span


def push(spans: tuple[ChordSpan, ...], early: Fraction, rng: random.Random) -> tuple[ChordSpan, ...]:
    """Half of the changes ``early`` beats before their beat, as players anticipate them."""
    pushed = list(spans)
    for i in range(1, len(pushed)):
        before, span = pushed[i - 1], pushed[i]
        if before.start + before.beats == span.start and before.beats >= 2 * early and rng.random() < 0.5:
            pushed[i - 1] = replace(before, beats=before.beats - early)
            pushed[i] = replace(span, start=span.start - early, beats=span.beats + early)
    return tuple(pushed)
