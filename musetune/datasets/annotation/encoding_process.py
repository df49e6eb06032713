"""The base's encoders in a process of their own: a song that crashes a decoder there costs no run and no actor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.analysis.service.batch import reason
from musetune.analysis.service.cache import StoredAnalysis
from musetune.datasets.annotation.manifest import ManifestSong
from musetune.processes import CrashSafeWorker

if TYPE_CHECKING:
    from musetune.datasets.prepare import LatentEncoder

DEATH = "the process that made its latents died, and so did another that tried again"


@dataclass(frozen=True)
class EncodingJob:
    """One song to encode.

    Attributes:
        song: Where it lies.
        stored: What was heard in it.
        base: "nano", a folder or a Hub id.
        clip_seconds: Length of a clip.
        device: Where it is encoded.
    """

    song: ManifestSong
    stored: StoredAnalysis
    base: str
    clip_seconds: float
    device: str


@dataclass(frozen=True)
class Encoding:
    """What `encode_song` gave, or why it gave nothing.

    Attributes:
        columns: Of the song's row.
        tensors: Arrays by name.
        fault: What is wrong with the song; None where nothing is.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)
    fault: str | None = None


def encode(job: EncodingJob) -> Encoding:
    """Encode a song, in this process.

    Raises:
        ValueError: The base cannot be loaded, or does not fit the clips: no song can be encoded with it.
        MemoryError: The memory does not suffice, which is not the song's fault.
    """
    from musetune.datasets.annotation.encoding import encode_song

    encoder = _encoder(job.base, job.clip_seconds, job.device)
    try:
        return Encoding(*encode_song(encoder, job.song, job.stored, job.clip_seconds))
    except Exception as error:  # any decoder may raise anything
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, of an accelerator
            raise
        return Encoding(fault=reason(error))


@lru_cache(maxsize=1)
def _encoder(base: str, clip_seconds: float, device: str) -> LatentEncoder:
    """The encoders of this process."""
    from musetune.datasets.prepare import LatentEncoder
    from musetune.pipeline.loading import quiet

    quiet()
    return LatentEncoder(base, clip_seconds, device)


class EncodingProcess:
    """The caller's side. All of these in a process share the one with the encoders, which takes one song at a time and
    ends with the last of them.

    Args:
        function: What is done there; can be pickled.
    """

    _lock = threading.Lock()
    _worker: CrashSafeWorker[EncodingJob, Encoding] | None = None
    _users = 0

    def __init__(self, function: Callable[[EncodingJob], Encoding] = encode) -> None:
        self._open, shared = True, EncodingProcess
        with shared._lock:
            shared._users += 1
            if shared._worker is None:
                shared._worker = CrashSafeWorker(function)

    def __call__(self, job: EncodingJob) -> Encoding:
        """Encode a song there. What `encode` raises is raised here; a song that kills the process twice has a fault."""
        with self._lock:
            assert self._worker is not None
            return self._worker(job) or Encoding(fault=DEATH)

    def close(self) -> None:
        """Need it no more."""
        shared = EncodingProcess
        with shared._lock:
            if not self._open:
                return
            self._open = False
            shared._users -= 1
            if shared._users == 0 and shared._worker is not None:
                shared._worker.close()
                shared._worker = None
