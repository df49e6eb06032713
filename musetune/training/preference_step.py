"""A round of preference tuning and the loss of one of its batches: model, reference, what is preferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import load_file
from torch import Tensor

from musetune.adapter import MusicAdapter
from musetune.datasets.fingerprint import check_base
from musetune.datasets.preference_set import PreferenceSet
from musetune.datasets.tokens import load_tokens
from musetune.evaluation.provenance import hash_of
from musetune.hub.locate import find_base
from musetune.training import seeding
from musetune.training.batch import Dropout, draw_batch
from musetune.training.denoiser import Denoiser
from musetune.training.frozen_copy import FrozenCopy
from musetune.training.loss import add_noise, target
from musetune.training.memory import enable_gradient_checkpointing
from musetune.training.preference_loss import crpo_loss, dpo_loss, nft_loss, preference_margin, sample_errors
from musetune.training.preference_run import PreferenceRun
from musetune.training.setup import attach_present_adapter, choose_trained_parts, load_noise_schedule, load_unet
from musetune.training.state import learning_rate_factor, make_state
from musetune.training.stroke_feedback import StrokeFeedback


@dataclass(frozen=True)
class PreferenceLoss:
    """Which loss is taken of a batch, and how the batch is drawn.

    Attributes:
        method: One of `musetune.training.preference_loss.METHODS`.
        beta: Of dpo and crpo, over 0.
        winner_weight: Of crpo, at least 0.
        nft_beta: Of nft, over 0.
        dropout: How often conditions are hidden.
        crop_rows: Latent rows of a random crop; None takes whole takes.
        seed: Of the run.
        feedback: Of refl.
    """

    method: str
    beta: float
    winner_weight: float
    nft_beta: float
    dropout: Dropout
    crop_rows: int | None
    seed: int
    feedback: StrokeFeedback | None = None

    def __call__(
        self,
        run: PreferenceRun,
        chosen: int,
        items: Sequence[tuple[int, ...]],
        keys: Sequence[str],
        step: int,
        *,
        places: Sequence[int],
        of: int,
    ) -> tuple[Tensor, Tensor]:
        """Loss (B,) of a batch, and by how much the policy prefers each better take more than the reference does, (B,).

        Of refl the latter is by how much better its strokes are heard.

        Args:
            run: The round.
            chosen: Which of its sets the batch is from.
            items: Places of the better and of the worse take; of nft and refl of one take, of supervised of the better
                one.
            keys: What each item's random numbers depend on, beside seed and step.
            step: Of the optimiser.
            places: Each item's place among all of the step, in all processes and micro-batches; of supervised.
            of: How many those are.
        """
        if self.method == "refl":
            assert self.feedback is not None
            places = [place for (place,) in items]
            hidden = replace(self.dropout, condition=0.0, stem=0.0)  # the notes that it asks for are told
            return self.feedback(
                run,
                run.sets[chosen],
                run.tokens[chosen],
                places,
                keys,
                step,
                seed=self.seed,
                dropout=hidden,
                crop_rows=self.crop_rows,
            )
        data, device, kind = run.sets[chosen].data, run.alphas.device, run.prediction_type
        columns = list(zip(*items, strict=True))  # all better takes, then all worse ones
        first, *twins = ([seeding.generator(self.seed, step, key) for key in keys] for _ in columns)
        batch = draw_batch(  # both takes of a pair: the same crop, the same conditions hidden
            data,
            run.tokens[chosen],
            [place for column in columns for place in column],
            [generator for column in (first, *twins) for generator in column],
            frames_per_row=run.denoiser.adapter.config.frames_per_row,
            crop_rows=self.crop_rows,
            dropout=replace(self.dropout, arrangement=0.0, stem=0.0) if run.sets[chosen].notes_told else self.dropout,
        ).to(device)
        sampling = "stratified" if self.method == "supervised" else "uniform"
        t = seeding.timesteps(first, len(run.alphas), sampling, places=places, of=of).repeat(len(columns)).to(device)
        noise = seeding.noise(first, batch.latents.shape[1:]).repeat(len(columns), 1, 1, 1).to(device)
        noisy = add_noise(batch.latents, noise, run.alphas, t)
        wanted = target(batch.latents, noise, run.alphas, t, kind)
        predicted = run.model(noisy, t, batch.tokens, batch.text)
        error = sample_errors(predicted, wanted)
        if self.method == "supervised":
            return error, torch.zeros_like(error)
        reference = run.reference(noisy, t, batch.tokens, batch.text)
        reference_error = sample_errors(reference, wanted)
        if self.method == "nft":
            optimality = torch.tensor([run.sets[chosen].optimality[place] for (place,) in items], device=device)
            gain = (reference_error - error) * (2 * optimality - 1)
            return nft_loss(predicted, reference, wanted, optimality, self.nft_beta), gain
        margin = preference_margin(error, reference_error)
        if self.method == "dpo":
            return dpo_loss(error, reference_error, self.beta), margin
        return crpo_loss(error, reference_error, self.beta, self.winner_weight), margin


def set_up_round(
    accelerator: Accelerator,
    sets: Sequence[PreferenceSet],
    *,
    base: str,
    adapter: str,
    rank: int,
    start: Path | None,
    method: str,
    seed: int,
    cpu: bool,
    gradient_checkpointing: bool,
    learning_rate: float,
    lr_scheduler: str,
    lr_warmup_steps: int,
    max_train_steps: int,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
    ema_decay: float | None,
    players_only: bool = False,
    more_facts: Mapping[str, str] | None = None,
) -> PreferenceRun:
    """Everything before a round's first step: model, what learns of it, its frozen copy, and what is preferred.

    Args:
        accelerator: The processes.
        sets: What is preferred.
        base: Bundled name, folder or Hub id.
        adapter: That was there before the first round: bundled name, folder or Hub id.
        rank: 0: all of it learns; above: it stays, and a LoRA of this rank on top of it learns.
        start: Weights that the round begins with, as `preference_run.save_round` writes them; None: the adapter's own.
        method: What learns from the sets; says what their items are.
        seed: Of a new LoRA's weights.
        cpu: Train on the CPU even where there is a GPU.
        gradient_checkpointing: Less memory, more time.
        learning_rate: Peak, over 0.
        lr_scheduler: One of diffusers' names.
        lr_warmup_steps: At least 0.
        max_train_steps: Of the round.
        betas: Of AdamW.
        epsilon: Of AdamW.
        weight_decay: Of AdamW.
        ema_decay: Of the moving averages; None keeps none.
        players_only: Of the adapter only the branch for players' notes learns.
        more_facts: What else a resumed run must have alike.

    Raises:
        ValueError: A set is another base's, or holds nothing to learn from, or the adapter has no such branch.
    """
    base = find_base(base)
    for one in sets:
        check_base(base, one.data.info.base_fingerprint, one.data.info.base, one.folder)
        check_set(one, method)
    info, noise_schedule = sets[0].data.info, load_noise_schedule(base)
    set_seed(seed)
    unet = load_unet(base, info.channels, cpu=cpu)
    attached = attach_present_adapter(unet, adapter, frozen=rank > 0)
    choose_trained_parts(attached, base, frozen=rank > 0, rank=rank, stem_hidden=0, stem_channels=0, new_stems=False)
    if players_only:
        let_players_learn(attached)
    if gradient_checkpointing:
        enable_gradient_checkpointing(unet)
    model = accelerator.prepare(Denoiser(unet, attached, info.row_s).train())
    denoiser = accelerator.unwrap_model(model)
    if start is not None:
        weights, named = load_file(start), dict(denoiser.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                named[name].copy_(value)
    state = make_state(
        denoiser,
        learning_rate=learning_rate,
        betas=betas,
        epsilon=epsilon,
        weight_decay=weight_decay,
        ema_decay=ema_decay,
    )
    factor = learning_rate_factor(state.optimizer, lr_scheduler, lr_warmup_steps, max_train_steps)
    with accelerator.main_process_first():
        write, shape = accelerator.is_main_process, attached.config
        tokens = [load_tokens(s.data, shape.frames_per_row, shape.event_s, write=write, quiet=True) for s in sets]
    alphas, kind = noise_schedule.alphas_cumprod.to(accelerator.device), noise_schedule.config.prediction_type
    reference = FrozenCopy(denoiser, state.named)
    facts = facts_of(sets) | {"processes": accelerator.num_processes} | dict(more_facts or {})
    return PreferenceRun(model, denoiser, reference, state, factor, alphas, kind, sets, tokens, facts)


def check_set(one: PreferenceSet, method: str) -> None:
    """Raise ValueError for a set that holds nothing for a method to learn from."""
    if one.items(method):
        return
    if method == "refl":
        raise ValueError(f"{one.folder} has no takes with players' notes, which refl learns from: give notes_share=1")
    raise ValueError(f"{one.folder} holds no pairs: draw more requests or candidates, or give a smaller margin")


def let_players_learn(adapter: MusicAdapter) -> None:
    """Freeze everything but the branch for players' notes, so that calls without notes stay as they were."""
    if adapter.stems is None:
        raise ValueError("the adapter has no branch for players' notes: tune all of it, learned=all")
    adapter.unet.requires_grad_(False)  # the adapter's LoRA too
    adapter.requires_grad_(False)
    adapter.stems.requires_grad_(True)


def facts_of(sets: Sequence[PreferenceSet]) -> dict[str, str | int]:
    """Digests of the takes and of what is preferred among them: a resumed run is exact where they are alike."""
    facts: dict[str, str | int] = {}
    for place, one in enumerate(sets):
        facts[f"takes of set {place} ({one.folder.name})"] = one.data.digest()
        said = repr((one.kind, one.pairs, sorted(one.optimality.items())))
        facts[f"preferences of set {place} ({one.folder.name})"] = hash_of(said.encode())
    return facts
