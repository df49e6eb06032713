"""People's verdicts on pairs of takes as a data set to tune an adapter on: their sounds as latents, who won."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from musetune.audio import load_audio
from musetune.datasets.clips import cut
from musetune.datasets.latent_dataset import Clip, DatasetWriter, TextEmbedding
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.datasets.preference_set import PreferencePair, write_preferences
from musetune.datasets.slicing import SAMPLE_RATE
from musetune.evaluation.preferences import Judge, PairBatch, Verdict, read_verdicts
from musetune.symbols import LeadSheet
from musetune.symbols.json_values import JsonObject

SLACK_S = 0.05  # by which a sound or a sheet may be shorter than a clip, as in `prepare`


class VerdictCounts(NamedTuple):
    """What became of a batch's verdicts: verdicts read, pairs made, said equal or both bad, without a lead sheet, with
    a sound that is shorter than a clip; and lines of the file that recognisers wrote, which are no people.
    """

    verdicts: int
    pairs: int
    undecided: int
    without_sheet: int
    too_short: int
    by_recognisers: int


def take_verdicts(batch: str | Path, folder: str | Path, encoder: LatentEncoder, seconds: float) -> VerdictCounts:
    """Make a data set of the takes that people preferred one to another.

    Each judge counts once for each pair, by the first verdict; "equal" and "both bad" teach nothing. The first
    `seconds` of each sound are taken.

    Args:
        batch: The folder of pairs and verdicts (`musetune.evaluation.preferences`).
        folder: Of the data set; gets preferences.json.
        encoder: Makes latents of the sounds and embeddings of the prompts.
        seconds: Length of the encoder's clips.

    Returns:
        What became of the verdicts.

    Raises:
        ValueError: There is no verdict that one can learn from; the message says why.
    """
    source = PairBatch(batch)
    first: dict[tuple[Judge, str], Verdict] = {}
    said = list(read_verdicts(source.preferences))
    for verdict in said:
        if verdict.judge.kind == "person":
            first.setdefault((verdict.judge, verdict.pair), verdict)
    by_recognisers = sum(verdict.judge.kind != "person" for verdict in said)
    decided = [verdict for verdict in first.values() if verdict.winner is not None]
    pairs: list[PreferencePair] = []
    fate: Counter[str] = Counter()
    with DatasetWriter(folder, encoder.info) as writer:
        known = set(writer.done)
        for verdict in decided:
            sheet = sheet_of(verdict, source.folder)
            if sheet is None or sheet.duration_s < seconds - SLACK_S:
                fate["without_sheet"] += 1
                continue
            ids = [take_id(side) for side in (verdict.winner, verdict.loser)]
            for id, side in zip(ids, (verdict.winner, verdict.loser), strict=True):
                if id not in known and (clip := _encoded(source.folder, side, id, verdict, sheet, encoder, seconds)):
                    writer.add(*clip)
                    known.add(id)
            if known.issuperset(ids):
                pairs.append(PreferencePair(ids[0], ids[1]))
            else:
                fate["too_short"] += 1
    undecided = len(first) - len(decided)
    counts = VerdictCounts(len(first), len(pairs), undecided, fate["without_sheet"], fate["too_short"], by_recognisers)
    if not pairs:
        raise ValueError(
            f"{source.preferences} holds nothing to learn from: {counts.verdicts} verdicts, of which "
            f"{counts.undecided} say equal or both bad, {counts.without_sheet} have no lead sheet of {seconds:g} s and "
            f"{counts.too_short} a shorter sound; {counts.by_recognisers} more are recognisers'. Judge more pairs, or "
            "give fewer seconds"
        )
    won, heard = (Counter(ids) for ids in ((p.winner for p in pairs), (i for p in pairs for i in (p.winner, p.loser))))
    judges = sorted({verdict.judge.name for verdict in decided})
    about = {"judges": judges, "batch": source.folder.name, "verdicts": counts._asdict()}
    write_preferences(folder, "person", pairs, {id: won[id] / times for id, times in heard.items()}, about)
    return counts


def take_id(side: JsonObject | None) -> str:
    """What a take is called in the data set: by its sound."""
    assert side is not None
    return str(side["sha256"])[:20]


def sheet_of(verdict: Verdict, folder: Path) -> LeadSheet | None:
    """The lead sheet that both takes answer, else the winner's own chart; None where there is neither."""
    request = (verdict.request or {}).get("sheet")
    if request:
        return LeadSheet.from_json(request)
    chart = (verdict.winner or {}).get("chart")
    return LeadSheet.load(folder / chart) if chart else None


def _encoded(
    folder: Path,
    side: JsonObject | None,
    id: str,
    verdict: Verdict,
    sheet: LeadSheet,
    encoder: LatentEncoder,
    seconds: float,
) -> tuple[list[Clip], Tensor, dict[str, TextEmbedding]] | None:
    """What a writer adds of one take; None where its sound is shorter than a clip."""
    assert side is not None
    wave, _ = load_audio(folder / side["audio"], SAMPLE_RATE, mono=True)
    if len(wave) < (seconds - SLACK_S) * SAMPLE_RATE:
        return None
    wave = cut(wave, SAMPLE_RATE, 0.0, seconds)
    prompt = str((verdict.request or {}).get("prompt", ""))
    sheet = sheet.crop(0.0, min(seconds, sheet.duration_s))
    clip = Clip(
        id, id, str(side["sha256"]), 0.0, seconds, prompt, sheet.to_json(), sheet.genre, provenance=side["origin"]
    )
    latents = encoder.latents(np.asarray(wave[None], np.float32))
    return [clip], latents, {text: encoder.text(text) for text in ("", prompt)}
