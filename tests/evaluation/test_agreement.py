"""Correlations and kappas whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from musetune.evaluation.agreement import agreement, confusion, correlation, plain_lines, verdicts, within


def record(ours: float, theirs: float, votes: list[tuple[bool, bool]]) -> dict:
    """What judge_clip makes of a clip, as far as agreement reads it."""
    listeners = [
        {
            "scores": {"majmin": score, "beat_f": score},
            "chords": [{"match": vote[i]} for vote in votes],
        }
        for i, score in ((0, ours), (1, theirs))
    ]
    return {**listeners[1], "musetune": listeners[0]}


def votes(both: int, ours: int, theirs: int, neither: int) -> list[tuple[bool, bool]]:
    return [(True, True)] * both + [(True, False)] * ours + [(False, True)] * theirs + [(False, False)] * neither


def test_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = np.exp(x) + rng.normal(size=40)
    r, rho = correlation(x, y), correlation(x, y, ranked=True)
    assert r.mean == pytest.approx(pearsonr(x, y).statistic)
    assert rho.mean == pytest.approx(spearmanr(x, y).statistic)
    assert r.low < r.mean < r.high
    assert rho.low < rho.mean < rho.high


def test_listeners_who_say_the_same_agree_fully() -> None:
    found = agreement([record(s, s, votes(3, 0, 0, 1)) for s in (0.1, 0.4, 0.9, 1.0)])
    assert found["rank"]["pearson"].mean == pytest.approx(1)
    assert found["majmin"]["spearman"].mean == pytest.approx(1)
    assert found["chord by chord"]["same"].mean == 1
    assert found["chord by chord"]["kappa"].mean == 1


def test_a_report_that_says_the_opposite_is_found_out() -> None:
    found = agreement([record(s, 1 - s, votes(0, 2, 2, 0)) for s in (0.1, 0.4, 0.9, 1.0)])
    assert found["rank"]["pearson"].mean == pytest.approx(-1)
    assert found["chord by chord"]["kappa"].mean == pytest.approx(-1)


def test_kappa_of_a_known_table() -> None:
    """20 and 15 agreements of 50, 5 and 10 disagreements: 0.7 observed, 0.5 by chance."""
    records = [record(0, 0, votes(20, 5, 10, 15))] * 3
    same, kappa = verdicts(records)
    assert confusion(records[0]) == (20, 5, 10, 15)
    assert same.mean == pytest.approx(0.7)
    assert kappa.mean == pytest.approx(0.4)


def test_nothing_is_claimed_of_too_little() -> None:
    few = agreement([record(0.1, 0.2, votes(1, 0, 0, 1))] * 2)
    assert all(value is None for scores in few.values() for value in scores.values())
    alike = agreement([record(1.0, s, votes(4, 0, 0, 0)) for s in (0.5, 0.6, 0.7)])
    assert alike["rank"]["pearson"] is None
    assert alike["chord by chord"]["kappa"] is None  # chance alone agrees always
    assert "—" in plain_lines({"adapter": alike})


def test_an_undefined_score_is_left_out() -> None:
    records = [record(s, s, votes(1, 0, 0, 1)) for s in (0.1, 0.5, 0.9, 0.3)]
    records[3]["scores"]["majmin"] = None
    assert agreement(records)["majmin"]["pearson"].n == 3


@pytest.mark.slow
def test_records_about_one_clip_are_drawn_together() -> None:
    """Every record twice: no more is known than before, and no interval shrinks."""
    rng = np.random.default_rng(0)
    scores = [(a, float(np.clip(a + rng.normal(scale=0.3), 0, 1))) for a in rng.uniform(size=12)]
    once = [{**record(a, b, votes(2, 1, 0, 1 + i % 3)), "audio": f"clip {i}"} for i, (a, b) in enumerate(scores)]
    single, double = agreement(once), agreement(once + once)
    for name, found in single.items():
        for kind, mean in found.items():
            again = double[name][kind]
            assert (again.mean, again.low, again.high, again.n) == pytest.approx((mean.mean, mean.low, mean.high, 12))
    alone = agreement([{**one, "audio": str(i)} for i, one in enumerate(once + once)])["rank"]["pearson"]
    assert alone.high - alone.low < single["rank"]["pearson"].high - single["rank"]["pearson"].low


def test_ranks_within_a_sheet_are_compared() -> None:
    """One sheet ranked as the judges do, one the other way round, one that is all alike: 0 on average of two."""
    places = {
        "a": [(0.1, 0.2), (0.5, 0.6), (0.9, 0.7)],
        "b": [(0.1, 0.7), (0.5, 0.6), (0.9, 0.2)],
        "c": [(0.5, 0.5)] * 3,
    }
    made = [{**record(*pair, []), "settings": {"id": name}} for name, pairs in places.items() for pair in pairs]
    found = within(made)
    assert found.mean == pytest.approx(0)
    assert found.n == 2
    assert within(made[:3]).mean == pytest.approx(1)
