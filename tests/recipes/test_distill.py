"""distill.py end to end on a small base: it learns, resumes exactly, leaves a LoRA that the model can wear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel
from safetensors.torch import load_file
from small import COLS, make_base, make_dataset
from small_lora import genre_folder

from musetune import MusicAdapter
from musetune.adapter.lora_files import read_lora
from recipes import distill as recipe


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), 6, played=True)


@pytest.fixture(scope="module")
def theory(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A music adapter with a LoRA, of random weights."""
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(base / "unet")
    adapter = MusicAdapter.for_unet(unet, cols=COLS, dim=32, hidden=16, map_channels=8).attach(unet)
    adapter.add_lora(2)
    torch.manual_seed(3)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.normal_(std=0.05)
    folder = tmp_path_factory.mktemp("theory")
    adapter.save_pretrained(folder)
    genre_folder(AudioLDM2UNet2DConditionModel.from_pretrained(base / "unet"), folder.parent / "jazz", 4)
    return folder


def options_of(base: Path, data: Path, theory: Path, out: Path) -> list[str]:
    options = {
        "pretrained_model_name_or_path": base,
        "theory_adapter": theory,
        "train_data_dir": data,
        "output_dir": out,
        "genre_adapters": f"[{theory.parent / 'jazz'}]",
        "genre_share": 0.5,
        "cpu": "true",
        "num_inference_steps": 2,
        "fitting_steps": "[2,2]",
        "teacher_steps": 4,
        "trajectories": 2,
        "steps_per_trajectory": 2,
        "rank": 2,
        "max_train_steps": 6,
        "train_batch_size": 4,
        "lr_warmup_steps": 0,
        "report_to": "null",
        "validation_steps": 3,
    }
    return [f"{k}={v}" for k, v in options.items()]


def distil(base: Path, data: Path, theory: Path, out: Path, *overrides: str) -> Path:
    return recipe.train(recipe.load_config([*options_of(base, data, theory, out), *overrides]))


def log_of(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["trajectory", "consistency"])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    base: Path, data: Path, theory: Path, tmp_path: Path, method: str
) -> None:
    straight = distil(base, data, theory, tmp_path / "straight", f"method={method}", "max_train_steps=4")
    for _ in range(4):  # each of these makes one step
        options = (f"method={method}", "max_train_steps=4", "max_train_minutes=0", "resume_from_checkpoint=latest")
        resumed = distil(base, data, theory, tmp_path / "resumed", *options)
    name = "adapter_model.safetensors"
    one, other = load_file(straight / name), load_file(resumed / name)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert log_of(tmp_path / "straight") == log_of(tmp_path / "resumed")


@pytest.mark.slow
def test_two_processes_distil_together(base: Path, data: Path, theory: Path, tmp_path: Path) -> None:
    """What `accelerate launch` does for several processes; each has teacher's ways of its own."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", recipe.__file__]
    options = [*options_of(base, data, theory, tmp_path), "max_train_steps=2", "train_batch_size=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run([*start, *options], env=environment, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert [line["step"] for line in log_of(tmp_path)] == [1, 2]
    assert any(bool(part.up.any()) for part in read_lora(tmp_path / "adapter").parts.values())


@pytest.mark.slow
def test_it_learns(base: Path, data: Path, theory: Path, tmp_path: Path) -> None:
    options = ("trajectories=1", "max_train_steps=24", "learning_rate=1e-2", "validation_steps=null")
    distil(base, data, theory, tmp_path, *options)
    losses = [line["loss"] for line in log_of(tmp_path)]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_the_lora_is_as_it_says(base: Path, data: Path, theory: Path, tmp_path: Path) -> None:
    folder = distil(base, data, theory, tmp_path / "out", "max_train_steps=3", "name=quick", "data_license=CC0-1.0")
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(base / "unet")
    lora = read_lora(folder)
    lora.check(unet)
    assert {part.down.dtype for part in lora.parts.values()} == {torch.float16}
    assert any(bool(part.up.any()) for part in lora.parts.values())
    metadata = lora.metadata
    assert metadata is not None
    assert metadata.sampling is not None
    assert (metadata.name, metadata.kind, metadata.theory) == ("quick", "lora", theory.name)
    sampling = metadata.sampling
    assert (sampling.steps, sampling.fewest, sampling.most) == (2, 2, 2)
    assert sampling.overrides["_class_name"] == "DDIMScheduler"
    info = json.loads((folder / "training.json").read_text())
    assert (info["step"], info["data"]["licences"]) == (3, ["CC0-1.0"])
    assert json.loads((tmp_path / "out" / "validation.jsonl").read_text())["error"] > 0


def test_it_goes_on_from_another(base: Path, data: Path, theory: Path, tmp_path: Path) -> None:
    """The LoRA that it begins with is there to the last number where nothing is learned, in a higher rank too; a lower
    one is refused.
    """
    first = distil(base, data, theory, tmp_path / "first", "max_train_steps=2")
    options = (f"start_from={first}", "max_train_steps=1", "learning_rate=0", "crop_rows=null")
    folder = distil(base, data, theory, tmp_path / "second", *options)
    name = "adapter_model.safetensors"
    one, other = load_file(first / name), load_file(folder / name)
    assert all(torch.equal(one[key], other[key]) for key in one | other)
    assert json.loads((folder / "training.json").read_text())["config"]["start_from"] == first.name
    with pytest.raises(ValueError, match=r"the LoRA has rank 2 at .*, the student 1: give rank=2"):
        distil(base, data, theory, tmp_path / "third", f"start_from={first}", "rank=1")
    wider = read_lora(distil(base, data, theory, tmp_path / "wider", *options, "rank=3"))
    assert max(len(part.down) for part in wider.parts.values()) == 3
    for module, part in read_lora(first).parts.items():
        torch.testing.assert_close(
            wider.parts[module].up.flatten(1).float() @ wider.parts[module].down.flatten(1).float(),
            part.up.flatten(1).float() @ part.down.flatten(1).float(),
        )


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("method=magic", "method='magic' is not one of trajectory, consistency"),
        ("teacher_steps=5", "num_inference_steps=2 does not divide teacher_steps=5"),
        ("trained_steps=[2,3]", "trained_steps=3 does not divide teacher_steps=4"),
        ("genre_share=1.5", "genre_share=1.5 is outside 0…1"),
        ("own_share=-1", "own_share=-1.0 is outside 0…1"),
        ("trajectories=0", "trajectories=0 must be at least 1"),
        ("fitting_steps=[3,8]", "fewest=3, steps=2, most=8"),
        ("rank=0", "rank=0 must be at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    option: str, complaint: str, base: Path, data: Path, theory: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=complaint):
        distil(base, data, theory, tmp_path / "out", option)
    assert not (tmp_path / "out").exists()
