"""Distil a guided model into a LoRA that needs a few steps of one pass, on a data set made by recipes/prepare.py.

    accelerate launch recipes/distill.py recipes/configs/distill.yaml train_data_dir=data/songs output_dir=runs/fast

The teacher is the base with its music adapter, under guidance, at `teacher_steps` steps of DPM-Solver++: its ways from
noise to latents, for the data set's lead sheets, words and notes, some of them hidden, are what the LoRA learns. They
are kept in output_dir/trajectories-… and serve several steps. Genre LoRAs lie under some of them, so that the result
works below any.

Options: the YAML file and `key=value` overrides, all fields of `Config` below. A run that was killed continues with
`resume_from_checkpoint=latest`, and ends with the weights and the loss log that it would have had.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from diffusers import DPMSolverMultistepScheduler
from omegaconf import MISSING
from torch import Tensor
from tqdm import tqdm

from musetune.adapter import MusicAdapter, lora
from musetune.adapter.lora import LoraDelta
from musetune.adapter.lora_files import Lora, read_lora
from musetune.adapter.merging import merged
from musetune.adapter.sampling import Sampling
from musetune.adapter.theory_digest import theory_digest
from musetune.conditioning import STEM_STREAMS
from musetune.datasets import LatentDataset
from musetune.datasets.fingerprint import check_base
from musetune.datasets.latent_dataset import TextEmbedding
from musetune.hub.locate import find_adapter, find_base
from musetune.pipeline.guidance import Guidance
from musetune.pipeline.request import GUIDANCE_RESCALE, PLAYED_GUIDANCE, TEXT_GUIDANCE
from musetune.training import Batch, Dropout, TokenTable, draw_batch, load_tokens, seeding
from musetune.training.checkpoint import find_checkpoint
from musetune.training.config import command_line, read, run_command
from musetune.training.denoiser import Denoiser
from musetune.training.distillation import (
    METHODS,
    consistency_function,
    pseudo_huber,
    split_prediction,
    trajectory_target,
)
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
from musetune.training.teacher import keep_states, read_states, trajectory

# What a resumed run may have otherwise and still repeat the uninterrupted one exactly.
RECORDS = (
    "output_dir",
    "resume_from_checkpoint",
    "max_train_minutes",
    "report_to",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "validation_steps",
    "validation_batches",
    "name",
    "data_license",
    "fitting_steps",
)
VALIDATION = 1_000_000_000  # number of the first batch that is never trained on


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    pretrained_model_name_or_path: str = MISSING  # the base: nano, a folder or a Hub name with unet/ and scheduler/
    theory_adapter: str = MISSING  # its music adapter, frozen: name, folder or Hub id
    train_data_dir: str = MISSING  # a data set made by prepare.py
    output_dir: str = MISSING  # checkpoints, loss.jsonl, logs/, trajectories-…/, and at the end adapter/
    name: str = "fast"  # of the LoRA
    data_license: str | None = None  # of the music, for the card, such as CC-BY-4.0; null: what each clip says
    seed: int = 0
    # teacher
    method: str = "trajectory"  # or consistency: musetune/training/distillation.py
    num_inference_steps: int = 4  # of the student; a divisor of teacher_steps
    fitting_steps: list[int] = field(default_factory=lambda: [4, 8])  # fewest and most that its card says to fit
    teacher_steps: int = 20
    skipping_steps: int = 1  # of the teacher, between the two states that consistency compares
    guidance_scale: float = TEXT_GUIDANCE  # of words and music, which the student has without guidance
    played_guidance_scale: float = PLAYED_GUIDANCE  # of words, music and notes where there are notes
    guidance_rescale: float = GUIDANCE_RESCALE
    notes_share: float = 0.5  # batches in which the players' notes are told
    genre_adapters: list[str] = field(default_factory=list)  # genre LoRAs, of which one lies under some batches
    genre_share: float = 0.3  # how many batches
    trajectories: int = 400  # batches of the teacher, at most
    steps_per_trajectory: int = 10  # a new batch of the teacher every so many steps; earlier ones are used again
    # student
    rank: int = 16
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole clips
    # conditions hidden from both, so that partial requests are distilled too
    text_dropout: float = 0.1
    genre_dropout: float | None = None
    stream_dropout: float = 0.1  # each stream by itself
    stem_dropout: float | None = None
    condition_dropout: float = 0.05  # all streams together
    span_dropout: float = 0.05  # a stretch of time of all streams
    # optimisation
    train_batch_size: int = 16  # a process
    max_train_steps: int = 4000
    max_train_minutes: float | None = None  # stop at a checkpoint then; the schedule still follows max_train_steps
    learning_rate: float = 1e-3
    lr_scheduler: str = "cosine"
    lr_warmup_steps: int = 50
    adam_beta1: float = 0.9
    adam_beta2: float = 0.99
    adam_weight_decay: float = 0.0
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    huber_width: float = 0.1  # c of the pseudo-Huber loss
    ema_decay: float = 0.99  # also of the network that sets consistency's target
    mixed_precision: str | None = None  # no or bf16; null: what accelerate launch says, else no
    cpu: bool = False  # even where there is a GPU
    max_bad_steps: int = 5  # stop after so many steps in a row without a finite loss
    # records
    checkpointing_steps: int = 200
    checkpoints_total_limit: int | None = 2
    resume_from_checkpoint: str | None = None  # latest, or a checkpoint's name or path
    report_to: str | None = "tensorboard"
    validation_steps: int | None = None  # hold student against teacher every so many steps; null never
    validation_batches: int = 1


def train(config: Config) -> Path:
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
        batch, beside = draw(config, run, number)
        states = teach(config, run, number, batch, beside)  # of the teacher, (teacher_steps + 1, B, …)
        with merged(run.student.denoiser.unet, beside):
            per_sample = LOSSES[config.method](config, run, batch, states.to(device))  # (B,)
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


def batch_number(config: Config, step: int) -> int:
    """The teacher's batch of a step: a new one every `steps_per_trajectory`, else one of those that there are."""
    there = min(config.trajectories, 1 + step // config.steps_per_trajectory)
    if step % config.steps_per_trajectory == 0 and there == 1 + step // config.steps_per_trajectory:
        return there - 1
    return int(torch.randint(there, (), generator=seeding.generator(config.seed, step, "batch")))


def trajectory_loss(config: Config, run: Setup, batch: Batch, states: Tensor) -> Tensor:
    """One step of the student against several of the teacher: (B,)."""
    per_step = config.teacher_steps // config.num_inference_steps
    places = torch.arange(states.shape[1], device=states.device)
    starts = per_step * ((places + run.state.step) % config.num_inference_steps)  # each of the steps, in turn
    start, end = states[starts, places], states[starts + per_step, places]
    t = run.timesteps[starts]
    wanted = trajectory_target(start, end, run.alphas[starts], run.alphas[starts + per_step], run.prediction_type)
    return pseudo_huber(run.model(start, t, batch.tokens, batch.text), wanted, config.huber_width)


def consistency_loss(config: Config, run: Setup, batch: Batch, states: Tensor) -> Tensor:
    """The end of the trajectory as the student sees it from a state, against its average from a later one: (B,)."""
    places = torch.arange(states.shape[1], device=states.device)
    draws = [seeding.generator(config.seed, run.state.step, f"place {i}") for i in places.tolist()]
    starts = seeding.timesteps(draws, config.teacher_steps, "stratified").to(states.device)
    ends = (starts + config.skipping_steps).clamp(max=config.teacher_steps)

    def clean(indices: Tensor, model: Callable[..., Tensor]) -> Tensor:
        samples, t = states[indices, places], run.timesteps[indices]
        predicted = model(samples, t, batch.tokens, batch.text)
        latents, _ = split_prediction(samples, predicted, run.alphas[indices], run.prediction_type)
        return consistency_function(samples, latents, t)

    with torch.no_grad():
        averages = average_of(run.state.parameters, run.state.averages)
        wanted = clean(ends.clamp(max=config.teacher_steps - 1), partial(run.model, values=averages))
        over = ends == config.teacher_steps  # nothing is left to be predicted there
        wanted[over] = states[-1][over]
    return pseudo_huber(clean(starts, run.model), wanted, config.huber_width)


LOSSES = {"trajectory": trajectory_loss, "consistency": consistency_loss}


class Setup(NamedTuple):
    """What the loop works on.

    timesteps, (teacher_steps,), and alphas, (teacher_steps + 1,): of the teacher's states; model: the student as it is
    trained, perhaps in DDP's wrapper; genres: the LoRAs that lie under some batches; factor: step → factor of the
    learning rate; cache: where the teacher's batches are kept; theory_digest: of the theory adapter, for the card;
    theory_lora: its LoRA, merged.
    """

    accelerator: Accelerator
    data: LatentDataset
    tokens: TokenTable
    facts: dict[str, str | int]
    prediction_type: str
    scheduler: DPMSolverMultistepScheduler
    timesteps: Tensor
    alphas: Tensor
    model: torch.nn.Module
    student: LoraStudent
    genres: list[Lora]
    state: TrainingState
    factor: Callable[[int], float]
    cache: Path
    theory_digest: str
    theory_lora: ExitStack


def check(config: Config) -> None:
    """Raise ValueError for options that do not fit each other."""
    if config.method not in METHODS:
        raise ValueError(f"method={config.method!r} is not one of {', '.join(METHODS)}")
    if not 1 <= config.num_inference_steps <= config.teacher_steps or config.teacher_steps % config.num_inference_steps:
        raise ValueError(
            f"num_inference_steps={config.num_inference_steps} does not divide teacher_steps={config.teacher_steps}: "
            "a step of the student takes the place of as many of the teacher's, at each place"
        )
    for name in ("notes_share", "genre_share"):
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"{name}={getattr(config, name)} is outside 0…1")
    for name in ("trajectories", "steps_per_trajectory", "skipping_steps", "rank"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name}={getattr(config, name)} must be at least 1")
    if len(config.fitting_steps) != 2:
        raise ValueError(f"fitting_steps={config.fitting_steps} are not two, the fewest and the most")
    sampling_of(config)


def set_up(config: Config) -> Setup:
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
    return Setup(
        accelerator,
        data,
        tokens,
        facts,
        noise_schedule.config.prediction_type,
        scheduler,
        timesteps,
        alphas,
        model,
        student,
        genres,
        state,
        factor,
        out / f"trajectories-{teaching(config, facts)}",
        digest,
        theory_lora,
    )


def adapters_digest(unet: torch.nn.Module, adapter: MusicAdapter, genres: list[Lora]) -> str:
    """A name for the weights of the theory adapter and the genre LoRAs: trained anew, they teach otherwise."""
    digest = hashlib.blake2b(digest_size=8)
    weights = [*sorted(adapter.state_dict().items()), *sorted(lora.state(unet, "music").items())]
    weights += [
        (name, half) for one in genres for name, part in sorted(one.parts.items()) for half in (part.down, part.up)
    ]
    for name, weight in weights:
        digest.update(name.encode() + weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def draw(config: Config, run: Setup, number: int) -> tuple[Batch, dict[str, list[LoraDelta]]]:
    """The conditions of batch `number` of this process, and the genre LoRA that lies under it, if any."""
    first = (number * run.accelerator.num_processes + run.accelerator.process_index) * config.train_batch_size
    indices = seeding.stream(len(run.data), config.seed, first, config.train_batch_size)
    places = zip(indices, range(config.train_batch_size), strict=True)
    generators = [seeding.generator(config.seed, number, f"{run.data.clips[i].id} {place}") for i, place in places]
    common = seeding.generator(config.seed, number, "teacher")
    has_notes, has_genre = torch.rand(2, generator=common) < torch.tensor([config.notes_share, config.genre_share])
    chosen = int(torch.randint(max(1, len(run.genres)), (), generator=common))
    batch = draw_batch(
        run.data,
        run.tokens,
        indices,
        generators,
        frames_per_row=run.student.denoiser.adapter.config.frames_per_row,
        crop_rows=config.crop_rows,
        dropout=Dropout(
            text=config.text_dropout,
            stream=config.stream_dropout,
            condition=config.condition_dropout,
            span=config.span_dropout,
            genre=config.genre_dropout,
            stem=config.stem_dropout,
            arrangement=0.0 if has_notes else 1.0,
        ),
    ).to(run.accelerator.device)
    beside = {}
    if has_genre and run.genres:
        beside = {f"{name}.weight": [part] for name, part in run.genres[chosen].parts.items()}
    noise = seeding.noise(generators, batch.latents.shape[1:]).to(batch.latents)
    return replace(batch, latents=noise), beside


def teach(config: Config, run: Setup, number: int, batch: Batch, beside: dict[str, list[LoraDelta]]) -> Tensor:
    """The teacher's states of batch `number`: kept from before, or made."""
    path = run.cache / f"{number:09d}-{run.accelerator.process_index}.safetensors"
    if not path.exists():
        played = bool(torch.stack([batch.tokens.present[name] for name in STEM_STREAMS]).any())
        scale = config.played_guidance_scale if played else config.guidance_scale
        guidance = Guidance(scale, scale, config.guidance_rescale, stems=scale if played else None)
        wordless = run.data.collate_texts([""])
        with merged(run.student.denoiser.unet, beside), run.accelerator.autocast():
            states = trajectory(
                run.student.denoiser,
                run.scheduler,
                guidance,
                batch.tokens,
                batch.text,
                TextEmbedding(*(t.to(batch.latents.device) for t in vars(wordless).values())),
                batch.latents,
                config.teacher_steps,
            )
        keep_states(path, states)
    return read_states(path)


def teaching(config: Config, facts: dict[str, str | int]) -> str:
    """A name for all that the teacher's batches depend on."""
    students = ("method", "name", "num_inference_steps", "skipping_steps", "trajectories", "steps_per_trajectory")
    optimisation = list(Config.__dataclass_fields__)
    optimisation = optimisation[optimisation.index("max_train_steps") :]
    apart = {*students, *optimisation, "rank", "output_dir", "data_license", "fitting_steps"} - {"mixed_precision"}
    told = {name: value for name, value in asdict(config).items() if name not in apart} | facts
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=6).hexdigest()


@torch.no_grad()
def validate(config: Config, run: Setup, path: Path) -> None:
    """Log how far the student's latents are from the teacher's, both from one noise, on batches never trained on: mean
    square, over the variance of the teacher's.
    """
    sampling, errors = sampling_of(config), []
    for number in range(VALIDATION, VALIDATION + config.validation_batches):
        batch, beside = draw(config, run, number)
        wanted = teach(config, run, number, batch, beside)[-1].to(batch.latents)
        scheduler = sampling.scheduler(run.scheduler.config)
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


def sampling_of(config: Config) -> Sampling:
    """What the LoRA's card says of its sampler."""
    fewest, most = config.fitting_steps
    if config.method == "trajectory":
        scheduler = {"_class_name": "DDIMScheduler", "timestep_spacing": "trailing", "steps_offset": 0}
        scheduler |= {"set_alpha_to_one": True, "clip_sample": False}
    else:
        scheduler = {"_class_name": "LCMScheduler", "original_inference_steps": config.teacher_steps}
        scheduler |= {"set_alpha_to_one": True, "clip_sample": False}
    return Sampling(scheduler, config.num_inference_steps, fewest, most)


def save(config: Config, run: Setup, folder: Path) -> None:
    """Write the averaged LoRA in half precision, as the Hub holds it."""
    music = describe_music(run.data, config.data_license)
    info = {"config": asdict(config), "data": asdict(run.data.info) | music, "step": run.state.step}
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


load_config = partial(read, Config)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(train, command_line(load_config, Config, __doc__))
