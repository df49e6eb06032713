"""The page's work done by a service: what looks like a pipeline and an analyser here asks `musetune serve` there."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from musetune.analysis.export import exports
from musetune.analysis.service.cache import StoredAnalysis
from musetune.analysis.service.worker import AnalysisJob, JobResult, WorkerDeath
from musetune.client import JobStatus, ServiceClient
from musetune.serve.remote_pipeline import RemotePipeline
from musetune.serve.service_queue import ServiceQueue
from musetune.symbols import LeadSheet


class RemoteAnalyser:
    """An analyser as `AnalysisWorker` is one: a service hears the song, its files are written here.

    Args:
        queue: The service.
    """

    def __init__(self, queue: ServiceQueue) -> None:
        self.queue, self._killed = queue, threading.Event()

    def run(self, job: AnalysisJob) -> JobResult:
        """Upload a song, wait, and write the files of ``job``.

        Raises:
            ValueError: The service cannot read it, or does not answer.
            WorkerDeath: `kill` was called.
        """
        self._killed.clear()
        client, path = self.queue.client, Path(job.path)

        def check(_: JobStatus) -> None:
            if self._killed.is_set():
                raise WorkerDeath(f"the analysis of {path.name} was stopped")

        fields: dict[str, Any] = {"beats": job.beats, "tempo_hint": job.tempo_hint}
        sent = self.queue.ask(lambda: client.analyse(path, **fields))
        done = self.queue.follow(sent, check)
        record = json.loads(self.queue.ask(lambda: client.file(done.id, "record")))
        sheet = LeadSheet.from_json(json.loads(self.queue.ask(lambda: client.file(done.id, "plan"))))
        stored = StoredAnalysis(record, sheet)
        files = []
        for kind in job.outputs:
            for file, write in exports(stored, kind, Path(job.stem or path), sound=path):
                write()
                files.append(str(file))
        return JobResult(stored, files=tuple(files))

    def kill(self) -> None:
        """Stop the analysis that runs: the service cancels it, and `run` raises WorkerDeath."""
        self._killed.set()

    def close(self) -> None:
        """Nothing is kept between two analyses."""


def connect(url: str, api_key: str | None = None) -> tuple[RemotePipeline, RemoteAnalyser]:
    """Pipeline and analyser of the service at an address.

    Args:
        url: Such as http://127.0.0.1:8000.
        api_key: Its bearer key, where it asks for one.

    Raises:
        ValueError: It does not answer, refuses the key, or has not loaded its models.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address of a service: give one such as http://127.0.0.1:8000")
    client = ServiceClient(url, api_key)
    queue = ServiceQueue(client, url)
    try:
        return RemotePipeline(queue), RemoteAnalyser(queue)
    except BaseException:
        client.close()
        raise


def note_of(pipe: Any) -> str:
    """What the page says above its tabs of where its work is done; "" where it is done here."""
    if not isinstance(pipe, RemotePipeline):
        return ""
    return (
        f"Sound is made, and songs are heard, at {pipe.queue.url}. Plans, notes, verdicts and all files stay here. "
        "Live alone is not there."
    )
