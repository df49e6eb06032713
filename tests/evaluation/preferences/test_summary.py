"""Wins by origin, intervals and agreement, against counts by hand and a listener whose preference is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from musetune.evaluation.preferences import Judge, Verdict, summarise, summary_text
from musetune.evaluation.preferences.summary import wilson

ANNA, BERT = Judge("person", "anna"), Judge("person", "bert")


def side(pair: str, origin: str, seed: int = 0) -> dict[str, Any]:
    name = f"{pair}-{origin}-{seed}"
    return {"audio": f"{name}.wav", "sha256": name, "origin": {"name": origin, "seed": seed}}


def said(pair: str, verdict: str, a: str = "old", b: str = "new", judge: Judge = ANNA, **more: Any) -> Verdict:
    return Verdict(pair, judge, verdict, side(pair, a), side(pair, b, seed=int(a == b)), **more)


def test_wins_are_counted_whichever_take_was_a() -> None:
    verdicts = [
        said("1", "B"),
        said("2", "A", "new", "old"),
        said("3", "A"),
        said("4", "equal", reasons=("chords",)),
        said("5", "both bad", reasons=("chords", "words")),
    ]
    summary = summarise(verdicts)
    new, old = summary["origins"]
    assert (new["origin"], new["wins"], new["losses"], new["equal"], new["both_bad"]) == ("new", 2, 1, 1, 1)
    assert (old["origin"], old["wins"], old["losses"]) == ("old", 1, 2)
    assert new["preferred"]["share"] == pytest.approx(2 / 3)
    assert summary["reasons"] == {"chords": 2, "words": 1}
    assert summary["first_shown"]["hits"] == 2
    assert summary["first_shown"]["total"] == 3


def test_a_repeated_pair_counts_once_and_tells_of_agreement() -> None:
    verdicts = [said("1", "A"), said("1", "B", "new", "old"), said("2", "A"), said("2", "A", "new", "old")]
    summary = summarise(verdicts)
    assert (summary["repeated_pairs"]["hits"], summary["repeated_pairs"]["total"]) == (1, 2)
    assert [row["wins"] for row in summary["origins"]] == [2, 0]


def test_two_judges_agree_or_not() -> None:
    summary = summarise([said("1", "A"), said("1", "A", judge=BERT), said("2", "B"), said("2", "A", judge=BERT)])
    assert (summary["between_judges"]["hits"], summary["between_judges"]["total"]) == (1, 2)
    assert summary["repeated_pairs"]["total"] == 0
    assert summary["judges"] == {"anna": 2, "bert": 2}


def test_pairs_of_one_origin_count_for_no_row() -> None:
    summary = summarise([said("1", "A", "new", "new"), said("2", "B")])
    assert summary["same_origin"] == 1
    assert sum(row["wins"] + row["losses"] for row in summary["origins"]) == 2
    assert "1 verdicts are on two takes of one origin" in summary_text(summary)


def test_three_origins_have_duels() -> None:
    verdicts = [said("1", "A", "x", "y"), said("2", "A", "y", "z"), said("3", "B", "z", "x")]
    text = summary_text(summarise(verdicts))
    assert [(row["first"], row["second"]) for row in summarise(verdicts)["duels"]] == [
        ("x", "y"), ("x", "z"), ("y", "z")
    ]  # fmt: skip
    assert "x over y: 100 %" in text


def test_the_interval_is_wilsons() -> None:
    """Against the formula: centre (p + z²/2n) / (1 + z²/n) and so on."""
    for hits, total in ((0, 5), (7, 9), (20, 20), (50, 200)):
        p, z = hits / total, 1.959964
        centre = (p + z**2 / (2 * total)) / (1 + z**2 / total)
        half = z / (1 + z**2 / total) * np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
        share = wilson(hits, total)
        assert (share.low, share.high) == pytest.approx((centre - half, centre + half), abs=1e-6)
    assert str(wilson(0, 0)) == "—"


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """A listener who prefers "new" in 70 % of pairs, 2,000 sessions of 40 pairs."""
    hits = np.random.default_rng(0).binomial(40, 0.7, 2000)
    intervals = {n: wilson(n, 40) for n in range(41)}
    held = np.mean([(intervals[n].low or 0) <= 0.7 <= (intervals[n].high or 0) for n in hits])
    assert 0.93 <= held <= 0.97


def test_the_text_says_all() -> None:
    text = summary_text(summarise([said("1", "B"), said("1", "B", judge=BERT)]))
    assert "2 verdicts on 1 pairs, by anna (1), bert (1)" in text
    assert "new  preferred 100 %" in text
    assert "two judges with the same verdict: 100 %" in text
