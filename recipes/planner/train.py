"""Songs → the structure transformer (T5), from scratch or as LoRA on a pretrained T5.

    python recipes/planner/collect_songs.py SHARED/data songs.jsonl
    python recipes/planner/train.py --config recipes/configs/planner.yaml songs=songs.jsonl output_dir=out
    python recipes/planner/train.py --config recipes/configs/planner.yaml songs=songs.jsonl output_dir=out
    base=google/flan-t5-small \
        learning_rate=3e-4 warmup=100

Resumable (resume_from_checkpoint=latest); a run that is cut short, or whose time is over, validates first. The model
with the least loss on the validation songs is what output_dir/planner gets, fp16.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from omegaconf import MISSING
from torch import Tensor
from tqdm import tqdm
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from musetune.datasets.planner.batches import batches, collate, sample_prompts
from musetune.datasets.planner.examples import PlannerExamples, pairs
from musetune.datasets.planner.songs import read as read_songs
from musetune.datasets.planner.songs import split
from musetune.planning.planner.planner import Planner
from musetune.planning.planner.tokenizer import add_plan_words, plan_ids, resize_embeddings, train_tokenizer
from musetune.training.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    pack_state,
    save_checkpoint,
    unpack_state,
)
from musetune.training.config import command_line, read
from musetune.training.run_info import with_averages
from musetune.training.state import TrainingState, begin, differences

# What a resumed run may have otherwise and still repeat the uninterrupted one exactly.
RECORDS = ("songs", "output_dir", "resume_from_checkpoint", "threads", "stop_after")


@dataclass
class Config:
    """Every option, its default, its meaning."""

    songs: str = MISSING  # what recipes/planner/collect_songs.py wrote
    output_dir: str = MISSING
    base: str | None = None  # null: a new T5 of the sizes below; else a T5 folder or Hub id to put LoRA on
    lora_rank: int = 16  # where there is a base
    start: str | None = None  # a planner's folder, "nano" for the shipped one, whose weights and tokenizer learn on
    vocab: int = 1000  # pieces of prompts
    d_model: int = 160
    d_ff: int = 480
    heads: int = 5
    encoder_layers: int = 3
    decoder_layers: int = 4
    dropout: float = 0.12
    batch_songs: int = 16  # whole songs in a step
    batch_orders: int = 48  # first lines alone in a step; they weigh as much as the songs
    max_train_steps: int = 4000
    max_train_minutes: float | None = None  # stop then; a resumed run counts on
    learning_rate: float = 1e-3
    embedding_rate: float = (
        8.0  # times learning_rate: T5's embeddings begin a hundred times as large as its other weights (nanoT5)
    )
    warmup: int = 200  # steps in which the learning rate rises
    cooldown: float = 0.25  # last share of the steps, or of the time, in which it falls
    weight_decay: float = 0.01
    ema_decay: float = 0.998
    validation_steps: int = 250  # also a checkpoint; the last step always
    patience: int = 12  # validations without gain before it stops
    resume_from_checkpoint: str | None = None
    seed: int = 0
    threads: int | None = None  # of torch; null: its own choice
    stop_after: int | None = None  # steps of this call alone, for tests of resuming


def build(cfg: Config, prompts: list[str]) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    if cfg.start is not None:
        if cfg.base is not None:
            raise ValueError(f"base={cfg.base} and start={cfg.start}: give one of them")
        planner = Planner.from_pretrained(cfg.start)
        for module in planner.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = cfg.dropout
        return planner.model, planner.tokenizer
    if cfg.base is None:
        tokenizer = train_tokenizer(prompts, cfg.vocab)
        config = T5Config(
            vocab_size=len(tokenizer),
            d_model=cfg.d_model,
            d_kv=cfg.d_model // cfg.heads,
            d_ff=cfg.d_ff,
            num_layers=cfg.encoder_layers,
            num_decoder_layers=cfg.decoder_layers,
            num_heads=cfg.heads,
            dropout_rate=cfg.dropout,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
        return T5ForConditionalGeneration(config), tokenizer
    from peft import LoraConfig, get_peft_model

    tokenizer = AutoTokenizer.from_pretrained(cfg.base)
    add_plan_words(tokenizer)
    model = T5ForConditionalGeneration.from_pretrained(cfg.base)
    resize_embeddings(model, tokenizer)
    lora = LoraConfig(  # the plan's words are new: the tables that write and hear them learn whole
        r=cfg.lora_rank,
        lora_alpha=2 * cfg.lora_rank,
        lora_dropout=0.05,
        target_modules=["q", "k", "v", "o"],
        modules_to_save=["embed_tokens", "lm_head"],
        task_type="SEQ_2_SEQ_LM",
        base_model_name_or_path=cfg.base,
    )
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a property by its old name
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return get_peft_model(model, lora), tokenizer


def word_loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy of the words to be learned."""
    labels = batch["labels"]
    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        decoder_input_ids=batch["decoder_input_ids"],
    ).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


@torch.no_grad()
def validate(model: Any, batches: dict[str, list[dict[str, Tensor]]]) -> dict[str, float]:
    """Loss a word of validation songs and of orders, without dropout, and their sum."""
    model.eval()
    out = {name: sum(float(word_loss(model, batch)) for batch in parts) / len(parts) for name, parts in batches.items()}
    model.train()
    return out | {"validation": sum(out.values())}


def trials(examples: PlannerExamples, tokenizer: Any, ids: list[int]) -> dict[str, list[dict[str, Tensor]]]:
    """Batches to validate on: songs and orders, always the same."""
    kinds = {"songs": pairs(examples, "validation", 128, 0), "orders": pairs(examples, "validation", 0, 160)}
    return {
        name: [collate(some[i : i + 32], tokenizer, ids) for i in range(0, len(some), 32)]
        for name, some in kinds.items()
    }


def is_table(name: str) -> bool:
    """Whether a weight is one of the tables of words."""
    return any(part in name for part in ("shared", "embed_tokens", "lm_head"))


def save(model: Any, tokenizer: Any, folder: Path, info: dict[str, Any]) -> None:
    """Half-precision weights (of a LoRA: its own alone), tokenizer and training.json."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    if not hasattr(model, "peft_config"):
        state.pop("lm_head.weight", None) if model.config.tie_word_embeddings else None
        for twin in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
            state.pop(twin, None)
    model.save_pretrained(
        folder, state_dict=state, **({"save_embedding_layers": False} if hasattr(model, "peft_config") else {})
    )
    tokenizer.save_pretrained(folder)
    (folder / "training.json").write_text(json.dumps(info, indent=1) + "\n")


def pace(cfg: Config, step: int, minutes: float) -> float:
    """Factor of the learning rate.

    Up, level, and down to a fiftieth over the last ``cooldown`` of the steps or of the time.
    """
    left = 1 - step / cfg.max_train_steps
    if cfg.max_train_minutes:
        left = min(left, 1 - minutes / cfg.max_train_minutes)
    return min(1.0, (step + 1) / cfg.warmup) * min(1.0, max(left / cfg.cooldown, 0.02))


def train(cfg: Config) -> Path:
    """Train as ``cfg`` says; the folder of the best model. However it ends, the last step is validated."""
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    out = Path(cfg.output_dir)
    checkpoint = find_checkpoint(out, cfg.resume_from_checkpoint)
    torch.manual_seed(cfg.seed)
    learned, validation_examples = split(read_songs(Path(cfg.songs)))
    if not learned or not validation_examples:
        counts = f"{len(learned)} songs to learn from and {len(validation_examples)} to validate on"
        raise ValueError(f"{cfg.songs} has {counts}: give more songs")
    examples = PlannerExamples(learned)
    model, tokenizer = build(cfg, [] if cfg.base or cfg.start else sample_prompts(examples))
    ids = plan_ids(tokenizer)
    held_batches = trials(PlannerExamples(validation_examples), tokenizer, ids)
    state = make_state(model, cfg)
    standing, changed = Standing(), []
    if cfg.start is not None and checkpoint is None:  # what learns on has to become better than it was
        standing.improve(validate(model, held_batches)["validation"])
    facts = {"songs": len(learned), "songs' digest": hashlib.sha256(Path(cfg.songs).read_bytes()).hexdigest()[:16]}
    if checkpoint:
        tensors, meta = load_checkpoint(checkpoint)
        unpack_state(tensors, state.named, state.optimizer, state.averages)
        state.step, state.ema.optimization_step = meta["step"], meta["ema_steps"]
        standing = Standing(meta["best"], meta["since"], meta["minutes"])
        changed = differences(meta, config=asdict(cfg), data=facts, records=RECORDS)
    begin(out, state.step, changed)
    info = describe(cfg, model, state, len(learned), len(validation_examples))
    began, first = time.monotonic(), state.step
    bar = tqdm(total=cfg.max_train_steps, initial=state.step, unit="step")
    ended = is_over(cfg, state.step, standing, first, standing.minutes)
    model.train()
    while not ended:
        minutes = standing.minutes + (time.monotonic() - began) / 60  # of training so far, earlier calls' too
        lr = cfg.learning_rate * pace(cfg, state.step, minutes)
        torch.manual_seed(cfg.seed * 1_000_003 + state.step)  # dropout of this step
        sizes = {"songs": cfg.batch_songs, "orders": cfg.batch_orders, "seed": cfg.seed}
        parts = batches(examples, tokenizer, ids, state.step, **sizes)
        loss = torch.stack([word_loss(model, batch) for batch in parts]).sum()  # nats a word of songs, and of orders
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.parameters, 1.0)
        for group in state.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.ema.step(state.parameters)
        state.step += 1

        record = {"step": state.step, "loss": round(loss.item(), 4), "lr": lr}
        minutes = standing.minutes + (time.monotonic() - began) / 60
        ended = is_over(cfg, state.step, standing, first, minutes)
        if ended or state.step % cfg.validation_steps == 0:
            with with_averages(state.parameters, state.averages):
                losses = validate(model, held_batches)
                if standing.improve(losses["validation"]):
                    best = {"step": state.step, "validation_loss": standing.best}
                    save(model, tokenizer, out / "planner", info | best)
            meta = {"step": state.step, "minutes": minutes, "best": standing.best, "since": standing.since}
            meta |= {"ema_steps": state.ema.optimization_step, "config": asdict(cfg), "data": facts}
            save_checkpoint(out, state.step, pack_state(state.named, state.optimizer, state.averages), meta, 1)
            record |= losses
            ended = ended or standing.since >= cfg.patience
            text = ", ".join(f"{name} {losses[name]:.4f}" for name in held_batches)
            bar.write(f"step {state.step}: loss {record['loss']:.3f}, validation: {text}, best {standing.best:.4f}")
        bar.update()
        bar.set_postfix(loss=f"{record['loss']:.3f}", best=f"{standing.best:.3f}", refresh=False)
        with (out / "loss.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
    bar.close()
    return out / "planner"


@dataclass
class Standing:
    """The least validation loss so far, validations since then, and minutes of the calls before this one."""

    best: float = math.inf
    since: int = 0
    minutes: float = 0.0

    def improve(self, loss: float) -> bool:
        """Take a validation's loss; whether it is the least so far."""
        better = loss < self.best
        self.best, self.since = (loss, 0) if better else (self.best, self.since + 1)
        return better


@dataclass
class PlannerState(TrainingState):
    """As every state of training, always with averages."""

    ema: EMAModel


def make_state(model: Any, cfg: Config) -> PlannerState:
    """AdamW over what learns, the tables of words first and at their own rate."""
    free = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    named = dict(sorted(free, key=lambda one: not is_table(one[0])))
    params, tables = list(named.values()), sum(map(is_table, named))
    groups = [{"params": params[:tables], "factor": cfg.embedding_rate}, {"params": params[tables:], "factor": 1.0}]
    optimizer = torch.optim.AdamW(groups, cfg.learning_rate, (0.9, 0.98), weight_decay=cfg.weight_decay, foreach=True)
    return PlannerState(named, optimizer, EMAModel(params, decay=cfg.ema_decay, foreach=True))


def describe(cfg: Config, model: Any, state: TrainingState, learned: int, validation_count: int) -> dict[str, Any]:
    """The run info that goes with the model."""
    return {
        "config": asdict(cfg) | {"songs": Path(cfg.songs).name, "output_dir": Path(cfg.output_dir).name},
        "songs": {"train": learned, "validation": validation_count},
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in state.parameters),
    }


def is_over(cfg: Config, step: int, standing: Standing, first: int, minutes: float) -> bool:
    """Whether steps, time or patience are used up, or the steps of this call, which began after step ``first``."""
    late = cfg.max_train_minutes is not None and minutes >= cfg.max_train_minutes
    called = cfg.stop_after is not None and step - first >= cfg.stop_after
    return step >= cfg.max_train_steps or standing.since >= cfg.patience or late or called


def load_config(arguments: list[str]) -> Config:
    """`[file.yaml …] [key=value …]` → Config."""
    return read(Config, arguments)


if __name__ == "__main__":
    train(command_line(load_config, Config, __doc__))
