"""finetune.py as users run it: exact resume after real kills, non-finite losses, options, several processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from small import FINETUNE, REPOSITORY, make_base, make_dataset
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from musetune.datasets.fingerprint import fingerprint

# Runs the recipe, and kills it (SIGKILL: nothing can be tidied) at the n-th time that something happens to its files.
KILLER = """
import os, re, runpy, signal, sys
from pathlib import Path
import torch

recipe, where, nth, *sys.argv[1:] = sys.argv[1:]
times = 0

def strike():
    os.kill(os.getpid(), signal.SIGKILL)

def happens():
    global times
    times += 1
    return times == int(nth)

def watch(event, arguments):
    if where == "saving" and event == "open" and str(arguments[0]).endswith("state.json") and "w" in str(arguments[1]):
        if happens():  # half a file of weights is written
            weights = Path(arguments[0]).with_name("state.safetensors")
            os.truncate(weights, weights.stat().st_size // 2)
            strike()
    elif where == "renaming" and event == "os.rename" and re.search(r"checkpoint-[0-9]+$", str(arguments[1])):
        # the new one is whole, but not in its place
        if not Path(arguments[0]).name.startswith("checkpoint") and happens():
            strike()
    elif where == "deleting" and event == "shutil.rmtree" and happens():  # the new one stands, the old one is half gone
        next(Path(arguments[0]).iterdir()).unlink()
        strike()

if where == "step":  # after the gradient, before the weights move
    move = torch.optim.AdamW.step
    torch.optim.AdamW.step = lambda *args, **kwargs: strike() if happens() else move(*args, **kwargs)
else:
    sys.addaudithook(watch)
runpy.run_path(recipe, run_name="__main__")
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), 10)


def options_for(base: Path, data: Path, out: Path) -> list[str]:
    options = {
        "pretrained_model_name_or_path": base,
        "train_data_dir": data,
        "output_dir": out,
        "cpu": "true",
        "max_train_steps": 9,
        "train_batch_size": 4,
        "lr_warmup_steps": 2,
        "checkpointing_steps": 4,
        "checkpoints_total_limit": 1,
        "report_to": "null",
    }
    return [f"{k}={v}" for k, v in options.items()]


def train_here(base: Path, data: Path, out: Path, *overrides: str) -> Path:
    """The recipe without a process of its own."""
    from recipes import finetune as recipe

    return recipe.train(recipe.load_config([*options_for(base, data, out), *overrides]))


def finetune(
    base: Path, data: Path, out: Path, *overrides: str, kill: tuple[str, int] | None = None, processes: int = 1
) -> subprocess.CompletedProcess[str]:
    start = ["-c", KILLER, str(FINETUNE), kill[0], str(kill[1])] if kill else [str(FINETUNE)]
    if processes > 1:  # what `accelerate launch` does for several processes
        start = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", *start]
    command = [sys.executable, *start, *options_for(base, data, out), *overrides]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


def result(out: Path) -> dict[str, bytes]:
    """All that must be equal: weights and loss log."""
    files = [*(out / "adapter").rglob("*.safetensors"), out / "loss.jsonl"]
    return {str(f.relative_to(out)): f.read_bytes() for f in files}


@pytest.fixture(scope="module")
def straight(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("straight")
    run = finetune(base, data, out, "rank=2", "gradient_accumulation_steps=2")
    assert run.returncode == 0, run.stderr
    return out


# 9 steps of 8 clips over 10 clips, checkpoints at 4, 8 and 9. The 1st deletion is of what the kill before it left, the
# 2nd of the old checkpoint.
KILLS = (
    ("step", 3),  # before there is any checkpoint
    ("step", 6),  # in the middle of an epoch, and between two checkpoints
    ("saving", 1),
    ("renaming", 1),
    ("deleting", 2),
)


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(base: Path, data: Path, straight: Path, tmp_path: Path) -> None:
    options = ("rank=2", "gradient_accumulation_steps=2", "resume_from_checkpoint=latest")
    for kill in KILLS:
        run = finetune(base, data, tmp_path, *options, kill=kill)
        assert run.returncode == -signal.SIGKILL, (kill, run.returncode, run.stderr)
    run = finetune(base, data, tmp_path, *options)
    assert run.returncode == 0, run.stderr
    expected, got = result(straight), result(tmp_path)
    assert len(expected) >= 3
    assert got.keys() == expected.keys()
    assert all(got[name] == expected[name] for name in expected)
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-9"]


def test_log_tells_every_step_and_weights_moved(straight: Path) -> None:
    lines = [json.loads(line) for line in (straight / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert all(line["loss"] > 0 and line["grad_norm"] > 0 for line in lines)
    assert max(line["lr"] for line in lines) == lines[2]["lr"] == 1e-3
    info = json.loads((straight / "adapter" / "training.json").read_text())
    assert info["step"] == 9
    assert info["config"]["rank"] == 2
    assert info["data"]["base"] == "small"
    assert info["config"]["output_dir"] == straight.name  # where it lay is nobody's business


def test_bad_clips_are_skipped_and_named(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 10, poisoned=(3,))
    train_here(base, data, tmp_path / "out", "train_batch_size=2", "max_train_steps=10")
    lines = [json.loads(line) for line in (tmp_path / "out" / "loss.jsonl").read_text().splitlines()]
    skipped = [line["skipped"] for line in lines if "skipped" in line]
    assert skipped == [["clip3"], ["clip3"]]  # 20 samples of 10 clips: twice
    weights = load_file(tmp_path / "out" / "adapter" / "diffusion_pytorch_model.safetensors")
    assert all(bool(w.isfinite().all()) for w in weights.values())


def test_stops_when_nothing_is_finite(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 4, poisoned=(0, 1, 2, 3))
    with pytest.raises(FloatingPointError, match=r"no finite loss in 5 steps in a row.*loss\.jsonl"):
        train_here(base, data, tmp_path / "out")
    assert len((tmp_path / "out" / "loss.jsonl").read_text().splitlines()) == 5


@pytest.mark.slow
def test_two_processes_train_as_one(base: Path, data: Path, tmp_path: Path) -> None:
    """The same clips, noise and dropped conditions, so the same losses up to the order of sums."""
    options = ("max_train_steps=3", "gradient_accumulation_steps=2", "condition_dropout=0.3")
    train_here(base, data, tmp_path / "one", *options, "train_batch_size=4")
    run = finetune(base, data, tmp_path / "two", *options, "train_batch_size=2", processes=2)
    assert run.returncode == 0, run.stderr
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "loss.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    # accumulation groups the clips of a step otherwise, its sum is the same
    assert [a["loss"] for a in one] == pytest.approx([b["loss"] for b in two], rel=1e-4)
    assert [a["grad_norm"] for a in one] == pytest.approx([b["grad_norm"] for b in two], rel=1e-2)


DDP = {
    "no events": ("attended=[]",),
    "no map": ("map_entry=false", "map_modulation=false", "gradient_checkpointing=true"),
    "a LoRA alone": ("theory_adapter={theory}", "rank=2"),
    "stems alone": ("theory_adapter={theory}", "stem_hidden=8", "stem_channels=8", "condition_dropout=0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("options", DDP.values(), ids=list(DDP))
def test_two_processes_train_what_one_does(
    base: Path, straight: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    data = make_dataset(tmp_path / "data", 6, played=True)
    options = tuple(option.format(theory=straight / "adapter") for option in options)
    run = finetune(base, data, tmp_path / "out", *options, "max_train_steps=2", processes=2)
    assert run.returncode == 0, run.stderr
    assert len((tmp_path / "out" / "loss.jsonl").read_text().splitlines()) == 2


def test_a_resume_from_an_older_checkpoint_is_the_run_from_then_on(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = ("max_train_steps=6", "checkpointing_steps=2", "checkpoints_total_limit=null")
    train_here(base, data, tmp_path, *steps)
    other = ("resume_from_checkpoint=checkpoint-2", "learning_rate=0.05")
    train_here(base, data, tmp_path, *steps, *other)
    said = capsys.readouterr().err
    assert "resuming with other learning_rate: not exactly" in said
    assert "removed checkpoint-4, checkpoint-6: of the run that this one leaves at step 2" in said
    rates = [
        json.loads((tmp_path / f"checkpoint-{n}/state.json").read_text())["config"]["learning_rate"] for n in (2, 4, 6)
    ]
    assert rates == [1e-3, 0.05, 0.05]
    train_here(base, data, tmp_path, "max_train_steps=4", "checkpointing_steps=2", *other)  # ends before what it leaves
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == ["checkpoint-4"]


def test_a_resume_on_other_data_says_so(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    train_here(base, copy, tmp_path / "out", "max_train_steps=1")
    lines = (copy / "clips.jsonl").read_text().splitlines(keepends=True)
    (copy / "clips.jsonl").write_text("".join(lines[:7]))
    train_here(base, copy, tmp_path / "out", "max_train_steps=2", "resume_from_checkpoint=latest")
    assert "resuming with other max_train_steps, clips (10 then, 7 now), clips' digest" in capsys.readouterr().err
    (copy / "clips.jsonl").write_text("".join(lines[:7]).replace("song 1", "song 2"))  # as many, with other texts
    train_here(base, copy, tmp_path / "out", "max_train_steps=2", "resume_from_checkpoint=latest")
    assert "resuming with other clips' digest" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named_with_the_older_one(base: Path, data: Path, tmp_path: Path) -> None:
    steps = ("checkpointing_steps=1", "checkpoints_total_limit=null")
    train_here(base, data, tmp_path, *steps, "max_train_steps=2")
    (tmp_path / "checkpoint-2" / "state.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"checkpoint-2 is damaged.*resume_from_checkpoint=checkpoint-1"):
        train_here(base, data, tmp_path, *steps, "max_train_steps=3", "resume_from_checkpoint=latest")
    train_here(base, data, tmp_path, *steps, "max_train_steps=3", "resume_from_checkpoint=checkpoint-1")
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == [f"checkpoint-{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("launched", "options", "precision", "said"),
    [
        ("bf16", (), "bf16", ""),
        ("no", (), "no", ""),
        (None, (), "no", ""),
        (
            "bf16",
            ("mixed_precision=no",),
            "no",
            "mixed_precision=no of the recipe counts: accelerate launch's bf16 is ignored",
        ),
        ("no", ("mixed_precision=bf16",), "bf16", "mixed_precision=bf16 of the recipe counts"),
    ],
)
def test_accelerate_launchs_precision_counts(
    base: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    launched: str | None,
    options: tuple[str, ...],
    precision: str,
    said: str,
) -> None:
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if launched is not None:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    AcceleratorState._reset_state(reset_partial_state=True)  # else the first run's precision stays
    adapter = train_here(base, data, tmp_path, "max_train_steps=1", *options)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert json.loads((adapter / "training.json").read_text())["config"]["mixed_precision"] == precision
    err = capsys.readouterr().err
    assert said in err
    assert bool(said) == ("mixed_precision" in err)


def test_fp16_of_accelerate_launch_is_refused(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ValueError, match="accelerate launch --mixed_precision='fp16' is not one of no, bf16"):
        train_here(base, data, tmp_path)


@pytest.mark.slow
def test_one_process_where_two_were_asked_for_is_said(base: Path, data: Path, tmp_path: Path) -> None:
    """`accelerate launch --cpu --num_processes 2` starts one process."""
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", str(FINETUNE)]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, *launch, *options_for(base, data, tmp_path), "max_train_steps=1"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "one process trains, though several were asked for" in run.stderr


def test_refuses_to_overwrite_and_stops_on_time(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = train_here(base, data, tmp_path, "max_train_minutes=0")
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-1"]
    assert json.loads((adapter / "training.json").read_text())["step"] == 1
    with pytest.raises(ValueError, match="give resume_from_checkpoint=latest or another output_dir"):
        train_here(base, data, tmp_path)
    train_here(base, data, tmp_path, "resume_from_checkpoint=latest", "learning_rate=0.01", "max_train_steps=2")
    assert "resuming with other max_train_steps, learning_rate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learning_rat=1", "no option is called learning_rat: did you mean learning_rate"),
        ("train_batch_size=many", "train_batch_size: Value 'many'"),
        ("theory.yml", r"no such file: theory\.yml"),
        ("crop_rows=99", r"crop_rows=99 is outside 1..16"),
        ("genre=polka", "has no clips of genre=polka, but 5 of pop"),
        ("theory_adapter=somewhere rank=2", "no adapter 'somewhere'"),
        ("mixed_precision=fp16", "mixed_precision='fp16'"),
    ],
)
def test_wrong_options_say_what_is_wrong(base: Path, data: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        train_here(base, data, tmp_path, *override.split())


def test_refuses_another_base_than_the_data_sets(base: Path, tmp_path: Path) -> None:
    """A part that a base lacks is not compared; one whose weights differ is named."""
    for name, value in (("one", 1.0), ("two", 2.0)):
        make_base(tmp_path / name)
        for part, weight in (("vae", value), ("text_encoder_2", 0.0)):
            (tmp_path / name / part).mkdir()
            save_file({"weight": torch.full((3, 3), weight)}, tmp_path / name / part / "model.safetensors")
    data = make_dataset(tmp_path / "data", 4, made_with=fingerprint(tmp_path / "one"))
    with pytest.raises(
        ValueError, match=r"made by the base small, whose vae differ.* recipes/prepare\.py SRC OUT --base .*two"
    ):
        train_here(tmp_path / "two", data, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    for name, place in (("same", tmp_path / "one"), ("bare", base)):
        train_here(place, data, tmp_path / name, "max_train_steps=1")


# Options that shape training, each with a value that must change the weights or the log.
SHAPING = {
    "seed": 1,
    "rank": 2,
    "frames_per_row": 2,
    "dim": 64,
    "hidden": 48,
    "map_channels": 8,
    "genre": "pop",
    "crop_rows": 8,
    "min_confidence": 0.9,
    "text_dropout": 1.0,
    "stream_dropout": 0.0,
    "condition_dropout": 1.0,
    "span_dropout": 1.0,
    "train_batch_size": 3,
    "gradient_accumulation_steps": 2,
    "max_train_steps": 4,
    "learning_rate": 1e-2,
    "lr_scheduler": "constant",
    "lr_warmup_steps": 1,
    "adam_beta1": 0.5,
    "adam_beta2": 0.9,
    "adam_weight_decay": 0.5,
    "adam_epsilon": 1e-3,
    "max_grad_norm": 1e-5,
    "snr_gamma": 5.0,
    "use_ema": "false",
    "ema_decay": 0.05,
    "mixed_precision": "bf16",
    "transpose_augmentation": "false",
    "map_entry": "false",
    "map_modulation": "false",
    "attended": "[0]",
    "rotary": "false",
    "event_s": 0.2,
    "hidden_streams": "[chords]",
    "timestep_sampling": "uniform",
    "genre_dropout": 1.0,
    "held_out": "[0.wav]",
    "stem_hidden": 16,
}
ELSEWHERE = {
    "name",
    "data_license",
    "pretrained_model_name_or_path",
    "train_data_dir",
    "output_dir",
    "theory_adapter",
    "init_adapter",
    "max_train_minutes",
    "cpu",
    "gradient_checkpointing",
    "quantization",
    "max_bad_steps",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "report_to",
    "resume_from_checkpoint",
    "validation_steps",
    "num_validation_clips",
    "stem_channels",
    "new_stems",
    "stem_dropout",
    "arrangement_dropout",
    "expression_hidden",
    "expression_channels",
    "expression_dropout",
}


@pytest.mark.slow
def test_where_nothing_is_unsure_training_is_what_it_was(base: Path, tmp_path: Path) -> None:
    """Bit for bit: a data set of before there were bars, one that is sure, and an unsure one with min_confidence=0."""
    runs = {}
    for name, bars, option in (
        ("old", None, "min_confidence=0.9"),
        ("sure", [[0.0, 2.048, 0.91]], "min_confidence=0.9"),
        ("off", [[0.0, 2.048, 0.1]], "min_confidence=0"),
        ("unsure", [[0.0, 2.048, 0.1]], "min_confidence=0.9"),
    ):
        AcceleratorState._reset_state(reset_partial_state=True)
        data = make_dataset(tmp_path / name, 10, bars=bars)
        runs[name] = result(train_here(base, data, tmp_path / f"run-{name}", "max_train_steps=2", option).parent)
    assert runs["old"] == runs["sure"] == runs["off"]
    assert runs["unsure"] != runs["old"]


@pytest.mark.slow
def test_every_option_acts(base: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 10, transposed=(4, 7), bars=[[0.0, 1.0, 0.95], [1.0, 2.048, 0.7]])
    plain = result(train_here(base, data, tmp_path / "plain", "max_train_steps=3").parent)
    again = result(train_here(base, data, tmp_path / "again", "max_train_steps=3").parent)
    assert plain == again
    without_effect = []
    for name, value in SHAPING.items():
        AcceleratorState._reset_state(reset_partial_state=True)  # else the first run's precision stays
        out = train_here(base, data, tmp_path / name, "max_train_steps=3", f"{name}={value}").parent
        if result(out) == plain:
            without_effect.append(name)
    assert not without_effect
    from recipes import finetune as recipe

    assert {f.name for f in fields(recipe.Config)} == SHAPING.keys() | ELSEWHERE


def test_gradient_checkpointing_changes_nothing(base: Path, data: Path, tmp_path: Path) -> None:
    plain = train_here(base, data, tmp_path / "a", "max_train_steps=2").parent
    saving = train_here(base, data, tmp_path / "b", "max_train_steps=2", "gradient_checkpointing=true").parent
    losses = [
        [json.loads(s)["grad_norm"] for s in (p / "loss.jsonl").read_text().splitlines()] for p in (plain, saving)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_an_adapter_trains_on_a_rounded_base_and_fits_the_exact_one(base: Path, data: Path, tmp_path: Path) -> None:
    from diffusers import AudioLDM2UNet2DConditionModel

    from musetune.adapter.metadata import read_adapter_metadata

    pytest.importorskip("torchao")
    exact = train_here(base, data, tmp_path / "exact", "max_train_steps=2", "rank=2")
    made = train_here(base, data, tmp_path / "rounded", "max_train_steps=2", "rank=2", "quantization=int8")
    logs = [
        [json.loads(line)["loss"] for line in (p.parent / "loss.jsonl").read_text().splitlines()] for p in (exact, made)
    ]
    assert logs[0] == pytest.approx(logs[1], rel=0.01)
    assert logs[0] != logs[1]
    metadata = read_adapter_metadata(made)
    assert metadata is not None
    metadata.check(AudioLDM2UNet2DConditionModel.from_pretrained(base, subfolder="unet"))
    with pytest.raises(ValueError, match="only int8 lets gradients through"):
        train_here(base, data, tmp_path / "fp8", "quantization=fp8")


def test_records(base: Path, data: Path, tmp_path: Path) -> None:
    train_here(
        base,
        data,
        tmp_path,
        "max_train_steps=3",
        "report_to=tensorboard",
        "checkpoints_total_limit=null",
        "checkpointing_steps=1",
    )
    assert len(list(tmp_path.glob("checkpoint-*"))) == 3
    events = EventAccumulator(str(next((tmp_path / "logs" / "finetune").glob("events*")).parent))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == [1, 2, 3]


def test_genre_adapter_trains_only_a_lora(base: Path, data: Path, tmp_path: Path) -> None:
    """On a theory adapter with a LoRA of its own and without.

    A folder in peft's format that holds nothing of the theory adapter.
    """
    plain = train_here(base, data, tmp_path / "plain", "max_train_steps=3")
    rich = train_here(base, data, tmp_path / "rich", "max_train_steps=3", "rank=2")
    for name, theory in (("a", plain), ("b", rich)):
        made = train_here(
            base, data, tmp_path / name, f"theory_adapter={theory}", "rank=3", "genre=jazz", "max_train_steps=4"
        )
        assert {path.name for path in made.iterdir()} >= {
            "adapter_config.json",
            "adapter_model.safetensors",
            "training.json",
        }
        assert not (made / "config.json").exists()
        weights = load_file(made / "adapter_model.safetensors")
        assert {w.shape[0] for k, w in weights.items() if "lora_A" in k} == {3}
        assert any(bool(w.any()) for k, w in weights.items() if "lora_B" in k)
    with pytest.raises(ValueError, match="is frozen: give rank=8 or so, or stem_hidden=128"):
        train_here(base, data, tmp_path / "c", f"theory_adapter={plain}")


def test_init_adapter_goes_on(base: Path, data: Path, tmp_path: Path) -> None:
    rich = train_here(base, data, tmp_path / "rich", "max_train_steps=3", "rank=2")
    went_on = train_here(base, data, tmp_path / "d", f"init_adapter={rich}", "learning_rate=0", "max_train_steps=1")
    for part in ("diffusion_pytorch_model.safetensors", "lora/adapter_model.safetensors"):
        assert all(torch.equal(v, load_file(rich / part)[k]) for k, v in load_file(went_on / part).items())


def test_a_stem_branch_trains_on_a_frozen_adapter(base: Path, data: Path, tmp_path: Path) -> None:
    played = make_dataset(tmp_path / "played", 6, played=True)
    before = train_here(base, data, tmp_path / "before", "rank=2", "max_train_steps=3")
    options = (f"theory_adapter={before}", "stem_hidden=16", "stem_channels=8", "condition_dropout=0")
    adapter = train_here(base, played, tmp_path / "stems", *options, "max_train_steps=3")
    old, new = (load_file(f / "diffusion_pytorch_model.safetensors") for f in (before, adapter))
    assert {name.split(".")[0] for name in new.keys() - old.keys()} == {"stems"}
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert new["stems.entry.out.weight"].abs().max() > 0
    cards = [json.loads((f / "musetune.json").read_text())["unet"] for f in (before, adapter)]
    assert cards[0] == cards[1]  # of the plain base, though the LoRA lay in its weights
    assert new["stems.modulation.out.0.weight"].shape[1] == 8
    unheard = train_here(base, played, tmp_path / "unheard", *options, "arrangement_dropout=1.0", "max_train_steps=1")
    assert not load_file(unheard / "diffusion_pytorch_model.safetensors")["stems.entry.out.weight"].any()
    again = train_here(
        base, played, tmp_path / "more", f"theory_adapter={adapter}", "stem_hidden=16", "max_train_steps=2"
    )
    moved = load_file(again / "diffusion_pytorch_model.safetensors")
    assert not torch.equal(moved["stems.entry.out.weight"], new["stems.entry.out.weight"])
    assert moved.keys() == new.keys()
    fresh = train_here(
        base,
        played,
        tmp_path / "fresh",
        f"theory_adapter={adapter}",
        "stem_hidden=8",
        "new_stems=true",
        "max_train_steps=1",
    )
    assert (
        load_file(fresh / "diffusion_pytorch_model.safetensors")["stems.conditioner.sketch.look.weight"].shape[0] == 8
    )


def test_a_branch_for_expression_trains_on_a_frozen_adapter(base: Path, data: Path, tmp_path: Path) -> None:
    said = {"loudness_db": [[0, -30], [5, -10]], "swing": 0.6}
    played = make_dataset(tmp_path / "played", 6, expression=said)
    before = train_here(base, data, tmp_path / "before", "rank=2", "max_train_steps=2")
    options = (f"theory_adapter={before}", "expression_hidden=16", "expression_channels=8", "max_train_steps=2")
    adapter = train_here(base, played, tmp_path / "expression", *options)
    old, new = (load_file(f / "diffusion_pytorch_model.safetensors") for f in (before, adapter))
    assert {name.split(".")[0] for name in new.keys() - old.keys()} == {"expression"}
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert new["expression.entry.out.weight"].abs().max() > 0
    unsaid = train_here(base, data, tmp_path / "unsaid", *options)  # a data set without any
    hidden = train_here(base, played, tmp_path / "hidden", *options, "expression_dropout=1")
    for untouched in (unsaid, hidden):
        assert not load_file(untouched / "diffusion_pytorch_model.safetensors")["expression.entry.out.weight"].any()


def test_a_genre_without_clips_ends_in_one_line_that_says_what_there_is(base: Path, data: Path, tmp_path: Path) -> None:
    run = finetune(base, data, tmp_path / "out", "genre=folk")
    assert run.returncode == 1
    assert run.stderr.strip().splitlines()[-1] == (
        f"finetune.py: {data} has no clips of genre=folk, but 5 of pop, 5 of jazz: leave genre= out, or prepare into "
        "a new folder with --genre folk, or with a column genre in metadata.csv"
    )
    assert "Traceback" not in run.stderr


def test_held_out_files_and_clips_are_not_trained_on(base: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train_here(base, data, out, "held_out=[0.wav,3.wav@0.000]", "max_train_steps=1", "name=mine", "data_license=MIT")
    record = json.loads((out / "adapter" / "training.json").read_text())
    assert record["data"]["clips"] == 8
    assert (record["data"]["songs"], record["data"]["licences"]) == (8, ["MIT"])
    assert json.loads((out / "adapter" / "musetune.json").read_text())["name"] == "mine"
