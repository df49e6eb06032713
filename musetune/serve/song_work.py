"""What the Song tab does, without the page: a sentence becomes a plan, notes of players, audio. No gradio here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.formats.chart_text import chart_text
from musetune.planning.planner.section_purposes import section_purposes
from musetune.serve.errand import Errand
from musetune.serve.remote_pipeline import RemotePipeline
from musetune.serve.song_mix import MixFiles, mix_players, remix
from musetune.serve.work import NAME, SECONDS, STEPS, WORDS, check_number, genres_of, new_folder, widen
from musetune.symbols import Arrangement, LeadSheet

if TYPE_CHECKING:
    import numpy as np

    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols.arrangement import Stem

BARS = (1, 128)
CHART, FORM = 6000, 400  # characters of a plan's chart, of a form
PLAN_S = 300.0  # a song may last so long
AUDIO_S = SECONDS[1]  # of which so much becomes audio at once
LINE = 4  # bars in a line of the chart
ANEW = 7919  # between the seeds of a player's versions: no other seed that a user is likely to take
FILES = {"MIDI": "song.mid", "MusicXML": "song.musicxml", "Plan (JSON)": "song.json"}


@dataclass(frozen=True)
class SongOrder:
    """What song is asked for; what is None, the planner chooses.

    ``form``: AABA, or "verse:8 chorus:8". ``style``: a style's name. ``styles``: path of a YAML file of own styles.
    """

    prompt: str = ""
    key: str | None = None
    bpm: float | None = None
    meter: str | None = None
    genre: str | None = None
    form: str | None = None
    bars: float | None = None
    seed: int = 0
    style: str | None = None
    styles: str | None = None

    def check(self) -> None:
        """Raise ValueError, which names the field, for what the page does not take, before any work is done."""
        lengths = (
            ("What song", self.prompt, WORDS),
            ("Key", self.key or "", NAME),
            ("Meter", self.meter or "", NAME),
            ("Genre", self.genre or "", NAME),
            ("Form", self.form or "", FORM),
            ("Style", self.style or "", WORDS),
        )
        for name, text, most in lengths:
            if not isinstance(text, str) or len(text) > most:
                size = f"{len(text):,} characters" if isinstance(text, str) else repr(text)[:NAME]
                raise ValueError(f"{name}: {size}; the page takes a text of up to {most:,}")
        if self.bars is not None:
            check_number("Bars", self.bars, *BARS)
            if self.bars != int(self.bars):
                raise ValueError(f"Bars: {self.bars:g} is no whole number")
        if self.bpm is not None:
            check_number("Tempo", self.bpm, 30, 300)
        check_number("Seed", self.seed, 0, 2**31 - 1)
        if not self.prompt.strip() and self.style is None and all(value is None for value in self.pins().values()):
            raise ValueError("What song: say it in words, such as “slow sad waltz”, or pin something")

    def pins(self) -> dict[str, Any]:
        """The planner's arguments, None where it chooses."""
        from musetune.planning.planner.constraints_from_arguments import form_of

        return {
            "key": self.key,
            "bpm": self.bpm,
            "time_signature": self.meter,
            "genre": self.genre,
            "sections": None if self.form is None else form_of(self.form),
            "bars": None if self.bars is None else int(self.bars),
        }

    def rest(self) -> dict[str, Any]:
        """The planner's other arguments."""
        return {"seed": self.seed, "style": self.style, "styles": self.styles}


@dataclass(frozen=True)
class PlanHeader:
    """What of a plan is not in its chart: key, tempo, meter, genre, style."""

    key: str = "C major"
    bpm: float = 120.0
    meter: str = "4/4"
    genre: str | None = None
    style: str | None = None

    @staticmethod
    def of(sheet: LeadSheet) -> PlanHeader:
        """The header of a plan."""
        return PlanHeader(str(sheet.key), sheet.bpm, str(sheet.meter), sheet.genre, sheet.style)


@dataclass(frozen=True)
class PlayerRequest:
    """What one player's audio is made of: its notes, the seed of its noise, its words ("": the instrument's own)."""

    stem: Stem
    seed: int
    words: str


@dataclass(frozen=True)
class SongAudio:
    """A song, or a stretch of it, as audio.

    Attributes:
        sheet: the stretch, its time 0 at its first bar.
        from_s: where it begins in the song, seconds.
        settings: what else the audio depends on: first bar, steps, seed.
        mix: the files of all players together and of each.
        raw: each player as it was generated, before all were scaled alike, with what it is made of.
    """

    sheet: LeadSheet
    from_s: float
    settings: tuple[int, int, int]
    mix: MixFiles
    raw: Mapping[str, tuple[PlayerRequest, Path]]


@dataclass(frozen=True)
class Song:
    """A plan with its players' notes, and their files by name.

    ``versions``: how often a player was written anew. ``sounds``: how often a player got another sound, and its words.
    ``styles``: path of the YAML file of own
    styles by which it was written.
    """

    sheet: LeadSheet
    arrangement: Arrangement
    title: str
    files: Mapping[str, Path]
    seed: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)
    sounds: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    audio: SongAudio | None = None
    styles: str | None = None


# -- the plan ----------------------------------------------------------------------------------------------------------


def write_plan(order: SongOrder, errand: Errand[LeadSheet] | None = None) -> LeadSheet:
    """Write a song's plan.

    Raises:
        ValueError: for pins that cannot be, and for a plan longer than PLAN_S.
        StoppedError: where nobody waits any more.
    """
    order.check()
    return _planned(order.prompt, order.pins() | order.rest(), errand)


def apply_pins(sheet: LeadSheet, order: SongOrder, errand: Errand[LeadSheet] | None = None) -> LeadSheet:
    """Go on from a plan: ``key`` transposes it, ``bpm`` and ``genre`` replace its own, further ``bars`` are written.

    Raises:
        ValueError: for another meter or form, which are the plan's own; as `write_plan` does.
        StoppedError: where nobody waits any more.
    """
    order.check()
    pins = order.pins()
    if pins["time_signature"] not in (None, str(sheet.meter)):
        raise ValueError(f"Meter: the chart is in {sheet.meter}; for another one write a new plan")
    if pins["sections"] is not None:
        raise ValueError("Form: the chart has its own, in [brackets]; edit it there, or write a new plan")
    if pins["bars"] is not None and pins["bars"] < len(sheet.downbeats()):
        raise ValueError(
            f"Bars: {pins['bars']} are fewer than the chart's {len(sheet.downbeats())}; delete bars in the chart"
        )
    own_pins = {name: pins[name] for name in ("key", "bpm", "genre", "bars")}
    return _planned(order.prompt, own_pins | {"sheet": sheet} | order.rest(), errand)


def _planned(prompt: str, pins: dict[str, Any], errand: Errand[LeadSheet] | None) -> LeadSheet:
    from musetune.planning.planner.planner import plan

    _say(errand, "Step 1 of 3, plan: writing it")
    sheet = plan(prompt, **pins)
    _check_length(sheet)
    return sheet


def plan_text(sheet: LeadSheet) -> str:
    """The plan's chart to edit: a section begins a line under its name in brackets, four bars to a line.

    Example:
        >>> print(plan_text(LeadSheet.parse("[A] C F [B] G C")))
        [A] | C | F |
        [B] | G | C |
    """
    spans = [(f"[{part.label}] ", part.start, part.start + part.beats) for part in sheet.sections]
    lines = []
    for label, start, end in spans or [("", Fraction(0), sheet.length)]:
        bars = chart_text(sheet.slice(start, min(end, sheet.length))).strip("| ").split(" | ")
        rows = [" | ".join(bars[first : first + LINE]) for first in range(0, len(bars), LINE)]
        lines += [f"{label if number == 0 else ''}| {row} |" for number, row in enumerate(rows)]
    return "\n".join(lines)


def read_plan(text: str, header: PlanHeader) -> LeadSheet:
    """The plan that a chart and its header say.

    Raises:
        ValueError: that names the chord or the bar, for what cannot be read, and for a song longer than PLAN_S.
    """
    if not isinstance(text, str) or len(text) > CHART:
        size = f"{len(text):,} characters" if isinstance(text, str) else repr(text)[:NAME]
        raise ValueError(f"Chart: {size}; the page takes a text of up to {CHART:,}")
    if not text.strip():
        raise ValueError("Chart: it is empty; write a plan first, or type chords such as | C | F | G | C |")
    sheet = LeadSheet.parse(text, key=header.key, bpm=header.bpm, time_signature=header.meter, genre=header.genre)
    _check_length(sheet)
    purposes = section_purposes([section.label for section in sheet.sections])
    sections = tuple(replace(one, purpose=purpose) for one, purpose in zip(sheet.sections, purposes, strict=True))
    return replace(sheet, sections=sections, style=header.style)


def _check_length(sheet: LeadSheet) -> None:
    bars = len(sheet.downbeats())
    if sheet.duration_s > PLAN_S or bars > BARS[1]:
        raise ValueError(
            f"the song has {bars} bars and lasts {clock(sheet.duration_s)}; the page takes up to {BARS[1]} bars and "
            f"{clock(PLAN_S)}: ask for fewer bars"
        )


# -- the notes ---------------------------------------------------------------------------------------------------------


def write_notes(
    sheet: LeadSheet,
    title: str,
    seed: int,
    folder: Path,
    errand: Errand[Song] | None = None,
    styles: str | None = None,
) -> Song:
    """Write every player's notes for a plan, and the song's files into a new folder under ``folder``.

    ``styles``: path of a YAML file of own styles, whose grooves and instruments go before the package's.

    Raises:
        ValueError: for a file of styles that cannot be read.
        StoppedError: where nobody waits any more.
    """
    check_number("Seed", seed, 0, 2**31 - 1)
    notes = _arranged(sheet, errand, seed=int(seed), styles=styles)
    return _with_files(Song(sheet, notes, title.strip() or "Song", {}, int(seed), styles=styles), folder, errand)


def rewrite_player(song: Song, player: str, folder: Path, errand: Errand[Song] | None = None) -> Song:
    """Write one player anew, after the others, whose notes stay as they are.

    Raises:
        ValueError: for a player that the song does not have.
        StoppedError: where nobody waits any more.
    """
    if player not in song.arrangement.stems:
        raise ValueError(f"{player!r} is not one of the players: {', '.join(song.arrangement.stems)}")
    version = song.versions.get(player, 0) + 1
    others = {name: stem for name, stem in song.arrangement.stems.items() if name != player}
    arrangement = _arranged(
        song.sheet,
        errand,
        stems=(player,),
        given=replace(song.arrangement, stems=others),
        seed=(song.seed + version * ANEW) % 2**31,
        styles=song.styles,
    )
    stems = {name: arrangement.stems[name] if name == player else stem for name, stem in song.arrangement.stems.items()}
    anew = replace(
        song, arrangement=replace(song.arrangement, stems=stems), versions={**song.versions, player: version}
    )
    return _with_files(anew, folder, errand)


def _arranged(sheet: LeadSheet, errand: Errand[Song] | None, **options: Any) -> Arrangement:
    from musetune.planning.arranger.arranger import arrange

    def progress(done: int, total: int) -> None:
        _say(errand, f"Step 2 of 3, notes: {done} of {total} passages", done / total)

    _say(errand, "Step 2 of 3, notes: beginning")
    return arrange(sheet, progress=progress, **options)


def _with_files(song: Song, folder: Path, errand: Errand[Song] | None) -> Song:
    from musetune.formats.songs import save_song

    place = new_folder(folder)
    files = {}
    for name, file in FILES.items():
        _say(errand, f"Step 2 of 3, notes: writing {name}")
        files[name] = save_song(song.sheet, song.arrangement, place / file, title=song.title)
    return replace(song, files=files)


def resound_player(song: Song, player: str, words: str = "") -> Song:
    """Ask for another sound of one player, whose notes stay: `render` then generates that player alone.

    Args:
        song: with audio.
        player: one that plays.
        words: such as "solo tenor sax"; "": those of its instrument.

    Raises:
        ValueError: for a player that the song does not have, before there is audio, and for too many words.
    """
    if player not in song.arrangement.stems:
        raise ValueError(f"{player!r} is not one of the players: {', '.join(song.arrangement.stems)}")
    if song.audio is None:
        raise ValueError("there is no audio yet: press 3 first")
    if not isinstance(words, str) or len(words) > WORDS:
        raise ValueError(f"Words for another sound: the page takes a text of up to {WORDS:,} characters")
    version, _ = song.sounds.get(player, (0, ""))
    return replace(song, sounds={**song.sounds, player: (version + 1, words.strip())})


# -- the audio ---------------------------------------------------------------------------------------------------------


def stretch(sheet: LeadSheet, first_bar: int) -> tuple[Fraction, Fraction]:
    """The beats from a bar on that fit into AUDIO_S, in whole bars where at least one fits.

    Args:
        sheet: the song.
        first_bar: from 1 on.

    Raises:
        ValueError: for a bar that the song does not have.
    """
    lines = [line for line in sheet.downbeats() if line >= 0]
    check_number("From bar", first_bar, 1, max(1, len(lines)))
    start = lines[int(first_bar) - 1] if lines else Fraction(0)
    last_s = float(sheet.grid.time_at(start)) + AUDIO_S + 1e-6
    fitting = [line for line in (*lines, sheet.length) if line > start and float(sheet.grid.time_at(line)) <= last_s]
    return start, fitting[-1] if fitting else sheet.length


def render(
    pipe: MuseTunePipeline | RemotePipeline,
    song: Song,
    folder: Path,
    *,
    first_bar: int = 1,
    steps: int = 20,
    seed: int = 0,
    errand: Errand[Song] | None = None,
) -> Song:
    """Generate each player of a song alone, and their sum.

    What was generated before of the same notes, seed and words with the same settings is taken from there.

    Args:
        pipe: the pipeline, with an adapter that reads notes, here or at a service, which says itself where it has none.
        song: the song.
        folder: where takes lie.
        first_bar: where the audio begins; it ends after AUDIO_S at the latest.
        steps: denoising steps.
        seed: of the noise that all players start from.
        errand: who waits for it: reported to and asked at every step.

    Raises:
        ValueError: for numbers out of range and for an adapter that reads no notes.
        StoppedError: where nobody waits any more.
    """
    from musetune.audio import load_audio, save_audio
    from musetune.pipeline.songs import solo_arrangements

    check_number("Steps", steps, *STEPS)
    check_number("Seed", seed, 0, 2**31 - 1)
    if not isinstance(pipe, RemotePipeline) and (pipe.adapter is None or pipe.adapter.stems is None):
        raise ValueError(
            "the adapter of this page plays chords, not players' notes; open the page with one that reads notes: "
            "musetune ui --adapter theory"
        )
    start, end = stretch(song.sheet, first_bar)
    sheet, from_s = song.sheet.slice(start, end), float(song.sheet.grid.time_at(start))
    notes = song.arrangement.crop(from_s, sheet.duration_s, sheet.grid)
    settings = (int(first_bar), int(steps), int(seed))
    alone = solo_arrangements(notes)
    if not alone:
        raise ValueError(f"no player has a note from bar {first_bar} on")
    before = song.audio
    same = before is not None and (before.sheet, before.settings[:2]) == (sheet, settings[:2])
    earlier = before.raw if before is not None and same else {}
    place = new_folder(folder)
    raw: dict[str, tuple[PlayerRequest, Path]] = {}
    sounds: dict[str, np.ndarray] = {}
    for number, (name, part) in enumerate(alone.items(), start=1):
        version, words = song.sounds.get(name, (0, ""))
        own = PlayerRequest(notes.stems[name], (int(seed) + version * ANEW) % 2**31, words)
        file = place / f"raw-{name}.wav"
        if name in earlier and earlier[name][0] == own and earlier[name][1].is_file():
            file.write_bytes(earlier[name][1].read_bytes())
        else:
            on_step = partial(_say_step, errand, name, number, len(alone), steps)
            save_audio(file, *_played(pipe, sheet, part, name, own, steps, on_step))
        raw[name] = (own, file)
        wave, rate = load_audio(file, mono=False)
        sounds[name] = wave[0] if len(wave) == 1 else wave
    _say(errand, "Step 3 of 3, audio: mixing, writing files", 1.0)
    return replace(song, audio=SongAudio(sheet, from_s, settings, mix_players(pipe, sounds, rate, place), raw))


def mix_anew(song: Song, faders: str) -> Song:
    """Write the mix again with other levels, pans, mutes and solos; as `remix`."""
    if song.audio is None:
        raise ValueError("there is no audio yet: press 3 first")
    return replace(song, audio=replace(song.audio, mix=remix(song.audio.mix, faders)))


def _played(
    pipe: MuseTunePipeline | RemotePipeline,
    sheet: LeadSheet,
    part: Arrangement,
    name: str,
    own: PlayerRequest,
    steps: int,
    on_step: Callable[[int], None],
) -> tuple[np.ndarray, int]:
    """One player alone, and the rate in Hz; ``on_step`` is told how many steps are done.

    (samples,), or (2, samples) of a service, which makes its sound wide at once.
    """
    import torch

    def after_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_step(step + 1)
        return tensors

    on_step(0)
    if genres_of(pipe):
        pipe.set_adapter(None)
    output = pipe(
        own.words,
        lead_sheet=sheet,
        arrangement=part,
        stems=not own.words,  # which would take the instrument's words
        num_inference_steps=int(steps),
        generator=torch.Generator().manual_seed(own.seed),
        callback_on_step_end=after_step,
    )
    mono, rate = output.audios[0] if output.stems is None else output.stems[name], output.sampling_rate
    return widen(pipe, mono, rate) if isinstance(pipe, RemotePipeline) else (mono, rate)


def clock(seconds: float) -> str:
    """Minutes and seconds: 7:20."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _say(errand: Errand[Any] | None, text: str, share: float | None = None) -> None:
    """Report to who waits, and stop where nobody does; ``share``: 0…1 of the work, None where nobody knows."""
    if errand is not None:
        errand.progress, errand.share = text, share
        errand.check()


def _say_step(errand: Errand[Any] | None, player: str, number: int, players: int, steps: int, done: int) -> None:
    """Report how many steps of a player are done, from 0 on."""
    text = f"Step 3 of 3, audio: {player}, player {number} of {players}, {done}/{steps:.0f} steps"
    _say(errand, text, (number - 1 + done / steps) / players)
