"""People's verdicts on pairs of takes as a data set to tune an adapter on: their sounds as latents, who won."""

from __future__ import annotations

import math
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
    """What became of a batch's verdicts: verdicts read, verdicts used, said equal or both bad, without a lead sheet,
    with a sound that is shorter than a clip; lines of the file that recognisers wrote, which are no people; and pairs
    of clips made, several of a verdict on longer sounds.
    """

    verdicts: int
    used: int
    undecided: int
    without_sheet: int
    too_short: int
    by_recognisers: int
    pairs: int


def take_verdicts(batch: str | Path, folder: str | Path, encoder: LatentEncoder, seconds: float) -> VerdictCounts:
    """Make a data set of the takes that people preferred one to another.

    Each judge counts once for each pair, by the first verdict; "equal" and "both bad" teach nothing. Of each sound all
    is taken that was heard, in clips that may overlap (`windows`): a verdict on the end teaches the end.

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
    used, fate = 0, Counter[str]()
    with DatasetWriter(folder, encoder.info) as writer:
        known = set(writer.done)
        for verdict in decided:
            sheet = sheet_of(verdict, source.folder)
            if sheet is None or sheet.duration_s < seconds - SLACK_S:
                fate["without_sheet"] += 1
                continue
            better, worse = sounds = [Sound.load(source.folder, side) for side in (verdict.winner, verdict.loser)]
            length = min(sheet.duration_s, heard_length(verdict), *(sound.seconds for sound in sounds))
            if min(sound.seconds for sound in sounds) < seconds - SLACK_S:
                fate["too_short"] += 1
                continue
            used += 1
            for start in windows(length, seconds):
                for sound in sounds:
                    if (id := sound.clip_id(start)) not in known:
                        writer.add(*_encoded(sound, start, verdict, sheet, encoder, seconds))
                        known.add(id)
                pairs.append(PreferencePair(better.clip_id(start), worse.clip_id(start)))
    undecided = len(first) - len(decided)
    counts = VerdictCounts(
        len(first), used, undecided, fate["without_sheet"], fate["too_short"], by_recognisers, len(pairs)
    )
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


class Sound(NamedTuple):
    """A take as it was judged: mono samples (samples,) at `SAMPLE_RATE`, the hash of its file, where it comes from."""

    wave: np.ndarray
    sha256: str
    origin: JsonObject

    @classmethod
    def load(cls, folder: Path, side: JsonObject | None) -> Sound:
        """The sound of a verdict's side."""
        assert side is not None
        wave, _ = load_audio(folder / side["audio"], SAMPLE_RATE, mono=True)
        return cls(np.asarray(wave, np.float32), str(side["sha256"]), side["origin"])

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.wave) / SAMPLE_RATE

    def clip_id(self, start_s: float) -> str:
        """What the clip that begins at `start_s` is called in the data set: by the sound, and by its beginning."""
        return self.sha256[:20] + (f"@{start_s:.2f}" if start_s else "")


def windows(length_s: float, seconds: float) -> list[float]:
    """Beginnings of as few clips as cover a sound, evenly spread, the first at 0 and the last at its end.

    Args:
        length_s: Of the sound. One that is shorter than a clip has one all the same.
        seconds: Of a clip.

    Example:
        >>> windows(5.12, 5.12), windows(8.0, 5.12), windows(10.24, 5.12)
        ([0.0], [0.0, 2.88], [0.0, 5.12])
    """
    count = max(1, math.ceil((length_s - SLACK_S) / seconds))
    if count == 1:
        return [0.0]
    step = (length_s - seconds) / (count - 1)
    return [round(number * step, 2) for number in range(count)]


def heard_length(verdict: Verdict) -> float:
    """Seconds up to which both sounds can have been heard; infinite where nobody counted."""
    return math.inf if verdict.heard_s is None else min(verdict.heard_s)


def sheet_of(verdict: Verdict, folder: Path) -> LeadSheet | None:
    """The lead sheet that both takes answer, else the winner's own chart; None where there is neither."""
    request = (verdict.request or {}).get("sheet")
    if request:
        return LeadSheet.from_json(request)
    chart = (verdict.winner or {}).get("chart")
    return LeadSheet.load(folder / chart) if chart else None


def _encoded(
    sound: Sound, start: float, verdict: Verdict, sheet: LeadSheet, encoder: LatentEncoder, seconds: float
) -> tuple[list[Clip], Tensor, dict[str, TextEmbedding]]:
    """What a writer adds of the clip of a sound that begins at `start` seconds."""
    wave = cut(sound.wave, SAMPLE_RATE, start, seconds)
    prompt = str((verdict.request or {}).get("prompt", ""))
    sheet = sheet.crop(start, min(start + seconds, sheet.duration_s))
    clip = Clip(
        sound.clip_id(start),
        sound.clip_id(start),
        sound.sha256,
        start,
        seconds,
        prompt,
        sheet.to_json(),
        sheet.genre,
        provenance=sound.origin,
    )
    latents = encoder.latents(np.asarray(wave[None], np.float32))
    return [clip], latents, {text: encoder.text(text) for text in ("", prompt)}
