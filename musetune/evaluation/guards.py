"""Whether a tuned adapter may take the old one's place: guards with their limits, and the verdict of judges who had no
part.

Reward by A, our own models; verdict by B, recognisers that we did not train. A policy that was optimised on A pleases
A: that says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from musetune.evaluation.bootstrap import Mean, bootstrap_mean, bootstrap_ratio
from musetune.evaluation.frechet import FrechetChange, frechet_change
from musetune.symbols.json_values import JsonObject

MFCC = "MFCC"
FEWEST = 4  # requests in a bootstrap interval that can be believed: one request's has no width at all


@dataclass(frozen=True)
class GuardLimits:
    """What a tuned adapter may lose.

    Attributes:
        diversity: Least share of each diversity of before, 0…1.
        text: Most that the mean cosine of prompt and audio may fall.
        frechet: Most that a Fréchet distance to renderings may rise, as a share of before.
        measure: Most that a single measure of the judges may fall, 0…1.

    Example:
        >>> GuardLimits().diversity
        0.95
    """

    diversity: float = 0.95
    text: float = 0.02
    frechet: float = 0.05
    measure: float = 0.01


@dataclass(frozen=True)
class PolicyFigures:
    """What one policy does on the development sheets, as A hears it.

    Attributes:
        reward: Mean reward of each request's takes, by the request's name.
        diversity: By its name, and then by the request's.
        text: Mean cosine of prompt and audio, by the request's name.
        timbre: Embeddings of each request's takes, (n, d), for the Fréchet distance; empty: none is told.
        renderings: Of its renderings, alike.
    """

    reward: Mapping[str, float]
    diversity: Mapping[str, Mapping[str, float]]
    text: Mapping[str, float]
    timbre: Mapping[str, np.ndarray]
    renderings: Mapping[str, np.ndarray]

    @property
    def mean_reward(self) -> float:
        """Mean over requests, 0…1."""
        return float(np.mean(list(self.reward.values())))

    def summary(self) -> JsonObject:
        """Reward, diversity and text by request, as JSON holds them."""
        return {"reward": self.reward, "diversity": self.diversity, "text": self.text}


@dataclass(frozen=True)
class GuardReading:
    """What one guard reads.

    Attributes:
        name: Of what is guarded.
        before: Its mean before.
        after: Its mean after.
        loss: How much worse it got, with the paired 95 % interval over the requests; negative: it got better.
        limit: Most that `loss` may be.
        unit: `share` of before, or `difference`.
        sure_only: Whether only a loss counts whose interval excludes zero: for what differs much from take to take.
    """

    name: str
    before: float
    after: float
    loss: Mean
    limit: float
    unit: str
    sure_only: bool = False

    @property
    def sure(self) -> bool:
        """Whether the interval says that it got worse; that of fewer requests than `FEWEST` says nothing."""
        return self.loss.low > 0 and self.loss.n >= FEWEST

    @property
    def objects(self) -> bool:
        """Whether the loss is over the limit."""
        return self.loss.mean > self.limit and (self.sure or not self.sure_only)

    @property
    def text(self) -> str:
        """The reading in a phrase, such as "text similarity: 0.600 → 0.500, 0.100 worse (0.050 to 0.150)"."""
        scale, sign, digits = (100, " %", 0) if self.unit == "share" else (1, "", 3)
        loss, low, high, limit = (scale * x for x in (self.loss.mean, self.loss.low, self.loss.high, self.limit))
        digits_of = 3 if abs(self.before) < 10 else 0
        doubt = "" if self.sure else "; it cannot be told from noise"
        return (
            f"{self.name}: {self.before:.{digits_of}f} → {self.after:.{digits_of}f}, {loss:.{digits}f}{sign} worse "
            f"({low:.{digits}f} to {high:.{digits}f}), at most {limit:g}{sign} is allowed{doubt}"
        )

    def to_json(self) -> JsonObject:
        """All of it, as JSON holds it."""
        return asdict(self) | {"sure": self.sure, "objects": self.objects}


def read_guards(before: PolicyFigures, after: PolicyFigures, limits: GuardLimits) -> list[GuardReading]:
    """What the guards that need no judge read: diversity, text similarity, the Fréchet distance by MFCC statistics.

    Args:
        before: The policy that was there.
        after: The tuned one, on the same requests.
        limits: What it may lose.

    Raises:
        ValueError: They are about other requests.
    """
    readings = []
    for name, values in before.diversity.items():
        pairs = paired(values, after.diversity[name])
        share = bootstrap_ratio([b for _, b in pairs], [a for a, _ in pairs])
        loss = Mean(1 - share.mean, 1 - share.high, 1 - share.low, share.n)
        old, new = means(pairs)
        readings.append(GuardReading(f"diversity of {name}", old, new, loss, 1 - limits.diversity, "share"))
    pairs = paired(before.text, after.text)
    text_loss = bootstrap_mean([a - b for a, b in pairs])
    assert text_loss is not None
    old, new = means(pairs)
    readings.append(GuardReading("text similarity", old, new, text_loss, limits.text, "difference"))
    if before.timbre:
        names = list(before.timbre)
        change = frechet_change(*([s[n] for n in names] for s in (before.timbre, after.timbre, before.renderings)))
        readings += frechet_readings(MFCC, change, limits)
    return readings


def frechet_readings(name: str, change: FrechetChange | None, limits: GuardLimits) -> list[GuardReading]:
    """The reading of a Fréchet distance; none where there is too little audio for one."""
    if change is None:
        return []
    what = f"Fréchet distance to renderings by {name}"
    return [GuardReading(what, change.before, change.after, change.rise, limits.frechet, "share")]


def read_measures(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]], limits: GuardLimits
) -> list[GuardReading]:
    """What each measure of the judges says by itself.

    With a dozen sheets a measure moves by several points when nothing changed, so only a loss that the interval bears
    out objects; the others are in the report.

    Args:
        before: By the request's name and then the measure's, 0…1; a measure may be absent where it means nothing.
        after: Alike.
        limits: `measure` counts.
    """
    readings = []
    for name in dict.fromkeys(name for scores in before.values() for name in scores):
        pairs = [(own[name], after[r][name]) for r, own in before.items() if name in own and name in after.get(r, {})]
        loss = bootstrap_mean([a - b for a, b in pairs])
        if loss is not None:
            old, new = means(pairs)
            readings.append(GuardReading(f"judges' {name}", old, new, loss, limits.measure, "difference", True))
    return readings


def vetoes(before: PolicyFigures, after: PolicyFigures, limits: GuardLimits) -> list[str]:
    """What speaks against a policy, whatever its reward, each in a phrase; empty: nothing.

    Example:
        >>> flat = {value: dict.fromkeys("abcd", value) for value in (0.2, 0.4, 0.6)}
        >>> before = PolicyFigures(flat[0.4], {"onsets": flat[0.4]}, flat[0.6], {}, {})
        >>> after = PolicyFigures(flat[0.6], {"onsets": flat[0.2]}, flat[0.6], {}, {})
        >>> vetoes(before, after, GuardLimits())
        ['diversity of onsets: 0.400 → 0.200, 50 % worse (50 to 50), at most 5 % is allowed']
    """
    return objections(read_guards(before, after, limits))


def objections(readings: Sequence[GuardReading]) -> list[str]:
    """The phrases of those that object."""
    return [reading.text for reading in readings if reading.objects]


def means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Mean before and mean after, of (before, after) pairs."""
    before, after = np.mean(pairs, axis=0)
    return float(before), float(after)


def paired(before: Mapping[str, float], after: Mapping[str, float]) -> list[tuple[float, float]]:
    """(before, after) of each request.

    Raises:
        ValueError: They are about other requests.
    """
    if before.keys() != after.keys() or not before:
        raise ValueError(f"{len(before)} requests before and {len(after)} after are not the same ones")
    return [(value, after[name]) for name, value in before.items()]


def paired_difference(before: Mapping[str, float], after: Mapping[str, float]) -> Mean:
    """Mean of after − before over the requests, with its paired bootstrap interval.

    Raises:
        ValueError: They are about other requests.
    """
    mean = bootstrap_mean([b - a for a, b in paired(before, after)])
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
    """The verdict on a tuned adapter: it has to gain, by the reward and by the judges, and no guard may object.

    One that is as good as the old one is refused: it brings nothing that would pay for its risk.

    Args:
        reward: A's reward on the development sheets, after − before.
        judges: B's score there, after − before; None where the judges are not installed.
        objections: Of the guards, each in a phrase.

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
        return TuningVerdict(False, "; ".join([reason, *objections]), reward, judges)
    against = list(objections)
    if reward.mean <= 0:
        against.append(f"the reward did not rise ({100 * reward.mean:+.1f} points)")
    if judges is None:
        against.append("the judges are not installed, so nobody without a part in it has heard it")
    elif judges.mean <= 0:
        against.append(f"the judges' score did not rise ({100 * judges.mean:+.1f} points)")
    if against:
        return TuningVerdict(False, "; ".join(against), reward, judges)
    assert judges is not None
    doubt = "" if judges.low > 0 else ", which cannot be told from noise"
    return TuningVerdict(True, f"the judges' score rose by {100 * judges.mean:.1f} points{doubt}", reward, judges)
