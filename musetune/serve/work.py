"""What the page does, without the page: check an order, play it, write its files, listen to a song. No gradio here."""

from __future__ import annotations

import itertools
import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, JobResult
from musetune.formats.chart_text import chart_text
from musetune.live.few_steps import few_steps_of, load_few_steps
from musetune.serve.errand import BEAT_S, Errand
from musetune.serve.remote_pipeline import RemotePipeline
from musetune.symbols import BPM_RANGE, GENRES, ChordSpan, LeadSheet
from musetune.symbols.expression import Expression

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from musetune.pipeline.output import MuseTuneOutput
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.serve.remote import RemoteAnalyser
    from musetune.serve.remote_pipeline import RemoteOutput

log = logging.getLogger(__name__)
SECONDS = (2.0, 60.0)  # what the page makes
BARS = (1, 128)
ENDINGS = ("rings out", "loops", "stops")
RING_S = 2.0  # how long a last chord rings at least, after the bars
LOOP_FADE_S = 0.2  # how long a loop that changes its meter is crossfaded; at most a beat at the fastest tempo
STEPS = (1, 50)
CHORDS, WORDS, NAME = 2000, 1000, 40  # characters of chords, of a prompt, of a key or a meter
LISTENING_S = 900.0  # an analysis may take so long
KEPT = 40  # takes whose files stay
SOUNDS = {"WAV": "wav", "FLAC": "flac", "MP3": "mp3", "OGG": "ogg"}
FILES = SOUNDS | {"MIDI": "mid", "MusicXML": "musicxml", "JAMS": "jams"}


@dataclass(frozen=True)
class Order:
    """What is asked for, as `MuseTunePipeline.__call__` names it.

    Attributes:
        bars: Length in bars; None: ``seconds`` counts.
        ending: What comes after the length, one of ENDINGS. "rings out": the last chord is held and fades. "loops": the
            audio is ``bars`` long to the sample, and its end leads into its beginning. "stops": nothing.
        mix: A weight, 0…1, for each genre adapter.
        style: Path of a clip whose sound is meant beside the words; None: the words alone.
        style_share: How much of it, 0…1.
        loudness: LUFS at the beginning and at the end; None: as it comes. One alone holds all the time.
        swing: Place of the second half of a beat; None: as it comes.
    """

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
    bars: int | None = None
    ending: str = "stops"
    style: str | None = None
    style_share: float = 1.0
    loudness: tuple[float | None, float | None] = (None, None)
    swing: float | None = None

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
            if text is None:
                raise ValueError(f"{name} is empty; it takes a text")
            if not isinstance(text, str) or len(text) > most:
                size = f"{len(text):,} characters" if isinstance(text, str) else f"{str(text)[:NAME]} is no text"
                raise ValueError(f"{name}: {size}; the page takes up to {most:,} characters, `musetune generate` more")
        if self.bars is None:
            check_number("Length in seconds", self.seconds, *SECONDS)
        else:
            check_whole("Length in bars", self.bars, *BARS)
        if self.ending not in ENDINGS:
            raise ValueError(f"Ending: {str(self.ending)[:NAME]} is none of {', '.join(ENDINGS)}")
        if self.ending == "loops" and self.bars is None:
            raise ValueError("Ending: a loop is a whole number of bars; give the length in bars")
        check_number("Tempo", self.bpm, *BPM_RANGE)
        check_whole("Steps", self.steps, *STEPS)
        check_whole("Seed", self.seed, 0, 2**63 - 1)
        for name, weight in self.mix.items():
            check_number(f"Weight of {name}", weight, 0, 1)
        check_number("Share of the clip", self.style_share, 0, 1)
        self._expression(1.0)

    def expression(self) -> Expression | None:
        """How it is to be played; None where nothing is said of that."""
        if self._expression(1.0) == Expression():
            return None
        return self._expression(self.sheet().duration_s)

    def _expression(self, seconds: float) -> Expression:
        first, last = self.loudness
        levels = [level for level in (first, last) if level is not None]
        times = (0.0, seconds)[: len(levels)]
        return Expression(tuple(zip(times, levels, strict=True)), swing=self.swing)

    def sheet(self) -> LeadSheet:
        """The lead sheet, repeated to the length. Raises ValueError that names what is wrong."""
        if self.bars is None:
            return self._read(self.seconds)
        loop = self.loop()
        edges = [*loop.downbeats(), loop.length]
        lengths = itertools.islice(itertools.cycle(b - a for a, b in itertools.pairwise(edges)), int(self.bars))
        seconds = float(sum(lengths, Fraction(0))) * 60 / self.bpm
        if not SECONDS[0] <= seconds <= SECONDS[1]:
            bar = seconds / self.bars
            low, high = math.ceil(SECONDS[0] / bar), math.floor(SECONDS[1] / bar)
            raise ValueError(
                f"Length: {self.bars:g} bars last {seconds:.4g} s at this tempo, and the page makes {SECONDS[0]:g} to "
                f"{SECONDS[1]:g} s: {low} to {high} bars"
            )
        return self._read(seconds)

    def loop(self) -> LeadSheet:
        """The progression once, as written."""
        return self._read(None)

    def played(self) -> LeadSheet:
        """The lead sheet with what the ending needs after it.

        The last chord goes on for RING_S where it rings out; where it loops and is no circle, the first one comes again
        for a beat.
        """
        sheet = self.sheet()
        if self.ending == "stops" or self.is_circle():
            return sheet
        last, first = sheet.chords[-1], sheet.chord_at(Fraction(0))
        if self.ending == "loops":
            return replace(
                sheet, chords=(*sheet.chords, ChordSpan(sheet.length, Fraction(1), first)), length=sheet.length + 1
            )
        more = Fraction(math.ceil(RING_S * self.bpm / 60))
        return replace(
            sheet, chords=(*sheet.chords[:-1], replace(last, beats=last.beats + more)), length=sheet.length + more
        )

    def is_circle(self) -> bool:
        """Whether it is a loop that the model plays in a circle: one of a single meter. Others are crossfaded."""
        return self.ending == "loops" and len(self.sheet().meters) == 1

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
    """One answer to an order: its sheet, the report's JSON (`evaluation.Report.to_json`), files by name, as FILES has
    them, and what edits go on from, where there is any: the file of its latents, or the service's job that has them.
    """

    order: Order
    sheet: LeadSheet
    seconds: float
    report: dict[str, Any]
    files: Mapping[str, Path]
    latents: Path | None = None
    job: str | None = None


def load(
    base: str,
    adapter: str | None,
    device: str | None = None,
    *,
    mono16: bool = False,
    few_steps: bool = False,
    engines: Iterable[Path] = (),
) -> MuseTunePipeline:
    """The pipeline with a theory adapter (default: the base's own, else "theory") and, silent, the bundled genre
    adapters that fit; and with an upsampler, the base's own or MuseTune's, unless ``mono16`` or the base's rate
    forbids it. With ``few_steps`` the bundled adapter for few steps is there too, silent, for Live.

    ``engines`` are folders of exported U-Nets that play in its place (``MuseTunePipeline.load_engine``).

    Raises:
        ValueError: for a folder of ``engines`` that holds none, and where no engine is installed.
    """
    from musetune.models.upsampler.network import RATE
    from musetune.pipeline.exported_unet import check_export
    from musetune.pipeline.loading import pick_device, quiet
    from musetune.pipeline.pipeline import MuseTunePipeline

    place, folders = pick_device(device), list(engines)
    for folder in folders:  # before the base is loaded
        check_export(folder)
    quiet()
    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter)
    if pipe.adapter is None:
        pipe.load_adapter("theory")
    stack(pipe, genre_folders())
    if few_steps and few_steps_of(pipe) is None and (name := load_few_steps(pipe)) is not None:
        pipe.set_adapter({name: 0.0})
    if few := {name: 0.0 for name, info in pipe.adapters.items() if info.steps is not None and info.weight}:
        log.warning("%s is for few steps: page and service play without it, but for Live", ", ".join(few))
        pipe.set_adapter(few)
    if mono16 or pipe.vocoder.config.sampling_rate != RATE:
        pipe.register_modules(upsampler=None)
    elif pipe.upsampler is None:
        pipe.load_upsampler()
    if folders:
        pipe.load_engine(folders)
    return pipe.to(place)


def genre_folders() -> list[Path]:
    """The genre adapters that come with MuseTune; not the one for few steps."""
    from musetune.adapter.metadata import read_adapter_metadata
    from musetune.hub.locate import BUNDLED_ADAPTERS, is_lora

    loras = (folder for place in BUNDLED_ADAPTERS for folder in sorted(place.glob("*")) if is_lora(folder))
    folders = {
        folder.name: folder
        for folder in loras
        if (metadata := read_adapter_metadata(folder)) is None or metadata.sampling is None
    }
    return [folders[name] for name in sorted(folders)]


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


def genres_of(pipe: MuseTunePipeline | RemotePipeline) -> list[str]:
    """Names of the resident genre adapters."""
    return [
        info.name for info in pipe.adapters.values() if info.kind == "lora" and getattr(info, "steps", None) is None
    ]


def reads_expression(pipe: MuseTunePipeline | RemotePipeline) -> bool:
    """Whether the adapter can be told how music is played; a service's is not known here."""
    return getattr(getattr(pipe, "adapter", None), "expression", None) is not None


def style_options(style: str | None, share: float) -> dict[str, Any]:
    """What the pipeline is told of a clip whose sound is meant; nothing where there is none."""
    return {"style_audio": str(style), "style_strength": float(share)} if style else {}


def check_number(name: str, value: float | None, low: float, high: float) -> None:
    """Raise ValueError for what is no number from ``low`` to ``high``."""
    if value is None or value == "":
        raise ValueError(f"{name} is empty; it takes a number from {low:g} to {high:g}")
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise ValueError(f"{name}: {str(value)[:NAME]} is not a number from {low:g} to {high:g}")


def check_whole(name: str, value: float | None, low: int, high: int) -> None:
    """Raise ValueError for what is no whole number from ``low`` to ``high``."""
    check_number(name, value, low, high)
    if value != int(value or 0):
        raise ValueError(f"{name}: {value} is not a whole number from {low:g} to {high:g}")


def finish(audio: np.ndarray, rate: int, seconds: float, ending: str) -> np.ndarray:
    """Cut what was generated to its length and give it its ending.

    Args:
        audio: Samples (n,) or (channels, n), longer than ``seconds`` by what `Order.played` adds.
        rate: Sampling rate in Hz.
        seconds: Length of the bars.
        ending: One of ENDINGS.

    Returns:
        Samples (m,) or (channels, m): with a fade after ``seconds`` where it rings out; else ``seconds`` long to the
        sample. Where it loops, its first LOOP_FADE_S come in while what follows the last bar goes out, at equal power.

    Example:
        >>> import numpy as np
        >>> finish(np.ones(48000), 16000, 2.0, "loops").shape
        (32000,)
    """
    import numpy as np

    length = min(round(seconds * rate), audio.shape[-1])
    rest = audio[..., length:]
    if ending == "rings out":
        fade = np.cos(np.linspace(0, np.pi / 2, max(rest.shape[-1], 1))) ** 2
        faded = rest * fade[: rest.shape[-1]]
        return np.concatenate([audio[..., :length], faded], axis=-1).astype(audio.dtype)
    body = audio[..., :length].copy()
    if ending == "loops":
        n = min(round(LOOP_FADE_S * rate), rest.shape[-1], length)
        angle = np.linspace(0, np.pi / 2, n, endpoint=False)
        body[..., :n] = rest[..., :n] * np.cos(angle) + body[..., :n] * np.sin(angle)
    return body


def widen(
    pipe: MuseTunePipeline | RemotePipeline, mono: np.ndarray, rate: int, loop_s: float | None = None
) -> tuple[np.ndarray, int]:
    """The sound that the page plays, and its rate in Hz: 48 kHz stereo (2, n) where the pipeline has an upsampler.

    ``loop_s``: seconds of what is a circle, and stays one.
    """
    if pipe.upsampler is None:
        return mono, rate
    if loop_s is not None and not isinstance(pipe, RemotePipeline):  # a service widens its loops itself
        from musetune.pipeline.looping import stereo_loop

        return stereo_loop(pipe, mono, loop_s), 48000
    return pipe.to_stereo(mono), 48000


def generate(
    pipe: MuseTunePipeline | RemotePipeline, order: Order, errand: Errand[Any] | None = None, label: str = ""
) -> MuseTuneOutput | RemoteOutput:
    """Generate the sound that ``order`` asks for.

    Args:
        pipe: the pipeline.
        order: what is asked for.
        errand: who waits for it: reported to and asked at every step.
        label: what stands before the steps in the report.

    Returns:
        What the pipeline made: one waveform, mono, longer than the order by what `Order.played` adds; `widen` and
        `finish` make of it what is heard.

    Raises:
        ValueError: as the pipeline does.
        StoppedError: where nobody waits any more.
    """
    import torch

    def after_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if errand is not None:
            errand.progress, errand.share = f"{label}{step + 1}/{order.steps:.0f} steps", (step + 1) / order.steps
            errand.check()
        return tensors

    if genres_of(pipe):
        pipe.set_adapter({name: weight for name, weight in order.mix.items() if weight > 0} or None)
    options = style_options(order.style, order.style_share)
    if (said := order.expression()) is not None:
        options["expression"] = said
    if order.is_circle():
        options["loop"] = True
    return pipe(
        order.prompt,
        lead_sheet=order.played(),
        num_inference_steps=int(order.steps),
        generator=torch.Generator().manual_seed(int(order.seed)),
        callback_on_step_end=after_step,
        **options,
    )


def play(
    pipe: MuseTunePipeline | RemotePipeline, order: Order, folder: Path, errand: Errand[Take] | None = None
) -> Take:
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
    output = generate(pipe, order, errand)
    audio, rate = finish_order(pipe, order, output)
    take = save_take(order, order.sheet(), audio, rate, folder, errand, latents=output.latents)
    cut = order.ending == "loops" and not order.is_circle()  # no longer as long as the service's own
    return replace(take, job=None if cut else getattr(output, "job", None))


def finish_order(
    pipe: MuseTunePipeline | RemotePipeline, order: Order, output: MuseTuneOutput | RemoteOutput
) -> tuple[np.ndarray, int]:
    """The sound that is heard of what `generate` made, (n,) or (2, n), and its rate in Hz."""
    seconds = order.sheet().duration_s
    loop_s = seconds if order.is_circle() else None
    wide, rate = widen(pipe, output.audios[0], output.sampling_rate, loop_s)
    return finish(wide, rate, seconds, order.ending), rate


def save_take(
    order: Order,
    sheet: LeadSheet,
    audio: np.ndarray,
    rate: int,
    folder: Path,
    errand: Errand[Any] | None = None,
    depth: str | None = None,
    latents: Tensor | None = None,
) -> Take:
    """Listen to what was made, and write it with its files into a new folder under ``folder``.

    Args:
        order: what was asked for.
        sheet: what is played; the audio may ring on after its end.
        audio: samples (n,) or (channels, n).
        rate: samples a second.
        folder: where takes lie.
        errand: who waits for it.
        depth: of the samples of WAV and FLAC, as `save_audio` has it, which are then written as they are; None: no
            file peaks above −1 dBTP.
        latents: (1, channels, rows, cols) of the pipeline, where there are any: the next edit goes on from them.

    Raises:
        StoppedError: where nobody waits any more.
    """
    from musetune.audio import save_audio
    from musetune.audio.export import export_audio
    from musetune.evaluation import report

    if errand is not None:
        errand.progress, errand.share = "listening to it", None
        errand.check()
    mono = audio if audio.ndim == 1 else audio.mean(axis=0)
    obeyed = report(mono[: round(sheet.duration_s * rate)], rate, sheet)
    if errand is not None:
        errand.progress = "writing files"
        errand.check()
    take_folder = new_folder(folder)
    stem = take_folder / f"musetune-{order.seed}"
    files = {name: stem.with_suffix(f".{suffix}") for name, suffix in FILES.items()}
    for name, file in files.items():
        if depth is not None and name in ("WAV", "FLAC"):
            save_audio(file, audio, rate, depth="PCM_24" if (name, depth) == ("FLAC", "FLOAT") else depth)
        elif name in SOUNDS:
            export_audio(file, audio, rate)
        else:
            sheet.save(file)
    settings = {"prompt": order.prompt, "seed": order.seed, "steps": order.steps, "mix": dict(order.mix)}
    if order.style:
        settings["style"] = {"clip": Path(order.style).name, "share": order.style_share}
    record = obeyed.to_json(settings | {"bars": order.bars, "ending": order.ending})
    (take_folder / "report.json").write_text(json.dumps(record, indent=1))
    if latents is None:
        return Take(order, sheet, audio.shape[-1] / rate, record, files)
    from safetensors.torch import save_file

    kept = take_folder / "latents.safetensors"
    save_file({"latents": latents[:1].detach().cpu().contiguous()}, kept)
    return Take(order, sheet, audio.shape[-1] / rate, record, files, kept)


def listen(
    path: str | Path,
    worker: AnalysisWorker | RemoteAnalyser | None = None,
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


def _answer(worker: AnalysisWorker | RemoteAnalyser, job: AnalysisJob, errand: Errand[Any] | None) -> JobResult:
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
    """An analysed sheet as an order that can be changed, at a steady tempo.

    Its chart as text from the first bar line on, as far as the page can make it (``SECONDS``). The length is that in
    bars, and it rings out; it is in seconds where not even one bar fits. A key that changes is written in the chords.
    """
    from musetune.analysis.record import main_key

    bpm = float(min(max(round(sheet.bpm), BPM_RANGE[0]), BPM_RANGE[1]))
    words = chart_text(sheet).strip("| ").split(" | ")
    edges = [*sheet.downbeats(), sheet.length]
    ends = [float(edge - edges[0]) * 60 / bpm for edge in edges[1:]]
    bars = max(1, min(sum(end <= SECONDS[1] for end in ends), BARS[1], len(words)))
    seconds = min(max(round(sheet.duration_s, 2), SECONDS[0]), SECONDS[1])
    whole = bool(ends) and SECONDS[0] <= ends[bars - 1] <= SECONDS[1]
    return Order(
        f"| {' | '.join(words[:bars])} |",
        str(main_key(sheet)),
        bpm,
        str(sheet.meter),
        sheet.genre,
        seconds=seconds,
        bars=bars if whole else None,
        ending=ENDINGS[0],
    )


def new_folder(folder: Path) -> Path:
    """A folder of its own for a take; the oldest beyond `KEPT` go."""
    takes = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in takes[: max(0, len(takes) - KEPT + 1)]:
        shutil.rmtree(old)
    return Path(tempfile.mkdtemp(prefix="take-", dir=folder))
