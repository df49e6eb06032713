"""What an adapter is made of: each part alone, the map at every level, a LoRA in the weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_unet import ROW_S, make_adapter, make_unet, noise, run, tokens

from musetune.adapter import MusicAdapter
from musetune.adapter.lora import plain_weights, walk
from musetune.adapter.sites import site_levels
from musetune.symbols import LeadSheet

PARTS = {
    "events": {"map_entry": False, "map_modulation": False},
    "events without times": {"map_entry": False, "map_modulation": False, "rotary": False},
    "some sites": {"map_entry": False, "map_modulation": False, "attended": (0, 4)},
    "entry": {"attended": (), "map_modulation": False},
    "modulation": {"attended": (), "map_entry": False},
}


def test_a_walk_meets_what_torch_names_in_its_order() -> None:
    unet = make_unet()
    expected = {name: id(weight) for name, weight in unet.named_parameters()}
    make_adapter(unet).add_lora(rank=2)
    assert list(walk(unet)) == list(unet.named_modules())
    found = plain_weights(unet)
    assert {name: id(found[name]) for name in expected} == expected


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS.keys())
def test_every_part_works_alone_starts_at_nothing_and_survives_saving(parts: dict, tmp_path: Path) -> None:
    unet, x = make_unet(), noise()
    plain = run(unet, x)
    fresh = make_adapter(unet, seed=None, **parts)
    assert torch.equal(run(unet, x, fresh, tokens()), plain)
    fresh.detach()
    adapter = make_adapter(unet, **parts)
    moved = run(unet, x, adapter, tokens())
    assert not torch.equal(moved, plain)
    adapter.save_pretrained(tmp_path)
    adapter.detach()
    assert torch.equal(run(unet, x), plain)
    again = MusicAdapter.from_pretrained(tmp_path).attach(unet).eval()
    assert torch.equal(run(unet, x, again, tokens()), moved)


def test_modulation_follows_the_grid_at_every_level() -> None:
    """An odd number of rows is halved as the U-Net halves it; a change late in time leaves the early places alone."""
    unet = make_unet()
    adapter = make_adapter(unet)
    late = LeadSheet.parse("| I | V | vi | bVII |", bpm=188, duration_seconds=5.12)
    early = LeadSheet.parse("| I | V | vi | IV |", bpm=188, duration_seconds=5.12)
    both = [adapter.prepare(tokens(42, [sheet]).drop(["function"]), 42, 16, ROW_S).stream for sheet in (early, late)]
    assert site_levels(unet) == (1, 2, 2, 2, 1, 1, 2)
    for level, site in zip(site_levels(unet), zip(*(s.modulation for s in both), strict=True), strict=True):
        (scale, shift), (other, _) = site
        rows = -(-42 // 2**level)
        assert scale.shape == shift.shape == (1, rows * -(-16 // 2**level), scale.shape[2])
        moved = (scale != other).flatten(2).any(2)[0].unflatten(0, (rows, -1)).any(1)
        assert not moved[: rows // 4].any()
        assert moved[-(rows // 4) :].any()


def test_a_merged_lora_sounds_alike_and_leaves_no_trace() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, rank=4)
    before = {name: p.clone() for name, p in unet.state_dict().items()}
    apart = run(unet, x, adapter, tokens())
    with adapter.merged():
        assert not torch.equal(
            unet.mid_block.resnets[0].conv1.base_layer.weight, before["mid_block.resnets.0.conv1.base_layer.weight"]
        )
        torch.testing.assert_close(run(unet, x, adapter, tokens()), apart, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(p, before[name]) for name, p in unet.state_dict().items())
    assert torch.equal(run(unet, x, adapter, tokens()), apart)
    adapter.strength = 0.0
    adapter_off = run(unet, x, adapter, tokens())
    with adapter.merged():
        assert torch.equal(run(unet, x, adapter, tokens()), adapter_off)


def test_modulation_needs_to_know_the_levels() -> None:
    with pytest.raises(ValueError, match="for_unet finds them"):
        MusicAdapter(map_modulation=True)


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS.keys())
def test_strength_scales_every_part(parts: dict) -> None:
    unet, x = make_unet(), noise()
    plain, adapter = run(unet, x), make_adapter(unet, **parts)
    moved = []
    for strength in (0.001, 1.0):
        adapter.strength = strength
        moved.append((run(unet, x, adapter, tokens()) - plain).abs().mean().item())
    assert 0 < moved[0] < 0.1 * moved[1]


def test_merging_twice_or_failing_inside_leaves_the_weights() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, rank=4)
    before = {name: p.clone() for name, p in unet.state_dict().items()}
    with adapter.merged():
        once = run(unet, x, adapter, tokens())
        with adapter.merged():
            assert torch.equal(run(unet, x, adapter, tokens()), once)
        assert torch.equal(run(unet, x, adapter, tokens()), once)
    with pytest.raises(RuntimeError, match="inside"), adapter.merged():
        raise RuntimeError("inside")
    assert all(torch.equal(p, before[name]) for name, p in unet.state_dict().items())


def test_a_config_of_before_loads(tmp_path: Path) -> None:
    """Adapters saved before the parts could be chosen have all but the modulation."""
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, map_modulation=False)
    moved = run(unet, x, adapter, tokens())
    adapter.save_pretrained(tmp_path)
    adapter.detach()
    path = tmp_path / "config.json"
    new = (
        "site_levels",
        "map_entry",
        "map_modulation",
        "attended",
        "rotary",
        "event_s",
        "hidden_streams",
        "stem_hidden",
        "stem_channels",
        "stem_bins",
    )
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k not in new}))
    assert torch.equal(run(unet, x, MusicAdapter.from_pretrained(tmp_path).attach(unet).eval(), tokens()), moved)


def test_what_an_adapter_never_heard_it_does_not_hear() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, hidden_streams=("chords", "function"))
    major, minor = (
        [LeadSheet.parse(c, key=k, bpm=120, duration_seconds=5.12)] * 2 for c, k in (("C F", "C"), ("G D", "C"))
    )
    assert torch.equal(run(unet, x, adapter, tokens(sheets=major)), run(unet, x, adapter, tokens(sheets=minor)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attended": (0, 99)}, r"attended=\[99\] is outside 0–6"),
        ({"hidden_streams": ("strings",)}, r"hidden_streams=\['strings'\] are not among chords, beats"),
        ({"attended": (), "map_entry": False}, "nothing takes part"),
    ],
)
def test_parts_that_are_none(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MusicAdapter(**options)


def test_a_unet_with_attention_elsewhere_is_refused() -> None:
    unet = make_unet()
    adapter = MusicAdapter.for_unet(unet, map_modulation=True)
    adapter.register_to_config(site_levels=(0, *adapter.config.site_levels[1:]))
    with pytest.raises(ValueError, match="site_levels: adapter"):
        adapter.attach(unet)
