"""What the Edit tab does, without the page: a piece and what shall change of it become new takes. No gradio here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.analysis.service.worker import AnalysisWorker
from musetune.formats.chart_text import chart_text
from musetune.serve.edit_order import EditOrder, read_stretches
from musetune.serve.errand import Errand
from musetune.serve.history import NamedTake
from musetune.serve.listen_work import bars_of_song
from musetune.serve.work import (
    NAME,
    Order,
    Take,
    check_local,
    check_number,
    genres_of,
    hand_over,
    listen,
    save_take,
    style_options,
)
from musetune.symbols import BeatGrid, LeadSheet

if TYPE_CHECKING:
    from musetune.pipeline.output import MuseTuneOutput
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.serve.remote import RemoteAnalyser

LONGEST_S = 600.0  # of a recording


@dataclass(frozen=True)
class EditSource:
    """A piece that is edited.

    Attributes:
        name: what it is called.
        sound: its audio file.
        sheet: its lead sheet; the audio may ring on after its end.
        order: what it was made of; of a recording, what would make the like of it.
    """

    name: str
    sound: Path
    sheet: LeadSheet
    order: Order


@dataclass(frozen=True)
class EditResult:
    """What came of an edit: takes, and a sentence about them, which may be empty."""

    takes: tuple[Take, ...]
    note: str = ""


def source_of_take(one: NamedTake) -> EditSource:
    """A take as what is edited."""
    return EditSource(one.name, one.take.files["WAV"], one.take.sheet, one.take.order)


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


def edit(
    pipe: MuseTunePipeline, source: EditSource, order: EditOrder, folder: Path, errand: Errand[Any] | None = None
) -> EditResult:
    """Do what is asked with a piece, and write what comes of it as takes into new folders under ``folder``.

    Raises:
        ValueError: as `EditOrder.check` and the pipeline do.
        StoppedError: where nobody waits any more.
    """
    import torch

    from musetune.audio import bit_depth

    order.check()
    check_local(pipe, order.kind, "Edit")
    calls: dict[str, Callable[..., MuseTuneOutput]] = {
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
    takes = tuple(save_take(made, sheet, audio, rate, folder, errand, depth) for audio in output.audios)
    note = output.reports[0].summary if order.kind == "cover" and output.reports else ""
    return EditResult(takes, note)


def _repaint(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput:
    if not order.stretches.strip():
        raise ValueError("Stretch: say which bars shall be made anew; click them in the chart")
    bars, seconds = read_stretches(order.stretches)
    chords = order.chords.strip() or None
    output: MuseTuneOutput = pipe.repaint(
        str(source.sound),
        source.sheet,
        order.prompt,
        bars=bars,
        seconds=seconds,
        harmonic_progression=chords,
        **options,
    )
    return output


def _extend(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput:
    from musetune.pipeline.continuing import continue_sheet

    wave, rate = _sound(source)
    sheet, chords = source.sheet, order.chords.strip() or chart_text(source.sheet)
    bar_s = sheet.meter.beats_per_bar * 60 / sheet.bpm
    before_s, after_s = order.before * bar_s, order.after * bar_s
    whole = continue_sheet(sheet, wave.shape[-1] / rate, chords, after_s) if after_s else sheet
    if before_s:
        whole = put_in_front(whole, chords, int(order.before))
    output: MuseTuneOutput = pipe.extend(
        wave, whole, order.prompt, before_seconds=before_s, after_seconds=after_s, sampling_rate=rate, **options
    )
    return output


def _vary(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput:
    wave, rate = _sound(source)
    output: MuseTuneOutput = pipe.vary(
        wave, source.sheet, order.prompt, amount=order.amount, sampling_rate=rate, **options
    )
    return output


def _cover(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput:
    wave, rate = _sound(source)
    output: MuseTuneOutput = pipe.cover(
        wave,
        order.prompt,
        genre=order.genre,
        keep=order.keep,
        lead_sheet=source.sheet,
        sampling_rate=rate,
        **options,
    )
    return output


def _loop(pipe: Any, source: EditSource, order: EditOrder, options: dict[str, Any]) -> MuseTuneOutput:
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
    output: MuseTuneOutput = pipe.loop(sheet, order.prompt, loops=int(order.loops), stereo=stereo, **options)
    return output


def _sound(source: EditSource) -> tuple[np.ndarray, int]:
    """Samples (n,) or (channels, n) of a piece up to the end of its lead sheet, and their rate: what rings is left."""
    from musetune.audio import load_audio

    wave, rate = load_audio(source.sound, mono=False)
    return wave[..., : round(source.sheet.duration_s * rate)].squeeze(), rate


def put_in_front(sheet: LeadSheet, chords: str, bars: int) -> LeadSheet:
    """A sheet with bars before it, in its tempo, key and meter.

    Args:
        sheet: what comes after; its first beat is at time 0.
        chords: what is played before, repeated to so many bars.
        bars: 1 or more.

    Raises:
        ValueError: for a sheet that does not begin with a bar line at time 0.

    Example:
        >>> put_in_front(LeadSheet.parse("| C | F |", bpm=120), "| G |", 2).chord_labels
        ['G:maj', 'G:maj', 'C:maj', 'F:maj']
    """
    if sheet.first_downbeat != 0 or abs(float(sheet.grid.time_at(0))) > 1e-6 or sheet.length.denominator != 1:
        raise ValueError(
            "Bars before: the piece does not begin with a bar line, so nothing can be put in front of it; extend after"
        )
    beats = bars * sheet.meter.beats_per_bar
    seconds = float(beats * 60 / sheet.bpm)
    key, meter = str(sheet.key_at(Fraction(0))), str(sheet.meter)
    front = LeadSheet.parse(chords, key=key, bpm=sheet.bpm, time_signature=meter, duration_seconds=seconds)
    times = np.asarray(sheet.grid.time_at(np.arange(1, int(sheet.length) + 1, dtype=float))) + seconds
    new = np.arange(int(beats) + 1) * seconds / int(beats)

    def later(spans: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(replace(span, start=span.start + beats) for span in spans)

    return replace(
        sheet,
        chords=(*front.chords, *later(sheet.chords)),
        keys=(*front.keys, *later(sheet.keys)),
        meters=(*front.meters, *later(sheet.meters)),
        melody=later(sheet.melody),
        sections=later(sheet.sections),
        grid=BeatGrid((*new.tolist(), *times.tolist())),
        length=sheet.length + beats,
    )
