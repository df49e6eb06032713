"""Songs → the structure transformer (T5), from scratch or as LoRA on a pretrained T5.

    python recipes/planner_songs.py SHARED/data songs.jsonl
    python recipes/train_planner.py --config recipes/configs/planner.yaml songs=songs.jsonl output_dir=out
    python recipes/train_planner.py --config recipes/configs/planner.yaml songs=songs.jsonl output_dir=out base=google/flan-t5-small \
        learning_rate=3e-4 warmup=100

Resumable (resume_from_checkpoint=latest). The model with the least loss on the validation songs is what output_dir/planner gets, fp16.
"""

from __future__ import annotations

import json
import math
import random
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from knobs import command_line, read  # type: ignore[import-not-found]
from omegaconf import MISSING
from planner_captions import FILLERS, GENRE_WORDS, METER_WORDS, MOODS_OF, NOUNS, TEMPO_WORDS  # type: ignore[import-not-found]
from planner_examples import Examples, Pair, order, pairs  # type: ignore[import-not-found]
from planner_songs import read as read_songs  # type: ignore[import-not-found]
from planner_songs import split
from torch import Tensor
from tqdm import tqdm
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from musetune.planning.plan_tokenizer import add_plan_words, make_room, plan_ids, read_prompts, train_tokenizer
from musetune.training import checkpoint as ckpt


@dataclass
class Config:
    """Every knob, its default, its meaning."""

    songs: str = MISSING  # what recipes/planner_songs.py wrote
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
    validation_steps: int = 250  # also a checkpoint
    patience: int = 12  # validations without gain before it stops
    resume_from_checkpoint: str | None = None
    seed: int = 0
    threads: int | None = None  # of torch; null: its own choice
    stop_after: int | None = None  # steps of this call alone, for tests of resuming


LINE = {
    "genre": [0],
    "meter": [1],
    "mode": [2],
    "tonic": [3],
    "bpm": [4, 5, 6],
    "asked": [7, 8, 9, 10],
}  # places in the first line
BUCKET = 4  # batches sorted by length together


def build(cfg: Config, prompts: list[str]) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    if cfg.base is None:
        tokenizer = train_tokenizer(prompts, cfg.vocab)
        config = T5Config(
            vocab_size=len(tokenizer), d_model=cfg.d_model, d_kv=cfg.d_model // cfg.heads, d_ff=cfg.d_ff, num_layers=cfg.encoder_layers,
            num_decoder_layers=cfg.decoder_layers, num_heads=cfg.heads, dropout_rate=cfg.dropout, pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        return T5ForConditionalGeneration(config), tokenizer
    from peft import LoraConfig, get_peft_model

    tokenizer = AutoTokenizer.from_pretrained(cfg.base)
    add_plan_words(tokenizer)
    model = T5ForConditionalGeneration.from_pretrained(cfg.base)
    make_room(model, tokenizer)
    lora = LoraConfig(  # the plan's words are new: the tables that write and hear them learn whole
        r=cfg.lora_rank, lora_alpha=2 * cfg.lora_rank, lora_dropout=0.05, target_modules=["q", "k", "v", "o"],
        modules_to_save=["embed_tokens", "lm_head"], task_type="SEQ_2_SEQ_LM", base_model_name_or_path=cfg.base,
    )  # fmt: skip
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a property by its old name
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return get_peft_model(model, lora), tokenizer


def sample_prompts(examples: Examples) -> list[str]:
    """What the tokenizer learns from: captions of orders and songs, and every word of the tables."""
    rng = random.Random("words")
    tables = [*GENRE_WORDS.values(), *METER_WORDS.values(), *MOODS_OF.values(), TEMPO_WORDS, FILLERS, NOUNS]
    words = [f"{word} {word.capitalize()}" for table in tables for word in table]
    titles = [song.name.split("/")[-2].replace("_", " ") for song in examples.songs if "/" in song.name]
    return [order(rng)[0] for _ in range(12000)] + words * 3 + titles


def collate(batch: list[Pair], tokenizer: Any, ids: list[int]) -> dict[str, Tensor]:
    """input_ids, attention_mask (B, prompt) and labels (B, words), −100 where nothing is to be learned."""
    labels = torch.full((len(batch), max(len(words) for _, words, _ in batch) + 1), -100)
    inputs = torch.full_like(labels, tokenizer.pad_token_id)
    for row, (_, words, named) in enumerate(batch):
        places = [*words, len(ids) - 1] if named is None else words
        labels[row, : len(places)] = inputs[row, : len(places)] = torch.tensor([ids[place] for place in places])
        for name in set(LINE) - named if named is not None else ():
            labels[row, LINE[name]] = -100
    shifted = inputs.roll(1, 1)  # the decoder hears the masked words too: they are its past
    shifted[:, 0] = tokenizer.pad_token_id
    read = read_prompts(tokenizer, [text for text, _, _ in batch])
    return {
        "input_ids": read.input_ids,
        "attention_mask": read.attention_mask,
        "labels": labels,
        "decoder_input_ids": shifted,
    }


def batches(examples: Examples, cfg: Config, step: int, tokenizer: Any, ids: list[int]) -> list[dict[str, Tensor]]:
    """What step ``step`` learns from: songs of like length, from BUCKET steps' worth, and orders."""
    block, place = divmod(step, BUCKET)
    songs = pairs(examples, f"{cfg.seed}/block {block}", cfg.batch_songs * BUCKET, 0)
    songs.sort(key=lambda pair: len(pair[1]))
    places = random.Random(f"{cfg.seed}/places {block}").sample(range(BUCKET), BUCKET)
    chosen = songs[places[place] * cfg.batch_songs :][: cfg.batch_songs]
    orders = pairs(examples, f"{cfg.seed}/orders {step}", 0, cfg.batch_orders)
    return [collate(part, tokenizer, ids) for part in (chosen, orders) if part]


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
    """Factor of the learning rate: up, level, and down to a fiftieth over the last ``cooldown`` of the steps or of the time."""
    left = 1 - step / cfg.max_train_steps
    if cfg.max_train_minutes:
        left = min(left, 1 - minutes / cfg.max_train_minutes)
    return min(1.0, (step + 1) / cfg.warmup) * min(1.0, max(left / cfg.cooldown, 0.02))


def train(cfg: Config) -> Path:
    """Train as ``cfg`` says; the folder of the best model."""
    out, best_folder = Path(cfg.output_dir), Path(cfg.output_dir) / "planner"
    resumed = ckpt.find_checkpoint(out, cfg.resume_from_checkpoint)
    if resumed is None and ckpt.list_checkpoints(out):
        raise ValueError(f"{out} holds checkpoints: give resume_from_checkpoint=latest or another output_dir")
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)
    learned, held = split(read_songs(Path(cfg.songs)))
    if not learned or not held:
        raise ValueError(
            f"{cfg.songs} has {len(learned)} songs to learn from and {len(held)} to validate on: give more songs"
        )
    examples = Examples(learned)
    model, tokenizer = build(cfg, [] if cfg.base else sample_prompts(examples))
    ids = plan_ids(tokenizer)
    kinds = {
        "songs": pairs(Examples(held), "validation", 128, 0),
        "orders": pairs(Examples(held), "validation", 0, 160),
    }
    trial = {
        name: [collate(some[i : i + 32], tokenizer, ids) for i in range(0, len(some), 32)]
        for name, some in kinds.items()
    }

    named = dict(
        sorted(((n, p) for n, p in model.named_parameters() if p.requires_grad), key=lambda one: not is_table(one[0]))
    )
    params = list(named.values())
    tables = sum(is_table(name) for name in named)
    groups = [{"params": params[:tables], "factor": cfg.embedding_rate}, {"params": params[tables:], "factor": 1.0}]
    optimizer = torch.optim.AdamW(groups, cfg.learning_rate, (0.9, 0.98), weight_decay=cfg.weight_decay, foreach=True)
    ema = EMAModel(params, decay=cfg.ema_decay, foreach=True)
    step, spent, best, since = 0, 0.0, math.inf, 0
    if resumed:
        state, meta = ckpt.load_checkpoint(resumed)
        ckpt.unpack_state(state, named, optimizer, ema.shadow_params)
        step, spent, best, since, ema.optimization_step = (
            meta[k] for k in ("step", "minutes", "best", "since", "ema_steps")
        )
    out.mkdir(parents=True, exist_ok=True)
    ckpt.truncate_log(out / "loss.jsonl", step)
    story = {"config": asdict(cfg) | {"songs": Path(cfg.songs).name, "output_dir": out.name}, "songs": {"train": len(learned), "validation": len(held)},
             "parameters": sum(p.numel() for p in model.parameters()), "trained": sum(p.numel() for p in params)}  # fmt: skip

    model.train()
    began, first = time.monotonic(), step
    bar = tqdm(total=cfg.max_train_steps, initial=step, unit="step")
    while step < cfg.max_train_steps and since < cfg.patience:
        minutes = spent + (time.monotonic() - began) / 60
        if (cfg.max_train_minutes and minutes >= cfg.max_train_minutes) or (
            cfg.stop_after and step - first >= cfg.stop_after
        ):
            break
        lr = cfg.learning_rate * pace(cfg, step, minutes)
        torch.manual_seed(cfg.seed * 1_000_003 + step)  # dropout of this step
        losses = [word_loss(model, batch) for batch in batches(examples, cfg, step, tokenizer, ids)]
        loss = torch.stack(losses).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        optimizer.step()
        optimizer.zero_grad()
        ema.step(params)
        step += 1
        bar.update()
        bar.set_postfix(loss=f"{loss.item():.3f}", best=f"{best:.3f}", refresh=False)
        record: dict[str, Any] = {"step": step, "loss": round(loss.item(), 4), "lr": lr}
        if step % cfg.validation_steps == 0 or step == cfg.max_train_steps:
            ema.store(params)
            ema.copy_to(params)
            record |= validate(model, trial)
            since = 0 if record["validation"] < best else since + 1
            if since == 0:
                best = record["validation"]
                save(model, tokenizer, best_folder, story | {"step": step, "validation_loss": best})
            ema.restore(params)
            meta = {"step": step, "minutes": minutes, "best": best, "since": since, "ema_steps": ema.optimization_step}
            ckpt.save_checkpoint(out, step, ckpt.pack_state(named, optimizer, ema.shadow_params), meta, 1)
            bar.write(
                f"step {step}: loss {record['loss']:.3f}, validation: songs {record['songs']:.4f}, orders {record['orders']:.4f}, best {best:.4f}"
            )
        with (out / "loss.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
    bar.close()
    return best_folder


def load_config(arguments: list[str]) -> Config:
    """`[file.yaml …] [key=value …]` → Config."""
    return read(Config, arguments)


if __name__ == "__main__":
    train(command_line(load_config, Config, __doc__))
