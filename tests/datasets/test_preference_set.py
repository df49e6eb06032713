"""What is preferred, on disk; people's verdicts as such a data set."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small import SR, make_dataset, tones

from musetune import LeadSheet
from musetune.audio import save_audio
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.datasets.peoples_preferences import heard_length, take_verdicts, windows
from musetune.datasets.preference_set import FILE, PreferencePair, PreferenceSet, write_preferences
from musetune.evaluation.preferences import Judge, PairBatch, Side, Verdict
from musetune.evaluation.preferences.verdicts import retract


def test_what_is_written_is_read(tmp_path: Path) -> None:
    make_dataset(tmp_path, 4)
    with pytest.raises(FileNotFoundError, match=r"no preferences\.json"):
        PreferenceSet(tmp_path)
    write_preferences(tmp_path, "recogniser", [PreferencePair("clip2", "clip0", 0.1)], {"clip2": 0.9, "clip0": 0.1}, {})
    one = PreferenceSet(tmp_path)
    assert (one.kind, one.pairs, one.optimality, len(one)) == ("recogniser", [(2, 0)], {2: 0.9, 0: 0.1}, 1)


def test_all_demonstrations_are_better_takes(tmp_path: Path) -> None:
    make_dataset(tmp_path, 3)
    shown = PreferenceSet.of_demonstrations(tmp_path)
    assert (shown.kind, shown.items("supervised")) == ("demonstration", [(0,), (1,), (2,)])
    assert not any(shown.items(method) for method in ("dpo", "crpo", "nft", "refl"))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    make_dataset(tmp_path, 2)
    with pytest.raises(ValueError, match="kind='dog' is none of"):
        write_preferences(tmp_path, "dog", [], {}, {})
    with pytest.raises(ValueError, match="outside of 0…1"):
        write_preferences(tmp_path, "person", [], {"clip0": 2.0}, {})
    write_preferences(tmp_path, "person", [PreferencePair("clip0", "gone")], {}, {})
    with pytest.raises(ValueError, match="not there: gone"):
        PreferenceSet(tmp_path)
    (tmp_path / FILE).write_text(json.dumps({"schema": 99, "kind": "person"}))
    with pytest.raises(ValueError, match="schema 99"):
        PreferenceSet(tmp_path)


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> LatentEncoder:
    return LatentEncoder(str(tiny_base), 2.048, "cpu")


def batch_of(folder: Path, verdicts: list[str], seconds: float = 3.0, sheet: bool = True) -> PairBatch:
    """A batch with a pair for each verdict, which anna gave."""
    batch = PairBatch(folder / "batch")
    chart = LeadSheet.parse("| C | F |", bpm=120, duration_seconds=3.0)
    for i, said in enumerate(verdicts):
        sides = []
        for name in ("x", "y"):
            wave = tones(chart, seconds) + np.float32(0.01 * i + (name == "y") * 0.05)
            sides.append(Side(save_audio(folder / f"{i}{name}.wav", wave, SR), {"name": name}))
        request = {"prompt": "pop"} | ({"sheet": chart.to_json()} if sheet else {})
        pair = batch.add(str(i), *sides, request)
        a, b = (side.to_json(batch.folder) for side in pair.sides)
        Verdict(str(i), Judge("person", "anna"), said, a, b, request=request).append(batch.preferences)
    return batch


@pytest.mark.slow
def test_verdicts_become_pairs_of_latents(tmp_path: Path, encoder: LatentEncoder) -> None:
    batch = batch_of(tmp_path, ["A", "B", "equal", "both bad"])
    a, b = (side.to_json(batch.folder) for side in batch.pairs()["2"].sides)
    Verdict("2", Judge("recogniser", "anna"), "A", a, b, request={}).append(batch.preferences)  # no person
    counts = take_verdicts(batch.folder, tmp_path / "set", encoder, 2.048)
    assert counts == (4, 2, 2, 0, 0, 1, 4)
    one = PreferenceSet(tmp_path / "set")
    assert one.kind == "person"
    assert len(one) == 4  # sounds of three seconds: their beginning and their end
    assert len(one.data) == 8
    assert {(clip.offset_s, clip.duration_s) for clip in one.data.clips} == {(0.0, 2.048), (0.95, 2.048)}
    assert [one.data.clips[place].offset_s for place in one.pairs[1]] == [0.95, 0.95]
    assert LeadSheet.from_json(one.data.clips[one.pairs[1][0]].lead_sheet).duration_s == pytest.approx(2.048, abs=0.01)
    assert not torch.equal(*(one.data.latents[pair[0]] for pair in one.pairs[:2]))
    sides = [batch.pairs()[name].sides for name in "01"]
    better = [sides[0][0].sha256[:20], sides[1][1].sha256[:20]]
    assert [one.data.clips[winner].id for winner, _ in one.pairs[::2]] == better
    assert sorted(one.optimality.values()) == [0.0] * 4 + [1.0] * 4
    take_verdicts(batch.folder, tmp_path / "set", encoder, 2.048)  # again: nothing twice
    assert len(PreferenceSet(tmp_path / "set").data) == 8
    (tmp_path / "almost").mkdir()
    almost = batch_of(tmp_path / "almost", ["A"], seconds=2.02)  # a rounded length loses nothing
    assert take_verdicts(almost.folder, tmp_path / "almost set", encoder, 2.048).used == 1


def test_clips_cover_what_was_heard() -> None:
    assert windows(2.0, 5.12) == [0.0]
    assert windows(5.15, 5.12) == [0.0]  # rounded
    assert windows(8.0, 5.12) == [0.0, 2.88]
    for length in (6.0, 11.0, 20.0):
        starts = windows(length, 5.12)
        assert starts[-1] + 5.12 == pytest.approx(length, abs=0.01)
        assert all(b - a <= 5.12 for a, b in itertools.pairwise(starts))
    sides = [{"audio": f"{x}.wav", "sha256": x, "origin": {"name": x}} for x in "ab"]
    assert heard_length(Verdict("1", Judge("person", "anna"), "A", *sides, heard_s=(3.0, 8.0))) == 3.0
    assert heard_length(Verdict("1", Judge("person", "anna"), "A", *sides)) == np.inf


@pytest.mark.slow
def test_verdicts_that_teach_nothing(tmp_path: Path, encoder: LatentEncoder) -> None:
    cases = {"equal": {"verdicts": ["equal"]}, "short": {"verdicts": ["A"], "seconds": 1.0}}
    cases |= {"sheetless": {"verdicts": ["A"], "sheet": False}}
    for name, case in cases.items():
        (tmp_path / name).mkdir()
        batch = batch_of(tmp_path / name, **case)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="nothing to learn from: 1 verdicts"):
            take_verdicts(batch.folder, tmp_path / name / "set", encoder, 2.048)
    batch = batch_of(tmp_path, ["A", "B"])
    from musetune.evaluation.preferences import read_verdicts

    retract(batch.preferences, read_verdicts(batch.preferences)[0])
    assert take_verdicts(batch.folder, tmp_path / "set", encoder, 2.048).used == 1
