"""Rewards for words and sound: the base's CLAP, loudness and clipping. Realness is learned: `training.realness`."""

from __future__ import annotations

import numpy as np

from musetune.evaluation.rewards.take import RequestedTake

QUIET_DB, LOUD_DB, SLOPE_DB = -30.0, -8.0, 12.0  # RMS re full scale that is right, and how far off is worth nothing
FLAT, RUN = 0.999, 3  # samples as near to the peak, and how many in a row, are a clipped top
MOST_CLIPPED = 0.01  # share of clipped samples that is worth nothing


def words(take: RequestedTake) -> float | None:
    """Cosine of prompt and audio by the base's CLAP, 0…1, below 0 as 0; None where nobody measured it."""
    return None if take.text_similarity is None else max(0.0, take.text_similarity)


def loudness(take: RequestedTake) -> float:
    """1 where the RMS lies between −30 and −8 dB of full scale, falling to 0 twelve decibels beyond.

    Example:
        >>> from musetune import LeadSheet
        >>> [loudness(RequestedTake(np.full(16000, level), 16000, LeadSheet.parse("| C |"))) for level in (0.1, 0.0)]
        [1.0, 0.0]
    """
    rms = float(np.sqrt(np.mean(np.square(take.wave, dtype=float)))) if take.wave.size else 0.0
    level = 20 * np.log10(max(rms, 1e-9))
    return float(np.clip(1 - max(QUIET_DB - level, level - LOUD_DB, 0.0) / SLOPE_DB, 0.0, 1.0))


def clipping(take: RequestedTake) -> float:
    """1 where no top of the wave is flat, 0 where a hundredth of the samples lies on flat tops.

    Example:
        >>> from musetune import LeadSheet
        >>> sine = np.sin(np.arange(16000) / 10)
        >>> [clipping(RequestedTake(wave, 16000, LeadSheet.parse("| C |"))) for wave in (sine, sine.clip(-0.5, 0.5))]
        [1.0, 0.0]
    """
    size = np.abs(take.wave)
    if not size.size or size.max() == 0:
        return 1.0
    top = size >= FLAT * size.max()
    whole = np.convolve(top, np.ones(RUN), "valid") == RUN
    clipped = np.convolve(whole, np.ones(RUN)) > 0  # every sample of such a run
    return float(np.clip(1 - clipped.mean() / MOST_CLIPPED, 0.0, 1.0))
