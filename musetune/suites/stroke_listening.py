"""The network that hears strokes, trained on renderings of planned requests, and kept in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from musetune.audio import synthesize
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.datasets.slicing import SAMPLE_RATE
from musetune.evaluation.notes import onset_f, strokes_of
from musetune.suites.candidates import CandidateRequest
from musetune.training.stroke_network import DRUMS, StrokeNetwork, stroke_labels, train_stroke_network

STEPS = 700
MOST_NOISE = 0.4  # of renderings' latents, in their own units: a denoiser's guesses are not clean either
HELD_OUT = 11  # every eleventh rendering, so one of each genre in turn, says how well the network hears


def learn_to_hear_strokes(
    encoder: LatentEncoder, requests: Sequence[CandidateRequest], path: Path, seed: int, soundfont: str | None = None
) -> None:
    """Train the network on renderings and write it to a file.

    Args:
        encoder: Makes latents of the renderings, and spectrograms of these.
        requests: With players' notes, at least `HELD_OUT`; of another seed than what the policy is tuned on.
        path: Of the weights, as safetensors.
        seed: Of weights and batches.
        soundfont: Of the renderings; None: what is found.
    """
    mel, labels, frame_s = render_strokes(encoder, requests, seed, soundfont)
    known = torch.arange(len(mel)) % HELD_OUT > 0
    network = train_stroke_network(mel[known], labels[known], steps=STEPS, seed=seed)
    heard = hearing(network, mel[~known], labels[~known], frame_s)
    told = ", ".join(f"{name} {value:.2f}" for name, value in heard.items())
    print(f"strokes heard in {int((~known).sum())} renderings that it did not learn from, F: {told}")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    save_file(network.state_dict(), scratch)
    scratch.replace(path)


def load_stroke_network(path: Path) -> StrokeNetwork:
    """What `learn_to_hear_strokes` wrote, frozen."""
    weights = load_file(path)
    network = StrokeNetwork(weights["times.0.weight"].shape[1] // 2)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def render_strokes(
    encoder: LatentEncoder, requests: Sequence[CandidateRequest], seed: int, soundfont: str | None = None
) -> tuple[Tensor, Tensor, float]:
    """What the autoencoder makes of the requests' notes as a synthesiser plays them, and where the strokes are.

    Returns:
        Mel spectrograms (n, 1, frames, bins) of latents with up to `MOST_NOISE`, in half precision; labels (n, drums,
        frames); seconds of a frame.

    Raises:
        ValueError: A request has no notes.
    """
    generator = torch.Generator().manual_seed(seed)
    info, vae = encoder.info, encoder.pipe.vae
    seconds = encoder.rows * info.row_s
    spectrograms, labels = [], []
    for request in tqdm(requests, desc="renderings", unit="clip"):
        if request.arrangement is None:
            raise ValueError(f"{request.name} has no players' notes: plan it with notes_share=1")
        midi = request.arrangement.to_pretty_midi()
        wave = synthesize(midi, SAMPLE_RATE, duration_s=seconds, soundfont=soundfont)
        latents = encoder.latents(np.asarray(wave, np.float32)[None])
        amount = MOST_NOISE * torch.rand((), generator=generator)
        latents = latents + amount * torch.randn(latents.shape, generator=generator)
        mel = vae.decode(latents.to(vae.device, vae.dtype) / vae.config.scaling_factor).sample[0]
        frames = mel.shape[1]
        spectrograms.append(mel.half().cpu())
        labels.append(stroke_labels(strokes_of(request.arrangement, seconds), frames, seconds / frames))
    return torch.stack(spectrograms), torch.stack(labels), seconds / frames


@torch.no_grad()
def hearing(network: StrokeNetwork, mel: Tensor, labels: Tensor, frame_s: float) -> dict[str, float]:
    """F-measure of each drum's strokes within 50 ms, averaged over the clips that have some."""
    found: dict[str, list[float]] = {name: [] for name in DRUMS}
    for logits, asked in zip(network(mel.float()), labels):
        for name, heard, struck in zip(DRUMS, logits, asked):
            peaks = (heard > 0) & (heard >= heard.roll(1)) & (heard > heard.roll(-1))
            value = onset_f(*(one.nonzero().flatten().numpy() * frame_s for one in (struck == 1, peaks)))
            found[name] += [] if value is None else [value]
    return {name: float(np.mean(values)) if values else 0.0 for name, values in found.items()}
