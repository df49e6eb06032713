"""Train a MusicAdapter (and LoRA) on a data set of cached latents made by recipes/prepare.py.

    accelerate launch recipes/finetune.py recipes/configs/theory.yaml train_data_dir=data/songs output_dir=runs/theory

Knobs: the YAML file and `key=value` overrides, all fields of `Config` below, named as in diffusers' training scripts
where those have the same knob. Only the base's U-Net and scheduler are loaded, and its vocoder for a new
branch that reads stems. A run that was killed continues with
`resume_from_checkpoint=latest`, and ends with the weights and the loss log that it would have had.
"""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from building import build, save  # type: ignore[import-not-found]
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from knobs import command_line, read  # type: ignore[import-not-found]
from omegaconf import MISSING
from tqdm import tqdm
from validation import listen  # type: ignore[import-not-found]

from musetune.generation.loading import find_base
from musetune.training import Dropout, LatentDataset, draw_batch, draws, load_tokens
from musetune.training import checkpoint as ckpt
from musetune.training.fingerprint import check_base
from musetune.training.loss import add_noise, diffusion_loss, snr, target
from musetune.training.record import averaged
from musetune.training.tokens import silence_unseen


@dataclass
class Config:
    """Every knob, and the only place where it has a default."""

    pretrained_model_name_or_path: str = MISSING  # the base: nano, a folder or a Hub name with unet/ and scheduler/
    train_data_dir: str = MISSING  # a data set made by prepare.py
    output_dir: str = MISSING  # checkpoints, loss.jsonl, logs/, and at the end adapter/
    seed: int = 0
    # what is trained
    theory_adapter: str | None = (
        None  # an adapter to freeze, so that only a LoRA (a genre) or its stem branch is trained
    )
    stem_hidden: int = (
        0  # width of the branch that reads stems, which the frozen adapter gets, or has; 0: a LoRA trains
    )
    stem_channels: int = 48  # of a new such branch: channels of its map
    new_stems: bool = False  # a fresh branch instead of the one that the adapter has
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
    transpose_augmentation: bool = True  # also prepare.py's copies, by default 2 semitones lower and 3 higher
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole clips
    # conditions hidden from the model, so that one adapter serves partial requests and guidance
    text_dropout: float = 0.15
    genre_dropout: float | None = None  # of the genre; null: like every stream. High where a LoRA shall bring the genre
    stream_dropout: float = 0.5  # each stream by itself
    stem_dropout: float | None = None  # each stem; null: like every stream
    arrangement_dropout: float = 0.0  # all stems together
    condition_dropout: float = 0.1  # all streams together
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
    snr_gamma: float | None = None  # min-SNR weights, 5 with epsilon; with v-prediction they undo chords (CONTRIBUTING)
    use_ema: bool = True
    ema_decay: float = 0.999
    mixed_precision: str = "no"  # no or bf16
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


RECORDS = ("output_dir", "resume_from_checkpoint", "max_train_minutes", "report_to", "checkpointing_steps",
           "checkpoints_total_limit", "validation_steps", "num_validation_clips")  # fmt: skip
EXACT = [f.name for f in fields(Config) if f.name not in RECORDS]  # a resumed run repeats the rest


def train(cfg: Config) -> Path:
    """Train as `cfg` says; returns the folder of the finished adapter."""
    out = Path(cfg.output_dir)
    resumed = ckpt.find_checkpoint(out, cfg.resume_from_checkpoint)
    if resumed is None and ckpt.list_checkpoints(out):
        raise ValueError(f"{out} holds checkpoints: give resume_from_checkpoint=latest or another output_dir")
    if cfg.mixed_precision not in ("no", "bf16"):
        raise ValueError(f"mixed_precision={cfg.mixed_precision!r} is not one of no, bf16")
    accelerator = Accelerator(
        mixed_precision=cfg.mixed_precision, cpu=cfg.cpu, log_with=cfg.report_to, project_dir=out / "logs"
    )
    main, rank, device = accelerator.is_main_process, accelerator.process_index, accelerator.device

    dataset = LatentDataset(cfg.train_data_dir, transposed=cfg.transpose_augmentation, genre=cfg.genre)
    base = find_base(cfg.pretrained_model_name_or_path)
    check_base(base, dataset.info.base_fingerprint, dataset.info.base, cfg.train_data_dir)
    scheduler = DDPMScheduler.from_pretrained(base, subfolder="scheduler")
    prediction_type, alphas = scheduler.config.prediction_type, scheduler.alphas_cumprod.to(device)
    set_seed(cfg.seed)
    model = accelerator.prepare(build(cfg, dataset.info))
    plain = accelerator.unwrap_model(model)
    frames_per_row = plain.adapter.config.frames_per_row
    with accelerator.main_process_first():
        table = load_tokens(dataset, frames_per_row, plain.adapter.config.event_s, write=main, quiet=not main)
    if not (cfg.theory_adapter or cfg.init_adapter):
        silence_unseen(plain.adapter.conditioner, table)
    hidden = (
        getattr(cfg, f"{name}_dropout")
        for name in ("text", "stream", "condition", "span", "genre", "stem", "arrangement")
    )
    dropout = Dropout(*hidden)
    frozen, stems_alone = ExitStack(), bool(cfg.theory_adapter and cfg.stem_hidden)
    if stems_alone:
        frozen.enter_context(plain.adapter.merged())  # its LoRA lies in the weights and costs nothing

    named = {name: p for name, p in plain.named_parameters() if p.requires_grad}
    params = list(named.values())  # a list: a one-shot iterator would leave nothing to clip
    betas = (cfg.adam_beta1, cfg.adam_beta2)
    optimizer = torch.optim.AdamW(
        params, cfg.learning_rate, betas, cfg.adam_epsilon, cfg.adam_weight_decay, foreach=True
    )
    schedule = get_scheduler(
        cfg.lr_scheduler, optimizer, num_warmup_steps=cfg.lr_warmup_steps, num_training_steps=cfg.max_train_steps
    )
    factor = schedule.lr_lambdas[0]  # a function of the step alone, so there is no state to resume
    ema = EMAModel(params, decay=cfg.ema_decay, foreach=True) if cfg.use_ema else None
    averages = ema.shadow_params if ema else None

    step, bad = 0, 0
    if resumed:
        state, meta = ckpt.load_checkpoint(resumed)
        ckpt.unpack_state(state, named, optimizer, averages)
        step, bad = meta["step"], meta["bad"]
        if ema:
            ema.optimization_step = meta["ema_steps"]
        if main and (changed := [k for k in EXACT if meta["config"].get(k) != getattr(cfg, k)]):
            print(f"resuming with other {', '.join(changed)}: not exactly as if uninterrupted", file=sys.stderr)
    if main:
        out.mkdir(parents=True, exist_ok=True)
        ckpt.truncate_log(out / "loss.jsonl", step)
    if cfg.report_to:
        accelerator.init_trackers("finetune", {k: str(v) for k, v in asdict(cfg).items()})

    share = cfg.train_batch_size * accelerator.num_processes
    per_step = share * cfg.gradient_accumulation_steps
    story = {"config": asdict(cfg), "data": asdict(dataset.info) | {"clips": len(dataset)}}
    bar = tqdm(total=cfg.max_train_steps * per_step, initial=step * per_step, unit="sample", disable=not main)
    deadline = math.inf if cfg.max_train_minutes is None else time.monotonic() + 60 * cfg.max_train_minutes
    out_of_time = False
    while step < cfg.max_train_steps and not out_of_time:
        # All randomness of this step follows from (seed, step, sample), so a resumed run repeats it exactly.
        indices = draws.stream(len(dataset), cfg.seed, step * per_step, per_step)
        ids = [dataset.clips[i].id for i in indices]
        torch.manual_seed(draws.generator(cfg.seed, step, f"process {rank}").initial_seed())  # dropout inside the model
        losses = []
        for micro in range(cfg.gradient_accumulation_steps):
            first = micro * share + rank * cfg.train_batch_size
            mine = range(first, first + cfg.train_batch_size)
            generators = [draws.generator(cfg.seed, step, f"{ids[i]} {i}") for i in mine]
            batch = draw_batch(
                dataset, table, [indices[i] for i in mine], generators,
                frames_per_row=frames_per_row, crop_rows=cfg.crop_rows, dropout=dropout,
            ).to(device)  # fmt: skip
            t = draws.timesteps(generators, len(alphas), sampling=cfg.timestep_sampling, places=mine, of=per_step).to(
                device
            )
            noise = draws.noise(generators, batch.latents.shape[1:]).to(device)

            noisy = add_noise(batch.latents, noise, alphas, t)
            wanted = target(batch.latents, noise, alphas, t, prediction_type)
            last = micro + 1 == cfg.gradient_accumulation_steps
            with nullcontext() if last else accelerator.no_sync(model):
                predicted = model(noisy, t, batch.tokens, batch.text)
                loss = diffusion_loss(predicted, wanted, snr(alphas, t), prediction_type, cfg.snr_gamma)  # (B,)
                accelerator.backward(loss.mean() / cfg.gradient_accumulation_steps)
            losses.append(accelerator.gather(loss.detach()))

        norm = torch.nn.utils.clip_grad_norm_(params, cfg.max_grad_norm)
        per_sample = torch.cat(losses).tolist()  # as `ids`
        lr = cfg.learning_rate * factor(step)
        finite = math.isfinite(sum(per_sample)) and math.isfinite(norm)
        if finite:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            if ema:
                ema.step(params)
        optimizer.zero_grad()
        step, bad = step + 1, 0 if finite else bad + 1

        record = {"step": step, "loss": sum(per_sample) / per_step, "grad_norm": norm.item(), "lr": lr}
        if main:
            culprits = [i for i, x in zip(ids, per_sample, strict=True) if not math.isfinite(x)] or ids
            with (out / "loss.jsonl").open("a") as log:
                log.write(json.dumps(record if finite else record | {"skipped": culprits}) + "\n")
            accelerator.log(record, step)
            bar.update(per_step)
            bar.set_postfix(loss=f"{record['loss']:.4f}", refresh=False)
        if bad == cfg.max_bad_steps:
            raise FloatingPointError(
                f"no finite loss in {bad} steps in a row: lower learning_rate, or look at the clips under `skipped` in "
                f"{out / 'loss.jsonl'}; resume from the last checkpoint"
            )

        out_of_time = bool(broadcast_object_list([time.monotonic() > deadline])[0])
        if main and (step % cfg.checkpointing_steps == 0 or step == cfg.max_train_steps or out_of_time):
            meta = {"step": step, "bad": bad, "ema_steps": ema.optimization_step if ema else 0, "config": asdict(cfg)}
            state = ckpt.pack_state(named, optimizer, averages)
            ckpt.save_checkpoint(out, step, state, meta, cfg.checkpoints_total_limit)
        if main and cfg.validation_steps and step % cfg.validation_steps == 0:
            folder = out / "validation" / f"step-{step}"
            frozen.close()  # the adapter describes the base that it is for
            with averaged(params, ema):
                save(cfg, plain, folder / "adapter", story | {"step": step})
            if stems_alone:
                frozen.enter_context(plain.adapter.merged())
            clips, theory = dataset.clips[: cfg.num_validation_clips], None if stems_alone else cfg.theory_adapter
            accelerator.log(listen(base, folder / "adapter", clips, folder, cfg.seed, theory), step)
    bar.close()
    frozen.close()
    if main:
        with averaged(params, ema):
            save(cfg, plain, out / "adapter", story | {"step": step})
    # a DDP that outlives the process group's end joins gloo's threads with the interpreter locked: a deadlock
    del model
    accelerator.free_memory()
    accelerator.end_training()
    return out / "adapter"


def load_config(arguments: list[str]) -> Config:
    """`[file.yaml …] [key=value …]` → Config; an unknown key or a value of the wrong type raises."""
    config = read(Config, arguments)
    if config.mixed_precision == "False":  # YAML reads a bare `no` as false
        config.mixed_precision = "no"
    return config


if __name__ == "__main__":
    train(command_line(load_config, Config, __doc__))
