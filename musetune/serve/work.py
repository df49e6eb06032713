"""What the page does, without the page: check an order, play it, write its files, listen to a song. No gradio here."""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, JobResult
from musetune.formats.chart_text import chart_text
from musetune.serve.errand import BEAT_S, Errand
from musetune.symbols import GENRES, LeadSheet

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

log = logging.getLogger(__name__)
SECONDS = (2.0, 60.0)  # what the page makes
STEPS = (1, 50)
CHORDS, WORDS, NAME = 2000, 1000, 40  # characters of chords, of a prompt, of a key or a meter
LISTENING_S = 900.0  # an analysis may take so long
KEPT = 40  # takes whose files stay
FILES = {"WAV": "wav", "MIDI": "mid", "MusicXML": "musicxml", "JAMS": "jams"}


@dataclass(frozen=True)
class Order:
    """What is asked for, as `MuseTunePipeline.__call__` names it; ``mix`` gives each genre adapter its weight, 0…1."""

    chords: str
    key: str = "C major"
    bpm: float = 120.0
    meter: str = "4/4"
    genre: str | None = None
    prompt: str = ""
    seconds: float = 10.24
    seed: int = 0
    steps: int = 20
    mix: Mapping[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ValueError, which names the field, for what the page does not take, before any work is done."""
        lengths = (
            ("Chords", self.chords, CHORDS),
            ("Prompt", self.prompt, WORDS),
            ("Key", self.key, NAME),
            ("Time signature", self.meter, NAME),
            ("Genre", self.genre or "", NAME),
        )
        for name, text, most in lengths:
            if not isinstance(text, str) or len(text) > most:
                size = f"{len(text):,} characters" if isinstance(text, str) else repr(text)[:NAME]
                raise ValueError(f"{name}: {size}; the page takes a text of up to {most:,}, `musetune generate` more")
        check_number("Length", self.seconds, *SECONDS)
        check_number("Steps", self.steps, *STEPS)
        check_number("Seed", self.seed, 0, 2**63 - 1)
        for name, weight in self.mix.items():
            check_number(f"Weight of {name}", weight, 0, 1)

    def sheet(self) -> LeadSheet:
        """The lead sheet, repeated to the length. Raises ValueError that names what is wrong."""
        return self._read(self.seconds)

    def loop(self) -> LeadSheet:
        """The progression once, as written."""
        return self._read(None)

    def _read(self, seconds: float | None) -> LeadSheet:
        self.check()
        return LeadSheet.parse(
            self.chords,
            key=self.key,
            bpm=self.bpm,
            time_signature=self.meter,
            genre=self.genre,
            duration_seconds=seconds,
        )


@dataclass(frozen=True)
class Take:
    """One answer to an order: its sheet, the report's JSON (`evaluation.Report.to_json`), and files by name.

    WAV, MIDI, MusicXML, JAMS.
    """

    order: Order
    sheet: LeadSheet
    seconds: float
    report: dict[str, Any]
    files: Mapping[str, Path]


def load(base: str, adapter: str | None, device: str | None = None) -> MuseTunePipeline:
    """The pipeline with a theory adapter (default: the base's own, else "theory") and, silent, the bundled genre
    adapters that fit.
    """
    from musetune.pipeline.loading import pick_device, quiet
    from musetune.pipeline.pipeline import MuseTunePipeline

    place = pick_device(device)
    quiet()
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter)
    if pipe.adapter is None:
        pipe.load_adapter("theory")
    stack(pipe, genre_folders())
    return pipe.to(place)


def genre_folders() -> list[Path]:
    """The genre adapters that come with MuseTune."""
    from musetune.hub.locate import BUNDLED_ADAPTERS, is_lora

    found = {folder.name: folder for place in BUNDLED_ADAPTERS for folder in sorted(place.glob("*")) if is_lora(folder)}
    return [found[name] for name in sorted(found)]


def stack(pipe: MuseTunePipeline, folders: Iterable[Path]) -> list[str]:
    """Load genre adapters, all silent; those of another base are left out.

    Returns the names of all that there are now.
    """
    for folder in folders:
        if folder.name in pipe.adapters:
            continue
        try:
            pipe.load_adapter(folder)
        except ValueError as error:
            log.info("%s is left out: %s", folder.name, error)
    names = genres_of(pipe)
    if names:
        pipe.set_adapter(None)
    return names


def genres_of(pipe: MuseTunePipeline) -> list[str]:
    """Names of the resident genre adapters."""
    return [info.name for info in pipe.adapters.values() if info.kind == "lora"]


def check_number(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError for what is no number from ``low`` to ``high``."""
    if not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name}: {str(value)[:NAME]} is not a number from {low:g} to {high:g}")


def play(pipe: MuseTunePipeline, order: Order, folder: Path, errand: Errand[Take] | None = None) -> Take:
    """Generate what ``order`` asks for into a new folder under ``folder``.

    Args:
        pipe: the pipeline.
        order: what is asked for.
        folder: where takes lie.
        errand: who waits for it: reported to and asked at every step.

    Raises:
        ValueError: as the pipeline does.
        StoppedError: where nobody waits any more.
    """
    import torch

    from musetune.audio import save_audio

    def after_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if errand is not None:
            errand.progress = f"{step + 1}/{order.steps} steps"
            errand.check()
        return tensors

    sheet = order.sheet()
    if genres_of(pipe):
        pipe.set_adapter({name: weight for name, weight in order.mix.items() if weight > 0} or None)
    output = pipe(
        order.prompt,
        lead_sheet=sheet,
        num_inference_steps=order.steps,
        return_report=True,
        generator=torch.Generator().manual_seed(order.seed),
        callback_on_step_end=after_step,
    )
    report = output.reports[0]
    audio, rate = output.audios[0], output.sampling_rate
    take_folder = new_folder(folder)
    stem = take_folder / f"musetune-{order.seed}"
    files = {name: stem.with_suffix(f".{suffix}") for name, suffix in FILES.items()}
    save_audio(files["WAV"], audio, rate)
    for name, file in files.items():
        if name != "WAV":
            sheet.save(file)
    settings = {"prompt": order.prompt, "seed": order.seed, "steps": order.steps, "mix": dict(order.mix)}
    record = report.to_json(settings)
    (take_folder / "report.json").write_text(json.dumps(record, indent=1))
    return Take(order, sheet, len(audio) / rate, record, files)


def listen(
    path: str | Path,
    worker: AnalysisWorker | None = None,
    errand: Errand[Any] | None = None,
    *,
    outputs: tuple[str, ...] = (),
    stem: Path | None = None,
) -> tuple[dict[str, Any], LeadSheet]:
    """Analyse a song (audio, MIDI, MusicXML or a lead sheet) in a process of its own.

    Args:
        path: the song.
        worker: the process to use; default a new one, which ends with the analysis.
        errand: who waits for it: reported to twice a second; when nobody waits any more, the process is stopped.
        outputs: kinds of files to write, of `musetune.analysis.export.KINDS`.
        stem: what their names begin with.

    Returns:
        The record, and the lead sheet with the recognised genre.

    Raises:
        ValueError: for what cannot be read, has no pulse, or takes longer than LISTENING_S.
        StoppedError: where nobody waits any more.
    """
    own = AnalysisWorker() if worker is None else worker
    try:
        job = AnalysisJob(str(path), outputs=outputs, stem=None if stem is None else str(stem))
        result = _answer(own, job, errand).result
    finally:
        if worker is None:
            own.close()
    genre = result.record["genre_analysis"].get("primary_genre")
    return result.record, replace(result.lead_sheet, genre=genre if genre in GENRES else None)


def _answer(worker: AnalysisWorker, job: AnalysisJob, errand: Errand[Any] | None) -> JobResult:
    """What the worker says to a job; it is killed when the time is up or nobody waits any more."""
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(worker.run, job)
        try:
            while not wait([future], BEAT_S).done:
                seconds = time.monotonic() - started
                if seconds > LISTENING_S:
                    raise ValueError(f"{Path(job.path).name} takes longer than {LISTENING_S / 60:g} minutes to analyse")
                if errand is not None:
                    errand.progress = f"listening, {seconds:.0f} s"
                    errand.check()
        except BaseException:
            worker.kill()
            raise
        return future.result()


def hand_over(sheet: LeadSheet) -> Order:
    """An analysed sheet as an order that can be changed.

    Its chart as text from the first bar line on, at a steady tempo.

    The length is the sheet's, within `SECONDS`; a key that changes is written out in the chords.
    """
    from musetune.analysis.record import main_key

    length = min(max(round(sheet.duration_s, 2), SECONDS[0]), SECONDS[1])
    return Order(
        chart_text(sheet), str(main_key(sheet)), float(round(sheet.bpm)), str(sheet.meter), sheet.genre, seconds=length
    )


def new_folder(folder: Path) -> Path:
    """A folder of its own for a take; the oldest beyond `KEPT` go."""
    takes = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in takes[: max(0, len(takes) - KEPT + 1)]:
        shutil.rmtree(old)
    return Path(tempfile.mkdtemp(prefix="take-", dir=folder))
