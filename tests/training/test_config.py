"""finetune.py's command line and the configs that ship."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from small import FINETUNE

from recipes import finetune as recipe


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ["--help"],
            0,
            ["accelerate launch recipes/finetune.py", "learning_rate: float = 1e-3", "snr_gamma", "min-SNR"],
        ),
        (["max_train_step=3"], 1, ["finetune.py: no option is called max_train_step: did you mean max_train_steps"]),
        (["train_data_dir=x", "output_dir=y"], 1, ["finetune.py: give pretrained_model_name_or_path=…"]),
    ],
)
def test_command_line_is_clear(
    arguments: list[str],
    code: int,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [str(FINETUNE), *arguments])
    with pytest.raises(SystemExit) as left:
        recipe.command_line(recipe.load_config, recipe.Config, recipe.__doc__)
    text = str(left.value.code) if code else capsys.readouterr().out
    assert left.value.code == 0 or code
    assert all(part in text for part in told)
    assert len(text.splitlines()) == 1 or not code


@pytest.mark.parametrize("name", ["theory", "genre", "audioldm2"])
def test_shipped_configs_are_read(name: str) -> None:
    file = FINETUNE.parent / "configs" / f"{name}.yaml"
    whole = recipe.load_config([str(file), "train_data_dir=here", "output_dir=out"])
    assert 0 < whole.validation_steps <= whole.max_train_steps
    assert whole.checkpointing_steps <= whole.max_train_steps
    cfg = recipe.load_config([str(file), "train_data_dir=here", "output_dir=out", "max_train_steps=7"])
    assert cfg.pretrained_model_name_or_path in ("nano", "cvssp/audioldm2-music")
    assert (cfg.max_train_steps, cfg.train_data_dir) == (7, "here")
    assert (cfg.theory_adapter is None) == (name != "genre")


def test_configs_of_preference_tuning_are_read() -> None:
    from musetune.evaluation.rewards import DEFAULT_WEIGHTS
    from recipes.align import prefer, tune

    configs = FINETUNE.parent / "configs"
    for name in ("align", "align_demonstrations", "align_drums", "align_nft", "taste"):
        config = tune.load_config([str(configs / f"{name}.yaml"), "output_dir=out", "preferences=[mine]"])
        tune.check(replace(config, rewards=config.rewards or DEFAULT_WEIGHTS), draws=True)
    drawn = prefer.load_config([str(configs / "prefer.yaml"), "output_dir=out"])
    assert drawn.rewards == tune.load_config([str(configs / "align.yaml"), "output_dir=out"]).rewards
