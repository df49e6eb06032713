"""The suites "obedience" and "quick": what is generated, what is held beside it, what is written.

For every lead sheet of the test set, at its own fixed seed: floor A the base without adapter; floor B the audio that
the adapter made for another song's lead sheet, scored against this one; the adapter; no genre the adapter where the
words alone name the genre; best of 4 what our own report ranks first of its clip and three more seeds; ceiling A the
lead sheet rendered by a synthesiser; ceiling B that rendering through the base's spectrogram, autoencoder and
vocoder. "quick" plays three sheets, one a meter: adapter and floor B alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import load_audio, save_audio
from musetune.display.evaluation_charts import draw_chart, draw_scatter, draw_table
from musetune.evaluation import MEASURES, load_test_sheets, report
from musetune.evaluation.agreement import QUANTITIES, agreement, pairs, plain_lines, plain_within, within
from musetune.evaluation.audio_similarity import clap_similarity, timbre, timbre_distance
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.obedience import (
    CONDITIONS,
    TEXT,
    aims,
    by_meter,
    genre_cost,
    judge_clip,
    markdown,
    markdown_aims,
    markdown_meters,
    mismatched_sheets,
    scores_of,
    tabulate,
    three_meters,
)
from musetune.evaluation.provenance import hash_of, provenance, remember
from musetune.evaluation.references import limit_peak, render_sheet, through_codec
from musetune.evaluation.testset import TestSheet
from musetune.pipeline.condition_mask import ConditionMask
from musetune.pipeline.pipeline import MuseTuneOutput, MuseTunePipeline
from musetune.processes import crash_safe_map
from musetune.suites.settings import EvaluationSettings
from musetune.symbols.json_values import JsonObject

SUITES = {"obedience": CONDITIONS, "quick": ("floor B", "adapter")}
NO_GENRE = ("chords", "beats", "key", "function")  # what the adapter follows while the words alone name the genre
MORE_SEEDS = (100_000, 200_000, 300_000)  # added to a sheet's own, for best of 4
CANDIDATES = ("candidate 2", "candidate 3", "candidate 4")  # the same, which are judged of every third sheet
EVERY_OTHER = ("no genre",)  # conditions of every other sheet alone
Clips = dict[str, dict[str, JsonObject]]  # condition → sheet → record


def run(settings: EvaluationSettings) -> None:
    """Play, judge, write results.json, results.md, results.png, agreement.png; print the tables. Goes on where it
    was.
    """
    began = time.monotonic()
    out, every = Path(settings.out), load_test_sheets(settings.sheets)
    tests = (every if settings.suite == "obedience" else three_meters(every))[: settings.limit]
    if len(tests) < 2:
        raise ValueError(f"{len(tests)} lead sheet given; floor B needs another song's, so give at least 2")
    recorded = recorded_settings(settings, every)
    remember(out, recorded)
    clips = play_and_judge(tests, every, settings)
    text, figures = summary(clips, tests, distances(tests, SUITES[settings.suite], out))
    (out / "results.md").write_text(text)
    run = {"seconds": round(time.monotonic() - began), "workers": settings.workers, "limit": settings.limit}
    record = {"settings": recorded, "run": run, **figures, "clips": {c: scores_of(r) for c, r in clips.items() if r}}
    (out / "results.json").write_text(json.dumps(record, indent=1, allow_nan=False, default=vars))
    title = f"{settings.base} with {settings.adapter}, {len(tests)} lead sheets"
    draw_table(out / "results.png", figures["table"], MEASURES, title=title)
    scatter = {q: {c: pairs(list(clips[c].values()), q) for c in ("adapter", "floor B")} for q in QUANTITIES}
    draw_scatter(out / "agreement.png", scatter, axes=("our report", "the judges"))
    print(text)


def summary(clips: Clips, tests: list[TestSheet], sound: dict[str, float | None]) -> tuple[str, JsonObject]:
    """results.md, and the figures of results.json."""
    main = {condition: records for condition, records in clips.items() if condition not in CANDIDATES}
    sets = {"adapter": list(clips["adapter"].values())}
    sets["discrimination: adapter and floor B"] = sets["adapter"] + list(clips["floor B"].values())
    ranked = [clips[c][name] for name in clips[CANDIDATES[0]] for c in ("adapter", *CANDIDATES)]
    figures: JsonObject = {
        "table": tabulate(main),
        "metres": by_meter(main, tests),
        "aims": aims(main),
        "lost": {row: genre_cost(main, row) for row in TEXT} if "floor A" in main else {},
        "frechet": sound,
        "agreement": {name: agreement(records) for name, records in sets.items()},
        "within": within(ranked),
    }
    parts = [
        markdown(figures["table"], sound, len(tests)),
        markdown_meters(figures["metres"]),
        markdown_aims(figures["aims"]),
        "".join(f"{row}, floor A − no genre: {cell(loss)} points.\n\n" for row, loss in figures["lost"].items()),
        "Correlations are Pearson's; Spearman's. The claim is the adapter's row.\n\n"
        + plain_lines(figures["agreement"]),
        plain_within(figures["within"]),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part), figures


@lru_cache(maxsize=1)
def load(base: str, adapter: str, device: str) -> MuseTunePipeline:
    """The pipeline, once in each process."""
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def recorded_settings(settings: EvaluationSettings, tests: list[TestSheet]) -> JsonObject:
    """What audio and figures depend on; the test set and the weights by a hash."""
    apart = ("out", "limit", "device", "suite", "genres", "arranger", "workers")
    values = {k: v for k, v in asdict(settings).items() if k not in apart}
    values["sheets"] = hash_of(repr(tests).encode())
    return {**values, **provenance(load(settings.base, settings.adapter, settings.device), settings.soundfont)}


def play_and_judge(tests: list[TestSheet], every: list[TestSheet], settings: EvaluationSettings) -> Clips:
    """Every clip's record, for ``tests`` of ``every``; sheets are played and judged in ``settings.workers``
    processes, what earlier runs left is read.
    """
    jobs = list(zip(tests, mismatched_sheets(every, tests), strict=True))
    work = partial(play_and_judge_one, settings=settings)
    clips: Clips = {condition: {} for condition in (*SUITES[settings.suite], *CANDIDATES)}
    for (test, stranger), records in tqdm(crash_safe_map(work, jobs, settings.workers), total=len(jobs), unit="sheet"):
        if records is None:
            raise RuntimeError(f"the process that played {test.id} died; run this again, it goes on where it was")
        for condition, record in records.items():
            clips[condition][(stranger if condition == "floor B" else test).id] = record
    return {c: {test.id: records[test.id] for test in tests if test.id in records} for c, records in clips.items()}


def play_and_judge_one(job: tuple[TestSheet, TestSheet], settings: EvaluationSettings) -> dict[str, JsonObject]:
    """Condition → record of one sheet's audio; floor B's is about the second sheet of ``job``, another song's."""
    (test, stranger), out = job, Path(settings.out)
    pipe = load(settings.base, settings.adapter, settings.device)
    make_audio(pipe, test, settings, out)
    records: dict[str, JsonObject] = {}
    for condition in (c for c in conditions(settings.suite, test) if c != "floor B"):
        if condition == "best of 4" and same_audio(out, test):
            records[condition] = records["adapter"]
        else:
            about = {condition: test} | ({"floor B": stranger} if condition == "adapter" else {})
            records |= judge_sheets(pipe, test, about, out)
    if all(wav(out, condition, test).exists() for condition in CANDIDATES):
        for condition in CANDIDATES:
            records |= judge_sheets(pipe, test, {condition: test}, out)
    return records


def judge_sheets(
    pipe: MuseTunePipeline, test: TestSheet, about: dict[str, TestSheet], out: Path
) -> dict[str, JsonObject]:
    """Records of one clip of ``test``'s, one for each condition and sheet that it is held against; read where they
    are there.
    """
    paths = {c: out / "reports" / c.replace(" ", "-") / f"{sheet.id}.json" for c, sheet in about.items()}
    earlier = {c: json.loads(path.read_text()) for c, path in paths.items() if path.exists()}
    if all(c in earlier and earlier[c]["audio"] == test.id for c in about):
        return earlier
    condition = next(iter(about))
    wave, rate = load_audio(wav(out, condition, test))
    judgements, estimate = judge_clip(wave, rate, list(about.values()))
    records = {}
    for c, record in zip(about, judgements, strict=True):
        record["scores"]["clap"] = float(clap_similarity(pipe, [about[c].prompt], [wave], rate)[0])
        records[c] = {"audio": test.id, **record}
        paths[c].parent.mkdir(parents=True, exist_ok=True)
        paths[c].write_text(json.dumps(records[c], indent=1, allow_nan=False))
    if condition == "adapter":
        title = f"{test.id}: {test.prompt}"
        draw_chart(out / "charts" / f"{test.id}.png", wave, rate, test.sheet, estimate, title=title)
    return records


def make_audio(pipe: MuseTunePipeline, test: TestSheet, settings: EvaluationSettings, out: Path) -> None:
    """A WAV for each condition of the suite, those that are there left alone. Floor B has none: it is the adapter's
    on other sheets.
    """
    rate = pipe.vocoder.config.sampling_rate
    ceiling = partial(render_sheet, test.sheet, rate, seed=test.seed, soundfont=settings.soundfont)
    makers: dict[str, Callable[[], np.ndarray]] = {
        "floor A": lambda: plain_base(pipe, test, settings),
        "adapter": lambda: obedient(pipe, test, settings, test.seed).audios[0],
        "no genre": lambda: obedient(pipe, test, settings, test.seed, follow=NO_GENRE).audios[0],
        "best of 4": lambda: best_of_4(pipe, test, settings, out),
        "ceiling A": ceiling,
        "ceiling B": lambda: through_codec(pipe, ceiling()),
    }
    for condition in (c for c in conditions(settings.suite, test) if c in makers and not wav(out, c, test).exists()):
        partial_file = wav(out, condition, test).with_suffix(f".{os.getpid()}")
        save_audio(partial_file, makers[condition](), rate, "wav")
        partial_file.replace(wav(out, condition, test))


def conditions(suite: str, test: TestSheet) -> tuple[str, ...]:
    """Those of ``suite`` that ``test`` takes part in."""
    return tuple(c for c in SUITES[suite] if c not in EVERY_OTHER or test.seed % 2 == 0)


def plain_base(pipe: MuseTunePipeline, test: TestSheet, settings: EvaluationSettings) -> np.ndarray:
    """The prompt alone."""
    wave = pipe(
        test.prompt,
        audio_length_in_s=test.sheet.duration_s,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        generator=torch.Generator().manual_seed(test.seed),
    ).audios[0]
    return limit_peak(wave)


def obedient(
    pipe: MuseTunePipeline,
    test: TestSheet,
    settings: EvaluationSettings,
    *seeds: int,
    follow: tuple[str, ...] | None = None,
) -> MuseTuneOutput:
    """Prompt and lead sheet (of it what ``follow`` names; None: all), one waveform a seed, the most obedient first by
    our own report.
    """
    return pipe(
        test.prompt,
        lead_sheet=test.sheet,
        follow=follow,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        music_guidance_scale=settings.music_guidance,
        num_waveforms_per_prompt=len(seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        return_report=True,
    )


def best_of_4(pipe: MuseTunePipeline, test: TestSheet, settings: EvaluationSettings, out: Path) -> np.ndarray:
    """What our own report ranks first of the adapter's clip and three more, which are written down for every third
    sheet.
    """
    first, rate = load_audio(wav(out, "adapter", test))
    more = obedient(pipe, test, settings, *(test.seed + step for step in MORE_SEEDS))
    assert more.reports is not None  # they were asked for
    for condition, wave in zip(CANDIDATES, more.audios, strict=True):
        if test.seed % 3 == 0:
            save_audio(wav(out, condition, test), wave, rate)
    rank = ConditionMask().rank
    return first if rank(report(first, rate, test.sheet).scores) >= rank(more.reports[0].scores) else more.audios[0]


def same_audio(out: Path, test: TestSheet) -> bool:
    """Whether the best of four is the first."""
    ours, best = (load_audio(wav(out, condition, test))[0] for condition in ("adapter", "best of 4"))
    return len(ours) == len(best) and float(np.abs(ours - best).max()) < 1e-4  # writing in 16 bits rounds


def wav(out: Path, condition: str, test: TestSheet) -> Path:
    """Path of a clip's audio."""
    return out / "audio" / condition.replace(" ", "-") / f"{test.id}.wav"


def distances(tests: list[TestSheet], suite: tuple[str, ...], out: Path) -> dict[str, float | None]:
    """Fréchet distance of each condition's clips to ceiling A's; None with too little audio. Empty where there is no
    ceiling A.
    """
    clips = {c: [wav(out, c, test) for test in tests] for c in suite if c != "floor B"}
    sets = {c: [timbre(*load_audio(path)) for path in paths if path.exists()] for c, paths in clips.items()}
    reference = sets.pop("ceiling A", None)
    return {} if reference is None else {c: timbre_distance(ours, reference) for c, ours in sets.items()}
