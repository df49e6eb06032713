"""Reward feedback on strokes: a batch's loss through the network that hears them, at the guided guess of the take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from musetune.datasets.preference_set import PreferenceSet
from musetune.datasets.tokens import TokenTable
from musetune.evaluation.notes import strokes_of
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.training import seeding
from musetune.training.batch import Dropout, draw_batch
from musetune.training.distillation import split_prediction
from musetune.training.loss import add_noise
from musetune.training.preference_loss import refl_loss
from musetune.training.preference_run import PreferenceRun
from musetune.training.stroke_network import StrokeNetwork, stroke_labels, stroke_loss
from musetune.training.tokens import draw_crops

NOTHING = Dropout(text=1.0, stream=0.0, condition=1.0, span=0.0, arrangement=1.0, expression=1.0)
LEAST_NOISE, MOST_NOISE = 0.15, 0.9  # places in the noise schedule that a sample begins at
LEAST_NOISE_AGAIN = 0.06  # of a guess that is noised again
OWN_SHARE = 0.5  # of the samples that go on from the reference's own guess, noised again


@dataclass(frozen=True)
class StrokeFeedback:
    """What asks the policy for strokes.

    Attributes:
        network: Hears them in spectrograms; frozen.
        decode: Makes spectrograms (B, 1, frames, bins) of latents: the base's autoencoder, frozen.
        guidance: g of the guided guess, as calls with players' notes have it (their rescaling is left out).
        anchor: α: how close to the reference.
    """

    network: StrokeNetwork
    decode: Callable[[Tensor], Tensor]
    guidance: float
    anchor: float

    def __call__(
        self,
        run: PreferenceRun,
        chosen: PreferenceSet,
        tokens: TokenTable,
        places: Sequence[int],
        keys: Sequence[str],
        step: int,
        *,
        seed: int,
        dropout: Dropout,
        crop_rows: int | None,
    ) -> tuple[Tensor, Tensor]:
        """Loss (B,), and by how much better the strokes are heard in the policy's guess than in the reference's, (B,).

        Args:
            run: The round.
            chosen: One of its sets.
            tokens: Of its takes.
            places: Of the takes in it; all with players' notes.
            keys: What each sample's random numbers depend on, beside seed and step.
            step: Of the optimiser.
            seed: Of the run.
            dropout: How often conditions are hidden.
            crop_rows: Latent rows of a random crop; None takes whole takes.
        """
        device, count = run.alphas.device, len(run.alphas)
        frames = run.denoiser.adapter.config.frames_per_row

        def generators() -> list[torch.Generator]:
            return [seeding.generator(seed, step, key) for key in keys]

        asked, nothing = (
            draw_batch(
                chosen.data,
                tokens,
                list(places),
                generators(),  # the same crop
                frames_per_row=frames,
                crop_rows=crop_rows,
                dropout=hidden,
            ).to(device)
            for hidden in (dropout, NOTHING)
        )
        draws = [seeding.generator(seed, step, f"{key} feedback") for key in keys]
        first, second, own = (torch.stack([torch.rand((), generator=g) for g in draws]).to(device) for _ in range(3))
        t = ((LEAST_NOISE + (MOST_NOISE - LEAST_NOISE) * first) * count).long()
        shape = asked.latents.shape[1:]
        noisy = add_noise(asked.latents, seeding.noise(draws, shape).to(device), run.alphas, t)
        with torch.no_grad():
            without = run.reference(noisy, t, nothing.tokens, nothing.text)
            guess = self._guess(run, noisy, t, without, run.reference(noisy, t, asked.tokens, asked.text))
            later = (t * second).long().clamp_min(int(LEAST_NOISE_AGAIN * count))
            goes_on = own < OWN_SHARE
            further = add_noise(guess, seeding.noise(draws, shape).to(device), run.alphas, later)
            noisy = torch.where(goes_on.view(-1, 1, 1, 1), further, noisy)
            t = torch.where(goes_on, later, t)
            without = run.reference(noisy, t, nothing.tokens, nothing.text)
            reference = run.reference(noisy, t, asked.tokens, asked.text)
        predicted = run.model(noisy, t, asked.tokens, asked.text)
        guesses = (self._guess(run, noisy, t, without, one) for one in (predicted, reference))
        heard, heard_before = (self.network(self.decode(guess)) for guess in guesses)
        labels = labels_of(chosen, places, generators(), crop_rows, heard.shape[2]).to(device)
        ill, ill_before = stroke_loss(heard, labels), stroke_loss(heard_before, labels)
        return refl_loss(ill, predicted, reference, self.anchor), (ill_before - ill).detach()

    def _guess(self, run: PreferenceRun, noisy: Tensor, t: Tensor, without: Tensor, prediction: Tensor) -> Tensor:
        """The clean take that a guided prediction amounts to."""
        guided = without + self.guidance * (prediction.float() - without)
        return split_prediction(noisy, guided, run.alphas[t], run.prediction_type)[0]


def labels_of(
    chosen: PreferenceSet,
    places: Sequence[int],
    generators: list[torch.Generator],
    crop_rows: int | None,
    frames: int,
) -> Tensor:
    """Labels (B, drums, frames) of the strokes that the takes were to play, cropped as `draw_batch` crops."""
    info = chosen.data.info
    rows = crop_rows or info.rows
    starts = [0] * len(places) if crop_rows is None else draw_crops(generators, info.rows, crop_rows).tolist()
    frame_s = rows * info.row_s / frames
    labels = []
    for place, start in zip(places, starts, strict=True):
        clip = chosen.data.clips[place]
        assert clip.arrangement is not None
        notes = Arrangement.from_json(clip.arrangement, LeadSheet.from_json(clip.lead_sheet).grid)
        strokes = strokes_of(notes, info.rows * info.row_s)
        inside = {name: times[times >= start * info.row_s] - start * info.row_s for name, times in strokes.items()}
        labels.append(stroke_labels(inside, frames, frame_s))
    return torch.stack(labels)
