"""The benchmark of genres: its measures, the strangers' front ends, and what counts as right."""

from __future__ import annotations

from pathlib import Path

import genre
import genre_judges
import numpy as np
import pytest
from genre import Verdict

from musetune.symbols import GENRES


def test_a_perfect_confidence_has_no_error_but_chance() -> None:
    rng = np.random.default_rng(0)
    sure = rng.random(20000)
    right = rng.random(20000) < sure
    assert genre.calibration_error(sure, right) < 0.01
    assert genre.calibration_error(np.full(100, 0.9), np.arange(100) < 40) == pytest.approx(0.5)
    few, many = genre.chance_error(sure[:40]), genre.chance_error(sure[:4000])
    assert few > 0.08
    assert many < 0.03


def test_a_row_counts_what_it_says() -> None:
    said = [
        Verdict("rock", "rock", 0.9),  # right
        Verdict("pop", "pop", 0.6),  # wrong
        Verdict(None, "jazz", 0.4),  # likeliest right, not named
        Verdict(None, "jazz", 0.2),  # none, rightly unnamed
        Verdict("blues", "blues", 0.5),  # none, wrongly named
    ]
    text = genre.row("we", said, ["rock", "rock", "jazz", "none", "none"])
    assert text.startswith(
        "| we | 5 | 67% (2 of 3) | 60% (3 of 5) | 33% (1 of 3) | 50% (1 of 2) | "
        f"{(abs(0.9 - 1) + 0.6 + abs(0.4 - 1) + 0.2 + 0.5) / 5:.3f} ("
    )
    table = genre.confusions(said, ["rock", "rock", "jazz", "none", "none"]).splitlines()
    assert [line.split()[0] for line in table] == ["truth", "rock", "jazz", "none"]


def test_verdicts() -> None:
    shares = np.array([0.1, 0.2, 0.05, 0.05, 0.05, 0.05, 0.5])
    assert genre.verdict_of_shares(shares) == Verdict(None, "rock", pytest.approx(0.2))
    assert genre.verdict_of_shares(shares[::-1]).named == "pop"
    scores = dict(zip(GENRES, (0.1, 0.6, 0.1, 0.1, 0.05, 0.05), strict=True))
    unsure = {"primary_genre": "unsure", "confidence": 0.3, "scores": scores}
    assert genre.verdict_of_record(unsure) == Verdict(None, "rock", 0.3)
    assert genre.verdict_of_record({"primary_genre": None, "confidence": 0.0, "scores": {}}).named is None


def test_scores_are_kept(tmp_path: Path) -> None:
    class Judge:
        calls = 0

        def scores(self, wave: np.ndarray, rate: int) -> np.ndarray:
            self.calls += 1
            return wave * rate

    judge, clips = Judge(), [("a", np.ones(2), 3), ("b", np.ones(2), 4)]
    for _ in range(2):
        found = genre_judges.remember(judge, clips, tmp_path / "judge.jsonl")  # type: ignore[arg-type]
        assert found["b"].tolist() == [4, 4]
    assert judge.calls == 2


def test_a_regression_learns_what_is_there() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 7, 300)
    x = np.eye(7)[truth] * 3 + rng.normal(0, 0.5, (300, 7))
    shares = genre_judges.read_regression(x, genre_judges.regression(x, truth))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares.argmax(axis=1) == truth).mean() > 0.97
