"""`musetune watch`: a folder whose lead sheets become audio, for a DAW to reload."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from musetune.cli.hub import complete_adapter, complete_base
from musetune.cli.song import check_text
from musetune.cli.sound import Engine, Fast, load_pipeline

if TYPE_CHECKING:
    from musetune.live.folder_watch import Renderer
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import LeadSheet

HELP = """Watch a folder: each lead sheet that appears or changes becomes audio beside it.

Lead sheets are .json, .mid with chords as markers (Am7, F/A), .musicxml, .mxl and .jams; tempo, meter and length are
theirs. Of song.mid are written

\b
  song.musetune.wav          48 kHz stereo
  song.musetune.mid          every player's notes; with --no-stems chords as notes
  song.musetune.drums.wav    and so on: each player alone; their sum is song.musetune.wav
  song.musetune.error.txt    what is wrong, where something is; it goes when the file is right

Players' files are left out with --no-stems, which is quicker, and where the adapter reads no stems. Files take their
places at once, when all is made; what has .musetune. in its name is never read. What was rendered
already is left alone until it changes. Ctrl-C ends it. docs/how-to/daw.md shows it with Reaper.

Examples:

  musetune watch ~/songs --prompt "warm lo-fi, electric piano"

  musetune watch sketches --no-stems --seed 7

  musetune watch sketches --once
"""


def watch(
    folder: Annotated[Path, typer.Argument(help="folder to watch, without its subfolders", show_default=False)],
    prompt: Annotated[str, typer.Option(help="what it should sound like: genre, instruments, mood")] = "",
    stems: Annotated[
        bool | None,
        typer.Option(
            "--stems/--no-stems",
            help="write notes for players, and each player's audio too; default where the adapter reads stems",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="denoising steps; default 20, with --fast 2", min=1)] = None,
    fast: Fast = False,
    engine: Engine = None,
    seed: Annotated[int, typer.Option(help="same seed and same sheet, same audio")] = 0,
    lufs: Annotated[
        float | None,
        typer.Option(help="loudness such as -14, by EBU R128; of players that of their sum"),
    ] = None,
    mono16: Annotated[
        bool, typer.Option("--mono16", help="the base's own 16 kHz mono instead of 48 kHz stereo")
    ] = False,
    base: Annotated[str, typer.Option(help="nano, a folder, or a Hub id", autocompletion=complete_base)] = "nano",
    adapter: Annotated[
        str | None,
        typer.Option(
            help="bundled name, folder or Hub id; default the base's own, else theory", autocompletion=complete_adapter
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    once: Annotated[bool, typer.Option("--once", help="render what waits, and end")] = False,
) -> None:
    from musetune.audio.loudness import check_loudness
    from musetune.live.folder_watch import FolderWatch
    from musetune.pipeline.loading import pick_device, quiet

    check_text("--prompt", prompt)
    check_loudness(lufs)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: make it first, then put lead sheets into it")
    if not once:
        _check_watchfiles()
    quiet()
    pipe, _ = load_pipeline(base, adapter, pick_device(device), music=True, fast=fast, engine=engine)
    pipe.set_progress_bar_config(disable=True)
    if not mono16 and pipe.upsampler is None:
        pipe.load_upsampler()
    if stems is None:
        stems = pipe.adapter is not None and pipe.adapter.stems is not None
    watched = FolderWatch(folder, renderer(pipe, prompt, steps, seed, stems, not mono16, lufs), typer.echo)
    if once:
        watched.update(watched.waiting())
        return
    typer.echo(f"watching {folder}; Ctrl-C ends it", err=True)
    watched.run(threading.Event())


def renderer(
    pipe: MuseTunePipeline, prompt: str, steps: int | None, seed: int, stems: bool, stereo: bool, lufs: float | None
) -> Renderer:
    """What makes audio and MIDI of a sheet, with ``stems`` each player's too."""
    import torch

    from musetune.audio.export import export_audio, export_mix
    from musetune.formats.songs import save_song

    def render(sheet: LeadSheet, folder: Path, name: str) -> list[Path]:
        song = pipe.arrange(sheet, seed=seed) if stems else None
        output = pipe(
            prompt,
            lead_sheet=sheet,
            arrangement=song,
            stems=stems,
            stereo=stereo,
            num_inference_steps=steps,
            generator=torch.Generator().manual_seed(seed),
        )
        mix, players = folder / f"{name}.wav", output.stems or {}
        files = {player: folder / f"{name}.{player}.wav" for player in players}
        if players:
            export_mix(mix, files, players, output.sampling_rate, lufs=lufs)
        else:
            export_audio(mix, output.audios[0], output.sampling_rate, lufs=lufs)
        midi = folder / f"{name}.mid"
        return [
            mix,
            *files.values(),
            sheet.save(midi) if song is None else save_song(sheet, song, midi, title=name.split(".")[0]),
        ]

    return render


def _check_watchfiles() -> None:
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        raise ImportError("musetune watch needs watchfiles: pip install musetune[live]; --once does without") from None
