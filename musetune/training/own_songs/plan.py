"""How long and how large to train, by how much music there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from musetune.datasets.music_files import MIDI

LITTLE_MINUTES = 10.0  # less music than this gets a smaller adapter and more transposed copies
HEARINGS = 30  # how often each second of the music is trained on, copies counted
FEWEST_STEPS, MOST_STEPS = 60, 300
BATCH = 16  # crops a step


@dataclass(frozen=True)
class TrainingPlan:
    """Settings that fit an amount of music.

    Attributes:
        steps: Optimiser steps.
        rank: Of the LoRA.
        transpose: Semitones of the copies that each song also goes in as.
        reasons: Why, in sentences.
    """

    steps: int
    rank: int
    transpose: tuple[int, ...]
    reasons: tuple[str, ...]


def plan_training(
    minutes: float, crop_s: float = 5.12, batch: int = BATCH, transpose: tuple[int, ...] | None = None
) -> TrainingPlan:
    """Choose steps, rank and copies.

    Args:
        minutes: Of music, copies not counted; over 0.
        crop_s: Seconds of a crop.
        batch: Crops a step.
        transpose: Of the copies, where they are made already; None: as the music suggests.

    Returns:
        A plan of 60 to 300 steps. Each second of music is trained on about 30 times; the shipped genre adapters, with
        95 minutes of music and two copies of it, took 300 steps.

    Example:
        >>> plan_training(4.0).steps, plan_training(4.0).rank, plan_training(95.0).steps, plan_training(95.0).rank
        (88, 4, 300, 8)
    """
    little = minutes < LITTLE_MINUTES
    wanted = round(HEARINGS * minutes * 60 / (batch * crop_s))
    steps = min(max(wanted, FEWEST_STEPS), MOST_STEPS)
    rank, copies = (4, (-3, -1, 1, 3)) if little else (8, (-2, 3))
    transpose = copies if transpose is None else transpose
    reasons = [
        f"{steps} steps: each second of the {minutes:.1f} minutes is trained on some "
        f"{steps * batch * crop_s / 60 / minutes:.0f} times",
        f"a LoRA of rank {rank}: "
        + (
            "little music is soon known by heart, and a small adapter has less room for that" if little else "the usual"
        ),
        f"copies of each song moved by {', '.join(f'{n:+d}' for n in transpose)} semitones, so that chords are not "
        "learned together with one key",
    ]
    return TrainingPlan(steps, rank, transpose, tuple(reasons))


def minutes_of(paths: Iterable[Path]) -> float:
    """Minutes of music in files, from their heads; what cannot be read counts nothing."""
    return sum(map(_seconds, paths)) / 60


def _seconds(path: Path) -> float:
    try:
        if path.suffix.lower() in MIDI:
            import pretty_midi

            return float(pretty_midi.PrettyMIDI(str(path)).get_end_time())
        import soundfile

        return float(soundfile.info(str(path)).duration)
    except Exception:  # any reader may raise anything; `prepare` says what is wrong with the file
        return 0.0
