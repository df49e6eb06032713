"""What a worker that generates does: it loads a pipeline once, and does each job by its task."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.analysis.service.file_reader import FileReader
from musetune.analysis.service.worker import AnalysisWorker
from musetune.serve.service import edits, generation, writing
from musetune.serve.service.inputs import ANALYSIS_MEMORY, Inputs
from musetune.serve.service.results import write_audio, write_report, write_sheet
from musetune.serve.service.worker import JobContext
from musetune.symbols import LeadSheet

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

Loras = Sequence[tuple[str, str]]  # name and folder or Hub id
Maker = Callable[["MuseTunePipeline", JobContext, Inputs, float], Mapping[str, Any]]
WARM_S = 2.56  # of the clip that a process makes before workers become copies of it
MAKERS: dict[str, Maker] = {
    "generation": generation.generate,
    "repaint": edits.repaint,
    "extend": edits.extend,
    "vary": edits.vary,
    "cover": edits.cover,
    "loop": edits.loop,
    "plan": writing.plan,
    "arrangement": writing.arrange,
}


class GenerationRunner:
    """Does all jobs that need a pipeline.

    Args:
        base: "nano", a folder, or a Hub id.
        adapter: A theory adapter; None: the base's own, else "theory".
        device: Such as cpu or cuda:1; None: cuda where there is one.
        max_seconds: The longest audio that it makes.
        notices: A folder in which it says what it has loaded, under the worker's process id.
        batch: How many generations it does at once where they fit together.
        loras: Names and folders of genre adapters beside the bundled ones.
        pipe: A pipeline that is loaded already, as `load_pipeline` loads it.
    """

    kinds: Collection[str] = ("generation",)

    def __init__(
        self,
        base: str = "nano",
        adapter: str | None = None,
        device: str | None = None,
        max_seconds: float = 300.0,
        notices: Path | None = None,
        batch: int = 1,
        loras: Loras = (),
        pipe: MuseTunePipeline | None = None,
    ) -> None:
        self.pipe = load_pipeline(base, adapter, device, loras) if pipe is None else pipe
        self.max_seconds, self.batch = max_seconds, batch
        self.reader, self.analyser = FileReader(), AnalysisWorker(ANALYSIS_MEMORY)
        if notices is not None:
            write_notice(notices, loaded(self.pipe))

    def __call__(self, context: JobContext) -> Mapping[str, Any]:
        """Do a job."""
        inputs = Inputs(context, self.reader, self.analyser, self.max_seconds)
        return MAKERS[context.job.request.get("task", "generation")](self.pipe, context, inputs, self.max_seconds)

    def together(self, contexts: Sequence[JobContext]) -> list[Mapping[str, Any] | Exception]:
        """Do generations of one batch key in one call."""
        return generation.generate_together(self.pipe, contexts, self.max_seconds)

    def close(self) -> None:
        """Stop the processes that read and hear for it."""
        self.reader.close()
        self.analyser.close()


def load_pipeline(base: str, adapter: str | None, device: str | None, loras: Loras = ()) -> MuseTunePipeline:
    """The pipeline with all adapters, and with the network that makes stereo where the base's sound can be made so.

    Raises:
        ValueError: A genre adapter of one's own was made for another base, or is none.
    """
    from musetune.models.upsampler.network import RATE
    from musetune.serve.work import load

    pipe = load(base, adapter, device)
    if pipe.upsampler is None and pipe.vocoder.config.sampling_rate == RATE:
        pipe.load_upsampler()
    load_loras(pipe, loras)
    pipe.set_progress_bar_config(disable=True)  # its log is lines of JSON
    return pipe


def load_loras(pipe: MuseTunePipeline, loras: Loras) -> None:
    """Load genre adapters, silent; those that are loaded stay as they are. Raises ValueError for what is none."""
    for name, place in loras:
        if name not in pipe.adapters:
            pipe.load_adapter(place, name)
            if name not in pipe.adapters or pipe.adapters[name].kind != "lora":
                raise ValueError(f"--lora {name}={place} is no genre adapter: give --adapter {place}")
    if loras:
        pipe.set_adapter(None)


def load_warm(base: str, adapter: str | None, loras: Loras = ()) -> MuseTunePipeline:
    """The pipeline on the processor after a first clip: workers that are copies of this process share what that imports
    too.
    """
    pipe = load_pipeline(base, adapter, "cpu", loras)
    with tempfile.TemporaryDirectory() as folder:
        sheet = LeadSheet.parse("I V", duration_seconds=WARM_S)
        stereo = pipe.upsampler is not None
        output = pipe("", lead_sheet=sheet, num_inference_steps=1, return_report=True, stereo=stereo)
        write_audio(Path(folder), "audio", output.audios[0], output.sampling_rate)
        write_sheet(Path(folder), sheet)
        write_report(Path(folder), output.reports[0], {})
    return pipe


def loaded(pipe: MuseTunePipeline) -> dict[str, Any]:
    """What a pipeline has loaded, as plain values."""
    adapters = [{"name": info.name, "kind": info.kind} for info in pipe.adapters.values()]
    model = {
        "name": pipe.base_name,
        "device": str(pipe.device),
        "sampling_rate": int(pipe.vocoder.config.sampling_rate),
        "seconds": float(pipe.unet.config.sample_size * pipe.row_s),
    }
    return {"adapters": adapters, "model": model}


def write_notice(folder: Path, notice: Mapping[str, Any]) -> None:
    """Say that this process is ready, and with what; the file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{os.getpid()}.part"
    part.write_text(json.dumps(notice))
    part.replace(folder / f"{os.getpid()}.json")


def generation_factory(
    base: str,
    adapter: str | None,
    device: str | None,
    max_seconds: float,
    notices: Path,
    batch: int = 1,
    loras: Loras = (),
) -> partial[GenerationRunner]:
    """What makes the runner in each worker process; a pipeline that is loaded already may be given to it."""
    return partial(GenerationRunner, base, adapter, device, max_seconds, notices, batch, loras)
