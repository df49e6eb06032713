"""Let the rewards choose among takes that were drawn: pairs, and how good each take is among its request's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from musetune.audio import synthesize
from musetune.datasets.latent_dataset import Clip, LatentDataset
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.datasets.preference_set import PreferencePair, write_preferences
from musetune.datasets.slicing import SAMPLE_RATE
from musetune.evaluation.rewards import advantage_scale, advantages, best_and_worst, weighted_mean
from musetune.evaluation.rewards.choice import REALNESS
from musetune.planning.rules.orchestrate import orchestrate
from musetune.suites.candidates import request_of
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.training.realness import realness


def prefer(
    encoder: LatentEncoder,
    data: LatentDataset,
    weights: Mapping[str, float],
    margin: float,
    seed: int,
    soundfont: str | None = None,
    pairs_a_request: int = 1,
    *,
    about: Mapping[str, object] | None = None,
) -> dict[str, float]:
    """Let the rewards choose the best and the worst take of each request; writes the data set's preferences.json.

    Args:
        encoder: For the renderings that the realness classifier learns from; a fresh one is trained on these takes.
        data: Takes with their rewards, as `draw_candidates` left them.
        weights: Of the rewards.
        margin: Pairs whose rewards are no further apart are left out, and requests in which no two takes are.
        seed: Of the renderings and the classifier.
        soundfont: Of the renderings; None: what `musetune.audio.find_soundfont` finds.
        pairs_a_request: At most; of `best_and_worst`.
        about: What else preferences.json shall tell.

    Returns:
        Figures for the log: pairs, requests, the mean reward, the mean of the best, and the mean of each reward.
    """
    values = [dict(clip.provenance["rewards"]) for clip in data.clips]
    if weights.get(REALNESS):
        numbers = {name: n for n, name in enumerate(dict.fromkeys(map(request_of, data.clips)))}
        real = rendered_latents(encoder, data, seed, soundfont)
        asked = [numbers[request_of(clip)] for clip in data.clips]
        for value, real_enough in zip(
            values, realness(data.latents, asked, real, range(len(real)), seed=seed).tolist(), strict=True
        ):
            value[REALNESS] = real_enough
    totals = [weighted_mean(value, weights) for value in values]
    groups: dict[str, list[int]] = {}
    for place, clip in enumerate(data.clips):
        groups.setdefault(request_of(clip), []).append(place)
    unit = advantage_scale([[totals[place] for place in places] for places in groups.values()], margin)
    pairs: list[PreferencePair] = []
    optimality: dict[str, float] = {}
    best: list[float] = []
    for places in groups.values():
        own = [totals[place] for place in places]
        best.append(max(own))
        if max(own) - min(own) > margin:  # else recognisers cannot tell them apart
            optimality |= {data.clips[p].id: float(r) for p, r in zip(places, advantages(own, unit), strict=True)}
        for best_one, worst_one in best_and_worst(own, margin, pairs_a_request):
            first, last = places[best_one], places[worst_one]
            pairs.append(PreferencePair(data.clips[first].id, data.clips[last].id, totals[first] - totals[last]))
    names = sorted({name for value in values for name in value})
    means = {n: float(np.mean([v[n] for v in values if v.get(n) is not None] or [0.0])) for n in names}
    figures = {"requests": float(len(groups)), "pairs": float(len(pairs)), "reward": float(np.mean(totals))}
    figures |= {"best": float(np.mean(best)), **means}
    record = dict(about or {}) | {
        "weights": dict(weights),
        "margin": margin,
        "figures": figures,
        "rewards": {clip.id: value | {"all": total} for clip, value, total in zip(data.clips, values, totals)},
    }
    write_preferences(data.folder, "recogniser", pairs, optimality, record)
    return figures


def rendered_latents(encoder: LatentEncoder, data: LatentDataset, seed: int, soundfont: str | None) -> Tensor:
    """Latents (requests, channels, rows, cols) of one rendering of each request: its notes, else its sheet by rule."""
    firsts: dict[str, Clip] = {}
    for clip in data.clips:
        firsts.setdefault(request_of(clip), clip)
    waves = []
    for number, clip in enumerate(firsts.values()):
        sheet = LeadSheet.from_json(clip.lead_sheet)
        if clip.arrangement is None:
            notes = orchestrate(sheet, seed=seed + number).arrangement
        else:
            notes = Arrangement.from_json(clip.arrangement, sheet.grid)
        waves.append(synthesize(notes.to_pretty_midi(), SAMPLE_RATE, duration_s=clip.duration_s, soundfont=soundfont))
    shortest = min(map(len, waves))
    return encoder.latents(np.stack([wave[:shortest] for wave in waves]).astype(np.float32))
