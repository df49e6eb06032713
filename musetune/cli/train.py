"""`musetune train`: an adapter from a folder of songs, with a page to hear what it changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from musetune.cli.hub import complete_adapter, complete_base

HELP = """Train a genre adapter on a folder of songs, and hear before and after.

SONGS holds MP3, WAV, FLAC, OGG or MIDI files, in any depth, and perhaps a metadata.csv or metadata.jsonl that says what
you know better than the analysis. Five steps: prepare the songs; show what was found and ask; train; compare before and
after on songs that were held out; write a page to listen to. The last lines say how to load, mix and push the adapter.

Stop it at any time: the same command goes on where it was. Six songs of two minutes are a good beginning; steps, size
of the adapter and transposed copies follow from how much music there is, and the program says why.

Examples:

  musetune train ~/Music/mine --name "my records" --genre folk --data-license CC-BY-4.0

  musetune train ~/Music/mine --name "my records" --yes --steps 60 -o out/short
"""


def train(
    songs: Annotated[Path, typer.Argument(help="folder of audio or MIDI")],
    name: Annotated[str, typer.Option(help="of the adapter, any words")],
    genre: Annotated[
        str | None,
        typer.Option(help="any word; of songs whose metadata has none. Songs of other genres are left out"),
    ] = None,
    caption: Annotated[
        str | None, typer.Option(help="prompt of songs whose metadata has none; default: made from the analysis")
    ] = None,
    data_license: Annotated[
        str | None, typer.Option(help="of the music, such as CC-BY-4.0; the card says it. Default: unknown")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask whether to train on what was found")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder for everything; default: out/ and the name")
    ] = None,
    base: Annotated[
        str,
        typer.Option(help="nano, a folder, or a Hub id such as cvssp/audioldm2-music", autocompletion=complete_base),
    ] = "nano",
    adapter: Annotated[
        str,
        typer.Option(
            help="theory adapter that stays frozen beneath: bundled name, folder or Hub id",
            autocompletion=complete_adapter,
        ),
    ] = "theory",
    steps: Annotated[int | None, typer.Option(help="optimiser steps; default: as the music suggests", min=1)] = None,
    sheets: Annotated[int, typer.Option(help="lead sheets that are played before and after", min=1)] = 4,
    clip_seconds: Annotated[float, typer.Option(help="length of a clip")] = 10.24,
    seed: Annotated[int, typer.Option(help="of training")] = 0,
    workers: Annotated[int, typer.Option(help="processes that decode and analyse; 0: this one", min=0)] = 2,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    force: Annotated[bool, typer.Option("--force", help="begin anew where OUT was made with other settings")] = False,
) -> None:
    from musetune.cli.song import check_text
    from musetune.pipeline.loading import quiet
    from musetune.training.own_songs import train_on_songs
    from musetune.training.own_songs.run import slug

    check_text("--name", name)
    quiet()
    trained = train_on_songs(
        songs,
        out or Path("out", slug(name)),
        name=name,
        genre=genre,
        caption=caption,
        data_license=data_license,
        base=base,
        theory=adapter,
        steps=steps,
        clip_seconds=clip_seconds,
        sheets=sheets,
        seed=seed,
        workers=workers,
        device=device,
        force=force,
        confirm=(lambda question: True) if yes else ask,
    )
    if trained is None:
        typer.echo("nothing was trained; the prepared songs stay, and the same command goes on there")
        return
    typer.echo(f"\nadapter: {trained.adapter}\nlisten:  {trained.page}\n\n{trained.commands}")


def ask(question: str) -> bool:
    """Ask on the terminal; raises ValueError where nobody can answer."""
    try:
        return typer.confirm(question, default=True)
    except typer.Abort:
        raise ValueError("nobody is there to answer: give --yes to train on what was found") from None
