"""LoRAs from peft, from diffusers and from us.

What comes in adds the same to the weights; what does not fit is refused by name.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from small_lora import random_lora
from small_unet import make_adapter, make_unet, noise, run
from torch import nn

from musetune.adapter import lora
from musetune.adapter.lora_files import DIFFUSERS, PEFT, Lora, from_unet, read_lora
from musetune.adapter.merging import merged
from musetune.models.lora_config import check_lora_config, pattern_value


def merged_run(unet: nn.Module, one: Lora) -> torch.Tensor:
    with merged(unet, {f"{name}.weight": [part] for name, part in one.parts.items()}):
        return run(unet, noise())


def put_by_peft(unet: nn.Module, folder: Path) -> None:
    inject_adapter_in_model(LoraConfig.from_pretrained(str(folder)), unet, adapter_name="other")
    found = set_peft_model_state_dict(unet, load_file(folder / PEFT), adapter_name="other")
    assert found.unexpected_keys == []
    assert not [key for key in found.missing_keys if "lora_" in key]


def by_peft(folder: Path, *, rslora: bool = False, prefix: str = "base_model.model.") -> nn.Module:
    """A U-Net with a LoRA that peft put in and whose folder peft's own functions wrote.

    Conv and linear, two ranks, two alphas.
    """
    unet = make_unet()
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=["to_q", "to_v", "conv1", "conv_out"],
        use_rslora=rslora,
        rank_pattern={"mid_block.*to_q": 2},
        alpha_pattern={"conv1": 3},
        init_lora_weights=False,
    )
    torch.manual_seed(5)
    inject_adapter_in_model(config, unet, adapter_name="default")
    weights = lora.state(unet, "default")
    folder.mkdir(exist_ok=True)
    save_file({prefix + key: weight for key, weight in weights.items()}, folder / PEFT)
    config.save_pretrained(str(folder))
    return unet


@pytest.mark.parametrize("prefix", ["", "base_model.model.", "unet.", "base_model.model.unet."])
@pytest.mark.parametrize("rslora", [False, True])
def test_a_lora_by_peft_adds_what_it_adds_there(tmp_path: Path, prefix: str, rslora: bool) -> None:
    theirs = by_peft(tmp_path, prefix=prefix, rslora=rslora)
    unet = make_unet()
    found = read_lora(tmp_path)
    found.check(unet)
    torch.testing.assert_close(merged_run(unet, found), run(theirs, noise()), atol=1e-4, rtol=1e-4)
    assert not torch.equal(merged_run(unet, found), run(unet, noise()))
    torch.testing.assert_close(
        merged_run(unet, from_unet(theirs, "default")), merged_run(unet, found), atol=1e-6, rtol=1e-6
    )


def old_keys(one: Lora, *, prefix: str, processor: bool, alphas: bool) -> dict[str, torch.Tensor]:
    """What older versions of diffusers wrote: lora.down and lora.up, or to_q_lora of an attention processor."""
    weights = {}
    for name, part in one.parts.items():
        module, _, last = name.rpartition(".")
        if processor and last == "to_q":
            key = f"{prefix}{module}.processor.to_q_lora"
        elif processor and name.endswith("to_out.0"):
            key = f"{prefix}{name.removesuffix('.to_out.0')}.processor.to_out_lora"
        else:
            key = f"{prefix}{name}.lora"
        weights |= {f"{key}.down.weight": part.down, f"{key}.up.weight": part.up}
        if alphas:
            weights[f"{prefix}{name}.alpha"] = torch.tensor(part.scale * part.down.shape[0])
    return weights


@pytest.mark.parametrize("prefix", ["", "unet."])
@pytest.mark.parametrize("processor", [False, True])
@pytest.mark.parametrize("alphas", [False, True])
def test_a_lora_of_older_diffusers(tmp_path: Path, prefix: str, processor: bool, alphas: bool) -> None:
    unet = make_unet()
    one = random_lora(unet, 1, scale=0.5 if alphas else 1.0)
    save_file(old_keys(one, prefix=prefix, processor=processor, alphas=alphas), tmp_path / DIFFUSERS)
    found = read_lora(tmp_path)
    assert found.parts.keys() == one.parts.keys()
    assert torch.equal(merged_run(unet, found), merged_run(unet, one))


def test_a_lora_of_newer_diffusers_with_its_metadata(tmp_path: Path) -> None:
    unet = make_unet()
    one = random_lora(unet, 1, rank=4)
    weights = {f"unet.{n}.lora_{h}.weight": t for n, p in one.parts.items() for h, t in (("A", p.down), ("B", p.up))}
    settings = {"unet.r": 4, "unet.lora_alpha": 2, "unet.alpha_pattern": {"conv1": 4}}
    save_file(weights, tmp_path / DIFFUSERS, metadata={"lora_adapter_metadata": json.dumps(settings)})
    scales = {name: part.scale for name, part in read_lora(tmp_path).parts.items()}
    assert {scale for name, scale in scales.items() if name.endswith("conv1")} == {1.0}
    assert {scale for name, scale in scales.items() if not name.endswith("conv1")} == {0.5}


def test_what_we_write_peft_reads(tmp_path: Path) -> None:
    by_peft(tmp_path / "theirs")
    found = read_lora(tmp_path / "theirs")
    found.write(tmp_path / "ours")
    unet = make_unet()
    wanted = merged_run(unet, found)
    assert torch.equal(merged_run(unet, read_lora(tmp_path / "ours")), wanted)
    put_by_peft(unet, tmp_path / "ours")
    torch.testing.assert_close(run(unet, noise()), wanted, atol=1e-4, rtol=1e-4)


def test_parts_are_merged_beside_the_theory_lora_and_leave_no_trace() -> None:
    from small_unet import make_adapter, tokens

    unet, x = make_unet(), noise()
    adapter, one = make_adapter(unet, rank=2), random_lora(make_unet(), 1)
    beside = {f"{name}.weight": [part] for name, part in one.parts.items()}
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    alone = run(unet, x, adapter, tokens())
    with merged(unet, beside):
        both = run(unet, x, adapter, tokens())
    assert all(torch.equal(weight, before[name]) for name, weight in unet.state_dict().items())
    assert not torch.allclose(both, alone, atol=1e-3)
    for name, part in one.parts.items():  # the same by hand, in the plain weights
        weight = lora.plain_weights(unet)[f"{name}.weight"]
        weight.data += part.scale * (part.up.flatten(1) @ part.down.flatten(1)).view_as(weight)
    torch.testing.assert_close(run(unet, x, adapter, tokens()), both, atol=1e-4, rtol=1e-4)


def test_offloaded_weights_are_refused_not_forgotten() -> None:
    unet = make_unet()
    one = random_lora(unet, 1)
    with (
        pytest.raises(ValueError, match="weights that are offloaded"),
        merged(unet.to("meta"), {f"{name}.weight": [part] for name, part in one.parts.items()}),
    ):
        raise AssertionError("never here")


@pytest.mark.parametrize(
    ("file", "settings", "message"),
    [
        ({"mid_block.attentions.0.proj_in.lora_magnitude_vector.weight": (16,)}, {}, "not a plain LoRA .*magnitude"),
        ({"mid_block.resnets.0.conv1.lora_B.bias": (16,)}, {}, "not a plain LoRA .*lora_B.bias"),
        ({"text_encoder.layers.0.lora_A.weight": (2, 8)}, {}, r"text_encoder.layers.0.lora_B \(missing\)"),
        ({"mid_block.resnets.0.conv1.lora.dawn.weight": (2, 8)}, {}, "not a plain LoRA .*dawn"),
        ({"nowhere.alpha": ()}, {}, "an alpha without weights: nowhere"),
        ({}, {"peft_type": "LOHA"}, "peft_type='LOHA': only LORA is supported"),
        ({}, {"init_lora_weights": "pissa"}, "init_lora_weights='pissa', which changes the base"),
    ],
)
def test_what_is_no_plain_lora_is_refused(tmp_path: Path, file: dict, settings: dict, message: str) -> None:
    random_lora(make_unet(), 1).write(tmp_path)
    save_file(load_file(tmp_path / PEFT) | {key: torch.zeros(shape) for key, shape in file.items()}, tmp_path / PEFT)
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    with pytest.raises(ValueError, match=message):
        read_lora(tmp_path)


def test_wrong_shapes_and_unknown_modules_are_named() -> None:
    unet = make_unet()
    one = random_lora(unet, 1)
    name = "mid_block.resnets.0.conv1"
    for part in (
        one.parts[name]._replace(down=torch.zeros(2, 5, 3, 3)),
        one.parts[name]._replace(up=torch.zeros(32, 3, 1, 1)),
        one.parts[name]._replace(down=torch.zeros(2, 32, 9, 1)),
    ):
        with pytest.raises(ValueError, match=rf"wrong shapes of {name}: .* for a weight of \(32, 32, 3, 3\)"):
            Lora({**one.parts, name: part}).check(unet)
    with pytest.raises(ValueError, match=r"which has no down_blocks\.9\.conv1"):
        Lora({"down_blocks.9.conv1": one.parts[name]}).check(unet)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    save_file({}, tmp_path / DIFFUSERS)
    with pytest.raises(ValueError, match="it is empty"):
        read_lora(tmp_path)
    with pytest.raises(ValueError, match="only safetensors are read"):
        read_lora(tmp_path / "nowhere")


def test_a_lora_keeps_its_own_weights_apart_from_names_like_its_own() -> None:
    unet = make_unet()
    lora.inject(unet, "music", rank=2)
    lora.stack(unet, "music2", rank=3)
    assert {weight.shape[0] for key, weight in lora.state(unet, "music").items() if "lora_A" in key} == {2}


def test_a_theory_lora_of_other_shapes_leaves_the_unet_as_it_was(tmp_path: Path) -> None:
    from small_unet import make_adapter

    from musetune.adapter import MusicAdapter

    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, rank=2)
    adapter.save_pretrained(tmp_path)
    adapter.detach()
    plain, names = run(unet, x), list(unet.state_dict())
    weights = load_file(tmp_path / "lora" / PEFT)
    first = sorted(weights)[0]
    save_file(weights | {first: torch.zeros(3, 3)}, tmp_path / "lora" / PEFT)
    with pytest.raises(ValueError, match="does not fit this U-Net: 1 weights differ, such as"):
        MusicAdapter.from_pretrained(tmp_path).attach(unet)
    assert list(unet.state_dict()) == names
    assert torch.equal(run(unet, x), plain)


EVIL = ("(a+)+b", "(.|..)*x", "a?" * 40, ".*.*.*.*x", "(..|..)" * 20, "(.*)*", r"(\w+){9}", "[a-z]+[a-z]+[a-z]+!")


@pytest.mark.parametrize("pattern", EVIL)
@pytest.mark.parametrize("key", ["alpha_pattern", "rank_pattern", "target_modules"])
def test_a_pattern_that_runs_for_ever_is_refused_at_once(pattern: str, key: str) -> None:
    value = pattern if key == "target_modules" else {pattern: 2}
    with pytest.raises(ValueError, match=r"has the pattern .*, which could take for ever"):
        check_lora_config({key: value}, "adapter_config.json")


@pytest.mark.parametrize(
    "pattern",
    [
        "conv1",
        "mid_block.*to_q",
        r"^down_blocks\.0\.attentions\.1\.to_out\.0",
        "up_blocks.*[.](to_k|to_v)",
        "conv_in.*",
    ],
)
def test_plain_patterns_pass(pattern: str) -> None:
    config = {"alpha_pattern": {pattern: 2}, "rank_pattern": {pattern: 2}, "target_modules": [pattern]}
    assert check_lora_config(config, "adapter_config.json") == config


def test_all_patterns_that_pass_are_quick() -> None:
    name = "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0" + "a" * 40
    patterns = {".*.*!": 1.0, "(.*|.)x(a|.)!": 1.0, "a*a*!": 1.0, "(?:..|..)(?:..|..).*!": 1.0}
    check_lora_config({"alpha_pattern": patterns}, "adapter_config.json")
    start = time.perf_counter()
    for i in range(100):
        assert pattern_value(patterns, f"{name}{i}", 3.0) == 3.0
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r": 10**12}, "r=1000000000000: a rank is a whole number from 1 to 4096"),
        ({"r": 2.5}, r"r=2\.5: a rank"),
        ({"r": "4"}, "r='4', which is not a number"),
        ({"rank_pattern": {"to_q": 10**9}}, "to_q=1000000000: a rank"),
        ({"rank_pattern": [1]}, "rank_pattern=.1., which is not an object"),
        ({"lora_alpha": float("nan")}, "lora_alpha=nan, which is not a finite number"),
        ({"alpha_pattern": {"to_q": []}}, "which is not a number"),
        ({"target_modules": 7}, "is not a list of at most"),
        ({"target_modules": [7]}, "a pattern that is not a text"),
        ({"alpha_pattern": {"(": 1}}, "which is none"),
        ({"init_lora_weights": "pissa"}, "which changes the base"),
    ],
)
def test_garbage_in_a_configuration_is_a_value_error(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_lora_config(change, "adapter_config.json")


def test_the_theory_adapters_own_lora_is_checked_before_anything_is_allocated(tmp_path: Path) -> None:
    unet = make_unet()
    adapter = make_adapter(unet, rank=2)
    adapter.save_pretrained(tmp_path)
    path = tmp_path / "lora" / "adapter_config.json"
    whole = json.loads(path.read_text())
    for change, message in (
        ({"r": 4000}, "says rank 4000 where the weights have 2"),
        ({"peft_type": "VERA"}, "only LORA"),
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(ValueError, match=message):
            lora.read(tmp_path / "lora")
    path.write_text(json.dumps(whole))
    weights = tmp_path / "lora" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors is not a whole safetensors file"):
        lora.read(tmp_path / "lora")
