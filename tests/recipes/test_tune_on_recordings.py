"""Training on recordings without labels: agreement of strangers that answer as told, and consistency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from musetune.analysis.listening.networks import WEIGHTS, ChordNet
from musetune.analysis.listening.vocabulary import LABELS
from musetune.audio import save_audio
from musetune.audio.source import RATE
from recipes.analyzer import tune_on_recordings as recipe

SAID = dict(zip(recipe.STRANGERS, (("C:maj", "G:7"), ("C:maj", "G:7"), ("C:maj", "G:maj")), strict=True))


def answer(name: str, waves: list[np.ndarray]) -> list[dict]:
    """One chord in each half."""
    ends = [len(wave) / RATE for wave in waves]
    return [{"intervals": [[0, end / 2], [end / 2, end]], "labels": list(SAID[name])} for end in ends]


def chord(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.sum([0.1 * np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * time) for p in (48, 60, 64, 67)], axis=0)


def test_strangers_agree_where_all_say_the_same() -> None:
    wave = np.zeros(4 * RATE, np.float32)
    intervals, labels = recipe.agree([answer(name, [wave])[0] for name in recipe.STRANGERS], 4.0)
    assert labels == ["C:maj", "X"]
    np.testing.assert_allclose(intervals, [[0, 2], [2, 4]])


def test_chords_are_transposed_and_silence_stays() -> None:
    chances = torch.zeros(1, len(LABELS))
    chances[0, LABELS.index("B:min7")], chances[0, -1] = 0.7, 0.3
    moved = recipe.transpose_chords(chances, 2)
    assert moved[0, LABELS.index("Db:min7")] == pytest.approx(0.7)
    assert moved[0, -1] == pytest.approx(0.3)
    assert torch.equal(recipe.transpose_chords(moved, -2), chances)


@pytest.mark.slow
def test_two_steps_change_the_chords_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    monkeypatch.setattr(recipe, "ask", answer)
    for name in ("learn", "measure"):
        (tmp_path / name).mkdir()
        save_audio(tmp_path / name / f"{name}.wav", chord(9.0).astype(np.float32), RATE)
    example = {
        "notes": np.ones((100, 80, 4), np.float16),
        "level": np.zeros(100, np.float16),
        "intervals_s": np.array([[0.0, 9.0]]),
        "chord": np.array([[0, 0, 0]]),
        "key": np.array(0),
    }
    (tmp_path / "examples").mkdir()
    for number in range(8):
        np.savez(tmp_path / "examples" / f"{number:05d}.npz", **example)
    cfg = recipe.Config(
        *(str(tmp_path / name) for name in ("learn", "measure", "examples")),
        weights=str(WEIGHTS),
        work=str(tmp_path / "work"),
        out=str(tmp_path / "new.safetensors"),
        steps=2,
        seconds=4.0,
    )
    recipe.run(cfg)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "strangers" in line] == ["before", "after"]
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["learn.npz", "measure.npz"]
    old, new = load_file(WEIGHTS), load_file(tmp_path / "new.safetensors")
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old if name.startswith("beat."))
    assert not torch.equal(old["chord.fold.weight"], new["chord.fold.weight"])


@pytest.mark.judge
def test_a_stranger_answers() -> None:
    pytest.importorskip("chord_extractor")
    [heard] = recipe.ask("Chordino", [chord(6.0).astype(np.float32)])
    assert "C" in heard["labels"] or "C:maj" in heard["labels"]


def test_a_stranger_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "PEERS", Path("nowhere.py"))
    with pytest.raises(RuntimeError, match="crema did not answer"):
        recipe.ask("crema", [np.zeros(RATE, np.float32)])


def test_the_net_of_a_file_has_its_size() -> None:
    net = ChordNet(32, 8)
    stored = {f"chord.{name}": value for name, value in net.state_dict().items()}
    assert sum(p.numel() for p in recipe.load_chord_net(stored).parameters()) == sum(
        p.numel() for p in net.parameters()
    )


def test_a_folder_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no audio file"):
        recipe.prepare(tmp_path, tmp_path / "work", 4.0)
