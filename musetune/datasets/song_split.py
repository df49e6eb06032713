"""The split by song that the stem transformer, the planner and their benchmarks share.

What is for tests was never trained on.

Of POP909 the folders whose number ends in 5; of lead sheets and MIDI files those whose path's (of the planner's
chorales, file name's) SHA-1 ends in 0 or 1.
"""

from __future__ import annotations

import hashlib


def for_tests(name: str, source: str) -> bool:
    """Whether a song is never trained on. ``source`` is the collection: "pop909" or any other."""
    if source == "pop909":
        return name.endswith("5")
    return hashlib.sha1(name.encode()).hexdigest()[-1] in "01"
