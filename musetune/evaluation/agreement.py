"""Does our own report agree with the judges? Correlation of scores over clips, and chord by chord whether both say "match"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from musetune.evaluation.bootstrap import Mean

QUANTITIES = ("overall", "majmin", "beat_f")
REPLICATES = 2000
Records = Sequence[Mapping[str, Any]]


def agreement(records: Records) -> dict[str, dict[str, Mean | None]]:
    """For records as `obedience.judge_clip` makes them: Pearson's and Spearman's correlation of the report's and the judges' overall
    score, majmin and beat_f, and over all asked chords the share on which both verdicts are the same, and Cohen's kappa of these.

    Clips are drawn again for the intervals, their chords together. None where fewer than three clips are there, or all alike.
    """
    found: dict[str, dict[str, Mean | None]] = {}
    for name in QUANTITIES:
        ours, theirs = pairs(records, name)
        ranks = (rankdata(ours), rankdata(theirs))
        found[name] = {"pearson": correlation(ours, theirs), "spearman": correlation(*ranks, ranked=True)}
    found["chord by chord"] = dict(zip(("same", "kappa"), verdicts(records), strict=True))
    return found


def pairs(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,), (n,): the report's and the judges' score ``name`` of each clip that has both; "overall" is what candidates are ranked by."""
    both = [(_score(record["musetune"], name), _score(record, name)) for record in records]
    known = np.array([pair for pair in both if None not in pair], dtype=float).reshape(-1, 2)
    return known[:, 0], known[:, 1]


def correlation(x: np.ndarray, y: np.ndarray, *, ranked: bool = False, seed: int = 0) -> Mean | None:
    """Pearson's r of ``x`` (n,) and ``y`` (n,); ``ranked``: each replicate is ranked first, which is Spearman's rho."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    draws = np.random.default_rng(seed).integers(0, len(x), (REPLICATES, len(x)))
    again = (rankdata(x[draws], axis=1), rankdata(y[draws], axis=1)) if ranked else (x[draws], y[draws])
    return _interval(float(_pearson(x[None], y[None])[0]), _pearson(*again), len(x))


def verdicts(records: Records, *, seed: int = 0) -> tuple[Mean | None, Mean | None]:
    """(share of the asked chords on which both verdicts are the same, Cohen's kappa of them): both 1 where they always agree."""
    counts = np.array([confusion(record) for record in records], dtype=float).reshape(-1, 4)
    if len(counts) < 3:
        return None, None
    draws = np.random.default_rng(seed).integers(0, len(counts), (REPLICATES, len(counts)))
    again = counts[draws].sum(axis=1)
    both = [_same_and_kappa(totals) for totals in (counts.sum(axis=0)[None], again)]
    same, kappa = (_interval(float(once[0]), replicates, len(counts)) for once, replicates in zip(*both, strict=True))
    return same, kappa


def confusion(record: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Chords of a clip that: both hear as asked, the report alone, the judges alone, neither."""
    votes = [(a["match"], b["match"]) for a, b in zip(record["musetune"]["chords"], record["chords"], strict=True)]
    return (
        votes.count((True, True)),
        votes.count((True, False)),
        votes.count((False, True)),
        votes.count((False, False)),
    )


def plain_lines(found: Mapping[str, Mapping[str, Mapping[str, Mean | None]]]) -> str:
    """Set of clips → `agreement` as a Markdown table."""
    lines = ["| report and judges | clips | " + " | ".join(QUANTITIES) + " | same verdict on a chord | kappa |"]
    lines.append("|---" * (len(QUANTITIES) + 4) + "|")
    for name, scores in found.items():
        cells = [f"{_figure(scores[q]['pearson'])}; {_figure(scores[q]['spearman'])}" for q in QUANTITIES]
        cells += [_figure(scores["chord by chord"][x]) for x in ("same", "kappa")]
        count = next((mean.n for mean in scores["chord by chord"].values() if mean), 0)
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _score(report: Mapping[str, Any], name: str) -> float | None:
    return report["overall"] if name == "overall" else report["scores"][name]


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(replicates,) of two (replicates, n); NaN where one of them is constant."""
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), size, out=np.full(len(x), np.nan), where=size > 1e-12)


def _same_and_kappa(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 4) confusions → observed agreement (n,), and what it is beyond chance as a share of what it could be (Cohen 1960)."""
    total = counts.sum(axis=1)
    same = (counts[:, 0] + counts[:, 3]) / total
    ours, theirs = (counts[:, 0] + counts[:, 1]) / total, (counts[:, 0] + counts[:, 2]) / total
    chance = ours * theirs + (1 - ours) * (1 - theirs)
    return same, np.divide(same - chance, 1 - chance, out=np.full(len(same), np.nan), where=chance < 1)


def _interval(value: float, replicates: np.ndarray, count: int) -> Mean | None:
    known = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return Mean(value, float(low), float(high), count)


def _figure(mean: Mean | None) -> str:
    return "—" if mean is None else f"{mean.mean:.2f} ({mean.low:.2f}–{mean.high:.2f})"
