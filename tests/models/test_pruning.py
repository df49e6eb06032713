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


def doubled(unet: AudioLDM2UNet2DConditionModel, widths: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Make of every pair of channels of every space an original and its copy, which nothing reads; say what counts.

    Which of the two it is is drawn for each pair and space, so that one space taken for another is heard. Copies have
    their original's numbers, since norms count them; those of keys are 0. The time step is not looked at: a narrower
    U-Net has other waves.
    """
    found, drawn = ChannelMap(unet, widths), torch.Generator().manual_seed(2)
    bits = {name: torch.randint(2, (space.size // 2,), generator=drawn) for name, space in found.spaces.items()}

    def places(spaces: tuple[str, ...], copies: int) -> torch.Tensor:
        start, indices = 0, []
        for name in spaces:
            indices.append(start + 2 * torch.arange(len(bits[name])) + (bits[name] ^ copies))
            start += 2 * len(bits[name])
        return torch.cat(indices)

    scores = {}
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=drawn) * 0.2)
            scores[name] = torch.ones_like(weight)
            for axis, spaces in enumerate(found.axes[name]):
                if spaces is None or spaces == ("waves",):
                    continue
                originals, copies = places(spaces, 0), places(spaces, 1)
                scores[name].index_fill_(axis, copies, 0.0)
                if axis or name.endswith("to_k.weight"):
                    weight.index_fill_(axis, copies, 0.0)
                if axis == 0 and not name.endswith("to_k.weight"):
                    weight.index_copy_(axis, copies, weight.index_select(axis, originals))
        unet.time_embedding.linear_1.weight.zero_()
    return scores


def test_copies_that_nothing_reads_can_be_left_out_unheard() -> None:
    """Half of the channels of every space, at three widths, with skips, heads, gates and norms of groups."""
    unet, widths = make_unet(widths=(16, 32, 48), depth=2), (8, 16, 24)
    scores = doubled(unet, widths)
    narrow = prune_unet(unet, widths, scores)
    x = noise()
    with torch.no_grad():
        wanted, found = run(unet, x), run(narrow, x)
        other = run(prune_unet(unet, widths, importance(unet)), x)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert (other - wanted).square().mean() > 0.01 * wanted.var()


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
