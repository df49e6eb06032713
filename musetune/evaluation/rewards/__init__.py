"""Rewards: small functions of one take by which our own recognisers prefer one take to another.

They come from our analyser, the base's CLAP and a classifier that we train. What judges a tuned adapter in the end
(`musetune.evaluation.judges`, `musetune.evaluation.transcription`) is none of them.
"""

from musetune.evaluation.rewards.choice import DEFAULT_WEIGHTS, REWARDS, find_rewards, measure_rewards, weighted_mean
from musetune.evaluation.rewards.pairing import advantage_scale, advantages, best_and_worst
from musetune.evaluation.rewards.take import RequestedTake, Reward

__all__ = [
    "DEFAULT_WEIGHTS",
    "REWARDS",
    "Reward",
    "RequestedTake",
    "advantage_scale",
    "advantages",
    "best_and_worst",
    "find_rewards",
    "measure_rewards",
    "weighted_mean",
]
