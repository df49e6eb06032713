"""`musetune plan | compose`: from a sentence to a song's plan, to every player's notes, to MIDI, notation, JAMS and
audio.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetune.cli.hub import complete_adapter, complete_base, complete_genre
from musetune.cli.outputs import Force, check_new
from musetune.cli.song import given_notes, like, output_of, pins_of, stem_names
from musetune.cli.sound import Engine, Fast, Lufs, Mono16, check_engine

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet
    from musetune.symbols.arrangement import Arrangement

PLAN_HELP = """Write a song's plan: form, chords, key, tempo, meter.

PROMPT says what song: genre, mood, tempo, key, meter, length, in your words. Options pin what must be exactly
so; what neither the prompt nor an option says is written by the structure transformer. The plan is printed by
sections and, with -o, saved to be edited.

--from PLAN goes on from a plan that you edited (.json, or .mid, .musicxml, .mxl, .jams from another program).
All that is in it stays: bars without a chord are written, and bars after its end where --bars or --seconds ask
for more. --key transposes it, --bpm and --genre replace its own. To have a part written anew, take its chords
out; to start afresh with some of it, pin that with the options.

Examples:

  musetune plan "slow sad ballad in A minor, waltz time" -o ballad.json

  musetune plan "bright pop" --key "D minor" --chords "i VII VI V" --form AABA

  musetune plan --from ballad.json --key "C minor" --bpm 84 -o second.json

  musetune plan "late-night jazz" --bars 32 --seed 3 -o tune.musicxml
"""
COMPOSE_HELP = """Compose a song: plan it, write notes for every player, save them.

PROMPT and the options of `musetune plan` decide the plan, --from goes on from one. Drums, bass, guitar, keys
and lead are then written on it, sections that come back with the notes that they had. What is printed says of
each player who wrote the notes: the model, a rule (a fixed pattern, where the model has none), or you.

Files are NAME.mid, NAME.musicxml and so on, NAME being -o. NAME.mid is written beside --audio, and without any of
--midi, --musicxml, --mxl, --jams, --parts and --plan and without such a suffix in -o.

Audio is 48 kHz stereo; its true peak stays below -1 dB. With --stems-audio each player stands at its place, and
`musetune mix` changes level, pan, mute and solo afterwards.

Examples:

  musetune compose "a sad waltz for piano and strings" --midi --musicxml -o waltz

  musetune compose "funky rock at 110 bpm" --stems drums,bass -o groove.mid

  musetune compose "bossa nova" --from edited.json --given mybass.mid -o song.mid

  musetune compose --given song.json --stems bass --plan -o take2    another bass

  musetune compose "lo-fi beats" --seconds 30 --audio --stems-audio --lufs -14 -o lofi.flac
"""

Prompt = Annotated[str, typer.Argument(help="what song: genre, mood, tempo, key, length, …", show_default=False)]
KeyOption = Annotated[str | None, typer.Option(help="such as 'Bb major' or 'f# minor'")]
Bpm = Annotated[float | None, typer.Option(help="beats a minute, 30–300")]
TimeSignature = Annotated[str | None, typer.Option(help="time signature, such as 3/4 or 6/8")]
Genre = Annotated[
    str | None,
    typer.Option(help="pop, rock, jazz, blues, classical or electronic", autocompletion=complete_genre),
]
Chords = Annotated[
    str | None, typer.Option(help="of the first section: 'i VII VI V', 'Am7 D7', or a chart '| C | F . G7 . |'")
]
Form = Annotated[str | None, typer.Option(help="sections: AABA, or with bars 'verse:8 chorus:8 verse:8'")]
Bars = Annotated[int | None, typer.Option(help="length in bars", min=1)]
Seconds = Annotated[float | None, typer.Option(help="length, to the nearest bar")]
From = Annotated[
    Path | None,
    typer.Option("--from", help="plan to go on from: .json, .mid, .musicxml, .mxl, .jams", exists=True, dir_okay=False),
]
Temperature = Annotated[
    float | None,
    typer.Option(help="how freely it is written: lower is plainer, 1 as it was learned; default 0.9", min=0),
]
Seed = Annotated[int, typer.Option(help="same seed, same song")]
Styles = Annotated[
    Path | None,
    typer.Option(
        help="YAML file of styles of your own, which go before MuseTune's (docs/reference/styles.md)",
        exists=True,
        dir_okay=False,
    ),
]
Style = Annotated[
    str | None,
    typer.Option(help="style of docs/reference/styles.md, such as 'bossa nova', that goes before the prompt's"),
]
Complexity = Annotated[
    float | None,
    typer.Option(
        help="0 plain to 1 rich chords, as analyze measures progression_complexity: of 16 songs the nearest",
        min=0,
        max=1,
    ),
]
PlannerOption = Annotated[str, typer.Option(help="structure transformer: nano, a folder, or a Hub id")]
ArrangerOption = Annotated[str, typer.Option(help="stem transformer: nano, or a folder")]
Json = Annotated[bool, typer.Option("--json", help="print it for programs")]


def plan(
    prompt: Prompt = "",
    key: KeyOption = None,
    bpm: Bpm = None,
    meter: TimeSignature = None,
    genre: Genre = None,
    chords: Chords = None,
    form: Form = None,
    bars: Bars = None,
    seconds: Seconds = None,
    from_: From = None,
    seed: Seed = 0,
    temperature: Temperature = None,
    complexity: Complexity = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="save it: .json, .mid, .musicxml, .mxl, .jams", dir_okay=False)
    ] = None,
    style: Style = None,
    styles: Styles = None,
    planner: PlannerOption = "nano",
    force: Force = False,
    as_json: Json = False,
) -> None:
    from musetune.display.plan_chart import chart
    from musetune.formats.files import SUFFIXES

    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"-o {out}: suffix {out.suffix!r} is not one of {', '.join(SUFFIXES)}")
    check_new([] if out is None else [out], force)
    pins = pins_of(
        prompt, from_, key=key, bpm=bpm, meter=meter, genre=genre, chords=chords, form=form, bars=bars, seconds=seconds
    )
    free = {} if temperature is None else {"temperature": temperature}
    written = {"seed": seed, "style": style, "styles": styles, "harmonic_complexity": complexity}
    sheet = _plan_sheet(prompt, planner, pins | free | written)
    files = [] if out is None else [str(sheet.save(out))]
    played = describe_style(sheet, styles)
    summary = describe(sheet, styles=styles) | {"prompt": prompt, "style": played, "seed": seed, "files": files}
    typer.echo(json.dumps(summary, indent=2) if as_json else "\n".join([*chart(sheet), *_style_line(played), *files]))


def compose(
    prompt: Prompt = "",
    key: KeyOption = None,
    bpm: Bpm = None,
    meter: TimeSignature = None,
    genre: Genre = None,
    chords: Chords = None,
    form: Form = None,
    bars: Bars = None,
    seconds: Seconds = None,
    from_: From = None,
    seed: Seed = 0,
    temperature: Temperature = None,
    complexity: Complexity = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="name of all files; a suffix such as .mid asks for that file")
    ] = Path("song"),
    stems: Annotated[
        str | None,
        typer.Option(help="who is written, of drums,bass,guitar,keys,lead (or vocals); default all that --given lacks"),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            help="notes of yours, .mid or .json, that stay as they are; without --from their tempo, meter, length and "
            "chords too",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    midi: Annotated[bool, typer.Option("--midi", help="write NAME.mid, a track a player")] = False,
    musicxml: Annotated[bool, typer.Option("--musicxml", help="write NAME.musicxml: lead sheet and parts")] = False,
    mxl: Annotated[bool, typer.Option("--mxl", help="write NAME.mxl, the same compressed")] = False,
    jams: Annotated[bool, typer.Option("--jams", help="write NAME.jams: chords, beats, form and notes")] = False,
    parts: Annotated[bool, typer.Option("--parts", help="write a MusicXML file a player into NAME.parts")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="write NAME.json: plan and notes, for --from and --given")
    ] = False,
    audio: Annotated[bool, typer.Option("--audio", help="render it too: NAME.wav")] = False,
    stems_audio: Annotated[
        bool,
        typer.Option("--stems-audio", help="and each player alone: NAME.bass.wav and so on; their sum is NAME.wav"),
    ] = False,
    audio_format: Annotated[
        str | None, typer.Option(help="of the audio: wav, flac, mp3 or ogg; default the suffix of -o, else wav")
    ] = None,
    mono16: Mono16 = False,
    lufs: Lufs = None,
    base: Annotated[
        str | None,
        typer.Option(help="of the audio: a folder or a Hub id; default nano", autocompletion=complete_base),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="bundled name, folder or Hub id; default the base's own, else theory", autocompletion=complete_adapter
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="denoising steps of the audio; default 20, with --fast 2", min=1)
    ] = None,
    fast: Fast = False,
    engine: Engine = None,
    style: Style = None,
    styles: Styles = None,
    on_grid: Annotated[
        bool, typer.Option("--on-grid", help="leave out the small strayings in time and loudness of a style's players")
    ] = False,
    planner: PlannerOption = "nano",
    arranger: ArrangerOption = "nano",
    force: Force = False,
    as_json: Json = False,
) -> None:
    from musetune.audio.loudness import check_loudness
    from musetune.display.plan_chart import chart
    from musetune.pipeline.checks import reject_arguments
    from musetune.symbols.arrangement import STEMS

    flags = {"midi": midi, "musicxml": musicxml, "mxl": mxl, "jams": jams, "plan": plan}
    check_loudness(lufs)
    kinds = {kind for kind, on in flags.items() if on}
    audio = audio or stems_audio
    output = output_of(out, kinds, parts, audio, stems_audio, kind=audio_format, mono16=mono16, lufs=lufs)
    output.check(given, from_)
    check_new(output.paths(), force)
    if engine is not None:
        check_engine(engine, music=True)
    sound = {"base": base, "adapter": adapter, "steps": steps, "fast": fast or None, "engine": engine}
    if not output.audio:
        wanted = sound | {"audio-format": audio_format, "mono16": mono16 or None, "lufs": lufs}
        reject_arguments({f"--{name}": value for name, value in wanted.items()}, "needs --audio")
    stem_choice = () if stems is None else stem_names(stems)
    yours, source = given_notes(given, from_, stem_choice)
    pins = pins_of(
        prompt, source, key=key, bpm=bpm, meter=meter, genre=genre, chords=chords, form=form, bars=bars, seconds=seconds
    )
    if given is not None and source is None:
        pins = like(given, pins)
    free = {} if temperature is None else {"temperature": temperature}
    written = {"seed": seed, "style": style, "styles": styles, "harmonic_complexity": complexity}
    sheet = _plan_sheet(prompt, planner, pins | free | written)
    options = {"stems": stem_choice or STEMS, "given": yours, "seed": seed, "styles": styles, "humanize": not on_grid}
    song = _arrange_stems(sheet, arranger, options | free)
    files = list(output.write(sheet, song, prompt.strip() or output.name.name))
    if output.audio:
        rendering = {name: value for name, value in sound.items() if value is not None}
        files += output.render(prompt, sheet, song, rendering, seed)
    names = [str(file) for file in files]
    summary = describe(sheet, song, styles) | {"prompt": prompt, "seed": seed, "stems": players(song), "files": names}
    typer.echo(json.dumps(summary, indent=2) if as_json else "\n".join([*chart(sheet), "", *_cast(song), "", *names]))


# -- writing the song --------------------------------------------------------------------------------------------------


def _plan_sheet(prompt: str, planner: str, options: dict[str, Any]) -> LeadSheet:
    from musetune.hub.transfer import check_cache
    from musetune.pipeline.loading import quiet
    from musetune.planning.planner.planner import Planner

    quiet()
    access = check_cache(planner, "tokenizer_config.json") if "/" in planner and not Path(planner).exists() else {}
    return Planner.from_pretrained(planner, **access).plan(prompt, **options)


def _arrange_stems(sheet: LeadSheet, arranger: str, options: dict[str, Any]) -> Arrangement:
    """Every player's notes, their writing shown on stderr."""
    from tqdm import tqdm

    from musetune.planning.arranger.arranger import Arranger

    with tqdm(unit="passage", desc="notes", file=sys.stderr, leave=False) as bar:

        def progress(count: int, total: int) -> None:
            bar.total = total
            bar.update(count - bar.n)

        return Arranger.from_pretrained(arranger).arrange(sheet, progress=progress, **options)


# -- what is printed ---------------------------------------------------------------------------------------------------


def describe(sheet: LeadSheet, song: Arrangement | None = None, styles: Path | None = None) -> dict[str, Any]:
    """The plan for programs: what it is, its sections with their charts, how it is played under "expression", and all
    of it under "sheet".
    """
    from musetune.display.plan_chart import sections_of
    from musetune.planning.arranger.plan_expression import plan_expression

    return {
        "key": str(sheet.key),
        "bpm": sheet.bpm,
        "time_signature": str(sheet.meter),
        "genre": sheet.genre,
        "seconds": sheet.duration_s,
        "bars": len(sheet.downbeats()),
        "sections": list(sections_of(sheet)),
        "expression": plan_expression(sheet, song, styles=styles).to_json(),
        "sheet": sheet.to_json(),
    }


def describe_style(sheet: LeadSheet, styles: Path | None) -> dict[str, Any] | None:
    """The style of a plan, its feel, grooves and instruments; None where it has none."""
    from musetune.planning.planner.song_styles import style_called

    style = style_called(sheet.style, styles)
    if style is None:
        return None
    feel = None if style.feel is None else style.feel.kind
    return {"name": style.style, "feel": feel, "grooves": dict(style.grooves), "instruments": dict(style.instruments)}


def _style_line(style: dict[str, Any] | None) -> Iterator[str]:
    """A style to read, where anything is known of how it is played."""
    if style is not None and (style["feel"] or style["instruments"]):
        instruments = ", ".join(dict.fromkeys(style["instruments"].values()))
        played = "; ".join(part for part in (style["feel"], instruments) if part)
        yield f"style {style['name']}: {played}"


def players(song: Arrangement) -> list[dict[str, Any]]:
    """Who plays how much, and who wrote it."""
    return [
        {"name": n, "program": s.program, "notes": len(s.notes), "source": s.source, "credit": s.credit}
        | ({"writers": [asdict(writer) for writer in s.writers]} if s.writers else {})
        for n, s in song.stems.items()
    ]


def _cast(song: Arrangement) -> Iterator[str]:
    """Return the players to read."""
    for player in players(song):
        yield f"{player['name']:8} {player['notes']:5} notes  {player['credit']}"
