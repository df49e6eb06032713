"""An adapter for few steps on a pipeline: its scheduler, its steps, one pass, beside any genre; gone without trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from small_pipe import genre_folders, make_pipe, play, random_lora, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.adapter.metadata import AdapterMetadata
from musetune.adapter.sampling import Sampling
from musetune.live.few_steps import load_few_steps
from musetune.pipeline.stream_score import StreamInput
from musetune.symbols.remarks import collected

pytestmark = pytest.mark.slow
DDIM = {"_class_name": "DDIMScheduler", "timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}


def few_steps(
    pipe: MuseTunePipeline, folder: Path, name: str = "fast", seed: int = 21, theory: str | None = None
) -> Path:
    """A LoRA for 2 steps, 2 to 3, of random weights."""
    about = AdapterMetadata.of(pipe.unet, "lora", name, "tiny", theory=theory)
    replace(random_lora(pipe.unet, seed), metadata=replace(about, sampling=Sampling(DDIM, 2, 2, 3))).write(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of genres and of "fast"."""
    root = tmp_path_factory.mktemp("few")
    genre_folders(tiny_base, root)
    few_steps(MuseTunePipeline.from_pretrained(tiny_base), root / "fast")
    return root


@pytest.fixture
def pipe(tiny_base: Path, folders: Path) -> MuseTunePipeline:
    pipe = make_pipe(tiny_base)
    pipe.load_adapter(folders / "fast")
    return pipe


@contextmanager
def watched(pipe: MuseTunePipeline) -> Iterator[list[tuple[str, int]]]:
    """The scheduler and the rows of each pass of the U-Net."""
    passes: list[tuple[str, int]] = []
    hook = pipe.unet.register_forward_pre_hook(
        lambda _, args: passes.append((type(pipe.scheduler).__name__, len(args[0]))), with_kwargs=False
    )
    try:
        yield passes
    finally:
        hook.remove()


def calls(pipe: MuseTunePipeline, **settings: Any) -> list[tuple[str, int]]:
    with watched(pipe) as passes:
        play(pipe, duration_seconds=1.28, **{"num_inference_steps": None, **settings})
    return passes


def test_a_call_has_its_scheduler_its_steps_and_one_pass(pipe: MuseTunePipeline) -> None:
    own = pipe.scheduler
    assert calls(pipe) == [("DDIMScheduler", 1)] * 2
    assert pipe.scheduler is own  # outside of calls the pipeline is the base's
    assert calls(pipe, num_inference_steps=3) == [("DDIMScheduler", 1)] * 3
    with watched(pipe) as passes:
        pipe("warm pop", audio_length_in_s=1.28, generator=seeded())
    assert passes == [("DDIMScheduler", 1)] * 2


def test_steps_and_scales_that_do_not_fit_are_said(pipe: MuseTunePipeline) -> None:
    with collected() as said:
        calls(pipe)
        calls(pipe, num_inference_steps=2, guidance_scale=1.0)
    assert said == []
    with collected() as said:
        calls(pipe, num_inference_steps=1)
    assert said == [
        "num_inference_steps=1: the adapter for few steps was distilled for 2; give 2–3, or unload_adapter it"
    ]
    with collected() as said:
        assert calls(pipe, music_guidance_scale=2.0) == [("DDIMScheduler", 2)] * 2
    assert "guidance in it" in said[0]


def test_genres_come_and_go_beside_it(pipe: MuseTunePipeline, folders: Path) -> None:
    fast = play(pipe, num_inference_steps=2).audios
    pipe.load_adapter(folders / "jazz")
    assert pipe.adapters["fast"].weight == pipe.adapters["jazz"].weight == 1.0
    both = play(pipe, num_inference_steps=2).audios
    assert not np.array_equal(both, fast)
    pipe.set_adapter({"jazz": 0.5})
    assert pipe.adapters["fast"].weight == 1.0
    pipe.set_adapter(None)
    assert np.array_equal(play(pipe, num_inference_steps=2).audios, fast)
    pipe.set_adapter("jazz")
    pipe.load_adapter(folders / "fast")  # again: the genre stays
    assert np.array_equal(play(pipe, num_inference_steps=2).audios, both)


def test_silenced_and_unloaded_it_leaves_nothing(tiny_base: Path, pipe: MuseTunePipeline) -> None:
    plain = play(make_pipe(tiny_base), num_inference_steps=2).audios
    pipe.set_adapter({"fast": 0})
    assert np.array_equal(play(pipe, num_inference_steps=2).audios, plain)
    assert len(calls(pipe)) == 20
    pipe.set_adapter({"fast": 1})
    assert len(calls(pipe)) == 2
    pipe.unload_adapter("fast")
    assert np.array_equal(play(pipe, num_inference_steps=2).audios, plain)


def test_two_for_few_steps_are_one_too_many(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    pipe.load_adapter(few_steps(pipe, tmp_path / "other", "faster", 22))
    assert {n: i.weight for n, i in pipe.adapters.items()} == {"theory": 1, "fast": 0, "faster": 1}
    with pytest.raises(ValueError, match=r"fast and faster each set the steps.*\{'faster': 0\}"):
        pipe.set_adapter({"fast": 1})
    assert pipe.adapters["faster"].weight == 1.0


def test_a_saved_folder_is_fast_again_and_its_base_is_the_bases(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    again = MuseTunePipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    assert type(again.scheduler) is type(pipe.scheduler) is not DDIMScheduler
    assert np.array_equal(play(again, num_inference_steps=2).audios, play(pipe, num_inference_steps=2).audios)
    assert calls(again) == [("DDIMScheduler", 1)] * 2


def test_a_stream_may_name_it_in_its_mix(pipe: MuseTunePipeline) -> None:
    pipe.set_adapter({"fast": 0})
    played = StreamInput(LeadSheet.parse("| C |", bpm=240), mix={"fast": 1.0})
    with watched(pipe) as passes:
        next(pipe.stream(played, stereo=False, generator=seeded()))
    assert passes == 2 * [("DDIMScheduler", 1)]
    assert pipe.adapters["fast"].weight == 0


def test_live_takes_the_bundled_one_where_it_fits(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = make_pipe(tiny_base)
    assert load_few_steps(pipe) is None  # nano's
    for theory, expected in (("other", None), ("theory", "fast")):
        few_steps(pipe, tmp_path / "fast", theory=theory)
        monkeypatch.setattr("musetune.hub.locate.BUNDLED_ADAPTERS", (tmp_path,))
        assert load_few_steps(pipe) == expected
    assert pipe.adapters["fast"].weight == 1
    assert load_few_steps(pipe) == "fast"  # it is there


def test_streams_and_edits_are_fast_too(pipe: MuseTunePipeline) -> None:
    sheet = LeadSheet.parse("| C | F |", bpm=120)
    with watched(pipe) as passes:
        next(pipe.stream(sheet, stereo=False, generator=seeded()))
    assert passes == [("DDIMScheduler", 1)] * 2
    take = play(pipe, num_inference_steps=2, output_type="np")
    with watched(pipe) as passes:
        pipe.repaint(take, seconds=(0.64, 1.28), generator=seeded())
    assert passes == [("DDIMScheduler", 1)] * 2
    assert torch.is_tensor(take.latents)
