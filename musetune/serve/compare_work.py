"""What the Compare tab does, without the page: deal out pairs, take verdicts, make further pairs. No gradio here."""

from __future__ import annotations

import math
import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.evaluation.preferences import (
    Comparison,
    Judge,
    PairBatch,
    Side,
    Verdict,
    next_comparison,
    read_verdicts,
    retract,
)
from musetune.serve.errand import Errand
from musetune.serve.remote_pipeline import RemotePipeline
from musetune.serve.work import Order, check_whole, finish_order, generate
from musetune.suites.pairs import PairRequest, add_pair, origin_name, pair_id, take_origin, weights_of
from musetune.symbols import LeadSheet

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

NAME = 40  # characters of a judge's name
OPEN = 32  # pairs that are shown and may still get their verdict
MANY = 20  # pairs that are made at once
ANOTHER_SEED, NO_GENRES = "the same, another seed", "no genre adapter"


@dataclass(frozen=True)
class BlindSide:
    """A take as it is shown: a sound whose name tells nothing, its length in seconds, and its lead sheet."""

    sound: Path
    seconds: float
    sheet: LeadSheet | None


@dataclass(frozen=True)
class DealtPair:
    """A pair that is shown to a judge.

    Attributes:
        token: By which the verdict names it.
        judge: Whom it is shown to.
        comparison: The pair and its takes, with their origins.
        sides: The takes as they are shown, A and B.
        judged: How many pairs of the batch the judge has judged.
        total: How many pairs the batch has.
    """

    token: str
    judge: Judge
    comparison: Comparison
    sides: tuple[BlindSide, BlindSide]
    judged: int
    total: int


class CompareDesk:
    """Deals out the pairs of a batch and takes verdicts on them; every thread may use it.

    Args:
        batch: The pairs, and the file of verdicts.
        folder: Where the sounds that are shown lie, under names that tell nothing.
    """

    def __init__(self, batch: PairBatch, folder: Path) -> None:
        self.batch, self.folder = batch, folder
        self._lock = threading.Lock()
        self._dealt: dict[str, DealtPair] = {}
        self._judged: dict[str, Verdict] = {}

    def deal(self, name: str) -> DealtPair | None:
        """Show a judge the next pair; None where there is none left.

        Raises:
            ValueError: A file of the batch is wrong or missing, or the name is too long.
        """
        judge = person(name)
        pairs, verdicts = self.batch.pairs(), read_verdicts(self.batch.preferences)
        comparison = next_comparison(pairs, verdicts, judge)
        if comparison is None:
            return None
        token = secrets.token_hex(8)
        place = self.folder / token
        place.mkdir(parents=True)
        fallback = comparison.pair.request.get("sheet")
        sides = tuple(_blind(side, place / letter, fallback) for side, letter in zip(comparison[1:3], "AB"))
        judged = len({verdict.pair for verdict in verdicts if verdict.judge == judge} & pairs.keys())
        dealt = DealtPair(token, judge, comparison, (sides[0], sides[1]), judged, len(pairs))
        with self._lock:
            self._dealt[token] = dealt
            while len(self._dealt) > OPEN:
                oldest = next(iter(self._dealt))
                del self._dealt[oldest]
                shutil.rmtree(self.folder / oldest, ignore_errors=True)
        return dealt

    def judge(
        self, token: str, verdict: str, reasons: Sequence[str] = (), heard_s: Sequence[float] | None = None
    ) -> Verdict:
        """Write a verdict on a pair that was dealt; it is on the disk when this returns.

        A second verdict on the same showing changes nothing.

        Args:
            token: Of the pair.
            verdict: One of VERDICTS.
            reasons: Some of REASONS.
            heard_s: How long A and B were heard, seconds; None: unknown.

        Raises:
            ValueError: The pair is not open, or a value is none of those.
        """
        with self._lock:
            if token in self._judged:  # clicked twice
                return self._judged[token]
            dealt = self._dealt.get(token)
            if dealt is None:
                raise ValueError("this pair is no longer open, and nothing was written: judge the one that is shown")
            a, b = (side.to_json(self.batch.folder) for side in dealt.comparison[1:3])
            said = Verdict(
                dealt.comparison.pair.id,
                dealt.judge,
                verdict,
                a,
                b,
                tuple(dict.fromkeys(reasons)),
                dealt.comparison.pair.request,
                _heard(heard_s),
                id=token,
            ).append(self.batch.preferences)
            del self._dealt[token]
            self._judged[token] = said
            if len(self._judged) > OPEN:
                del self._judged[next(iter(self._judged))]
        shutil.rmtree(self.folder / token, ignore_errors=True)
        return said

    def take_back(self, name: str) -> Verdict | None:
        """Take back a judge's last verdict; None where there is none. The pair comes again."""
        judge = person(name)
        own = [verdict for verdict in read_verdicts(self.batch.preferences) if verdict.judge == judge]
        if not own:
            return None
        retract(self.batch.preferences, own[-1])
        return own[-1]


def person(name: str) -> Judge:
    """A judge of a name; without one the listener. Raises ValueError for one that is too long."""
    short = " ".join(str(name or "").split())
    if len(short) > NAME:
        raise ValueError(f"Your name has {len(short)} characters; give up to {NAME}")
    return Judge("person", short or "listener")


def _heard(seconds: Sequence[float] | None) -> tuple[float, float] | None:
    """How long A and B were heard; raises ValueError for what is no two lengths."""
    if seconds is None:
        return None
    try:
        a, b = (round(float(value), 2) for value in seconds)
    except (TypeError, ValueError):
        raise ValueError(f"heard: {str(seconds)[:NAME]!r} is no two lengths in seconds") from None
    if not (0 <= a < math.inf and 0 <= b < math.inf):
        raise ValueError(f"heard: {a} and {b} are no lengths in seconds")
    return a, b


def other_takes(genres: Sequence[str]) -> list[str]:
    """What the second take of a pair can be."""
    return [ANOTHER_SEED, *([NO_GENRES] if genres else []), *(f"genre adapter {name}" for name in genres)]


def make_pairs(
    pipe: MuseTunePipeline | RemotePipeline,
    order: Order,
    other: str,
    count: int,
    batch: PairBatch,
    base: str,
    errand: Errand[int] | None = None,
) -> int:
    """Generate pairs of one order into a batch.

    Args:
        pipe: The pipeline, here or at a service.
        order: What both takes answer; its seed is the first pair's, those that follow have the seeds that follow.
        other: What the second take is, one of `other_takes`.
        count: How many pairs, 1…MANY.
        batch: Where to.
        base: What the base is called.
        errand: Who waits for it: reported to and asked at every step.

    Returns:
        How many pairs are new.

    Raises:
        ValueError: A value is none of those.
        StoppedError: Nobody waits any more; pairs that are whole stay.
    """
    check_whole("Pairs", count, 1, MANY)
    orders = [_two_orders(order, other, n) for n in range(int(count))]
    request = PairRequest(order.prompt, order.sheet())
    new = 0
    for number, both in enumerate(orders, 1):
        origins = [_origin(pipe, one, base) for one in both]
        id = pair_id(request, origins)
        if id in batch.pairs():
            continue
        takes = []
        for take, one in enumerate(both, 1):
            output = generate(pipe, one, errand, f"pair {number} of {len(orders)}, take {take} of 2, ")
            takes.append(finish_order(pipe, one, output))
        add_pair(batch, id, request, takes, origins)
        new += 1
    return new


def _two_orders(order: Order, other: str, number: int) -> tuple[Order, Order]:
    """The orders of a pair: two seeds, or one seed and another mix."""
    if other == ANOTHER_SEED:
        seed = int(order.seed) + 2 * number
        return replace(order, seed=seed), replace(order, seed=seed + 1)
    name = "" if other == NO_GENRES else other.removeprefix("genre adapter ")
    if name and name not in order.mix:
        raise ValueError(f"B plays: {other[:NAME]!r} is none of {', '.join(other_takes(list(order.mix)))}")
    mix = {genre: float(genre == name) for genre in order.mix}
    if mix == dict(order.mix):
        raise ValueError(f"B plays: {other} is what the first take plays too; change the genre mix in Generate")
    first = replace(order, seed=int(order.seed) + number)
    return first, replace(first, mix=mix)


def _origin(pipe: MuseTunePipeline | RemotePipeline, order: Order, base: str) -> dict[str, Any]:
    """Where a take comes from; one of a service names its address in place of hashes of its weights."""
    theory = next((info.name for info in pipe.adapters.values() if info.kind == "theory"), "base")
    mix = {name: weight for name, weight in order.mix.items() if weight}
    weights = {} if isinstance(pipe, RemotePipeline) else weights_of(pipe, mix)
    origin = take_origin(
        origin_name(theory, mix), int(order.seed), int(order.steps), base, {theory: 1.0, **mix}, weights
    )
    if isinstance(pipe, RemotePipeline):
        del origin["versions"]  # the service's libraries are its own
        origin["service"] = pipe.queue.url
    return origin | {"ending": order.ending}


def _blind(side: Side, place: Path, fallback: dict[str, Any] | None) -> BlindSide:
    """A side under a name that tells nothing."""
    import soundfile

    if not side.audio.is_file():
        raise ValueError(f"{side.audio} is not there: put it back, or take its line out of pairs.jsonl")
    sound = place.with_suffix(side.audio.suffix.lower())
    shutil.copyfile(side.audio, sound)
    try:
        seconds = float(soundfile.info(sound).duration)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{side.audio} cannot be read: {error}") from None
    if side.chart is not None:
        return BlindSide(sound, seconds, LeadSheet.load(side.chart))
    return BlindSide(sound, seconds, None if fallback is None else LeadSheet.from_json(fallback))
