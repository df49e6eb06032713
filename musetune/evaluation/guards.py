"""Whether a tuned adapter may take the old one's place: diversity, vetoes, and the verdict of judges who had no part.

Reward by A, our own models; verdict by B, recognisers that we did not train. A policy that was optimised on A pleases
A: that says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from musetune.evaluation.bootstrap import Mean, bootstrap_mean
from musetune.symbols.json_values import JsonObject


@dataclass(frozen=True)
class GuardLimits:
    """What a tuned adapter may lose.

    Attributes:
        diversity: Least share of each diversity of before, 0…1.
        text: Most that the mean cosine of prompt and audio may fall.
        frechet: Most that the Fréchet distance to renderings may rise, as a share of before.

    Example:
        >>> GuardLimits().diversity
        0.95
    """

    diversity: float = 0.95
    text: float = 0.02
    frechet: float = 0.05


@dataclass(frozen=True)
class PolicyFigures:
    """What one policy does on the development sheets.

    Attributes:
        reward: Mean reward by A of each request's takes, by name.
        diversity: Mean over requests of each diversity.
        text: Mean cosine of prompt and audio.
        frechet: Distance to renderings; None where there is too little audio.
    """

    reward: Mapping[str, float]
    diversity: Mapping[str, float]
    text: float
    frechet: float | None

    @property
    def mean_reward(self) -> float:
        """Mean over requests, 0…1."""
        return float(np.mean(list(self.reward.values())))

    @classmethod
    def from_json(cls, record: JsonObject) -> PolicyFigures:
        """Read what `vars` of one gave."""
        return cls(record["reward"], record["diversity"], record["text"], record["frechet"])


def vetoes(before: PolicyFigures, after: PolicyFigures, limits: GuardLimits) -> list[str]:
    """What speaks against a policy, whatever its reward, each in a phrase; empty: nothing.

    Example:
        >>> before = PolicyFigures({"1": 0.5}, {"onsets": 0.4}, 0.6, 100.0)
        >>> vetoes(before, PolicyFigures({"1": 0.9}, {"onsets": 0.2}, 0.6, 100.0), GuardLimits())
        ['diversity of onsets fell to 50 % of before, at least 95 % is asked']
    """
    found = []
    for name, value in before.diversity.items():
        share = after.diversity[name] / value if value else 1.0
        if share < limits.diversity:
            found.append(
                f"diversity of {name} fell to {100 * share:.0f} % of before, at least "
                f"{100 * limits.diversity:.0f} % is asked"
            )
    if before.text - after.text > limits.text:
        found.append(f"text similarity fell from {before.text:.3f} to {after.text:.3f}, by more than {limits.text:g}")
    if before.frechet and after.frechet and after.frechet > (1 + limits.frechet) * before.frechet:
        found.append(
            f"the Fréchet distance to renderings rose from {before.frechet:.0f} to {after.frechet:.0f}, by more than "
            f"{100 * limits.frechet:.0f} %"
        )
    return found


def paired_difference(before: Mapping[str, float], after: Mapping[str, float]) -> Mean:
    """Mean of after − before over the requests, with its paired bootstrap interval.

    Raises:
        ValueError: They are about other requests.
    """
    if before.keys() != after.keys() or not before:
        raise ValueError(f"{len(before)} requests before and {len(after)} after are not the same ones")
    mean = bootstrap_mean([after[name] - before[name] for name in before])
    assert mean is not None
    return mean


@dataclass(frozen=True)
class TuningVerdict:
    """Whether the tuned adapter takes the old one's place, and why.

    Attributes:
        accepted: Whether it does.
        reason: In a sentence.
        reward: A's reward, after − before.
        judges: B's score, after − before; None where the judges are not installed.
    """

    accepted: bool
    reason: str
    reward: Mean
    judges: Mean | None

    @property
    def hacked(self) -> bool:
        """Whether the reward rose and the judges' score fell."""
        return self.reward.mean > 0 and self.judges is not None and self.judges.mean < 0


def decide(reward: Mean, judges: Mean | None, objections: Sequence[str]) -> TuningVerdict:
    """The verdict on a tuned adapter.

    Args:
        reward: A's reward on the development sheets, after − before.
        judges: B's score there, after − before; None where the judges are not installed.
        objections: What `vetoes` says.

    Example:
        >>> verdict = decide(Mean(0.1, 0.0, 0.2, 12), Mean(-0.05, -0.1, 0.0, 12), [])
        >>> verdict.accepted, verdict.hacked
        (False, True)
    """
    if judges is not None and judges.mean < 0 < reward.mean:
        reason = (
            f"the reward rose by {100 * reward.mean:.1f} points and the judges' score fell by "
            f"{-100 * judges.mean:.1f}: the reward was hacked"
        )
        return TuningVerdict(False, reason, reward, judges)
    if objections:
        return TuningVerdict(False, "; ".join(objections), reward, judges)
    if judges is None:
        return TuningVerdict(
            False, "the judges are not installed, so nobody without a part in it has heard it", reward, None
        )
    if judges.mean < 0:
        return TuningVerdict(False, f"the judges' score fell by {-100 * judges.mean:.1f} points", reward, judges)
    return TuningVerdict(True, f"the judges' score did not fall ({100 * judges.mean:+.1f} points)", reward, judges)
