"""Clips played otherwise than written: swung, thinned, louder and softer, so that a model hears each apart from genre.

What is asked of a model later is measured of the sound (`musetune.analysis.expression`), never taken from here.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np

from musetune.audio.limiter import PeakLimiter
from musetune.planning.rules.expression import SwingFeel
from musetune.planning.rules.grooves.bar import STEPS
from musetune.planning.rules.styles import STYLES
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

SWINGS = (0.5, 0.72)
TRIPLET = 2 / 3  # where swung patterns have the second half of the beat
STRAIGHT_SHARE, WHOLE_SHARE = 0.25, 0.35  # of clips that stay even, and that lose no notes
MOST_THINNED = 0.85
GAIN_DB = (-20.0, 12.0)  # of a clip whose peaks are at full scale or below; a limiter holds what is louder
LOOKAHEAD_S = 0.005
BENDS = ("level", "line", "step", "two lines")
STEP_S = 0.15  # in which a step is taken
NEAR = 0.02  # beats


def vary(arrangement: Arrangement, sheet: LeadSheet, rng: random.Random) -> Arrangement:
    """The arrangement with another swing and fewer notes.

    Args:
        arrangement: As a genre's patterns have it, on the sheet's grid.
        sheet: Its genre says whether its patterns are swung; compound meters keep their thirds.
        rng: Draws how.
    """
    if not sheet.meter.compound:
        ratio = SWINGS[0] if rng.random() < STRAIGHT_SHARE else rng.uniform(*SWINGS)
        arrangement = swing(arrangement, TRIPLET if STYLES[sheet.genre or "pop"].swing else SWINGS[0], ratio)
    if rng.random() < WHOLE_SHARE:
        return arrangement
    kind, share = rng.choice(("any", "on beats", "off beats")), rng.uniform(0.1, MOST_THINNED)
    return thin(arrangement, kind, share, rng)


def swing(arrangement: Arrangement, written: float, ratio: float) -> Arrangement:
    """Notes moved so that the second half of the beat begins at `ratio` of it instead of at `written`.

    Example:
        >>> from musetune.symbols import BeatGrid
        >>> hat = Stem(0, (StemNote(0, 0.25, 42), StemNote(0.5, 0.25, 42)), is_drum=True)
        >>> played = swing(Arrangement(BeatGrid.constant(120, 4), {"drums": hat}), 0.5, 0.6)
        >>> [note.start for note in played.stems["drums"].notes]
        [0.0, 0.6]
    """
    feel = SwingFeel(ratio)

    def moved(beat: float) -> float:
        whole, part = divmod(beat + 1e-9, 1.0)
        even = 0.5 * part / written if part < written else 0.5 + 0.5 * (part - written) / (1 - written)
        return round(whole + feel.move(STEPS * even) / STEPS, 6)

    def played(note: StemNote) -> StemNote:
        start = moved(note.start)
        return replace(note, start=start, beats=max(moved(note.start + note.beats) - start, 0.02))

    stems = {name: replace(stem, notes=tuple(map(played, stem.notes))) for name, stem in arrangement.stems.items()}
    return replace(arrangement, stems=stems)


def thin(arrangement: Arrangement, kind: str, share: float, rng: random.Random) -> Arrangement:
    """The arrangement without a share of its onsets, at least one a player and all that begin with the piece left.

    Args:
        arrangement: Its notes that are struck together go together.
        kind: Which onsets may go: "any", those "on beats" or those "off beats".
        share: Of these, 0 to 1.
        rng: Draws them.
    """

    def rest(stem: Stem) -> Stem:
        gone = {
            onset
            for onset in dict.fromkeys(round(note.start, 3) for note in stem.notes)
            if onset > NEAR
            and (kind == "any" or (abs(onset - round(onset)) < NEAR) == (kind == "on beats"))
            and rng.random() < share
        }
        left = [note for note in stem.notes if round(note.start, 3) not in gone]
        return replace(stem, notes=tuple(left or stem.notes[:1]))

    return replace(arrangement, stems={name: rest(stem) for name, stem in arrangement.stems.items()})


def draw_gain(seconds: float, rng: random.Random) -> tuple[tuple[float, float], ...]:
    """Points (seconds, dB) of a gain within GAIN_DB: a level, a line, a step, or a line to a turn and on from there.

    Example:
        >>> points = draw_gain(10.24, random.Random(3))
        >>> points[0][0], all(GAIN_DB[0] <= level <= GAIN_DB[1] for _, level in points)
        (0.0, True)
    """
    bend = rng.choice(BENDS)
    first, last = rng.uniform(*GAIN_DB), rng.uniform(*GAIN_DB)
    turn = rng.uniform(0.2, 0.8) * seconds
    if bend == "level":
        return ((0.0, first),)
    if bend == "line":
        return ((0.0, first), (seconds, last))
    if bend == "step":
        return ((0.0, first), (turn, first), (turn + STEP_S, last))
    return ((0.0, first), (turn, last), (seconds, rng.uniform(*GAIN_DB)))


def fade(wave: np.ndarray, rate: int, points: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The wave (…, samples) at a gain of `points` (seconds, dB), straight in dB between them, and limited."""
    times, levels = np.array(points).T
    gain_db = np.interp(np.arange(wave.shape[-1]) / rate, times, levels)
    louder = np.atleast_2d(np.asarray(wave * np.exp(gain_db * (math.log(10) / 20)), np.float32))
    reach = max(1, round(LOOKAHEAD_S * rate))
    limited = PeakLimiter(len(louder), reach).process(louder, np.zeros((len(louder), reach), np.float32))
    return limited.reshape(wave.shape)
