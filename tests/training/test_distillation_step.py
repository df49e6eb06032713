"""The loss of a step of distillation: where its samples begin, and what they learn to reach."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler
from small_unet import SHEETS, tokens
from torch import Tensor, nn

from musetune.conditioning import MusicTokens
from musetune.datasets.latent_dataset import TextEmbedding
from musetune.training.batch import Batch
from musetune.training.distillation import trajectory_target
from musetune.training.distillation_step import DistillationLoss
from musetune.training.state import TrainingState

SIZE, TEACHER = 8, 20
STATE = TrainingState({}, torch.optim.SGD([nn.Parameter(torch.zeros(1))]), None)


class Model(nn.Module):
    """Answers with a tenth of what it hears, and remembers what that was."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Tensor, Tensor]] = []

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: MusicTokens, text: TextEmbedding) -> Tensor:
        assert len(noisy) == len(timesteps) == len(tokens.events) == len(text.prompt_embeds)
        self.heard.append((noisy.clone(), timesteps))
        return 0.1 * noisy


@pytest.fixture
def batch() -> Batch:
    some = tokens(rows=10, sheets=[SHEETS[i % len(SHEETS)] for i in range(SIZE)])
    text = TextEmbedding(torch.zeros(SIZE, 3, 4), torch.ones(SIZE, 3), torch.zeros(SIZE, 2, 4))
    return Batch([str(i) for i in range(SIZE)], torch.zeros(SIZE, 2, 10, 4), some, text)


def scheduler(steps: int) -> DDIMScheduler:
    made = DDIMScheduler(prediction_type="v_prediction", timestep_spacing="trailing", clip_sample=False, steps_offset=0)
    made.set_timesteps(steps)
    return made


def loss_of(schedules: tuple[int, ...], own_share: float) -> DistillationLoss:
    teacher = scheduler(TEACHER)
    alphas = torch.cat([teacher.alphas_cumprod[teacher.timesteps], torch.ones(1)])
    return DistillationLoss("trajectory", schedules, own_share, 1, 0.1, 0, teacher.timesteps, alphas, "v_prediction")


@pytest.mark.parametrize("steps", [2, 4])
def test_samples_of_its_own_begin_where_the_scheduler_brings_the_student(batch: Batch, steps: int) -> None:
    states = torch.randn(TEACHER + 1, *batch.latents.shape, generator=torch.Generator().manual_seed(0))
    model, short = Model(), scheduler(steps)
    loss_of((steps,), 1.0)(model, STATE, batch, states)
    begun, times = model.heard[-1]
    samples = states[0]
    for number, t in enumerate(short.timesteps):
        there = torch.arange(SIZE) % steps == number
        assert bool((times[there] == t).all())
        torch.testing.assert_close(begun[there], samples[there], rtol=1e-4, atol=1e-4)
        samples = short.step(0.1 * samples, t, samples).prev_sample


def test_it_learns_to_come_back_to_the_teachers_way(batch: Batch) -> None:
    """From where it came to itself, what is wanted of it lands on the teacher's next state."""
    states = torch.randn(TEACHER + 1, *batch.latents.shape, generator=torch.Generator().manual_seed(1))
    loss, model = loss_of((4,), 1.0), Model()
    per_sample = loss(model, STATE, batch, states)
    begun, _ = model.heard[-1]
    places = torch.arange(SIZE)
    starts = 5 * (places % 4)
    wanted = trajectory_target(
        begun, states[starts + 5, places], loss.alphas[starts], loss.alphas[starts + 5], "v_prediction"
    )
    off = (0.1 * begun - wanted).square()
    torch.testing.assert_close(per_sample, ((off + 0.01).sqrt() - 0.1).flatten(1).mean(1))


def test_without_a_share_of_its_own_all_begin_on_the_teachers_way(batch: Batch) -> None:
    states = torch.randn(TEACHER + 1, *batch.latents.shape, generator=torch.Generator().manual_seed(2))
    model = Model()
    loss_of((4,), 0.0)(model, STATE, batch, states)
    assert len(model.heard) == 1
    places = torch.arange(SIZE)
    assert torch.equal(model.heard[0][0], states[5 * (places % 4), places])


def test_numbers_of_steps_take_turns_and_each_place_comes_to_every_sample(batch: Batch) -> None:
    states = torch.zeros(TEACHER + 1, *batch.latents.shape)
    loss, seen = loss_of((2, 4), 0.0), set()
    for step in range(8):
        model = Model()
        state = TrainingState({}, STATE.optimizer, None, step)
        loss(model, state, batch, states)
        seen |= {(step % 2, i, int(t)) for i, t in enumerate(model.heard[0][1])}
    assert len(seen) == SIZE * (2 + 4)
