"""`musetune annotate`: a data set of analyses from a collection of songs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Annotate a collection of songs: chords, keys, beats, meter, form and genre of each, as a data set.

SRC is a folder of music, or a manifest: a .jsonl or .parquet file with the column file_name, relative to where it lies,
and any others, such as licence, which go along. OUT becomes a data set that datasets.load_dataset opens and `musetune
push` shares: tables in data/, with --latents also latents/, a card, and a mark for each shard that is done.

The key of a song is the SHA-256 of its bytes: a renamed file is not heard again. Run it again and it goes on, also
after a crash of anything; with more songs in SRC it adds them. A file that cannot be used goes to OUT/quarantine.jsonl
with the reason; --retry tries such files again.

--engine ray works on all machines of a Ray cluster (--address, or RAY_ADDRESS; without, on this one). SRC and OUT must
lie where each of them sees them. Both engines make the same data set, byte for byte.

Needs the extra \\[ray]: pip install "musetune\\[ray]"

Examples:

  musetune annotate ~/Music annotations

  musetune annotate songs.jsonl annotations --latents nano --workers 8

  musetune annotate /nfs/songs.parquet /nfs/annotations --engine ray --address auto --workers 200
"""


def annotate(
    src: Annotated[Path, typer.Argument(help="folder of music, or manifest .jsonl or .parquet")],
    out: Annotated[Path, typer.Argument(help="data set to make or continue")],
    engine: Annotated[str, typer.Option(help="local: processes of this machine; ray: actors of a cluster")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="processes or actors; default: one a core of this machine", min=1)
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="of Ray's cluster; default RAY_ADDRESS, else one is started here")
    ] = None,
    beats: Annotated[str, typer.Option(help="who hears the beats: musetune, madmom or beat_this")] = "musetune",
    latents: Annotated[
        str | None, typer.Option(help="also encode clips for this base: nano, a folder or a Hub id")
    ] = None,
    clip_seconds: Annotated[float, typer.Option(help="length of a clip, with --latents")] = 10.24,
    device: Annotated[str | None, typer.Option(help="where clips are encoded; default cpu")] = None,
    shard_size: Annotated[int, typer.Option(help="songs a shard; a crash costs the shards it was at", min=1)] = 64,
    retry: Annotated[bool, typer.Option("--retry", help="try songs again that were set aside")] = False,
) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(f'annotate needs the extra ray: pip install "musetune[ray]" ({error})') from error
    from musetune.datasets.annotation import annotate as make

    make(
        src,
        out,
        engine=engine,  # type: ignore[arg-type]
        workers=workers,
        address=address,
        beats=beats,
        latents=latents,
        clip_seconds=clip_seconds,
        device=device,
        shard_size=shard_size,
        retry=retry,
    )
