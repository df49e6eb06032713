"""The configs of a stranger's base: what asks for more than its weights hold is refused before it is built."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel, AutoencoderKL
from safetensors.torch import load_file, save_file
from transformers import (
    ClapConfig,
    ClapModel,
    GPT2Config,
    GPT2Model,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5Config,
    T5EncoderModel,
)

from musetune import MuseTunePipeline
from musetune.hub.places import BASES
from musetune.models.config_limits import check_against_weights, check_base_configs, check_config, weight_shapes
from musetune.planning.arranger import arranger
from musetune.planning.arranger.arranger import Arranger
from musetune.planning.planner import planner
from musetune.planning.planner.planner import Planner
from musetune.training import setup

INDEX = json.loads((BASES / "nano" / "model_index.json").read_text())
TRUE = Path(__file__).parents[1] / "data" / "audioldm2"
FLAN_T5_LARGE = {
    "vocab_size": 32128, "d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 24, "num_heads": 16,
    "feed_forward_proj": "gated-gelu", "n_positions": 512,
}  # fmt: skip


def true_config(name: str) -> dict:
    return json.loads((TRUE / f"{name}.json").read_text())


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BASES / "nano", tmp_path / "base"))


def change(base: Path, part: str, path: str, value: object) -> Path:
    """Write ``value`` into a part's config, where a path such as text_config/d_ff leads."""
    files = [f for f in sorted((base / part).glob("*config.json")) if f.name != "generation_config.json"]
    file = next((f for f in files if f.name == "config.json"), files[0])
    config = json.loads(file.read_text())
    *above, last = path.split("/")
    place = config
    for key in above:
        place = place[key]
    place[last] = value
    file.write_text(json.dumps(config))
    return file


SIZES = [
    ("unet", "block_out_channels", [64, 96, 1 << 20]),
    ("unet", "block_out_channels", [64] * 1000),
    ("unet", "layers_per_block", 10**6),
    ("unet", "layers_per_block", 255),
    ("unet", "transformer_layers_per_block", 255),
    ("unet", "cross_attention_dim", [[None, 96, 10**9]] * 3),
    ("unet", "cross_attention_dim", 60_000),
    ("unet", "in_channels", 10**12),
    ("unet", "num_class_embeds", 10**6),
    ("text_encoder", "text_config/hidden_size", 10**7),
    ("text_encoder", "text_config/vocab_size", 10**7),
    ("text_encoder", "audio_config/depths", [1, 1, 1, 10**9]),
    ("text_encoder", "audio_config/patch_embeds_hidden_size", 65_000),
    ("text_encoder_2", "d_model", 1 << 30),
    ("text_encoder_2", "d_model", 60_000),
    ("text_encoder_2", "d_ff", 1 << 34),
    ("text_encoder_2", "num_layers", 10**6),
    ("text_encoder_2", "num_layers", 250),
    ("text_encoder_2", "vocab_size", 1_000_000),
    ("language_model", "n_embd", 1 << 30),
    ("language_model", "n_layer", 10**5),
    ("language_model", "n_positions", 10**9),
    ("projection_model", "langauge_model_dim", 1 << 40),
    ("projection_model", "text_encoder_dim", 65_000),
    ("vae", "bins", 1 << 40),
    ("vocoder", "hidden", 1 << 40),
    ("scheduler", "num_train_timesteps", 10**12),
    ("scheduler", "solver_order", 10**12),
    ("scheduler", "trained_betas", [0.1] * 200_000),
    ("feature_extractor", "feature_size", 10**9),
    ("feature_extractor", "fft_window_size", 10**9),
    ("feature_extractor", "sampling_rate", 1e300),
    ("tokenizer_2", "extra_ids", 10**9),
]


@pytest.mark.parametrize(("part", "path", "value"), SIZES, ids=[f"{p}-{n}-{str(v)[:20]}" for p, n, v in SIZES])
def test_a_size_that_asks_for_too_much(base: Path, part: str, path: str, value: object) -> None:
    file = change(base, part, path, value)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="take the file that was saved together with the weights") as error:
        check_base_configs(base, INDEX)
    assert str(file) in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_field_value_and_limit_are_named(base: Path) -> None:
    file = change(base, "text_encoder_2", "d_ff", 1 << 34)
    with pytest.raises(ValueError, match="d_ff=17179869184 is beyond 65536") as error:
        MuseTunePipeline.from_pretrained(base)
    assert str(error.value).startswith(str(file))


def test_a_size_that_the_weights_do_not_have(base: Path) -> None:
    change(base, "text_encoder_2", "d_ff", 400)
    with pytest.raises(ValueError, match=r"d_ff=400 asks for the shape \[400, 96\] for .*wi.* as \[384, 96\]"):
        MuseTunePipeline.from_pretrained(base)


@pytest.mark.parametrize("value", ["96", -1, 2.5, None, [], {}])
def test_what_is_no_size(base: Path, value: object) -> None:
    change(base, "text_encoder_2", "d_model", value)
    with pytest.raises(ValueError, match=r"text_encoder_2.config\.json"):
        MuseTunePipeline.from_pretrained(base)


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", "{", "\0", '{"d_model": ' + "9" * 5000 + "}"])
def test_what_is_no_config(base: Path, text: str) -> None:
    (base / "unet" / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"unet.config\.json"):
        check_base_configs(base, INDEX)


def test_a_part_that_the_caller_brings_is_not_checked(base: Path) -> None:
    change(base, "unet", "in_channels", 10**12)
    check_base_configs(base, INDEX, skip=("unet",))


@pytest.mark.parametrize("damage", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x09\0\0\0\0\0\0\0" + b'{"a": {}}'])
def test_a_damaged_header(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(damage)
    with pytest.raises(ValueError, match="damaged or no safetensors"):
        weight_shapes(tmp_path)


def header_of(network: torch.nn.Module, folder: Path) -> None:
    """Write a safetensors header with the shapes of ``network``, and no data after it."""
    entries = {
        name: {"dtype": "F32", "shape": list(t.shape), "data_offsets": [0, 0]}
        for name, t in network.state_dict().items()
    }
    text = json.dumps(entries).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)


WIDE_UNET = true_config("unet") | {
    "block_out_channels": [256, 512, 768, 1280],
    "transformer_layers_per_block": 2,
    "cross_attention_dim": [[None, 1280, 1024]] * 4,
}
TRUE_PARTS: dict[str, tuple[str, type, dict]] = {
    "unet": ("diffusers", AudioLDM2UNet2DConditionModel, true_config("unet")),
    "wide unet": ("diffusers", AudioLDM2UNet2DConditionModel, WIDE_UNET),
    "vae": ("diffusers", AutoencoderKL, true_config("vae")),
    "vocoder": ("transformers", SpeechT5HifiGan, SpeechT5HifiGanConfig(**true_config("vocoder")).to_dict()),
    "language_model": ("transformers", GPT2Model, GPT2Config(**true_config("language_model")).to_dict()),
    "text_encoder": ("transformers", ClapModel, ClapConfig().to_dict()),
    "text_encoder_2": ("transformers", T5EncoderModel, T5Config(**FLAN_T5_LARGE).to_dict()),
}


@pytest.mark.parametrize("part", TRUE_PARTS)
def test_the_true_sizes_of_audioldm2_pass(tmp_path: Path, part: str) -> None:
    library, network, config = TRUE_PARTS[part]
    config = json.loads(json.dumps(config, default=str))
    described = getattr(network, "config_class", None)
    with torch.device("meta"):
        built = network(described.from_dict(config)) if described else network.from_config(config)
    header_of(built, tmp_path)
    check_config(config, "config.json")
    check_against_weights(config, tmp_path / "config.json", library, network.__name__)


@pytest.mark.parametrize(
    ("field", "value", "limit"), [("d_model", 10**9, "65536"), ("num_layers", 10**6, "256"), ("d_ff", 513, "512")]
)
def test_the_planner_checks_the_sizes_of_a_folder(tmp_path: Path, field: str, value: int, limit: str) -> None:
    folder = Path(shutil.copytree(planner.NANO, tmp_path / "planner"))
    file = change(tmp_path, "planner", field, value)
    with pytest.raises(ValueError, match=f"{field}={value}") as error:
        Planner.from_pretrained(folder)
    assert str(error.value).startswith(str(file))
    assert limit in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("dim", 10**9, "16384"),
        ("layers", 10**6, "16384"),
        ("ffn", 385, "384"),
        ("heads", 5, "144"),
        ("dim", "144", "16384"),
    ],
)
def test_the_arranger_checks_the_sizes_of_a_folder(tmp_path: Path, field: str, value: object, limit: str) -> None:
    folder = Path(shutil.copytree(arranger.SHIPPED, tmp_path / "arranger"))
    file = change(tmp_path, "arranger", field, value)
    with pytest.raises(ValueError, match=field) as error:
        Arranger.from_pretrained(folder)
    assert str(error.value).startswith(str(file))
    assert limit in str(error.value)


@pytest.mark.parametrize("load", [Planner.from_pretrained, Arranger.from_pretrained])
@pytest.mark.parametrize("damage", ["half", "NaN"])
def test_damaged_weights_of_planner_and_arranger(tmp_path: Path, load, damage: str) -> None:
    shipped = planner.NANO if load is Planner.from_pretrained else arranger.SHIPPED
    folder = Path(shutil.copytree(shipped, tmp_path / "model"))
    spoil(folder / "model.safetensors", damage)
    with pytest.raises(ValueError, match="damaged"):
        load(folder)


def test_the_planner_reads_no_pickle(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(planner.NANO, tmp_path / "planner"))
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(weights, "pytorch_model.bin")}))
    with pytest.raises(ValueError, match=r"pytorch_model\.bin.: only safetensors"):
        Planner.from_pretrained(folder)
    index.unlink()
    with pytest.raises(OSError, match="safetensors"):
        Planner.from_pretrained(folder)


def test_a_planners_lora_is_checked_before_it_is_built(tmp_path: Path) -> None:
    shutil.copy(planner.NANO / "tokenizer.json", tmp_path)
    shutil.copy(planner.NANO / "tokenizer_config.json", tmp_path)
    base = Path(shutil.copytree(planner.NANO, tmp_path / "base"))

    def load(**settings: object) -> None:
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2} | settings))
        Planner.from_pretrained(tmp_path)

    torch.save({}, tmp_path / "adapter_model.bin")
    with pytest.raises(ValueError, match=r"has no adapter_model\.safetensors"):
        load(base_model_name_or_path=str(base))
    weights = {"base_model.model.x.lora_A.weight": torch.zeros(2, 128)}
    save_file(weights, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="says rank 4000 where the weights have 2"):
        load(base_model_name_or_path=str(base), r=4000)
    with pytest.raises(ValueError, match="could take for ever"):
        load(base_model_name_or_path=str(base), target_modules="(a+)+$")
    with pytest.raises(ValueError, match="base_model_name_or_path=None"):
        load()
    change(tmp_path, "base", "d_model", 10**9)
    with pytest.raises(ValueError, match="d_model=1000000000 is beyond 65536"):
        load(base_model_name_or_path=str(base))


@pytest.mark.parametrize("part", ["unet", "vae", "vocoder", "text_encoder", "text_encoder_2", "language_model"])
@pytest.mark.parametrize("damage", ["half", "NaN"])
def test_damaged_weights_of_a_base(base: Path, part: str, damage: str) -> None:
    file = next((base / part).glob("*.safetensors"))
    spoil(file, damage)
    with pytest.raises(ValueError, match=rf"{part}.*(damaged|safetensors)"):
        MuseTunePipeline.from_pretrained(base)


def test_training_checks_the_sizes_of_a_base(base: Path) -> None:
    change(base, "scheduler", "num_train_timesteps", 10**12)
    with pytest.raises(ValueError, match="num_train_timesteps=1000000000000 is beyond 131072"):
        setup.load_noise_schedule(str(base))
    change(base, "vocoder", "hidden", 1 << 40)
    with pytest.raises(ValueError, match="hidden=1099511627776 is beyond 1048576"):
        setup.bin_hz(str(base))


@pytest.mark.parametrize("vocoder", [["os", "system"], ["evil.module", "Vocoder"]])
def test_training_takes_no_vocoder_from_elsewhere(base: Path, vocoder: list[str]) -> None:
    index = base / "model_index.json"
    index.write_text(json.dumps(INDEX | {"vocoder": vocoder}))
    with pytest.raises(ValueError, match="only diffusers, transformers, musetune"):
        setup.bin_hz(str(base))


def spoil(file: Path, damage: str) -> None:
    """Cut a file of safetensors in half, or write NaN into its first weight."""
    if damage == "half":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return
    weights = load_file(file)
    next(w for w in weights.values() if w.is_floating_point() and w.numel()).view(-1)[0] = float("nan")
    save_file(weights, file, {"format": "pt"})
