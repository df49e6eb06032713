"""Takes for recognisers to choose among: N requests, K candidates each from one policy, scored by our rewards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from musetune.datasets.latent_dataset import Clip, DatasetWriter, LatentDataset
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.evaluation.audio_similarity import clap_similarity
from musetune.evaluation.rewards import (
    RequestedTake,
    Reward,
    measure_rewards,
)
from musetune.hub.locate import find_adapter, is_lora
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.planning.rules.orchestrate import orchestrate
from musetune.suites.pairs import PROMPTS
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.training.seeding import integer

LONGER = (1.5, 2.0, 3.0)  # times the clip: plans fill whole phrases, and are cut


@dataclass(frozen=True)
class DrawSettings:
    """How takes are drawn.

    Attributes:
        steps: Denoising steps.
        guidance_scale: How hard words are pushed; None: as every call does.
        music_guidance_scale: How hard the music is pushed; None: as every call does.

    Example:
        >>> DrawSettings(20, guidance_scale=5.0).music_guidance_scale is None
        True
    """

    steps: int
    guidance_scale: float | None = None
    music_guidance_scale: float | None = None


@dataclass(frozen=True)
class CandidateRequest:
    """What all candidates of a request answer; its name is unique in a data set. arrangement None: the sheet alone."""

    name: str
    prompt: str
    sheet: LeadSheet
    arrangement: Arrangement | None = None


def plan_candidate_requests(
    count: int, seconds: float, seed: int, *, prompts: Sequence[str] | None = None, notes_share: float = 0.0
) -> Iterator[CandidateRequest]:
    """Requests of one length, their lead sheets written by the planner, the prompts in turn.

    Args:
        count: How many.
        seconds: Length of each, to the sample.
        seed: Of the first; those that follow have the seeds that follow. Other seeds give other songs.
        prompts: Words; None: six genres.
        notes_share: Share of the requests, 0…1, that come with players' notes by rule.

    Raises:
        ValueError: `notes_share` is outside that range, or the planner writes nothing as long as `seconds`.
    """
    from musetune.planning.planner.planner import plan

    if not 0 <= notes_share <= 1:
        raise ValueError(f"notes_share={notes_share} is outside 0–1")
    for number, prompt in zip(range(count), itertools.cycle(prompts or PROMPTS)):
        plans = (plan(prompt, duration_seconds=longer * seconds, seed=seed + number) for longer in LONGER)
        sheet = next((sheet for sheet in plans if sheet.duration_s >= seconds), None)
        if sheet is None:
            raise ValueError(f"the planner writes no {seconds:g} s for {prompt!r} at seed {seed + number}")
        sheet = sheet.crop(0.0, seconds)
        with_notes = int((number + 1) * notes_share) > int(number * notes_share)
        notes = orchestrate(sheet, seed=seed + number).arrangement if with_notes else None
        yield CandidateRequest(f"request-{seed + number}", prompt, sheet, notes)


def check_policy(adapter: str, theory: str | None) -> None:
    """Raise ValueError for an adapter that is not there, and for a LoRA without what it lies on."""
    if is_lora(find_adapter(adapter)) and theory is None:
        raise ValueError(f"adapter={adapter} is a LoRA: give the theory adapter that it lies on, theory_adapter=…")


def load_policy(encoder: LatentEncoder, adapter: str, theory: str | None = None) -> MuseTunePipeline:
    """The encoder's pipeline with an adapter to draw from: `adapter`, on top of `theory` where it is a LoRA of it."""
    if theory is not None:
        encoder.pipe.load_adapter(theory)
    encoder.pipe.load_adapter(adapter)
    if theory is None and encoder.pipe.loras is not None:
        encoder.pipe.set_adapter(None)  # those of an earlier round
    encoder.pipe.set_progress_bar_config(disable=True)
    return encoder.pipe


def draw_takes(
    pipe: MuseTunePipeline, request: CandidateRequest, seeds: Sequence[int], how: DrawSettings
) -> tuple[Tensor, list[RequestedTake]]:
    """Latents (K, channels, rows, cols) and takes of one request, one a seed, in the seeds' order."""
    output = pipe(
        request.prompt,
        lead_sheet=request.sheet,
        arrangement=request.arrangement,
        num_inference_steps=how.steps,
        guidance_scale=how.guidance_scale,
        music_guidance_scale=how.music_guidance_scale,
        num_waveforms_per_prompt=len(seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        output_type="latent",
    )
    latents: Tensor = output.audios.float().cpu()
    rate = int(pipe.vocoder.config.sampling_rate)
    waves = decode_latents(pipe, latents)[:, : round(request.sheet.duration_s * rate)]
    words = clap_similarity(pipe, [request.prompt] * len(seeds), list(waves), rate)
    return latents, [
        RequestedTake(wave, rate, request.sheet, request.prompt, request.arrangement, float(cosine))
        for wave, cosine in zip(waves, words, strict=True)
    ]


@torch.no_grad()
def decode_latents(pipe: MuseTunePipeline, latents: Tensor) -> np.ndarray:
    """Waves (K, samples) of latents (K, channels, rows, cols), scaled down where they would clip."""
    mel = pipe.vae.decode(latents.to(pipe.device, pipe.vae.dtype) / pipe.vae.config.scaling_factor).sample
    audio = pipe.mel_spectrogram_to_waveform(mel).float().cpu().numpy()
    return np.asarray(audio / np.maximum(1.0, np.abs(audio).max(axis=1, keepdims=True) / 0.99))


def draw_candidates(
    encoder: LatentEncoder,
    requests: Sequence[CandidateRequest],
    folder: Path,
    rewards: Mapping[str, Reward],
    *,
    candidates: int,
    seed: int,
    how: DrawSettings,
    about: Mapping[str, object],
) -> LatentDataset:
    """Draw and score all candidates into a data set; those that are there are passed over, so a killed run goes on.

    Args:
        encoder: Whose pipeline is the policy.
        requests: What is played; all as long as the encoder's clips.
        folder: The data set's.
        rewards: What is measured of every take.
        candidates: K, a request.
        seed: Of the run: the seeds of the candidates follow from it and from the request's name.
        how: They are drawn.
        about: The policy, for each clip's provenance.
    """
    with (
        DatasetWriter(folder, encoder.info, shard_size=candidates) as writer,  # a shard a request: a kill costs one
        tqdm(total=len(requests) * candidates, unit="take", desc=folder.name) as progress,
    ):
        for request in requests:
            if request.name not in writer.done:
                seeds = candidate_seeds(request.name, candidates, seed)
                latents, takes = draw_takes(encoder.pipe, request, seeds, how)
                latents = latents[:, :, : encoder.info.rows]  # a sheet may end within the row that follows
                seconds = encoder.info.rows * encoder.info.row_s
                clips = [
                    Clip(
                        f"{request.name}#{place}",
                        request.name,
                        "",
                        0.0,
                        seconds,
                        request.prompt,
                        request.sheet.to_json(),
                        genre=request.sheet.genre,
                        provenance={**about, "seed": one, "rewards": measure_rewards(take, rewards)},
                        arrangement=None if request.arrangement is None else request.arrangement.to_json(),
                    )
                    for place, (one, take) in enumerate(zip(seeds, takes, strict=True))
                ]
                writer.add(clips, latents, {text: encoder.text(text) for text in ("", request.prompt)})
            progress.update(candidates)
    return LatentDataset(folder)


def candidate_seeds(request: str, count: int, seed: int) -> list[int]:
    """Seeds of a request's candidates: other requests, and so other rounds, begin with other noise.

    Args:
        request: Its name.
        count: How many.
        seed: Of the run.

    Example:
        >>> candidate_seeds("request-1", 2, 0) != candidate_seeds("request-2", 2, 0)
        True
    """
    return [integer(seed, number, request) % 2**31 for number in range(count)]


def score_again(
    encoder: LatentEncoder, source: LatentDataset, folder: Path, rewards: Mapping[str, Reward]
) -> LatentDataset:
    """Measure other rewards of takes that were drawn before, into a data set of their own; nothing is drawn.

    Args:
        encoder: Whose pipeline decodes the takes.
        source: The takes, as `draw_candidates` left them.
        folder: The new data set's.
        rewards: What is measured of every take.
    """
    rate = int(encoder.pipe.vocoder.config.sampling_rate)
    with DatasetWriter(folder, source.info) as writer:
        for place, clip in enumerate(tqdm(source.clips, unit="take", desc=folder.name)):
            if clip.id in writer.done:
                continue
            sheet, latents = LeadSheet.from_json(clip.lead_sheet), source.latents[place : place + 1]
            wave = decode_latents(encoder.pipe, latents.float())[0, : round(clip.duration_s * rate)]
            notes = None if clip.arrangement is None else Arrangement.from_json(clip.arrangement, sheet.grid)
            cosine = float(clap_similarity(encoder.pipe, [clip.text], [wave], rate)[0])
            values = measure_rewards(RequestedTake(wave, rate, sheet, clip.text, notes, cosine), rewards)
            scored = replace(
                clip, file=clip.id, provenance={**clip.provenance, "request": request_of(clip), "rewards": values}
            )
            writer.add([scored], latents, {text: source.texts[text] for text in ("", clip.text)})
    return LatentDataset(folder)


def request_of(clip: Clip) -> str:
    """Name of the request that a take answers."""
    return str(clip.provenance.get("request", clip.file))
