"""Which of two adapters stays: the judges' verdict on the takes of development sheets, the report, and adapter/.

B (Chordino, madmom, essentia; of players' notes basic-pitch and ADTLib; YAMNet where its weights are given) is heard
once, when training has ended: it chooses neither pairs nor the end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.audio import load_audio
from musetune.evaluation import adherence, judge, missing_judges
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.frechet import frechet_change
from musetune.evaluation.guards import (
    GuardLimits,
    GuardReading,
    PolicyFigures,
    TuningVerdict,
    decide,
    frechet_readings,
    objections,
    paired_difference,
    read_guards,
    read_measures,
)
from musetune.evaluation.notes import note_scores
from musetune.evaluation.transcription import missing_transcribers, transcribe
from musetune.evaluation.whole_files import replace_folder, write_json
from musetune.suites.alignment import audio_path, renderings
from musetune.suites.candidates import CandidateRequest
from musetune.suites.rounds import RoundsOutcome

JUDGED = ("majmin", "beat_f", "downbeat_f", "key")
JUDGED_NOTES = ("drums_f", "snare_f", "bass_chroma", "lead_chroma")
SCORES, REPORT = "judged.json", "report.json"
COMPONENTS = 32  # principal components of the stranger's embedding
RED, PLAIN = "\033[31m", "\033[0m"
Embedding = Callable[[np.ndarray, int], np.ndarray]  # mono wave (samples,), rate in Hz → (n, d)


@dataclass(frozen=True)
class Hearing:
    """What is heard of each policy.

    Attributes:
        requests: The development sheets.
        seeds: Of each one's takes.
        judged_seeds: Of those, what the judges hear; empty: nobody judges, so that the report alone is written.
        stranger: An embedding that no reward knows, such as YAMNet's logits, for a further Fréchet distance; None.
        soundfont: Of the renderings; None: what is found.
    """

    requests: Sequence[CandidateRequest]
    seeds: Sequence[int]
    judged_seeds: Sequence[int]
    stranger: Embedding | None = None
    soundfont: str | None = None


def judge_policy(folder: Path, hearing: Hearing) -> dict[str, dict[str, float]] | None:
    """B's mean of each measure over each request's takes, 0…1; None where a take is unjudged and judges are missing.

    Args:
        folder: Where `listen_to_policy` left the audio; gets judged.json, whose scores are not told again.
        hearing: Whose `judged_seeds` are heard.
    """
    path = folder / SCORES
    scores: dict[str, dict[str, float | None]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    means = {}
    for request in tqdm(hearing.requests, unit="sheet", desc=f"{folder.name} judged"):
        names = [f"{request.name}-{seed}" for seed in hearing.judged_seeds]
        if not scores.keys() >= set(names):
            if missing_judges() or (request.arrangement is not None and missing_transcribers()):
                return None
            for name, seed in zip(names, hearing.judged_seeds, strict=True):
                if name not in scores:
                    scores[name] = judge_take(*load_audio(audio_path(folder, request, seed)), request)
            write_json(path, scores)
        means[request.name] = measure_means([scores[name] for name in names])
    return means


def judge_take(wave: np.ndarray, rate: int, request: CandidateRequest) -> dict[str, float | None]:
    """B's scores of one take, 0…1 each: `JUDGED`, and of a request with players' notes `JUDGED_NOTES`."""
    heard = adherence(request.sheet, judge(wave, rate, tempo_hint=request.sheet))
    scores = {name: heard[name] for name in JUDGED}
    if request.arrangement is not None:
        played = note_scores(request.arrangement, transcribe(wave, rate), request.sheet.duration_s)
        scores |= {name: played[name] for name in JUDGED_NOTES}
    return scores


def measure_means(takes: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Mean of each measure over the takes in which it means something; others are left out.

    Example:
        >>> measure_means([{"key": 1.0, "snare_f": None}, {"key": 0.5, "snare_f": None}])
        {'key': 0.75}
    """
    values: dict[str, list[float]] = {}
    for scores in takes:
        for name, value in scores.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: float(np.mean(own)) for name, own in values.items()}


def total(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean over the measures of each request; 0 of one that has none."""
    return {name: float(np.mean(list(own.values()) or [0.0])) for name, own in scores.items()}


def compare(
    before: Path, after: Path, figures: tuple[PolicyFigures, PolicyFigures], hearing: Hearing, limits: GuardLimits
) -> tuple[TuningVerdict, list[GuardReading]]:
    """The verdict on two policies' takes, and what every guard reads.

    Args:
        before: Folder of the old policy's takes.
        after: Of the tuned one's.
        figures: What A heard of both.
        hearing: What is heard.
        limits: Of the guards.
    """
    readings = read_guards(*figures, limits)
    judged = [judge_policy(folder, hearing) for folder in (before, after)] if hearing.judged_seeds else [None, None]
    theirs = None
    if judged[0] is not None and judged[1] is not None:
        theirs = paired_difference(*map(total, (judged[0], judged[1])))
        readings += read_measures(judged[0], judged[1], limits)
    if hearing.stranger is not None:
        ours, tuned = (embed_takes(folder, hearing) for folder in (before, after))
        change = frechet_change(ours, tuned, embed_renderings(before, hearing), components=COMPONENTS)
        readings += frechet_readings("YAMNet", change, limits)
    return decide(paired_difference(figures[0].reward, figures[1].reward), theirs, objections(readings)), readings


def embed_takes(folder: Path, hearing: Hearing) -> list[np.ndarray]:
    """The stranger's embeddings (n, d) of each request's takes."""
    assert hearing.stranger is not None
    return [
        np.concatenate([hearing.stranger(*load_audio(audio_path(folder, request, seed))) for seed in hearing.seeds])
        for request in tqdm(hearing.requests, unit="sheet", desc=f"{folder.name} by a stranger")
    ]


def embed_renderings(folder: Path, hearing: Hearing) -> list[np.ndarray]:
    """The stranger's embeddings (n, d) of each request's renderings, at the rate of the takes in `folder`."""
    assert hearing.stranger is not None
    _, rate = load_audio(audio_path(folder, hearing.requests[0], hearing.seeds[0]))
    return [
        np.concatenate(
            [hearing.stranger(wave, rate) for wave in renderings(request, n, hearing.seeds, rate, hearing.soundfont)]
        )
        for n, request in enumerate(hearing.requests)
    ]


def keep_better_adapter(
    out: Path,
    old: Path,
    figures: tuple[PolicyFigures, PolicyFigures],
    outcome: RoundsOutcome,
    hearing: Hearing,
    limits: GuardLimits,
    *,
    stacked: bool = False,
) -> TuningVerdict:
    """Let B compare the tuned adapter with the one that was there before; the better one is written to adapter/.

    Writes report.json and prints the verdict, in red where the tuned adapter is refused. Where nobody judges, the
    tuned one is written, if there is a best round, and the report says that nobody decided.

    Args:
        out: The run's folder; before/ in it holds the old adapter's takes, round-N/ the rounds' takes and adapters.
        old: Folder of the adapter that was tuned.
        figures: What A heard of the old one and of the round that is judged.
        outcome: Of the rounds.
        hearing: What B hears.
        limits: Of the guards.
        stacked: Whether the tuned ones are LoRAs on top of `old`: where they are refused there is no adapter/ then,
            since `old` is no LoRA that could be mixed.
    """
    tuned = out / f"round-{outcome.to_judge}"
    verdict, readings = compare(out / "before", tuned, figures, hearing, limits)
    decided = bool(hearing.judged_seeds)
    keep = outcome.best is not None and (verdict.accepted or not decided)
    if keep:
        replace_folder(tuned / "adapter", out / "adapter")
    elif stacked:
        shutil.rmtree(out / "adapter", ignore_errors=True)
    else:
        replace_folder(old, out / "adapter")
    record = {
        "decided": decided,
        "verdict": asdict(verdict) | {"hacked": verdict.hacked},
        "round": tuned.name,
        "rounds": [asdict(one) for one in outcome.records],
        "end": outcome.end,
        "guards": [reading.to_json() for reading in readings],
        "limits": asdict(limits),
        "before": figures[0].summary(),
        "after": figures[1].summary(),
        "judged by": "Chordino, madmom, essentia; of players' notes basic-pitch, ADTLib" if decided else "nobody",
    }
    write_json(out / REPORT, record)
    if "Fréchet" not in " ".join(reading.name for reading in readings):
        print("too little audio for a Fréchet distance, which therefore vetoes nothing: give more development sheets")
    print(verdict_text(verdict, tuned.name, stacked) if decided else undecided_text(readings, tuned.name, keep))
    return verdict


def verdict_text(verdict: TuningVerdict, name: str, stacked: bool = False) -> str:
    """The verdict in a line; in red, for a terminal, where the tuned adapter is refused."""
    text = f"A's reward {points(verdict.reward)}, the judges' score {points(verdict.judges)}: {verdict.reason}"
    if verdict.accepted:
        return f"{text}; adapter/ is that of {name}"
    left = "there is no adapter/" if stacked else "adapter/ is the old one"
    return f"{RED}{text}; {left}, the tuned one stays in {name}/adapter{PLAIN}"


def undecided_text(readings: Sequence[GuardReading], name: str, keep: bool) -> str:
    """What the guards read, where nobody judges."""
    against = objections(readings) or ["no guard objects"]
    kept = f"adapter/ is that of {name}" if keep else f"no round is better than before; the tuned one is {name}/adapter"
    return "; ".join(["nobody judges (judged_seeds=0): decide yourself", *against, kept])


def points(mean: Mean | None) -> str:
    """A difference of 0…1 as "+3.1 (+1.0 to +5.0) points"; "unknown" where there is nothing."""
    if mean is None:
        return "unknown"
    return f"{100 * mean.mean:+.1f} ({100 * mean.low:+.1f} to {100 * mean.high:+.1f}) points"
