"""What all tabs of the page share: the pipeline, the folder of takes, and the turn of the work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from musetune.analysis.service.worker import AnalysisWorker
from musetune.serve.errand import Errand
from musetune.serve.work import genres_of

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

Result = TypeVar("Result")
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "work"}  # for every event that works long
PRIVATE: dict[str, Any] = {"queue": False, "api_visibility": "private"}  # for an event that only fills fields
LIVE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "trigger_mode": "always_last"}  # while one types


class Studio:
    """The pipeline, the folder of takes, and what keeps long work one at a time.

    Attributes:
        pipe: the pipeline that generates.
        folder: where takes are written; the page may give away every file in it.
        genres: names of the genre adapters, in the order of their sliders.
        turn: the lock that every long piece of work holds.
        analyser: the process that analyses songs.
    """

    def __init__(self, pipe: MuseTunePipeline, folder: Path) -> None:
        self.pipe, self.folder, self.genres = pipe, folder, genres_of(pipe)
        self.turn, self.analyser = threading.Lock(), AnalysisWorker()

    def errand(self, work: Callable[[Errand[Result]], Result]) -> Errand[Result]:
        """Long work that waits for its turn, reports as it goes on, and stops when nobody waits for it."""
        return Errand(work, self.turn)
