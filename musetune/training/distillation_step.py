"""The loss of a step of distillation: what the student says on the teacher's way, against what it should say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from musetune.training import seeding
from musetune.training.batch import Batch
from musetune.training.distillation import consistency_function, pseudo_huber, split_prediction, trajectory_target
from musetune.training.lora_student import average_of
from musetune.training.state import TrainingState


@dataclass(frozen=True)
class DistillationLoss:
    """Which loss is taken of a batch of the teacher's states.

    Attributes:
        method: One of `musetune.training.distillation.METHODS`.
        schedules: Numbers of steps of the student that are trained in turn, each a divisor of the teacher's.
        own_share: How many samples begin where the student itself came to by its steps before, and learn to come back
            to the teacher's way, 0…1; the others begin on that way. Without them the student's errors add up, for it
            never sees their consequences (arXiv 1011.0686).
        skipping_steps: Of the teacher, between the two states that consistency compares.
        huber_width: c of the pseudo-Huber loss.
        seed: Of the run.
        timesteps: Of the teacher's states but the last, (teacher's steps,).
        alphas: Of all of them, (teacher's steps + 1,).
        prediction_type: epsilon, v_prediction or sample.
    """

    method: str
    schedules: tuple[int, ...]
    own_share: float
    skipping_steps: int
    huber_width: float
    seed: int
    timesteps: Tensor
    alphas: Tensor
    prediction_type: str

    def __call__(self, model: nn.Module, state: TrainingState, batch: Batch, states: Tensor) -> Tensor:
        """Loss of each sample, (B,).

        Args:
            model: The student as it is trained, perhaps in DDP's wrapper.
            state: How far the run is; consistency asks its averages.
            batch: The conditions.
            states: Of the teacher, (teacher's steps + 1, B, channels, rows, cols).
        """
        loss = self._trajectory if self.method == "trajectory" else self._consistency
        return loss(model, state, batch, states)

    def _trajectory(self, model: nn.Module, state: TrainingState, batch: Batch, states: Tensor) -> Tensor:
        """One step of the student against several of the teacher."""
        steps = self.schedules[state.step % len(self.schedules)]
        per_step = len(self.timesteps) // steps
        places = torch.arange(states.shape[1], device=states.device)
        before = (places + state.step // len(self.schedules)) % steps  # each of the steps, in turn
        starts, ends = per_step * before, per_step * (before + 1)
        start, end = states[starts, places], states[ends, places]
        draws = torch.rand(len(places), generator=seeding.generator(self.seed, state.step, "own"))
        own = (draws < self.own_share).to(start.device) & (before > 0)
        start[own] = self._walk(model, batch, states[0], torch.where(own, before, 0), per_step)[own]
        wanted = trajectory_target(start, end, self.alphas[starts], self.alphas[ends], self.prediction_type)
        predicted = model(start, self.timesteps[starts], batch.tokens, batch.text)
        return pseudo_huber(predicted, wanted, self.huber_width)

    @torch.no_grad()
    def _walk(self, model: nn.Module, batch: Batch, noise: Tensor, steps: Tensor, per_step: int) -> Tensor:
        """Where the student comes to from noise by so many of its steps (B,) of DDIM, each as long as several of the
        teacher's.
        """
        samples = noise.clone()
        for number in range(int(steps.max())):
            on = (steps > number).nonzero().flatten()
            start, end = number * per_step, (number + 1) * per_step
            some, t = batch.part(on), self.timesteps[start].expand(len(on))
            alpha, alpha_end = self.alphas[start].expand(len(on)), self.alphas[end]
            predicted = model(samples[on], t, some.tokens, some.text).float()
            latents, spread = split_prediction(samples[on], predicted, alpha, self.prediction_type)
            samples[on] = alpha_end.sqrt() * latents + (1 - alpha_end).sqrt() * spread
        return samples

    def _consistency(self, model: nn.Module, state: TrainingState, batch: Batch, states: Tensor) -> Tensor:
        """The end of the trajectory as the student sees it from a state, against its average from a later one."""
        steps = len(self.timesteps)
        places = torch.arange(states.shape[1], device=states.device)
        draws = [seeding.generator(self.seed, state.step, f"place {i}") for i in places.tolist()]
        starts = seeding.timesteps(draws, steps, "stratified").to(states.device)
        ends = (starts + self.skipping_steps).clamp(max=steps)

        def clean(indices: Tensor, answer: Callable[..., Tensor]) -> Tensor:
            samples, t = states[indices, places], self.timesteps[indices]
            predicted = answer(samples, t, batch.tokens, batch.text)
            latents, _ = split_prediction(samples, predicted, self.alphas[indices], self.prediction_type)
            return consistency_function(samples, latents, t)

        with torch.no_grad():
            averages = average_of(state.parameters, state.averages)
            wanted = clean(ends.clamp(max=steps - 1), partial(model, values=averages))
            over = ends == steps  # nothing is left to be predicted there
            wanted[over] = states[-1][over]
        return pseudo_huber(clean(starts, model), wanted, self.huber_width)
