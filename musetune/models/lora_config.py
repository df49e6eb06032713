"""A LoRA's configuration as peft writes it, adapter_config.json: read, checked, and its patterns applied.

Its patterns are regular expressions by strangers, which may be made to run for years; those that could are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from musetune.formats.json_object import number_field, object_field, read_json_object
from musetune.models.config_limits import weight_shapes
from musetune.symbols.json_values import JsonObject

FILE = "adapter_config.json"
NEUTRAL = ("gaussian", "orthogonal", "eva")  # ways to begin that leave the base's weights alone
MAX_RANK = 4096
MAX_PATTERNS = 4096
MAX_PATTERN = 1000  # characters
MAX_WAYS = 20_000  # to read one module's name by one pattern
REPEATS = 100  # ways to read a name's characters by one ``*``


def read_lora_config(folder: str | Path) -> JsonObject:
    """Return a folder's adapter_config.json, checked; empty where there is none.

    Raises:
        ValueError: for what is no LoRA's configuration, for one whose training changed the base, for a rank outside
            1–4096, and for a pattern that could run for ever.
    """
    path = Path(folder) / FILE
    return check_lora_config(read_json_object(path), str(path)) if path.is_file() else {}


def check_lora_config(config: JsonObject, source: str) -> JsonObject:
    """Return ``config``, checked as ``read_lora_config`` does. source: what it is called in errors."""
    kind, start = config.get("peft_type", "LORA"), config.get("init_lora_weights", True)
    if kind != "LORA":
        raise ValueError(f"{source} says peft_type={kind!r}: only LORA is supported")
    if isinstance(start, str) and start.lower() not in NEUTRAL:
        raise ValueError(
            f"{source} says init_lora_weights={start!r}, which changes the base: convert it to a plain LoRA with peft"
        )
    rank_pattern = object_field(config, "rank_pattern", source)
    alpha_pattern = object_field(config, "alpha_pattern", source)
    for values, key in ((config, "r"), *((rank_pattern, key) for key in rank_pattern)):
        rank = number_field(values, key, source)
        if rank is not None and not (isinstance(rank, int) and 1 <= rank <= MAX_RANK):
            raise ValueError(f"{source} says {key}={rank}: a rank is a whole number from 1 to {MAX_RANK}")
    for values, key in ((config, "lora_alpha"), *((alpha_pattern, key) for key in alpha_pattern)):
        number_field(values, key, source)
    check_patterns([*rank_pattern, *alpha_pattern], source)
    for key in ("target_modules", "exclude_modules", "layers_pattern"):
        value = config.get(key)
        check_patterns([value] if isinstance(value, str) else value or [], f"{source}, {key}")
    return config


def check_lora_rank(config: JsonObject, weights: Path) -> None:
    """Raise ValueError where ``config`` asks for a higher rank than ``weights``, a file of safetensors, have."""
    shapes = weight_shapes(weights)
    highest = max((shape[0] for key, shape in shapes.items() if ".lora_A" in key and shape), default=0)
    rank = max([config.get("r") or 1, *(config.get("rank_pattern") or {}).values()])
    if rank > highest:
        raise ValueError(
            f"{weights.parent} says rank {rank} where the weights have {highest}: get the whole folder anew"
        )


def check_patterns(patterns: Iterable[object], source: str) -> None:
    """Raise ValueError for what is no regular expression, and for one that may take more than a moment.

    The ways in which a pattern can read a name are bounded from its signs: 100 for each ``*``, ``+`` and ``{``, 2 for
    each ``?``, and the alternatives of its groups multiplied. Repeated groups have no such bound and are refused.
    """
    if not isinstance(patterns, list) or len(patterns) > MAX_PATTERNS:
        raise ValueError(f"{source} is not a list of at most {MAX_PATTERNS} patterns")
    for pattern in patterns:
        if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
            raise ValueError(f"{source} has a pattern that is not a text of at most {MAX_PATTERN} characters")
        if re.search(r"\)[*+?{]|[*+?}][*+{]", pattern) or _ways(pattern) > MAX_WAYS:
            raise ValueError(
                f"{source} has the pattern {pattern[:80]!r}, which could take for ever: write the modules' names out"
            )
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{source} has the pattern {pattern[:80]!r}, which is none: {error}") from error


def _ways(pattern: str) -> float:
    signs = re.sub(r"\\.|\(\?:", lambda m: "(" if m[0].startswith("(") else "", pattern)
    groups = max(1, signs.count("("))
    repeats = sum(signs.count(sign) for sign in "*+{")
    alternatives = ((signs.count("|") + groups) / groups) ** min(groups, 30)
    return float(REPEATS ** min(repeats, 10)) * 2.0 ** min(signs.count("?"), 30) * alternatives


def pattern_value(patterns: Mapping[str, float], module: str, default: float) -> float:
    """Return the value of the first of ``patterns`` that a module's name ends in, by peft's rule, else ``default``."""
    for pattern, value in patterns.items():
        if _compile(pattern).match(module):
            return value
    return default


@lru_cache(MAX_PATTERNS)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(.*\.)?({pattern})$")
