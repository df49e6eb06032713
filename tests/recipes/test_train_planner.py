"""The planner's recipe: captions say what holds, a cut run goes on exactly, LoRA goes onto a T5 and comes back from its
folder.
"""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

RECIPES = Path(__file__).parents[2] / "recipes"

from musetune.datasets import song_split
from musetune.datasets.planner import (
    captions,
    songs,
)
from musetune.datasets.planner import examples as drawing
from musetune.datasets.planner import words as tables
from musetune.planning.planner.grammar import parse
from musetune.planning.planner.language import bars_in
from musetune.planning.planner.planner import Planner
from musetune.planning.planner.prompt_text import normalise
from musetune.planning.planner.vocabulary import END
from musetune.symbols import GENRES, Key, LeadSheet
from recipes.planner import train as recipe

CHANGES = ("I V vi IV I V vi IV ii V I I ii V I I", "i VI III VII i VI III VII iv V i i iv V i i")


def made_songs() -> list[songs.PlannerSong]:
    """Songs of sixteen bars in two modes and six genres, some of which fall to validation."""
    out = []
    for index in range(60):
        key, changes = (("C major", CHANGES[0]), ("A minor", CHANGES[1]))[index % 2]
        sheet = LeadSheet.from_progression(changes, key=key, bpm=90 + index, genre=GENRES[index % 6])
        name = f"made/{index}"
        out.append(
            songs.PlannerSong(
                name, "made", song_split.for_tests(name, "made"), True, (4, 12) if index % 3 == 0 else None, sheet
            )
        )
    return out


@pytest.fixture(scope="module")
def lines(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "songs.jsonl"
    path.write_text("\n".join(json.dumps(vars(s) | {"sheet": s.sheet.to_json()}) for s in made_songs()) + "\n")
    assert songs.read(path) == made_songs()
    return path


def config_for(lines: Path, out: Path, *more: str) -> recipe.Config:
    small = (
        "d_model=32",
        "heads=2",
        "d_ff=32",
        "encoder_layers=1",
        "decoder_layers=1",
        "vocab=400",
        "batch_songs=2",
        "batch_orders=3",
    )
    return recipe.load_config(
        [f"songs={lines}", f"output_dir={out}", *small, "max_train_steps=4", "validation_steps=2", "warmup=1", *more]
    )


def test_a_cut_run_goes_on_as_if_it_had_not_been_cut(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "sample_prompts", lambda examples: ["a slow waltz in C minor, 32 bars"])
    whole = recipe.train(config_for(lines, tmp_path / "whole"))
    recipe.train(config_for(lines, tmp_path / "cut", "stop_after=2"))
    cut = recipe.train(config_for(lines, tmp_path / "cut", "resume_from_checkpoint=latest"))
    one, two = (load_file(folder / "model.safetensors") for folder in (whole, cut))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(value.dtype == torch.float16 for value in one.values())
    logs = [(tmp_path / name / "loss.jsonl").read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1]
    with pytest.raises(ValueError, match="holds checkpoints"):
        recipe.train(config_for(lines, tmp_path / "cut"))
    sheet = Planner.from_pretrained(whole).plan("a song", bars=4, key="D major")
    assert (sheet.key, sheet.length) == (Key("D"), 4 * sheet.meter.beats_per_bar)


def test_a_resume_on_other_songs_says_so(lines, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipe, "sample_prompts", lambda examples: ["a slow waltz in C minor, 32 bars"])
    recipe.train(config_for(lines, tmp_path / "out", "stop_after=1"))
    assert "resuming" not in capsys.readouterr().err
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("".join(lines.read_text().splitlines(keepends=True)[:50]))
    more = ("resume_from_checkpoint=latest", "learning_rate=0.01", "stop_after=1")
    recipe.train(config_for(fewer, tmp_path / "out", *more))
    said = next(line for line in capsys.readouterr().err.splitlines() if "resuming with other" in line)
    assert "learning_rate, songs (" in said
    assert "songs' digest (" in said


@pytest.mark.parametrize("end", ["stop_after=3", "max_train_minutes=0.5"])
def test_when_time_runs_out_the_last_steps_are_kept(lines, tmp_path, monkeypatch, end):
    seconds = itertools.count(0, 3)  # each look at the clock is three seconds later
    monkeypatch.setattr(recipe, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    monkeypatch.setattr(recipe, "sample_prompts", lambda examples: ["a slow waltz in C minor, 32 bars"])
    more = ("max_train_steps=50", "validation_steps=40", end)
    folder = recipe.train(config_for(lines, tmp_path / "out", *more))
    records = [json.loads(line) for line in (tmp_path / "out/loss.jsonl").read_text().splitlines()]
    info = json.loads((folder / "training.json").read_text())
    assert 1 < len(records) < 40
    assert ["validation" in line for line in records] == [False] * (len(records) - 1) + [True]
    assert (info["step"], info["validation_loss"]) == (records[-1]["step"], records[-1]["validation"])
    assert (tmp_path / "out" / f"checkpoint-{records[-1]['step']}").exists()


def small_t5(folder: Path) -> Path:
    """A T5 of its own vocabulary with untied embeddings, as flan-t5 has, and random weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    from musetune.models.nano.tokenizers import t5_tokenizer

    tokenizer = t5_tokenizer(["a slow waltz in C minor, 32 bars", "fast rock at 140 bpm"], vocab_size=120)
    config = T5Config(
        vocab_size=len(tokenizer) + 40,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
    )
    torch.manual_seed(0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")  # transformers 5 makes them tied whatever the config says: untie
    save_file(
        weights | {"lm_head.weight": torch.randn(config.vocab_size, 16)}, folder / "model.safetensors", {"format": "pt"}
    )
    tokenizer.save_pretrained(folder)
    return folder


def test_lora_on_a_t5_learns_and_comes_back(lines, tmp_path):
    base = small_t5(tmp_path / "base")
    before = load_file(base / "model.safetensors")
    folder = recipe.train(config_for(lines, tmp_path / "out", f"base={base}", "lora_rank=2"))
    assert (folder / "adapter_config.json").is_file()
    assert not (folder / "model.safetensors").exists()
    planner = Planner.from_pretrained(folder)
    weights = planner.model.state_dict()
    attention = [name for name in before if name.endswith(("SelfAttention.q.weight", "EncDecAttention.v.weight"))]
    assert any(not torch.equal(weights[name], before[name]) for name in attention)
    assert torch.equal(
        weights["encoder.block.0.layer.1.DenseReluDense.wo.weight"],
        before["encoder.block.0.layer.1.DenseReluDense.wo.weight"],
    )
    head, old = weights["lm_head.weight"], before["lm_head.weight"]
    assert weights["shared.weight"].shape[0] == len(head) >= len(planner.tokenizer)
    assert (head[: len(old)] - old).abs().max() < 0.1  # its own, a few steps away, not the embeddings
    assert not torch.equal(head[: len(old)], old)
    for side in ("encoder", "decoder"):
        assert not torch.equal(weights[f"{side}.embed_tokens.weight"][: len(old)], before["shared.weight"])
    sheet = planner.plan("a fast waltz", bars=4, key="E minor")
    assert (str(sheet.key), sheet.length) == ("E minor", 4 * sheet.meter.beats_per_bar)


def test_examples_are_plans_and_their_captions_hold():
    examples, rng = drawing.PlannerExamples(made_songs()), random.Random(0)
    for _ in range(150):
        text, plan = examples.song(rng)
        assert len(plan.sheet().chords)
        short = [label for label in plan.form if len(plan.content[label]) < 4 and label not in ("intro", "outro")]
        if not short:
            assert parse([*plan.words(), END]) == plan
        if plan.length[0] == "seconds":
            assert bars_in(plan.length[1], plan.bpm, plan.meter) == plan.bars
        if plan.length[0] == "bars":
            assert f"{plan.bars:03d}" in normalise(text)


def test_orders_name_what_they_say_they_name():
    rng = random.Random(1)
    for _ in range(300):
        text, plan, named = drawing.order(rng)
        low, spelled = text.lower(), normalise(text).lower()
        if "tonic" in named:
            assert plan.key.tonic.lower() in spelled
        if "genre" in named:
            assert any(word.lower() in low for word in tables.GENRE_WORDS[plan.genre])
        if plan.length[0] != "open":
            assert f"{plan.length[1]:03d}" in spelled
        if "bpm" in named and f"{round(plan.bpm):03d}" not in spelled:
            assert any(low_bpm <= plan.bpm <= high for low_bpm, high in tempi_said(low))


def tempi_said(text: str) -> list[tuple[int, int]]:
    """What the tempo words in a caption allow."""
    return [tempi for word, tempi in tables.TEMPO_WORDS.items() if word in text]


def test_most_orders_hold_a_tempo_and_a_length_in_numbers_in_either_order():
    rng, first, with_word = random.Random(3), {"tempo": 0, "length": 0}, 0
    for _ in range(400):
        text, plan, named = drawing.order(rng)
        tempo, length = (normalise(text).find(f"{number:03d}") for number in (round(plan.bpm), plan.length[1]))
        if plan.length[0] == "open" or tempo < 0 or length < 0:
            continue
        assert "bpm" in named
        first["tempo" if tempo < length else "length"] += 1
        with_word += any(low <= plan.bpm <= high for low, high in tempi_said(text.lower()))
    assert sum(first.values()) > 200
    assert min(first.values()) > 80
    assert with_word > 40


@pytest.mark.parametrize("asked", [("bars", 32), ("seconds", 90), ("seconds", 145), ("seconds", 30), ("seconds", 180)])
def test_lengths_are_read_back_however_they_are_said(asked):
    rng = random.Random(4)
    for _ in range(100):
        spelled = normalise(captions.length_words(asked, rng))
        assert f"{asked[1]:03d} {asked[0]}" in spelled or f"bars: {asked[1]:03d}" in spelled
        assert normalise(rng.choice(captions.amounts(asked, rng))) == f"{asked[1]:03d} {asked[0]}"


def test_a_tempo_word_beside_a_number_holds():
    facts = captions.CaptionFacts("rock", "4/4", "minor", "E", 140, "fast", ("open", 0))
    rng = random.Random(5)
    texts = [captions.caption(facts, rng, exact=True)[0].lower() for _ in range(50)]
    assert all("fast" in text and "140" in normalise(text) for text in texts)
    assert {text.find("fast") < text.find("140") for text in texts if "140" in text} == {True, False}


def test_what_is_not_named_is_not_learned():
    from musetune.planning.planner.tokenizer import plan_ids, train_tokenizer

    tokenizer = train_tokenizer(["a song"], 300)
    _, plan, _ = drawing.order(random.Random(2))
    batch = recipe.collate([("a song", plan.words(body=False)[:-1], {"bpm", "length"})], tokenizer, plan_ids(tokenizer))
    assert (batch["labels"][0, :4] == -100).all()
    assert (batch["labels"][0, 4:7] >= 0).all()
    assert (batch["decoder_input_ids"][0, 1:5] >= 0).all()


def test_held_out_songs_are_in_neither_part():
    learned, held = songs.split(made_songs())
    assert learned
    assert held
    assert not {s.name for s in learned} & {s.name for s in held}
    assert not any(s.test for s in (*learned, *held))


def test_genres_of_the_index():
    assert songs.genre_of("Rock:3", "Doo Wop:3", "The Bells of St. Mary's") == "rock"
    assert songs.genre_of("Stage & Screen:2", "Swing:1", "Some Tune") == "jazz"
    assert songs.genre_of("Jazz:5", "Rhythm & Blues:1", "Trouble in Mind Blues") == "blues"
    assert songs.genre_of("", "", "Some Tune") == "pop"


def test_a_downbeat_that_lies_off_is_moved():
    sheet = LeadSheet.parse("| C | G | Am | F | C | G | F | C |")
    late = [span.__class__(span.start + 1, span.beats, span.chord) for span in sheet.chords]
    assert songs.phase(list(sheet.chords), sheet.meter) == 0
    assert songs.phase(late, sheet.meter) == 1


@pytest.mark.parametrize(
    ("number", "words"), [(7, "seven"), (32, "thirty-two"), (100, "a hundred"), (128, "a hundred and twenty-eight")]
)
def test_numbers_in_words_are_read_back(number, words):
    assert captions.in_words(number) == words
    assert normalise(words) == f"{number:03d}"
