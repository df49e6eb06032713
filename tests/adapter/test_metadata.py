"""An adapter's metadata: it knows its U-Net in every precision and with whatever is attached, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_unet import make_adapter, make_unet

from musetune.adapter import MusicAdapter
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata, short_name
from musetune.hub.locate import find_adapter


@pytest.fixture
def card() -> AdapterMetadata:
    return AdapterMetadata.of(make_unet(), "lora", "jazz", "nano", genre="jazz", theory="theory")


def test_a_card_survives_its_file(card: AdapterMetadata, tmp_path: Path) -> None:
    card.write(tmp_path)
    assert read_adapter_metadata(tmp_path) == card
    assert json.loads((tmp_path / "musetune.json").read_text())["schema"] == 1
    assert read_adapter_metadata(tmp_path / "nowhere") is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_it_knows_its_unet_in_any_precision_and_with_an_adapter(card: AdapterMetadata, dtype: torch.dtype) -> None:
    unet = make_unet()
    adapter = make_adapter(unet, rank=2)
    torch.nn.Module.to(unet, dtype)
    card.check(unet)
    assert AdapterMetadata.of(unet, "lora", "jazz", "nano").shapes == card.shapes
    adapter.detach()
    card.check(unet)


def test_another_base_of_the_same_shapes_is_refused(card: AdapterMetadata) -> None:
    with pytest.raises(
        ValueError, match=r"'jazz' was made for another U-Net, that of 'nano': .* weights differ by \d+ %"
    ):
        card.check(make_unet(seed=1))


def test_other_shapes_are_refused(card: AdapterMetadata) -> None:
    with pytest.raises(ValueError, match="names or shapes of the weights differ"):
        card.check(make_unet(depth=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema version 2, this musetune reads 1: update musetune"),
        ({"kind": "voice"}, "kind='voice' must be one of theory, lora"),
        ({"unet": {"shapes": "x"}}, "no adapter's metadata: it has no 'sketch'"),
        ({"unet": {"shapes": "x", "sketch": [1, 2]}}, "sketch must be 64 numbers"),
        ({"unet": None}, "no adapter's metadata: it has no 'shapes'"),
    ],
)
def test_another_schema_and_what_is_no_card(card: AdapterMetadata, tmp_path: Path, change: dict, message: str) -> None:
    card.write(tmp_path)
    path = tmp_path / "musetune.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        read_adapter_metadata(tmp_path)


def test_no_json_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "musetune.json").write_text("{")
    with pytest.raises(ValueError, match=r"no adapter's metadata: .* is not JSON"):
        read_adapter_metadata(tmp_path)
    with pytest.raises(ValueError, match="kind='voice' is not one of theory, lora"):
        AdapterMetadata.of(make_unet(), "voice", "jazz", "nano")


def test_an_adapter_keeps_its_card(card: AdapterMetadata, tmp_path: Path) -> None:
    adapter = make_adapter(make_unet())
    adapter.metadata = card
    adapter.save_pretrained(tmp_path)
    assert MusicAdapter.from_pretrained(tmp_path).metadata == card


def test_the_shipped_theory_adapter_is_for_nano() -> None:
    from diffusers import AudioLDM2UNet2DConditionModel

    from musetune.hub.locate import find_base

    card = read_adapter_metadata(find_adapter("theory"))
    assert (card.kind, card.name, card.base) == ("theory", "theory", "nano")
    card.check(AudioLDM2UNet2DConditionModel.from_pretrained(find_base("nano"), subfolder="unet", use_safetensors=True))


def test_a_short_name_tells_of_no_machine(tmp_path: Path) -> None:
    names = ["nano", "cvssp/audioldm2", str(tmp_path), str(tmp_path / "gone"), "./runs/base"]
    assert list(map(short_name, names)) == ["nano", "cvssp/audioldm2", tmp_path.name, "gone", "base"]


FINE = {"schema": True, "sketch": []} | dict.fromkeys(("name", "base", "genre", "theory", "shapes"), "x")  # True is 1


@pytest.mark.parametrize("key", ["schema", "kind", "name", "base", "genre", "theory", "unet", "shapes", "sketch"])
def test_any_garbage_is_metadata_or_a_value_error(card: AdapterMetadata, tmp_path: Path, key: str) -> None:
    card.write(tmp_path)
    path = tmp_path / "musetune.json"
    whole = json.loads(path.read_text())
    for value in ([], {}, [[]] * 64, ["1"] * 64, [10**400] * 64, [float("nan")] * 64, 7, True, float("inf"), "x"):
        inner = {"unet": whole["unet"] | {key: value}} if key in whole["unet"] else {key: value}
        path.write_text(json.dumps(whole | inner))
        if value == FINE.get(key):
            assert isinstance(read_adapter_metadata(tmp_path), AdapterMetadata)
            continue
        with pytest.raises(ValueError, match=r"musetune\.json is no adapter's metadata"):
            read_adapter_metadata(tmp_path)
    for text in (b"[" * 100_000, b"\xff", b"[]", b"null", b""):
        path.write_bytes(text)
        with pytest.raises(ValueError, match=r"musetune\.json is no adapter's metadata"):
            read_adapter_metadata(tmp_path)
