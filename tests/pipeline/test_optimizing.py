"""What makes a pipeline faster leaves it the same pipeline. No clock is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import genre_folders, make_pipe, music, seeded, words

from musetune import LeadSheet
from musetune.models.upsampler import StereoUpsampler
from musetune.pipeline import compiling, optimizing


def test_casting_for_a_trial_leaves_every_number(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    parts = [part for part in (pipe.unet, pipe.adapter) for part in (part.state_dict(), dict(part.named_buffers()))]
    before = [{name: tensor.clone() for name, tensor in part.items()} for part in parts]
    wanted = music(pipe)
    with optimizing.casting(pipe, torch.bfloat16):
        assert pipe.unet.dtype == pipe.adapter.dtype == torch.bfloat16
        halved = music(pipe)
    assert pipe.unet.dtype == torch.float32
    assert np.array_equal(music(pipe), wanted)
    parts = [part for part in (pipe.unet, pipe.adapter) for part in (part.state_dict(), dict(part.named_buffers()))]
    assert all(torch.equal(now[name], was[name]) for now, was in zip(parts, before) for name in was)
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
    monkeypatch.setattr(compiling.shutil, "which", lambda _: None)
    found = pipe.optimize(compile=True)
    assert found.seconds == {"float32": 1.0, "bfloat16": factor}
    assert found.dtype == pipe.unet.dtype == (torch.bfloat16 if factor < 0.9 else torch.float32)
    assert not found.compiled
    assert "no C++ compiler" in str(found)
    assert str(found.dtype).removeprefix("torch.") in str(found)
    assert np.isfinite(music(pipe)).all()
    assert np.isfinite(words(pipe)).all()
    told = str(pipe.optimize(half=False))
    assert "torch.compile was not tried" in told
    assert "engines were not tried: engines=FOLDER" in told
    with pytest.raises(ValueError, match="compile='vae' is not one of unet, vocoder, upsampler"):
        pipe.optimize(compile=["unet", "vae"])


@pytest.mark.slow
def test_compiled_networks_serve_every_length_sheet_and_mix(tiny_base: Path, tmp_path: Path) -> None:
    """U-Net, vocoder and upsampler; graphs are counted by a backend that runs them as they are."""
    pipe, graphs = make_pipe(tiny_base), []
    for name in ("jazz", "rock"):
        pipe.load_adapter(genre_folders(tiny_base, tmp_path) / name)
    pipe.set_adapter(None)
    pipe.register_modules(upsampler=StereoUpsampler(dim=16, hidden=32, layers=2).eval())

    def counting(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        graphs.append(graph)
        return graph.forward

    requests: list[tuple[str, float, dict[str, float] | None]] = [
        ("| C | F | G |", 5.12, None),
        ("| C7 Dm | Am |", 2.56, None),
        ("| C | F | G |", 5.12, {"jazz": 1.0}),
        ("| C | F | G |", 5.12, {"jazz": 0.4, "rock": 0.5}),
        ("| Am | E7/G# | Fmaj7 | E |", 3.9, None),  # rows that do not halve evenly
        ("| Am | D7 |", 2.4, {"jazz": 0.4, "rock": 0.5}),
    ]

    def sound(chords: str, seconds: float, mix: dict[str, float] | None) -> np.ndarray:
        pipe.set_adapter(mix)
        sheet = LeadSheet.parse(chords, bpm=120, duration_seconds=seconds)
        return pipe("pop", lead_sheet=sheet, num_inference_steps=1, generator=seeded(), stereo=True).audios

    wanted = [sound(*request) for request in requests]
    pipe.set_adapter(None)
    compiling.compile_unet(pipe, counting)
    made = len(graphs)
    assert made > 1
    for network in (pipe.vocoder, pipe.upsampler):
        compiling.compile_sound(network, lambda: [sound(*request) for request in requests[:2]], counting)
    assert made + 2 <= len(graphs) <= made + 4  # of each one, or one for little sound and one for more
    made = len(graphs)
    for request, audio in zip(requests, wanted, strict=True):
        np.testing.assert_allclose(sound(*request), audio, atol=1e-4)
    assert len(graphs) == made  # nothing is compiled again
    for network in (pipe.vocoder, pipe.upsampler):
        compiling.uncompile(network)
    np.testing.assert_array_equal(pipe.to_stereo(wanted[0][0].mean(0)[::3]).shape, wanted[0][0].shape)
    assert "features" not in vars(pipe.vocoder)


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
