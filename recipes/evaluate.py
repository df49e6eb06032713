"""Does generated audio follow its lead sheets? Between two floors and two ceilings, judged by recognisers that we did
not train.

    python recipes/evaluate.py --suite obedience [--base nano] [--adapter theory] [--out out/evaluation] [--limit 8]

For every lead sheet of the test set, at its own fixed seed: floor A the base without adapter; floor B the audio that
the adapter made for another song's lead sheet, scored against this one; the adapter; no genre the adapter where the
words alone name the genre; best of 4 what our own report ranks first of its clip and three more seeds; ceiling A the
lead sheet rendered by a synthesiser; ceiling B that rendering through the base's spectrogram, autoencoder and vocoder.
Leaves audio/, reports/, charts/, results.json, results.md, results.png and agreement.png in OUT and prints the tables,
and how well our own report agrees with the judges. Killed, it goes on where it was. The suite "quick" plays three
sheets, one a metre: adapter and floor B alone. "genres" measures genre adapters (recipes/genre_suite.py), "stems" what
the notes of an arrangement bring (recipes/stem_suite.py).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import load_audio, save_audio
from musetune.display.evaluation_charts import draw_chart, draw_scatter, draw_table
from musetune.evaluation import MEASURES, load_test_sheets, report
from musetune.evaluation.agreement import QUANTITIES, agreement, pairs, plain_lines, plain_within, within
from musetune.evaluation.judges import versions
from musetune.evaluation.obedience import (
    CONDITIONS,
    TEXT,
    aims,
    by_metre,
    judge_clip,
    lost,
    markdown,
    markdown_aims,
    markdown_metres,
    mismatched_sheets,
    scores_of,
    tabulate,
    three_meters,
)
from musetune.evaluation.playing import cell, hash_of, provenance, remember, rendered, through_codec, unclipped
from musetune.evaluation.sound import clap_similarity, timbre, timbre_distance
from musetune.evaluation.testset import TestSheet
from musetune.pipeline.pipeline import MuseTuneOutput, MuseTunePipeline
from musetune.pipeline.request import MUSIC_GUIDANCE, PLAYED_GUIDANCE, TEXT_GUIDANCE
from musetune.processes import crash_safe_map
from musetune.suites import genres as genre_suite
from musetune.suites import stems as stem_suite
from musetune.symbols.lead_sheet import GENRES

SUITES = {"obedience": CONDITIONS, "quick": ("floor B", "adapter")}
OTHERS = {"genres": genre_suite.main, "stems": stem_suite.main}
NO_GENRE = ("chords", "beats", "key", "function")  # what the adapter follows while the words alone name the genre
MORE_SEEDS = (100_000, 200_000, 300_000)  # added to a sheet's own, for best of 4
CANDIDATES = ("candidate 2", "candidate 3", "candidate 4")  # the same, which are judged of every third sheet
EVERY_OTHER = ("no genre",)  # conditions of every other sheet alone
Clips = dict[str, dict[str, dict[str, Any]]]  # condition → sheet → record


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    versions()  # before minutes of work: are the judges installed?
    if args.suite in OTHERS:
        return OTHERS[args.suite](args)
    began = time.monotonic()
    out, every = Path(args.out), load_test_sheets(args.sheets)
    tests = (every if args.suite == "obedience" else three_meters(every))[: args.limit]
    if len(tests) < 2:
        raise ValueError(f"{len(tests)} lead sheet given; floor B needs another song's, so give at least 2")
    told = settings(args, every)
    remember(out, told)
    clips = play_and_judge(tests, every, args)
    text, figures = summary(clips, tests, distances(tests, SUITES[args.suite], out))
    (out / "results.md").write_text(text)
    run = {"seconds": round(time.monotonic() - began), "workers": args.workers, "limit": args.limit}
    record = {"settings": told, "run": run, **figures, "clips": {c: scores_of(r) for c, r in clips.items() if r}}
    (out / "results.json").write_text(json.dumps(record, indent=1, allow_nan=False, default=vars))
    title = f"{args.base} with {args.adapter}, {len(tests)} lead sheets"
    draw_table(out / "results.png", figures["table"], MEASURES, title=title)
    scatter = {q: {c: pairs(list(clips[c].values()), q) for c in ("adapter", "floor B")} for q in QUANTITIES}
    draw_scatter(out / "agreement.png", scatter, axes=("our report", "the judges"))
    print(text)


def summary(clips: Clips, tests: list[TestSheet], sound: dict[str, float | None]) -> tuple[str, dict[str, Any]]:
    """results.md, and the figures of results.json."""
    main = {condition: records for condition, records in clips.items() if condition not in CANDIDATES}
    sets = {"adapter": list(clips["adapter"].values())}
    sets["discrimination: adapter and floor B"] = sets["adapter"] + list(clips["floor B"].values())
    ranked = [clips[c][name] for name in clips[CANDIDATES[0]] for c in ("adapter", *CANDIDATES)]
    figures: dict[str, Any] = {
        "table": tabulate(main),
        "metres": by_metre(main, tests),
        "aims": aims(main),
        "lost": {row: lost(main, row) for row in TEXT} if "floor A" in main else {},
        "frechet": sound,
        "agreement": {name: agreement(records) for name, records in sets.items()},
        "within": within(ranked),
    }
    parts = [
        markdown(figures["table"], sound, len(tests)),
        markdown_metres(figures["metres"]),
        markdown_aims(figures["aims"]),
        "".join(f"{row}, floor A − no genre: {cell(loss)} points.\n\n" for row, loss in figures["lost"].items()),
        "Correlations are Pearson's; Spearman's. The claim is the adapter's row.\n\n"
        + plain_lines(figures["agreement"]),
        plain_within(figures["within"]),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part), figures


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=[*SUITES, *OTHERS], default="obedience", help="default: obedience")
    parser.add_argument("--base", default="nano", help="bundled name, folder or Hub name")
    parser.add_argument("--adapter", default="theory", help="bundled name, folder or Hub name")
    parser.add_argument("--genres", nargs="+", default=list(GENRES), help="of the suite genres: adapters to stack")
    parser.add_argument("--arranger", choices=["rule", "model"], default="rule", help="of the suite stems: whose notes")
    parser.add_argument("--sheets", help="folder or file of lead sheets; default: the test set of musetune.evaluation")
    parser.add_argument("--out", default="out/evaluation")
    parser.add_argument("--limit", type=int, help="only the first so many lead sheets")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=TEXT_GUIDANCE, help="of the words")
    parser.add_argument("--music-guidance", type=float, default=MUSIC_GUIDANCE, help="of the lead sheet")
    parser.add_argument(
        "--played-guidance", type=float, default=PLAYED_GUIDANCE, help="of the suite stems: of words, sheet and notes where notes are given"
    )  # fmt: skip
    parser.add_argument("--soundfont", help="of the renderings; default: what musetune.audio.find_soundfont finds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes; 0: this one. Default: all cores"
    )
    return parser.parse_args(arguments)


@lru_cache(maxsize=1)
def load(base: str, adapter: str, device: str) -> MuseTunePipeline:
    """The pipeline, once in each process."""
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def settings(args: argparse.Namespace, tests: list[TestSheet]) -> dict[str, Any]:
    """What audio and figures depend on; the test set and the weights by a hash."""
    apart = ("out", "limit", "device", "suite", "genres", "arranger", "workers")
    chosen = {k: v for k, v in vars(args).items() if k not in apart}
    chosen["sheets"] = hash_of(repr(tests).encode())
    return {**chosen, **provenance(load(args.base, args.adapter, args.device), args.soundfont)}


def play_and_judge(tests: list[TestSheet], every: list[TestSheet], args: argparse.Namespace) -> Clips:
    """Every clip's record, for ``tests`` of ``every``; sheets are played and judged in ``args.workers`` processes, what earlier runs left is read."""
    jobs = list(zip(tests, mismatched_sheets(every, tests), strict=True))
    work = partial(play_and_judge_one, args=args)
    clips: Clips = {condition: {} for condition in (*SUITES[args.suite], *CANDIDATES)}
    for (test, stranger), records in tqdm(crash_safe_map(work, jobs, args.workers), total=len(jobs), unit="sheet"):
        if records is None:
            raise RuntimeError(f"the process that played {test.id} died; run this again, it goes on where it was")
        for condition, record in records.items():
            clips[condition][(stranger if condition == "floor B" else test).id] = record
    return {c: {test.id: records[test.id] for test in tests if test.id in records} for c, records in clips.items()}


def play_and_judge_one(job: tuple[TestSheet, TestSheet], args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Condition → record of one sheet's audio; floor B's is about the second sheet of ``job``, another song's."""
    (test, stranger), out = job, Path(args.out)
    pipe = load(args.base, args.adapter, args.device)
    make_audio(pipe, test, args, out)
    records: dict[str, dict[str, Any]] = {}
    for condition in (c for c in conditions(args.suite, test) if c != "floor B"):
        if condition == "best of 4" and same_audio(out, test):
            records[condition] = records["adapter"]
        else:
            about = {condition: test} | ({"floor B": stranger} if condition == "adapter" else {})
            records |= judged(pipe, test, about, out)
    if all(wav(out, condition, test).exists() for condition in CANDIDATES):
        for condition in CANDIDATES:
            records |= judged(pipe, test, {condition: test}, out)
    return records


def judged(
    pipe: MuseTunePipeline, test: TestSheet, about: dict[str, TestSheet], out: Path
) -> dict[str, dict[str, Any]]:
    """Records of one clip of ``test``'s, one for each condition and sheet that it is held against; read where they are there."""
    paths = {c: out / "reports" / c.replace(" ", "-") / f"{sheet.id}.json" for c, sheet in about.items()}
    known = {c: json.loads(path.read_text()) for c, path in paths.items() if path.exists()}
    if all(c in known and known[c]["audio"] == test.id for c in about):
        return known
    condition = next(iter(about))
    wave, rate = load_audio(wav(out, condition, test))
    made, heard = judge_clip(wave, rate, list(about.values()))
    records = {}
    for c, record in zip(about, made, strict=True):
        record["scores"]["clap"] = float(clap_similarity(pipe, [about[c].prompt], [wave], rate)[0])
        records[c] = {"audio": test.id, **record}
        paths[c].parent.mkdir(parents=True, exist_ok=True)
        paths[c].write_text(json.dumps(records[c], indent=1, allow_nan=False))
    if condition == "adapter":
        title = f"{test.id}: {test.prompt}"
        draw_chart(out / "charts" / f"{test.id}.png", wave, rate, test.sheet, heard, title=title)
    return records


def make_audio(pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace, out: Path) -> None:
    """A WAV for each condition of the suite, those that are there left alone. Floor B has none: it is the adapter's on other sheets."""
    rate = pipe.vocoder.config.sampling_rate
    ceiling = partial(rendered, test.sheet, rate, seed=test.seed, soundfont=args.soundfont)
    makers: dict[str, Callable[[], np.ndarray]] = {
        "floor A": lambda: plain_base(pipe, test, args),
        "adapter": lambda: obedient(pipe, test, args, test.seed).audios[0],
        "no genre": lambda: obedient(pipe, test, args, test.seed, follow=NO_GENRE).audios[0],
        "best of 4": lambda: best_of_4(pipe, test, args, out),
        "ceiling A": ceiling,
        "ceiling B": lambda: through_codec(pipe, ceiling()),
    }
    for condition in (c for c in conditions(args.suite, test) if c in makers and not wav(out, c, test).exists()):
        partial_file = wav(out, condition, test).with_suffix(f".{os.getpid()}")
        save_audio(partial_file, makers[condition](), rate, "wav")
        partial_file.replace(wav(out, condition, test))


def conditions(suite: str, test: TestSheet) -> tuple[str, ...]:
    """Those of ``suite`` that ``test`` takes part in."""
    return tuple(c for c in SUITES[suite] if c not in EVERY_OTHER or test.seed % 2 == 0)


def plain_base(pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace) -> np.ndarray:
    """The prompt alone."""
    made = pipe(
        test.prompt,
        audio_length_in_s=test.sheet.duration_s,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        generator=torch.Generator().manual_seed(test.seed),
    ).audios[0]
    return unclipped(made)


def obedient(
    pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace, *seeds: int, follow: tuple[str, ...] | None = None,
) -> MuseTuneOutput:  # fmt: skip
    """Prompt and lead sheet (of it what ``follow`` names; None: all), one waveform a seed, the most obedient first by our own report."""
    return pipe(
        test.prompt,
        lead_sheet=test.sheet,
        follow=follow,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        music_guidance_scale=args.music_guidance,
        num_waveforms_per_prompt=len(seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        return_report=True,
    )


def best_of_4(pipe: MuseTunePipeline, test: TestSheet, args: argparse.Namespace, out: Path) -> np.ndarray:
    """What our own report ranks first of the adapter's clip and three more, which are written down for every third sheet."""
    first, rate = load_audio(wav(out, "adapter", test))
    more = obedient(pipe, test, args, *(test.seed + step for step in MORE_SEEDS))
    assert more.reports is not None  # they were asked for
    for condition, wave in zip(CANDIDATES, more.audios, strict=True):
        if test.seed % 3 == 0:
            save_audio(wav(out, condition, test), wave, rate)
    return first if report(first, rate, test.sheet).score >= more.reports[0].score else more.audios[0]


def same_audio(out: Path, test: TestSheet) -> bool:
    """Whether the best of four is the first."""
    ours, best = (load_audio(wav(out, condition, test))[0] for condition in ("adapter", "best of 4"))
    return len(ours) == len(best) and float(np.abs(ours - best).max()) < 1e-4  # writing in 16 bits rounds


def wav(out: Path, condition: str, test: TestSheet) -> Path:
    return out / "audio" / condition.replace(" ", "-") / f"{test.id}.wav"


def distances(tests: list[TestSheet], suite: tuple[str, ...], out: Path) -> dict[str, float | None]:
    """Fréchet distance of each condition's clips to ceiling A's; None with too little audio. Empty where there is no ceiling A."""
    clips = {c: [wav(out, c, test) for test in tests] for c in suite if c != "floor B"}
    sets = {c: [timbre(*load_audio(path)) for path in paths if path.exists()] for c, paths in clips.items()}
    reference = sets.pop("ceiling A", None)
    return {} if reference is None else {c: timbre_distance(ours, reference) for c, ours in sets.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
