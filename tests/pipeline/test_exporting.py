"""Exported networks say what torch's do, to a thousandth, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.pipeline.exported_unet import ExportedUNet, load_engine
from musetune.pipeline.exporting import export_onnx, other_parts

pytest.importorskip("onnxscript")
ROWS = 10
SECONDS = 1.28


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    pipe = make_pipe(tiny_base)
    pipe.load_upsampler()
    return pipe


@pytest.fixture(scope="module")
def folder(pipe: MuseTunePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    files = export_onnx(pipe, folder, seconds=SECONDS)
    assert list(files) == ["unet", "decoder", "vocoder", "upsampler"]
    return folder


@pytest.mark.heavy
def test_every_network_is_the_same_to_a_thousandth(pipe: MuseTunePipeline, folder: Path) -> None:
    """At another length than the export's example; a whole call whose U-Net runs in ONNX Runtime, with its LoRA."""
    for name, part in other_parts(pipe, ROWS + 7).items():
        run = load_engine(folder / f"{name}.onnx", "onnxruntime", 1)
        with torch.no_grad():
            wanted = part.module(*part.example.values())
        found = run({key: tensor.numpy() for key, tensor in part.example.items()})
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-3, rtol=1e-3, err_msg=name)

    sheet = LeadSheet.parse("I V ii7", bpm=100, duration_seconds=SECONDS)
    request = {"lead_sheet": sheet, "num_inference_steps": 2, "output_type": "latent"}
    wanted = pipe("warm pop", generator=seeded(), **request).audios
    pipe.load_engine(folder, "onnxruntime", threads=1)
    calls, run = [], pipe.exported_unet.run
    pipe.exported_unet.run = lambda arrays: (calls.append(arrays["sample"].shape), run(arrays))[1]
    try:
        found = pipe("warm pop", generator=seeded(), **request).audios
        np.testing.assert_allclose(found, wanted, atol=1e-3, rtol=1e-3)
        assert len(calls) >= 2 * request["num_inference_steps"]  # row by row
        longer = {"harmonic_progression": "I V", "num_inference_steps": 1}
        pipe("warm pop", duration_seconds=2 * SECONDS, **longer)  # in windows of the exported length
        with pytest.raises(ValueError, match="latent rows were asked for, and 10 were exported"):
            pipe("warm pop", duration_seconds=SECONDS / 2, **longer)
        with pytest.raises(ValueError, match="was exported from another base, adapter or mix"):
            pipe("warm pop", **request, strength=0.5)
    finally:
        pipe.load_engine(None)
    assert np.array_equal(pipe("warm pop", generator=seeded(), **request).audios, wanted)


def test_what_cannot_be_exported_is_refused(pipe: MuseTunePipeline, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no theory adapter to export"):
        export_onnx(MuseTunePipeline.from_pretrained(tiny_base), tmp_path)
    with pytest.raises(ValueError, match="'drums' is not one of unet, decoder, vocoder, upsampler"):
        export_onnx(pipe, tmp_path, names=["drums"])
    with pytest.raises(ValueError, match="holds no exported U-Net: write one with musetune export onnx"):
        ExportedUNet(tmp_path)
    (tmp_path / "unet.onnx").touch()
    (tmp_path / "layout.json").write_text("{}")
    with pytest.raises(ValueError, match="engine='tensorrt' is not one of onnxruntime, openvino"):
        load_engine(tmp_path / "unet.onnx", "tensorrt")
