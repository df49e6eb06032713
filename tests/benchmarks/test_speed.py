"""What the benchmarks of speed count is right. No clock is judged."""

from __future__ import annotations

import importlib.util
import time
from contextlib import ExitStack
from pathlib import Path

import call_profile
import compiling
import decoders
import ladder
import pytest
import quantization
import realsize
import realsize_pipeline
import torch
from call_profile import PASS, WHOLE
from kept_rows import KeptRows
from realsize import Time
from small_pipe import make_pipe, music
from transformers.pytorch_utils import Conv1D

from musetune.pipeline import optimizing
from musetune.pipeline.decoding import decoder_for


def test_inner_parts_are_taken_from_outer_ones_and_all_add_up() -> None:
    watch = call_profile.Stopwatch()
    inner = watch.around("inner", lambda: time.sleep(0.02))

    def outer() -> None:
        inner()
        inner()

    began = time.perf_counter()
    with watch.timing("rest"):
        watch.around("outer", outer)()
    whole = time.perf_counter() - began
    assert watch.times["inner"].wall_s >= 0.04
    assert watch.times["outer"].wall_s < watch.times["inner"].wall_s
    assert sum(part.wall_s for part in watch.times.values()) == pytest.approx(whole, rel=0.05)


@pytest.mark.slow
def test_a_profile_has_every_part_and_leaves_the_pipeline_alone(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    own = {name: set(vars(part)) for name, part in pipe.components.items() if hasattr(part, "__dict__")}
    found = call_profile.profile(pipe, lambda: music(pipe, return_report=True, num_inference_steps=2), 1)
    (first,), (again,) = found["first"], found["again"]
    asked = ("text encoder CLAP", "text encoder T5", "GPT-2")
    assert all(first[part].wall_s > 0 for part in (*asked, "U-Net", "autoencoder", "vocoder", "report"))
    assert all(again[part] == Time(0.0, 0.0) for part in asked)
    assert again["U-Net"].wall_s > 0
    for calls in found.values():
        parts = [times.wall_s for name, times in calls[0].items() if not name.startswith((WHOLE, PASS))]
        assert sum(parts) == pytest.approx(calls[0][call_profile.WHOLE].wall_s)
    assert {name: set(vars(part)) for name, part in pipe.components.items() if hasattr(part, "__dict__")} == own
    assert "upsampler" not in first  # this pipeline has none
    rows = call_profile.rows_of(found, 2)
    assert {len(row) for row in rows} == {len(call_profile.COLUMNS)}
    assert len(rows) == len(first)
    assert any(name == f"{PASS} of 4" for name in first)  # two steps of two
    pipe.load_decoder(decoder_for(pipe, dim=16, layers=1))
    ((again,),) = (call_profile.profile(pipe, lambda: music(pipe), 1)["again"],)
    assert again["tiny decoder"].wall_s > 0
    assert again["autoencoder"] == again["vocoder"] == Time(0.0, 0.0)


def test_sizes_are_of_all_that_is_rounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """At small shapes: a part that a kind does not round keeps its size, and one that it does has a quarter of it."""
    pytest.importorskip("torchao")
    for name in ("text_encoder", "text_encoder_2"):
        monkeypatch.setattr(
            realsize_pipeline, name, lambda: torch.nn.ModuleDict({"text_model": torch.nn.Linear(512, 512)})
        )
    monkeypatch.setattr(realsize_pipeline, "language_model", lambda: torch.nn.ModuleList([Conv1D(512, 512)]))
    monkeypatch.setattr(
        quantization, "unet_of", lambda base: torch.nn.ModuleDict({"conv_in": torch.nn.Linear(512, 512)})
    )
    kept = KeptRows(tmp_path / "sizes.json")
    rows = {row["kind"]: row for row in quantization.measure_sizes(kept)}
    monkeypatch.setattr(quantization, "megabytes", lambda module: pytest.fail("it was measured"))
    again = quantization.measure_sizes(KeptRows(tmp_path / "sizes.json"))
    assert again == list(rows.values())
    with pytest.raises(ValueError, match=r"sizes\.json was measured with .* not with .*'threads': 1.*: give another"):
        KeptRows(tmp_path / "sizes.json", threads=1)
    whole = 4 * (512 * 512 + 512) / 1e6
    assert all(rows["float32"][part] == pytest.approx(whole) for part in ("U-Net", "CLAP", "T5", "GPT-2"))
    assert rows["int8"]["U-Net"] == pytest.approx(whole)  # conv_in is kept
    assert all(rows["int8"][part] == pytest.approx(whole / 4, rel=0.02) for part in ("CLAP", "T5", "GPT-2"))
    assert rows["bfloat16"]["all"] == pytest.approx(2 * whole)
    assert {len(line) for line in quantization.size_lines(list(rows.values()))} == {len(quantization.SIZE_COLUMNS)}


@pytest.mark.real_size
def test_the_tiny_decoder_is_held_against_the_pair() -> None:
    pair, tiny = rows = decoders.measure(0.32, 1)
    assert pair["flops"] > 20 * tiny["flops"] > 0
    assert pair["parameters"] > 5 * tiny["parameters"]
    assert {len(line) for line in decoders.lines(rows)} == {len(decoders.COLUMNS)}


@pytest.mark.slow
def test_quantised_steps_are_smaller_and_near_the_exact_ones(tiny_base: Path) -> None:
    pytest.importorskip("torchao")
    threads = torch.get_num_threads()
    exact, rounded = (
        quantization.steps_of(str(tiny_base), str(tiny_base / "unet"), kind, 1, threads) for kind in ("float32", "int8")
    )
    assert rounded["mb"] < exact["mb"]
    apart = torch.from_numpy(rounded["output"] - exact["output"]).norm() / torch.from_numpy(exact["output"]).norm()
    assert 0 < apart < 0.1
    rows = [{**row, "moved": 0.0, "ratio": 1.0} for row in (exact, rounded)]
    assert {len(line) for line in quantization.step_lines(rows)} == {len(quantization.STEP_COLUMNS)}


@pytest.mark.slow
def test_the_ladder_has_its_rungs_and_they_say_what_they_should(tiny_base: Path, tmp_path: Path) -> None:
    base = realsize.base_of(str(tiny_base))
    with ExitStack() as undo:
        rungs = ladder.rungs_of(base, ("int8",) if importlib.util.find_spec("torchao") else (), tmp_path, undo, 1)
        outputs = {name: rung.step() for name, rung in rungs.items()}
        assert list(rungs)[:3] == list(ladder.PLAIN)
        assert all(rung.against in (None, *rungs) for rung in rungs.values())
        beside, merged = (outputs[name] for name in ladder.PLAIN[1:])
        torch.testing.assert_close(beside, merged, atol=1e-4, rtol=1e-3)  # a merged LoRA says the same
        few, half = outputs[ladder.FAST], outputs[ladder.HALF]
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), few, atol=0.1, rtol=0.1)
        one, guided = (ladder.flops_of(rungs[name].step) for name in (ladder.FAST, ladder.PLAIN[2]))
        assert guided == rungs[ladder.PLAIN[2]].passes * one > 0

    names = (*ladder.PLAIN[1:], ladder.FAST)  # against the one before
    pairs = zip(names, ladder.PLAIN)
    found = {name: ladder.measured(rungs, name, (before,), 1) for name, before in pairs}
    assert found[ladder.FAST]["faster"].keys() == {ladder.PLAIN[2]}
    assert found[ladder.PLAIN[2]]["limit_s"] > found[ladder.FAST]["limit_s"] > 0
    assert all(one["turns_s"] == [pytest.approx(one["wall_s"])] for one in found.values())
    told = [{"base": "small", "rung": name, **one} for name, one in found.items()]
    assert {len(line) for line in ladder.lines(told)} == {len(ladder.COLUMNS)}

    pipe, rows = make_pipe(tiny_base), []  # and a call by the defaults has these steps of these passes
    pipe.unet.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    music(pipe, num_inference_steps=None)
    assert rows == [rungs[ladder.PLAIN[2]].passes] * rungs[ladder.PLAIN[2]].steps
    rows.clear()
    optimizing.guided_step(pipe)()
    assert rows == [rungs[ladder.PLAIN[2]].passes]


def test_what_compiling_brings_is_told_of_each_part(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is another test's; here it takes its time and uses the network."""
    pipe, used = make_pipe(tiny_base), []
    monkeypatch.setattr(compiling, "compile_sound", lambda network, use, backend: used.append((network, use())))
    found = compiling.measure(pipe, "vocoder", 1)
    assert used[0][0] is pipe.vocoder
    assert len({one.shape for one in used[0][1]}) == 2  # of much sound and of little
    assert found["compiling_s"] > 0
    assert {len(line) for line in compiling.lines([found])} == {len(compiling.COLUMNS)}
