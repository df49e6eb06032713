"""The structure transformer, measured; prints tables and writes JSON.

    python benchmarks/planner.py SONGS.jsonl [--planner nano] [--out planner.json] [--seed 0] [--samples 160] [--prompts
    FILE]

SONGS.jsonl is what recipes/planner/collect_songs.py wrote; only its held-out songs (musetune/datasets/song_split.py)
are measured on.

- obedience: prompts written by hand apart from the captions that the planner learned from; the share of the attributes
  they name that hold in the plan (tempo words by ranges; seconds to half a bar; tonics as pitch classes).
  planner_prompts_test.jsonl is for measuring alone; planner_prompts.jsonl is for development: captions were widened
  after what it missed.
- perplexity per chord of held-out progressions: bars, inversions and places in the bar of each section once, told the
  plan's first line and form; beside n-gram models (interpolated Kneser-Ney) trained on all bars of the same training
  songs, one for each mode. The same words are counted on both sides (all but section headings, which the form
  foretells), and divided by the same number of chords.
- divergence (Jensen-Shannon, bits) of chord types, cadences and named patterns from the data's within each genre, for
  the planner, the trigram and a random walk, on forms of 32 bars, 160 of each: few songs look far from any others, and
  of 40 the divergence comes out up to twice as large. "songs" is one half of the genre's songs against the other: as
  near as it gets.
- seconds to plan a song of 60 s, prompt by prompt.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from planner_ngram import HEADING, NGram, chords_in, random_walk, stream, written
from tqdm import tqdm

from musetune.datasets.planner.examples import sections_of, with_letters
from musetune.datasets.planner.songs import PlannerSong
from musetune.datasets.planner.songs import read as read_songs
from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.language import Plan
from musetune.planning.planner.planner import Planner
from musetune.planning.planner.tokenizer import read_prompts
from musetune.planning.planner.vocabulary import RANGE
from musetune.symbols import GENRES, Chord, Key, LeadSheet
from musetune.theory.harmony.cadence import cadences
from musetune.theory.harmony.patterns import find_patterns

ATTRIBUTES = ("tonic", "mode", "meter", "bpm", "genre", "bars", "seconds")
LEAST_SONGS = 8  # of a genre, for a divergence to mean something
BATCH = 20


def obeyed(wanted: dict[str, Any], sheet: LeadSheet) -> dict[str, bool]:
    """Whether each attribute that a prompt names holds."""
    bar_s = sheet.meter.beats_per_bar * 60 / sheet.bpm
    checks: dict[str, Callable[[Any], bool]] = {
        "tonic": lambda v: Key(v).tonic_pc == sheet.key.tonic_pc,
        "mode": lambda v: v == sheet.key.mode,
        "meter": lambda v: v == str(sheet.meter),
        "bpm": lambda v: v[0] - 0.01 <= sheet.bpm <= v[1] + 0.01,
        "genre": lambda v: v == sheet.genre,
        "bars": lambda v: v * sheet.meter.beats_per_bar == sheet.length,
        "seconds": lambda v: abs(sheet.duration_s - v) <= bar_s / 2 + 0.01,
    }
    return {name: checks[name](wanted[name]) for name in ATTRIBUTES if name in wanted}


def obedience(planner: Planner, path: Path, seed: int) -> dict[str, Any]:
    """Shares of named attributes that hold, together and one by one, and what was missed."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kept: dict[str, list[bool]] = {name: [] for name in ATTRIBUTES}
    missed = []
    for at in tqdm(range(0, len(rows), BATCH), desc="obedience", unit="batch"):
        part = rows[at : at + BATCH]
        plans = planner.write([row["prompt"] for row in part], [PlanConstraints()] * len(part), seed=seed + at)
        for row, plan in zip(part, plans, strict=True):
            held = obeyed(row, plan.sheet())
            for name, is_so in held.items():
                kept[name].append(is_so)
            if wrong := [name for name, is_so in held.items() if not is_so]:
                got = f"{plan.key}, {plan.meter}, {plan.bpm:g}, {plan.genre}, {plan.bars} bars, asked {plan.length}"
                missed.append({"prompt": row["prompt"], "wrong": wrong, "got": got})
    every = [is_so for values in kept.values() for is_so in values]
    shares = {name: {"share": sum(values) / len(values), "of": len(values)} for name, values in kept.items() if values}
    return {"prompts": len(rows), "share": sum(every) / len(every), "of": len(every), "by": shares, "missed": missed}


def whole_plan(song: PlannerSong) -> Plan:
    """A song as a plan, its sections once each, cut where examples are."""
    form, content = with_letters(sections_of(song))
    sheet = song.sheet
    return Plan(str(sheet.genre), sheet.meter, sheet.key, round(sheet.bpm), ("open", 0), form, content)


@torch.inference_mode()
def planner_bits(planner: Planner, plan: Plan, prompt: str = "a song") -> tuple[float, list[int]]:
    """Nats of the bars' words after the prompt, the first line and the form, and those words."""
    words = plan.words()
    counted = [i for i in range(len(plan.words(body=False)), len(words)) if words[i] not in RANGE["label"]]
    ids = torch.tensor([[planner.ids[word] for word in words]])
    start = torch.full((1, 1), planner.model.config.decoder_start_token_id)
    read = read_prompts(planner.tokenizer, [prompt])
    logits = planner.model(
        **{k: read[k] for k in ("input_ids", "attention_mask")}, decoder_input_ids=torch.cat([start, ids[:, :-1]], 1)
    ).logits
    nats = -logits.float().log_softmax(-1)[0].gather(1, ids[0, :, None])[:, 0]
    return float(nats[counted].sum()), [words[i] for i in counted]


def ngram_nats(model: NGram, words: Sequence[int]) -> float:
    """Nats of a stream, headings not counted."""
    return sum(-math.log(model.p(words[:i], word)) for i, word in enumerate(words) if word != HEADING)


def perplexity(planner: Planner, learned: Sequence[PlannerSong], held: Sequence[PlannerSong]) -> dict[str, Any]:
    """Perplexity per chord of held-out songs, for the planner and n-grams of three orders."""
    streams = {
        mode: [stream([bars for _, bars in sections_of(s)]) for s in learned if s.sheet.key.mode == mode]
        for mode in ("major", "minor")
    }
    models = {order: {mode: NGram(streams[mode], order) for mode in streams} for order in (2, 3, 4)}
    nats: Counter[str] = Counter()
    chords = words = 0
    for song in tqdm(held, desc="perplexity", unit="song"):
        plan = whole_plan(song)
        value, said = planner_bits(planner, plan)
        body = stream([plan.content[label] for label in dict.fromkeys(plan.form)])
        assert [word for word in body if word != HEADING] == said, "both sides count the same words"
        nats["planner"] += value
        for order, by_mode in models.items():
            nats[f"{order}-gram"] += ngram_nats(by_mode[plan.key.mode], body)
        chords, words = chords + chords_in(said), words + len(said)
    return {"songs": len(held), "chords": chords, "words": words} | {
        name: math.exp(value / chords) for name, value in nats.items()
    }


def features(sheets: Iterable[LeadSheet]) -> dict[str, Counter[str]]:
    """Counts of chord types (degree, quality, inversion), cadences and patterns."""
    out: dict[str, Counter[str]] = {"chords": Counter(), "cadences": Counter(), "patterns": Counter()}
    for sheet in sheets:
        for span in sheet.chords:
            out["chords"][_chord_type(span.chord, sheet.key)] += 1
        out["cadences"].update(c.subtype or c.type for c in cadences(sheet))
        for found in find_patterns(sheet):
            out["patterns"][found.pattern.name] += found.occurrences
    return out


def _chord_type(chord: Chord, key: Key) -> str:
    return f"{((chord.root_pc or 0) - key.tonic_pc) % 12}:{chord.quality}/{chord.inversion}"


def divergence(one: Counter[str], other: Counter[str]) -> float:
    """Jensen-Shannon divergence in bits, 0 to 1; not a number where one is empty."""
    a, b = sum(one.values()), sum(other.values())
    if not a or not b:
        return math.nan
    pairs = [(one[name] / a, other[name] / b) for name in one.keys() | other.keys()]
    return sum(0.5 * p * math.log2(2 * p / (p + q)) for p, q in pairs if p) + sum(
        0.5 * q * math.log2(2 * q / (p + q)) for p, q in pairs if q
    )


def divergences(planner: Planner, songs: Sequence[PlannerSong], samples: int, seed: int) -> dict[str, Any]:
    """By genre and feature: the planner's, the trigram's, the random walk's and, as a floor, the data's own
    divergence.
    """
    out: dict[str, Any] = {}
    rng = random.Random(seed)
    for genre in tqdm(GENRES, desc="divergence", unit="genre"):
        here = [song for song in songs if song.sheet.genre == genre]
        if len(here) < LEAST_SONGS:
            out[genre] = {"songs": len(here)}
            continue
        data = features(song.sheet for song in here)
        rng.shuffle(here)
        halves = [features(song.sheet for song in part) for part in (here[::2], here[1::2])]
        modes = [song.sheet.key.mode for song in rng.choices(here, k=samples)]
        pins = [
            PlanConstraints(
                genre=genre, bars=32, bpm=100.0, meter=here[0].sheet.meter.parse("4/4"), keys=(Key("C", mode),)
            )
            for mode in modes
        ]
        ngrams = {
            m: NGram([stream([b for _, b in sections_of(s)]) for s in here if not s.test and s.sheet.key.mode == m])
            for m in set(modes)
        }
        made = [
            planner.write([f"a {genre} song"] * len(p), p, seed=seed + i, temperature=1.0)
            for i, p in enumerate(_parts(pins))
        ]
        written_by = {
            "planner": [plan for part in made for plan in part],
            "trigram": [written(one, ngrams[mode].draw, rng) for one, mode in zip(pins, modes, strict=True)],
            "random walk": [written(one, random_walk, rng) for one in pins],
        }
        found = {name: features(plan.sheet() for plan in plans) for name, plans in written_by.items()}
        out[genre] = {"songs": len(here)} | {
            feature: {name: divergence(counts[feature], data[feature]) for name, counts in found.items()}
            | {"songs": divergence(halves[0][feature], halves[1][feature])}
            for feature in data
        }
    return out


def _parts(pins: list[PlanConstraints]) -> list[list[PlanConstraints]]:
    return [pins[i : i + BATCH] for i in range(0, len(pins), BATCH)]


def speed(planner: Planner, seed: int) -> dict[str, Any]:
    """Seconds for a plan of 60 s, median and longest of twelve."""
    took = []
    for index in range(12):
        began = time.perf_counter()
        planner.plan(
            ("a sad waltz", "fast rock in E minor", "a jazz standard", "bright pop, 120 bpm")[index % 4],
            duration_seconds=60,
            seed=seed + index,
        )
        took.append(time.perf_counter() - began)
    return {"median_s": sorted(took)[len(took) // 2], "longest_s": max(took), "threads": torch.get_num_threads()}


def show(report: dict[str, Any]) -> None:
    """Print the tables."""
    if "obedience" in report:
        one = report["obedience"]
        print(f"\nobedience: {one['share']:.1%} of {one['of']} attributes in {one['prompts']} prompts")
        for name, row in one["by"].items():
            print(f"  {name:8} {row['share']:7.1%} of {row['of']}")
    if "perplexity" in report:
        print(
            "\nperplexity per chord: "
            + ", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in report["perplexity"].items())
        )
    for genre, rows in report.get("divergence", {}).items():
        for feature, row in rows.items():
            if isinstance(row, dict):
                print(f"  {genre:11} {feature:9} " + "  ".join(f"{name} {value:.3f}" for name, value in row.items()))
    print("\nseconds: " + ", ".join(f"{k} {v:.2f}" for k, v in report["speed"].items()))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure what the arguments say; the report that --out gets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--planner", default="nano")
    parser.add_argument("--out", type=Path, default=Path("planner.json"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=160)
    parser.add_argument("--prompts", type=Path, default=Path(__file__).with_name("planner_prompts_test.jsonl"))
    told = parser.parse_args(arguments)
    planner = Planner.from_pretrained(told.planner)
    songs = read_songs(told.songs)
    report = {
        "speed": speed(planner, told.seed),
        "obedience": obedience(planner, told.prompts, told.seed),
        "perplexity": perplexity(planner, [s for s in songs if not s.test], [s for s in songs if s.test]),
        "divergence": divergences(planner, songs, told.samples, told.seed),
    }
    told.out.write_text(json.dumps(report, indent=1) + "\n")
    show(report)
    return report


if __name__ == "__main__":
    main()
