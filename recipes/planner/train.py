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
from musetune.datasets.planner.examples import Examples, pairs
from musetune.datasets.planner.songs import read as read_songs
from musetune.datasets.planner.songs import split
from musetune.planning.planner.tokenizer import add_plan_words, plan_ids, resize_embeddings, train_tokenizer
from musetune.training import checkpoint as ckpt
from musetune.training.config import command_line, read


@dataclass
class Config:
    """Every knob, its default, its meaning."""

    songs: str = MISSING  # what recipes/planner/collect_songs.py wrote
    output_dir: str = MISSING
    base: str | None = None  # null: a new T5 of the sizes below; else a T5 folder or Hub id to put LoRA on
    lora_rank: int = 16  # where there is a base
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
def validate(model: Any, held: dict[str, list[dict[str, Tensor]]]) -> dict[str, float]:
    """Loss a word of validation songs and of orders, without dropout, and their sum."""
    model.eval()
    out = {name: sum(float(word_loss(model, batch)) for batch in parts) / len(parts) for name, parts in held.items()}
    model.train()
    return out | {"validation": sum(out.values())}


def trials(held: Examples, tokenizer: Any, ids: list[int]) -> dict[str, list[dict[str, Tensor]]]:
    """Batches to validate on: songs and orders, always the same."""
    kinds = {"songs": pairs(held, "validation", 128, 0), "orders": pairs(held, "validation", 0, 160)}
    return {
        name: [collate(some[i : i + 32], tokenizer, ids) for i in range(0, len(some), 32)]
        for name, some in kinds.items()
    }


def is_table(name: str) -> bool:
    """Whether a weight is one of the tables of words."""
    return any(part in name for part in ("shared", "embed_tokens", "lm_head"))


def save(model: Any, tokenizer: Any, folder: Path, story: dict[str, Any]) -> None:
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
    (folder / "training.json").write_text(json.dumps(story, indent=1) + "\n")


def pace(cfg: Config, step: int, minutes: float) -> float:
    """Factor of the learning rate.

    Up, level, and down to a fiftieth over the last ``cooldown`` of the steps or of the time.
    """
    left = 1 - step / cfg.max_train_steps
    if cfg.max_train_minutes:
        left = min(left, 1 - minutes / cfg.max_train_minutes)
    return min(1.0, (step + 1) / cfg.warmup) * min(1.0, max(left / cfg.cooldown, 0.02))


class Run:
    """A training under way: what learns, how far it has come and what was best."""

    def __init__(self, cfg: Config) -> None:
        self.cfg, self.out = cfg, Path(cfg.output_dir)
        resumed = ckpt.find_checkpoint(self.out, cfg.resume_from_checkpoint)
        if resumed is None and ckpt.list_checkpoints(self.out):
            raise ValueError(f"{self.out} holds checkpoints: give resume_from_checkpoint=latest or another output_dir")
        torch.manual_seed(cfg.seed)
        learned, held = split(read_songs(Path(cfg.songs)))
        if not learned or not held:
            counts = f"{len(learned)} songs to learn from and {len(held)} to validate on"
            raise ValueError(f"{cfg.songs} has {counts}: give more songs")
        self.examples = Examples(learned)
        self.model, self.tokenizer = build(cfg, [] if cfg.base else sample_prompts(self.examples))
        self.ids = plan_ids(self.tokenizer)
        self.trial = trials(Examples(held), self.tokenizer, self.ids)
        free = [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
        self.named = dict(sorted(free, key=lambda one: not is_table(one[0])))
        self.params = list(self.named.values())
        tables = sum(map(is_table, self.named))
        groups = [
            {"params": self.params[:tables], "factor": cfg.embedding_rate},
            {"params": self.params[tables:], "factor": 1.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, cfg.learning_rate, (0.9, 0.98), weight_decay=cfg.weight_decay, foreach=True
        )
        self.ema = EMAModel(self.params, decay=cfg.ema_decay, foreach=True)
        self.step, self.spent, self.best, self.since = 0, 0.0, math.inf, 0
        if resumed:
            state, meta = ckpt.load_checkpoint(resumed)
            ckpt.unpack_state(state, self.named, self.optimizer, self.ema.shadow_params)
            self.step, self.spent, self.best, self.since = (meta[k] for k in ("step", "minutes", "best", "since"))
            self.ema.optimization_step = meta["ema_steps"]
        self.story = {
            "config": asdict(cfg) | {"songs": Path(cfg.songs).name, "output_dir": self.out.name},
            "songs": {"train": len(learned), "validation": len(held)},
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "trained": sum(p.numel() for p in self.params),
        }
        self.model.train()
        self.began, self.first = time.monotonic(), self.step

    def minutes(self) -> float:
        """Of training so far, earlier calls' too."""
        return self.spent + (time.monotonic() - self.began) / 60

    def ended(self) -> bool:
        """Whether steps, time or patience are used up."""
        cfg = self.cfg
        late = bool(cfg.max_train_minutes) and self.minutes() >= cfg.max_train_minutes  # type: ignore[operator]
        called = bool(cfg.stop_after) and self.step - self.first >= cfg.stop_after  # type: ignore[operator]
        return self.step >= cfg.max_train_steps or self.since >= cfg.patience or late or called

    def learn(self) -> dict[str, Any]:
        """One step; its line of the log."""
        cfg = self.cfg
        lr = cfg.learning_rate * pace(cfg, self.step, self.minutes())
        torch.manual_seed(cfg.seed * 1_000_003 + self.step)  # dropout of this step
        sizes = {"songs": cfg.batch_songs, "orders": cfg.batch_orders, "seed": cfg.seed}
        parts = batches(self.examples, self.tokenizer, self.ids, self.step, **sizes)
        loss = torch.stack([word_loss(self.model, batch) for batch in parts]).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.params)
        self.step += 1
        return {"step": self.step, "loss": round(loss.item(), 4), "lr": lr}

    def judge(self) -> dict[str, float]:
        """Validation losses of the averaged weights, which are kept if they are the best; writes a checkpoint."""
        self.ema.store(self.params)
        self.ema.copy_to(self.params)
        found = validate(self.model, self.trial)
        self.since = 0 if found["validation"] < self.best else self.since + 1
        if self.since == 0:
            self.best = found["validation"]
            story = self.story | {"step": self.step, "validation_loss": self.best}
            save(self.model, self.tokenizer, self.out / "planner", story)
        self.ema.restore(self.params)
        meta = {
            "step": self.step,
            "minutes": self.minutes(),
            "best": self.best,
            "since": self.since,
            "ema_steps": self.ema.optimization_step,
        }
        state = ckpt.pack_state(self.named, self.optimizer, self.ema.shadow_params)
        ckpt.save_checkpoint(self.out, self.step, state, meta, 1)
        return found


def train(cfg: Config) -> Path:
    """Train as ``cfg`` says; the folder of the best model. However it ends, the last step is validated."""
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    run = Run(cfg)
    run.out.mkdir(parents=True, exist_ok=True)
    ckpt.truncate_log(run.out / "loss.jsonl", run.step)
    bar = tqdm(total=cfg.max_train_steps, initial=run.step, unit="step")
    ended = run.ended()
    while not ended:
        record = run.learn()
        ended = run.ended()
        if ended or run.step % cfg.validation_steps == 0:
            record |= run.judge()
            ended = ended or run.ended()
            losses = ", ".join(f"{name} {record[name]:.4f}" for name in run.trial)
            bar.write(f"step {run.step}: loss {record['loss']:.3f}, validation: {losses}, best {run.best:.4f}")
        bar.update()
        bar.set_postfix(loss=f"{record['loss']:.3f}", best=f"{run.best:.3f}", refresh=False)
        with (run.out / "loss.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
    bar.close()
    return run.out / "planner"


def load_config(arguments: list[str]) -> Config:
    """`[file.yaml …] [key=value …]` → Config."""
    return read(Config, arguments)


if __name__ == "__main__":
    train(command_line(load_config, Config, __doc__))
