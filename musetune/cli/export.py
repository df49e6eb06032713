"""`musetune export onnx`: networks as files for other engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from musetune.cli.hub import complete_adapter, complete_base

HELP = """Write the networks as ONNX files: U-Net with adapter and genre merged, decoder, vocoder, upsampler.

Of nano's vocoder and of the upsampler the learnt network is written; the spectra that follow it stay in MuseTune.

Example:

  musetune export onnx out/onnx --genre-adapter jazz --fast

  musetune generate "jazz trio" --chords "ii7 V7 Imaj7" --adapter jazz --fast --engine out/onnx
"""


def export(
    format: Annotated[str, typer.Argument(help="onnx")],
    out: Annotated[Path, typer.Argument(help="folder to write", file_okay=False)],
    base: Annotated[str, typer.Option(help="nano, a folder, or a Hub id", autocompletion=complete_base)] = "nano",
    adapter: Annotated[
        str | None,
        typer.Option(help="theory adapter; default the base's own, else theory", autocompletion=complete_adapter),
    ] = None,
    genre_adapter: Annotated[
        str | None, typer.Option(help="also this genre adapter in the U-Net's weights", autocompletion=complete_adapter)
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="also the adapter for few steps, beside a genre's")] = False,
    seconds: Annotated[
        float | None, typer.Option(help="the only length that the U-Net shall make at once; default any length")
    ] = None,
) -> None:
    from musetune.cli.sound import load_pipeline, prepare_stereo
    from musetune.pipeline.checks import check_positive
    from musetune.pipeline.exporting import export_onnx
    from musetune.pipeline.loading import quiet

    if format != "onnx":
        raise ValueError(f"format={format!r}: only onnx is written; OpenVINO reads it too")
    if seconds is not None:
        check_positive("--seconds", seconds)
    quiet()
    pipe, _ = load_pipeline(base, adapter, "cpu", music=True, fast=fast)
    prepare_stereo(pipe)
    if genre_adapter is not None:
        pipe.load_adapter(genre_adapter)
    for path in export_onnx(pipe, out, seconds=seconds).values():
        typer.echo(f"{path}  {sum(file.stat().st_size for file in path.parent.glob(path.name + '*')) / 1e6:.1f} MB")
