"""Nothing that the project writes for sharing holds a pickle: every file's bytes are read."""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from server import LoopbackHub
from small_pipe import genre_folder, make_pipe

from musetune.hub import push

REPOSITORY = Path(__file__).parents[2]
SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".joblib")
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def pickled(name: str, data: bytes) -> str | None:
    """How a file holds, or may hold, a pickle: by its name, as a zip with one, or as one; None where it does not."""
    if name.endswith(SUFFIXES):
        return "suffix"
    if data.startswith(b"PK\x03\x04") or b"data.pkl" in data:
        return "zip"
    try:
        last = [opcode.name for opcode, _, _ in pickletools.genops(io.BytesIO(data))][-1]
    except Exception:  # not a pickle: pickletools raises what it likes at bytes that are none
        return None
    return "pickle" if last == "STOP" else None


def scan(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {str(path.relative_to(folder)): how for path in files if (how := pickled(path.name, path.read_bytes()))}


def old_torch(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def new_torch(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_the_scan_sees_pickles_of_every_kind() -> None:
    value = {"weight": torch.ones(3)}
    for protocol in range(6):
        assert pickled("model.safetensors", pickle.dumps([1, "x"], protocol)) == "pickle", protocol
    assert pickled("model.safetensors", new_torch(value)) == "zip"
    assert pickled("model.safetensors", b"fLaC" + new_torch(value)) == "zip"
    assert pickled("model.safetensors", old_torch(value)) == "pickle"
    assert pickled("model.bin", b"anything") == "suffix"
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("a", b"")
    assert pickled("a.json", buffer.getvalue()) == "zip"


def test_what_ships_holds_none() -> None:
    assert scan(REPOSITORY / "adapters") == {}
    assert scan(REPOSITORY / "musetune" / "models" / "bases") == {}


def test_the_packages_own_arrays_load_without_pickles() -> None:
    for path in (REPOSITORY / "musetune").rglob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays)


@pytest.mark.slow
def test_what_is_saved_and_pushed_holds_none(tiny_base: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    genre_folder(pipe.unet, tmp_path / "jazz", seed=11)
    pipe.load_adapter(tmp_path / "jazz")
    pipe.save_pretrained(tmp_path / "whole")
    pipe.save_adapter(tmp_path / "theory", "theory")
    for name in ("whole", "theory", "jazz"):
        assert scan(tmp_path / name) == {}
        push(tmp_path / name, f"me/{name}", license="mit")
    sent = {
        name: data for repo in hub.repos.values() for files in repo.commits.values() for name, data in files.items()
    }
    assert {
        "config.json",
        "adapter_model.safetensors",
        "lora/adapter_model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
    } <= set(sent)
    assert {name: how for name, data in sent.items() if (how := pickled(name, data))} == {}
    assert not [oid for oid, data in hub.objects.items() if pickled(oid, data)]
