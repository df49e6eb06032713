"""Train a MusicAdapter (and LoRA) on a data set of cached latents made by recipes/prepare.py.

    accelerate launch recipes/finetune.py recipes/configs/theory.yaml train_data_dir=data/songs output_dir=runs/theory

Options: the YAML file and `key=value` overrides, all fields of `Config` below, named as in diffusers' training scripts
where those have the same one. Only the base's U-Net and scheduler are loaded, and its vocoder for a new branch that
reads stems. A run that was killed continues with `resume_from_checkpoint=latest`, and ends with the weights and the
loss log that it would have had.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from omegaconf import MISSING
from tqdm import tqdm

from musetune.datasets import LatentDataset
from musetune.datasets.bar_weights import MIN_CONFIDENCE, row_weights
from musetune.datasets.fingerprint import check_base
from musetune.hub.locate import find_base
from musetune.training import Dropout, TokenTable, draw_batch, load_tokens, seeding
from musetune.training.checkpoint import find_checkpoint
from musetune.training.config import command_line, read, run_command
from musetune.training.denoiser import Denoiser
from musetune.training.loss import add_noise, diffusion_loss, snr, target
from musetune.training.memory import enable_gradient_checkpointing
from musetune.training.run_info import describe_music, save_adapter, save_lora, with_averages
from musetune.training.setup import (
    GENRE,
    attach_adapter,
    choose_trained_parts,
    load_noise_schedule,
    load_unet,
    merge_lora,
    resolve_mixed_precision,
    start_accelerator,
    without_lora,
)
from musetune.training.state import (
    TrainingState,
    begin,
    learning_rate_factor,
    log_step,
    make_state,
    out_of_time,
    resume_state,
    save_state,
    stop_where_nothing_is_finite,
)
from musetune.training.tokens import zero_unseen_embeddings
from musetune.training.validation import generate_and_score

# What a resumed run may have otherwise and still repeat the uninterrupted one exactly.
RECORDS = (
    "output_dir",
    "resume_from_checkpoint",
    "max_train_minutes",
    "report_to",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "validation_steps",
    "num_validation_clips",
    "name",
    "data_license",
)


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    pretrained_model_name_or_path: str = MISSING  # the base: nano, a folder or a Hub name with unet/ and scheduler/
    train_data_dir: str = MISSING  # a data set made by prepare.py
    output_dir: str = MISSING  # checkpoints, loss.jsonl, logs/, and at the end adapter/
    name: str | None = None  # of the adapter; null: its genre, else the last part of output_dir
    data_license: str | None = None  # of the music, for the card, such as CC-BY-4.0; null: what each clip says
    seed: int = 0
    # what is trained
    theory_adapter: str | None = None  # an adapter to freeze: only a LoRA (a genre) or one of its branches is trained
    stem_hidden: int = 0  # width of the branch that reads stems, which the frozen adapter has or gets; 0: a LoRA trains
    stem_channels: int = 48  # of a new such branch: channels of its map
    new_stems: bool = False  # a fresh branch instead of the one that the adapter has
    expression_hidden: int = 0  # width of the branch that reads expression, which the adapter has or gets
    expression_channels: int = 24  # of a new such branch: channels of its map
    init_adapter: str | None = None  # an adapter to go on training, with its shape and its LoRA
    rank: int = 0  # of a new LoRA, where the adapter has none; 0 adds none
    frames_per_row: int = 4  # of a new adapter: time steps of beats and chroma in a latent row
    dim: int = 128  # of a new adapter: width of its events
    hidden: int = 96  # of a new adapter: width of its frames
    map_channels: int = 32  # of a new adapter: channels of the map that enters the U-Net
    map_entry: bool = True  # of a new adapter: the map joins the output of the U-Net's first convolution
    map_modulation: bool = True  # of a new adapter: it is added, with a scaled copy of their input, to sites' outputs
    attended: list[int] | None = None  # of a new adapter: the sites that read events; null all, [] none
    rotary: bool = True  # of a new adapter: attention knows the events' times
    event_s: float | None = None  # of a new adapter: further events so far apart, seconds; null: beats and changes
    hidden_streams: list[str] = field(default_factory=list)  # of a new adapter: never heard: chords, beats, …
    genre: str | None = None  # only this genre's clips
    held_out: list[str] | None = None  # not trained on: source files, and clips as file@seconds; null: none
    transpose_augmentation: bool = True  # also prepare.py's copies, by default 2 semitones lower and 3 higher
    min_confidence: float = MIN_CONFIDENCE  # bars that analysis heard less surely count less in the loss; 0: all fully
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole clips
    # conditions hidden from the model, so that one adapter serves partial requests and guidance
    text_dropout: float = 0.15
    genre_dropout: float | None = None  # of the genre; null: like every stream. High where a LoRA shall bring the genre
    stream_dropout: float = 0.5  # each stream by itself
    stem_dropout: float | None = None  # each stem; null: like every stream
    arrangement_dropout: float = 0.0  # all stems together
    expression_dropout: float = 0.25  # each feature of expression, where the data set has it
    condition_dropout: float = 0.1  # all streams but expression together
    span_dropout: float = 0.1  # a stretch of time of all streams
    # optimisation
    train_batch_size: int = 16  # a process
    gradient_accumulation_steps: int = 1
    max_train_steps: int = 10_000
    max_train_minutes: float | None = None  # stop at a checkpoint then; the schedule still follows max_train_steps
    learning_rate: float = 1e-3
    lr_scheduler: str = "cosine"
    lr_warmup_steps: int = 100
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_weight_decay: float = 1e-2
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    timestep_sampling: str = "stratified"  # uniform, stratified (one in each slice of 0…999 a batch) or logit_normal
    snr_gamma: float | None = None  # min-SNR weights, 5 with epsilon; with v-prediction they undo chords (decisions.md)
    use_ema: bool = True
    ema_decay: float = 0.999
    mixed_precision: str | None = None  # no or bf16; null: what accelerate launch says, else no
    quantization: str | None = None  # of the frozen base's matrices: int8 (needs torchao) saves memory; null: none
    gradient_checkpointing: bool = False
    cpu: bool = False  # even where there is a GPU
    max_bad_steps: int = 5  # stop after so many steps in a row without a finite loss
    # records
    checkpointing_steps: int = 500
    checkpoints_total_limit: int | None = 2
    resume_from_checkpoint: str | None = None  # latest, or a checkpoint's name or path
    report_to: str | None = "tensorboard"
    validation_steps: int | None = None  # make audio and charts every so many steps; null never
    num_validation_clips: int = 4  # lead sheets of the data set's first clips, at fixed seeds


def train(config: Config) -> Path:
    """Train as `config` says; returns the folder of the finished adapter."""
    config = replace(config, mixed_precision=resolve_mixed_precision(config.mixed_precision))
    run = set_up(config)
    accelerator, model, state, data, alphas = run.accelerator, run.model, run.state, run.data, run.alphas
    rank, main, device = accelerator.process_index, accelerator.is_main_process, accelerator.device
    per_batch = config.train_batch_size * accelerator.num_processes
    per_step = per_batch * config.gradient_accumulation_steps  # samples
    began, ended, out = time.monotonic(), state.step >= config.max_train_steps, Path(config.output_dir)
    progress = tqdm(total=config.max_train_steps, initial=state.step, unit="step", disable=not main)
    while not ended:
        # all randomness follows from (seed, step, sample), so a resumed run repeats this step exactly
        indices = seeding.stream(len(data), config.seed, state.step * per_step, per_step)
        ids = [data.clips[i].id for i in indices]
        torch.manual_seed(seeding.integer(config.seed, state.step, f"process {rank}"))  # for dropout layers
        losses = []
        for micro in range(config.gradient_accumulation_steps):
            first = micro * per_batch + rank * config.train_batch_size
            mine = range(first, first + config.train_batch_size)
            generators = [seeding.generator(config.seed, state.step, f"{ids[i]} {i}") for i in mine]
            # clean latents x_0 (B, channels, rows, cols) with their tokens and texts, some hidden
            batch = draw_batch(data, run.tokens, [indices[i] for i in mine], generators, **run.drawing).to(device)
            t = seeding.timesteps(generators, len(alphas), config.timestep_sampling, places=mine, of=per_step)
            noise = seeding.noise(generators, batch.latents.shape[1:])
            t, noise = t.to(device), noise.to(device)
            noisy = add_noise(batch.latents, noise, alphas, t)  # x_t = √α_t x_0 + √(1-α_t) noise
            # v = √α_t noise - √(1-α_t) x_0, or the noise itself, as the base predicts
            target_values = target(batch.latents, noise, alphas, t, run.prediction_type)
            with nullcontext() if micro + 1 == config.gradient_accumulation_steps else accelerator.no_sync(model):
                predicted = model(noisy, t, batch.tokens, batch.text)
                # mean |predicted - wanted|² of each sample, (B,), times its min-SNR weight; unsure bars count less
                ratio, kind = snr(alphas, t), run.prediction_type
                loss = diffusion_loss(predicted, target_values, ratio, kind, config.snr_gamma, batch.row_weights)
                accelerator.backward(loss.mean() / config.gradient_accumulation_steps)
            losses.append(accelerator.gather(loss.detach()))
        grad_norm = torch.nn.utils.clip_grad_norm_(state.parameters, config.max_grad_norm).item()
        lr = config.learning_rate * run.factor(state.step)
        per_sample = torch.cat(losses).tolist()  # of all processes, as `ids`
        finite = math.isfinite(sum(per_sample)) and math.isfinite(grad_norm)
        if finite:  # else the step moves nothing
            state.optimizer.param_groups[0]["lr"] = lr
            state.optimizer.step()
            if state.ema:
                state.ema.step(state.parameters)
        state.optimizer.zero_grad()
        state.step, state.bad_steps = state.step + 1, 0 if finite else state.bad_steps + 1
        record = {"step": state.step, "loss": sum(per_sample) / per_step, "grad_norm": grad_norm, "lr": lr}
        log_step(accelerator, out / "loss.jsonl", record, skipped=None if finite else zip(ids, per_sample, strict=True))
        stop_where_nothing_is_finite(state, config.max_bad_steps, out / "loss.jsonl")
        ended = state.step >= config.max_train_steps or out_of_time(began, config.max_train_minutes)
        if main and (ended or state.step % config.checkpointing_steps == 0):
            save_state(state, out, config=asdict(config), data=run.facts, total_limit=config.checkpoints_total_limit)
        if main and config.validation_steps and state.step % config.validation_steps == 0:
            validate(config, run, out / "validation" / f"step-{state.step}")
        progress.update()
        progress.set_postfix(loss=f"{record['loss']:.4f}", refresh=False)
    progress.close()
    if main:
        save(config, run, out / "adapter")
    del model, run  # a DDP that outlives the processes' group waits for its threads for ever
    accelerator.free_memory()
    accelerator.end_training()
    return out / "adapter"


class Drawing(TypedDict):
    """How `draw_batch` makes a batch of clips."""

    frames_per_row: int
    crop_rows: int | None
    dropout: Dropout
    row_weights: torch.Tensor | None


class Setup(NamedTuple):
    """What the loop works on.

    drawing: how a batch is drawn; facts: what a resumed run must have alike to be exact; alphas: of the noise schedule,
    (timesteps,); model: the denoiser as it is trained, perhaps in DDP's wrapper; denoiser: without; factor: step →
    factor of the learning rate; merged: a frozen LoRA that lies in the base's weights, if any.
    """

    accelerator: Accelerator
    data: LatentDataset
    tokens: TokenTable
    drawing: Drawing
    facts: dict[str, str | int]
    base: str
    prediction_type: str
    alphas: torch.Tensor
    model: torch.nn.Module
    denoiser: Denoiser
    state: TrainingState
    factor: Callable[[int], float]
    merged: ExitStack | None


def set_up(config: Config) -> Setup:
    """Everything before the first step: data, model, what learns of it, and how far a killed run came."""
    out = Path(config.output_dir)
    checkpoint = find_checkpoint(out, config.resume_from_checkpoint)
    accelerator = start_accelerator(
        config.mixed_precision or "no", cpu=config.cpu, report_to=config.report_to, logs=out / "logs"
    )
    data = LatentDataset(
        config.train_data_dir,
        transposed=config.transpose_augmentation,
        genre=config.genre,
        held_out=config.held_out or (),
    )
    base = find_base(config.pretrained_model_name_or_path)
    check_base(base, data.info.base_fingerprint, data.info.base, config.train_data_dir)
    noise_schedule = load_noise_schedule(base)
    set_seed(config.seed)
    model = accelerator.prepare(build(config, base, data))
    denoiser = accelerator.unwrap_model(model)
    adapter = denoiser.adapter
    with accelerator.main_process_first():
        write = accelerator.is_main_process
        tokens = load_tokens(data, adapter.config.frames_per_row, adapter.config.event_s, write=write, quiet=not write)
    if not (config.theory_adapter or config.init_adapter):
        zero_unseen_embeddings(adapter.conditioner, tokens)
    merged = merge_lora(adapter) if config.theory_adapter and trains_branch(config) else None
    state = make_state(
        denoiser,
        learning_rate=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        epsilon=config.adam_epsilon,
        weight_decay=config.adam_weight_decay,
        ema_decay=config.ema_decay if config.use_ema else None,
    )
    factor = learning_rate_factor(state.optimizer, config.lr_scheduler, config.lr_warmup_steps, config.max_train_steps)
    alphas = noise_schedule.alphas_cumprod.to(accelerator.device)
    kind = noise_schedule.config.prediction_type
    dropout = Dropout(
        text=config.text_dropout,
        stream=config.stream_dropout,
        condition=config.condition_dropout,
        span=config.span_dropout,
        genre=config.genre_dropout,
        stem=config.stem_dropout,
        arrangement=config.arrangement_dropout,
        expression=config.expression_dropout,
    )
    weights = row_weights([clip.bars for clip in data.clips], data.info.rows, data.info.row_s, config.min_confidence)
    drawing = Drawing(
        frames_per_row=adapter.config.frames_per_row, crop_rows=config.crop_rows, dropout=dropout, row_weights=weights
    )
    processes = accelerator.num_processes
    facts: dict[str, str | int] = {"clips": len(data), "clips' digest": data.digest(), "processes": processes}
    changed = []
    if checkpoint:
        changed = resume_state(state, checkpoint, config=asdict(config), data=facts, records=RECORDS)
    if accelerator.is_main_process:
        begin(out, state.step, changed)
    if config.report_to:
        accelerator.init_trackers("finetune", {k: str(v) for k, v in asdict(config).items()})
    return Setup(accelerator, data, tokens, drawing, facts, base, kind, alphas, model, denoiser, state, factor, merged)


def build(config: Config, base: str, data: LatentDataset) -> Denoiser:
    """The frozen base with an adapter on it; what shall learn has requires_grad."""
    unet = load_unet(base, data.info.channels, cpu=config.cpu, quantization=config.quantization)
    adapter = attach_adapter(
        unet,
        data.info.cols,
        theory_adapter=config.theory_adapter,
        init_adapter=config.init_adapter,
        frames_per_row=config.frames_per_row,
        dim=config.dim,
        hidden=config.hidden,
        map_channels=config.map_channels,
        map_entry=config.map_entry,
        map_modulation=config.map_modulation,
        attended=config.attended,
        rotary=config.rotary,
        event_s=config.event_s,
        hidden_streams=config.hidden_streams,
    )
    choose_trained_parts(
        adapter,
        base,
        frozen=config.theory_adapter is not None,
        rank=config.rank,
        stem_hidden=config.stem_hidden,
        stem_channels=config.stem_channels,
        new_stems=config.new_stems,
        expression_hidden=config.expression_hidden,
        expression_channels=config.expression_channels,
    )
    if config.gradient_checkpointing:
        enable_gradient_checkpointing(unet)
    return Denoiser(unet, adapter, data.info.row_s).train()


def trains_branch(config: Config) -> bool:
    """Whether a branch of the adapter learns, so that the whole adapter is written."""
    return bool(config.stem_hidden or config.expression_hidden)


def validate(config: Config, run: Setup, folder: Path) -> None:
    """Write the adapter as it is now, generate some clips' lead sheets with it, and log how well it follows them."""
    save(config, run, folder / "adapter")
    theory = None if trains_branch(config) else config.theory_adapter
    clips = run.data.clips[: config.num_validation_clips]
    scores = generate_and_score(run.base, folder / "adapter", clips, folder, config.seed, theory)
    run.accelerator.log(scores, run.state.step)


def save(config: Config, run: Setup, folder: Path) -> None:
    """Write what was trained, averaged: a genre's LoRA, or a whole adapter."""
    info = {
        "config": asdict(config),
        "data": asdict(run.data.info) | describe_music(run.data, config.data_license),
        "step": run.state.step,
    }
    with without_lora(run.denoiser.adapter, run.merged), with_averages(run.state.parameters, run.state.averages):
        if config.theory_adapter and not trains_branch(config):
            save_lora(run.denoiser.unet, GENRE, folder, info)
        else:
            save_adapter(run.denoiser.adapter, folder, info)


load_config = partial(read, Config)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(train, command_line(load_config, Config, __doc__))
