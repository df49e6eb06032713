"""What the Edit tab does, without the page: a piece and what shall change of it become new takes. No gradio here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.analysis.service.worker import AnalysisWorker
from musetune.formats.chart_text import chart_text
from musetune.serve.edit_order import EditOrder, read_stretches
from musetune.serve.errand import Errand
from musetune.serve.listen_work import bars_of_song
from musetune.serve.remote_pipeline import RemoteOutput
from musetune.serve.work import (
    NAME,
    Order,
    Take,
    check_number,
    genres_of,
    hand_over,
    listen,
    save_take,
    style_options,
)
from musetune.symbols import Arrangement, LeadSheet

if TYPE_CHECKING:
    from musetune.pipeline.output import MuseTuneOutput
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.serve.remote import RemoteAnalyser
    from musetune.serve.remote_pipeline import RemotePipeline

LONGEST_S = 600.0  # of a recording


@dataclass(frozen=True)
class EditSource:
    """A piece that is edited.

    Attributes:
        name: what it is called.
        sound: its audio file.
        sheet: its lead sheet; the audio may ring on after its end.
        order: what it was made of; of a recording, what would make the like of it.
        latents: the file of a take's latents, which edits go on from; None: the base's encoder hears the sound.
        job: of a take that a service made, its job, which has the latents.
    """

    name: str
    sound: Path
    sheet: LeadSheet
    order: Order
    latents: Path | None = None
    job: str | None = None

    @staticmethod
    def of_take(name: str, take: Take) -> EditSource:
        """A take as what is edited."""
        return EditSource(name, take.files["WAV"], take.sheet, take.order, take.latents, take.job)


@dataclass(frozen=True)
class EditResult:
    """What came of an edit: takes, and a sentence about them, which may be empty."""

    takes: tuple[Take, ...]
    note: str = ""


def source_of_recording(
    path: str | Path, worker: AnalysisWorker | RemoteAnalyser, errand: Errand[Any] | None = None
) -> EditSource:
    """A recording as what is edited; its lead sheet is what the analysis hears.

    Raises:
        ValueError: as `work.listen` does, and for one that is longer than LONGEST_S.
        StoppedError: where nobody waits any more.
    """
    record, sheet = listen(path, worker, errand)
    seconds = float((record.get("source") or {}).get("duration_s") or sheet.duration_s)
    if seconds > LONGEST_S:
        raise ValueError(
            f"{Path(path).name} lasts {seconds:.0f} s; the page edits up to {LONGEST_S:.0f} s, `musetune repaint` more"
        )
    return EditSource(Path(path).name[:NAME], Path(path), sheet, hand_over(sheet))


def correct_source(
    source: EditSource, path: str | Path, worker: AnalysisWorker | RemoteAnalyser, errand: Errand[Any] | None = None
) -> EditSource:
    """A piece under a lead sheet of its own, in place of the one that was heard or asked for.

    Args:
        source: the piece.
        path: its lead sheet, .json, .mid, .musicxml, .mxl or .jams, which is read in a process of its own.
        worker: the process.
        errand: who waits for it.

    Raises:
        ValueError: for what cannot be read, and for a sheet that ends more than a beat before the piece's own.
        StoppedError: where nobody waits any more.
    """
    from musetune.pipeline.editing import check_covers

    _, sheet = listen(path, worker, errand)
    check_covers(sheet, source.sheet.duration_s, "piece")
    before = source.order
    order = replace(hand_over(sheet), prompt=before.prompt, seed=before.seed, steps=before.steps, mix=before.mix)
    return replace(source, sheet=sheet, order=order)


def edit(
    pipe: MuseTunePipeline | RemotePipeline,
    source: EditSource,
    order: EditOrder,
    folder: Path,
    errand: Errand[Any] | None = None,
) -> EditResult:
    """Do what is asked with a piece, and write what comes of it as takes into new folders under ``folder``.

    Raises:
        ValueError: as `EditOrder.check` and the pipeline do.
        StoppedError: where nobody waits any more.
    """
    import torch

    from musetune.audio import bit_depth
    from musetune.audio.loudness import peak_gain, true_peak

    order.check()
    calls: dict[str, Callable[..., MuseTuneOutput | RemoteOutput]] = {
        "repaint": _repaint, "extend": _extend, "vary": _vary, "cover": _cover, "loop": _loop,
    }  # fmt: skip

    def after_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if errand is not None:
            errand.progress, errand.share = f"{step + 1}/{order.steps:.0f} steps", (step + 1) / order.steps
            errand.check()
        return tensors

    if genres_of(pipe):
        pipe.set_adapter({name: weight for name, weight in source.order.mix.items() if weight > 0} or None)
    options = {
        "generator": torch.Generator().manual_seed(int(order.seed)),
        "num_inference_steps": int(order.steps),
        "callback_on_step_end": after_step,
    } | style_options(order.style, order.style_share)
    output = calls[order.kind](pipe, source, order, options)
    sheet = output.lead_sheet
    assert sheet is not None  # every call was given one
    made = replace(
        source.order,
        chords=chart_text(sheet),
        prompt=order.prompt,
        seed=int(order.seed),
        steps=int(order.steps),
        style=order.style,
        style_share=order.style_share,
        seconds=sheet.duration_s,
        bars=None,
        ending="loops" if order.kind == "loop" else "stops",
    )
    rate, depth = output.sampling_rate, None if order.kind == "loop" else bit_depth(source.sound)
    audios, latents = output.audios, None if order.kind == "loop" else output.latents
    if order.kind == "loop":  # one gain for all: they stay as loud beside each other as they were made
        audios = audios * peak_gain(max(map(true_peak, audios)))
    takes = tuple(save_take(made, sheet, audio, rate, folder, errand, depth, latents) for audio in audios)
    takes = tuple(replace(take, job=getattr(output, "job", None)) for take in takes)
    kept = output.reports[0].summary if order.kind == "cover" and output.reports else ""
    note = f"As MuseTune's own listener hears it, {kept}." if kept else ""
    return EditResult(takes, note)


def _repaint(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput | RemoteOutput:
    if not order.stretches.strip():
        raise ValueError("Stretch: say which bars shall be made anew; click them in the chart")
    bars, seconds = read_stretches(order.stretches)
    chords = order.chords.strip() or None
    output: MuseTuneOutput | RemoteOutput = pipe.repaint(
        **_piece(source, whole=True),
        lead_sheet=source.sheet,
        prompt=order.prompt,
        bars=bars,
        seconds=seconds,
        harmonic_progression=chords,
        **_notes(order),
        **options,
    )
    return output


def _extend(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput | RemoteOutput:
    from musetune.pipeline.continuing import continue_sheet, precede_sheet

    piece = _piece(source)
    sheet, chords = source.sheet, order.chords.strip() or chart_text(source.sheet)
    bar_s = sheet.meter.beats_per_bar * 60 / sheet.bpm
    before_s, after_s = order.before * bar_s, order.after * bar_s
    whole = continue_sheet(sheet, _seconds(piece), chords, after_s) if after_s else sheet
    if before_s:
        whole = precede_sheet(whole, chords, before_s)
    output: MuseTuneOutput | RemoteOutput = pipe.extend(
        **piece,
        lead_sheet=whole,
        prompt=order.prompt,
        before_seconds=before_s,
        after_seconds=after_s,
        **_notes(order),
        **options,
    )
    return output


def _vary(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput | RemoteOutput:
    output: MuseTuneOutput | RemoteOutput = pipe.vary(
        **_piece(source), lead_sheet=source.sheet, prompt=order.prompt, amount=order.amount, **options
    )
    return output


def _cover(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput | RemoteOutput:
    output: MuseTuneOutput | RemoteOutput = pipe.cover(
        **_piece(source), prompt=order.prompt, genre=order.genre, keep=order.keep, lead_sheet=source.sheet, **options
    )
    return output


def _loop(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput | RemoteOutput:
    bars = bars_of_song(source.sheet)
    first, last = 1, len(bars)
    if order.stretches.strip():
        numbers, _ = read_stretches(order.stretches)
        if numbers is None or len(numbers) != 1:
            raise ValueError(f"Stretch: {order.stretches.strip()!r}: a loop is bars in a row, such as 3-6")
        first, last = int(numbers[0][0]), int(numbers[0][1])
    check_number("Bars of the loop", first, 1, len(bars))
    check_number("Bars of the loop", last, first, len(bars))
    sheet = source.sheet.slice(bars[first - 1][0], bars[last - 1][1])
    stereo = pipe.upsampler is not None
    output: MuseTuneOutput | RemoteOutput = pipe.loop(
        sheet, order.prompt, loops=int(order.loops), stereo=stereo, **options
    )
    return output


def _notes(order: EditOrder) -> dict[str, Arrangement]:
    """The players' notes as the pipeline takes them; nothing where none are given."""
    from musetune.formats.songs import load_arrangement

    return {"arrangement": load_arrangement(order.notes)} if order.notes else {}


def _piece(source: EditSource, whole: bool = False) -> dict[str, Any]:
    """A piece as the pipeline takes it: a result where its latents are kept, else samples and their rate.

    Not ``whole``: up to the end of its lead sheet; what rings on is left.
    """
    from musetune.audio import load_audio
    from musetune.pipeline.output import MuseTuneOutput

    file, rate = load_audio(source.sound, mono=False)
    wave = file if whole else file[..., : round(source.sheet.duration_s * rate)]
    uncut = wave.shape == file.shape
    wave = wave[0] if len(wave) == 1 else wave
    if source.job is not None and uncut:  # the service has the sound that rings on too, and would go on after that
        return {"audio": RemoteOutput([wave], rate, source.sheet, job=source.job)}
    if source.latents is None:
        return {"audio": wave, "sampling_rate": rate}
    from safetensors.torch import load_file

    return {"audio": MuseTuneOutput(wave[None], rate, source.sheet, latents=load_file(source.latents)["latents"])}


def _seconds(piece: dict[str, Any]) -> float:
    """How long a piece is, as `_piece` gives it."""
    audio = piece["audio"]
    wave, rate = (audio.audios[0], audio.sampling_rate) if hasattr(audio, "audios") else (audio, piece["sampling_rate"])
    return float(wave.shape[-1] / rate)
