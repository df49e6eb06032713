"""The benchmarks of the real size on a toy base: what they count is right, and the music is really there.

No clock is judged.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields
from pathlib import Path

import adapter_overhead
import adapter_training
import cached_training
import pytest
import realsize
import torch

from musetune.adapter import MusicAdapter
from recipes import finetune

ROWS = 16


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> realsize.Base:
    return realsize.base_of(str(tiny_base))


def test_the_shapes_are_those_of_the_bases() -> None:
    real, nano = realsize.base_of("audioldm2"), realsize.base_of("nano")
    assert (real.rows, real.cols, real.row_s) == (256, 16, pytest.approx(0.04))
    assert (nano.rows, nano.cols, nano.row_s) == (80, 16, pytest.approx(0.128))
    assert realsize.recipe_of("audioldm2").frames_per_row == 2
    assert realsize.recipe_of("nano").frames_per_row == 4
    defaults, ours = finetune.Config(), realsize.TheoryRecipe()
    assert {f.name: getattr(defaults, f.name) for f in fields(ours)} == asdict(ours)
    with pytest.raises(FileNotFoundError, match="give the folder of a base"):
        realsize.config_of(Path(__file__).parent, "unet")


def test_the_real_adapter_stays_within_its_aim() -> None:
    real, recipe = realsize.base_of("audioldm2"), realsize.recipe_of("audioldm2")
    with torch.device("meta"):
        unet = realsize.unet_of(real)
        parameters = realsize.count(unet)
        adapter = realsize.adapter_of(unet, real, recipe, recipe.rank)
    trained = sum(p.numel() for p in adapter.trainable_parameters())
    assert parameters == pytest.approx(346.9e6, rel=0.01)
    assert realsize.count(adapter) < trained <= 20e6


@pytest.mark.parametrize(("events", "seconds"), [(128, 10.24), (128, 5.12), (32, 2.048), (16, 10.24)])
def test_a_busy_sheet_has_exactly_so_many_events(events: int, seconds: float, base: realsize.Base) -> None:
    rows = round(seconds / base.row_s)
    unet = realsize.unet_of(base)
    adapter = realsize.adapter_of(unet, base, realsize.recipe_of("tiny"))
    tokens = realsize.tokens_of(events, base, rows, adapter, 2)
    assert tokens.events.shape[:2] == (2, events)
    assert bool(tokens.event_mask.all())
    prepared = adapter.prepare(tokens, rows, base.cols, base.row_s)
    read = [keys.shape[2] for keys in prepared.stream.keys if keys is not None]
    assert read == [events + 1] * len(read)  # and the one that is always there
    assert read


def test_events_that_no_tempo_can_spread_are_refused() -> None:
    with pytest.raises(ValueError, match="1 events do not spread over 10"):
        realsize.busy_sheet(1, 10.24)


def test_variants_share_the_weights_and_not_the_plugs(base: realsize.Base) -> None:
    found = adapter_overhead.variants(base, 2)
    plain, _ = found[adapter_overhead.PLAIN]
    own = dict(plain.named_parameters())
    for name in (adapter_overhead.ADAPTER, adapter_overhead.LORA):
        unet, adapter = found[name]
        assert isinstance(adapter, MusicAdapter)
        theirs = {p.data_ptr() for n, p in unet.named_parameters() if "lora_" not in n}
        assert {p.data_ptr() for p in own.values()} <= theirs
    assert not any("lora_" in n for n in own)
    assert not any(p.requires_grad for p in own.values())


def test_steps_differ_where_the_adapter_speaks_and_merging_keeps_what_it_says(base: realsize.Base) -> None:
    unet, recipe = realsize.unet_of(base), realsize.recipe_of("tiny")
    plugged = adapter_overhead.sharing(unet)
    adapter = realsize.adapter_of(plugged, base, recipe, 2)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
        outputs = []
        for which, attached in ((unet, None), (plugged, adapter)):
            torch.manual_seed(3)
            step, _ = adapter_overhead.step_of(which, attached, base, ROWS, 1, 32)
            outputs.append(step())
        with adapter.merged():
            torch.testing.assert_close(step(), outputs[1], atol=1e-4, rtol=1e-3)
    assert not torch.allclose(outputs[0], outputs[1])


@pytest.mark.slow
def test_overhead_has_a_row_for_each_way_and_counts_them(tiny_base: Path, tmp_path: Path) -> None:
    rows = adapter_overhead.measure(str(tiny_base), events=32, pairs=2, rank=2, rows=ROWS)
    plain, adapter, lora, merged, two, three = rows
    assert "trained" not in plain | two
    assert adapter["trained"] == adapter["own"] == lora["own"]
    assert lora["trained"] == merged["trained"] > adapter["trained"]
    assert lora["trained"] == three["trained"]
    assert [row.get("events") for row in rows] == [None, 32, 32, 32, None, 32]
    assert [row["batch"] for row in rows] == [1, 1, 1, 1, 2, 3]
    assert all(len(row["seconds"]) == 2 and min(row["seconds"]) > 0 for row in rows)
    assert plain["added"] == plain["added_pairs"] == two["added"] == 0
    assert three["added"] == pytest.approx(three["wall_s"] / two["wall_s"] - 1)
    text = realsize.table(adapter_overhead.lines(rows))
    assert len(text.splitlines()) == 8
    assert len({line.count("|") for line in text.splitlines()}) == 1
    realsize.finish(rows, tmp_path / "out" / "figures.json")
    assert json.loads((tmp_path / "out" / "figures.json").read_text())["rows"] == rows


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_step_moves_what_trains_and_nothing_else(base: realsize.Base, checkpointing: bool) -> None:
    learner = adapter_training.Learner(base, checkpointing=checkpointing, device="cpu")
    before = {n: p.detach().clone() for n, p in learner.model.named_parameters()}
    tokens = realsize.tokens_of(32, base, ROWS, learner.adapter, 2)
    text = adapter_training.TextEmbedding(*realsize.words_of(base, 2))
    latents = torch.randn(2, base.unet["in_channels"], ROWS, base.cols)
    losses = [learner.step(latents, tokens, text) for _ in range(2)]
    assert all(0 < loss < 100 for loss in losses)
    moved = {n for n, p in learner.model.named_parameters() if not torch.equal(p, before[n])}
    trained = {id(p) for p in learner.trained}
    assert moved
    assert all(id(p) in trained for n, p in learner.model.named_parameters() if n in moved)
    assert learner.base_parameters == realsize.count(realsize.unet_of(base))


@pytest.mark.slow
def test_training_in_its_own_process_reports_parameters_and_peak(tiny_base: Path, base: realsize.Base) -> None:
    trial = adapter_training.Trial(str(tiny_base), 2, True, 1, ROWS, threads=1)
    row = adapter_training.alone(trial)
    here = realsize.adapter_of(realsize.unet_of(base), base, realsize.recipe_of("tiny"))
    assert row["adapter"] == realsize.count(here)
    assert row["lora"] > 0
    assert (row["batch"], row["checkpointing"], row["events"], row["rows"]) == (2, True, adapter_training.EVENTS, ROWS)
    assert row["peak"] >= row["before"] > 50e6
    assert len(row["seconds"]) == len(row["losses"]) - 1 == 1
    text = realsize.table(adapter_training.lines([row, {**trial._asdict(), "killed": True}]))
    assert "killed by the system" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_both_sources_give_the_same_latents_and_words(tiny_base: Path, base: realsize.Base, tmp_path: Path) -> None:
    ears = cached_training.Ears(tiny_base, "cpu")
    waves = 0.1 * torch.randn(2, round(ROWS * base.row_s * 16000), generator=torch.Generator().manual_seed(0))
    dataset = cached_training.write_dataset(tmp_path, base, ROWS, waves, ears)
    assert dataset.latents.shape == (2, base.unet["in_channels"], ROWS, base.cols)
    torch.testing.assert_close(dataset.latents.float(), ears.latents(waves), atol=0.02, rtol=0.01)
    prompt = dataset.clips[0].text
    fresh, kept = ears.text([prompt]), dataset.texts[prompt]
    torch.testing.assert_close(
        fresh.generated_prompt_embeds[0], kept.generated_prompt_embeds.float(), atol=0.02, rtol=0.01
    )
    assert fresh.attention_mask.shape[1] == kept.attention_mask.shape[0]


@pytest.mark.slow
def test_waveforms_cost_more_operations_than_what_is_cached(tiny_base: Path) -> None:
    cached, waveforms = cached_training.measure(str(tiny_base), batch=2, turns=1, rows=ROWS)
    assert (cached["what"], waveforms["what"]) == ("cached", "waveforms")
    assert cached["ratio_flop"] == waveforms["flop"] / cached["flop"] > 1
    assert cached["clips_s"] == pytest.approx(2 / cached["wall_s"])
    text = realsize.table(cached_training.lines([cached, waveforms]))
    assert len({line.count("|") for line in text.splitlines()}) == 1


@pytest.mark.parametrize("benchmark", [adapter_overhead, adapter_training, cached_training])
def test_help_teaches(benchmark, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sys, "argv", ["benchmark", "--help"])
    with pytest.raises(SystemExit) as left:
        benchmark.main()
    told = capsys.readouterr().out
    assert left.value.code == 0
    assert benchmark.__doc__.splitlines()[0] in told
    assert all(option in told for option in ("--base", "--rows", "--threads", "--json"))
