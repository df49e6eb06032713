"""Settings that follow from the base, and commands that can be copied."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from small import make_base

from musetune.training.own_songs import run
from musetune.training.recipe import load_finetune, recipes_folder


@pytest.mark.parametrize(
    ("prediction_type", "wanted"),
    [
        ("v_prediction", {"crop_rows": 40, "train_batch_size": 16}),
        ("epsilon", {"crop_rows": None, "train_batch_size": 4, "gradient_checkpointing": True, "snr_gamma": 5.0}),
    ],
)
def test_a_base_that_predicts_noise_is_trained_as_audioldm2(
    tmp_path: Path, prediction_type: str, wanted: dict[str, object]
) -> None:
    settings = run.fitting(str(make_base(tmp_path, prediction_type)), 80)
    assert settings.items() >= wanted.items()
    assert settings.keys() <= set(load_finetune().Config.__dataclass_fields__)


def test_the_recipe_is_the_one_that_a_checkout_shows() -> None:
    assert recipes_folder() == Path(__file__).parents[3] / "recipes"
    assert load_finetune() is load_finetune()


def test_commands_quote_what_a_shell_would_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "why_unlicensed", lambda folder: None)
    settings = {"name": "my records", "base": "nano", "theory": "theory"}
    out = tmp_path / "it's mine"
    commands = run.next_commands(out, settings, [{"prompt": "slow song; it's $5"}])
    first = next(line for line in commands.splitlines() if line.startswith("musetune generate"))
    words = shlex.split(first)
    assert words[2] == "slow song; it's $5"
    assert words[words.index("--adapter") + 1] == str(out / "adapter")
    assert 'pipe.set_adapter({"my-records": 0.7, "jazz": 0.3})' in commands
    assert commands.endswith("--dry-run")
