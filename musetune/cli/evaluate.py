"""`musetune evaluate`: does generated audio follow its lead sheets?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Measure how well generated audio follows its lead sheets, between two floors and two ceilings.

The judges are recognisers that we did not train.

For every lead sheet of the test set, at its own fixed seed: floor A the base without adapter; floor B the audio that
the adapter made for another song's lead sheet, scored against this one; the adapter; no genre the adapter where the
words alone name the genre; best of 4 what our own report ranks first of its clip and three more seeds; ceiling A the
lead sheet rendered by a synthesiser; ceiling B that rendering through the base's spectrogram, autoencoder and vocoder.
Leaves audio/, reports/, charts/, results.json, results.md, results.png and agreement.png in OUT and prints the tables,
and how well our own report agrees with the judges. Killed, it goes on where it was. The suite "quick" plays three
sheets, one a meter: adapter and floor B alone. "genres" measures genre adapters, "stems" what the notes of an
arrangement bring.

Example: musetune evaluate --suite obedience --adapter runs/theory/adapter --limit 8
"""


def evaluate(
    suite: Annotated[str, typer.Option(help="obedience, quick, genres or stems")] = "obedience",
    base: Annotated[str, typer.Option(help="bundled name, folder or Hub id")] = "nano",
    adapter: Annotated[str, typer.Option(help="bundled name, folder or Hub id")] = "theory",
    genres: Annotated[
        str | None, typer.Option(help="of the suite genres: adapters to stack; default: all six", metavar="NAMES…")
    ] = None,
    arranger: Annotated[str, typer.Option(help="of the suite stems: whose notes, rule or model")] = "rule",
    sheets: Annotated[str | None, typer.Option(help="folder or file of lead sheets; default: the test set")] = None,
    out: Annotated[Path, typer.Option(help="folder for audio, reports and tables")] = Path("out/evaluation"),
    limit: Annotated[int | None, typer.Option(help="only the first so many lead sheets", min=1)] = None,
    steps: Annotated[int, typer.Option(help="denoising steps", min=1)] = 20,
    guidance: Annotated[float | None, typer.Option(help="of the words; default: the pipeline's")] = None,
    music_guidance: Annotated[float | None, typer.Option(help="of the lead sheet; default: the pipeline's")] = None,
    played_guidance: Annotated[
        float | None, typer.Option(help="of the suite stems: of words, sheet and notes where notes are given")
    ] = None,
    soundfont: Annotated[str | None, typer.Option(help="of the renderings; default: the one at hand")] = None,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    workers: Annotated[int | None, typer.Option(help="processes; 0: this one; default: one a core", min=0)] = None,
) -> None:
    from musetune.suites import run_suite

    run_suite(
        suite,
        base=base,
        adapter=adapter,
        genres=None if genres is None else genres.split(),
        arranger=arranger,
        sheets=sheets,
        out=out,
        limit=limit,
        steps=steps,
        guidance=guidance,
        music_guidance=music_guidance,
        played_guidance=played_guidance,
        soundfont=soundfont,
        device=device,
        workers=workers,
    )
