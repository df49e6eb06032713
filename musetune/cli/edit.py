"""`musetune repaint | extend | vary | cover`: change a part of a piece, play on, take it again, cover it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from musetune.cli.hub import complete_adapter, complete_base, complete_genre
from musetune.cli.outputs import Force, check_new
from musetune.cli.song import check_text
from musetune.cli.sound import Engine, Fast, Lufs, Mono16, audio_kind, default_steps, load_pipeline, prepare_stereo

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet

REPAINT_HELP = """Make a stretch of a recording anew, under other chords or words; the rest stays as it is.

AUDIO is any recording. The stretch is --seconds START-END or --bars FIRST-LAST (counted from 1, LAST included), more
than once where several stretches shall change. Beyond the 50 ms before its ends every sample is the recording's own, at
its rate and in its channels.

--chords says what is played there: Roman, pop or Harte names, or a chart with bars; they share the stretch evenly.
--given says what players play there, note for note: MIDI of the whole recording, or the .json of `musetune compose`.
New stretches of a stereo recording are stereo. Its own samples stay: with --lufs, in MP3 and OGG, and where the
recording itself passes full scale, all is scaled alike as far as that is needed.

--sheet is the lead sheet of the whole recording; without it the recording is analysed first (`musetune analyze` shows
what is found, and -o saves it to be corrected).

Examples:

  musetune repaint song.wav --bars 3-4 --chords "Dm7 G7" -o better.wav

  musetune repaint song.wav --seconds 12-16 --prompt "distorted guitar solo" --seed 3 -o solo.wav

  musetune repaint song.wav --sheet song.json --bars 1-2 --bars 7-8 -o song2.wav

  musetune repaint song.wav --bars 5-6 --given edited.mid -o song3.wav
"""
EXTEND_HELP = """Play on after the end of a recording, or into its beginning.

--sheet is the lead sheet of the whole: what is put in front (--before seconds), the recording, and what is put behind
(--after seconds). Without it the recording is analysed, and --chords, repeated, are what comes before and after it, in
its own tempo and key, bars laid back from its first bar line; without --chords its own go round. --given, with --sheet,
says what players play in the whole, note for note. The recording itself stays as it is, but for 50 ms before a joint.

Examples:

  musetune extend intro.wav --after 8 --chords "vi IV I V" -o longer.wav

  musetune extend verse.wav --before 4 -o with-intro.wav

  musetune extend verse.wav --before 4 --after 4 --sheet whole.json --prompt "warm pop" -o whole.wav
"""
VARY_HELP = """Take a recording again, near or far.

--amount 0 is the recording through the model's codec, 1 a new take of the same chords, tempo and key that keeps
nothing of its sound; between them lies how much of it shines through. What is written has the recording's rate and
channels; of 16 kHz mono it is 48 kHz stereo. Without --sheet the recording is analysed first.

Examples:

  musetune vary loop.wav --amount 0.4 --seed 1 -o loop-b.wav

  musetune vary sketch.wav --amount 0.8 --prompt "late-night jazz trio" -o trio.wav
"""
COVER_HELP = """Play a recording with another sound: what it plays is heard and kept, its waveform is not.

--keep says what: chords (with the key), beats, melody, loudness; all of them where it is left out. Chords, key and
beats are what `musetune analyze` finds; give --sheet where you corrected it. How well each was kept is printed, as our
own analyser hears it. Songs of minutes take minutes: about as long as `musetune generate --seconds` of that length.

Examples:

  musetune cover song.mp3 --genre jazz -o jazz.wav

  musetune cover demo.wav --prompt "slow strings and harp" --keep chords --keep loudness -o strings.flac

  musetune cover riff.wav --sheet riff.json --keep beats --genre electronic --seed 4 -o club.wav
"""

Audio = Annotated[
    Path, typer.Argument(help="recording: WAV, FLAC, OGG, MP3", exists=True, dir_okay=False, show_default=False)
]
Prompt = Annotated[str, typer.Option(help="words for what is new")]
Sheet = Annotated[
    Path | None,
    typer.Option(help="lead sheet: .json, .mid, .musicxml, .mxl, .jams; default: analyse the recording", exists=True),
]
Given = Annotated[
    Path | None,
    typer.Option(
        help="players' notes of the whole: .mid, or .json of compose --plan; the adapter must read notes",
        exists=True,
        dir_okay=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="audio file to write", dir_okay=False)]
Base = Annotated[str, typer.Option(help="nano, a folder, or a Hub id", autocompletion=complete_base)]
Adapter = Annotated[
    str | None,
    typer.Option(
        help="bundled name, folder or Hub id; default the base's own, else theory", autocompletion=complete_adapter
    ),
]
Steps = Annotated[int | None, typer.Option(help="denoising steps; default 20, with --fast 2", min=1)]
Seed = Annotated[int, typer.Option(help="same seed, same audio")]
Device = Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")]
StyleAudio = Annotated[
    Path | None, typer.Option(help="clip whose sound is meant, in place of the prompt's", exists=True, dir_okay=False)
]
StyleStrength = Annotated[
    float | None, typer.Option(help="share of --style-audio beside the prompt, 0–1; default 1", min=0, max=1)
]
Json = Annotated[bool, typer.Option("--json", help="say what was written, for programs")]


def repaint(
    audio: Audio,
    seconds: Annotated[list[str] | None, typer.Option(help="start and end of a stretch as 4-8, more than once")] = None,
    bars: Annotated[
        list[str] | None, typer.Option(help="first and last bar of a stretch as 3-4, or one bar, more than once")
    ] = None,
    chords: Annotated[str | None, typer.Option(help="what is played in each stretch; default: as it was")] = None,
    sheet: Sheet = None,
    given: Given = None,
    prompt: Prompt = "",
    base: Base = "nano",
    adapter: Adapter = None,
    steps: Steps = None,
    fast: Fast = False,
    engine: Engine = None,
    seed: Seed = 0,
    style_audio: StyleAudio = None,
    style_strength: StyleStrength = None,
    device: Device = None,
    mono16: Mono16 = False,
    lufs: Lufs = None,
    out: Out = Path("out.wav"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    if not seconds and not bars:
        raise ValueError("say what to make anew: --seconds 4-8 or --bars 3-4")
    if seconds and bars:
        raise ValueError("give --seconds or --bars, not both")
    stretches = _stretches("--seconds", seconds, float), _stretches("--bars", bars, int)
    what = {"seconds": stretches[0], "bars": stretches[1], "harmonic_progression": chords}
    what |= {"lead_sheet": _load_sheet(sheet)} | _notes(given) | style_of(style_audio, style_strength)
    how = Settings(base, adapter, steps, fast, engine, seed, device, mono16, lufs, out, force, as_json)
    _edit("repaint", audio, prompt, what, how)


def extend(
    audio: Audio,
    before: Annotated[float, typer.Option(help="seconds to put in front", min=0)] = 0.0,
    after: Annotated[float, typer.Option(help="seconds to put behind", min=0)] = 0.0,
    chords: Annotated[
        str | None, typer.Option(help="what comes before and after, without --sheet; default: the recording's own")
    ] = None,
    sheet: Sheet = None,
    given: Given = None,
    prompt: Prompt = "",
    base: Base = "nano",
    adapter: Adapter = None,
    steps: Steps = None,
    fast: Fast = False,
    engine: Engine = None,
    seed: Seed = 0,
    style_audio: StyleAudio = None,
    style_strength: StyleStrength = None,
    device: Device = None,
    mono16: Mono16 = False,
    lufs: Lufs = None,
    out: Out = Path("out.wav"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    if not before and not after:
        raise ValueError("say how much to play on: --before 4 or --after 8, or both")
    if sheet is not None and chords is not None:
        raise ValueError("give --sheet, which has the chords of the whole, or --chords of what is new, not both")
    if given is not None and sheet is None:
        raise ValueError("--given holds notes of the whole: give its --sheet too")
    what = {"lead_sheet": _load_sheet(sheet), "before_seconds": before, "after_seconds": after}
    what |= {"harmonic_progression": chords} | _notes(given) | style_of(style_audio, style_strength)
    how = Settings(base, adapter, steps, fast, engine, seed, device, mono16, lufs, out, force, as_json)
    _edit("extend", audio, prompt, what, how)


def vary(
    audio: Audio,
    amount: Annotated[float, typer.Option(help="0 the recording through the codec, 1 a new take", min=0, max=1)] = 0.4,
    sheet: Sheet = None,
    prompt: Prompt = "",
    base: Base = "nano",
    adapter: Adapter = None,
    steps: Steps = None,
    fast: Fast = False,
    engine: Engine = None,
    seed: Seed = 0,
    style_audio: StyleAudio = None,
    style_strength: StyleStrength = None,
    device: Device = None,
    mono16: Mono16 = False,
    lufs: Lufs = None,
    out: Out = Path("out.wav"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    given = {"lead_sheet": _load_sheet(sheet), "amount": amount} | style_of(style_audio, style_strength)
    how = Settings(base, adapter, steps, fast, engine, seed, device, mono16, lufs, out, force, as_json)
    _edit("vary", audio, prompt, given, how)


def cover(
    audio: Audio,
    genre: Annotated[
        str | None,
        typer.Option(
            help="pop, rock, jazz, blues, classical or electronic; default: as heard", autocompletion=complete_genre
        ),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="chords, beats, melody or loudness, more than once; default: all")
    ] = None,
    sheet: Sheet = None,
    prompt: Annotated[str, typer.Option(help="words for the new sound; default '<genre> music'")] = "",
    base: Base = "nano",
    adapter: Adapter = None,
    steps: Steps = None,
    fast: Fast = False,
    engine: Engine = None,
    seed: Seed = 0,
    style_audio: StyleAudio = None,
    style_strength: StyleStrength = None,
    device: Device = None,
    mono16: Mono16 = False,
    lufs: Lufs = None,
    out: Out = Path("out.wav"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    from musetune.pipeline.covering import KEPT, check_keep

    kept = check_keep(keep or KEPT)
    given = {"lead_sheet": _load_sheet(sheet), "genre": genre, "keep": kept}
    given |= style_of(style_audio, style_strength)
    how = Settings(base, adapter, steps, fast, engine, seed, device, mono16, lufs, out, force, as_json)
    _edit("cover", audio, prompt, given, how)


def style_of(audio: Path | None, strength: float | None) -> dict[str, Any]:
    """Return the arguments that --style-audio and --style-strength mean; none where there is no clip."""
    from musetune.pipeline.checks import given_arguments, reject_arguments

    if audio is None:
        reject_arguments({"--style-strength": strength}, "needs --style-audio: the clip whose sound is meant")
        return {}
    return given_arguments(style_audio=str(audio), style_strength=strength)


def _stretches(option: str, words: list[str] | None, kind: type[float]) -> list[tuple[float, float]] | None:
    """Read stretches such as 4-8, or 3 for one bar."""
    stretches = []
    for word in words or ():
        first, dash, last = word.partition("-")
        try:
            stretches.append((kind(first), kind(last if dash or kind is float else first)))
        except ValueError:
            raise ValueError(f"{option} {word!r} is no stretch: give its start and its end as 4-8") from None
    return stretches or None


def _load_sheet(path: Path | None) -> LeadSheet | None:
    from musetune.symbols import LeadSheet

    return None if path is None else LeadSheet.load(path)


def _notes(path: Path | None) -> dict[str, Any]:
    """Return the argument that --given means; none where there is no file."""
    from musetune.formats.songs import load_arrangement

    return {} if path is None else {"arrangement": load_arrangement(path)}


class Settings(NamedTuple):
    """What all edits are told alike, as on the command line."""

    base: str
    adapter: str | None
    steps: int | None
    fast: bool
    engine: Path | None
    seed: int
    device: str | None
    mono16: bool
    lufs: float | None
    out: Path
    force: bool
    as_json: bool


def _edit(kind: str, audio: Path, prompt: str, given: dict[str, Any], how: Settings) -> None:
    """Load the pipeline, edit, write the audio, say so."""
    import torch

    from musetune.audio import bit_depth, resample, save_audio
    from musetune.audio.export import export_audio
    from musetune.audio.loudness import check_loudness
    from musetune.pipeline.loading import pick_device, quiet

    check_text("--prompt", prompt)
    file_format = audio_kind(how.out, None)
    check_loudness(how.lufs)
    if how.out.exists() and how.out.samefile(audio):
        raise ValueError(f"-o {how.out} is the recording that is read: give another name")
    check_new([how.out], how.force)
    quiet()
    pipe, _ = load_pipeline(
        how.base, how.adapter, pick_device(how.device), music=True, fast=how.fast, engine=how.engine
    )
    steps = default_steps(pipe, how.steps)
    if not how.mono16:  # what is new in a stereo recording, or in one above 16 kHz, is to be so too
        prepare_stereo(pipe)
    generator = torch.Generator().manual_seed(how.seed)
    output = getattr(pipe, kind)(audio, prompt=prompt, generator=generator, num_inference_steps=steps, **given)
    wave, rate = output.audios[0], output.sampling_rate
    whole = kind in ("vary", "cover")  # all of it is new
    own_rate = pipe.vocoder.config.sampling_rate
    if whole and how.mono16:
        wave, rate = resample(wave.reshape(-1, wave.shape[-1]).mean(0), rate, own_rate), own_rate
    elif whole and wave.ndim == 1 and rate == own_rate:
        wave, rate = pipe.to_stereo(wave), 48000
    depth = bit_depth(audio) if file_format in ("wav", "flac") else None
    depth = "PCM_24" if depth == "FLOAT" and file_format == "flac" else depth
    fits = float(abs(wave).max(initial=0.0)) <= 1.0  # decoded MP3s may pass full scale
    if not whole and how.lufs is None and file_format in ("wav", "flac") and fits:
        save_audio(how.out, wave, rate, file_format, depth)  # to the sample: what is kept is the recording's own
    else:
        export_audio(how.out, wave, rate, file_format, how.lufs, depth)
    seconds = wave.shape[-1] / rate
    summary = {
        "audio": str(how.out),
        "seconds": seconds,
        "sampling_rate": rate,
        "channels": 1 if wave.ndim == 1 else len(wave),
        "sheet": output.lead_sheet.to_json(),
    }
    lines = [f"{how.out}: {seconds:.2f} s at {rate} Hz"]
    if kind == "cover":
        found = output.reports[0].to_json()
        summary |= {"kept": found.pop("kept"), "loudness_db": found.pop("loudness_db"), "report": found}
        lines.append(output.reports[0].summary)
    typer.echo(json.dumps(summary, indent=2) if how.as_json else "\n".join(lines))
