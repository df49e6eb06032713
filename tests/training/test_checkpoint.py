"""Checkpoints: exact, atomic, limited; a failure while saving costs nothing that was there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from musetune.training import checkpoint as ckpt


def _trained(steps: int) -> tuple[dict[str, torch.Tensor], torch.optim.AdamW, list[torch.Tensor]]:
    torch.manual_seed(0)
    named = {"a": torch.nn.Parameter(torch.randn(3, 2)), "b": torch.nn.Parameter(torch.randn(4))}
    optimizer = torch.optim.AdamW(named.values(), lr=0.1, foreach=True)
    averages = [p.detach().clone() for p in named.values()]
    for _ in range(steps):
        _step(named, optimizer)
    return dict(named), optimizer, averages


def _step(named: dict[str, torch.nn.Parameter], optimizer: torch.optim.AdamW) -> None:
    sum((p**3).sum() for p in named.values()).backward()
    optimizer.step()
    optimizer.zero_grad()


def test_state_continues_bit_for_bit(tmp_path: Path) -> None:
    straight, straight_optimizer, _ = _trained(3)
    path = ckpt.save_checkpoint(tmp_path, 3, ckpt.pack_state(*_trained(3)), {"step": 3})
    named, optimizer, averages = _trained(0)
    averages[0].fill_(9)
    state, meta = ckpt.load_checkpoint(path)
    ckpt.unpack_state(state, named, optimizer, averages)
    assert meta == {"step": 3}
    assert torch.equal(averages[0], _trained(3)[2][0])
    for _ in range(2):
        _step(straight, straight_optimizer)
        _step(named, optimizer)
    assert all(torch.equal(straight[k], named[k]) for k in named)


def test_other_parameters_are_named(tmp_path: Path) -> None:
    named, optimizer, averages = _trained(1)
    state = ckpt.pack_state(named, optimizer, averages)
    with pytest.raises(ValueError, match=r"other trained parameters.*'c'"):
        ckpt.unpack_state(state, {"a": named["a"], "c": named["b"]}, optimizer, averages)


def test_limit_keeps_the_newest(tmp_path: Path) -> None:
    for step in (2, 9, 10, 100):
        ckpt.save_checkpoint(tmp_path, step, {"x": torch.ones(1) * step}, {}, total_limit=2)
    assert [p.name for p in ckpt.list_checkpoints(tmp_path)] == ["checkpoint-10", "checkpoint-100"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-100"]
    with pytest.raises(ValueError, match="checkpoints_total_limit=0"):
        ckpt.save_checkpoint(tmp_path, 101, {}, {}, total_limit=0)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_failing_while_saving_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    ckpt.save_checkpoint(tmp_path, 1, {"x": torch.ones(1)}, {}, total_limit=1)

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="disk full"):
            ckpt.save_checkpoint(tmp_path, 2, {"x": torch.zeros(1)}, {}, total_limit=1)
    latest = ckpt.find_checkpoint(tmp_path, "latest")
    assert latest is not None
    assert ckpt.load_checkpoint(latest)[0]["x"].item() == 1
    ckpt.save_checkpoint(tmp_path, 2, {"x": torch.zeros(1)}, {}, total_limit=1)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-2"]


def test_find_checkpoint(tmp_path: Path) -> None:
    assert ckpt.find_checkpoint(tmp_path, None) is None
    assert ckpt.find_checkpoint(tmp_path, "latest") is None
    path = ckpt.save_checkpoint(tmp_path, 5, {}, {})
    assert ckpt.find_checkpoint(tmp_path, "checkpoint-5") == path == ckpt.find_checkpoint(tmp_path / "x", str(path))
    with pytest.raises(ValueError, match=r"'checkpoint-6' is no checkpoint.*checkpoint-5"):
        ckpt.find_checkpoint(tmp_path, "checkpoint-6")
    with pytest.raises(ValueError, match="give resume_from_checkpoint=latest or another output_dir"):
        ckpt.find_checkpoint(tmp_path, None)
    other = ckpt.save_checkpoint(tmp_path / "other", 3, {}, {})
    with pytest.raises(ValueError, match="lies elsewhere"):
        ckpt.find_checkpoint(tmp_path, str(other))


def test_later_checkpoints_of_another_run_go(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        ckpt.save_checkpoint(tmp_path, step, {"x": torch.ones(1)}, {})
    assert ckpt.remove_later_checkpoints(tmp_path, 4) == ["checkpoint-6"]
    assert ckpt.remove_later_checkpoints(tmp_path, 4) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-4"]


def _halve(folder: Path) -> None:
    weights = folder / "state.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def _flip(folder: Path) -> None:
    weights = folder / "state.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "half the weights": _halve,
    "one bit": _flip,
    "no weights": lambda folder: (folder / "state.safetensors").unlink(),
    "no counters": lambda folder: (folder / "state.json").unlink(),
    "empty counters": lambda folder: (folder / "state.json").write_text(""),
    "counters that are none": lambda folder: (folder / "state.json").write_text("[]"),
    "no count": lambda folder: (folder / "state.json").write_text("{}"),
    "a wrong count": lambda folder: (folder / "state.json").write_text('{"step": "6"}'),
    "deep counters": lambda folder: (folder / "state.json").write_text("[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_checkpoint_names_the_older_one_to_take(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    for step in (2, 4, 6):
        ckpt.save_checkpoint(tmp_path, step, {"x": torch.ones(1) * step}, {"step": step})
    _halve(tmp_path / "checkpoint-4")
    damage(tmp_path / "checkpoint-6")
    for name in ("latest", "checkpoint-6"):
        path = ckpt.find_checkpoint(tmp_path, name)
        assert path is not None
        with pytest.raises(ValueError, match=r"checkpoint-6 is damaged.*give resume_from_checkpoint=checkpoint-2"):
            ckpt.load_checkpoint(path, counters=["step"])
    _flip(tmp_path / "checkpoint-2")
    with pytest.raises(ValueError, match="no older one is whole"):
        ckpt.load_checkpoint(tmp_path / "checkpoint-6", counters=["step"])


def test_log_is_cut_after_the_checkpoint(tmp_path: Path) -> None:
    log = tmp_path / "loss.jsonl"
    log.write_text("".join(json.dumps({"step": i}) + "\n" for i in range(1, 6)) + '{"ste')
    ckpt.truncate_log(log, 3)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    ckpt.truncate_log(tmp_path / "absent.jsonl", 3)
