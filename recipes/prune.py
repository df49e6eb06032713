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
from typing import Any, TypeAlias

import torch
from diffusers import AudioLDM2UNet2DConditionModel
from omegaconf import MISSING
from torch.nn.functional import mse_loss
from tqdm import tqdm

from musetune.adapter import MusicAdapter
from musetune.adapter.metadata import AdapterMetadata, short_name
from musetune.adapter.narrowing import fresh_narrow_adapter, pair_weights, prune_pair
from musetune.conditioning import MusicTokens
from musetune.datasets import LatentDataset, TextEmbedding
from musetune.datasets.fingerprint import check_base
from musetune.hub.locate import find_adapter, find_base, is_lora
from musetune.models.pruning import describe_widths, importance_of, narrow_widths, prune_unet
from musetune.training import Dropout, TokenTable, draw_batch, load_tokens, seeding
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.config import command_line, read, run_command
from musetune.training.denoiser import Denoiser
from musetune.training.loss import add_noise, target
from musetune.training.run_info import describe_music, save_run_info
from musetune.training.setup import attach_present_adapter, bin_hz, load_noise_schedule, load_unet
from musetune.training.state import begin, differences
from musetune.training.tokens import zero_unseen_embeddings

# What a resumed run may have otherwise and still repeat the uninterrupted one exactly
RECORDS = ("output_dir", "checkpointing_steps")

Model: TypeAlias = AudioLDM2UNet2DConditionModel | Denoiser  # a U-Net alone, or with a music adapter


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    pretrained_model_name_or_path: str = "nano"  # the base: nano, a folder or a Hub name with unet/ and scheduler/
    train_data_dir: str = MISSING  # a data set made by prepare.py
    output_dir: str = MISSING  # checkpoints, loss.jsonl, results.json, and at the end unet/
    ratio: float = 0.75  # channels that stay, 0–1
    theory_adapter: str | None = None  # a music adapter to make narrower too: name, folder or Hub id; null: none
    scratch: bool = False  # random weights and no teacher instead: what pruning is compared with
    importance_batches: int = 8  # batches on which it is measured how much each channel counts
    teacher_weight: float = 1.0  # of the distance from the wide U-Net's predictions; 0: the data alone
    held_out_clips: int = 32  # at least; the last songs of the data set, not trained on, say how good the result is
    max_train_steps: int = 10_000
    train_batch_size: int = 16
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole clips
    text_dropout: float = 0.1
    # conditions hidden from both pairs, with theory_adapter only
    stream_dropout: float = 0.5  # each stream by itself
    expression_dropout: float = 0.25  # each feature of expression, where the data set has it
    condition_dropout: float = 0.1  # all streams but expression together
    span_dropout: float = 0.1  # a stretch of time of all streams
    learning_rate: float = 3e-4  # falls to zero as a cosine
    lr_warmup_steps: int = 50
    adam_weight_decay: float = 1e-2
    max_grad_norm: float = 1.0
    checkpointing_steps: int = 500
    seed: int = 0
    cpu: bool = False  # even where there is a GPU


@dataclass
class Batch:
    """x_t (B, channels, rows, cols), its steps (B,), the answer that is right, the words, and what an adapter reads."""

    noisy: torch.Tensor
    timesteps: torch.Tensor
    answer: torch.Tensor
    text: TextEmbedding
    tokens: MusicTokens | None


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
        self.table: TokenTable | None = None
        self.frames_per_row = 0

    def read_tokens(self, adapter: MusicAdapter) -> TokenTable:
        """Let batches carry what ``adapter`` reads."""
        self.frames_per_row = adapter.config.frames_per_row
        self.table = load_tokens(self.data, self.frames_per_row, adapter.config.event_s)
        return self.table

    def batch(self, purpose: str, step: int, held_out: bool = False) -> Batch:
        """The batch of a step; ``purpose`` tells draws of one step apart."""
        config, size = self.config, self.config.train_batch_size
        if held_out:
            indices = [self.held_out[(step * size + i) % len(self.held_out)] for i in range(size)]
        else:
            indices = [self.trained[i] for i in seeding.stream(len(self.trained), config.seed, step * size, size)]
        generators = [seeding.generator(config.seed, step, f"{purpose} {i}") for i in range(size)]
        latents, text, tokens = self._drawn(indices, generators)
        t = seeding.timesteps(generators, len(self.alphas), "stratified", places=range(size), of=size).to(self.device)
        noise = seeding.noise(generators, latents.shape[1:]).to(self.device)
        latents = latents.to(self.device)
        answer = target(latents, noise, self.alphas, t, self.kind)
        text = TextEmbedding(
            *(x.to(self.device) for x in (text.prompt_embeds, text.attention_mask, text.generated_prompt_embeds))
        )
        tokens = None if tokens is None else tokens.to(self.device)
        return Batch(add_noise(latents, noise, self.alphas, t), t, answer, text, tokens)

    def _drawn(
        self, indices: list[int], generators: list[torch.Generator]
    ) -> tuple[torch.Tensor, TextEmbedding, MusicTokens | None]:
        """Latents of crops, their words, some hidden, and for an adapter their tokens, some of them hidden."""
        config = self.config
        if self.table is not None:
            dropout = Dropout(
                text=config.text_dropout,
                stream=config.stream_dropout,
                condition=config.condition_dropout,
                span=config.span_dropout,
                expression=config.expression_dropout,
            )
            shape: Any = {"frames_per_row": self.frames_per_row, "crop_rows": config.crop_rows}
            batch = draw_batch(self.data, self.table, indices, generators, dropout=dropout, **shape)
            return batch.latents, batch.text, batch.tokens
        latents = self.data.latents[indices].float()
        if config.crop_rows is not None:
            starts = [int(torch.randint(latents.shape[2] - config.crop_rows + 1, (), generator=g)) for g in generators]
            latents = torch.stack([x[:, s : s + config.crop_rows] for x, s in zip(latents, starts, strict=True)])
        wordless = seeding.chance(generators, config.text_dropout).tolist()
        words = ["" if hide else self.data.clips[i].text for i, hide in zip(indices, wordless, strict=True)]
        return latents, self.data.collate_texts(words), None


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


def predict(model: Model, batch: Batch) -> torch.Tensor:
    """The answer of a U-Net, or of a U-Net with its adapter, like ``batch.noisy``."""
    if isinstance(model, Denoiser):
        if batch.tokens is None:
            raise ValueError("an adapter needs a batch with tokens: read_tokens first")
        told: torch.Tensor = model(batch.noisy, batch.timesteps, batch.tokens, batch.text)
        return told
    answer: torch.Tensor = model(
        batch.noisy,
        batch.timesteps,
        encoder_hidden_states=batch.text.generated_prompt_embeds,
        encoder_hidden_states_1=batch.text.prompt_embeds,
        encoder_attention_mask_1=batch.text.attention_mask,
    ).sample
    return answer


def measure_importance(model: Model, source: Source, batches: int) -> dict[str, torch.Tensor]:
    """|weight · gradient| of every weight, summed over batches; an adapter's as ``adapter.…``."""
    model.requires_grad_(True)
    weights = pair_weights(model.adapter) if isinstance(model, Denoiser) else dict(model.named_parameters())
    total: dict[str, torch.Tensor] = {}
    for step in tqdm(range(batches), unit="batch", desc="importance"):
        batch = source.batch("importance", step)
        mse_loss(predict(model, batch), batch.answer).backward()
        gradients = {name: p.grad for name, p in weights.items() if p.grad is not None}
        for name, value in importance_of(gradients, weights).items():
            total[name] = total[name] + value if name in total else value
        model.zero_grad(set_to_none=True)
    model.requires_grad_(False)
    return total


@torch.no_grad()
def held_out_loss(model: Model, source: Source, teacher: Model) -> dict[str, float]:
    """Mean squared error on clips that were not trained on, and the mean squared distance from the teacher."""
    count = math.ceil(len(source.held_out) / source.config.train_batch_size)
    pairs = []
    for step in range(count):
        batch = source.batch("held out", step, held_out=True)
        answer = predict(model, batch)
        pairs.append((mse_loss(answer, batch.answer).item(), mse_loss(answer, predict(teacher, batch)).item()))
    return {
        name: sum(column) / count for name, column in zip(("loss", "distance"), zip(*pairs, strict=True), strict=True)
    }


def load_teacher(config: Config, base: str, source: Source) -> Model:
    """The wide U-Net, with the music adapter on it where there is one; the adapter's LoRA lies in the U-Net.

    Raises ValueError for an adapter that is a LoRA alone, and for one of another base.
    """
    unet = load_unet(base, source.data.info.channels, cpu=config.cpu)
    if config.theory_adapter is None:
        return unet
    folder = find_adapter(config.theory_adapter)
    if is_lora(folder):
        raise ValueError(
            f"theory_adapter={config.theory_adapter} is a LoRA: give a music adapter such as theory, and train "
            "the LoRA anew on the narrow U-Net"
        )
    adapter = attach_present_adapter(unet, folder, frozen=True)
    if adapter.metadata is not None:
        adapter.metadata.check(unet)
    adapter.absorb_lora()
    return Denoiser(unet, adapter, source.data.info.row_s)


def begin_student(config: Config, base: str, source: Source, teacher: Model) -> Model:
    """The narrow U-Net, with the narrow adapter on it where the teacher has one: pruned, or new where ``scratch``.

    A run that goes on finds in output_dir what was pruned.
    """
    out, wide = Path(config.output_dir), teacher.adapter if isinstance(teacher, Denoiser) else None
    unet: AudioLDM2UNet2DConditionModel = teacher.unet if isinstance(teacher, Denoiser) else teacher
    widths, pruned, pruned_adapter = narrow_widths(unet, config.ratio), out / "pruned", out / "pruned_adapter"
    adapter = None
    if config.scratch and pruned.is_dir():
        raise ValueError(f"{out} holds a network that was pruned: give scratch=true another output_dir")
    if config.scratch:
        student = AudioLDM2UNet2DConditionModel.from_config({**unet.config, "block_out_channels": widths})
        if wide is not None and source.table is not None:
            adapter = fresh_narrow_adapter(wide, widths)
            zero_unseen_embeddings(adapter.conditioner, source.table)
            if adapter.stems is not None:
                adapter.stems.conditioner.sketch.draw(bin_hz(base))
    elif pruned.is_dir():
        student = AudioLDM2UNet2DConditionModel.from_pretrained(pruned, use_safetensors=True)
        if tuple(student.config.block_out_channels) != tuple(widths):
            raise ValueError(
                f"{out}/pruned has the widths {student.config.block_out_channels}, ratio={config.ratio} means "
                f"{widths}: give another output_dir"
            )
        if pruned_adapter.is_dir() != (wide is not None):
            was = "with" if pruned_adapter.is_dir() else "without"
            raise ValueError(
                f"{out} holds a run {was} a music adapter, theory_adapter={config.theory_adapter} asks for another: "
                "give another output_dir"
            )
        if wide is not None:
            adapter = MusicAdapter.from_pretrained(pruned_adapter)
    else:
        importance = measure_importance(teacher, source, config.importance_batches)
        if wide is None:
            student = prune_unet(unet, widths, importance)
        else:
            student, adapter = prune_pair(wide, widths, importance)
            adapter.save_pretrained(pruned_adapter)
        student.save_pretrained(pruned)
    return student if adapter is None else Denoiser(student, adapter.attach(student), source.data.info.row_s)


def save(model: Model, config: Config, source: Source, step: int) -> AudioLDM2UNet2DConditionModel:
    """Write output_dir/unet, and output_dir/adapter for it; returns the U-Net."""
    out, model = Path(config.output_dir), model.requires_grad_(False)
    if not isinstance(model, Denoiser):
        model.save_pretrained(out / "unet")
        return model
    unet, adapter = model.unet, model.adapter
    adapter.detach()
    unet.save_pretrained(out / "unet")
    base = f"{short_name(config.pretrained_model_name_or_path)} with the unet/ of {short_name(out.resolve())}"
    adapter.metadata = AdapterMetadata.of(unet, "theory", short_name(out.resolve()), base)
    adapter.attach(unet)
    adapter.save_pretrained(out / "adapter")
    data = asdict(source.data.info) | describe_music(source.data)
    save_run_info(out / "adapter", {"config": asdict(config), "data": data, "step": step})
    return unet


def train(config: Config) -> Path:
    """Prune and recover as `config` says; returns the folder of the narrow U-Net."""
    device = torch.device("cpu" if config.cpu or not torch.cuda.is_available() else "cuda")
    base, out = find_base(config.pretrained_model_name_or_path), Path(config.output_dir)
    source = Source(config, base, device)
    teacher = load_teacher(config, base, source).to(device).eval()
    if isinstance(teacher, Denoiser):
        source.read_tokens(teacher.adapter)
    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    # in eval there is no other arithmetic, but a branch of the adapter is left alone where nothing is said to it
    student = begin_student(config, base, source, teacher).to(device).requires_grad_(True).eval()
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
        else {"before": held_out_loss(student, source, teacher)}
    )
    results.write_text(json.dumps(record, indent=1) + "\n")  # a run that goes on does not measure it again
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
    unet = save(student, config, source, step)
    record |= {"after": held_out_loss(student, source, teacher), "wide": held_out_loss(teacher, source, teacher)}
    record |= {
        "steps": step,
        "processor_s": time.process_time() - began,
        "config": asdict(config),
        **describe_widths(unet),
    }
    if isinstance(student, Denoiser):
        record["adapter_parameters"] = sum(p.numel() for p in student.adapter.parameters())
    results.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({name: record[name] for name in ("parameters", "before", "after", "wide")}))
    return out / "unet"


if __name__ == "__main__":
    run_command(train, command_line(lambda arguments: read(Config, arguments), Config, __doc__))
