"""How hard to push words and music, and in which steps.

Clips for every setting, judged by recognisers that we did not train.

    python benchmarks/guidance.py --sheets FOLDER [--base nano] [--adapter theory] [--limit 24] [--out out/guidance]

Every text scale with every music scale, then every interval of the steps for words, for music and for both, at the
scales --at. FOLDER holds lead sheets for development (`recipes/evaluation/make_sheets.py`), never those of the test
set. Prints a table, per cent with 95 % bootstrap intervals, and leaves it in OUT/guidance.md with all figures in
OUT/guidance.json; killed, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from musetune.evaluation import Mean, TestSheet, adherence, bootstrap_mean, judge, load_test_sheets
from musetune.evaluation.audio_similarity import clap_similarity, frechet_distance, timbre
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.provenance import hash_of, provenance, remember
from musetune.evaluation.references import render_sheet
from musetune.pipeline.guidance import ALWAYS, Guidance, Interval, passes
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.request import MUSIC_GUIDANCE, TEXT_GUIDANCE
from musetune.symbols import LeadSheet
from musetune.symbols.estimate import Estimate

MEASURES = ("majmin", "triads", "beat_f", "downbeat_f")
HEADS = ("words", "music", "words in", "music in", *MEASURES, "clap", "Fréchet", "passes a step", "seconds a clip")


@dataclass(frozen=True)
class Setting:
    """Scales of words and music, and the shares of the steps in which they apply."""

    text: float = TEXT_GUIDANCE
    music: float = MUSIC_GUIDANCE
    text_interval: Interval = ALWAYS
    music_interval: Interval = ALWAYS

    @property
    def call(self) -> dict[str, Any]:
        """The pipeline's arguments."""
        scales = {"guidance_scale": self.text, "music_guidance_scale": self.music}
        return scales | {"guidance_interval": self.text_interval, "music_guidance_interval": self.music_interval}

    @property
    def name(self) -> str:
        spans = (f"{low:g}-{high:g}" for low, high in (self.text_interval, self.music_interval))
        return f"{self.text:g}_{self.music:g}_" + "_".join(spans)

    def passes_a_step(self, steps: int) -> float:
        """How often the U-Net runs on a waveform in a step, on average: the cost."""
        guidance = Guidance(self.text, self.music, 0.0, self.text_interval, self.music_interval)
        return float(np.mean([len(passes(guidance.at(step, steps))) for step in range(steps)]))


def settings(texts: list[float], musics: list[float], at: tuple[float, float], spans: list[Interval]) -> list[Setting]:
    """The grid of scales, then the intervals ``spans`` at the scales ``at``; none twice."""
    grid = [Setting(text, music) for text, music in product(texts, musics)]
    words = [Setting(*at, text_interval=span) for span in spans]
    music = [Setting(*at, music_interval=span) for span in spans]
    both = [Setting(*at, text_interval=span, music_interval=span) for span in spans]
    return list(dict.fromkeys([*grid, *words, *music, *both]))


def main() -> None:
    args = parse()
    every, out = load_test_sheets(args.sheets), Path(args.out)
    tests, pipe = every[: args.limit], load(args.base, args.adapter, args.device)
    remember(out, made_with(pipe, every, steps=args.steps, soundfont=args.soundfont))
    chosen = settings(args.text, args.music, tuple(args.at), args.intervals)
    made: dict[Setting, list[dict[str, Any]]] = {setting: [] for setting in chosen}
    for setting, test in tqdm(list(product(chosen, tests)), unit="clip"):
        call = setting.call | {"num_inference_steps": args.steps}
        made[setting].append(take(pipe, out / "clips" / setting.name / f"{test.id}.json", test, call))
    rate = pipe.vocoder.config.sampling_rate
    played = np.concatenate([timbre(wave, rate) for wave in renderings(pipe, tests, args.soundfont)])
    rows = [{**asdict(s), "passes": s.passes_a_step(args.steps), **figures(made[s], tests, played)} for s in chosen]
    text = f"{len(tests)} lead sheets, {args.steps} steps; % with 95 % bootstrap intervals.\n\n" + table(rows)
    (out / "guidance.md").write_text(text)
    (out / "guidance.json").write_text(json.dumps(rows, indent=1, allow_nan=False, default=vars))
    print(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options(parser, "out/guidance")
    parser.add_argument("--text", type=float, nargs="*", default=[1.0, 2.0, 3.0, 4.5], help="scales of the words")
    parser.add_argument("--music", type=float, nargs="*", default=[1.0, 2.0, 3.0, 4.5], help="scales of the music")
    parser.add_argument(
        "--at",
        type=float,
        nargs=2,
        default=(TEXT_GUIDANCE, MUSIC_GUIDANCE),
        help="scales of words and music for the intervals",
    )
    parser.add_argument(
        "--intervals",
        type=interval,
        nargs="*",
        default=[(0.0, 0.5), (0.2, 0.8), (0.5, 1.0)],
        help="shares of the steps, such as 0.2-0.8",
    )
    return parser.parse_args()


def options(parser: argparse.ArgumentParser, out: str) -> None:
    """What this benchmark and partial.py have in common."""
    parser.add_argument("--sheets", required=True, help="folder of lead sheets for development")
    parser.add_argument("--base", default="nano", help="bundled name, folder or Hub name")
    parser.add_argument("--adapter", default="theory", help="bundled name, folder or Hub name")
    parser.add_argument("--limit", type=int, help="only the first so many lead sheets")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--soundfont", help="of the renderings; default: what musetune.audio.find_soundfont finds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", default=out)


def interval(text: str) -> Interval:
    low, high = map(float, text.split("-"))
    return low, high


def load(base: str, adapter: str, device: str) -> MuseTunePipeline:
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def made_with(pipe: MuseTunePipeline, sheets: list[TestSheet], **chosen: Any) -> dict[str, Any]:
    """What clips depend on, for ``remember``: the settings ``chosen``, the sheets by a hash, and ``pipe``."""
    return {**chosen, "sheets": hash_of(repr(sheets).encode()), **provenance(pipe, chosen.get("soundfont"))}


def take(pipe: MuseTunePipeline, path: Path, test: TestSheet, call: dict[str, Any]) -> dict[str, Any]:
    """What was heard in the clip that ``call`` makes of a sheet, its timbre, CLAP similarity and seconds.

    Read where it was made before.
    """
    if not path.exists():
        began = time.perf_counter()
        generator = torch.Generator().manual_seed(test.seed)
        wave = pipe(test.prompt, lead_sheet=test.sheet, generator=generator, **call).audios[0]
        seconds, rate = time.perf_counter() - began, pipe.vocoder.config.sampling_rate
        clap = float(clap_similarity(pipe, [test.prompt], [wave], rate)[0])
        record = {"seconds": seconds, "clap": clap, **listen(wave, rate, test.sheet)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".partial").write_text(json.dumps(record))
        path.with_suffix(".partial").replace(path)
    return json.loads(path.read_text())


def listen(wave: np.ndarray, rate: int, sheet: LeadSheet) -> dict[str, Any]:
    """What the judges hear, and the timbre of each second, as plain values."""
    heard = judge(wave, rate, tempo_hint=sheet)
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(heard).items()}
    del plain["confidence"]  # Chordino has none
    return {"heard": plain, "timbre": timbre(wave, rate).round(3).tolist()}


def heard_in(record: dict[str, Any]) -> Estimate:
    """The Estimate that ``listen`` wrote down."""
    told = record["heard"]
    times = {name: np.array(told[name], dtype=float) for name in ("beats_s", "downbeats_s")}
    spans = np.array(told["intervals_s"], dtype=float).reshape(-1, 2)
    return Estimate(spans, told["labels"], np.full(len(spans), np.nan), key=told["key"], bpm=told["bpm"], **times)


def renderings(pipe: MuseTunePipeline, tests: list[TestSheet], soundfont: str | None) -> list[np.ndarray]:
    """The sheets arranged by rule and played by a synthesiser."""
    rate = pipe.vocoder.config.sampling_rate
    return [render_sheet(t.sheet, rate, seed=t.seed, soundfont=soundfont) for t in tqdm(tests, desc="renderings")]


def figures(records: list[dict[str, Any]], tests: list[TestSheet], reference: np.ndarray) -> dict[str, Any]:
    """Means of the measures and of CLAP similarity with their intervals, Fréchet distance to ``reference`` (seconds,
    40), seconds a clip.
    """
    scores = [adherence(test.sheet, heard_in(record)) for record, test in zip(records, tests, strict=True)]
    return {
        **{name: bootstrap_mean([score[name] for score in scores]) for name in MEASURES},
        "clap": bootstrap_mean([record["clap"] for record in records]),
        "frechet": distance([record["timbre"] for record in records], reference),
        "seconds": median(record["seconds"] for record in records),
    }


def distance(timbres: list[Any], reference: np.ndarray) -> float | None:
    """Fréchet distance of clips' timbres to ``reference``; None with too little audio."""
    points = np.concatenate([np.array(rows) for rows in timbres])
    return frechet_distance(points, reference) if min(len(points), len(reference)) > points.shape[1] else None


def cosine(mean: Mean | None) -> str:
    """ "0.412 (0.390–0.433)"; a dash where there is nothing."""
    return "—" if mean is None else f"{mean.mean:.3f} ({mean.low:.3f}–{mean.high:.3f})"


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line a setting."""
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    for row in rows:
        spans = ["{:g}–{:g}".format(*row[name]) for name in ("text_interval", "music_interval")]
        far = "—" if row["frechet"] is None else f"{row['frechet']:.0f}"
        cost = [cosine(row["clap"]), far, f"{row['passes']:.2f}", f"{row['seconds']:.1f}"]
        cells = [f"{row['text']:g}", f"{row['music']:g}", *spans, *(cell(row[name]) for name in MEASURES), *cost]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
