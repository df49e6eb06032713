"""Before and after: what an adapter changed, on songs that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import save_audio
from musetune.datasets import LatentDataset
from musetune.datasets.latent_dataset import Clip, TextEmbedding
from musetune.datasets.tokens import TokenTable, load_tokens
from musetune.display.evaluation_charts import draw_chart
from musetune.evaluation import MEASURES
from musetune.evaluation.audio_similarity import timbre
from musetune.evaluation.bootstrap import bootstrap_mean
from musetune.evaluation.reports import report
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import LeadSheet
from musetune.symbols.json_values import JsonObject
from musetune.training import seeding
from musetune.training.denoiser import Denoiser
from musetune.training.loss import add_noise, diffusion_loss, snr, target

BEFORE, AFTER = "before", "after"
DRAWS = 4  # noises and timesteps a clip
LOSS_CLIPS = 16  # of each side at most


@dataclass(frozen=True)
class LossChange:
    """The diffusion loss of some clips without and with the adapter, at the same noise; less is better."""

    before: float
    after: float

    @property
    def change(self) -> float:
        """Relative, below 0 where the adapter predicts better."""
        return self.after / self.before - 1


def load_both(base: str, theory: str, adapter: Path, name: str, device: str) -> MuseTunePipeline:
    """A pipeline with the adapter that lies beneath, and the trained one on it, silent for now."""
    pipe = MuseTunePipeline.from_pretrained(base, adapter=theory)
    pipe.load_adapter(adapter, name=name)
    pipe.set_adapter(None)
    pipe.to(device).set_progress_bar_config(disable=True)
    return pipe


def play_both(
    pipe: MuseTunePipeline,
    name: str,
    clips: Sequence[Clip],
    folder: Path,
    originals: Sequence[np.ndarray],
    songs: Sequence[np.ndarray],
    rate: int,
) -> list[JsonObject]:
    """Generate each clip's lead sheet without and with the adapter, at one seed, and score both; what is there stays.

    Args:
        pipe: As `load_both` gives it.
        name: Of the adapter in it.
        clips: Whose lead sheets and prompts are played.
        folder: Gets n-before.flac, n-after.flac, n-original.flac, n-before.png, n-after.png and n.json.
        originals: The recording of each clip, (samples,).
        songs: Recordings of other clips, which say how the songs sound.
        rate: Hertz of these and of the originals.

    Returns:
        A record of each clip: `prompt`, `seed`, `file`, `lead_sheet`, and under `before` and `after` what
        `Report.to_json` says, with `timbre_distance` to `songs`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    centre = mean_timbre(songs, rate)
    for number, (clip, original) in enumerate(
        tqdm(list(zip(clips, originals, strict=True)), unit="sheet", desc="before and after"), 1
    ):
        path = folder / f"{number}.json"
        if not path.exists():
            save_audio(folder / f"{number}-original.flac", original, rate)
            record: JsonObject = {
                "prompt": clip.text,
                "seed": number,
                "file": clip.file,
                "offset_s": clip.offset_s,
                "lead_sheet": clip.lead_sheet,
            }
            for side, mix in ((BEFORE, None), (AFTER, name)):
                record[side] = _play(pipe, mix, clip, number, folder / f"{number}-{side}", centre)
            path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
        records.append(json.loads(path.read_text(encoding="utf-8")))
    pipe.set_adapter(None)
    return records


def _play(pipe: MuseTunePipeline, mix: str | None, clip: Clip, seed: int, stem: Path, centre: np.ndarray) -> JsonObject:
    """Generate one side of one clip, write audio and chart, return its report."""
    pipe.set_adapter(mix)
    sheet = LeadSheet.from_json(clip.lead_sheet)
    output = pipe(
        clip.text,
        lead_sheet=sheet,
        duration_seconds=clip.duration_s,
        generator=torch.Generator().manual_seed(seed),
    )
    wave, rate = output.audios[0], output.sampling_rate
    save_audio(stem.with_suffix(".flac"), wave, rate)
    judged = report(wave, rate, sheet)
    draw_chart(stem.with_suffix(".png"), wave, rate, sheet, judged.estimate, title=clip.text)
    distance = np.linalg.norm(mean_timbre([wave], rate) - centre)
    return judged.to_json() | {"timbre_distance": float(distance)}


def mean_timbre(waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
    """The mean `timbre` of recordings (samples,) at `rate` Hz: (40,). It sees spectra, neither pitch nor rhythm."""
    centre: np.ndarray = np.concatenate([timbre(wave, rate) for wave in waves]).mean(axis=0)
    return centre


def measure_losses(
    pipe: MuseTunePipeline, name: str, data: LatentDataset, sides: Mapping[str, Sequence[int]]
) -> dict[str, LossChange]:
    """The diffusion loss on clips of both sides of the split, without and with the adapter.

    Args:
        pipe: As `load_both` gives it.
        name: Of the adapter in it.
        data: Holds the clips.
        sides: Indices of clips, by name of the side, such as "held out" and "trained"; of many, 16 spread evenly count.

    Returns:
        Mean losses by side. Noise and timesteps follow from the clips' names, so that a second look says the same.
    """
    adapter = pipe.adapter
    if adapter is None:
        raise ValueError("the pipeline has no theory adapter: load_both gives one that has")
    tokens = load_tokens(data, adapter.config.frames_per_row, adapter.config.event_s, write=False, quiet=True)
    model = Denoiser(pipe.adapter_manager.unet, adapter, data.info.row_s).eval()
    losses: dict[str, dict[str, float]] = {side: {} for side in sides}
    for when, mix in ((BEFORE, None), (AFTER, name)):
        pipe.set_adapter(mix)
        with torch.no_grad(), pipe.adapter_manager.playing(1.0, music=True):
            for side, indices in sides.items():
                values = [_loss(pipe, model, data, tokens, index) for index in spread(indices, LOSS_CLIPS)]
                losses[side][when] = float(np.mean(values))
    pipe.set_adapter(None)
    return {side: LossChange(**both) for side, both in losses.items()}


def _loss(pipe: MuseTunePipeline, model: Denoiser, data: LatentDataset, tokens: TokenTable, index: int) -> float:
    """Mean loss of one clip at `DRAWS` noises and timesteps, which follow from its name."""
    clip, device = data.clips[index], pipe.device
    alphas, kind = pipe.scheduler.alphas_cumprod.to(device), pipe.scheduler.config.prediction_type
    generators = [seeding.generator(0, 0, f"{clip.id} {draw}") for draw in range(DRAWS)]
    latents = data.latents[[index] * DRAWS].float().to(device)
    noise = seeding.noise(generators, latents.shape[1:]).to(device)
    t = seeding.timesteps(generators, len(alphas), "stratified").to(device)
    music, words = tokens.batch([index] * DRAWS).to(device), data.collate_texts([clip.text] * DRAWS)
    text = TextEmbedding(
        words.prompt_embeds.to(device), words.attention_mask.to(device), words.generated_prompt_embeds.to(device)
    )
    predicted = model(add_noise(latents, noise, alphas, t), t, music, text)
    wanted = target(latents, noise, alphas, t, kind)
    return float(diffusion_loss(predicted, wanted, snr(alphas, t), kind, None).mean())


def spread(indices: Sequence[int], count: int) -> list[int]:
    """At most `count` of some indices, evenly spread over them."""
    if len(indices) <= count:
        return list(indices)
    return [indices[round(k * (len(indices) - 1) / max(1, count - 1))] for k in range(count)]


def adherence_table(records: Sequence[JsonObject]) -> JsonObject:
    """`table` of an adapter's results.json: each measure's mean and 95 % interval, without and with the adapter."""
    sides = {"theory alone": BEFORE, "adapter": AFTER}
    return {
        column: {
            measure: None
            if (mean := bootstrap_mean([r[side]["scores"][measure] for r in records])) is None
            else asdict(mean)
            for measure in MEASURES
        }
        for column, side in sides.items()
    }


def explain(records: Sequence[JsonObject], losses: Mapping[str, LossChange]) -> list[str]:
    """The figures in sentences, each with what it means.

    Args:
        records: What `play_both` gave.
        losses: What `measure_losses` gave, with the sides "held out" and "trained".
    """
    held, trained = losses["held out"], losses["trained"]
    verdict = (
        "it got worse on music that it does not know: take fewer steps, or more songs"
        if held.change > 0
        else "more than half of the gain is knowledge of these very songs: fewer steps or more songs may sound freer"
        if trained.change < 2 * held.change
        else "what it learned holds for music that it has not heard"
    )
    obeyed = {side: float(np.mean([r[side]["overall"] for r in records])) for side in (BEFORE, AFTER)}
    lost = obeyed[BEFORE] - obeyed[AFTER]
    timbres = {side: float(np.mean([r[side]["timbre_distance"] for r in records])) for side in (BEFORE, AFTER)}
    nearer = 1 - timbres[AFTER] / timbres[BEFORE]
    return [
        f"Prediction (diffusion loss, less is better): {_percent(held.change)} on held-out music, "
        f"{_percent(trained.change)} on the songs that it was trained on; {verdict}.",
        f"Obedience (chords, beats, bar lines and key as asked, heard by MuseTune's own analyser): "
        f"{100 * obeyed[BEFORE]:.0f} % before, {100 * obeyed[AFTER]:.0f} % after; "
        + (
            "the adapter costs obedience: try a weight of 0.5 to 0.75"
            if lost > 0.05
            else "the adapter costs no obedience that so few sheets could show"
        )
        + ".",
        f"Sound (distance of the timbre to that of your songs on average): {timbres[BEFORE]:.0f} before, "
        f"{timbres[AFTER]:.0f} after; "
        + (
            f"{100 * nearer:.0f} % nearer to your songs"
            if nearer > 0
            else "no nearer to your songs: are they of one kind? If so, train longer"
        )
        + ".",
        f"{len(records)} lead sheet{'s' * (len(records) > 1)} can show a direction, but measure nothing: listen.",
    ]


def _percent(change: float) -> str:
    return f"{100 * change:+.1f} %".replace("-", "−")
