"""How much the takes of one request differ: what a policy that was rewarded too much loses first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from musetune.evaluation.audio_similarity import timbre
from musetune.evaluation.rewards.music import stroke_times
from musetune.theory.harmony.comparison import longest

if TYPE_CHECKING:
    from musetune.evaluation.rewards import RequestedTake

STEPS_A_BEAT = 4
DIVERSITIES = ("chords", "onsets", "timbre")


def diversity(takes: Sequence[RequestedTake]) -> dict[str, float]:
    """How much the takes of one request differ, of other seeds each.

    Args:
        takes: At least two, all of one request.

    Returns:
        chords: mean number of distinct chords heard in a take, the longest of each beat (a policy that collapses to
        one chord has 1; two takes that both obey do not count against it). onsets: mean share of the sixteenths on
        which two takes differ in whether something is struck, 0…1. timbre: mean Euclidean distance of two takes' mean
        MFCC statistics.

    Raises:
        ValueError: There are fewer than two.

    Example:
        >>> from musetune import LeadSheet
        >>> from musetune.evaluation.rewards import RequestedTake
        >>> silence = RequestedTake(np.zeros(64000), 16000, LeadSheet.parse("| C | F |", bpm=120))
        >>> diversity([silence, silence])["onsets"]
        0.0
    """
    if len(takes) < 2:
        raise ValueError(f"{len(takes)} take: diversity is told of two or more of one request")
    patterns = [onset_pattern(take) for take in takes]
    timbres = [timbre(take.wave, take.rate).mean(axis=0) for take in takes]
    pairs = list(itertools.combinations(range(len(takes)), 2))
    return {
        "chords": float(np.mean([distinct_chords(take) for take in takes])),
        "onsets": float(np.mean([np.mean(patterns[a] != patterns[b]) for a, b in pairs])),
        "timbre": float(np.mean([np.linalg.norm(timbres[a] - timbres[b]) for a, b in pairs])),
    }


def distinct_chords(take: RequestedTake) -> int:
    """How many distinct chords are heard, the longest of each asked beat; silence is none."""
    edges = [*(float(s) for s in take.sheet.beats_s), take.sheet.duration_s]
    heard = {longest(take.report.estimate, a, b)[0] for a, b in itertools.pairwise(edges) if b > a}
    return len(heard - {"N"})


def onset_pattern(take: RequestedTake) -> np.ndarray:
    """Whether something is struck at each sixteenth of the asked beats, (beats · 4,) bool."""
    beats = np.append(take.sheet.beats_s, take.sheet.duration_s)
    positions = np.interp(stroke_times(take.wave, take.rate), beats, np.arange(len(beats)), left=-1, right=-1)
    pattern = np.zeros((len(beats) - 1) * STEPS_A_BEAT, dtype=bool)
    steps = np.round(positions[positions >= 0] * STEPS_A_BEAT).astype(int)
    pattern[steps[steps < len(pattern)]] = True
    return pattern
