"""Plans of everyday prompts: are they what a musician would expect of the style? Prints tables, writes JSON.

    python benchmarks/plans.py [--half dev] [--seeds 3] [--out plans.json] [--sheets FILE] [--timed 3]

plans_prompts_dev.jsonl is for development (200 prompts), plans_prompts_test.jsonl and plans_prompts_fresh.jsonl (100
each, of the latter more than half with a length) for measuring alone, written in the manner in which people ask. A row
names a style of plans_styles.yaml, which says what public descriptions of that style expect, and what the prompt's own
words add: tempo, meter, key, form, length. Nothing here reads the planner's own table of styles.

- meter: is one of the style's, or the one that is worded
- tempo: lies in the style's ranges, or in those of the words
- key: tonic and mode, where they are worded
- harmonic rhythm: chord changes a bar lie between the quartiles of the style's songs (plans_data.json); where there are
  no songs, in the range of the descriptions. Half of all real songs lie between their own quartiles.
- form as worded: everything that is worded holds: sections, letters, bars, seconds, blues, loop, number of chords
- sections recur: sections of one name have the same chords, but for the last bar
- form of a length: where bars or seconds are worded and make 32 bars or more, sections come back, and there are no more
  than seven different ones
- phrase lengths: sections have 2 bars or multiples of 4 (the last one may be cut where seconds are worded)
- sections close: share of the sections that end on the tonic, its relative or a dominant, lead by a fifth or semitone
  to what follows, or are loops
- ending: the last chord is the tonic, or turns around to the beginning, as the style wants it
- cadence: a plan that ends on the tonic comes there from V, IV or vii°, or from the ♭VII or ♭II of styles that do not
  end on cadences alone; where the style ends on cadences, a plan that ends elsewhere has none
- chords: the share of the time with sevenths, dominant sevenths or triads lies between the 5th and 95th percentile of
  the style's songs, or in the range of the descriptions

--sheets judges lead sheets that another version of the planner wrote: a line of JSON for each, with prompt, seed and
sheet. --timed plans and arranges so many of the prompts once more, 60 s each, with two threads: the clock's seconds and
the processor's.

Shares with 95 % intervals by Wilson, counted by prompts, not by plans: seeds of a prompt are no new prompts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import plans_measures as measures
import torch
import yaml
from tqdm import tqdm

from musetune.planning.arranger.arranger import arrange
from musetune.planning.planner.planner import plan
from musetune.symbols import Key, LeadSheet

SONG = 32  # bars from which a song has sections that come back
HERE = Path(__file__).parent
KIND = {"sevenths": "sevenths", "dominants": "dominants", "triads": "triads", "mixed": "sevenths"}
MEASURES = {  # and what is aimed at, %
    "meter": 99,
    "tempo": 97,
    "key": 98,
    "harmonic rhythm": 90,
    "form as worded": 98,
    "sections recur": 98,
    "form of a length": 98,
    "phrase lengths": 98,
    "sections close": 95,
    "ending": 95,
    "cadence": 95,
    "chords": 95,
}


def read_styles() -> dict[str, dict[str, Any]]:
    """What is expected of each style, the figures of its songs filled in."""
    styles = yaml.safe_load((HERE / "plans_styles.yaml").read_text())
    data = json.loads((HERE / "plans_data.json").read_text())
    for style in styles.values():
        if group := data.get(style.get("songs", "")):
            style["rhythm"] = [group["rhythm"][0], group["rhythm"][2]]
            style["share"] = group[KIND[style["chords"]]]
    return styles


def read_prompts(half: str, styles: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one half, each with what its style expects under what its words say."""
    lines = (HERE / f"plans_prompts_{half}.jsonl").read_text().splitlines()
    return [styles[row["style"]] | row for row in map(json.loads, lines)]


def judge(row: dict[str, Any], sheet: LeadSheet) -> dict[str, float]:
    """How far measures hold, 0–1; those that a row says nothing of are left out."""
    rhythm, share = measures.changes_a_bar(sheet), measures.shares(sheet)[KIND[row["chords"]]]
    free = (
        not {"blues", "distinct", "cycle"} & row.keys()
    )  # what is worded of chords goes before what the style expects
    out = {
        "meter": str(sheet.meter) in row["meters"],
        "tempo": any(low - 0.5 <= sheet.bpm <= high + 0.5 for low, high in row["bpm"]),
        "phrase lengths": measures.phrase_lengths(sheet, cut="seconds" in row),
        "sections close": measures.sections_close(sheet),
        "ending": measures.ending(sheet, row.get("end", "either")),
        "chords": within(share, row["share"]),
    }
    if (comes_home := measures.cadence(sheet, row.get("end", "either"))) is not None:
        out["cadence"] = comes_home
    if {"bars", "seconds"} & row.keys() and "loop" not in row and len(measures.bars_of(sheet)) >= SONG:
        out["form of a length"] = measures.has_form(sheet)
    if measures.has_recurring(sheet):
        out["sections recur"] = measures.recurs(sheet)
    if free:
        out["harmonic rhythm"] = within(rhythm, row["rhythm"])
    if "tonic" in row or "mode" in row:
        tonic = "tonic" not in row or Key(row["tonic"]).tonic_pc == sheet.key.tonic_pc
        out["key"] = tonic and row.get("mode", sheet.key.mode) == sheet.key.mode
    if form := measures.form_as_worded(row, sheet):
        out["form as worded"] = all(form.values())
    return out


def within(value: float, span: list[float]) -> bool:
    """Whether a figure lies in a range, its ends included."""
    return span[0] - 1e-3 <= value <= span[1] + 1e-3


def describe(row: dict[str, Any], sheet: LeadSheet) -> str:
    """A plan in one line, with the figures that it is judged by."""
    kind = KIND[row["chords"]]
    form = " ".join(f"{label}:{len(bars)}" for label, bars in measures.sections(sheet))
    return (
        f"{sheet.key}, {sheet.meter}, {sheet.bpm:g} bpm, {form}; {measures.changes_a_bar(sheet):.2f} changes a bar "
        f"(expected {row['rhythm']}), {kind} {measures.shares(sheet)[kind]:.2f} (expected {row['share']}); "
        f"worded: {measures.form_as_worded(row, sheet)}; "
        f"last: {' '.join(str(chord) for chord in measures.changes(sheet)[-4:])}"
    )


def read_sheets(path: Path) -> dict[tuple[str, int], LeadSheet]:
    """Lead sheets that another version wrote, by prompt and seed."""
    rows = map(json.loads, path.read_text().splitlines())
    return {(row["prompt"], row["seed"]): LeadSheet.from_json(row["sheet"]) for row in rows}


def plans(
    rows: list[dict[str, Any]], seeds: int, sheets: dict[tuple[str, int], LeadSheet] | None = None
) -> dict[str, Any]:
    """Plan every prompt and judge the plans, or those that are given."""
    held: dict[str, list[list[float]]] = defaultdict(list)
    missed: list[dict[str, Any]] = []
    for row in tqdm(rows, desc="plans", unit="prompt"):
        by: dict[str, list[float]] = defaultdict(list)
        for seed in range(seeds):
            if sheets is not None and (row["prompt"], seed) not in sheets:
                continue
            sheet = plan(row["prompt"], seed=seed) if sheets is None else sheets[row["prompt"], seed]
            found = judge(row, sheet)
            for name, holds in found.items():
                by[name].append(holds)
            if wrong := [name for name, holds in found.items() if holds < 1]:
                missed.append({"prompt": row["prompt"], "seed": seed, "wrong": wrong, "got": describe(row, sheet)})
        for name, values in by.items():
            held[name].append(values)
    table = {}
    for name in MEASURES:
        if values := held.get(name):
            every = [one for part in values for one in part]
            share = measures.wilson(sum(every) / len(every), len(values))
            table[name] = {"share": share._asdict(), "prompts": len(values), "plans": len(every)}
    return {"prompts": len(rows), "seeds": seeds, "table": table, "missed": missed}


def timed(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds to plan and arrange 60 s with two threads, the median of the prompts; the first one loads the models."""
    torch.set_num_threads(2)
    took = []
    for row in rows[:1] + rows:
        began, worked = time.perf_counter(), time.process_time()
        arrange(plan(row["prompt"], duration_seconds=60))
        took.append((time.perf_counter() - began, time.process_time() - worked))
    return {name: median(values) for name, values in zip(("clock", "processor"), zip(*took[1:]))}


def table_of(report: dict[str, Any]) -> str:
    """The measures as a Markdown table."""
    lines = ["| of the plans, % | aim | held | prompts |", "|---|---|---|---|"]
    for name, row in report["table"].items():
        mean, low, high = (100 * row["share"][part] for part in ("mean", "low", "high"))
        lines.append(f"| {name} | {MEASURES[name]} | {mean:.1f} ({low:.0f}–{high:.0f}) | {row['prompts']} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure what the arguments say; the report that --out gets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("dev", "test", "fresh"), default="dev")
    parser.add_argument("--prompts", type=int, help="only the first so many")
    parser.add_argument("--seeds", type=int, default=3, help="plans of each prompt")
    parser.add_argument("--sheets", type=Path, help="judge these instead of planning")
    parser.add_argument("--timed", type=int, default=0, help="prompts that are planned and arranged by the clock")
    parser.add_argument("--out", type=Path, default=Path("plans.json"))
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = read_prompts(args.half, read_styles())[: args.prompts]
    report = {"half": args.half} | plans(rows, args.seeds, read_sheets(args.sheets) if args.sheets else None)
    if args.timed:
        free = [row for row in rows if not {"bars", "seconds", "loop"} & row.keys()]
        report["seconds for 60 s"] = timed(free[: args.timed])
    args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    for one in report["missed"]:
        print(f"{', '.join(one['wrong'])}: {one['prompt']!r} (seed {one['seed']}): {one['got']}")
    print(table_of(report))
    for name, seconds in report.get("seconds for 60 s", {}).items():
        print(f"60 s planned and arranged, seconds of the {name}: {seconds:.1f}")
    return report


if __name__ == "__main__":
    main()
