"""What the page does, without the page: check an order, play it, write its files, listen to a song. No gradio here."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.formats.chart_text import chart_text
from musetune.symbols import GENRES, LeadSheet

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

log = logging.getLogger(__name__)
SECONDS = (2.0, 60.0)  # what the page makes
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

    def sheet(self) -> LeadSheet:
        """The lead sheet, repeated to the length. Raises ValueError that names what is wrong."""
        return self._read(self.seconds)

    def loop(self) -> LeadSheet:
        """The progression once, as written."""
        return self._read(None)

    def _read(self, seconds: float | None) -> LeadSheet:
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
    """One answer to an order: its sheet, the report's JSON (`evaluation.Report.to_json`), and files by name: WAV, MIDI, MusicXML, JAMS."""

    order: Order
    sheet: LeadSheet
    seconds: float
    report: dict[str, Any]
    files: Mapping[str, Path]


def load(base: str, adapter: str | None, device: str | None = None) -> MuseTunePipeline:
    """The pipeline with a theory adapter (default: the base's own, else "theory") and, silent, the bundled genre adapters that fit."""
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
    from musetune.hub.locate import PLACES, is_lora

    found = {folder.name: folder for place in PLACES for folder in sorted(place.glob("*")) if is_lora(folder)}
    return [found[name] for name in sorted(found)]


def stack(pipe: MuseTunePipeline, folders: Iterable[Path]) -> list[str]:
    """Load genre adapters, all silent; those of another base are left out. Returns the names of all that there are now."""
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


def play(pipe: MuseTunePipeline, order: Order, folder: Path) -> Take:
    """Generate what ``order`` asks for into a new folder under ``folder``. Raises ValueError as the pipeline does."""
    import torch

    from musetune.audio import save_audio

    sheet = order.sheet()
    if genres_of(pipe):
        pipe.set_adapter({name: weight for name, weight in order.mix.items() if weight > 0} or None)
    made = pipe(
        order.prompt, lead_sheet=sheet, num_inference_steps=order.steps, return_report=True,
        generator=torch.Generator().manual_seed(order.seed),
    )  # fmt: skip
    report = made.reports[0]
    audio, rate = made.audios[0], made.sampling_rate
    place = _new_folder(folder)
    stem = place / f"musetune-{order.seed}"
    files = {name: stem.with_suffix(f".{suffix}") for name, suffix in FILES.items()}
    save_audio(files["WAV"], audio, rate)
    for name, file in files.items():
        if name != "WAV":
            sheet.save(file)
    told = report.to_json({"prompt": order.prompt, "seed": order.seed, "steps": order.steps, "mix": dict(order.mix)})
    (place / "report.json").write_text(json.dumps(told, indent=1))
    return Take(order, sheet, len(audio) / rate, told, files)


def listen(path: str | Path) -> tuple[dict[str, Any], LeadSheet]:
    """The record of a song (audio, MIDI, MusicXML or a lead sheet) and its sheet with the genre that was heard.

    Raises ValueError for what cannot be read or has no pulse.
    """
    from musetune.analysis import analyze

    heard = analyze(path)
    record = heard.to_json()
    genre = record["genre_analysis"].get("primary_genre")
    return record, replace(heard.lead_sheet, genre=genre if genre in GENRES else None)


def hand_over(sheet: LeadSheet) -> Order:
    """An analysed sheet as an order that can be changed: its chart as text from the first bar line on, at a steady tempo.

    The length is the sheet's, within `SECONDS`; a key that changes is written out in the chords.
    """
    from musetune.analysis.record import main_key

    length = min(max(round(sheet.duration_s, 2), SECONDS[0]), SECONDS[1])
    return Order(
        chart_text(sheet), str(main_key(sheet)), float(round(sheet.bpm)), str(sheet.meter), sheet.genre, seconds=length
    )


def _new_folder(folder: Path) -> Path:
    """A folder of its own for a take; the oldest beyond `KEPT` go."""
    takes = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in takes[: max(0, len(takes) - KEPT + 1)]:
        shutil.rmtree(old)
    return Path(tempfile.mkdtemp(prefix="take-", dir=folder))
