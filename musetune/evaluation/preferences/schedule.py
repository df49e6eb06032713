"""Which pair a judge hears next, and which of its takes is A: drawn, but the same again after a restart."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from musetune.evaluation.preferences.batch import Pair, Side
from musetune.evaluation.preferences.verdicts import Judge, Verdict

REPEAT_EVERY = 8  # each so-manieth pair is one that the judge has heard before: does the judge agree with itself?
REPEAT_GAP = 5  # but not one of the last so many


class Comparison(NamedTuple):
    """A pair to be heard now: its takes as they are shown, and whether the judge has heard it before."""

    pair: Pair
    a: Side
    b: Side
    repeated: bool = False


def next_comparison(pairs: Mapping[str, Pair], verdicts: Sequence[Verdict], judge: Judge) -> Comparison | None:
    """Draw the next pair for a judge.

    The order of pairs, and which take is A, look random and follow from the judge's name. Each REPEAT_EVERY-th is one
    that the judge has heard before, A and B exchanged.

    Args:
        pairs: The pairs of a batch, by id.
        verdicts: All verdicts on them, of other judges too.
        judge: Who is to hear it.

    Returns:
        The pair and its takes; None where the judge has heard all.

    Example:
        >>> next_comparison({}, [], Judge("person", "anna")) is None
        True
    """
    own = [verdict for verdict in verdicts if verdict.judge == judge and verdict.pair in pairs]
    times = Counter(verdict.pair for verdict in own)
    fresh = [id for id in pairs if not times[id]]
    recent = {verdict.pair for verdict in own[-REPEAT_GAP:]}
    known = [id for id, count in times.items() if count == 1 and id not in recent]
    repeated = bool(fresh and known) and len(own) % REPEAT_EVERY == REPEAT_EVERY - 1
    candidates = known if repeated else fresh
    if not candidates:
        return None
    pair = pairs[min(candidates, key=lambda id: _draw(judge, id, "order"))]
    exchanged = bool(_draw(judge, pair.id, "side") % 2) != repeated
    first, second = pair.sides
    return Comparison(pair, second, first, repeated) if exchanged else Comparison(pair, first, second, repeated)


def _draw(judge: Judge, id: str, purpose: str) -> int:
    """A number that looks random and follows from what it is drawn for."""
    return int.from_bytes(hashlib.sha256("\0".join((purpose, *judge, id)).encode()).digest()[:8], "big")
