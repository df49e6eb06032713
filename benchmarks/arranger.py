"""The stem transformer, measured on songs that it never heard; prints tables and writes JSON.

    python benchmarks/arranger.py EXAMPLES.npz [--model nano] [--out arranger.json] [--passages 160] [--seed 0]

EXAMPLES.npz is what recipes/arranger/train.py keeps in its work_dir: passages of training and test songs. Drawn are
passages of the test songs; on the chords of each the model and the rule (step patterns of the genre) write all stems,
and stand beside what the songs' own players, or MMA's grooves, play there ("songs", the first version of each stem).

- chord tones: per cent of the notes on a beat that belong to the chord; out of key: per cent of notes outside the scale
  (minor with its raised seventh); notes a bar; eighths: per cent of onsets on half beats (compound time: thirds);
  rhythm: Jensen-Shannon divergence in bits of the onsets' places in the bar from those of the songs, beside it one half
  of the songs against the other: as near as it gets.
- likelihood: nats a token and nats a note, the earlier stems and the chords told, beside trigrams of each stem's tokens
  (interpolated Kneser-Ney, order 3) trained on the same training passages. Without a grammar's mask on either side.
- copies: notes of the longest run that training passages hold too, as (interval, steps since the note before, length):
  transposed is the same, and notes of a chord count one by one from below. "tune" leaves lengths out. Of drums a note
  is a hit. "songs" shows what test songs share with training songs by themselves. Of runs of thirteen: per cent known;
  of these, per cent one note repeated, and per cent that at least five training songs share.
- seconds to arrange 60 s, all stems.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from arranger_measures import Runs, Tally, commonplace, divergence, symbols
from planner_ngram import NGram

from musetune.datasets.arranger.examples import ArrangerExample, restore
from musetune.planning.arranger.arranger import Arranger, events_in, positions_of
from musetune.planning.arranger.copy_filter import RUN
from musetune.planning.arranger.grammar import contexts, read_events
from musetune.planning.arranger.language import STEPS, VOCABULARY, Passage, StemEvent, beats_of
from musetune.planning.arranger.rule_stems import rule_stems
from musetune.planning.arranger.sampling import StemRequest, compose
from musetune.symbols import QUALITIES, BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Section
from musetune.symbols.arrangement import STEMS
from musetune.symbols.names import FLATS

Stems = dict[str, list[StemEvent]]
ORDERS = (3,)


def sheet_of(passage: Passage) -> LeadSheet:
    """A passage as a lead sheet, so that the rule can play it."""
    tonic, length = passage.offset % 12, Fraction(passage.steps, STEPS)
    ends = [h.step for h in passage.harmony[1:]] + [passage.steps]
    spans = tuple(
        ChordSpan(
            Fraction(h.step, STEPS),
            Fraction(end - h.step, STEPS),
            Chord(FLATS[(h.root + tonic) % 12], QUALITIES[h.quality]),
        )
        for h, end in zip(passage.harmony, ends)
        if h.root < 12
    )
    return LeadSheet(
        spans,
        (KeySpan(Fraction(0), Key(FLATS[tonic], passage.mode)),),
        (MeterSpan(Fraction(0), Meter.parse(passage.meter)),),
        BeatGrid.constant(passage.bpm, int(length)),
        length,
        genre=passage.genre,
    )


def by_rule(passage: Passage, seed: int) -> Stems:
    """What the rule plays there, as events on the grid."""
    sheet = sheet_of(passage)
    place = replace(positions_of(sheet)[0], passage=passage)
    return {name: events_in(stem, name, place) for name, stem in rule_stems(sheet, STEMS, seed=seed).items()}


def by_song(example: ArrangerExample) -> Stems:
    """What the song's own players play."""
    return {s: read_events(v[0][0].tolist(), example.passage)[s] for s, v in example.stems.items()}


def measures(examples: Sequence[ArrangerExample], written: dict[str, list[Stems]]) -> dict:
    """Table 1: by stem and writer, over the passages in which the song has that stem."""
    out: dict = {}
    for stem in STEMS:
        own = [i for i, e in enumerate(examples) if stem in e.stems]
        tallies = {who: Tally() for who in written}
        halves = Tally(), Tally()
        for i in own:
            for who, stems in written.items():
                tallies[who].add(stems[i].get(stem, []), examples[i].passage, stem == "drums")
            halves[i % 2].add(written["songs"][i][stem], examples[i].passage, stem == "drums")
        out[stem] = {
            who: {**tally.shares(stem == "drums"), "rhythm": divergence(tally.onsets, tallies["songs"].onsets)}
            for who, tally in tallies.items()
        }
        out[stem]["songs"]["rhythm"] = divergence(halves[0].onsets, halves[1].onsets)
        out[stem]["passages"] = len(own)
    return out


@torch.no_grad()
def likelihood(arranger: Arranger, examples: Sequence[ArrangerExample], learned: Sequence[ArrangerExample]) -> dict:
    """Table 2: nats a token and a note."""
    losses, notes, tokens = defaultdict(float), defaultdict(int), defaultdict(int)
    for example in examples:
        text, owner = example.passage.head(), [""] * len(example.passage.head())
        for stem, versions in example.stems.items():
            own = versions[0][0].tolist()
            text += own
            owner += ["", *[stem] * (len(own) - 1)]
            notes[stem] += len(read_events(own, example.passage)[stem])
        table = torch.tensor([contexts(text, example.passage)])
        chances = arranger.model(torch.tensor([text]), table)[0, :-1].log_softmax(-1)
        for value, stem in zip(chances[range(len(text) - 1), text[1:]].tolist(), owner[1:]):
            if stem:
                losses[stem] -= value
                tokens[stem] += 1
    out: dict = {
        s: {"model": losses[s] / tokens[s], "model_note": losses[s] / notes[s], "tokens": tokens[s]}
        for s in STEMS
        if s in losses
    }
    for stem, order in ((s, n) for s in out for n in ORDERS):
        gram = NGram([v[0].tolist()[1:] for e in learned for v in e.stems.get(stem, [])], order, VOCABULARY)
        total = 0.0
        for example in examples:
            for own in [v[0].tolist()[1:] for v in example.stems.get(stem, [])[:1]]:
                total -= sum(math.log(gram.p(own[max(i - order, 0) : i], token)) for i, token in enumerate(own))
        out[stem] |= {f"gram_{order}": total / tokens[stem], f"gram_{order}_note": total / notes[stem]}
    return out


def copies(
    examples: Sequence[ArrangerExample], learned: Sequence[ArrangerExample], written: dict[str, list[Stems]]
) -> dict:
    """Table 3: what runs of notes the training passages hold too."""
    out: dict = {}
    for stem in STEMS:
        out[stem] = {}
        known = [(e.song, read_events(v[0].tolist(), e.passage)[stem]) for e in learned for v in e.stems.get(stem, [])]
        for lengths, name in ((True, "run"), (False, "tune")):
            texts = [(song, symbols(events, stem, lengths)) for song, events in known]
            runs = Runs(texts)
            for who, stems in written.items():
                own = [symbols(s[stem], stem, lengths) for s in stems if stem in s]
                longest = runs.longest(own)
                row = out[stem].setdefault(who, {})
                row[name] = longest + 1 if longest else 0  # notes: one more than steps between them
                if lengths:
                    row |= commonplace(runs, own, RUN - 1)
    return out


def seconds(arranger: Arranger, seed: int) -> dict:
    """Table 4: a song of 32 bars at 128 bpm, 60 s, sections A A B A and A B C D of eight bars, wall clock and
    processor.
    """
    out = {}
    for form in ("AABA", "ABCD"):
        sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"] * 8, key="Eb major", bpm=128, genre="pop")
        sheet = replace(sheet, sections=tuple(Section(Fraction(32 * i), Fraction(32), x) for i, x in enumerate(form)))
        wall, cpu = time.perf_counter(), time.process_time()
        arranger.arrange(sheet, seed=seed)
        out[form] = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    return out


def table(title: str, rows: dict, digits: int = 2) -> None:
    """Stem and writer a row, measures as columns."""
    print(f"\n{title}")
    for name, row in rows.items():
        cells = "  ".join(f"{k} {'–' if v is None else f'{v:.{digits}f}'}" for k, v in row.items())
        print(f"{name:16}{cells}")


def flat(results: dict) -> dict:
    """{stem: {writer: row}} → {"stem writer": row}."""
    return {f"{stem} {who}": row for stem, own in results.items() for who, row in own.items() if isinstance(row, dict)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--out", type=Path, default=Path("arranger.json"))
    parser.add_argument("--passages", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    arranger, examples = Arranger.from_pretrained(args.model), restore(args.examples)
    learned = [e for e in examples if e.split == "train"]
    tests = [e for e in examples if e.split == "test"]
    drawn = random.Random(args.seed).sample(tests, min(args.passages, len(tests)))
    requests = [StemRequest(e.passage, STEMS) for e in drawn]
    written = {
        "songs": [by_song(e) for e in drawn],
        "model": compose(arranger.model, requests, seed=args.seed, copies=arranger.copies),
        "rule": [by_rule(e.passage, args.seed + i) for i, e in enumerate(drawn)],
        "model unguarded": compose(arranger.model, requests, seed=args.seed),
    }
    results = {
        "passages": len(drawn),
        "songs": len({e.song for e in drawn}),
        "seed": args.seed,
        "measures": measures(drawn, written),
        "likelihood": likelihood(arranger, drawn, learned),
        "copies": copies(drawn, learned, written),
        "seconds": seconds(arranger, args.seed),
    }
    print(
        f"{results['passages']} passages of {results['songs']} test songs, "
        f"{sum(beats_of(e.passage.meter) * e.passage.bars for e in drawn)} beats"
    )
    table("harmony, density, rhythm", flat(results["measures"]))
    table("likelihood, nats a token and a note", results["likelihood"], 3)
    table("longest copied run in notes; runs of thirteen in per cent", flat(results["copies"]), 1)
    table("seconds for 60 s of music", results["seconds"])
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore", over="ignore")
    main()
