"""Rewards by name, a user's own by `module:function`, and what they amount to together."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from importlib import import_module

from musetune.evaluation.rewards import music, sound
from musetune.evaluation.rewards.take import RequestedTake, Reward

REALNESS = "sound"  # learned anew from each round's takes, so no function of a take alone
REWARDS: dict[str, Reward] = {
    "chords": music.chords,
    "beats": music.beats,
    "bars": music.bars,
    "key": music.key,
    "notes": music.notes,
    "drums": music.drums,
    "words": sound.words,
    "loudness": sound.loudness,
    "clipping": sound.clipping,
}
DEFAULT_WEIGHTS = {
    "chords": 1.0,
    "beats": 0.5,
    "bars": 0.5,
    "key": 0.5,
    "notes": 0.5,
    "drums": 0.5,
    "words": 0.25,
    REALNESS: 0.5,
    "loudness": 0.25,
    "clipping": 0.25,
}


def find_rewards(weights: Mapping[str, float]) -> dict[str, Reward]:
    """The functions of the rewards that count.

    Args:
        weights: Weight of each, at least 0: names of `REWARDS`, `sound`, or `module:function` of your own, which takes
            a `RequestedTake` and returns 0…1, the higher the better, or None where nothing was asked.

    Returns:
        Function by name, without `sound`, which is learned from all takes of a round, and without what weighs nothing.

    Raises:
        ValueError: A name or a weight is none, a module has no such function, or nothing weighs anything.

    Example:
        >>> sorted(find_rewards({"chords": 1.0, "beats": 0.5, "key": 0.0, "sound": 0.5}))
        ['beats', 'chords']
    """
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the reward {name} weighs {weight}: give a number from 0 on")
    if not any(weights.values()):
        raise ValueError("no reward weighs anything: give chords=1.0 or so")
    counted = [name for name, weight in weights.items() if weight and name != REALNESS]
    return {name: _own(name) if ":" in name else _named(name) for name in counted}


def _named(name: str) -> Reward:
    if name not in REWARDS:
        known = [*REWARDS, REALNESS]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}, or module:function of your own"
        raise ValueError(f"no reward is called {name!r}: {hint}")
    return REWARDS[name]


def _own(name: str) -> Reward:
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"the reward {name!r} cannot be found ({error}): give module:function, the module where Python "
            "imports from (PYTHONPATH)"
        ) from None
    if not callable(found):
        raise ValueError(f"the reward {name!r} is a {type(found).__name__}, not a function")
    reward: Reward = found
    return reward


def measure_rewards(take: RequestedTake, rewards: Mapping[str, Reward]) -> dict[str, float | None]:
    """Value of each reward of a take.

    Raises:
        ValueError: A reward gives something else than 0…1 or None; the message names it.

    Example:
        >>> import numpy as np
        >>> from musetune import LeadSheet
        >>> take = RequestedTake(np.zeros(32000), 16000, LeadSheet.parse("| C |", bpm=120))
        >>> measure_rewards(take, {"chords": music.chords})
        {'chords': 0.0}
    """
    values: dict[str, float | None] = {}
    for name, reward in rewards.items():
        value = reward(take)
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"the reward {name} gives {value!r}: it has to lie in 0…1, or to be None")
        values[name] = None if value is None else float(value)
    return values


def weighted_mean(values: Mapping[str, float | None], weights: Mapping[str, float]) -> float:
    """Weighted mean of the rewards that have a value, 0…1; 0 where none has.

    Example:
        >>> weighted_mean({"chords": 1.0, "notes": None, "key": 0.0}, {"chords": 3.0, "notes": 9.0, "key": 1.0})
        0.75
    """
    told = {name: value for name, value in values.items() if value is not None and weights.get(name)}
    total = sum(weights[name] for name in told)
    return sum(weights[name] * value for name, value in told.items()) / total if total else 0.0
