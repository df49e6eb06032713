"""`musetune generate | plan | compose | mix | repaint | extend | vary | cover | replay | live | watch | analyze |
prepare | train | evaluate | compare | push | pull | adapters | export | info`: the command line, thin over the package.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetune.cli import analyze as cli_analyze
from musetune.cli import annotate as cli_annotate
from musetune.cli import compare as cli_compare
from musetune.cli import compose as cli_compose
from musetune.cli import edit as cli_edit
from musetune.cli import evaluate as cli_evaluate
from musetune.cli import export as cli_export
from musetune.cli import hub as cli_hub
from musetune.cli import info as cli_info
from musetune.cli import live as cli_live
from musetune.cli import mix as cli_mix
from musetune.cli import prepare as cli_prepare
from musetune.cli import replay as cli_replay
from musetune.cli import serve as cli_serve
from musetune.cli import train as cli_train
from musetune.cli import ui as cli_ui
from musetune.cli import watch as cli_watch
from musetune.cli.expression import Density, Loudness, Swing, Syncopation, expression_of
from musetune.cli.lists import ListsCommand
from musetune.cli.loops import loop_files, write_loops
from musetune.cli.outputs import Force, check_new
from musetune.cli.song import check_text
from musetune.cli.sound import (
    Engine,
    Fast,
    Lufs,
    Mono16,
    Quantization,
    audio_kind,
    default_steps,
    load_pipeline,
    mix_path,
    save_players,
    stem_path,
    widen,
)
from musetune.cli.stdin import DASH, stdin_file, stdin_text

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import Arrangement, LeadSheet

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make AudioLDM 2 play the chords, the key and the beat that you ask for.",
)
GENERATE_HELP = """Generate audio that follows chords.

Chords are Roman ("I V vi IV"), pop ("Am7 F C/E G"), Harte ("A:min7 F:maj") or a chart with bars ("| C | G/B . Am7 . |
% |": the chords of a bar share it, '.' holds, '%' repeats the bar). They repeat until the end. Without --chords the
prompt alone decides.

OUT.mid beside the audio is for a music program: the chords as notes, or with --stems what every player plays, which
`musetune replay OUT.mid bass -o NAME` lets play again.

Examples:

  musetune generate "warm jazz trio" --chords "ii7 V7 Imaj7 Imaj7" --key "Bb major" --bpm 132 --genre jazz -o out.wav

  musetune generate "slow piano" --chords - --bpm 70 < chart.txt

  musetune generate "funk" --chords "i7 IV7" --key "E minor" --genre pop --stems --lufs -14 -o funk.flac

  musetune generate "deep house drums" --chords "i VI III VII" --bpm 124 --also "deep house bass" --loops 4 -o set.wav

  musetune generate "jazz trio" --chords "ii7 V7 I" --loudness 0:-30,8:-16 --swing 0.62 -o crescendo.wav

  musetune generate "pop" --chords "I V vi IV" --style-audio reference.wav --style-strength 0.7 -o like-it.wav
"""


def _show_version(value: bool) -> None:
    if value:
        from musetune import __version__

        typer.echo(f"musetune {__version__}")
        raise typer.Exit()


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="say which version this is")
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command(help=GENERATE_HELP)
def generate(
    prompt: Annotated[str, typer.Argument(help="what it should sound like: genre, instruments, mood")],
    chords: Annotated[
        str | None, typer.Option(help="progression or chart; - reads it from standard input; needs an adapter")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="lead sheet instead of --chords: .json, .mid, .musicxml, .mxl, .jams; - reads standard input"
        ),
    ] = None,
    key: Annotated[str | None, typer.Option(help="such as 'Bb major' or 'f# minor'; default C major")] = None,
    bpm: Annotated[float | None, typer.Option(help="beats a minute, 30–300; default 120")] = None,
    meter: Annotated[str | None, typer.Option(help="time signature; default 4/4")] = None,
    genre: Annotated[
        str | None,
        typer.Option(help="pop, rock, jazz, blues, classical or electronic", autocompletion=cli_hub.complete_genre),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="length; default 10.24, or the lead sheet's")] = None,
    base: Annotated[
        str,
        typer.Option(help="nano, a folder, or a Hub id such as cvssp/audioldm2", autocompletion=cli_hub.complete_base),
    ] = "nano",
    adapter: Annotated[
        str | None,
        typer.Option(
            help="bundled name, folder or Hub id; default the base's own, else theory",
            autocompletion=cli_hub.complete_adapter,
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="denoising steps; default 20, with --fast 2", min=1)] = None,
    fast: Fast = False,
    engine: Engine = None,
    guidance: Annotated[
        float | None, typer.Option(help="how hard the words push; default 3, with --fast 1", min=0)
    ] = None,
    music_guidance: Annotated[
        float | None, typer.Option(help="how hard the music pushes; default 3, with --fast 1", min=0)
    ] = None,
    follow: Annotated[
        list[str] | None, typer.Option(help="chords, beats, key or genre, more than once; default all")
    ] = None,
    follow_seconds: Annotated[
        tuple[float, float] | None, typer.Option(help="start and end of the stretch that follows; default all")
    ] = None,
    guidance_interval: Annotated[
        tuple[float, float] | None, typer.Option(help="shares of the steps in which words push; default 0 1")
    ] = None,
    music_guidance_interval: Annotated[
        tuple[float, float] | None, typer.Option(help="the same of the music; default 0 1")
    ] = None,
    window_seconds: Annotated[
        float | None, typer.Option(help="longer audio is made in overlapping windows of so much; default the base's")
    ] = None,
    strength: Annotated[float | None, typer.Option(help="of the adapter; default 1", min=0, max=1)] = None,
    candidates: Annotated[int, typer.Option(help="make so many and keep the most obedient", min=1)] = 1,
    style_audio: cli_edit.StyleAudio = None,
    style_strength: cli_edit.StyleStrength = None,
    loudness: Loudness = None,
    swing: Swing = None,
    density: Density = None,
    syncopation: Syncopation = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="the last bar flows into the first; chords are played once, in whole bars")
    ] = False,
    loops: Annotated[
        int | None, typer.Option(help="a set of so many that fit each other: NAME-1.wav and so on", min=1)
    ] = None,
    also: Annotated[list[str] | None, typer.Option(help="prompt of a further loop of the set, more than once")] = None,
    seed: Annotated[int, typer.Option(help="same seed, same audio")] = 0,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    quantization: Quantization = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="audio file to write", dir_okay=False)] = Path("out.wav"),
    format: Annotated[str | None, typer.Option(help="wav, flac, mp3 or ogg; default: the file's suffix")] = None,
    mono16: Mono16 = False,
    lufs: Lufs = None,
    stems: Annotated[
        bool,
        typer.Option("--stems", help="have players' notes written and each player's audio too: out.bass.wav, …"),
    ] = False,
    report: Annotated[bool, typer.Option(help="also write what was recognised beside what was asked, as JSON")] = False,
    plot: Annotated[bool, typer.Option(help="also draw it, as PNG")] = False,
    midi: Annotated[
        bool | None,
        typer.Option(
            "--midi/--no-midi",
            help="MIDI beside the audio: chords as notes, with --stems every player's notes; default where there are "
            "chords",
        ),
    ] = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="say what was written, for programs")] = False,
) -> None:
    from musetune.audio.loudness import check_loudness
    from musetune.pipeline.checks import or_default, reject_arguments
    from musetune.pipeline.loading import pick_device, quiet
    from musetune.pipeline.loop_sheets import check_loop
    from musetune.pipeline.request import MUSIC_GUIDANCE, TEXT_GUIDANCE, UNGUIDED
    from musetune.symbols.arrangement import STEMS

    check_text("PROMPT", prompt)
    kind = audio_kind(out, format)
    check_loudness(lufs)
    loop = loop or loops is not None or bool(also)
    lead_sheet = _lead_sheet(chords, sheet, seconds, loop, key=key, bpm=bpm, meter=meter, genre=genre)
    pushed = {"guidance_interval": guidance_interval, "music_guidance_interval": music_guidance_interval}
    partial = {"follow": follow or None, "follow_seconds": follow_seconds, "window_seconds": window_seconds, **pushed}
    music = {"music_guidance_scale": music_guidance, "strength": strength, **partial}
    style = cli_edit.style_of(style_audio, style_strength)
    played = expression_of(loudness, swing, density, syncopation)
    _check(
        lead_sheet,
        music,
        {"--adapter": adapter, "--report": report or None, "--plot": plot or None, "--midi": midi or None}
        | {"--style-audio": style.get("style_audio"), "--loop": loop or None, "--stems": stems or None}
        | {"--loudness": loudness, "--swing": swing, "--density": density, "--syncopation": syncopation},
    )
    if stems and candidates > 1:
        raise ValueError(f"--candidates {candidates} and --stems: players are generated once; leave one of them out")
    if stems and played is not None:
        raise ValueError("--stems plays one player after another, --loudness and the like are of all: leave one out")
    if loop and lead_sheet is not None:
        check_loop(lead_sheet)
    many = loops is not None or bool(also)
    if many:
        flags = {
            "--report": report or None,
            "--plot": plot or None,
            "--stems": stems or None,
            "--candidates": candidates if candidates > 1 else None,
            "--loudness, --swing, --density, --syncopation": played is not None or None,
        }
        reject_arguments(flags, "is of one loop: leave it out of a set")
    own_midi = sheet is not None and sheet.resolve() == out.with_suffix(".mid").resolve()
    if own_midi and (midi or (stems and midi is None)):
        raise ValueError(f"MIDI would overwrite --sheet {sheet}: give the audio another name, or --no-midi")
    writes_midi = lead_sheet is not None and midi is not False and not own_midi
    if report and sheet is not None and sheet.resolve() == out.with_suffix(".json").resolve():
        raise ValueError(f"--report would overwrite --sheet {sheet}: give the audio another name")
    pictures = {".json": report, ".png": plot, ".mid": writes_midi}
    beside = [mix_path(out), *(stem_path(out, name) for name in STEMS)] if stems else []
    prompts = [prompt, *(also or [])]
    takes = loop_files(out, loops or len(prompts)) if many else [out]
    check_new([*takes, *(out.with_suffix(suffix) for suffix, on in pictures.items() if on), *beside], force)
    torch_device = pick_device(device)
    quiet()
    pipe, adapter = load_pipeline(base, adapter, torch_device, lead_sheet is not None, quantization, fast, engine)
    steps, few_steps = default_steps(pipe, steps), pipe.adapter_manager.sampling is not None
    guidance = or_default(guidance, UNGUIDED if few_steps else TEXT_GUIDANCE)
    call: dict[str, Any] = {"num_inference_steps": steps, "guidance_scale": guidance, "duration_seconds": seconds}
    call |= {"num_waveforms_per_prompt": candidates, **style} | ({"loop": True} if loop else {})
    if stems and lead_sheet is not None:
        call |= {"arrangement": pipe.arrange(lead_sheet, seed=seed % 2**31), "stems": True}
    if lead_sheet is not None:
        call |= {name: value for name, value in partial.items() if value is not None}
        call |= {
            "music_guidance_scale": or_default(music_guidance, UNGUIDED if few_steps else MUSIC_GUIDANCE),
            "strength": or_default(strength, 1.0),
        }
    if played is not None:
        call["expression"] = played.to_json()
    plain = {name: value for name, value in call.items() if name != "arrangement"}
    settings = {"prompt": prompt, "seed": seed, "base": base, "adapter": adapter, "device": torch_device, **plain}
    settings |= {"stereo": not mono16, "lufs": lufs}
    if many and lead_sheet is not None:
        summary = write_loops(pipe, lead_sheet, prompts, call, takes, kind, seed, not mono16, lufs)
    else:
        summary = _make(pipe, lead_sheet, settings, call, out, kind, report, plot)
    if writes_midi and lead_sheet is not None:
        summary["midi"] = str(_write_midi(lead_sheet, call.get("arrangement"), out.with_suffix(".mid")))
    typer.echo(json.dumps(summary, indent=2) if as_json else _lines(summary))


def _lead_sheet(
    chords: str | None, sheet: Path | None, seconds: float | None, loop: bool = False, **options: Any
) -> LeadSheet | None:
    """The lead sheet that the options mean, checked before anything heavy is loaded; None for a prompt alone.

    A ``loop`` plays a progression once where no length is given.
    """
    from musetune.pipeline.checks import check_positive, reject_arguments
    from musetune.pipeline.request import resolve_lead_sheet
    from musetune.symbols import LeadSheet

    if seconds is not None:
        check_positive("--seconds", seconds)
    if chords is not None and sheet is not None:
        raise ValueError("give --chords or --sheet, not both")
    flags = {f"--{name}": value for name, value in options.items()}
    if chords is None:
        reject_arguments(
            flags, f"is the lead sheet's own: leave it out beside --sheet {sheet}" if sheet else "needs --chords"
        )
        options = {}
    options["time_signature"] = options.pop("meter", None)
    chords = stdin_text() if chords == "-" else chords
    with stdin_file() if sheet == DASH else nullcontext(sheet) as source:
        loaded = None if source is None else LeadSheet.load(source)
    return resolve_lead_sheet(loaded, chords, seconds, None if loop else 10.24, options)


def _check(lead_sheet: LeadSheet | None, music: dict[str, Any], others: dict[str, Any]) -> None:
    """What needs music is refused without; what asks for a part is held against the sheet, before anything heavy is
    loaded.
    """
    from musetune.pipeline.checks import check_intervals, check_positive, reject_arguments

    if lead_sheet is None:
        flags = {f"--{name.removesuffix('_scale').replace('_', '-')}": value for name, value in music.items()}
        reject_arguments(flags | others, "needs --chords or --sheet: without them the prompt alone decides")
        return
    check_intervals(**{name: music[name] for name in ("guidance_interval", "music_guidance_interval")})
    if music["window_seconds"] is not None:
        check_positive("window_seconds", music["window_seconds"])
    if music["follow"] or music["follow_seconds"]:
        from musetune.pipeline.condition_mask import condition_mask

        condition_mask(lead_sheet, music["follow"], music["follow_seconds"])


def _make(
    pipe: MuseTunePipeline,
    sheet: LeadSheet | None,
    settings: dict[str, Any],
    call: dict[str, Any],
    out: Path,
    kind: str,
    report: bool,
    plot: bool,
) -> dict[str, Any]:
    """Generate; write the audio, and the report and the chart beside it. What was written."""
    import torch

    from musetune.audio.export import export_audio
    from musetune.pipeline.songs import place_players

    music: dict[str, Any] = {} if sheet is None else {"lead_sheet": sheet, "return_report": report or plot}
    output = pipe(settings["prompt"], generator=torch.Generator().manual_seed(settings["seed"]), **call, **music)
    mono, mono_rate = output.audios[0], pipe.vocoder.config.sampling_rate
    loop_s = sheet.duration_s if sheet is not None and call.get("loop") else None
    stereo, rate = settings["stereo"], 48000 if settings["stereo"] else mono_rate
    stems = getattr(output, "stems", None)
    seconds = len(mono) / mono_rate
    summary = {"audio": str(out), "seconds": seconds, "sampling_rate": rate, "channels": 2 if stereo else 1}
    if stems is None:
        export_audio(out, widen(pipe, mono, loop_s) if stereo else mono, rate, kind, settings["lufs"])
    else:
        players = place_players({name: widen(pipe, wave, loop_s) for name, wave in stems.items()}) if stereo else stems
        summary["stems"] = [str(path) for path in save_players(out, players, rate, settings["lufs"], kind)][1:]
    if report:
        path, own_report = out.with_suffix(".json"), output.reports[0]
        path.write_text(own_report.dumps(settings | {"duration_seconds": seconds}))
        summary |= {
            "report": str(path),
            "score": own_report.score,
            "parts": own_report.parts,
            "summary": own_report.summary,
        }
    if plot:
        from musetune.display.evaluation_charts import draw_chart

        start, end = call.get("follow_seconds", (0.0, seconds))  # what the report is about
        excerpt = mono[round(start * mono_rate) : round(end * mono_rate)]
        draw_chart(out.with_suffix(".png"), excerpt, mono_rate, output.reports[0].sheet, output.reports[0].estimate)
        summary["plot"] = str(out.with_suffix(".png"))
    return summary


def _write_midi(sheet: LeadSheet, notes: Arrangement | None, path: Path) -> Path:
    """Write the players' notes where there are any, else the sheet's chords as notes."""
    from musetune.formats.songs import save_song

    return sheet.save(path) if notes is None else save_song(sheet, notes, path, title=path.stem)


def _lines(summary: dict[str, Any]) -> str:
    """A line for each file that was written."""
    if "loops" in summary:
        each = f"{summary['seconds']:.3f} s at {summary['sampling_rate']} Hz"
        loops = [f"{one['audio']}: {one['prompt']}" for one in summary["loops"]]
        return "\n".join([*loops, f"each {each}", *([summary["midi"]] if "midi" in summary else [])])
    stereo = ", stereo" if summary["channels"] == 2 else ""
    lines = [f"{summary['audio']}: {summary['seconds']:.2f} s at {summary['sampling_rate']} Hz{stereo}"]
    lines += [f"{summary['report']}: {summary['summary']}"] if "report" in summary else []
    lines += summary.get("stems", [])
    return "\n".join(lines + [summary[name] for name in ("plot", "midi") if name in summary])


app.command(help=cli_compose.PLAN_HELP)(cli_compose.plan)
app.command(help=cli_compose.COMPOSE_HELP)(cli_compose.compose)
app.command(help=cli_mix.HELP)(cli_mix.mix)
app.command(help=cli_edit.REPAINT_HELP)(cli_edit.repaint)
app.command(help=cli_edit.EXTEND_HELP)(cli_edit.extend)
app.command(help=cli_edit.VARY_HELP)(cli_edit.vary)
app.command(help=cli_live.HELP)(cli_live.live)
app.command(help=cli_watch.HELP)(cli_watch.watch)
app.command(help=cli_edit.COVER_HELP)(cli_edit.cover)
app.command(help=cli_replay.HELP)(cli_replay.replay)
app.command(help=cli_analyze.HELP)(cli_analyze.analyze)
app.command(help=cli_annotate.HELP)(cli_annotate.annotate)
app.command(help=cli_hub.PUSH_HELP)(cli_hub.push)
app.command(help=cli_hub.PULL_HELP)(cli_hub.pull)
app.command(help=cli_hub.ADAPTERS_HELP)(cli_hub.adapters)
app.command(help=cli_compare.HELP)(cli_compare.compare)
app.command(help=cli_ui.HELP)(cli_ui.ui)
app.command(help=cli_serve.HELP)(cli_serve.serve)
app.command(help=cli_prepare.HELP, cls=ListsCommand)(cli_prepare.prepare)
app.command(help=cli_train.HELP)(cli_train.train)
app.command(help=cli_evaluate.HELP, cls=ListsCommand)(cli_evaluate.evaluate)
app.command(help=cli_export.HELP)(cli_export.export)
app.command()(cli_info.info)


def main(*command: str) -> None:
    """Run the console script, or one `command` of it. Errors are one line, without a traceback, unless
    $MUSETUNE_TRACEBACK is set.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    try:
        # the exit code, where a command ended by typer.Exit
        code = app([*command, *sys.argv[1:]], standalone_mode=False)
    except typer.Abort:
        raise SystemExit(130) from None
    except (ValueError, OSError, ImportError) as error:
        _complain(" ".join(str(error).split()) or type(error).__name__, error)
        raise SystemExit(2) from None
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a mistake in the command line itself
            error.show()
            raise SystemExit(error.exit_code) from None
        name = f"{type(error).__name__}: {' '.join(str(error).split())}"
        _complain(f"{name} (a fault of MuseTune; please report it with what MUSETUNE_TRACEBACK=1 shows)", error)
        raise SystemExit(70) from None
    raise SystemExit(code)


def _complain(text: str, error: Exception) -> None:
    """Print what went wrong; with $MUSETUNE_TRACEBACK also where."""
    if os.environ.get("MUSETUNE_TRACEBACK"):
        traceback.print_exception(error)
    typer.echo(f"musetune: {text}", err=True)


if __name__ == "__main__":
    main()
