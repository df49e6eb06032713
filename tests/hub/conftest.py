"""A Hub on loopback, and folders of adapters to put there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from server import LoopbackHub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """A running LoopbackHub that huggingface_hub takes for the Hub, with an empty cache, the token "write", and no
    waiting before retries.
    """
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http

    with LoopbackHub() as running:
        monkeypatch.setenv("HF_TOKEN", "write")
        monkeypatch.setattr(constants, "ENDPOINT", running.endpoint)
        template = running.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        for module in (_http, file_download):
            monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda s: None, time=module.time.time))
        yield running


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes an adapter's folder with toy weights and everything else that such a folder may hold."""
    return lambda name="jazz", **fields: write_folder(tmp_path / name, **fields)


def write_folder(folder: Path, **fields: object) -> Path:
    import soundfile
    from matplotlib import image
    from safetensors.numpy import save_file

    told = {"schema": 1, "kind": "lora", "name": folder.name, "genre": "jazz", "base": "nano", "theory": "theory"}
    told |= fields
    folder.mkdir(parents=True)
    weights = {"unet.lora_A.weight": np.ones((2, 8), np.float32), "unet.lora_B.weight": np.zeros((8, 2), np.float32)}
    if told["kind"] == "lora":
        save_file(weights, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    else:
        save_file(weights, folder / "diffusion_pytorch_model.safetensors")
        (folder / "config.json").write_text(json.dumps({"_class_name": "MusicAdapter"}))
    (folder / "musetune.json").write_text(json.dumps(told))
    cell = {"mean": 0.851, "low": 0.79, "high": 0.9, "n": 60}
    table = {
        "floor A": {"majmin": cell | {"mean": 0.05}, "key": None},
        "adapter": {"majmin": cell, "beat_f": cell | {"mean": 0.942}, "key": None},
        "ceiling A": {"majmin": cell | {"mean": 0.9}, "beat_f": cell, "key": None},
    }
    (folder / "results.json").write_text(json.dumps({"command": "python recipes/evaluate.py", "n": 60, "table": table}))
    story = {
        "config": {"genre": told["genre"], "rank": 12, "train_batch_size": 16, "learning_rate": 0.001, "seed": 3},
        "data": {"clips": 1200, "rows": 80, "row_s": 0.128, "songs": 40, "minutes": 68.3, "licences": ["MIT"]},
        "step": 4000,
        "versions": {"musetune": "0.1.0"},
    }
    (folder / "training.json").write_text(json.dumps(story))
    soundfile.write(folder / "sample.flac", np.sin(np.arange(8000) / 20), 16000)
    image.imsave(folder / "chart.png", np.zeros((4, 4)))
    return folder
