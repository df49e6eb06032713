"""What makes a pipeline faster leaves it the same pipeline; nothing is compiled twice; no clock is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import genre_folders, make_pipe, music, play, words

from musetune.pipeline import optimizing


@pytest.mark.heavy
def test_nothing_is_compiled_anew_for_another_length_sheet_or_mix(tiny_base: Path, tmp_path: Path) -> None:
    """The graphs that torch.compile makes, counted; what they are compiled to does not matter for that."""
    from torch._dynamo.utils import counters

    pipe = make_pipe(tiny_base)
    genres = genre_folders(tiny_base, tmp_path)
    pipe.load_adapter(genres / "jazz")
    pipe.load_adapter(genres / "rock")
    pipe.load_upsampler()
    wanted = music(pipe)
    torch._dynamo.reset()
    optimizing.compile_networks(pipe, backend="eager")
    try:
        np.testing.assert_allclose(music(pipe, stereo=False), wanted, atol=1e-4)
        music(pipe, stereo=True)
        play(pipe, num_inference_steps=1, duration_seconds=2.56, harmonic_progression="ii7 V7", stereo=True)
        before = dict(counters["stats"])
        assert before["unique_graphs"] > 0
        play(pipe, num_inference_steps=1, duration_seconds=3.84, harmonic_progression="I IV V I vi", stereo=True)
        pipe.set_adapter({"jazz": 0.4, "rock": 1.2})
        play(pipe, num_inference_steps=2, duration_seconds=1.92, bpm=90, key="Eb major", stereo=True)
        assert counters["stats"]["unique_graphs"] == before["unique_graphs"]
    finally:
        optimizing.undo_compiling(pipe)
        torch._dynamo.reset()
    pipe.set_adapter("rock")
    assert np.array_equal(music(pipe), wanted)


def test_casting_for_a_trial_leaves_every_number(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    wanted = music(pipe)
    with optimizing.casting(pipe, torch.bfloat16):
        assert pipe.unet.dtype == pipe.adapter.dtype == torch.bfloat16
        halved = music(pipe)
    assert pipe.unet.dtype == torch.float32
    assert np.array_equal(music(pipe), wanted)
    assert 0 < np.linalg.norm(halved - wanted) / np.linalg.norm(wanted) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.5, 1.05])
def test_what_pays_is_kept_and_reported(tiny_base: Path, monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """With a clock that says how fast half precision is."""
    pipe = make_pipe(tiny_base)

    def seconds(step) -> float:  # type: ignore[no-untyped-def]
        step()
        return factor if pipe.unet.dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(optimizing, "seconds_of", seconds)
    monkeypatch.setattr(optimizing.shutil, "which", lambda _: None)
    found = pipe.optimize()
    assert found.seconds == {"float32": 1.0, "bfloat16": factor}
    assert found.dtype == pipe.unet.dtype == (torch.bfloat16 if factor < 0.9 else torch.float32)
    assert not found.compiled
    assert "no C++ compiler" in str(found)
    assert str(found.dtype).removeprefix("torch.") in str(found)
    assert np.isfinite(music(pipe)).all()
    assert np.isfinite(words(pipe)).all()
    with pytest.raises(ValueError, match="compile=True: this machine has no C"):
        pipe.optimize(compile=True)


def test_it_is_refused_while_weights_are_others(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    pipe.fuse_adapter()
    with pytest.raises(ValueError, match=r"unfuse_adapter\(\) first"):
        pipe.optimize()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_plays_on_a_gpu(tiny_base: Path, dtype: torch.dtype) -> None:
    pipe = make_pipe(tiny_base).to("cuda")
    optimizing.cast(pipe, dtype)
    assert np.isfinite(music(pipe)).all()
