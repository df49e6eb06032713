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
from musetune.training.stroke_network import DRUMS, PLACES, StrokeNetwork, stroke_labels, train_stroke_network

STEPS = 900
HELD_OUT = 10  # every tenth rendering says how well the network hears


def learn_to_hear_strokes(
    encoder: LatentEncoder, requests: Sequence[CandidateRequest], path: Path, seed: int, soundfont: str | None = None
) -> None:
    """Train the network on renderings and write it to a file; nothing where it is there.

    Args:
        encoder: Makes latents of the renderings.
        requests: With players' notes, at least `HELD_OUT`; of another seed than what the policy is tuned on.
        path: Of the weights, as safetensors.
        seed: Of weights and batches.
        soundfont: Of the renderings; None: what is found.
    """
    if path.exists():
        return
    latents, labels = render_strokes(encoder, requests, soundfont)
    known = torch.arange(len(latents)) % HELD_OUT > 0
    network = train_stroke_network(latents[known], labels[known], steps=STEPS, seed=seed)
    heard = hearing(network, latents[~known], labels[~known], encoder.info.row_s)
    told = ", ".join(f"{name} {value:.2f}" for name, value in heard.items())
    print(f"strokes heard in {int((~known).sum())} renderings that it did not learn from, F: {told}")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    save_file(network.state_dict(), scratch)
    scratch.replace(path)


def load_stroke_network(path: Path, channels: int, cols: int) -> StrokeNetwork:
    """What `learn_to_hear_strokes` wrote, frozen."""
    network = StrokeNetwork(channels, cols)
    network.load_state_dict(load_file(path))
    return network.eval().requires_grad_(False)


def render_strokes(
    encoder: LatentEncoder, requests: Sequence[CandidateRequest], soundfont: str | None = None
) -> tuple[Tensor, Tensor]:
    """Latents (n, channels, rows, cols) of the requests' notes as a synthesiser plays them, and their strokes' labels.

    Raises:
        ValueError: A request has no notes.
    """
    latents, labels = [], []
    seconds = encoder.rows * encoder.info.row_s
    samples = round(seconds * SAMPLE_RATE)
    for request in tqdm(requests, desc="renderings", unit="clip"):
        if request.arrangement is None:
            raise ValueError(f"{request.name} has no players' notes: plan it with notes_share=1")
        midi = request.arrangement.to_pretty_midi()
        wave = synthesize(midi, SAMPLE_RATE, duration_s=seconds, soundfont=soundfont)[:samples]
        wave = np.pad(wave, (0, samples - len(wave)))
        latents.append(encoder.latents(wave[None].astype(np.float32))[0, :, : encoder.rows])
        strokes = strokes_of(request.arrangement, seconds)
        labels.append(stroke_labels(strokes, encoder.rows, encoder.info.row_s))
    return torch.stack(latents), torch.stack(labels)


@torch.no_grad()
def hearing(network: StrokeNetwork, latents: Tensor, labels: Tensor, row_s: float) -> dict[str, float]:
    """F-measure of each drum's strokes within 50 ms, averaged over the clips that have some."""
    found: dict[str, list[float]] = {name: [] for name in DRUMS}
    place_s = row_s / PLACES
    for logits, asked in zip(network(latents.float()), labels):
        for name, heard, struck in zip(DRUMS, logits, asked):
            before, after = heard.roll(1), heard.roll(-1)
            peaks = (heard > 0) & (heard >= before) & (heard > after)
            value = onset_f(*(one.nonzero().flatten().numpy() * place_s for one in (struck == 1, peaks)))
            found[name] += [] if value is None else [value]
    return {name: float(np.mean(values)) if values else 0.0 for name, values in found.items()}
