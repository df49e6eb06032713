"""The order of pairs and of their takes: drawn, fair, the same after a restart, with repeats exchanged."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from musetune.evaluation.preferences import Comparison, Judge, Pair, Side, Verdict, next_comparison
from musetune.evaluation.preferences.schedule import REPEAT_EVERY, REPEAT_GAP

ANNA, BERT = Judge("person", "anna"), Judge("person", "bert")


def batch(count: int) -> dict[str, Pair]:
    sides = lambda n: tuple(Side(Path(f"{n}{x}.wav"), {"name": x}, sha256=f"{n}{x}") for x in ("old", "new"))  # noqa: E731
    return {str(n): Pair(str(n), sides(n)) for n in range(count)}  # type: ignore[arg-type]


def judged(one: Comparison, judge: Judge) -> Verdict:
    return Verdict(one.pair.id, judge, "A", *(side.to_json(Path()) for side in (one.a, one.b)))


def session(pairs: dict[str, Pair], judge: Judge, others: list[Verdict] | None = None) -> list[Comparison]:
    """All that a judge hears until there is no more."""
    verdicts, heard = list(others or []), []
    while (one := next_comparison(pairs, verdicts, judge)) is not None:
        heard.append(one)
        verdicts.append(judged(one, judge))
    return heard


def test_each_pair_is_heard_and_some_twice_with_sides_exchanged() -> None:
    heard = session(batch(40), ANNA)
    counts = Counter(one.pair.id for one in heard)
    assert set(counts) == set(batch(40))
    repeats = [index for index, one in enumerate(heard) if one.repeated]
    assert repeats == list(range(REPEAT_EVERY - 1, len(heard), REPEAT_EVERY))
    for index in repeats:
        before = next(i for i, one in enumerate(heard) if one.pair.id == heard[index].pair.id)
        assert index - before > REPEAT_GAP
        assert (heard[index].a, heard[index].b) == (heard[before].b, heard[before].a)


def test_the_order_and_the_sides_are_drawn_for_each_judge() -> None:
    anna, bert = session(batch(200), ANNA), session(batch(200), BERT)
    assert [one.pair.id for one in anna] != [one.pair.id for one in bert]
    assert [one.pair.id for one in anna if not one.repeated] != [str(n) for n in range(200)]
    as_a = sum(one.a.origin["name"] == "new" for one in anna if not one.repeated)
    assert 70 <= as_a <= 130  # of 200 throws of a fair coin


def test_a_restart_shows_the_pair_that_was_shown() -> None:
    verdicts = [judged(one, ANNA) for one in session(batch(9), ANNA)[:4]]
    assert next_comparison(batch(9), verdicts, ANNA) == next_comparison(batch(9), list(verdicts), ANNA)


def test_verdicts_of_others_and_of_other_batches_do_not_count() -> None:
    others = [judged(one, BERT) for one in session(batch(9), BERT)]
    elsewhere = [judged(one, ANNA) for one in session({"x": replace(batch(1)["0"], id="x")}, ANNA)]
    assert session(batch(9), ANNA, others + elsewhere) == session(batch(9), ANNA)


def test_small_batches_have_no_repeats_and_end() -> None:
    assert len(session(batch(3), ANNA)) == 3
    assert session({}, ANNA) == []
