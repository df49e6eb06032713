"""What a policy does on development sheets: A's reward, diversity, words and sound; and, at the end, B's verdict.

Both are about the same takes: each sheet at the same seeds, before and after. B (Chordino, madmom, essentia; of
players' notes basic-pitch and ADTLib) is heard once, when training has ended: it chooses neither pairs nor the end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.audio import load_audio, save_audio, synthesize
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.evaluation import adherence, judge, missing_judges
from musetune.evaluation.audio_similarity import clap_similarity, timbre, timbre_distance
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.diversity import DIVERSITIES, diversity
from musetune.evaluation.guards import GuardLimits, PolicyFigures, TuningVerdict, decide, paired_difference, vetoes
from musetune.evaluation.notes import note_scores
from musetune.evaluation.rewards import RequestedTake, Reward, measure_rewards, weighted_mean
from musetune.evaluation.transcription import missing_transcribers, transcribe
from musetune.planning.rules.orchestrate import orchestrate
from musetune.suites.candidates import CandidateRequest, draw_takes

JUDGED = ("majmin", "beat_f", "downbeat_f", "key")
JUDGED_NOTES = ("drums_f", "lead_chroma")
FIGURES = "figures.json"
RED, PLAIN = "\033[31m", "\033[0m"


def listen_to_policy(
    encoder: LatentEncoder,
    requests: Sequence[CandidateRequest],
    folder: Path,
    rewards: Mapping[str, Reward],
    weights: Mapping[str, float],
    *,
    seeds: Sequence[int],
    steps: int,
    soundfont: str | None = None,
) -> PolicyFigures:
    """Play each request at each seed and say what A hears; takes that are there already are read.

    Args:
        encoder: Whose pipeline is the policy.
        requests: The development sheets.
        folder: Gets the audio and figures.json.
        rewards: Functions of the rewards.
        weights: Their weights.
        seeds: At least two, the same for each policy that is compared.
        steps: Denoising steps.
        soundfont: Of the renderings that the Fréchet distance is to; None: what is found.
    """
    means: dict[str, float] = {}
    spreads: list[dict[str, float]] = []
    cosines: list[float] = []
    ours: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    for number, request in enumerate(tqdm(requests, unit="sheet", desc=f"{folder.parent.name} heard")):
        takes = development_takes(encoder, request, folder, seeds, steps)
        for seed, take in zip(seeds, takes, strict=True):
            ours.append(timbre(take.wave, take.rate))
            theirs.append(timbre(rendering(request, number + seed, take.rate, soundfont), take.rate))
        means[request.name] = float(np.mean([weighted_mean(measure_rewards(take, rewards), weights) for take in takes]))
        spreads.append(diversity(takes))
        cosines += [take.text_similarity or 0.0 for take in takes]
    figures = PolicyFigures(
        means,
        {name: float(np.mean([spread[name] for spread in spreads])) for name in DIVERSITIES},
        float(np.mean(cosines)),
        timbre_distance(ours, theirs),
    )
    (folder / FIGURES).write_text(json.dumps(vars(figures), indent=1, allow_nan=False), encoding="utf-8")
    return figures


def development_takes(
    encoder: LatentEncoder, request: CandidateRequest, folder: Path, seeds: Sequence[int], steps: int
) -> list[RequestedTake]:
    """The policy's takes of one development sheet; those of a run that was killed are read."""
    paths = [audio_path(folder, request, seed) for seed in seeds]
    if not all(path.exists() for path in paths):
        _, takes = draw_takes(encoder.pipe, request, seeds, steps)
        for path, take in zip(paths, takes, strict=True):
            scratch = path.with_suffix(".partial")
            save_audio(scratch, take.wave, take.rate, "wav")
            scratch.replace(path)
    waves = [load_audio(path)[0] for path in paths]
    rate = int(encoder.pipe.vocoder.config.sampling_rate)
    words = clap_similarity(encoder.pipe, [request.prompt] * len(waves), waves, rate)
    return [
        RequestedTake(wave, rate, request.sheet, request.prompt, request.arrangement, float(cosine))
        for wave, cosine in zip(waves, words, strict=True)
    ]


def rendering(request: CandidateRequest, seed: int, rate: int, soundfont: str | None) -> np.ndarray:
    """Mono (samples,) of the request's notes, else of its sheet arranged by rule, by a synthesiser."""
    notes = request.arrangement or orchestrate(request.sheet, seed=seed).arrangement
    return synthesize(notes.to_pretty_midi(), rate, duration_s=request.sheet.duration_s, soundfont=soundfont)


def audio_path(folder: Path, request: CandidateRequest, seed: int) -> Path:
    """Where a take of a development sheet lies."""
    return folder / "audio" / f"{request.name}-{seed}.wav"


def judge_policy(folder: Path, requests: Sequence[CandidateRequest], seeds: Sequence[int]) -> dict[str, float] | None:
    """B's mean score of each request's takes, 0…1; None where the judges are not installed.

    Args:
        folder: Where `listen_to_policy` left the audio; gets judged.json.
        requests: The development sheets.
        seeds: Whose takes are judged.
    """
    if missing_judges() or (any(request.arrangement for request in requests) and missing_transcribers()):
        return None
    path = folder / "judged.json"
    scores: dict[str, dict[str, float | None]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for request in tqdm(requests, unit="sheet", desc=f"{folder.parent.name} judged"):
        for seed in seeds:
            name = f"{request.name}-{seed}"
            if name not in scores:
                scores[name] = judge_take(*load_audio(audio_path(folder, request, seed)), request)
        path.write_text(json.dumps(scores, indent=1, allow_nan=False), encoding="utf-8")
    return {
        request.name: float(np.mean([_mean(scores[f"{request.name}-{seed}"]) for seed in seeds]))
        for request in requests
    }


def judge_take(wave: np.ndarray, rate: int, request: CandidateRequest) -> dict[str, float | None]:
    """B's scores of one take, 0…1 each: `JUDGED`, and of a request with players' notes `JUDGED_NOTES`."""
    heard = adherence(request.sheet, judge(wave, rate, tempo_hint=request.sheet))
    scores = {name: heard[name] for name in JUDGED}
    if request.arrangement is not None:
        played = note_scores(request.arrangement, transcribe(wave, rate), request.sheet.duration_s)
        scores |= {name: played[name] for name in JUDGED_NOTES}
    return scores


def _mean(scores: Mapping[str, float | None]) -> float:
    return float(np.mean([value for value in scores.values() if value is not None] or [0.0]))


def read_figures(folder: Path) -> PolicyFigures:
    """What `listen_to_policy` wrote."""
    return PolicyFigures.from_json(json.loads((folder / FIGURES).read_text(encoding="utf-8")))


def keep_better_adapter(
    out: Path,
    old: Path,
    tuned: Path,
    before: PolicyFigures,
    after: PolicyFigures,
    requests: Sequence[CandidateRequest],
    seeds: Sequence[int],
    limits: GuardLimits,
) -> TuningVerdict:
    """Let B compare the tuned adapter with the one that was there before; the better one is written to adapter/.

    Writes report.json and prints the verdict, in red where the tuned adapter is refused.

    Args:
        out: The run's folder; before/ in it holds the old adapter's takes.
        old: Folder of the adapter that was tuned.
        tuned: Folder of the round, with adapter/ and its takes.
        before: What A heard of the old one.
        after: What A heard of the tuned one.
        requests: The development sheets.
        seeds: Whose takes B hears.
        limits: Of the guards.
    """
    judged = [judge_policy(folder, requests, seeds) for folder in (out / "before", tuned)]
    theirs = None if judged[0] is None or judged[1] is None else paired_difference(judged[0], judged[1])
    objections = vetoes(before, after, limits)
    if before.frechet is None or after.frechet is None:
        print("too little audio for a Fréchet distance, which therefore vetoes nothing: give more development sheets")
    verdict = decide(paired_difference(before.reward, after.reward), theirs, objections)
    shutil.rmtree(out / "adapter", ignore_errors=True)
    shutil.copytree(tuned / "adapter" if verdict.accepted else old, out / "adapter")
    record = {
        "verdict": asdict(verdict) | {"hacked": verdict.hacked},
        "round": tuned.name,
        "objections": objections,
        "limits": asdict(limits),
        "before": vars(before) | {"judges": judged[0]},
        "after": vars(after) | {"judges": judged[1]},
        "judged by": "Chordino, madmom, essentia; of players' notes basic-pitch, ADTLib",
    }
    (out / "report.json").write_text(json.dumps(record, indent=1, allow_nan=False), encoding="utf-8")
    print(verdict_text(verdict, tuned.name))
    return verdict


def verdict_text(verdict: TuningVerdict, name: str) -> str:
    """The verdict in a line; in red, for a terminal, where the tuned adapter is refused."""
    text = f"A's reward {_points(verdict.reward)}, the judges' score {_points(verdict.judges)}: {verdict.reason}"
    if verdict.accepted:
        return f"{text}; adapter/ is that of {name}"
    return f"{RED}{text}; adapter/ is the old one, the tuned one stays in {name}/adapter{PLAIN}"


def _points(mean: Mean | None) -> str:
    if mean is None:
        return "unknown"
    return f"{100 * mean.mean:+.1f} ({100 * mean.low:+.1f} to {100 * mean.high:+.1f}) points"
