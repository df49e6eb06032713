"""`musetune prepare`: a data set of cached latents from a folder of music."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Make a data set of cached latents from a folder of music.

SRC holds MP3, WAV, FLAC, OGG or MIDI files (MIDI is rendered), in any depth. Each file is decoded, analysed, cut on
downbeats into clips, and encoded by the base's autoencoder and text encoders; OUT then is all that recipes/finetune.py
needs, on that same base. OUT is the same, byte for byte, on either engine and with any number of workers.

Each file goes in thrice, also two semitones lower and three higher, sound, chords and key together: an adapter that has
heard a song in one key only learns the key with the chords. `--transpose` with other semitones changes that, with none
leaves it out. An AudioFolder metadata.jsonl or metadata.csv in SRC overrides what analysis finds: file_name and any of
text, genre, licence, bpm, time_signature, key, chords, lead_sheet, arrangement. `--genre`, `--caption` and
`--data-license` say the same of all files, where metadata does not.

Each clip carries how surely each of its bars was analysed, 0 to 1 (1 where metadata says what is played). A clip with
less than half of its time in bars of at least `--min-confidence` is left out, and recipes/finetune.py lets the unsure
bars of the others count less.

Run it again and it continues. A file that is corrupt, silent or too short, or of which metadata says something that
cannot be, goes to OUT/quarantine.jsonl with the reason; to try such files again, delete that file.

Example: musetune prepare ~/Music/mine data/mine --genre folk --data-license CC0-1.0 --transpose -2 3
"""


def prepare(
    src: Annotated[Path, typer.Argument(help="folder of audio or MIDI")],
    out: Annotated[Path, typer.Argument(help="data set to make or continue")],
    base: Annotated[str, typer.Option(help="the base whose latents to make: nano, a folder or a Hub id")] = "nano",
    clip_seconds: Annotated[float, typer.Option(help="length of a clip")] = 10.24,
    transpose: Annotated[
        str, typer.Option(help="also copies moved by these semitones; none after it: no copies", metavar="SEMITONES…")
    ] = "-2 3",
    genre: Annotated[
        str | None, typer.Option(help="of all files where metadata has none; default: what analysis is sure of")
    ] = None,
    caption: Annotated[
        str | None, typer.Option(help="prompt of all files where metadata has none; default: made from the analysis")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--data-license", "--licence", help="of the music where metadata has none, such as CC-BY-4.0"),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(help="bars analysed less surely count less, or go; 0: trust all; default 0.5", min=0, max=1),
    ] = None,
    expression: Annotated[
        bool, typer.Option("--expression", help="measure loudness, density, syncopation and swing of each clip too")
    ] = False,
    workers: Annotated[int, typer.Option(help="processes that decode and analyse, or actors; 0: this one", min=0)] = 2,
    shard_size: Annotated[int, typer.Option(help="clips a file of latents; a kill costs as many", min=1)] = 256,
    frames_per_row: Annotated[int, typer.Option(help="of the adapter to train", min=1)] = 4,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    engine: Annotated[
        str, typer.Option(help="who does the work: local processes, or ray: actors of a cluster, which encode too")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="of Ray's cluster; default RAY_ADDRESS, else one is started here")
    ] = None,
) -> None:
    from musetune.datasets.bar_weights import MIN_CONFIDENCE
    from musetune.datasets.prepare import prepare as make
    from musetune.pipeline.loading import quiet

    quiet()
    make(
        src,
        out,
        base=base,
        clip_seconds=clip_seconds,
        transpose=semitones(transpose),
        licence=licence,
        genre=genre,
        caption=caption,
        min_confidence=MIN_CONFIDENCE if min_confidence is None else min_confidence,
        expression=expression,
        workers=workers,
        shard_size=shard_size,
        frames_per_row=frames_per_row,
        device=device,
        engine=engine,  # type: ignore[arg-type]
        address=address,
    )


def semitones(words: str) -> tuple[int, ...]:
    """Whole numbers from a string; raises ValueError for what is none."""
    try:
        return tuple(int(word) for word in words.replace(",", " ").split())
    except ValueError:
        raise ValueError(f"--transpose {words!r}: give whole semitones, as --transpose -2 3") from None
