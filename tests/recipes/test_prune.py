"""prune.py end to end: a narrower U-Net that learns, and goes on where it was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel
from safetensors.torch import load_file, save_file
from small import COLS, ROW_S, ROWS, make_base, make_dataset
from small_lora import genre_folder

from musetune import MusicAdapter
from musetune.adapter.metadata import AdapterMetadata
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


def theory_on(base: Path, folder: Path) -> Path:
    """A music adapter of random weights, with a LoRA and a branch for stems, as a folder."""
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(base / "unet")
    adapter = MusicAdapter.for_unet(unet, cols=COLS, dim=32, hidden=16, map_channels=8, stem_hidden=8).attach(unet)
    adapter.metadata = AdapterMetadata.of(unet, "theory", "theory", "small")
    adapter.add_lora(2)
    torch.manual_seed(3)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.normal_(std=0.05)
    adapter.save_pretrained(folder)
    return folder


def weights_in(run_folder: Path) -> dict[str, torch.Tensor]:
    found = {}
    for part in ("unet", "adapter"):
        weights = load_file(run_folder / part / "diffusion_pytorch_model.safetensors")
        found |= {f"{part}.{name}": weight for name, weight in weights.items()}
    return found


def test_an_adapter_becomes_narrower_too_learns_and_a_killed_run_repeats_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, data = make_base(tmp_path / "base"), make_dataset(tmp_path / "data", 10)
    theory = f"theory_adapter={theory_on(base, tmp_path / 'theory')}"
    run(base, data, tmp_path / "a", theory)
    record = json.loads((tmp_path / "a" / "results.json").read_text())
    assert record["wide"]["distance"] == 0 < record["after"]["distance"] < record["before"]["distance"]

    unet = AudioLDM2UNet2DConditionModel.from_pretrained(tmp_path / "a" / "unet")
    adapter = MusicAdapter.from_pretrained(tmp_path / "a" / "adapter")
    assert adapter.metadata is not None
    adapter.metadata.check(unet)
    assert (adapter.metadata.kind, adapter.metadata.base) == ("theory", "base with the unet/ of a")
    assert not adapter.has_lora
    assert record["adapter_parameters"] == sum(p.numel() for p in adapter.parameters())
    info = json.loads((tmp_path / "a" / "adapter" / "training.json").read_text())
    assert (info["config"]["theory_adapter"], info["step"], info["data"]["songs"]) == ("theory", 6, 10)

    pruned = load_file(tmp_path / "a" / "pruned_adapter" / "diffusion_pytorch_model.safetensors")
    learned = load_file(tmp_path / "a" / "adapter" / "diffusion_pytorch_model.safetensors")
    still = {name for name, weight in pruned.items() if torch.equal(weight, learned[name])}
    assert {name for name in pruned if name.startswith("stems.")} <= still  # the data set has none
    assert not any(name.startswith(("sites.", "conditioner.frame", "entry.")) for name in still)

    save = prune.save_checkpoint

    def die(*args, **kwargs):  # type: ignore[no-untyped-def]
        save(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(prune, "save_checkpoint", die)
    with pytest.raises(KeyboardInterrupt):
        run(base, data, tmp_path / "b", theory)
    monkeypatch.setattr(prune, "save_checkpoint", save)
    with pytest.raises(ValueError, match="holds a run with a music adapter, theory_adapter=None asks for another"):
        run(base, data, tmp_path / "b")
    run(base, data, tmp_path / "b", theory)
    one, other = weights_in(tmp_path / "a"), weights_in(tmp_path / "b")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "a" / "loss.jsonl").read_text() == (tmp_path / "b" / "loss.jsonl").read_text()

    run(base, data, tmp_path / "c", theory, "scratch=true", "max_train_steps=1")
    fresh = weights_in(tmp_path / "c")
    assert {name: weight.shape for name, weight in fresh.items()} == {name: w.shape for name, w in one.items()}
    drawn = [weight for name, weight in fresh.items() if ".sketch.tables." in name]
    assert any(bool(weight.any()) for weight in drawn)  # for the base's vocoder
    assert not torch.equal(fresh["adapter.conditioner.frame_in.weight"], one["adapter.conditioner.frame_in.weight"])


def test_tokens_are_heard_and_hidden_as_said(tmp_path: Path) -> None:
    base, data = make_base(tmp_path / "base"), make_dataset(tmp_path / "data", 10)
    theory = theory_on(base, tmp_path / "theory")

    def first(*overrides: str) -> tuple[prune.Batch, prune.Batch]:
        arguments = [f"train_data_dir={data}", "output_dir=x", f"theory_adapter={theory}", "held_out_clips=3"]
        config = prune.read(prune.Config, [*arguments, "train_batch_size=6", "cpu=true", *overrides])
        source = prune.Source(config, str(base), torch.device("cpu"))
        teacher = prune.load_teacher(config, str(base), source)
        with pytest.raises(ValueError, match="needs a batch with tokens"):
            prune.predict(teacher, source.batch("training", 0))
        source.read_tokens(teacher.adapter)
        batch = source.batch("training", 0)
        with torch.no_grad():
            answer = prune.predict(teacher, batch)
            teacher.adapter.strength = 0.0
            assert not torch.equal(prune.predict(teacher, batch), answer)
        return batch, source.batch("held out", 0, held_out=True)

    shown = ["stream_dropout=0", "condition_dropout=0", "span_dropout=0", "text_dropout=0"]
    for batch in first(*shown):
        assert batch.tokens.present["chords"].all()
        assert batch.tokens.frames.shape[1] == 4 * ROWS
    for hidden in ("stream_dropout=1", "condition_dropout=1"):
        assert not any(batch.tokens.present["chords"].any() for batch in first(*shown, hidden))
    cropped, _ = first(*shown, "crop_rows=8")
    assert cropped.noisy.shape[2] * 4 == cropped.tokens.frames.shape[1] == 32
    assert cropped.tokens.event_times_s.max() <= 8 * ROW_S + 1e-3
    silent, _ = first(*shown, "span_dropout=1")
    assert silent.tokens.event_mask.sum() < first(*shown)[0].tokens.event_mask.sum()


def test_adapters_that_are_none_or_of_another_base_are_refused(tmp_path: Path) -> None:
    base, data = make_base(tmp_path / "base"), make_dataset(tmp_path / "data", 10)
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(base / "unet")
    genre_folder(unet, tmp_path / "jazz", 4)
    with pytest.raises(ValueError, match="is a LoRA: give a music adapter such as theory"):
        run(base, data, tmp_path / "a", f"theory_adapter={tmp_path / 'jazz'}")
    with pytest.raises(ValueError, match="this adapter was made for another U-Net; channels"):
        run(base, data, tmp_path / "a", "theory_adapter=theory")
    theory = theory_on(base, tmp_path / "theory")
    with torch.no_grad():
        for p in unet.parameters():
            p.normal_()
    unet.save_pretrained(base / "unet")
    with pytest.raises(ValueError, match="its shapes are this one's, its weights differ by"):
        run(base, data, tmp_path / "a", f"theory_adapter={theory}")
    assert not (tmp_path / "a").exists()
