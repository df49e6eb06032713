"""What a job goes out from: the files that came with its request, read in a process apart, and those of other jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from musetune.analysis.service.file_reader import FileReader
from musetune.analysis.service.process import ProcessDeath
from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker
from musetune.client.bodies import SheetBody
from musetune.serve.service.worker import JobContext, disk_is_full
from musetune.symbols import GENRES, Arrangement, LeadSheet

if TYPE_CHECKING:
    import numpy as np

    from musetune.pipeline.pieces import AudioInput

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)
ANALYSIS_MEMORY = 8 * 2**30  # bytes that a process which hears a song may take for itself
BEAT_S = 0.2  # how often a job is asked whether it is still wanted while another process works for it


class Inputs:
    """The files of one job.

    Args:
        context: The job's.
        reader: Reads files of strangers.
        analyser: Hears recordings that come without a lead sheet.
        max_seconds: The longest recording that is taken.
    """

    def __init__(self, context: JobContext, reader: FileReader, analyser: AnalysisWorker, max_seconds: float) -> None:
        self.context, self.reader, self.analyser, self.max_seconds = context, reader, analyser, max_seconds

    def sheet(self, body: SheetBody) -> LeadSheet | None:
        """The lead sheet that a request brings: in itself, as a file, or another job's. Raises ValueError."""
        if body.lead_sheet is not None:
            return LeadSheet.from_json(body.lead_sheet)
        if (path := self._find("lead_sheet")) is not None:
            return self._apart(lambda: self.reader.sheet(path), self.reader.kill)
        own = self._find("job-lead_sheet")
        return None if own is None else LeadSheet.load(own)

    def notes(self) -> Arrangement | None:
        """The players' notes that a request brings, as a file or another job's. Raises ValueError."""
        from musetune.formats.songs import load_arrangement

        if (path := self._find("arrangement")) is not None:
            return self._apart(lambda: self.reader.notes(path), self.reader.kill)
        own = self._find("job-arrangement")
        return None if own is None else load_arrangement(own)

    def source(self) -> AudioInput:
        """The recording that is edited; of another job with its latents, sheet and notes. Raises ValueError."""
        from safetensors.torch import load_file

        from musetune.audio import load_audio
        from musetune.formats.songs import load_arrangement
        from musetune.pipeline.pieces import AudioInput

        if (path := self._find("audio")) is not None:
            wave, rate = self._apart(lambda: self.reader.sound(path, self.max_seconds), self.reader.kill)
            return AudioInput(wave, rate)
        own, sheet, song, latents = (
            self._find(f"job-{name}") for name in ("audio", "source_sheet", "source_song", "source_latents")
        )
        assert own is not None  # the request was checked
        wave, rate = load_audio(own, mono=False)
        return AudioInput(
            wave[0] if len(wave) == 1 else wave,
            rate,
            None if latents is None else load_file(latents)["latents"],
            None if sheet is None else LeadSheet.load(sheet),
            None if song is None else load_arrangement(song),
        )

    def depth(self) -> str | None:
        """How the recording's samples are held: "PCM_16", "PCM_24" or "FLOAT"."""
        from musetune.audio import bit_depth

        if (path := self._find("audio")) is not None:
            return self._apart(lambda: self.reader.depth(path), self.reader.kill)
        own = self._find("job-audio")  # the service wrote it
        return None if own is None else bit_depth(own)

    def style(self) -> tuple[np.ndarray, int] | None:
        """The clip whose sound is meant, and its rate in Hz; None where none came along. Raises ValueError."""
        if (path := self._find("style_audio")) is None:
            return None
        return self._apart(lambda: self.reader.sound(path, self.max_seconds), self.reader.kill)

    def heard_sheet(self) -> LeadSheet:
        """The lead sheet of the recording that came along, as the analyser hears it in a process of its own.

        With the genre that is heard, where it is one that adapters know.
        """
        path = self._find("audio") or self._find("job-audio")
        job = AnalysisJob(str(path), force=True)
        try:
            heard = self._apart(lambda: self.analyser.run(job), self.analyser.kill).result
        except (ValueError, OSError) as error:
            if disk_is_full(error):
                raise
            raise ValueError(
                f"the recording's chords cannot be heard, so give its lead sheet: {self._hide(str(error))}"
            ) from None
        genre = heard.record["genre_analysis"].get("primary_genre")
        return replace(heard.lead_sheet, genre=genre if genre in GENRES else None)

    def _find(self, stem: str) -> Path | None:
        return next((path for path in sorted(self.context.uploads.glob(f"{stem}.*"))), None)

    def _apart(self, act: Callable[[], Answer], kill: Callable[[], None]) -> Answer:
        """What another process answers; it is stopped when the job is cancelled or takes too long."""
        try:
            return run_apart(self.context, act, kill)
        except (ValueError, ProcessDeath) as error:
            kind = ValueError if isinstance(error, ValueError) else ProcessDeath
            raise kind(self._hide(str(error))) from None

    def _hide(self, text: str) -> str:
        """A message without the paths that files have here."""
        return text.replace(f"{self.context.uploads}/", "")


def run_apart(
    context: JobContext, act: Callable[[], Answer], kill: Callable[[], None], stage: str = "reading"
) -> Answer:
    """What ``act``, which waits for another process, gives. ``kill`` stops that one when the job is cancelled or takes
    too long. One that dies by itself is tried once more: the memory may have been short, or someone killed it.

    Raises:
        ProcessDeath: It died twice.
    """
    try:
        return _run_once(context, act, kill, stage)
    except ProcessDeath as error:
        log.warning("job %s is tried once more: %s", context.job.id, error)
        return _run_once(context, act, kill, stage)


def _run_once(context: JobContext, act: Callable[[], Answer], kill: Callable[[], None], stage: str) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(act)
        try:
            context.step(stage)
            while not wait([future], BEAT_S).done:
                context.step(stage)
        except BaseException:
            while not wait([future], 0.05).done:  # again and again: it may just be starting
                kill()
            raise
        return future.result()


def stages(**began: float) -> dict[str, float]:
    """Seconds of stages of which each begins where the one before it ends; the last one ends now.

    Example:
        >>> list(stages(read=0.0, generate=2.0))
        ['read', 'generate']
    """
    ends = [*list(began.values())[1:], time.perf_counter()]
    return {name: end - start for (name, start), end in zip(began.items(), ends, strict=True)}


def no_such_adapter(name: str, names: Collection[str]) -> ValueError:
    """What is said of a genre adapter that is not among those that there are."""
    return ValueError(f"adapters: there is no {name[:40]!r} here; there are: {', '.join(sorted(names)) or 'none'}")


def adapter_mix(pipe: Any, adapters: dict[str, float]) -> float:
    """Let the genre adapters of a request count, and no others; the seconds that it took.

    Raises:
        ValueError: There is none of such a name.
    """
    from musetune.serve.work import genres_of

    began, names = time.perf_counter(), genres_of(pipe)
    if unknown := sorted(set(adapters) - set(names)):
        raise no_such_adapter(unknown[0], names)
    if names:
        pipe.set_adapter({name: weight for name, weight in adapters.items() if weight > 0} or None)
    return time.perf_counter() - began
