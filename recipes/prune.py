"""Make a base's U-Net narrower, and let it learn from the wide one what it has lost (structured pruning).

    python recipes/prune.py recipes/configs/prune.yaml train_data_dir=data/songs output_dir=runs/narrow ratio=0.75
    python recipes/prune.py … scratch=true       the same widths, random weights, no teacher: what to compare with

How much each channel counts is measured on batches of the data set: |weight · gradient| of the diffusion loss. What
counts least is left out. Then the narrow U-Net is trained on the wide one's predictions and on the data.
output_dir/unet is an ordinary diffusers folder, which replaces a base's folder of that name. Adapters were made for the
wide U-Net and do not fit: train them anew on the result.

A run that was killed goes on with the same command.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AudioLDM2UNet2DConditionModel
from omegaconf import MISSING
from torch.nn.functional import mse_loss
from tqdm import tqdm

from musetune.datasets import LatentDataset, TextEmbedding
from musetune.datasets.fingerprint import check_base
from musetune.hub.locate import find_base
from musetune.models.pruning import describe_widths, importance_of, narrow_widths, prune_unet
from musetune.training import seeding
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.config import command_line, read, run_command
from musetune.training.loss import add_noise, target
from musetune.training.setup import load_noise_schedule, load_unet
from musetune.training.state import begin, differences

# What a resumed run may have otherwise and still repeat the uninterrupted one exactly
RECORDS = ("output_dir", "checkpointing_steps")


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    pretrained_model_name_or_path: str = "nano"  # the base: nano, a folder or a Hub name with unet/ and scheduler/
    train_data_dir: str = MISSING  # a data set made by prepare.py
    output_dir: str = MISSING  # checkpoints, loss.jsonl, results.json, and at the end unet/
    ratio: float = 0.75  # channels that stay, 0–1
    scratch: bool = False  # random weights and no teacher instead: what pruning is compared with
    importance_batches: int = 8  # batches on which it is measured how much each channel counts
    teacher_weight: float = 1.0  # of the distance from the wide U-Net's predictions; 0: the data alone
    held_out_clips: int = 32  # at least; the last songs of the data set, not trained on, say how good the result is
    max_train_steps: int = 10_000
    train_batch_size: int = 16
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole clips
    text_dropout: float = 0.1
    learning_rate: float = 3e-4  # falls to zero as a cosine
    lr_warmup_steps: int = 50
    adam_weight_decay: float = 1e-2
    max_grad_norm: float = 1.0
    checkpointing_steps: int = 500
    seed: int = 0
    cpu: bool = False  # even where there is a GPU


@dataclass
class Batch:
    """x_t (B, channels, rows, cols), its steps (B,), the answer that is right, and the words."""

    noisy: torch.Tensor
    timesteps: torch.Tensor
    answer: torch.Tensor
    text: TextEmbedding


class Source:
    """Batches of a data set: each a function of (seed, step) alone, so that a resumed run repeats them."""

    def __init__(self, config: Config, base: str, device: torch.device) -> None:
        self.config, self.device = config, device
        self.data = LatentDataset(config.train_data_dir)
        check_base(base, self.data.info.base_fingerprint, self.data.info.base, config.train_data_dir)
        self.trained, self.held_out = split_songs([clip.file for clip in self.data.clips], config.held_out_clips)
        schedule = load_noise_schedule(base)
        self.alphas = schedule.alphas_cumprod.to(device)
        self.kind = str(schedule.config.prediction_type)

    def batch(self, purpose: str, step: int, held_out: bool = False) -> Batch:
        """The batch of a step; ``purpose`` tells draws of one step apart."""
        config, size = self.config, self.config.train_batch_size
        if held_out:
            indices = [self.held_out[(step * size + i) % len(self.held_out)] for i in range(size)]
        else:
            indices = [self.trained[i] for i in seeding.stream(len(self.trained), config.seed, step * size, size)]
        generators = [seeding.generator(config.seed, step, f"{purpose} {i}") for i in range(size)]
        latents = self.data.latents[indices].float()
        if config.crop_rows is not None:
            starts = [int(torch.randint(latents.shape[2] - config.crop_rows + 1, (), generator=g)) for g in generators]
            latents = torch.stack([x[:, s : s + config.crop_rows] for x, s in zip(latents, starts, strict=True)])
        wordless = seeding.chance(generators, config.text_dropout).tolist()
        words = ["" if hide else self.data.clips[i].text for i, hide in zip(indices, wordless, strict=True)]
        text = self.data.collate_texts(words)
        t = seeding.timesteps(generators, len(self.alphas), "stratified", places=range(size), of=size).to(self.device)
        noise = seeding.noise(generators, latents.shape[1:]).to(self.device)
        latents = latents.to(self.device)
        answer = target(latents, noise, self.alphas, t, self.kind)
        text = TextEmbedding(
            *(x.to(self.device) for x in (text.prompt_embeds, text.attention_mask, text.generated_prompt_embeds))
        )
        return Batch(add_noise(latents, noise, self.alphas, t), t, answer, text)


def split_songs(songs: Sequence[str], held_out: int) -> tuple[list[int], list[int]]:
    """Places of the clips that are trained on, and of those that are not: at least ``held_out``, the last songs whole.

    Args:
        songs: of each clip, the file that it was cut from.
        held_out: clips that are not trained on, at least.

    Raises:
        ValueError: where no clip is left on one of both sides.
    """
    last = set(songs[max(0, len(songs) - held_out) :]) if held_out > 0 else set()
    kept = [i for i, song in enumerate(songs) if song not in last]
    if not kept or not last:
        raise ValueError(
            f"held_out_clips={held_out} of {len(songs)} clips of {len(set(songs))} songs leaves none to train on, or "
            "none to judge by: whole songs are held out; give another number, or data of more songs"
        )
    return kept, [i for i, song in enumerate(songs) if song in last]


def predict(unet: AudioLDM2UNet2DConditionModel, batch: Batch) -> torch.Tensor:
    """The U-Net's answer, like ``batch.noisy``."""
    answer: torch.Tensor = unet(
        batch.noisy,
        batch.timesteps,
        encoder_hidden_states=batch.text.generated_prompt_embeds,
        encoder_hidden_states_1=batch.text.prompt_embeds,
        encoder_attention_mask_1=batch.text.attention_mask,
    ).sample
    return answer


def measure_importance(unet: AudioLDM2UNet2DConditionModel, source: Source, batches: int) -> dict[str, torch.Tensor]:
    """|weight · gradient| of every weight, summed over batches."""
    unet.requires_grad_(True)
    total: dict[str, torch.Tensor] = {}
    for step in tqdm(range(batches), unit="batch", desc="importance"):
        batch = source.batch("importance", step)
        mse_loss(predict(unet, batch), batch.answer).backward()
        gradients = {name: p.grad for name, p in unet.named_parameters() if p.grad is not None}
        for name, value in importance_of(gradients, dict(unet.named_parameters())).items():
            total[name] = total[name] + value if name in total else value
        unet.zero_grad(set_to_none=True)
    unet.requires_grad_(False)
    return total


@torch.no_grad()
def held_out_loss(
    unet: AudioLDM2UNet2DConditionModel, source: Source, teacher: AudioLDM2UNet2DConditionModel
) -> dict[str, float]:
    """Mean squared error on clips that were not trained on, and the mean squared distance from the wide U-Net."""
    count = math.ceil(len(source.held_out) / source.config.train_batch_size)
    pairs = []
    for step in range(count):
        batch = source.batch("held out", step, held_out=True)
        answer = predict(unet, batch)
        pairs.append((mse_loss(answer, batch.answer).item(), mse_loss(answer, predict(teacher, batch)).item()))
    return {
        name: sum(column) / count for name, column in zip(("loss", "distance"), zip(*pairs, strict=True), strict=True)
    }


def train(config: Config) -> Path:
    """Prune and recover as `config` says; returns the folder of the narrow U-Net."""
    device = torch.device("cpu" if config.cpu or not torch.cuda.is_available() else "cuda")
    base, out = find_base(config.pretrained_model_name_or_path), Path(config.output_dir)
    source = Source(config, base, device)
    teacher = load_unet(base, source.data.info.channels, cpu=config.cpu).to(device).eval()
    widths = narrow_widths(teacher, config.ratio)
    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    if config.scratch and (out / "pruned").is_dir():
        raise ValueError(f"{out} holds a network that was pruned: give scratch=true another output_dir")
    if config.scratch:
        student = AudioLDM2UNet2DConditionModel.from_config({**teacher.config, "block_out_channels": widths})
    elif (out / "pruned").is_dir():  # of a run that goes on
        student = AudioLDM2UNet2DConditionModel.from_pretrained(out / "pruned", use_safetensors=True)
        if tuple(student.config.block_out_channels) != tuple(widths):
            raise ValueError(
                f"{out}/pruned has the widths {student.config.block_out_channels}, ratio={config.ratio} means "
                f"{widths}: give another output_dir"
            )
    else:
        student = prune_unet(teacher, widths, measure_importance(teacher, source, config.importance_batches))
        student.save_pretrained(out / "pruned")
    student = student.to(device).requires_grad_(True).train()
    named = dict(student.named_parameters())
    optimizer = torch.optim.AdamW(named.values(), lr=config.learning_rate, weight_decay=config.adam_weight_decay)
    facts = {"clips": len(source.data), "clips' digest": source.data.digest()}
    meta = resume_latest(out, named, optimizer)
    step = int(meta.get("step", 0))
    begin(out, step, differences(meta, config=asdict(config), data=facts, records=RECORDS))
    results = out / "results.json"
    record = (
        json.loads(results.read_text())
        if results.is_file() and step
        else {"before": held_out_loss(student.eval(), source, teacher)}
    )
    results.write_text(json.dumps(record, indent=1) + "\n")  # a run that goes on does not measure it again
    student.train()
    began, bar = time.process_time(), tqdm(total=config.max_train_steps, initial=step, unit="step")
    while step < config.max_train_steps:
        batch = source.batch("training", step)
        answer = predict(student, batch)
        loss = mse_loss(answer, batch.answer)
        if config.teacher_weight and not config.scratch:
            with torch.no_grad():
                told = predict(teacher, batch)
            loss = loss + config.teacher_weight * mse_loss(answer, told)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(named.values(), config.max_grad_norm)
        warm = min(1.0, (step + 1) / max(1, config.lr_warmup_steps))
        fall = 0.5 * (1 + math.cos(math.pi * step / config.max_train_steps))
        optimizer.param_groups[0]["lr"] = config.learning_rate * warm * fall
        optimizer.step()
        step += 1
        with (out / "loss.jsonl").open("a") as log:
            log.write(json.dumps({"step": step, "loss": loss.item()}) + "\n")
        bar.update(), bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
        if step % config.checkpointing_steps == 0 or step == config.max_train_steps:
            record_of = {"step": step, "config": asdict(config), "data": facts}
            save_checkpoint(out, step, pack_state(named, optimizer), record_of, total_limit=2)
    bar.close()
    student.eval().requires_grad_(False).save_pretrained(out / "unet")
    record |= {"after": held_out_loss(student, source, teacher), "wide": held_out_loss(teacher, source, teacher)}
    record |= {
        "steps": step,
        "processor_s": time.process_time() - began,
        "config": asdict(config),
        **describe_widths(student),
    }
    results.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({name: record[name] for name in ("parameters", "before", "after", "wide")}))
    return out / "unet"


if __name__ == "__main__":
    run_command(train, command_line(lambda arguments: read(Config, arguments), Config, __doc__))
