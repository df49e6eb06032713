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

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata
from musetune.adapter.sampling import Sampling
from musetune.adapter.theory_digest import theory_digest
from musetune.hub.locate import find_adapter
from musetune.live.few_steps import load_few_steps
from musetune.pipeline.editing import first_step_of
from musetune.pipeline.stream_score import StreamInput
from musetune.symbols.remarks import collected

pytestmark = pytest.mark.slow
DDIM = {"_class_name": "DDIMScheduler", "timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}


def few_steps(
    pipe: MuseTunePipeline,
    folder: Path,
    name: str = "fast",
    seed: int = 21,
    theory: str | None = None,
    digest: str | None = None,
) -> Path:
    """A LoRA for 2 steps, 2 to 3, of random weights."""
    about = AdapterMetadata.of(pipe.unet, "lora", name, "tiny", theory=theory)
    about = replace(about, sampling=Sampling(DDIM, 2, 2, 3), theory_digest=digest)
    replace(random_lora(pipe.unet, seed), metadata=about).write(folder)
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


def test_strength_scales_the_theory_adapter_and_genres_and_not_it(pipe: MuseTunePipeline, folders: Path) -> None:
    """Its few steps are not scaled either: at any strength it is there as it was distilled, or not at all."""

    def scales(strength: float) -> dict[int, float]:
        ours = {id(part.down): name for name, lora in pipe.loras.loras.items() for part in lora.parts.values()}
        deltas = [part for parts in pipe.loras.parts(strength).values() for part in parts]
        return {ours[id(part.down)]: part.scale for part in deltas}

    pipe.load_adapter(folders / "jazz")
    assert scales(1.0) == {"fast": 1.0, "jazz": 1.0}
    assert scales(0.5) == {"fast": 1.0, "jazz": 0.5}
    assert scales(0.0) == {"fast": 1.0}
    for weight in (0.5, 1.5):
        with pytest.raises(ValueError, match=f"the weight fast={weight} of a LoRA of few steps is neither 0 nor 1"):
            pipe.set_adapter({"jazz": 0.3, "fast": weight})
    assert (pipe.adapters["fast"].weight, pipe.adapters["jazz"].weight) == (1.0, 1.0)
    pipe.set_adapter(None)
    alone = play(pipe, strength=0.0).audios
    pipe.adapter_manager.pipe.loras.set({"fast": 0})
    assert not np.array_equal(play(pipe, strength=0.0).audios, alone)


def test_another_theory_adapter_than_it_was_distilled_over_is_said(tiny_base: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    own = theory_digest(pipe.adapter)
    few_steps(pipe, tmp_path / "fast", theory="theory", digest=own)
    with collected() as said:
        pipe.load_adapter(tmp_path / "fast")
        pipe.to(torch.bfloat16)
        assert theory_digest(pipe.adapter) == own  # one name in both precisions
    assert said == []
    pipe = make_pipe(tiny_base)
    pipe.save_adapter(tmp_path / "theory", "theory")
    with torch.no_grad():  # tuned further, by its old name
        next(p for name, p in pipe.adapter.sites.named_parameters()).add_(0.05)
    with collected() as said:
        pipe.load_adapter(tmp_path / "fast")
    assert "'fast' was distilled over other weights of a theory adapter" in said[0]
    with collected() as said:
        pipe.load_adapter(tmp_path / "theory")
    assert said == []
    again = pipe.save_adapter(tmp_path / "again", "fast")
    assert (again / "musetune.json").read_bytes() == (tmp_path / "fast" / "musetune.json").read_bytes()


def test_the_shipped_one_fits_the_shipped_theory_adapter() -> None:
    metadata = read_adapter_metadata(find_adapter("fast"))
    assert metadata is not None
    assert metadata.theory_digest is not None
    assert metadata.theory_digest == theory_digest(MusicAdapter.from_pretrained(find_adapter("theory")))


def test_any_variation_is_one(pipe: MuseTunePipeline) -> None:
    take = play(pipe, duration_seconds=1.28)
    with watched(pipe) as passes, collected() as said:
        pipe.vary(take, amount=0.1, generator=seeded())
    assert passes == [("DDIMScheduler", 1)]
    assert said == ["amount=0.1: 2 steps play it as 0.5, a whole number of them; give multiples of 0.5, or more steps"]
    assert [first_step_of(amount, 4) for amount in (0, 0.01, 0.25, 0.4, 1)] == [4, 3, 3, 2, 0]
    with watched(pipe) as passes:
        pipe.vary(take, amount=0.0, generator=seeded())
    assert passes == []


def test_a_call_without_music_says_that_it_leaves_the_theory_adapter_out(tiny_base: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    pipe.load_adapter(few_steps(pipe, tmp_path / "fast", theory="theory"))
    with collected() as said:
        calls(pipe)
    assert said == []
    with collected() as said:
        pipe("warm pop", audio_length_in_s=1.28, generator=seeded())
    assert len(said) == 1
    assert said[0].startswith(
        "'fast' was distilled over the theory adapter 'theory', which a call without music leaves"
    )


def test_guidance_that_has_no_meaning_in_one_pass_is_said(pipe: MuseTunePipeline) -> None:
    idle = {"guidance_rescale": 0.5, "guidance_interval": (0, 0.5), "music_guidance_interval": (0, 0.5)}
    with collected() as said:
        calls(pipe, negative_prompt="noise", **idle)
    assert [text.split(":")[0] for text in said] == [", ".join(idle), "negative_prompt"]
    with collected() as said:
        pipe("warm pop", audio_length_in_s=1.28, negative_prompt="noise", generator=seeded())
    assert any(text.startswith("negative_prompt: the adapter for few steps plays in one pass") for text in said)


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
