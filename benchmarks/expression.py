"""Is expression followed: loudness, density, syncopation, swing and harmonic complexity, as asked and as heard?

    python benchmarks/expression.py [--adapter theory] [--limit 24] [--steps 20] [--guidance 3] [--out out/expression]

Every sheet of the test set's choice is played three times from the same noise and words:

- asked: with a loudness of two to four points, a density, a syncopation and (but in compound meters) a swing;
- absent: without, which is the floor: what of a request comes true by chance;
- rendered: by a rule-made band on a soundfont, which is the ceiling, as the analyser hears it.

What is asked can be done: a band plays the sheet with a swing and without a share of its notes, both drawn, and the
density and the syncopation that are heard in it are the request's. The loudness is drawn apart from them.

Harmonic complexity is what chords say, so it is asked of whole songs: 20 seconds are written and played from the
sheet's words alone, once with a complexity drawn for each and once without, and it is told from the chords that the
analyser hears in them; the ceiling are the song's notes on a soundfont.

Correlation over the sheets of what is asked and what is heard, with 95 % bootstrap intervals over sheets; in the second
floor the same clips are held against the requests of the other sheets. Loudness counts twice: its level over the clip,
and its curve, whose correlation is taken in each clip (over the seconds from 0.5 on) and averaged. Chords and beats are
heard by the same analyser: does it cost obedience? Killed, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from musetune.analysis import analyze, hear
from musetune.analysis.expression import hear_expression
from musetune.audio import synthesize
from musetune.datasets.rendering.expression import TRIPLET, fade, swing, thin
from musetune.evaluation import TestSheet, adherence, bootstrap_mean, load_test_sheets
from musetune.evaluation.bootstrap import Mean, cell
from musetune.evaluation.references import limit_peak
from musetune.pipeline.loading import pick_device, quiet
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.planning.arranger.arranger import arrange
from musetune.planning.planner.planner import plan
from musetune.planning.rules.orchestrate import orchestrate
from musetune.planning.rules.styles import STYLES
from musetune.symbols.arrangement import Arrangement
from musetune.symbols.expression import Expression

RATE = 16000
COMPLEXITY = "harmonic_complexity"
SCALARS = ("note_density", "syncopation", "swing", COMPLEXITY)
ASKED = {"loudness": (-36.0, -16.0), "swing": (0.5, 0.7), COMPLEXITY: (0.1, 0.6)}
SONG_S = 20.0
KINDS = ("asked", "absent", "rendered")
OBEYED = ("majmin", "beat_f")
REPLICATES = 2000
THINNED = ("any", "on beats", "off beats")  # which onsets a band may lose, up to MOST of them
MOST = 0.8
FLAT_DB = 1.0  # a curve that moves less has no correlation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory", help="with a branch that reads expression")
    parser.add_argument("--sheets", help="folder of lead sheets; default: the test set")
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, help="of words and music; default: the pipeline's")
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path("out/expression"))
    args = parser.parse_args()
    quiet()
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter).to(pick_device(args.device))
    pipe.set_progress_bar_config(disable=True)
    if pipe.adapter.expression is None:
        raise SystemExit(
            f"the adapter {args.adapter} reads no expression: train one with recipes/configs/expression.yaml"
        )
    every = load_test_sheets(args.sheets)
    tests = every[:: max(1, len(every) // args.limit)][: args.limit]
    args.out.mkdir(parents=True, exist_ok=True)
    records = [take(pipe, test, index, args) for index, test in enumerate(tqdm(tests, unit="sheet"))]
    result = figures(records)
    text = f"{len(records)} sheets, {args.steps} steps; correlations with 95 % bootstrap intervals.\n\n" + table(result)
    (args.out / "expression.json").write_text(json.dumps(result, indent=1, default=vars))
    (args.out / "expression.md").write_text(text)
    print(text)


def request(test: TestSheet, index: int) -> tuple[Expression, np.ndarray]:
    """What is asked of a sheet, drawn by its place, and a rendering (samples,) that does it."""
    rng, sheet = random.Random(1000 + index), test.sheet
    seconds = sheet.duration_s
    times = [0.0, *sorted(rng.uniform(0.15, 0.85) * seconds for _ in range(rng.randint(0, 2))), seconds]
    curve = tuple((round(time, 2), round(rng.uniform(*ASKED["loudness"]), 1)) for time in times)
    place, complexity = (round(rng.uniform(*ASKED[name]), 3) for name in ("swing", COMPLEXITY))
    band = orchestrate(sheet, seed=test.seed).arrangement
    if not sheet.meter.compound:
        band = swing(band, TRIPLET if STYLES[sheet.genre or "pop"].swing else 0.5, place)
    wave = play(thin(band, rng.choice(THINNED), rng.uniform(0, MOST), rng), seconds)
    heard = hear_expression(wave, RATE, sheet)
    said = None if sheet.meter.compound else place
    asked = Expression(curve, heard.note_density, heard.syncopation, said, complexity)
    middles = np.arange(0.5, seconds, 1.0)
    return asked, fade(wave, RATE, tuple(zip(middles, asked.loudness_at(middles) - heard.loudness_at(middles))))


def take(pipe: MuseTunePipeline, test: TestSheet, index: int, args: argparse.Namespace) -> dict[str, Any]:
    """What is asked of a sheet and what is heard in its clips; read where it was made before."""
    path = args.out / f"{test.id}.json"
    if path.exists():
        return json.loads(path.read_text())
    asked, rendering = request(test, index)
    complexity = {"harmonic_complexity": asked.harmonic_complexity}
    played = replace(asked, harmonic_complexity=None)
    record: dict[str, Any] = {"request": asked.to_json(), "seconds": test.sheet.duration_s}
    for kind in KINDS:
        if kind == "rendered":
            song = plan(test.prompt, duration_seconds=SONG_S, seed=test.seed, **complexity)
            wave, long = rendering, play(arrange(song, seed=test.seed), song.duration_s)
        else:
            wave = sound(pipe, test, args, {"expression": played} if kind == "asked" else {}, lead_sheet=test.sheet)
            more = {"expression": complexity} if kind == "asked" else {}
            long = sound(pipe, test, args, more, duration_seconds=SONG_S)
        heard = replace(hear_expression(wave, RATE, test.sheet), harmonic_complexity=heard_complexity(long))
        scores = adherence(test.sheet, hear(wave, RATE, tempo_hint=test.sheet.bpm))
        record[kind] = heard.to_json() | {name: scores[name] for name in OBEYED}
    path.write_text(json.dumps(record))
    return record


def sound(
    pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace, how: dict[str, Any], **what: Any
) -> np.ndarray:
    """One clip (samples,) by a sheet's words, from its own noise."""
    scales = {} if args.guidance is None else {"guidance_scale": args.guidance, "music_guidance_scale": args.guidance}
    generator = torch.Generator().manual_seed(test.seed)
    call = {"num_inference_steps": args.steps, **scales, **how, **what}
    wave: np.ndarray = pipe(test.prompt, generator=generator, **call).audios[0]
    return wave


def heard_complexity(wave: np.ndarray) -> float | None:
    """Of the chords that the analyser hears; None where it hears no pulse."""
    try:
        record = analyze(wave, RATE).to_json()
    except ValueError:  # no pulse, or silence
        return None
    return record["harmonic_analysis"]["progression_complexity"]


def play(band: Arrangement, seconds: float) -> np.ndarray:
    """The band on a soundfont, (samples,)."""
    return limit_peak(synthesize(band.to_pretty_midi(), RATE, duration_s=seconds))


# -- figures
# -----------------------------------------------------------------------------------------------------------------


def figures(records: list[dict[str, Any]]) -> dict[str, dict[str, Mean | None]]:
    """Correlations of each feature for every kind of clip and the other floor, and what the clips obey besides."""
    asked = [Expression.from_json(record["request"]) for record in records]
    seconds = [record["seconds"] for record in records]
    heard = {kind: [_heard(record[kind]) for record in records] for kind in KINDS}
    rows = {kind: compare(asked, heard[kind], seconds) for kind in KINDS}
    for kind in KINDS:
        rows[kind] |= {name: bootstrap_mean([record[kind][name] for record in records]) for name in OBEYED}
    turned = asked[1:] + asked[:1]
    rows["asked of another sheet"] = compare(turned, heard["asked"], seconds) | dict.fromkeys(OBEYED)
    return rows


def compare(asked: list[Expression], heard: list[Expression], seconds: list[float]) -> dict[str, Mean | None]:
    """How far what is heard goes with what is asked."""
    clips = list(zip(asked, heard, seconds, strict=True))
    row = {"loudness level": correlate([(level(a, s), level(h, s)) for a, h, s in clips])}
    row["loudness curve"] = bootstrap_mean([curve(*clip) for clip in clips])
    row |= {name: correlate([(getattr(a, name), getattr(h, name)) for a, h, _ in clips]) for name in SCALARS}
    return row | {"curve off by, dB": bootstrap_mean([curve_error(*clip) for clip in clips])}


def _heard(record: dict[str, Any]) -> Expression:
    return Expression.from_json({name: record[name] for name in ("loudness_db", *SCALARS) if name in record})


def level(expression: Expression, seconds: float) -> float:
    """Mean loudness over a clip, LUFS."""
    return float(expression.loudness_at(_times(seconds)).mean())


def curve(asked: Expression, heard: Expression, seconds: float) -> float | None:
    """Correlation of the curves asked and heard in one clip; None where a flat one is asked."""
    one, other = asked.loudness_at(_times(seconds)), heard.loudness_at(_times(seconds))
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) > FLAT_DB and other.std() > 0 else None


def curve_error(asked: Expression, heard: Expression, seconds: float) -> float:
    """Mean distance of the curves, dB, each less its mean."""
    one, other = asked.loudness_at(_times(seconds)), heard.loudness_at(_times(seconds))
    return float(np.abs((one - one.mean()) - (other - other.mean())).mean())


def _times(seconds: float) -> np.ndarray:
    return np.arange(0.5, seconds - 0.5, 1.0)


def correlate(pairs: list[tuple[float | None, float | None]]) -> Mean | None:
    """Pearson's correlation with its bootstrap interval; None under four pairs."""
    rows = np.array([pair for pair in pairs if None not in pair], float)
    if len(rows) < 4 or (rows.std(axis=0) == 0).any():
        return None
    draws = np.random.default_rng(0).integers(0, len(rows), (REPLICATES, len(rows)))
    with np.errstate(invalid="ignore"):
        replicates = [np.corrcoef(rows[draw].T)[0, 1] for draw in draws]
    low, high = np.nanpercentile(replicates, [2.5, 97.5])
    return Mean(float(np.corrcoef(rows.T)[0, 1]), float(low), float(high), len(rows))


def table(rows: dict[str, dict[str, Mean | None]]) -> str:
    """Markdown, one line a kind of clip."""
    heads = list(rows["asked"])
    lines = ["| clips | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for kind, row in rows.items():
        cells = [cell(row[name]) if name in OBEYED else correlation(row[name]) for name in heads]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def correlation(value: Mean | None) -> str:
    """ "0.71 (0.52 to 0.83), n 24"; a dash where there is nothing."""
    return "—" if value is None else f"{value.mean:.2f} ({value.low:.2f} to {value.high:.2f}), n {value.n}"


if __name__ == "__main__":
    main()
