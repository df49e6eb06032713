"""A music adapter that becomes narrower along with its U-Net: the same channels, the same answers, the same shapes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from small_pipe import make_pipe, music, quiet
from small_unet import ROW_S, make_adapter, make_unet, noise, run, tokens

from musetune import MuseTunePipeline
from musetune.adapter import MusicAdapter
from musetune.adapter.metadata import AdapterMetadata
from musetune.adapter.narrowing import adapter_axes, fresh_narrow_adapter, narrow_adapter, pair_weights, prune_pair
from musetune.adapter.sites import music_sites
from musetune.models.pruning import choose_channels, narrow_widths


def importance(adapter: MusicAdapter, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(p.shape, generator=generator) for name, p in pair_weights(adapter).items()}


def whole_adapter(depth: int = 1) -> MusicAdapter:
    """On a small U-Net, with every branch, all of random weights."""
    return make_adapter(make_unet(depth=depth), stem_hidden=8, stem_channels=4, expression_hidden=8)


def inside(adapter: MusicAdapter, site: int) -> tuple[str, str]:
    """Path of a site in the U-Net, and the name of the space of its hidden states."""
    attention = music_sites(adapter.unet)[site]
    path = next(path for path, module in adapter.unet.named_modules() if module is attention)
    return path, path.partition(".transformer_blocks.")[0] + " inside"


def test_with_all_channels_the_narrow_pair_answers_as_the_wide_one() -> None:
    adapter, x = whole_adapter(), noise()
    wanted = run(adapter.unet, x, adapter, tokens())
    unet, narrow = prune_pair(adapter, (16, 32, 32), importance(adapter))
    assert torch.equal(run(unet, x, narrow.attach(unet), tokens()), wanted)
    assert torch.equal(run(adapter.unet, x, adapter, tokens()), wanted)  # the wide pair is as it was


def test_the_adapter_keeps_the_channels_that_the_unet_keeps_where_it_is_plugged_in() -> None:
    """Sites, scales and shifts: those inside the site's own transformer; entries: those of the first level."""
    adapter, x = whole_adapter(depth=2), noise()
    unet, axes = adapter.unet, {f"adapter.{name}": spaces for name, spaces in adapter_axes(adapter).items()}
    scores = importance(adapter)
    kept = choose_channels(unet, (8, 16, 16), scores, axes)
    pruned, narrow = prune_pair(adapter, (8, 16, 16), scores)
    own, small, chosen = adapter.state_dict(), narrow.state_dict(), []
    first = kept.indices["level 16"]
    assert torch.equal(pruned.conv_in.weight, unet.conv_in.conv.weight[first])
    for branch in ("", "stems.", "expression."):
        for part in ("weight", "bias"):
            assert torch.equal(small[f"{branch}entry.out.{part}"], own[f"{branch}entry.out.{part}"][first])
    for site in range(len(music_sites(unet))):
        path, space = inside(adapter, site)
        inner = kept.indices[space]
        chosen.append(tuple(inner.tolist()))
        queries = unet.get_submodule(path).to_q.weight[kept.indices[f"{path} asked"]][:, inner]
        torch.testing.assert_close(pruned.get_submodule(path).to_q.weight, queries * 0.5**0.5)
        assert torch.equal(small[f"sites.{site}.to_q.weight"], own[f"sites.{site}.to_q.weight"][:, inner])
        for part in ("weight", "bias"):
            assert torch.equal(small[f"sites.{site}.to_out.{part}"], own[f"sites.{site}.to_out.{part}"][inner])
            for branch in ("", "stems.", "expression."):
                film = f"{branch}modulation.out.{site}.{part}"
                assert torch.equal(small[film], torch.cat([half[inner] for half in own[film].chunk(2)]))
    assert len(set(chosen)) > 1
    moved = run(pruned, x, narrow.attach(pruned), tokens())
    assert torch.isfinite(moved).all()
    assert not torch.equal(moved, run(pruned, x))


def test_what_is_fed_is_the_wide_adapter_s_on_the_channels_that_stay() -> None:
    adapter = whole_adapter()
    kept = choose_channels(adapter.unet, (8, 16, 16), importance(adapter))
    wide, narrow = (one.prepare(tokens(), 40, 16, ROW_S) for one in (adapter, narrow_adapter(adapter, kept)))
    torch.testing.assert_close(narrow.entry, wide.entry[:, kept.indices["level 16"]], atol=1e-6, rtol=1e-5)
    for site, pair in enumerate(zip(wide.stream.modulation, narrow.stream.modulation, strict=True)):
        inner = kept.indices[inside(adapter, site)[1]]
        for whole, part in zip(*pair, strict=True):
            torch.testing.assert_close(part, whole[..., inner], atol=1e-6, rtol=1e-5)
        assert torch.equal(wide.stream.keys[site], narrow.stream.keys[site])
        assert torch.equal(wide.stream.values[site], narrow.stream.values[site])


def test_what_the_adapter_reads_and_writes_counts() -> None:
    """A channel that only the adapter uses stays."""
    adapter = whole_adapter()
    scores = {name: torch.zeros_like(p) for name, p in pair_weights(adapter).items()}
    scores["adapter.sites.0.to_q.weight"][:, 3::4] = 1.0
    scores["adapter.stems.entry.out.weight"][1::2] = 1.0
    axes = {f"adapter.{name}": spaces for name, spaces in adapter_axes(adapter).items()}
    kept = choose_channels(adapter.unet, (8, 16, 16), scores, axes)
    inner = kept.indices[inside(adapter, 0)[1]]
    assert set(range(3, 32, 4)) <= set(inner.tolist())
    assert kept.indices["level 16"].tolist() == list(range(1, 16, 2))


def test_a_narrow_adapter_has_the_inner_sizes_and_survives_saving(tmp_path: Path) -> None:
    unet = make_unet(widths=(32, 64, 128))  # of whose sites some have two heads, which half the channels would not give
    adapter = make_adapter(unet)
    small, narrow = prune_pair(adapter, narrow_widths(unet, 0.5), importance(adapter))
    assert narrow.config.channels == (32, 64, 64, 64, 32, 32, 64)
    assert narrow.config.entry_channels == 16
    for i, site in adapter.sites.items():
        assert narrow.sites[i].to_q.out_features == site.to_q.out_features
        assert torch.equal(narrow.sites[i].to_v.weight, site.to_v.weight)
    moved = run(small, noise(), narrow.attach(small), tokens())
    narrow.save_pretrained(tmp_path)
    narrow.detach()
    again = MusicAdapter.from_pretrained(tmp_path).attach(small).eval()
    assert torch.equal(run(small, noise(), again, tokens()), moved)
    again.detach()
    shapes = {name: p.shape for name, p in narrow.named_parameters()}
    fresh = fresh_narrow_adapter(adapter, narrow_widths(unet, 0.5))
    assert {name: p.shape for name, p in fresh.named_parameters()} == shapes
    assert torch.equal(run(small, noise(), fresh.attach(small).eval(), tokens()), run(small, noise()))


def test_a_narrow_pair_plays_in_a_pipeline_and_no_other_base_takes_its_adapter(tiny_base: Path, tmp_path: Path) -> None:
    adapter = make_pipe(tiny_base).adapter
    adapter.absorb_lora()
    widths = narrow_widths(adapter.unet, 0.5)
    unet, narrow = prune_pair(adapter, widths, importance(adapter))
    shutil.copytree(tiny_base, tmp_path / "base")
    shutil.rmtree(tmp_path / "base" / "unet")
    unet.save_pretrained(tmp_path / "base" / "unet")
    narrow.metadata = AdapterMetadata.of(unet, "theory", "narrow", "base")
    narrow.save_pretrained(tmp_path / "adapter")
    pipe = quiet(MuseTunePipeline.from_pretrained(tmp_path / "base", adapter=tmp_path / "adapter"))
    assert tuple(pipe.unet.config.block_out_channels) == widths
    first, second = (music(pipe, harmonic_progression=chords)[0] for chords in ("I V vi IV", "i iv V7 i"))
    assert first.shape == second.shape
    assert (first != second).any()
    brought = quiet(MuseTunePipeline.from_pretrained(tiny_base, adapter=tmp_path / "adapter", unet=unet))
    assert (music(brought)[0] == music(pipe)[0]).all()
    with pytest.raises(ValueError, match="was made for another U-Net"):
        MuseTunePipeline.from_pretrained(tiny_base, adapter=tmp_path / "adapter")


def test_a_lora_goes_into_the_weights_for_good_and_only_then_a_pair_is_pruned() -> None:
    unet, x = make_unet(), noise()
    adapter = make_adapter(unet, rank=2)
    with adapter.merged():
        wanted = run(unet, x, adapter, tokens())
    scores = importance(adapter)
    with pytest.raises(ValueError, match=r"absorb_lora\(\) it first"):
        prune_pair(adapter, (8, 16, 16), scores)
    adapter.absorb_lora()
    assert not adapter.has_lora
    assert not any("lora" in name for name, _ in unet.named_parameters())
    assert torch.equal(run(unet, x, adapter, tokens()), wanted)
    assert len(adapter.trainable_parameters()) == len(list(adapter.parameters()))
    prune_pair(adapter, (8, 16, 16), scores)


def test_site_widths_are_whole_heads_one_a_site() -> None:
    for widths in ((32,), (32, 48)):
        with pytest.raises(ValueError, match=r"site_widths=.* are not 2 multiples of 32"):
            MusicAdapter(channels=(16, 16), site_widths=widths)
    wide = MusicAdapter(channels=(16, 16), site_widths=(32, 96))
    assert [site.heads for site in wide.sites.values()] == [1, 3]
