"""recipes/align as users run it: takes are drawn and chosen among, an adapter is tuned, guards keep the old one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from small import make_base, make_dataset

from musetune import MusicAdapter
from musetune.audio import find_soundfont, mel_frontend
from musetune.datasets.preference_set import PreferencePair, PreferenceSet, write_preferences
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.guards import decide
from musetune.models.nano import build_nano
from musetune.suites import alignment
from musetune.training.preference_batches import choose_set
from musetune.training.setup import load_unet
from recipes.align import prefer, tune


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter with a LoRA, both of random weights."""
    folder = tmp_path_factory.mktemp("adapters") / "before"
    unet = load_unet(str(base), 8, cpu=True)
    torch.manual_seed(0)
    adapter = MusicAdapter.for_unet(unet, cols=8, dim=32, hidden=16, map_channels=8).attach(unet)
    adapter.add_lora(2)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.add_(0.05 * torch.randn_like(p))
    adapter.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def preferred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve takes, six pairs."""
    return preference_set(tmp_path_factory.mktemp("preferred"), "recogniser")


def preference_set(folder: Path, kind: str) -> Path:
    make_dataset(folder, 12)
    ids = [f"clip{i}" for i in range(12)]
    pairs = [PreferencePair(ids[i], ids[i + 6]) for i in range(6)]
    write_preferences(folder, kind, pairs, {id: float(i < 6) for i, id in enumerate(ids)}, {})
    return folder


def tune_here(base: Path, adapter: Path, out: Path, *overrides: str) -> Path:
    options = {
        "pretrained_model_name_or_path": base,
        "adapter": adapter,
        "output_dir": out,
        "cpu": "true",
        "rounds": 1,
        "max_train_steps": 4,
        "train_batch_size": 2,
        "checkpointing_steps": 2,
        "development_sheets": 0,
        "report_to": "null",
    }
    AcceleratorState._reset_state(reset_partial_state=True)
    return tune.tune(tune.load_config([*(f"{k}={v}" for k, v in options.items()), *overrides]))


def log_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "round-1" / "loss.jsonl").read_text().splitlines()]


def test_a_run_that_was_stopped_goes_on_exactly(
    base: Path, adapter: Path, preferred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (f"preferences=[{preferred}]", "gradient_accumulation_steps=2")
    tune_here(base, adapter, tmp_path / "straight", *options)
    steps, move = [], torch.optim.AdamW.step

    def stop(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        steps.append(1)
        if len(steps) == 4:  # after the gradient, before the weights move; the last checkpoint is of step 2
            raise KeyboardInterrupt
        return move(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        tune_here(base, adapter, tmp_path / "stopped", *options)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="holds checkpoints: give resume_from_checkpoint=latest"):
        tune_here(base, adapter, tmp_path / "stopped", *options)
    tune_here(base, adapter, tmp_path / "stopped", *options, "resume_from_checkpoint=latest")
    files = ["adapter/diffusion_pytorch_model.safetensors", "adapter/lora/adapter_model.safetensors"]
    for name in (*files, "round-1/loss.jsonl"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes(), name
    assert log_of(tmp_path / "straight")[0]["margin"] == 0  # the reference is where it began
    said = json.loads((tmp_path / "straight" / "adapter" / "training.json").read_text())
    assert said["config"]["method"] == "crpo"
    assert said["data"]["clips"] == 12


@pytest.mark.parametrize("method", ["dpo", "supervised", "nft"])
def test_each_method_learns_what_is_preferred(
    method: str, base: Path, adapter: Path, preferred: Path, tmp_path: Path
) -> None:
    learn = ("max_train_steps=10", "learning_rate=1e-3", "beta=200", "lr_warmup_steps=1")
    out = tune_here(base, adapter, tmp_path, f"preferences=[{preferred}]", f"method={method}", *learn)
    log = log_of(tmp_path)
    if method != "supervised":
        assert log[0]["margin"] == 0
        assert np.mean([line["margin"] for line in log[-4:]]) > 0
    before, after = (load_file(f / "diffusion_pytorch_model.safetensors") for f in (adapter, out))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[k], after[k]) for k in before)


def test_people_alone_teach_a_lora_while_the_adapter_stays(base: Path, adapter: Path, tmp_path: Path) -> None:
    people = preference_set(tmp_path / "people", "person")
    out = tune_here(
        base,
        adapter,
        tmp_path / "run",
        f"preferences=[{people}]",
        "people_share=1",
        "rank=2",
        "max_train_steps=2",
        "name=taste",
    )
    weights = load_file(out / "adapter_model.safetensors")
    assert weights
    assert all("lora" in name for name in weights)
    about = json.loads((out / "musetune.json").read_text())
    assert (about["name"], about["theory"]) == ("taste", "before")


def test_people_and_recognisers_are_mixed_as_asked(preferred: Path, tmp_path: Path) -> None:
    sets = [PreferenceSet(preferred), PreferenceSet(preference_set(tmp_path, "person"))]
    for share in (0.0, 0.25, 1.0):
        drawn = [choose_set(sets, "dpo", share, 0, count) for count in range(200)]
        assert np.mean(drawn) == pytest.approx(share, abs=0.08)
    assert {choose_set(sets[1:], "dpo", 0.0, 0, count) for count in range(5)} == {0}


def test_wrong_options_end_before_any_work(base: Path, adapter: Path, preferred: Path, tmp_path: Path) -> None:
    for option, message in (
        ("method=ppo", "method='ppo' is none of"),
        ("people_share=2", "people_share=2.0 is outside 0–1"),
        ("rounds=0", "rounds=0"),
        ("rewards={chord: 1.0}", "did you mean chords"),
    ):
        with pytest.raises(ValueError, match=message):
            tune_here(base, adapter, tmp_path, f"preferences=[{preferred}]", option)
    with pytest.raises(ValueError, match="sound alone says nothing"):
        tune_here(base, adapter, tmp_path, "development_sheets=2", "rewards={sound: 1.0}")


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that plays and an adapter for it, untrained."""
    folder = tmp_path_factory.mktemp("playing")
    torch.manual_seed(0)
    pipe = build_nano("tiny")
    pipe.save_pretrained(folder / "base")
    adapter = MusicAdapter.for_unet(pipe.unet, dim=32, hidden=16, map_channels=8)
    adapter.add_stems(8, 8, mel_frontend(pipe).frequencies)
    adapter.save_pretrained(folder / "adapter")
    return folder


def test_rounds_draw_choose_and_are_judged(
    playing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two rounds on policy; the judges, who are replaced here, say that it got worse: the old adapter stays."""
    find_soundfont()
    heard: list[str] = []

    def judged(folder, requests, seeds):  # type: ignore[no-untyped-def]
        heard.append(folder.name)
        return {request.name: 0.5 if folder.name == "before" else 0.25 for request in requests}

    monkeypatch.setattr(alignment, "judge_policy", judged)
    monkeypatch.setattr(alignment, "decide", lambda reward, theirs, _: decide(Mean(0.1, 0, 0.2, 2), theirs, []))
    small = ("requests=2", "candidates=2", "seconds=2.048", "margin=0", "num_inference_steps=1", "max_train_steps=1")
    out = tune_here(
        playing / "base",
        playing / "adapter",
        tmp_path,
        *small,
        "rounds=2",
        "notes_share=0.5",
        "development_sheets=2",
        "development_seeds=2",
        "min_gain=-1",
        "min_diversity=0",
        "max_text_loss=2",
        "max_frechet_rise=100",
        "rewards={chords: 1.0, notes: 1.0, words: 1.0, sound: 1.0}",
    )
    assert heard[0] == "before"
    assert len(heard) == 2
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"]["hacked"]
    assert not report["verdict"]["accepted"]
    assert alignment.RED in capsys.readouterr().out
    kept, old = (load_file(f / "diffusion_pytorch_model.safetensors") for f in (out, playing / "adapter"))
    assert all(torch.equal(kept[name], old[name]) for name in old)
    sets = [PreferenceSet(tmp_path / f"round-{n}" / "candidates") for n in (1, 2)]
    assert [len(one.data) for one in sets] == [4, 4]
    assert {clip.provenance["policy"] for clip in sets[0].data.clips} == {"before"}
    assert sets[0].data.clips[0].file != sets[1].data.clips[0].file  # other songs
    assert any(clip.arrangement for clip in sets[0].data.clips)


def test_recognisers_choose_and_a_killed_run_goes_on(playing: Path, tmp_path: Path) -> None:
    options = {
        "pretrained_model_name_or_path": playing / "base",
        "adapter": playing / "adapter",
        "output_dir": tmp_path,
        "seconds": 2.048,
        "candidates": 2,
        "num_inference_steps": 1,
        "margin": 0.0,
        "cpu": "true",
        "rewards": "{words: 1.0, loudness: 0.5}",
    }
    words = [f"{k}={v}" for k, v in options.items()]
    prefer.make_preferences(prefer.load_config([*words, "requests=1"]))
    first = (tmp_path / "clips.jsonl").read_text()
    prefer.make_preferences(prefer.load_config([*words, "requests=2"]))
    assert (tmp_path / "clips.jsonl").read_text().startswith(first)  # what was there is not drawn again
    one = PreferenceSet(tmp_path)
    rewards = json.loads((tmp_path / "preferences.json").read_text())["about"]["rewards"]
    assert len(one.data) == 4
    assert one.pairs
    for better, worse in one.pairs:
        assert rewards[one.data.clips[better].id]["all"] > rewards[one.data.clips[worse].id]["all"]
    other = [word.replace(str(tmp_path), str(tmp_path / "other")) for word in words if "rewards" not in word]
    prefer.make_preferences(prefer.load_config([*other, f"takes={tmp_path}", "rewards={clipping: 1.0}"]))
    again = PreferenceSet(tmp_path / "other")
    assert torch.equal(again.data.latents, one.data.latents)
    assert [set(clip.provenance["rewards"]) for clip in again.data.clips] == [{"clipping"}] * 4
    with pytest.raises(ValueError, match="made with another candidates"):
        prefer.make_preferences(prefer.load_config([*words, "candidates=3"]))
