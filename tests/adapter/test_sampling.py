"""What a LoRA's metadata say of its sampler: written, read, refused where it makes no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata
from musetune.adapter.sampling import Sampling

DDIM = {"_class_name": "DDIMScheduler", "timestep_spacing": "trailing", "set_alpha_to_one": True}
FOUR = Sampling(DDIM, 4, 4, 8)


def metadata(sampling: Sampling | None) -> AdapterMetadata:
    return AdapterMetadata("lora", "fast", "nano", "abc", (), sampling=sampling)


def test_sampling_travels_with_the_metadata(tmp_path: Path) -> None:
    for sampling in (FOUR, None):
        metadata(sampling).write(tmp_path)
        assert read_adapter_metadata(tmp_path) == metadata(sampling)
    assert "sampling" not in json.loads((tmp_path / "musetune.json").read_text())  # as earlier versions wrote it


def test_the_scheduler_has_the_bases_noise_schedule_and_the_lora_s_own_steps() -> None:
    base = DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", algorithm_type="dpmsolver++"
    )
    made = FOUR.scheduler(base.config)
    assert type(made) is DDIMScheduler
    assert (made.config.prediction_type, made.config.timestep_spacing) == ("v_prediction", "trailing")
    assert (made.alphas_cumprod == base.alphas_cumprod).all()
    made.set_timesteps(4)
    assert made.timesteps.tolist() == [999, 749, 499, 249]


def test_steps_fit_within_the_range() -> None:
    assert [FOUR.fits(n) for n in (3, 4, 8, 9)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"scheduler": {"_class_name": "EDMEulerScheduler"}}, "'EDMEulerScheduler' is not one of DDIMScheduler"),
        ({"scheduler": {}}, "None is not one of"),
        ({"scheduler": {**DDIM, "trained_betas": [1]}}, "plain values"),
        ({"scheduler": 4}, "not an object"),
        ({"steps": 9}, "fewest=4, steps=9, most=8 are not in this order"),
        ({"fewest": 0}, "fewest=0"),
        ({"most": 1001}, "within 1–1000"),
        ({"steps": "4"}, "whole numbers as steps, fewest, most"),
        ({"steps": True}, "whole numbers"),
    ],
)
def test_what_is_no_sampling_is_refused_with_the_file(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    metadata(FOUR).write(tmp_path)
    path = tmp_path / "musetune.json"
    values = json.loads(path.read_text())
    values["sampling"] |= change
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=complaint) as error:
        read_adapter_metadata(tmp_path)
    assert str(path) in str(error.value)
