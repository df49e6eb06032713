"""The suite "genres": what a genre adapter changes, and whether it still obeys.

Every lead sheet loses its genre and gets the same wordless prompt, so that nothing but the adapter can bring one. It is
played by the theory adapter alone, then with each genre's adapter on it, at the same seed. Held beside: the adapter's
clip against another song's sheet (floor B), the sheet arranged in that genre by a synthesiser (ceiling A), and that
through the base's codec (ceiling B). Whether the genre took is said by our analyser's genre (which had no part in any
adapter's training) and by the Fréchet distance of MFCC statistics to that genre's held-out clips: all test sheets
arranged in the genre, from songs that no training saw. Leaves OUT/genres.md, and OUT/GENRE/results.json for its card.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import load_audio, save_audio
from musetune.evaluation import MEASURES, Mean, adherence, bootstrap_mean, load_test_sheets
from musetune.evaluation.audio_similarity import timbre, timbre_distance
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.judges import judge_with_hints
from musetune.evaluation.obedience import genre_of, mismatched_sheets
from musetune.evaluation.provenance import provenance, remember
from musetune.evaluation.references import render_sheet, through_codec
from musetune.evaluation.testset import TestSheet
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.processes import crash_safe_map
from musetune.suites.settings import EvaluationSettings
from musetune.symbols.json_values import JsonObject

PROMPT = "music"
THEORY = "theory alone"
HEADS = ("majmin", "beat F", "downbeat F", "heard as the genre", "Fréchet distance to it")
Scores = JsonObject  # measure → 0…1 or None; "heard" → genre
Sound = dict[str, float | None]


def run(settings: EvaluationSettings) -> None:
    """Play, judge, write; goes on where it was."""
    out, every = Path(settings.out), [plain(test) for test in load_test_sheets(settings.sheets)]
    tests = every[:: max(1, len(every) // (settings.limit or len(every)))][: settings.limit]
    if len(tests) < 2:
        raise ValueError(f"{len(tests)} lead sheet given; floor B needs another song's, so give at least 2")
    remember(out, recorded_settings(settings))
    work = partial(play_and_judge, settings=settings)
    jobs = list(zip(tests, mismatched_sheets(every, tests), strict=True))
    records = {}
    for (test, _), scores in tqdm(crash_safe_map(work, jobs, settings.workers), total=len(jobs), unit="sheet"):
        if scores is None:
            raise RuntimeError(f"the process that played {test.id} died; run this again, it goes on where it was")
        records[test.id] = scores
    rows = [row_of(genre, records, distances(genre, tests, every, settings), settings) for genre in settings.genres]
    text = f"{len(tests)} lead sheets without genre, prompt {PROMPT!r}; %, mean and 95 % interval; "
    text += "theory alone → with the genre.\n\n"
    text += "\n".join([f"| genre | {' | '.join(HEADS)} |", "|---" * (len(HEADS) + 1) + "|", *rows]) + "\n"
    (out / "genres.md").write_text(text)
    print(text)


def plain(test: TestSheet) -> TestSheet:
    """The request with nothing that names a genre."""
    return replace(test, prompt=PROMPT, sheet=replace(test.sheet, genre=None))


def recorded_settings(settings: EvaluationSettings) -> JsonObject:
    """What the audio depends on."""
    names = ("base", "adapter", "genres", "steps", "guidance", "music_guidance", "sheets")
    values = {name: getattr(settings, name) for name in names} | {"genres": list(settings.genres)}
    return values | provenance(load(settings), settings.soundfont)


def load(settings: EvaluationSettings) -> MuseTunePipeline:
    """The pipeline with every genre's adapter resident, once in each process."""
    return _load(settings.base, settings.adapter, settings.genres, settings.device)


@lru_cache(maxsize=1)
def _load(base: str, theory: str, genres: tuple[str, ...], device: str) -> MuseTunePipeline:
    pipe = MuseTunePipeline.from_pretrained(base, adapter=theory)
    for genre in genres:
        pipe.load_adapter(genre, name=Path(genre).name)
    pipe.to(device).set_progress_bar_config(disable=True)
    return pipe


def play_and_judge(job: tuple[TestSheet, TestSheet], settings: EvaluationSettings) -> dict[str, Scores]:
    """Condition → scores of one sheet; conditions are `THEORY`, and of each genre its name, "floor B", "ceiling A",
    "ceiling B".
    """
    (test, stranger), scores = job, {}
    scores[THEORY] = score_clip(audio(test, THEORY, settings), test)[0]
    for genre in map(name_of, settings.genres):
        scores[genre], scores[f"{genre} floor B"] = score_clip(audio(test, genre, settings), test, stranger)
        for ceiling in ("ceiling A", "ceiling B"):
            scores[f"{genre} {ceiling}"] = score_clip(audio(test, f"{genre} {ceiling}", settings), test)[0]
    return scores


def audio(test: TestSheet, condition: str, settings: EvaluationSettings) -> Path:
    """The clip's file, made where it is not there yet."""
    path = Path(settings.out) / "audio" / condition.replace(" ", "-") / f"{test.id}.wav"
    if not path.exists():
        pipe = load(settings)
        partial_file = path.with_suffix(".partial")
        save_audio(partial_file, make(pipe, test, condition, settings), pipe.vocoder.config.sampling_rate, "wav")
        partial_file.replace(path)
    return path


def make(pipe: MuseTunePipeline, test: TestSheet, condition: str, settings: EvaluationSettings) -> np.ndarray:
    """The waveform (samples,) of one condition."""
    genre, _, ceiling = condition.partition(" ceiling ")
    if ceiling:
        sheet, rate = replace(test.sheet, genre=genre), pipe.vocoder.config.sampling_rate
        wave = render_sheet(sheet, rate, seed=test.seed, soundfont=settings.soundfont)
        return wave if ceiling == "A" else through_codec(pipe, wave)
    pipe.set_adapter(None if condition == THEORY else genre)
    return pipe(
        test.prompt,
        lead_sheet=test.sheet,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        music_guidance_scale=settings.music_guidance,
        generator=torch.Generator().manual_seed(test.seed),
    ).audios[0]


def score_clip(path: Path, *tests: TestSheet) -> list[Scores]:
    """Scores of a clip against each sheet, with the genre that our analyser hears under "heard"; read where they are
    there.
    """
    record = path.with_suffix(".json")
    ids = [test.id for test in tests]
    if record.exists() and (earlier := json.loads(record.read_text()))["asked"] == ids:
        return earlier["scores"]
    wave, rate = load_audio(path)
    listenings = judge_with_hints(wave, rate, [test.sheet for test in tests])
    genre = genre_of(wave, rate)
    scores = [{**adherence(test.sheet, h), "heard": genre} for test, h in zip(tests, listenings, strict=True)]
    record.write_text(json.dumps({"asked": ids, "scores": scores}, allow_nan=False))
    return scores


def distances(genre: str, tests: list[TestSheet], every: list[TestSheet], settings: EvaluationSettings) -> Sound:
    """Fréchet distance to the genre's held-out clips, of the theory adapter alone and with the genre; None with too
    little audio.
    """
    name = name_of(genre)
    theirs = [timbre(*load_audio(audio(test, f"{name} ceiling A", settings))) for test in every]
    ours = {c: [timbre(*load_audio(audio(test, c, settings))) for test in tests] for c in (THEORY, name)}
    return {c: timbre_distance(points, theirs) for c, points in ours.items()}


def row_of(genre: str, records: dict[str, dict[str, Scores]], sound: Sound, settings: EvaluationSettings) -> str:
    """Writes the genre's results.json; returns its row of the table."""
    name = name_of(genre)
    columns = {THEORY: THEORY, "adapter": name} | {c: f"{name} {c}" for c in ("floor B", "ceiling A", "ceiling B")}
    table = {
        condition: {row: bootstrap_mean([scores[key][row] for scores in records.values()]) for row in MEASURES}
        | {"genre": bootstrap_mean([float(scores[key]["heard"] == name) for scores in records.values()])}
        for condition, key in columns.items()
    }
    lost = {row: loss(records, name, row) for row in ("majmin", "beat_f", "downbeat_f")}
    frechet = {THEORY: sound[THEORY], "adapter": sound[name]}
    record = {
        "command": f"python recipes/evaluate.py --suite genres --limit {len(records)}",
        "n": len(records),
        "table": table,
        "lost": lost,
        "frechet": frechet,
    }
    path = Path(settings.out) / name / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, allow_nan=False, default=asdict))
    return "| " + " | ".join([name, *_cells(table, frechet)]) + " |"


def loss(records: dict[str, dict[str, Scores]], name: str, row: str) -> Mean | None:
    """Theory alone − with the genre, clip by clip, 0…1."""
    pairs = [(scores[THEORY][row], scores[name][row]) for scores in records.values()]
    return bootstrap_mean([a - b for a, b in pairs if a is not None and b is not None])


def _cells(table: dict[str, dict[str, Mean | None]], frechet: Sound) -> Iterator[str]:
    for row in ("majmin", "beat_f", "downbeat_f", "genre"):
        yield f"{cell(table[THEORY][row])} → {cell(table['adapter'][row])}"
    yield " → ".join("—" if frechet[c] is None else f"{frechet[c]:.0f}" for c in (THEORY, "adapter"))


def name_of(genre: str) -> str:
    """A genre adapter's name: of a folder its last part."""
    return Path(genre).name
