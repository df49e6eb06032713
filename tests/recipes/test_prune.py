"""prune.py end to end: a narrower U-Net that learns, and goes on where it was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel
from safetensors.torch import load_file, save_file
from small import make_base, make_dataset

from recipes import prune


def run(base: Path, data: Path, out: Path, *overrides: str) -> Path:
    options = {
        "pretrained_model_name_or_path": base,
        "train_data_dir": data,
        "output_dir": out,
        "ratio": 0.5,
        "held_out_clips": 3,
        "importance_batches": 2,
        "train_batch_size": 3,
        "max_train_steps": 6,
        "lr_warmup_steps": 1,
        "checkpointing_steps": 2,
        "cpu": "true",
    }
    arguments = [f"{name}={value}" for name, value in options.items()]
    return prune.train(prune.read(prune.Config, [*arguments, *overrides]))


def test_songs_are_held_out_whole() -> None:
    songs = ["a", "b", "a", "c", "c", "b", "c"]
    assert prune.split_songs(songs, 1) == ([0, 1, 2, 5], [3, 4, 6])
    assert prune.split_songs(songs, 2) == ([0, 2], [1, 3, 4, 5, 6])
    for count in (0, 5, 9):
        with pytest.raises(ValueError, match=f"held_out_clips={count} of 7 clips of 3 songs leaves none"):
            prune.split_songs(songs, count)


def test_data_of_another_autoencoder_is_refused(tmp_path: Path) -> None:
    base, data = make_base(tmp_path / "base"), make_dataset(tmp_path / "data", 4, made_with="vae=000000000000")
    (base / "vae").mkdir()
    save_file({"weight": torch.ones(3)}, base / "vae" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ValueError, match="whose vae differ from those of"):
        run(base, data, tmp_path / "a")


def test_a_narrow_unet_learns_and_a_killed_run_repeats_itself(tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    base, data = make_base(tmp_path / "base"), make_dataset(tmp_path / "data", 10)
    made = run(base, data, tmp_path / "a")
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(made)
    assert list(unet.config.block_out_channels) == [8, 16]
    record = json.loads((tmp_path / "a" / "results.json").read_text())
    assert record["wide"]["distance"] == 0 < record["after"]["distance"] < record["before"]["distance"]

    saved, save = [], prune.save_checkpoint

    def die(*args, **kwargs):  # type: ignore[no-untyped-def]
        save(*args, **kwargs)
        saved.append(args[1])
        if args[1] == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(prune, "save_checkpoint", die)
    try:
        run(base, data, tmp_path / "b")
    except KeyboardInterrupt:
        monkeypatch.setattr(prune, "save_checkpoint", save)
    assert saved == [2, 4]
    again = run(base, data, tmp_path / "b")
    assert "resuming with other" not in capsys.readouterr().err
    one, other = (load_file(folder / "diffusion_pytorch_model.safetensors") for folder in (made, again))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "a" / "loss.jsonl").read_text() == (tmp_path / "b" / "loss.jsonl").read_text()

    run(base, data, tmp_path / "b", "learning_rate=1e-4")
    assert "resuming with other learning_rate: not exactly as if uninterrupted" in capsys.readouterr().err

    scratch = run(base, data, tmp_path / "c", "scratch=true")
    assert (
        AudioLDM2UNet2DConditionModel.from_pretrained(scratch).config.block_out_channels
        == unet.config.block_out_channels
    )
