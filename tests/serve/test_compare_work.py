"""The Compare tab's work without a browser: dealing blind, verdicts on the disk, pairs from an order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from musetune import LeadSheet
from musetune.audio import save_audio
from musetune.evaluation.preferences import Judge, PairBatch, Side, read_verdicts
from musetune.serve.compare_markup import pair_html
from musetune.serve.compare_work import CompareDesk, make_pairs, other_takes


@pytest.fixture
def batch(tmp_path: Path) -> PairBatch:
    """Three pairs, two of them with charts."""
    batch = PairBatch(tmp_path / "batch")
    chart = LeadSheet.parse("| C | G7 |", bpm=120).save(tmp_path / "chart.json")
    draw = np.random.default_rng(0)
    for number in range(3):
        sounds = [save_audio(tmp_path / f"{number}{x}.wav", draw.normal(0, 0.1, 1600), 16000) for x in "xy"]
        sides = [
            Side(path, {"name": f"secret-{name}", "seed": 77}, chart=chart if number else None)
            for path, name in zip(sounds, ("old", "new"), strict=True)
        ]
        batch.add(str(number), *sides, {"prompt": "a <b>waltz</b>"}, question="Which plan?")
    return batch


@pytest.fixture
def desk(batch: PairBatch, tmp_path: Path) -> CompareDesk:
    return CompareDesk(batch, tmp_path / "shown")


def test_a_verdict_is_on_the_disk_before_the_next_pair(desk: CompareDesk, batch: PairBatch) -> None:
    dealt = desk.deal("anna")
    assert dealt is not None
    said = desk.judge(dealt.token, "B", ["chords", "chords", "words"], [1.234, 0])
    (verdict,) = read_verdicts(batch.preferences)
    assert verdict == said
    assert verdict.judge == Judge("person", "anna")
    assert verdict.reasons == ("chords", "words")
    assert verdict.heard_s == (1.23, 0.0)
    assert verdict.request == {"prompt": "a <b>waltz</b>"}
    assert verdict.b["sha256"] == dealt.comparison.b.sha256
    again = desk.deal("anna")
    assert again is not None
    assert again.comparison.pair.id != dealt.comparison.pair.id
    assert (again.judged, again.total) == (1, 3)


def test_what_is_shown_tells_no_origin_and_plays_the_sounds(desk: CompareDesk, batch: PairBatch) -> None:
    for _ in range(3):
        dealt = desk.deal("")
        assert dealt is not None
        html = pair_html(dealt)
        for word in ("secret", "seed", "origin", *(side.sha256[:8] for side in dealt.comparison[1:3])):
            assert word not in html
        assert "a &lt;b&gt;waltz" in html
        assert "Which plan?" in html
        assert dealt.sides[0].sound.read_bytes() == dealt.comparison.a.audio.read_bytes()
        assert ("mt-chart" in html) == (dealt.sides[0].sheet is not None)
        desk.judge(dealt.token, "equal")
    assert desk.deal("") is None
    assert not list(desk.folder.iterdir())  # what was shown is gone


def test_a_second_click_changes_nothing(desk: CompareDesk, batch: PairBatch) -> None:
    dealt = desk.deal("anna")
    assert dealt is not None
    assert desk.judge(dealt.token, "A") == desk.judge(dealt.token, "B")
    assert [verdict.verdict for verdict in read_verdicts(batch.preferences)] == ["A"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none", "A"), "no longer open, and nothing was written"),
        (("", "A"), "no longer open"),
        (("TOKEN", "C"), "give one of A, B, equal, both bad"),
        (("TOKEN", "A", ["mood"]), "'mood' is none of chords"),
        (("TOKEN", "A", [], [1]), "no two lengths"),
        (("TOKEN", "A", [], ["x", 1]), "no two lengths"),
        (("TOKEN", "A", [], [-1, float("nan")]), "no lengths"),
    ],
)
def test_wrong_verdicts_are_refused_and_nothing_is_written(
    desk: CompareDesk, batch: PairBatch, arguments: tuple, message: str
) -> None:
    dealt = desk.deal("anna")
    assert dealt is not None
    token, *rest = arguments
    with pytest.raises(ValueError, match=message):
        desk.judge(dealt.token if token == "TOKEN" else token, *rest)
    assert not batch.preferences.exists()
    desk.judge(dealt.token, "A")  # the pair is still open


def test_the_last_verdict_is_taken_back_and_its_pair_comes_again(desk: CompareDesk, batch: PairBatch) -> None:
    first = desk.deal("anna")
    assert first is not None
    desk.judge(first.token, "A")
    assert desk.take_back("bert") is None
    taken = desk.take_back("anna")
    assert taken is not None
    assert taken.pair == first.comparison.pair.id
    again = desk.deal("anna")
    assert again is not None
    assert again.comparison == first.comparison
    assert not read_verdicts(batch.preferences)


def test_a_missing_sound_and_a_long_name_are_named(desk: CompareDesk, batch: PairBatch) -> None:
    with pytest.raises(ValueError, match="41 characters; give up to 40"):
        desk.deal("x" * 41)
    for pair in batch.pairs().values():
        pair.sides[0].audio.unlink()
    with pytest.raises(ValueError, match="is not there: put it back"):
        desk.deal("anna")


@pytest.mark.slow
def test_pairs_of_an_order_are_made_once(full_base: Path, tmp_path: Path) -> None:
    from musetune import MuseTunePipeline
    from musetune.serve.work import Order

    pipe = MuseTunePipeline.from_pretrained(full_base)
    order = Order("I V", seconds=2.0, steps=1, prompt="piano", ending="stops")
    batch = PairBatch(tmp_path / "batch")
    another_seed = other_takes([])[0]
    assert make_pairs(pipe, order, another_seed, 2, batch, "tiny") == 2
    assert make_pairs(pipe, order, another_seed, 3, batch, "tiny") == 1
    pairs = list(batch.pairs().values())
    assert [[side.origin["seed"] for side in pair.sides] for pair in pairs] == [[0, 1], [2, 3], [4, 5]]
    assert LeadSheet.from_json(pairs[0].request["sheet"]) == order.sheet()
    origin = pairs[0].sides[0].origin
    assert origin["name"] == "theory"
    assert origin["adapters"] == {"theory": 1.0}
    assert set(origin["weights"]) == {"theory"}
    assert {"musetune", "torch"} <= origin["versions"].keys()
    with pytest.raises(ValueError, match="Pairs: 21 is not a number from 1 to 20"):
        make_pairs(pipe, order, another_seed, 21, batch, "tiny")
    with pytest.raises(ValueError, match="'genre adapter polka' is none of"):
        make_pairs(pipe, order, "genre adapter polka", 1, batch, "tiny")
