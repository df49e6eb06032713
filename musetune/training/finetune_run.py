"""A training under way for finetune.py: what learns, one step of it, what is kept of it."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from torch import Tensor

from musetune.datasets import LatentDataset
from musetune.datasets.fingerprint import check_base
from musetune.hub.locate import find_base
from musetune.training import Dropout, draw_batch, load_tokens, seeding
from musetune.training import checkpoint as ckpt
from musetune.training.loss import add_noise, diffusion_loss, snr, target
from musetune.training.run_info import averaged
from musetune.training.setup import build, save
from musetune.training.tokens import zero_unseen_embeddings
from musetune.training.validation import listen

if TYPE_CHECKING:
    from finetune import Config  # type: ignore[import-not-found]

# What a resumed run may have otherwise and still repeat the uninterrupted one exactly.
RECORDS = ("output_dir", "resume_from_checkpoint", "max_train_minutes", "report_to", "checkpointing_steps",
           "checkpoints_total_limit", "validation_steps", "num_validation_clips")  # fmt: skip


class Run:
    """One training: its data, its model, its optimiser, and how far it has come."""

    def __init__(self, cfg: Config) -> None:
        self.cfg, self.out = cfg, Path(cfg.output_dir)
        resumed = self._find_checkpoint()
        if cfg.mixed_precision not in ("no", "bf16"):
            raise ValueError(f"mixed_precision={cfg.mixed_precision!r} is not one of no, bf16")
        self.accelerator = Accelerator(
            mixed_precision=cfg.mixed_precision, cpu=cfg.cpu, log_with=cfg.report_to, project_dir=self.out / "logs"
        )
        self.main = self.accelerator.is_main_process
        self._load_data()
        self._build_model()
        self._build_optimizer()
        self.step = self.bad = 0  # steps done; of the last of them, how many in a row had no finite loss
        if resumed:
            self._resume(resumed)
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            ckpt.truncate_log(self.out / "loss.jsonl", self.step)
        if cfg.report_to:
            self.accelerator.init_trackers("finetune", {k: str(v) for k, v in asdict(cfg).items()})
        self.share = cfg.train_batch_size * self.accelerator.num_processes
        self.per_step = self.share * cfg.gradient_accumulation_steps
        self.deadline = math.inf if cfg.max_train_minutes is None else time.monotonic() + 60 * cfg.max_train_minutes
        self.out_of_time = False

    # -- before the first step ---------------------------------------------------------------------------------------------

    def _find_checkpoint(self) -> Path | None:
        found = ckpt.find_checkpoint(self.out, self.cfg.resume_from_checkpoint)
        if found is None and ckpt.list_checkpoints(self.out):
            raise ValueError(f"{self.out} holds checkpoints: give resume_from_checkpoint=latest or another output_dir")
        return found

    def _load_data(self) -> None:
        """The clips, and of the base that made them the noise schedule."""
        cfg = self.cfg
        self.data = LatentDataset(cfg.train_data_dir, transposed=cfg.transpose_augmentation, genre=cfg.genre)
        self.base = find_base(cfg.pretrained_model_name_or_path)
        check_base(self.base, self.data.info.base_fingerprint, self.data.info.base, cfg.train_data_dir)
        scheduler = DDPMScheduler.from_pretrained(self.base, subfolder="scheduler")
        self.prediction_type = scheduler.config.prediction_type
        self.alphas = scheduler.alphas_cumprod.to(self.accelerator.device)

    def _build_model(self) -> None:
        """The model as it is trained, and ``plain`` without wrappers; the tokens of its clips."""
        cfg = self.cfg
        set_seed(cfg.seed)
        self.model = self.accelerator.prepare(build(cfg, self.data.info))
        self.plain = self.accelerator.unwrap_model(self.model)
        shape = self.plain.adapter.config
        with self.accelerator.main_process_first():
            self.table = load_tokens(
                self.data, shape.frames_per_row, shape.event_s, write=self.main, quiet=not self.main
            )
        if not (cfg.theory_adapter or cfg.init_adapter):
            zero_unseen_embeddings(self.plain.adapter.conditioner, self.table)
        self.dropout = Dropout(
            cfg.text_dropout, cfg.stream_dropout, cfg.condition_dropout, cfg.span_dropout,
            cfg.genre_dropout, cfg.stem_dropout, cfg.arrangement_dropout,
        )  # fmt: skip
        self.frozen, self.stems_alone = ExitStack(), bool(cfg.theory_adapter and cfg.stem_hidden)
        self._merge_frozen()

    def _merge_frozen(self) -> None:
        """Where only the branch for stems learns, the adapter's LoRA lies in the base's weights and costs nothing."""
        if self.stems_alone:
            self.frozen.enter_context(self.plain.adapter.merged())

    def _build_optimizer(self) -> None:
        cfg = self.cfg
        self.named = {name: p for name, p in self.plain.named_parameters() if p.requires_grad}
        self.params = list(self.named.values())  # a list: a one-shot iterator would leave nothing to clip
        betas = (cfg.adam_beta1, cfg.adam_beta2)
        self.optimizer = torch.optim.AdamW(
            self.params, cfg.learning_rate, betas, cfg.adam_epsilon, cfg.adam_weight_decay, foreach=True
        )
        schedule = get_scheduler(
            cfg.lr_scheduler, self.optimizer, num_warmup_steps=cfg.lr_warmup_steps, num_training_steps=cfg.max_train_steps
        )  # fmt: skip
        self.factor = schedule.lr_lambdas[0]  # a function of the step alone, so there is no state to resume
        self.ema = EMAModel(self.params, decay=cfg.ema_decay, foreach=True) if cfg.use_ema else None
        self.averages = self.ema.shadow_params if self.ema else None

    def _resume(self, checkpoint: Path) -> None:
        state, meta = ckpt.load_checkpoint(checkpoint)
        ckpt.unpack_state(state, self.named, self.optimizer, self.averages)
        self.step, self.bad = meta["step"], meta["bad"]
        if self.ema:
            self.ema.optimization_step = meta["ema_steps"]
        exact = [f.name for f in fields(self.cfg) if f.name not in RECORDS]
        changed = [name for name in exact if meta["config"].get(name) != getattr(self.cfg, name)]
        if self.main and changed:
            print(f"resuming with other {', '.join(changed)}: not exactly as if uninterrupted", file=sys.stderr)

    # -- a step ------------------------------------------------------------------------------------------------------------

    def ended(self) -> bool:
        """Whether steps or time are used up."""
        return self.step >= self.cfg.max_train_steps or self.out_of_time

    def learn(self) -> dict[str, Any]:
        """One step, written to the log; its record.

        All randomness of it follows from (seed, step, sample), so a resumed run repeats it exactly. Raises FloatingPointError after too
        many steps in a row without a finite loss.
        """
        cfg, rank = self.cfg, self.accelerator.process_index
        indices = seeding.stream(len(self.data), cfg.seed, self.step * self.per_step, self.per_step)
        ids = [self.data.clips[i].id for i in indices]
        # dropout inside the model
        torch.manual_seed(seeding.generator(cfg.seed, self.step, f"process {rank}").initial_seed())
        losses = [self._accumulate(micro, indices, ids) for micro in range(cfg.gradient_accumulation_steps)]
        norm = torch.nn.utils.clip_grad_norm_(self.params, cfg.max_grad_norm)
        per_sample = torch.cat(losses).tolist()  # as `ids`
        lr = cfg.learning_rate * self.factor(self.step)
        finite = math.isfinite(sum(per_sample)) and math.isfinite(norm)
        self._update(lr if finite else None)
        self.step, self.bad = self.step + 1, 0 if finite else self.bad + 1
        record = {"step": self.step, "loss": sum(per_sample) / self.per_step, "grad_norm": norm.item(), "lr": lr}
        culprits = [i for i, x in zip(ids, per_sample, strict=True) if not math.isfinite(x)] or ids
        self._log(record, record if finite else record | {"skipped": culprits})
        self.out_of_time = bool(broadcast_object_list([time.monotonic() > self.deadline])[0])
        return record

    def _accumulate(self, micro: int, indices: list[int], ids: list[str]) -> Tensor:
        """Gradients of one batch of the step; the losses of all processes' samples, (samples,)."""
        cfg, device = self.cfg, self.accelerator.device
        first = micro * self.share + self.accelerator.process_index * cfg.train_batch_size
        mine = range(first, first + cfg.train_batch_size)
        generators = [seeding.generator(cfg.seed, self.step, f"{ids[i]} {i}") for i in mine]
        batch = draw_batch(
            self.data, self.table, [indices[i] for i in mine], generators,
            frames_per_row=self.plain.adapter.config.frames_per_row, crop_rows=cfg.crop_rows, dropout=self.dropout,
        ).to(device)  # fmt: skip
        t = seeding.timesteps(
            generators, len(self.alphas), sampling=cfg.timestep_sampling, places=mine, of=self.per_step
        ).to(device)  # fmt: skip
        noise = seeding.noise(generators, batch.latents.shape[1:]).to(device)
        noisy = add_noise(batch.latents, noise, self.alphas, t)
        wanted = target(batch.latents, noise, self.alphas, t, self.prediction_type)
        last = micro + 1 == cfg.gradient_accumulation_steps
        with nullcontext() if last else self.accelerator.no_sync(self.model):
            predicted = self.model(noisy, t, batch.tokens, batch.text)
            loss = diffusion_loss(predicted, wanted, snr(self.alphas, t), self.prediction_type, cfg.snr_gamma)  # (B,)
            self.accelerator.backward(loss.mean() / cfg.gradient_accumulation_steps)
        return self.accelerator.gather(loss.detach())

    def _update(self, lr: float | None) -> None:
        """Move the weights and their averages at this rate, unless it is None; the gradients go."""
        if lr is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
            if self.ema:
                self.ema.step(self.params)
        self.optimizer.zero_grad()

    def _log(self, record: dict[str, Any], line: dict[str, Any]) -> None:
        """``record`` to the trackers, ``line`` to loss.jsonl; stops where too many steps were bad."""
        if self.main:
            with (self.out / "loss.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            self.accelerator.log(record, self.step)
        if self.bad == self.cfg.max_bad_steps:
            raise FloatingPointError(
                f"no finite loss in {self.bad} steps in a row: lower learning_rate, or look at the clips under `skipped` in "
                f"{self.out / 'loss.jsonl'}; resume from the last checkpoint"
            )

    # -- what is kept ------------------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """The step's checkpoint and validation, where one is due."""
        cfg = self.cfg
        if self.main and (self.step % cfg.checkpointing_steps == 0 or self.ended()):
            steps = self.ema.optimization_step if self.ema else 0
            meta = {"step": self.step, "bad": self.bad, "ema_steps": steps, "config": asdict(cfg)}
            state = ckpt.pack_state(self.named, self.optimizer, self.averages)
            ckpt.save_checkpoint(self.out, self.step, state, meta, cfg.checkpoints_total_limit)
        if self.main and cfg.validation_steps and self.step % cfg.validation_steps == 0:
            self._validate(self.out / "validation" / f"step-{self.step}")

    def _validate(self, folder: Path) -> None:
        self.frozen.close()  # the adapter describes the base that it is for
        self._save(folder / "adapter")
        self._merge_frozen()
        theory = None if self.stems_alone else self.cfg.theory_adapter
        clips = self.data.clips[: self.cfg.num_validation_clips]
        self.accelerator.log(
            listen(self.base, folder / "adapter", clips, folder, self.cfg.seed, theory), self.step
        )  # fmt: skip

    def _save(self, folder: Path) -> None:
        story = {"config": asdict(self.cfg), "data": asdict(self.data.info) | {"clips": len(self.data)}}
        with averaged(self.params, self.ema):
            save(self.cfg, self.plain, folder, story | {"step": self.step})

    def finish(self) -> Path:
        """Write the adapter and let go of processes and memory; returns its folder."""
        self.frozen.close()
        if self.main:
            self._save(self.out / "adapter")
        # a DDP that outlives the process group's end joins gloo's threads with the interpreter locked: a deadlock
        del self.model
        self.accelerator.free_memory()
        self.accelerator.end_training()
        return self.out / "adapter"
