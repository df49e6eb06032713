"""The suite "stems": does the audio play the notes that it was given, and does it play them better with the notes
than without?

Of each lead sheet one arrangement (--arranger rule: `orchestrate`'s, with drums, bass and lead wherever the genre has
them; model: what the pipeline's arranger writes), heard by transcribers that we did not train
(musetune.evaluation.transcription), at
one seed:

without notes   the adapter given the lead sheet alone with notes      the same and the arrangement: the claim floor A
the base without adapter, given the prompt alone floor B         the clip with another song's notes, held against
these another take    the clip with notes held against another arrangement of its sheet: what chords, beat and genre
tell of the notes ceiling A, B    the arrangement rendered by a synthesiser; that rendering through the base's
spectrogram, autoencoder and vocoder

Leaves audio/ with a record beside each clip, results.json, results.md and results.png in OUT. Killed, it goes on
where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import load_audio, save_audio, synthesize
from musetune.display.evaluation_charts import draw_table
from musetune.evaluation import Mean, adherence, bootstrap_mean, judge, load_test_sheets
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.notes import NOTE_MEASURES, gain, note_scores, share_reached
from musetune.evaluation.obedience import mismatched_sheets
from musetune.evaluation.provenance import hash_of, provenance, remember
from musetune.evaluation.references import limit_peak, through_codec
from musetune.evaluation.testset import TestSheet
from musetune.evaluation.transcription import LOUD_DB, STRUCK, transcribe, transcriber_versions
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.planning.rules.orchestrate import orchestrate
from musetune.processes import crash_safe_map
from musetune.suites.settings import EvaluationSettings
from musetune.symbols.arrangement import Arrangement

SHEETS = 24  # unless --limit says another number
PLAYED = ("floor A", "without notes", "with notes", "ceiling A", "ceiling B")  # those with audio of their own
CONDITIONS = ("floor A", "floor B", "another take", "without notes", "with notes", "ceiling A", "ceiling B")
SHEET_ROWS = ("majmin", "beat_f")  # does it still follow the sheet? By Chordino and madmom
ROWS = (*NOTE_MEASURES, *SHEET_ROWS)
TAKES = 20  # seeds that are tried for a take with all players
ANOTHER = 50_000  # added to a sheet's seed, for another take
JUDGES = (
    "Judges, none of which had a part in training: of the percussive part ADTLib (drums_f: kick, snare and metal "
    "counted together, and each by itself) and madmom (strokes_f: any stroke), of the harmonic part basic-pitch (bass: "
    "the lowest note heard below middle C, lead: the highest from it upwards; pitch and chroma: share of the stem's "
    "time, f: notes), scored by mir_eval, ±50 ms, ±quarter tone; Chordino (majmin) and madmom (beat_f)."
)
Scores = dict[str, float | None]
Table = dict[str, dict[str, Scores]]  # condition → sheet → scores


def run(settings: EvaluationSettings) -> None:
    """Play, judge, write; goes on where it was."""
    out, every = Path(settings.out), load_test_sheets(settings.sheets)
    count = min(settings.limit or SHEETS, len(every))
    tests = [every[i * len(every) // count] for i in range(count)]
    if len(tests) < 2:
        raise ValueError(f"{len(tests)} lead sheet given; floor B needs another song's, so give at least 2")
    recorded = recorded_settings(settings)
    remember(out, recorded)
    jobs = list(zip(tests, mismatched_sheets(every, tests), strict=True))
    scores: Table = {condition: {} for condition in CONDITIONS}
    for (test, stranger), scores_by_condition in tqdm(
        crash_safe_map(partial(play_and_judge, settings=settings), jobs, settings.workers),
        total=len(jobs),
        unit="sheet",
    ):
        if scores_by_condition is None:
            raise RuntimeError(f"the process that played {test.id} died; run this again, it goes on where it was")
        for condition, record in scores_by_condition.items():
            scores[condition][(stranger if condition == "floor B" else test).id] = record
    write(out, {c: {test.id: records[test.id] for test in tests} for c, records in scores.items()}, recorded, settings)


def recorded_settings(settings: EvaluationSettings) -> dict[str, Any]:
    """What the audio and the figures depend on."""
    names = ("base", "adapter", "arranger", "steps", "guidance", "music_guidance", "played_guidance", "sheets")
    values = {name: getattr(settings, name) for name in names} | {"transcribers": transcriber_versions()}
    values["strokes"] = {"loud_db": LOUD_DB, "above": STRUCK}
    return values | provenance(load(settings), settings.soundfont)


def load(settings: EvaluationSettings) -> MuseTunePipeline:
    """The pipeline, once in each process."""
    return _load(settings.base, settings.adapter, settings.device)


@lru_cache(maxsize=1)
def _load(base: str, adapter: str, device: str) -> MuseTunePipeline:
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def play_and_judge(job: tuple[TestSheet, TestSheet], settings: EvaluationSettings) -> dict[str, Scores]:
    """Condition → scores of one sheet's clips; those of floor B are about the second sheet of ``job``, another
    song's.
    """
    test, stranger = job
    notes = write_notes(test, settings)
    scores: dict[str, Scores] = {}
    for condition in PLAYED:
        if condition == "with notes":
            arrangements = {
                condition: notes,
                "floor B": write_notes(stranger, settings),
                "another take": write_notes(test, settings, ANOTHER),
            }
        else:
            arrangements = {condition: notes}
        scores |= score_clip(test, condition, arrangements, settings)
    return scores


def write_notes(test: TestSheet, settings: EvaluationSettings, further: int = 0) -> Arrangement:
    """The notes of a sheet: by rule the first take with the most players, or what the pipeline's arranger writes."""
    seed = test.seed + further
    if settings.arranger == "model":
        return load(settings).arrange(test.sheet, seed=seed)
    takes = (orchestrate(test.sheet, seed=seed + i).arrangement for i in range(TAKES))
    return max(takes, key=lambda take: len({"drums", "bass", "lead"} & take.stems.keys()))


def score_clip(
    test: TestSheet, condition: str, arrangements: dict[str, Arrangement], settings: EvaluationSettings
) -> dict[str, Scores]:
    """Condition → scores of the clip of the first of ``asked`` against each arrangement; played and judged where no
    record says so.
    """
    path = Path(settings.out) / "audio" / condition.replace(" ", "-") / f"{test.id}.wav"
    record, hashes = path.with_suffix(".json"), {c: hash_of(repr(notes).encode()) for c, notes in arrangements.items()}
    earlier: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {"asked": hashes}
    if "scores" in earlier and earlier["asked"] == hashes:
        return earlier["scores"]
    if not path.exists() or earlier["asked"][condition] != hashes[condition]:
        pipe, partial_file = load(settings), path.with_suffix(".partial")
        wave = make(pipe, test, condition, arrangements[condition], settings)
        save_audio(partial_file, wave, pipe.vocoder.config.sampling_rate, "wav")
        partial_file.replace(path)
    wave, rate = load_audio(path)
    transcribed, sheet = transcribe(wave, rate), test.sheet
    obeyed = adherence(sheet, judge(wave, rate, tempo_hint=sheet))
    scores = {
        c: dict.fromkeys(SHEET_ROWS) | note_scores(n, transcribed, sheet.duration_s) for c, n in arrangements.items()
    }
    scores[condition] |= {row: obeyed[row] for row in SHEET_ROWS}
    record.write_text(json.dumps({"asked": hashes, "scores": scores}, allow_nan=False))
    return scores


def make(
    pipe: MuseTunePipeline, test: TestSheet, condition: str, notes: Arrangement, settings: EvaluationSettings
) -> np.ndarray:
    """The waveform (samples,) of one condition."""
    rate, sheet = pipe.vocoder.config.sampling_rate, test.sheet

    def render() -> np.ndarray:
        return synthesize(notes.to_pretty_midi(), rate, duration_s=sheet.duration_s, soundfont=settings.soundfont)

    def play(**music: Any) -> np.ndarray:
        options = {"num_inference_steps": settings.steps, "guidance_scale": settings.guidance, **music}
        return limit_peak(pipe(test.prompt, generator=torch.Generator().manual_seed(test.seed), **options).audios[0])

    obedient = {"lead_sheet": sheet, "music_guidance_scale": settings.music_guidance}
    names = ("guidance_scale", "music_guidance_scale", "stem_guidance_scale")
    with_notes = {"lead_sheet": sheet, "arrangement": notes} | dict.fromkeys(names, settings.played_guidance)
    makers: dict[str, Callable[[], np.ndarray]] = {
        "floor A": lambda: play(audio_length_in_s=sheet.duration_s),
        "without notes": lambda: play(**obedient),
        "with notes": lambda: play(**with_notes),
        "ceiling A": render,
        "ceiling B": lambda: through_codec(pipe, render()),
    }
    return makers[condition]()


def write(out: Path, scores: Table, recorded: dict[str, Any], settings: EvaluationSettings) -> None:
    """results.json, results.md and results.png; prints the table."""
    table = {c: {row: bootstrap_mean([s[row] for s in clips.values()]) for row in ROWS} for c, clips in scores.items()}
    columns = {c: {row: [s[row] for s in scores[c].values()] for row in ROWS} for c in ("without notes", "with notes")}
    gains = {row: gain(columns["without notes"][row], columns["with notes"][row]) for row in ROWS}
    reached = {
        row: share_reached(*(table[c][row] for c in ("without notes", "with notes", "ceiling B"))) for row in ROWS
    }
    count = len(scores["with notes"])
    text = markdown(table, gains, reached, count)
    (out / "results.md").write_text(text)
    figures = {"table": table, "gains": gains, "share": reached, "clips": scores}
    command = f"python recipes/evaluate.py --suite stems --arranger {settings.arranger} --limit {count}"
    record = {"command": command, "settings": recorded, **figures}
    (out / "results.json").write_text(json.dumps(record, indent=1, allow_nan=False, default=asdict))
    title = f"{settings.base} with {settings.adapter}, {count} lead sheets, notes by {settings.arranger}"
    draw_table(out / "results.png", table, NOTE_MEASURES, title=title)
    print(text)


def markdown(
    table: dict[str, dict[str, Mean | None]],
    gains: dict[str, Mean | None],
    reached: dict[str, float | None],
    count: int,
) -> str:
    """The table in per cent with 95 % intervals, and what its columns are."""
    heads = [*table, "gain", "share"]
    lines = [
        f"{count} lead sheets, one arrangement and one seed each; %, mean and 95 % bootstrap interval. Floor A: the "
        "base, given the prompt alone. Floor B: the clip with another song's notes held against these. Another take: "
        "the clip with notes held against another arrangement of its sheet. Ceiling A: the arrangement rendered by a "
        "synthesiser. Ceiling B: that through the base's codec. Gain: with − without notes, clip by clip, in points. "
        "Share: of the way from without notes to ceiling B, "
        f"(with − without) / (ceiling B − without). {JUDGES}",
        "",
        "| " + " | ".join(["", *heads]) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for row in ROWS:
        share = reached[row]
        part = "—" if share is None else f"{100 * share:.0f}"
        cells = [row, *(cell(means[row]) for means in table.values()), cell(gains[row]), part]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
