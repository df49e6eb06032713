"""A narrower U-Net keeps what counts, is an ordinary folder, and every weight of the real one has its place in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel
from small_unet import make_unet, noise, run

from musetune.models.pruning import ChannelMap, narrow_widths, prune_unet

CONFIG = Path(__file__).parents[1] / "data" / "audioldm2" / "unet.json"


def importance(unet: torch.nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(p.shape, generator=generator) for name, p in unet.named_parameters()}


def test_channels_that_do_nothing_can_be_left_out_unheard() -> None:
    """The outputs of half of every hidden layer of the transformers are cut off: leaving these out changes nothing."""
    unet = make_unet()
    wide = tuple(unet.config.block_out_channels)
    found = ChannelMap(unet, tuple(w // 2 for w in wide))
    hidden = {name: space for name, space in found.spaces.items() if name.endswith("hidden")}
    assert hidden
    scores = {name: torch.ones_like(p) for name, p in unet.named_parameters()}
    for name, axes in found.axes.items():
        for axis, spaces in enumerate(axes):
            if spaces is not None and set(spaces) <= hidden.keys():
                size = hidden[spaces[0]].size
                places = torch.arange(dict(unet.named_parameters())[name].shape[axis]) % size
                dead = places.ge(size // 2).nonzero().flatten()
                scores[name].index_fill_(axis, dead, 0.0)
                if name.endswith("ff.net.2.weight"):
                    with torch.no_grad():
                        unet.get_parameter(name).index_fill_(axis, dead, 0.0)
    module = unet.down_blocks[1].attentions[0].transformer_blocks[0]
    narrow = prune_unet(unet, tuple(w // 2 for w in wide), scores).down_blocks[1].attentions[0].transformer_blocks[0]
    assert narrow.ff.net[2].weight.shape[1] * 2 == module.ff.net[2].weight.shape[1]
    assert torch.equal(narrow.ff.net[0].proj.bias, module.ff.net[0].proj.bias.view(2, 2, -1)[:, 0].flatten())


def test_every_weight_of_the_real_unet_has_its_place() -> None:
    with torch.device("meta"):
        unet = AudioLDM2UNet2DConditionModel.from_config(json.loads(CONFIG.read_text()))
        widths = narrow_widths(unet, 0.5)
        narrow = AudioLDM2UNet2DConditionModel.from_config({**unet.config, "block_out_channels": widths})
    found = ChannelMap(unet, widths)
    small = {name: tuple(p.shape) for name, p in narrow.named_parameters()}
    assert found.axes.keys() >= small.keys()
    for name, weight in unet.named_parameters():
        shape = list(weight.shape)
        for axis, spaces in enumerate(found.axes[name]):
            if spaces is not None and spaces != ("waves",):
                assert shape[axis] == sum(found.spaces[space].size for space in spaces), name
                shape[axis] = sum(found.spaces[space].kept for space in spaces)
        if name == "time_embedding.linear_1.weight":
            shape[1] = widths[0]
        assert tuple(shape) == small[name]
    assert sum(p.numel() for p in narrow.parameters()) < 0.3 * sum(p.numel() for p in unet.parameters())


def test_the_narrow_unet_runs_is_an_ordinary_folder_and_depends_on_importance(tmp_path: Path) -> None:
    unet = make_unet()
    widths = narrow_widths(unet, 0.5)
    narrow = prune_unet(unet, widths, importance(unet))
    other = prune_unet(unet, widths, importance(unet, 1))
    assert not torch.equal(narrow.conv_in.weight, other.conv_in.weight)
    narrow.save_pretrained(tmp_path)
    loaded = AudioLDM2UNet2DConditionModel.from_pretrained(tmp_path)
    x = noise()
    with torch.no_grad():
        assert torch.equal(run(loaded, x), run(narrow, x))
        assert torch.isfinite(run(narrow, x)).all()


def test_ratios_that_are_none_are_refused() -> None:
    unet = make_unet()
    for ratio in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match=f"ratio={ratio} is outside 0–1"):
            narrow_widths(unet, ratio)
    with pytest.raises(ValueError, match="they come in multiples of 8; give less"):
        narrow_widths(unet, 0.99)
