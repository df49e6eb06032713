"""Memory of the test process: how much it holds, and how it gives back what it does not need."""

from __future__ import annotations

import ctypes
import functools
import gc
import resource
import sys
from pathlib import Path

ROOMY = 900 * 2**20  # bytes: a process that holds more forgets what it can load again


def resident_bytes() -> int:
    """Memory that this process holds now; where there is no /proc, the most that it has held."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def give_back() -> None:
    """Drop what only cycles hold, and give the allocator's free memory back to the system.

    In a process over ROOMY, MuseTune's caches are emptied too: a soundfont alone takes 280 MB.
    """
    gc.collect()
    if resident_bytes() < ROOMY:
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("musetune."):
            for value in vars(module).values():
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
