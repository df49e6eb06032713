"""Which base made a data set: told by the files, part by part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from musetune.datasets.fingerprint import check_base, fingerprint


def write(base: Path, **parts: float) -> Path:
    for name, value in parts.items():
        (base / name).mkdir(parents=True, exist_ok=True)
        save_file({"w": torch.full((5000,), value), "b": torch.tensor(value)}, base / name / "model.safetensors")
    return base


def test_each_part_that_makes_data_counts(tmp_path: Path) -> None:
    base = write(tmp_path / "base", vae=1.0, text_encoder=2.0, unet=3.0, vocoder=4.0)
    before = fingerprint(base)
    assert [part.split("=")[0] for part in before.split()] == ["vae", "text_encoder"]
    write(base, unet=5.0, vocoder=5.0)
    save_file({"w": torch.zeros(2)}, base / "vae" / "model.fp16.safetensors")
    assert fingerprint(base) == before
    write(base, vae=1.5)
    assert fingerprint(base).split()[1] == before.split()[1]
    assert fingerprint(base).split()[0] != before.split()[0]


def test_only_parts_on_both_sides_are_compared(tmp_path: Path) -> None:
    base = write(tmp_path / "base", vae=1.0, text_encoder_2=2.0)
    made_with = fingerprint(base)
    other = write(tmp_path / "other", vae=1.0, text_encoder_2=3.0, projection_model=1.0)
    check_base(base, made_with, "base", "data")
    check_base(write(tmp_path / "bare", unet=1.0), made_with, "base", "data")
    check_base(other, "f00", "base", "data")  # of a version that kept one number for all
    with pytest.raises(
        ValueError, match=r"data was made by the base base, whose text_encoder_2 differ from those of .*other"
    ):
        check_base(other, made_with, "base", "data")


def test_a_hub_id_without_a_local_copy_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert fingerprint("nobody/no-such-base") == ""
