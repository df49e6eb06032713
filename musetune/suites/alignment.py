"""What a policy does on development sheets, as A hears it: reward, diversity, words and timbre.

Policies are compared on the same takes: each sheet at the same seeds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from musetune.audio import load_audio, save_audio, synthesize
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.evaluation.audio_similarity import clap_similarity, timbre
from musetune.evaluation.diversity import DIVERSITIES, diversity
from musetune.evaluation.guards import PolicyFigures
from musetune.evaluation.rewards import RequestedTake, Reward, measure_rewards, weighted_mean
from musetune.evaluation.whole_files import write_json
from musetune.planning.rules.orchestrate import orchestrate
from musetune.suites.candidates import CandidateRequest, DrawSettings, draw_takes

FIGURES, TIMBRE = "figures.json", "timbre.npz"


def listen_to_policy(
    encoder: LatentEncoder,
    requests: Sequence[CandidateRequest],
    folder: Path,
    rewards: Mapping[str, Reward],
    weights: Mapping[str, float],
    *,
    seeds: Sequence[int],
    how: DrawSettings,
    soundfont: str | None = None,
) -> PolicyFigures:
    """Play each request at each seed and say what A hears; takes that are there already are read.

    Args:
        encoder: Whose pipeline is the policy.
        requests: The development sheets.
        folder: Gets the audio, timbre.npz and, at last, figures.json.
        rewards: Functions of the rewards.
        weights: Their weights.
        seeds: At least two, the same for each policy that is compared.
        how: Takes are drawn.
        soundfont: Of the renderings that the Fréchet distance is to; None: what is found.
    """
    means: dict[str, float] = {}
    spreads: dict[str, dict[str, float]] = {name: {} for name in DIVERSITIES}
    cosines: dict[str, float] = {}
    ours: dict[str, np.ndarray] = {}
    theirs: dict[str, np.ndarray] = {}
    for number, request in enumerate(tqdm(requests, unit="sheet", desc=f"{folder.name} heard")):
        takes = development_takes(encoder, request, folder, seeds, how)
        ours[request.name] = np.concatenate([timbre(take.wave, take.rate) for take in takes])
        real = renderings(request, number, seeds, takes[0].rate, soundfont)
        theirs[request.name] = np.concatenate([timbre(wave, takes[0].rate) for wave in real])
        totals = [weighted_mean(measure_rewards(take, rewards), weights) for take in takes]
        means[request.name] = float(np.mean(totals))
        for name, value in diversity(takes).items():
            spreads[name][request.name] = value
        cosines[request.name] = float(np.mean([take.text_similarity or 0.0 for take in takes]))
    figures = PolicyFigures(means, spreads, cosines, ours, theirs)
    write_figures(folder, figures)
    return figures


def development_takes(
    encoder: LatentEncoder, request: CandidateRequest, folder: Path, seeds: Sequence[int], how: DrawSettings
) -> list[RequestedTake]:
    """The policy's takes of one development sheet; those of a run that was killed are read."""
    paths = [audio_path(folder, request, seed) for seed in seeds]
    if not all(path.exists() for path in paths):
        _, takes = draw_takes(encoder.pipe, request, seeds, how)
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


def renderings(
    request: CandidateRequest, number: int, seeds: Sequence[int], rate: int, soundfont: str | None
) -> Iterator[np.ndarray]:
    """Mono waves (samples,), one a seed, of the request's notes, else of its sheet arranged by rule, by a synthesiser.

    Args:
        request: A development sheet.
        number: Its place among them; the arrangements' seeds follow from it.
        seeds: Of the takes that they are compared with.
        rate: In Hz.
        soundfont: None: what is found.
    """
    for seed in seeds:
        notes = request.arrangement or orchestrate(request.sheet, seed=number + seed).arrangement
        yield synthesize(notes.to_pretty_midi(), rate, duration_s=request.sheet.duration_s, soundfont=soundfont)


def audio_path(folder: Path, request: CandidateRequest, seed: int) -> Path:
    """Where a take of a development sheet lies."""
    return folder / "audio" / f"{request.name}-{seed}.wav"


def write_figures(folder: Path, figures: PolicyFigures) -> None:
    """Write timbre.npz and, at last, figures.json, each whole."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {f"takes/{name}": points for name, points in figures.timbre.items()}
    arrays |= {f"renderings/{name}": points for name, points in figures.renderings.items()}
    scratch = folder / "timbre.tmp.npz"
    arrays = {name: np.asarray(points, np.float32) for name, points in arrays.items()}
    np.savez(scratch, **arrays)
    os.replace(scratch, folder / TIMBRE)
    write_json(folder / FIGURES, figures.summary())


def read_figures(folder: Path) -> PolicyFigures:
    """What `write_figures` wrote."""
    record = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    with np.load(folder / TIMBRE) as arrays:
        sides: dict[str, dict[str, np.ndarray]] = {"takes": {}, "renderings": {}}
        for key in arrays.files:
            side, _, name = key.partition("/")
            sides[side][name] = arrays[key]
    return PolicyFigures(record["reward"], record["diversity"], record["text"], sides["takes"], sides["renderings"])
