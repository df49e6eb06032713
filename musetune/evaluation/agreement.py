"""Does our own report agree with the judges?

Correlation of scores over clips, and chord by chord whether both say "match".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from musetune.evaluation.bootstrap import Mean, bootstrap_mean

RANK = "rank"  # what candidates are ranked by: the mean of majmin and beat F
QUANTITIES = (RANK, "majmin", "beat_f")
REPLICATES = 2000
Records = Sequence[Mapping[str, Any]]


def agreement(records: Records) -> dict[str, dict[str, Mean | None]]:
    """For records as `obedience.judge_clip` makes them.

    Pearson's and Spearman's correlation of the report's and the judges' rank (what candidates are ranked by), majmin
    and beat_f, and over all asked chords the share on which both verdicts are the same, and Cohen's kappa of these.

    For the intervals clips are drawn again, with all records about one clip (the same "audio"; without it each record
    is a clip of its own) and their chords together; n counts clips. None where fewer than three are there, or all
    alike.
    """
    clips = clips_of(records)
    agreements: dict[str, dict[str, Mean | None]] = {}
    for name in QUANTITIES:
        (ours, theirs), scored = pairs(records, name), [_has_scores(record, name) for record in records]
        agreements[name] = {
            kind: correlation(ours, theirs, clips[scored], ranked=kind == "spearman")
            for kind in ("pearson", "spearman")
        }
    agreements["chord by chord"] = dict(zip(("same", "kappa"), verdicts(records), strict=True))
    return agreements


def clips_of(records: Records) -> np.ndarray:
    """(n,): which clip each record is about, by its "audio"."""
    names = [record.get("audio", f"record {index}") for index, record in enumerate(records)]
    return np.unique(names, return_inverse=True)[1] if names else np.zeros(0, int)


def pairs(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,), (n,): the report's and the judges' score ``name`` of each record that has both; "rank" is what
    candidates are ranked by.
    """
    both = [(_score(r["musetune"], name), _score(r, name)) for r in records if _has_scores(r, name)]
    pairs_of_scores = np.array(both, dtype=float).reshape(-1, 2)
    return pairs_of_scores[:, 0], pairs_of_scores[:, 1]


def correlation(
    x: np.ndarray, y: np.ndarray, clips: np.ndarray | None = None, *, ranked: bool = False, seed: int = 0
) -> Mean | None:
    """Pearson's r of ``x`` (n,) and ``y`` (n,), or with ``ranked`` Spearman's rho.

    ``clips`` (n,) says which of them are drawn together (default: each alone).
    """
    clips = np.arange(len(x)) if clips is None else clips
    members = [np.flatnonzero(clips == clip) for clip in np.unique(clips)]
    if len(members) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    draws = np.random.default_rng(seed).integers(0, len(members), (REPLICATES, len(members)))
    again = [np.concatenate([members[i] for i in draw]) for draw in draws]
    value, *replicates = (_pearson(x[i], y[i], ranked) for i in (np.arange(len(x)), *again))
    return _interval(value, np.array(replicates), len(members))


def within(records: Records) -> Mean | None:
    """Mean over sheets of Spearman's correlation of the report's and the judges' rank among the candidates for
    one sheet: does the report rank as the judges would? Records of one sheet share their settings' "id"; sheets on
    which all are alike are left out.
    """
    sheets: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        sheets.setdefault(record["settings"]["id"], []).append(record)
    agreements = [_pearson(*pairs(candidates, RANK), True) for candidates in sheets.values()]
    return bootstrap_mean([rho if np.isfinite(rho) else None for rho in agreements])


def verdicts(records: Records, *, seed: int = 0) -> tuple[Mean | None, Mean | None]:
    """(share of the asked chords on which both verdicts are the same, Cohen's kappa of them): both 1 where they always
    agree.
    """
    clips = clips_of(records)
    each = np.array([confusion(record) for record in records], dtype=float).reshape(-1, 4)
    counts = np.array([each[clips == clip].sum(axis=0) for clip in np.unique(clips)]).reshape(-1, 4)
    if len(counts) < 3:
        return None, None
    draws = np.random.default_rng(seed).integers(0, len(counts), (REPLICATES, len(counts)))
    again = counts[draws].sum(axis=1)
    both = [same_and_kappa(totals) for totals in (counts.sum(axis=0)[None], again)]
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


def plain_lines(agreements: Mapping[str, Mapping[str, Mapping[str, Mean | None]]]) -> str:
    """Set of clips → `agreement` as a Markdown table."""
    lines = ["| report and judges | clips | " + " | ".join(QUANTITIES) + " | same verdict on a chord | kappa |"]
    lines.append("|---" * (len(QUANTITIES) + 4) + "|")
    for name, scores in agreements.items():
        cells = [f"{_figure(scores[q]['pearson'])}; {_figure(scores[q]['spearman'])}" for q in QUANTITIES]
        cells += [_figure(scores["chord by chord"][x]) for x in ("same", "kappa")]
        count = next((mean.n for mean in scores["chord by chord"].values() if mean), 0)
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plain_within(agreements: Mean | None) -> str:
    """`within` as a sentence; nothing where it says nothing."""
    if agreements is None:
        return ""
    return (
        f"Among the four candidates for a sheet Spearman's correlation is {_figure(agreements)} on average of "
        f"{agreements.n} sheets.\n"
    )


def _score(report: Mapping[str, Any], name: str) -> float | None:
    if name != RANK:
        return report["scores"][name]
    scores = [value for measure in ("majmin", "beat_f") if (value := report["scores"][measure]) is not None]
    return float(np.mean(scores)) if scores else 0.0


def _has_scores(record: Mapping[str, Any], name: str) -> bool:
    return None not in (_score(record["musetune"], name), _score(record, name))


def _pearson(x: np.ndarray, y: np.ndarray, ranked: bool) -> float:
    """Return the correlation of two (n,), or of their ranks; NaN where one of them is constant."""
    if ranked:
        x, y = rankdata(x), rankdata(y)
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 1e-12 else float("nan")


def same_and_kappa(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 4) confusions → observed agreement (n,), and what it is beyond chance as a share of what it could be (Cohen
    1960).
    """
    total = counts.sum(axis=1)
    same = (counts[:, 0] + counts[:, 3]) / total
    ours, theirs = (counts[:, 0] + counts[:, 1]) / total, (counts[:, 0] + counts[:, 2]) / total
    chance = ours * theirs + (1 - ours) * (1 - theirs)
    return same, np.divide(same - chance, 1 - chance, out=np.full(len(same), np.nan), where=chance < 1)


def _interval(value: float, replicates: np.ndarray, count: int) -> Mean | None:
    finite = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or not len(finite):
        return None
    low, high = np.percentile(finite, [2.5, 97.5])
    return Mean(value, float(low), float(high), count)


def _figure(mean: Mean | None) -> str:
    return "—" if mean is None else f"{mean.mean:.2f} ({mean.low:.2f}–{mean.high:.2f})"
