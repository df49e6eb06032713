"""`musetune generate | analyze | prepare | evaluate | info`: the command line, thin over the package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make AudioLDM 2 play the chords, the key and the beat that you ask for.",
)
FORMATS = ("wav", "flac", "mp3")
GENERATE_HELP = """Generate audio that follows chords.

Chords are Roman ("I V vi IV"), pop ("Am7 F C/E G"), Harte ("A:min7 F:maj") or a chart with bars ("| C | G/B . Am7 . | % |": the
chords of a bar share it, '.' holds, '%' repeats the bar). They repeat until the end. Without --chords the prompt alone decides.

Example: musetune generate "warm jazz trio" --chords "ii7 V7 Imaj7 Imaj7" --key "Bb major" --bpm 132 --genre jazz -o out.wav --report
"""


@app.command(help=GENERATE_HELP)
def generate(
    prompt: Annotated[str, typer.Argument(help="what it should sound like: genre, instruments, mood")],
    chords: Annotated[str | None, typer.Option(help="progression or chart; needs an adapter")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="lead sheet instead of --chords: .json, .mid, .musicxml, .jams")
    ] = None,
    key: Annotated[str, typer.Option(help="such as 'Bb major' or 'f# minor'")] = "C major",
    bpm: Annotated[float, typer.Option(help="beats a minute, 30–300")] = 120.0,
    meter: Annotated[str, typer.Option(help="time signature")] = "4/4",
    genre: Annotated[str | None, typer.Option(help="pop, rock, jazz, blues, classical or electronic")] = None,
    seconds: Annotated[float | None, typer.Option(help="length; default 10.24, or the lead sheet's")] = None,
    base: Annotated[str, typer.Option(help="nano, a folder, or a Hub id such as cvssp/audioldm2")] = "nano",
    adapter: Annotated[str, typer.Option(help="bundled name, folder or Hub id")] = "theory",
    steps: Annotated[int, typer.Option(help="denoising steps", min=1)] = 20,
    guidance: Annotated[float, typer.Option(help="how hard the words push")] = 2.5,
    music_guidance: Annotated[float, typer.Option(help="how hard the music pushes")] = 2.0,
    strength: Annotated[float, typer.Option(help="of the adapter, 0–1")] = 1.0,
    candidates: Annotated[int, typer.Option(help="make so many and keep the most obedient", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="same seed, same audio")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="audio file to write")] = Path("out.wav"),
    format: Annotated[str | None, typer.Option(help="wav, flac or mp3; default: the file's suffix")] = None,
    report: Annotated[bool, typer.Option(help="also write what was recognised beside what was asked, as JSON")] = False,
    plot: Annotated[bool, typer.Option(help="also draw it, as PNG")] = False,
) -> None:
    kind = format or out.suffix.lstrip(".") or "wav"
    if kind not in FORMATS:
        raise ValueError(f"format={kind!r} is not one of {', '.join(FORMATS)}")
    wanted = _wanted(chords, sheet, key, bpm, meter, genre, seconds)
    import torch

    from musetune.audio import save_audio
    from musetune.pipeline import MuseTunePipeline

    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter if wanted else None)
    generator = torch.Generator().manual_seed(seed)
    common: dict[str, Any] = {
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "num_waveforms_per_prompt": candidates,
        "generator": generator,
    }
    if wanted is None:
        audio = pipe(prompt, duration_seconds=seconds, **common).audios[0]
    else:
        result = pipe(prompt, lead_sheet=wanted, music_guidance_scale=music_guidance, strength=strength, **common)
        audio = result.audios[0]
    rate = pipe.vocoder.config.sampling_rate
    save_audio(out, audio, rate, kind)
    typer.echo(f"{out}: {len(audio) / rate:.2f} s at {rate} Hz")
    if wanted is not None and (report or plot):
        _tell(out, audio, rate, wanted, report, plot)


def _wanted(chords, sheet, key, bpm, meter, genre, seconds):  # type: ignore[no-untyped-def]
    """The lead sheet that the options mean, checked before anything heavy is loaded."""
    from musetune.theory import LeadSheet

    if chords is not None and sheet is not None:
        raise ValueError("give --chords or --sheet, not both")
    if sheet is not None:
        return LeadSheet.load(sheet)
    if chords is None:
        return None
    return LeadSheet.parse(
        chords, key=key, bpm=bpm, time_signature=meter, genre=genre, duration_seconds=seconds or 10.24
    )


def _tell(out: Path, audio: Any, rate: int, sheet: Any, report: bool, plot: bool) -> None:
    """Write the report and the chart beside the audio, and say the gist."""
    from musetune.analysis import hear
    from musetune.evaluation import draw_chart
    from musetune.evaluation import report as judge_report

    made = judge_report(audio, rate, sheet)
    if report:
        out.with_suffix(".json").write_text(made.dumps())
        typer.echo(f"{out.with_suffix('.json')}: score {made.score:.2f}")
    if plot:
        draw_chart(out.with_suffix(".png"), audio, rate, sheet, hear(audio, rate, tempo_hint=sheet.bpm))
        typer.echo(str(out.with_suffix(".png")))


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(help="MP3, WAV, FLAC or OGG files")],
    as_json: Annotated[bool, typer.Option("--json", help="print the whole record")] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="also write the lead sheet of one file: .json, .mid, .musicxml, .jams")
    ] = None,
) -> None:
    """Hear chords, key, beats, tempo and metre. Several files with --json give one record a line."""
    from musetune.analysis import analyze as analyze_audio

    if sheet is not None and len(files) > 1:
        raise ValueError("--sheet takes one file")
    for file in files:
        found = analyze_audio(file)
        if sheet is not None:
            found.lead_sheet.save(sheet)
        if as_json:
            typer.echo(found.dumps(indent=2 if len(files) == 1 else None))
        else:
            record = found.to_json()
            typer.echo(f"{file}: {record['key']}, {record['bpm']} bpm, {record['time_signature']}")
            typer.echo(" ".join(span["chord"] for span in record["chords"]))


def _recipe(name: str, arguments: list[str]) -> None:
    """Run a recipe of the repository with this Python."""
    places = (Path(__file__).parents[1] / "recipes", Path(__file__).parent / "_recipes")  # a checkout, a wheel
    script = next((place / name for place in places if (place / name).is_file()), None)
    if script is None:
        raise FileNotFoundError(
            f"the recipe {name} is neither in {places[0]} nor in {places[1]}; install musetune anew"
        )
    raise typer.Exit(subprocess.run([sys.executable, str(script), *arguments], check=False).returncode)


PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=PASS_ON)
def prepare(context: typer.Context) -> None:
    """Make a data set of cached latents from a folder of music (recipes/prepare.py; --help lists its options)."""
    _recipe("prepare.py", context.args)


@app.command(context_settings=PASS_ON)
def evaluate(context: typer.Context) -> None:
    """Measure how well generated audio follows lead sheets (recipes/evaluate.py; --help lists its options)."""
    _recipe("evaluate.py", context.args)


@app.command()
def info(
    base: Annotated[str, typer.Argument(help="a base: nano, a folder or a Hub id")] = "nano",
    adapter: Annotated[str | None, typer.Option(help="also this adapter")] = "theory",
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Sizes of a base and an adapter, and the versions at work."""
    from importlib.metadata import version

    from musetune import __version__
    from musetune.pipeline import MuseTunePipeline

    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter)
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    told: dict[str, Any] = {
        "musetune": __version__,
        **{p: version(p) for p in ("torch", "diffusers", "transformers", "peft")},
    }
    told["base"] = {
        name: count(part) for name, part in pipe.components.items() if hasattr(part, "parameters") and name != "adapter"
    }
    if pipe.adapter is not None:
        own = sum(p.numel() for p in pipe.adapter.trainable_parameters())
        told["adapter"] = {"parameters": own, "share_of_unet": round(own / (told["base"]["unet"]), 4)}
        pipe.unload_adapter()
        told["base"]["unet"] = count(pipe.unet)
        told["adapter"]["share_of_unet"] = round(own / told["base"]["unet"], 4)
    typer.echo(json.dumps(told, indent=2) if as_json else "\n".join(f"{k}: {v}" for k, v in told.items()))


def main() -> None:
    """The console script: errors that a user can mend are one line, without a traceback."""
    try:
        app(standalone_mode=False)
    except typer.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except typer.Abort:
        raise SystemExit(130) from None
    except (ValueError, FileNotFoundError, ImportError) as error:
        typer.echo(f"musetune: {error}", err=True)
        raise SystemExit(2) from None
    except Exception as error:
        if type(error).__module__.startswith("click"):
            error.show()  # type: ignore[attr-defined]
            raise SystemExit(error.exit_code) from None  # type: ignore[attr-defined]
        raise


if __name__ == "__main__":
    main()
