"""The likeliest chain of numerals by what the network says of each frame (Viterbi), keys held together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from musetune.analysis.numerals.vocabulary import N_KEYS, States, states

CHUNK = 512  # frames whose scores are computed at once
NEVER = np.float32(-1e9)


@dataclass(frozen=True)
class DecodingWeights:
    """The constants, chosen on the development pieces of `benchmarks/numerals.py`.

    Args:
        heads: What each head's log-probability counts.
        change: What beginning a numeral costs beyond the network's own log-probability of a beginning.
        starts: What that log-probability counts.
        key: What a change of key costs.
    """

    heads: tuple[tuple[str, float], ...] = field(
        default=(
            ("key", 1.0),
            ("applied", 0.5),
            ("root", 1.0),
            ("bass", 0.3),
            ("quality", 1.0),
            ("inversion", 1.0),
            ("chord", 0.2),
        )
    )
    change: float = 0.0
    starts: float = 1.0
    key: float = 8.0


STANDARD = DecodingWeights()


def scores_of(heads: dict[str, np.ndarray], weights: DecodingWeights) -> np.ndarray:
    """(frames, S) weighted sum of what the heads say of each numeral."""
    table: States = states()
    out = np.zeros((len(heads["key"]), len(table.key)), np.float32)
    for name, weight in weights.heads:
        out += np.float32(weight) * heads[name][:, getattr(table, name)]
    return out


def decode(heads: dict[str, np.ndarray], may_start: np.ndarray, weights: DecodingWeights = STANDARD) -> np.ndarray:
    """(frames,) numbers of numerals in `states`, the likeliest path.

    Args:
        heads: (frames, …) natural logarithms of probabilities, from `read_numbers`.
        may_start: (frames,) whether a numeral may begin here.
        weights: What counts how much.
    """
    table, count = states(), len(may_start)
    stay_cost = (weights.starts * heads["starts"][:, 0]).astype(np.float32)
    start_cost = (weights.starts * heads["starts"][:, 1] - weights.change).astype(np.float32)
    members = _members(table.key)
    came = np.zeros((count, N_KEYS), np.int32)  # the state that a numeral of this key comes from
    began = np.zeros((count, len(table.key)), bool)
    total = np.zeros(0, np.float32)
    for low in range(0, count, CHUNK):
        scores = scores_of({name: value[low : low + CHUNK] for name, value in heads.items()}, weights)
        for frame in range(low, min(count, low + CHUNK)):
            if frame == 0:
                total = scores[0]
                continue
            if may_start[frame]:
                of_key = np.append(total, NEVER)[members]
                leaders = of_key.argmax(1)
                best = np.take_along_axis(of_key, leaders[:, None], 1)[:, 0]
                leaders = np.take_along_axis(members, leaders[:, None], 1)[:, 0]
                leader = leaders[best.argmax()]
                from_elsewhere = total[leader] - np.float32(weights.key)
                came[frame] = np.where(from_elsewhere > best, leader, leaders)
                enters = (np.maximum(best, from_elsewhere) + start_cost[frame])[table.key]
                stays = total + stay_cost[frame]
                began[frame] = enters > stays
                total = np.where(began[frame], enters, stays)
            total = total + scores[frame - low]
    path = np.zeros(count, np.int64)
    state = int(total.argmax())
    for frame in range(count - 1, -1, -1):
        path[frame] = state
        if began[frame, state]:
            state = int(came[frame, table.key[state]])
    return path


def _members(key: np.ndarray) -> np.ndarray:
    """(N_KEYS, most) numbers of each key's numerals, filled up with the number after the last."""
    numbers = [np.flatnonzero(key == k) for k in range(N_KEYS)]
    most = max(map(len, numbers))
    return np.stack([np.pad(row, (0, most - len(row)), constant_values=len(key)) for row in numbers])
