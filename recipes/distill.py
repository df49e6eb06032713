"""Distil a guided model into a LoRA that needs a few steps of one pass, on a data set made by recipes/prepare.py.

    accelerate launch recipes/distill.py recipes/configs/distill.yaml train_data_dir=data/songs output_dir=runs/fast

The teacher is the base with its music adapter, under guidance, at `teacher_steps` steps of DPM-Solver++: its ways from
noise to latents, for the data set's lead sheets, words and notes, some of them hidden, are what the LoRA learns. They
are kept in output_dir/trajectories-… and serve several steps. Genre LoRAs lie under some of them, so that the result
works below any. `start_from` goes on from a LoRA that was distilled before, such as the shipped one.

Options: the YAML file and `key=value` overrides, all fields of `DistillationConfig`, which is in
musetune/training/distillation_config.py. A run that was killed continues with `resume_from_checkpoint=latest`, and ends
with the weights and the loss log that it would have had.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from diffusers import DPMSolverMultistepScheduler
from tqdm import tqdm

from musetune.adapter import MusicAdapter
from musetune.adapter.lora_files import Lora, read_lora
from musetune.adapter.merging import merged
from musetune.adapter.theory_digest import theory_digest
from musetune.datasets import LatentDataset
from musetune.datasets.fingerprint import check_base
from musetune.hub.locate import find_adapter, find_base
from musetune.training import load_tokens, seeding
from musetune.training.checkpoint import find_checkpoint
from musetune.training.config import command_line, read, run_command
from musetune.training.denoiser import Denoiser
from musetune.training.distillation_config import (
    RECORDS,
    DistillationConfig,
    check,
    sampling_of,
    teacher_options,
    teaching_name,
)
from musetune.training.distillation_step import DistillationLoss
from musetune.training.lora_student import LoraStudent, average_of
from musetune.training.run_info import describe_adapter, describe_music, save_run_info, with_averages
from musetune.training.setup import (
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
from musetune.training.teacher_batches import TeacherBatches, adapters_digest

VALIDATION = 1_000_000_000  # number of the first batch that is never trained on


def train(config: DistillationConfig) -> Path:
    """Distil as `config` says; returns the folder of the finished LoRA."""
    config = replace(config, mixed_precision=resolve_mixed_precision(config.mixed_precision))
    check(config)
    run = set_up(config)
    accelerator, state, out = run.accelerator, run.state, Path(config.output_dir)
    main, device = accelerator.is_main_process, accelerator.device
    began, ended = time.monotonic(), state.step >= config.max_train_steps
    progress = tqdm(total=config.max_train_steps, initial=state.step, unit="step", disable=not main)
    while not ended:
        # all randomness follows from (seed, step, sample), so a resumed run repeats this step exactly
        number = batch_number(config, state.step)
        batch, beside = run.teacher.draw(number)
        states = run.teacher.states(number, batch, beside)  # (teacher_steps + 1, B, …)
        with merged(run.student.denoiser.unet, beside):
            per_sample = run.loss(run.model, state, batch, states.to(device))  # (B,)
            accelerator.backward(per_sample.mean())
        grad_norm = torch.nn.utils.clip_grad_norm_(state.parameters, config.max_grad_norm).item()
        lr = config.learning_rate * run.factor(state.step)
        losses = accelerator.gather(per_sample.detach()).tolist()
        finite = math.isfinite(sum(losses)) and math.isfinite(grad_norm)
        if finite:  # else the step moves nothing
            state.optimizer.param_groups[0]["lr"] = lr
            state.optimizer.step()
            if state.ema:
                state.ema.step(state.parameters)
        state.optimizer.zero_grad()
        state.step, state.bad_steps = state.step + 1, 0 if finite else state.bad_steps + 1
        record = {"step": state.step, "loss": sum(losses) / len(losses), "grad_norm": grad_norm, "lr": lr}
        skipped = None if finite else zip(batch.ids, losses, strict=False)
        log_step(accelerator, out / "loss.jsonl", record, skipped=skipped)
        stop_where_nothing_is_finite(state, config.max_bad_steps, out / "loss.jsonl")
        ended = state.step >= config.max_train_steps or out_of_time(began, config.max_train_minutes)
        if main and (ended or state.step % config.checkpointing_steps == 0):
            save_state(state, out, config=asdict(config), data=run.facts, total_limit=config.checkpoints_total_limit)
        if main and config.validation_steps and (ended or state.step % config.validation_steps == 0):
            validate(config, run, out / "validation.jsonl")
        progress.update()
        progress.set_postfix(loss=f"{record['loss']:.4f}", refresh=False)
    progress.close()
    if main:
        save(config, run, out / "adapter")
    accelerator.end_training()
    return out / "adapter"


def batch_number(config: DistillationConfig, step: int) -> int:
    """The teacher's batch of a step: a new one every `steps_per_trajectory`, else one of those that there are."""
    there = min(config.trajectories, 1 + step // config.steps_per_trajectory)
    if step % config.steps_per_trajectory == 0 and there == 1 + step // config.steps_per_trajectory:
        return there - 1
    return int(torch.randint(there, (), generator=seeding.generator(config.seed, step, "batch")))


class Setup(NamedTuple):
    """What the loop works on.

    model: the student as it is trained, perhaps in DDP's wrapper; factor: step → factor of the learning rate; facts:
    what a resumed run must have alike; theory_digest: of the theory adapter, for the card; theory_lora: its LoRA,
    merged.
    """

    accelerator: Accelerator
    facts: dict[str, str | int]
    teacher: TeacherBatches
    loss: DistillationLoss
    model: torch.nn.Module
    student: LoraStudent
    state: TrainingState
    factor: Callable[[int], float]
    theory_digest: str
    theory_lora: ExitStack


def set_up(config: DistillationConfig) -> Setup:
    """Everything before the first step: data, teacher, student, and how far a killed run came."""
    out = Path(config.output_dir)
    checkpoint = find_checkpoint(out, config.resume_from_checkpoint)
    accelerator = start_accelerator(
        config.mixed_precision or "no", cpu=config.cpu, report_to=config.report_to, logs=out / "logs"
    )
    data = LatentDataset(config.train_data_dir, transposed=True)
    base = find_base(config.pretrained_model_name_or_path)
    check_base(base, data.info.base_fingerprint, data.info.base, config.train_data_dir)
    noise_schedule = load_noise_schedule(base)
    scheduler = DPMSolverMultistepScheduler.from_config(
        noise_schedule.config, algorithm_type="dpmsolver++", solver_order=2, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(config.teacher_steps)
    set_seed(config.seed)
    unet = load_unet(base, data.info.channels, cpu=config.cpu)
    adapter = MusicAdapter.from_pretrained(find_adapter(config.theory_adapter)).requires_grad_(False).attach(unet)
    genres = [read_lora(find_adapter(name)) for name in config.genre_adapters]
    for genre in genres:
        genre.check(unet)
    adapters, digest = adapters_digest(unet, adapter, genres), theory_digest(adapter)
    theory_lora = merge_lora(adapter)  # from here on the U-Net's weights are no longer the base's
    student = LoraStudent(Denoiser(unet, adapter, data.info.row_s).eval(), config.rank)
    if config.start_from is not None:
        student.load(read_lora(find_adapter(config.start_from)).parts)
    model = accelerator.prepare(student)
    with accelerator.main_process_first():
        write = accelerator.is_main_process
        tokens = load_tokens(data, adapter.config.frames_per_row, adapter.config.event_s, write=write, quiet=not write)
    state = make_state(
        student,
        learning_rate=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        epsilon=config.adam_epsilon,
        weight_decay=config.adam_weight_decay,
        ema_decay=config.ema_decay,
    )
    factor = learning_rate_factor(state.optimizer, config.lr_scheduler, config.lr_warmup_steps, config.max_train_steps)
    timesteps = scheduler.timesteps.to(accelerator.device)
    alphas = torch.cat([noise_schedule.alphas_cumprod[scheduler.timesteps], torch.ones(1)]).to(accelerator.device)
    facts: dict[str, str | int] = {
        "clips": len(data),
        "clips' digest": data.digest(),
        "adapters' digest": adapters,
        "processes": accelerator.num_processes,
    }
    changed = []
    if checkpoint:
        changed = resume_state(state, checkpoint, config=asdict(config), data=facts, records=RECORDS)
    if accelerator.is_main_process:
        begin(out, state.step, changed)
    if config.report_to:
        accelerator.init_trackers("distill", {k: str(v) for k, v in asdict(config).items()})
    teacher = TeacherBatches(
        teacher_options(config),
        student.denoiser,
        scheduler,
        data,
        tokens,
        genres,
        out / f"trajectories-{teaching_name(config, facts)}",
        accelerator.process_index,
        accelerator.num_processes,
        accelerator.device,
        accelerator.autocast,
    )
    loss = DistillationLoss(
        config.method,
        tuple(config.trained_steps or [config.num_inference_steps]),
        config.own_share,
        config.skipping_steps,
        config.huber_width,
        config.seed,
        timesteps,
        alphas,
        noise_schedule.config.prediction_type,
    )
    return Setup(accelerator, facts, teacher, loss, model, student, state, factor, digest, theory_lora)


@torch.no_grad()
def validate(config: DistillationConfig, run: Setup, path: Path) -> None:
    """Log how far the student's latents are from the teacher's, both from one noise, on batches never trained on: mean
    square, over the variance of the teacher's.
    """
    sampling, errors = sampling_of(config), []
    for number in range(VALIDATION, VALIDATION + config.validation_batches):
        batch, beside = run.teacher.draw(number)
        wanted = run.teacher.states(number, batch, beside)[-1].to(batch.latents)
        scheduler = sampling.scheduler(run.teacher.scheduler.config)
        scheduler.set_timesteps(config.num_inference_steps)
        latents, generator = batch.latents, torch.Generator().manual_seed(config.seed)
        options = {"generator": generator} if config.method == "consistency" else {}
        with merged(run.student.denoiser.unet, beside), run.accelerator.autocast():
            for t in scheduler.timesteps:
                averages = average_of(run.state.parameters, run.state.averages)
                times = t.to(latents.device).expand(len(latents))
                predicted = run.student(latents, times, batch.tokens, batch.text, averages)
                latents = scheduler.step(predicted.float(), t, latents, **options).prev_sample
        errors.append(float((latents - wanted).square().mean() / wanted.var()))
    record = {"step": run.state.step, "error": sum(errors) / len(errors)}
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")
    run.accelerator.log({"validation error": record["error"]}, run.state.step)


def save(config: DistillationConfig, run: Setup, folder: Path) -> None:
    """Write the averaged LoRA in half precision, as the Hub holds it."""
    data = run.teacher.data
    music = describe_music(data, config.data_license)
    info = {"config": asdict(config), "data": asdict(data.info) | music, "step": run.state.step}
    with without_lora(run.student.denoiser.adapter, run.theory_lora):
        metadata = describe_adapter(run.student.denoiser.unet, "lora", folder, info)
    metadata = replace(metadata, sampling=sampling_of(config), theory_digest=run.theory_digest)
    with with_averages(run.state.parameters, run.state.averages):
        parts = {
            name: part._replace(down=part.down.detach().half().cpu(), up=part.up.detach().half().cpu())
            for name, part in run.student.parts().items()
        }
        Lora(parts, metadata).write(folder)
    save_run_info(folder, info)


load_config = partial(read, DistillationConfig)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(train, command_line(load_config, DistillationConfig, __doc__))
