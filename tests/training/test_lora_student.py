"""The student starts as the model itself, and what it learned is what a pipeline adds to the weights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel
from small import COLS, GPT2, ROW_S, ROWS, T5, make_base

from musetune import LeadSheet, MusicAdapter
from musetune.adapter.merging import merged
from musetune.conditioning import MusicTokens, tokenize
from musetune.datasets import TextEmbedding
from musetune.training.denoiser import Denoiser
from musetune.training.lora_student import LoraStudent, average_of

Inputs = tuple[torch.Tensor, torch.Tensor, MusicTokens, TextEmbedding]


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Denoiser]:
    """With a music adapter whose own LoRA is merged."""
    folder = make_base(tmp_path_factory.mktemp("base"))
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(folder / "unet")
    adapter = MusicAdapter.for_unet(unet, cols=COLS, dim=32, hidden=16, map_channels=8).attach(unet)
    adapter.add_lora(2)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.normal_(std=0.1, generator=torch.Generator().manual_seed(3))
    with adapter.merged():
        yield Denoiser(unet, adapter, ROW_S).eval()


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    g = torch.Generator().manual_seed(1)
    sheet = LeadSheet.parse("| C | F |", bpm=120)
    tokens = tokenize(sheet, frame_s=ROW_S / 4, n_frames=4 * ROWS)
    text = TextEmbedding(torch.randn(1, 3, T5, generator=g), torch.ones(1, 3), torch.randn(1, 8, GPT2, generator=g))
    return torch.randn(1, 8, ROWS, COLS, generator=g), torch.tensor([500]), tokens, text


@torch.no_grad()
def test_it_starts_as_the_model_and_leaves_the_model_alone(denoiser: Denoiser, inputs: Inputs) -> None:
    student = LoraStudent(denoiser, 3)
    plain = denoiser(*inputs)
    assert torch.equal(student(*inputs), plain)
    for up in student.up.values():
        up.normal_(std=0.1)
    assert not torch.allclose(student(*inputs), plain)
    assert torch.equal(denoiser(*inputs), plain)


@torch.no_grad()
def test_what_it_learned_is_what_a_pipeline_merges(denoiser: Denoiser, inputs: Inputs) -> None:
    student = LoraStudent(denoiser, 3)
    for up in student.up.values():
        up.normal_(std=0.1)
    learned = student(*inputs)
    beside = {f"{name}.weight": [part] for name, part in student.parts().items()}
    with merged(denoiser.unet, beside):
        torch.testing.assert_close(denoiser(*inputs), learned)


def test_gradients_reach_the_lora_alone(denoiser: Denoiser, inputs: Inputs) -> None:
    student = LoraStudent(denoiser, 3)
    student(*inputs).square().mean().backward()
    assert all(up.grad is not None and bool(up.grad.any()) for up in student.up.values())
    assert all(p.grad is None for p in denoiser.parameters())
    assert {name.split("/")[-1] for name in student.up} >= {"to_q", "conv1", "conv_out", "linear_1"}
    assert not any(name.startswith("conv_in") for name in student.up)


@torch.no_grad()
def test_averages_take_the_parameters_place(denoiser: Denoiser, inputs: Inputs) -> None:
    student = LoraStudent(denoiser, 3)
    parameters = list(student.parameters())
    learning = [p for p in parameters if p.requires_grad]
    averages = [torch.ones_like(p) * 0.01 for p in learning]
    got = student(*inputs, average_of(learning, averages))
    for p, average in zip(learning, averages, strict=True):
        p.copy_(average)
    assert torch.equal(student(*inputs), got)
    assert average_of(learning, None) is None
