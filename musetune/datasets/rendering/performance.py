"""A score played by hand: rubato, uneven onsets and strengths, parts that rest for a while."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from musetune.symbols import BeatGrid
from musetune.symbols.arrangement import Arrangement

RUBATO = {"classical": 0.06, "jazz": 0.015, "blues": 0.015, "pop": 0.008, "rock": 0.01, "electronic": 0.0}  # of a beat
MACHINES = ("electronic",)  # genres whose players are sequencers: in time to the sample
LOOSEST_S = 0.014  # deviation of onsets
RESTING = 0.25  # parts that rest, of free performances


def perform(arrangement: Arrangement, genre: str, rng: np.random.Generator, *, free: bool = True) -> Arrangement:
    """The arrangement by hand.

    Args:
        arrangement: As written.
        genre: How much rubato there is; electronic music keeps its time exactly.
        rng: Draws everything; the same state gives the same performance.
        free: Whether the tempo sways and parts rest; otherwise grid and notes stay as written, and only onsets (by a
            deviation of up to 14 ms) and velocities move.

    Returns:
        An arrangement of the same players.

    Raises:
        KeyError: The genre is none of the six.

    Example:
        >>> from musetune.symbols.arrangement import Stem, StemNote
        >>> bass = Stem(33, tuple(StemNote(float(beat), 1.0, 36, 90) for beat in range(4)))
        >>> written = Arrangement(BeatGrid.constant(120, 4), {"bass": bass})
        >>> played = perform(written, "jazz", np.random.default_rng(0), free=False)
        >>> played.grid == written.grid, len(played.stems["bass"].notes), played == written
        (True, 4, False)
    """
    spacing = np.diff(arrangement.grid.times_s)
    grid = _sway(arrangement.grid, RUBATO[genre], rng) if free else arrangement.grid
    loose = 0.0 if genre in MACHINES else rng.uniform(0.0, LOOSEST_S) / spacing.mean()
    stems = {}
    for name, stem in arrangement.stems.items():
        loud, shift = rng.uniform(0.6, 1.1), rng.normal(0, 0.3, len(stem.notes))
        resting = free and rng.random() < RESTING and name != "bass"
        rests = rng.uniform(0, len(grid.times_s), 2) if resting else np.full(2, np.inf)
        notes = tuple(
            replace(
                note,
                start=max(0.0, note.start + loose * float(rng.normal())),
                velocity=int(np.clip(note.velocity * loud + 20 * move, 20, 127)),
            )
            for note, move in zip(stem.notes, shift, strict=True)
            if not (np.abs(note.start - rests) < 4).any()
        )
        stems[name] = replace(stem, notes=notes)
    return Arrangement(grid, stems)


def _sway(grid: BeatGrid, depth: float, rng: np.random.Generator) -> BeatGrid:
    """Beats whose spacing drifts slowly, by about `depth` of a beat."""
    spacing = np.diff(grid.times_s)
    drift = np.convolve(rng.normal(0, 1, len(spacing) + 7), np.hanning(10)[1:-1] / 2, "valid")[: len(spacing)]
    times = np.concatenate([[0.0], np.cumsum(spacing * np.exp(depth * rng.uniform(0, 1.5) * drift))])
    return BeatGrid(tuple(times.tolist()))
