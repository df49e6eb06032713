"""Who may use the service, and how much: bearer keys, rates, sizes of bodies, slow clients."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
KEYS_VARIABLE = "MUSETUNE_API_KEYS"
HASH = re.compile(r"(?:(?P<name>[\w.@-]+):)?(?P<digest>[0-9a-f]{64})")
SLOW_S = 20.0  # a client may wait so long between two pieces of a body
SLOWEST = 4096  # bytes a second that a body has to come with after that: no client holds a place for hours


def hash_key(key: str) -> str:
    """The SHA-256 of a key, in hexadecimal digits, as the file of keys holds it.

    Example:
        >>> hash_key("secret")[:8]
        '2bb80d53'
    """
    return hashlib.sha256(key.encode()).hexdigest()


def name_of(digest: str) -> str:
    """What a key without a name is called: its jobs stay its own wherever it stands among the others.

    Example:
        >>> name_of(hash_key("secret"))
        'key-2bb80d537b1d'
    """
    return f"key-{digest[:12]}"


class ApiKeys:
    """The keys that open the service: a name by the hash of each. Without keys everybody may use it.

    Args:
        names: Names by hash.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)

    def __bool__(self) -> bool:
        return bool(self._names)

    @staticmethod
    def load(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> ApiKeys:
        """Read keys from the environment and hashes from a file.

        Args:
            file: A line a key: its SHA-256, or a name, a colon and its SHA-256. Lines that begin with # are left out.
            environment: Where MUSETUNE_API_KEYS holds keys, or name:key, parted by commas.

        Raises:
            ValueError: A line is no hash, or a key has less than 16 characters.
        """
        names: dict[str, str] = {}
        for number, entry in enumerate(filter(None, map(str.strip, environment.get(KEYS_VARIABLE, "").split(","))), 1):
            name, _, key = entry.rpartition(":")
            if len(key) < 16:
                raise ValueError(
                    f"{KEYS_VARIABLE}: key {number} has {len(key)} characters; give each 16 or more, such as "
                    "`openssl rand -hex 24` makes"
                )
            digest = hash_key(key)
            names[digest] = name or name_of(digest)
        for number, line in enumerate([] if file is None else file.read_text().splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = HASH.fullmatch(line.strip().lower())
            if match is None:
                raise ValueError(
                    f"{file}, line {number}: not a SHA-256, or NAME:SHA-256; `printf %s KEY | sha256sum` makes one"
                )
            names[match["digest"]] = match["name"] or name_of(match["digest"])
        return ApiKeys(names)

    def owner(self, authorization: str | None) -> str | None:
        """The name of the key in an Authorization header; None where it opens nothing, "" where no key is needed."""
        if not self._names:
            return ""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest, owner = hash_key(key.strip()), None
        for known, name in self._names.items():  # all of them, each in constant time
            if hmac.compare_digest(known, digest):
                owner = name
        return owner


class RateLimit:
    """How many requests an owner may send in a time.

    Args:
        rate: Such as "60/minute"; None: as many as they like.

    Raises:
        ValueError: ``rate`` says none.
    """

    def __init__(self, rate: str | None) -> None:
        try:
            self._item: RateLimitItem | None = None if rate is None else parse(rate)
        except ValueError as error:
            raise ValueError(f"rate={rate!r} is none; say such as 60/minute or 5/second") from error
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, owner: str) -> int:
        """Count a request; 0 where it may go on, else after how many seconds to ask again."""
        if self._item is None or self._limiter.hit(self._item, owner):
            return 0
        return max(1, math.ceil(self._limiter.get_window_stats(self._item, owner).reset_time - time.time()))


class BodyTooLargeError(Exception):
    """A request's body is longer than it may be."""


class SlowClientError(Exception):
    """A client sends its body too slowly."""


def bounded(
    receive: Receive, limit: int, slow_s: float = SLOW_S, count: Callable[[int], None] = lambda size: None
) -> Receive:
    """``receive`` that raises BodyTooLargeError after ``limit`` bytes, and SlowClientError where the next piece of a
    body does not come in time, or the whole comes at less than SLOWEST bytes a second; ``count`` is told of each piece.
    """
    so_far, whole, began = 0, False, time.monotonic()

    async def receive_bounded() -> Message:
        nonlocal so_far, whole
        if whole:
            return await receive()  # until the client goes
        try:
            message = await asyncio.wait_for(receive(), slow_s)
        except TimeoutError:
            raise SlowClientError from None
        whole = not message.get("more_body", False)
        size = len(message.get("body", b""))
        so_far += size
        if so_far > limit:
            raise BodyTooLargeError
        if not whole and time.monotonic() - began > slow_s + so_far / SLOWEST:
            raise SlowClientError
        count(size)
        return message

    return receive_bounded
