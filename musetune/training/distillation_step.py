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
        steps: Of the student, a divisor of the teacher's.
        skipping_steps: Of the teacher, between the two states that consistency compares.
        huber_width: c of the pseudo-Huber loss.
        seed: Of the run.
        timesteps: Of the teacher's states but the last, (teacher's steps,).
        alphas: Of all of them, (teacher's steps + 1,).
        prediction_type: epsilon, v_prediction or sample.
    """

    method: str
    steps: int
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
        per_step = len(self.timesteps) // self.steps
        places = torch.arange(states.shape[1], device=states.device)
        starts = per_step * ((places + state.step) % self.steps)  # each of the steps, in turn
        start, end = states[starts, places], states[starts + per_step, places]
        t = self.timesteps[starts]
        wanted = trajectory_target(
            start, end, self.alphas[starts], self.alphas[starts + per_step], self.prediction_type
        )
        return pseudo_huber(model(start, t, batch.tokens, batch.text), wanted, self.huber_width)

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
