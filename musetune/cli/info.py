"""`musetune info`: what a base and an adapter weigh, and the versions at work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from musetune.cli.hub import complete_adapter, complete_base
from musetune.symbols.json_values import JsonObject


def info(
    base: Annotated[
        str, typer.Argument(help="a base: nano, a folder or a Hub id", autocompletion=complete_base)
    ] = "nano",
    adapter: Annotated[
        str | None,
        typer.Option(help="also this adapter; default the base's own, nano's: theory", autocompletion=complete_adapter),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Sizes of a base and an adapter, and the versions at work."""
    from importlib.metadata import version

    from musetune import __version__
    from musetune.adapter.metadata import read_adapter_metadata
    from musetune.hub.locate import find_adapter, find_base, is_lora
    from musetune.pipeline.loading import quiet
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.pipeline.sizes import adapter_sizes, base_sizes, lora_sizes

    quiet()
    adapter = adapter or ("theory" if base == "nano" else None)
    pipe, base_path = MuseTunePipeline.from_pretrained(base, adapter=adapter), find_base(base)
    folder = Path(base_path if Path(base_path).is_dir() else MuseTunePipeline.download(base_path, use_safetensors=True))
    packages = {name: version(name) for name in ("torch", "diffusers", "transformers", "peft")}
    summary: JsonObject = {"musetune": __version__, **packages}
    plug = pipe.adapter
    pipe.unload_adapter()
    summary["base"] = base_sizes(pipe, folder)
    if plug is not None:
        files = Path(find_adapter(adapter)) if adapter else folder / "adapter"
        plug.attach(pipe.unet)  # its LoRA counts
        unet = summary["base"]["unet"]["parameters"]
        if is_lora(files):
            summary["lora"] = lora_sizes(files, unet)
            metadata = read_adapter_metadata(files)
            files = Path(find_adapter(metadata.theory)) if metadata and metadata.theory else folder / "adapter"
        summary["adapter"] = adapter_sizes(plug, files, unet)
    typer.echo(json.dumps(summary, indent=2) if as_json else "\n".join(_lines(summary)))


def _lines(summary: JsonObject) -> Iterator[str]:
    for name, value in summary.items():
        if name == "base":
            yield from _lines(value)
        elif isinstance(value, dict):
            yield f"{name}: {value['parameters']:,} parameters, {value['mb']:.2f} MB"
        else:
            yield f"{name}: {value}"
