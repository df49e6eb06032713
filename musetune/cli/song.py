"""What the options of `musetune plan | compose` mean, checked before anything heavy is loaded.

And the files that they ask for.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.cli.sound import FORMATS, audio_kind, default_steps, load_pipeline, prepare_stereo, save_players

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet
    from musetune.symbols.arrangement import Arrangement

KINDS = {"midi": ".mid", "musicxml": ".musicxml", "mxl": ".mxl", "jams": ".jams", "plan": ".json"}  # option → suffix
NAMES = {"vocals": "lead", "vocal": "lead"}  # other names that --stems takes


def check_text(name: str, text: str) -> None:
    """Raise ValueError for words that are no text: bytes of another encoding than the shell's."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} {text!r} is no text at character {error.start + 1}: write it in UTF-8") from None


def pins_of(prompt: str, source: Path | None, **options: Any) -> dict[str, Any]:
    """The planner's arguments, each option checked by name. source: the plan to go on from."""
    from musetune.pipeline.checks import check_positive, reject_arguments
    from musetune.planning.planner.constraints_from_arguments import form_of
    from musetune.symbols import GENRES, Key, LeadSheet, Meter
    from musetune.symbols.beat_grid import check_bpm
    from musetune.symbols.names import suggest

    check_text("PROMPT", prompt)
    pins = {name: value for name, value in options.items() if value is not None}
    if not prompt.strip() and source is None and not pins:
        raise ValueError("say what song in PROMPT, pin something such as --chords, or go on from a plan with --from")
    if source is not None:
        own = {f"--{name}": options.get(name) for name in ("meter", "chords", "form")}
        reject_arguments(own, f"is the plan's own beside {source}: edit it there, or leave the plan out")
        pins["sheet"] = LeadSheet.load(source)
    if "bars" in pins and "seconds" in pins:
        raise ValueError(f"--bars {pins['bars']} and --seconds {pins['seconds']:g} both say how long: give one of them")
    if "bpm" in pins:
        check_bpm(pins["bpm"])
    if "seconds" in pins:
        check_positive("--seconds", pins["seconds"])
        pins["duration_seconds"] = pins.pop("seconds")
    if "meter" in pins:
        pins["time_signature"] = str(Meter.parse(pins.pop("meter")))
    if "key" in pins:
        pins["key"] = str(Key.parse(pins["key"]))
    if pins.get("genre", "pop") not in GENRES:
        raise ValueError(f"--genre {pins['genre']!r} is not one of {', '.join(GENRES)}{suggest(pins['genre'], GENRES)}")
    if "form" in pins:
        pins["sections"] = form_of(pins.pop("form"))
    return pins


def stem_names(text: str) -> tuple[str, ...]:
    """The players that ``text`` names, in the order in which they are written. Raises ValueError for another name."""
    from musetune.symbols.arrangement import STEMS
    from musetune.symbols.names import suggest

    names = [NAMES.get(word.lower(), word.lower()) for word in text.replace(",", " ").split()]
    for word in names:
        if word not in STEMS:
            raise ValueError(f"--stems {text!r}: {word!r} is not one of {', '.join(STEMS)}{suggest(word, STEMS)}")
    if not names:
        raise ValueError(f"--stems {text!r} names nobody; choose of {', '.join(STEMS)}")
    return tuple(name for name in STEMS if name in names)


def given_notes(
    notes_file: Path | None, source: Path | None, anew: tuple[str, ...]
) -> tuple[Arrangement | None, Path | None]:
    """The user's notes but for the players to be written ``anew``, each stem marked as theirs.

    And the plan to go on from, which ``notes_file`` is too where it has chords.
    """
    if notes_file is None:
        return None, source
    from musetune.formats.songs import load_arrangement
    from musetune.symbols import LeadSheet

    song = load_arrangement(notes_file)
    stems = {name: replace(stem, source="given") for name, stem in song.stems.items() if name not in anew}
    return replace(song, stems=stems), notes_file if source is None and LeadSheet.load(notes_file).chords else source


def like(notes_file: Path, pins: dict[str, Any]) -> dict[str, Any]:
    """``pins`` with the tempo, the meter and the length in bars of the user's notes where these are not pinned."""
    from musetune.symbols import LeadSheet

    sheet = LeadSheet.load(notes_file)
    own: dict[str, Any] = {"bpm": sheet.bpm, "time_signature": str(sheet.meter)}
    if not {"bars", "duration_seconds", "sections"} & set(pins):
        own["bars"] = math.ceil(sheet.length / sheet.meter.beats_per_bar)
    return own | pins


@dataclass(frozen=True)
class Output:
    """Which files: NAME with ``suffixes``, a folder of ``parts``, ``audio``, each player's too where
    ``stems_audio``.

    Attributes:
        kind: format of the audio.
        mono16: whether it is the base's own 16 kHz mono.
        lufs: loudness of the audio; None: as it is.
    """

    name: Path
    suffixes: tuple[str, ...]
    parts: bool
    audio: bool
    stems_audio: bool
    kind: str = "wav"
    mono16: bool = False
    lufs: float | None = None

    def path(self, suffix: str) -> Path:
        """NAME with ``suffix``; a dot in the name is part of it."""
        return self.name.with_name(self.name.name + suffix)

    def paths(self) -> Iterator[Path]:
        """All files and folders that may be written."""
        from musetune.audio.mixing import SUFFIX
        from musetune.symbols.arrangement import STEMS

        yield from map(self.path, self.suffixes)
        if self.parts:
            yield self.path(".parts")
        if self.audio:
            yield self.path(f".{self.kind}")
        if self.stems_audio:
            yield from (self.path(f".{name}.{self.kind}") for name in STEMS)
            yield self.path(SUFFIX)

    def check(self, *sources: Path | None) -> None:
        """Raise ValueError where a file would be written over one that is read, or into a folder that is not there."""
        if not self.name.absolute().parent.is_dir():
            raise ValueError(f"-o {self.name}: there is no folder {self.name.parent}; make it first")
        for path in map(self.path, self.suffixes):
            for source in sources:
                if source is not None and path.exists() and path.samefile(source):
                    raise ValueError(f"-o {self.name} would overwrite {source}, which is read: give another name")

    def write(self, sheet: LeadSheet, song: Arrangement, title: str) -> Iterator[Path]:
        """Notes as files."""
        from musetune.formats.songs import save_parts, save_song

        for suffix in self.suffixes:
            yield save_song(sheet, song, self.path(suffix), title=title)
        if self.parts:
            yield from save_parts(sheet, song, self.path(".parts"), title=title).values()

    def render(
        self, prompt: str, sheet: LeadSheet, song: Arrangement, sound: dict[str, Any], seed: int
    ) -> Iterator[Path]:
        """Audio as files; ``sound``: base, adapter, steps, fast and engine where they are not the defaults."""
        import torch
        from tqdm import tqdm

        from musetune.audio.export import export_audio
        from musetune.pipeline.loading import pick_device, quiet

        quiet()
        base, adapter, fast = sound.get("base", "nano"), sound.get("adapter"), bool(sound.get("fast"))
        engine = sound.get("engine")
        pipe, _ = load_pipeline(base, adapter, pick_device(None), music=True, fast=fast, engine=engine)
        if not self.mono16:
            prepare_stereo(pipe)
        pipe.set_progress_bar_config(disable=True)  # one bar for all players instead of one each
        players = [name for name, stem in song.stems.items() if stem.notes] if self.stems_audio else [""]
        steps = default_steps(pipe, sound.get("steps"))
        with tqdm(total=steps * len(players), desc="audio", unit="step", file=sys.stderr) as bar:

            def progress(_pipe: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
                player = players[min(bar.n // steps, len(players) - 1)]
                number = f" ({players.index(player) + 1} of {len(players)})" if player else ""
                bar.set_description(f"audio of {player}{number}" if player else "audio", refresh=False)
                bar.update()
                return {}

            output = pipe(
                prompt,
                lead_sheet=sheet,
                arrangement=song,
                stems=self.stems_audio,
                stereo=not self.mono16,
                generator=torch.Generator().manual_seed(seed),
                num_inference_steps=steps,
                callback_on_step_end=progress,
            )
        path, rate = self.path(f".{self.kind}"), output.sampling_rate
        if output.stems is None:
            yield export_audio(path, output.audios[0], rate, self.kind, self.lufs)
        else:
            yield from save_players(path, output.stems, rate, self.lufs, self.kind)


def output_of(
    out: Path,
    kinds: set[str],
    parts: bool,
    audio: bool,
    stems_audio: bool,
    *,
    kind: str | None = None,
    mono16: bool = False,
    lufs: float | None = None,
) -> Output:
    """What -o and the flags mean; MIDI beside audio, and where they say nothing of notes.

    Raises:
        ValueError: ``kind`` is no format of audio, or contradicts the suffix of ``out``.
    """
    suffixes = [suffix for name, suffix in KINDS.items() if name in kinds]
    tail = out.suffix.lower()
    tail = {".midi": ".mid", ".xml": ".musicxml"}.get(tail, tail)
    sounding = tail.removeprefix(".") in FORMATS
    kind = audio_kind(out if sounding else out.with_name(out.name + (f".{kind}" if kind else ".wav")), kind)
    if tail in KINDS.values() or sounding:
        out, audio = out.with_suffix(""), audio or sounding
        suffixes += [tail] if not sounding and tail not in suffixes else []
    if ".mid" not in suffixes and (audio or not (suffixes or parts)):
        suffixes = [".mid", *suffixes]
    return Output(out, tuple(suffixes), parts, audio, stems_audio, kind, mono16, lufs)
