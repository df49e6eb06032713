"""What a worker does with an analysis: a process of the analyser's own hears the song, its record becomes files."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from musetune.analysis.service.process import ProcessDeath
from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, JobResult
from musetune.client.bodies import AnalysisBody
from musetune.formats.chart_text import chart_text
from musetune.serve.service.inputs import ANALYSIS_MEMORY, run_apart
from musetune.serve.service.runner import write_notice
from musetune.serve.service.worker import JobContext, disk_is_full

SONG_STEM = "file"  # of the file that comes with a request
OUTPUTS = ("json", "jams", "lab", "midi", "musicxml")
FILES = {"record": ".json", "jams": ".jams", "midi": ".mid", "musicxml": ".musicxml"}


class AnalysisRunner:
    """Does analyses, each in a process of the analyser's own: no decoder can take the worker down.

    Args:
        notices: A folder in which it says that it is ready.
    """

    kinds: Collection[str] = ("analysis",)

    def __init__(self, notices: Path | None = None) -> None:
        self.worker = AnalysisWorker(ANALYSIS_MEMORY)
        if notices is not None:
            write_notice(notices, {})

    def __call__(self, context: JobContext) -> Mapping[str, Any]:
        """Analyse the song that came with a job."""
        began = time.perf_counter()
        body = AnalysisBody.model_validate(context.job.request["body"])
        name = str(context.job.request["filename"])
        song = next(context.uploads.glob(f"{SONG_STEM}.*"))
        job = AnalysisJob(
            str(song), body.beats, body.tempo_hint, outputs=OUTPUTS, stem=str(context.folder / "song"), force=True
        )
        try:
            stored = self._run(job, context).result.with_file(name)
        except (ProcessDeath, ValueError, OSError) as error:
            if disk_is_full(error):
                raise
            kind = ProcessDeath if isinstance(error, ProcessDeath) else ValueError
            # the message names the file by the path that it has here
            raise kind(str(error).replace(str(song), name).replace(song.name, name)) from error
        (context.folder / "song.json").write_text(stored.dumps())
        stored.lead_sheet.save(context.folder / "plan.json")
        (context.folder / "chart.txt").write_text(chart_text(stored.lead_sheet) + "\n")
        with zipfile.ZipFile(context.folder / "labels.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(context.folder.glob("*.lab")):
                archive.write(file, file.name)
                file.unlink()
        record: Mapping[str, Any] = stored.record
        files = {kind: f"song{suffix}" for kind, suffix in FILES.items()}
        files |= {"chart": "chart.txt", "labels": "labels.zip", "plan": "plan.json"}
        summary = {name: record.get(name) for name in ("key", "bpm")}
        seconds = time.perf_counter() - began
        length = stored.lead_sheet.duration_s
        factor = {"real_time_factor": seconds / length} if length > 0 else {}
        return summary | factor | {"seconds": length, "stages": {"analyse": seconds}, "files": files}

    def _run(self, job: AnalysisJob, context: JobContext) -> JobResult:
        """What the analyser says; its process is stopped when the job is cancelled or takes too long."""
        return run_apart(context, lambda: self.worker.run(job), self.worker.kill, "listening")
