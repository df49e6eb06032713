"""What commands that make audio share: options, the file's format, the pipeline, players' files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

    from musetune.pipeline.pipeline import MuseTunePipeline

FORMATS = ("wav", "flac", "mp3", "ogg")
Mono16 = Annotated[bool, typer.Option("--mono16", help="the base's own 16 kHz mono instead of 48 kHz stereo")]
Lufs = Annotated[
    float | None, typer.Option(help="loudness such as -14, by EBU R128; softer where a true peak of -1 dB forbids more")
]

Fast = Annotated[
    bool, typer.Option("--fast", help="a few steps of one pass, by the adapter fast; as good as its card says")
]
Engine = Annotated[
    Path | None,
    typer.Option(
        help="folder of musetune export onnx: the U-Net in OpenVINO, else ONNX Runtime, with the adapters that it was "
        "exported with",
        file_okay=False,
    ),
]
FAST = "fast"  # the bundled adapter for few steps


Quantization = Annotated[
    str | None,
    typer.Option(help="hold the base's matrices in fewer bits, which saves memory: int8, int8-dynamic, fp8 or int4"),
]


def audio_kind(out: Path, format: str | None) -> str:
    """Return the audio format that the options mean.

    Raises:
        ValueError: for another format, or one that contradicts the file's suffix.
    """
    suffix = out.suffix.lstrip(".").lower()
    kind = (format or suffix or "wav").lower()
    if kind not in FORMATS:
        raise ValueError(f"format={kind!r} is not one of {', '.join(FORMATS)}")
    if suffix and suffix != kind:
        raise ValueError(
            f"--format {kind} contradicts -o {out}: write -o {out.with_suffix('.' + kind)} or leave --format out"
        )
    return kind


def load_pipeline(
    base: str,
    adapter: str | None,
    device: str,
    music: bool,
    quantization: str | None = None,
    fast: bool = False,
    engine: Path | None = None,
) -> tuple[MuseTunePipeline, str | None]:
    """Load the pipeline, with ``fast`` the adapter for few steps too, with ``engine`` the U-Net of that folder in its
    place; say which adapter is in it where there shall be music.

    Raises:
        ValueError: for an engine without music, a folder without an exported U-Net, and where none is installed.
    """
    if engine is not None:  # before the base is loaded
        check_engine(engine, music)
    from musetune.pipeline.pipeline import MuseTunePipeline

    pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter, quantization=quantization)
    if music and adapter is None:
        adapter = "theory" if pipe.adapter is None else "the base's own"
        if pipe.adapter is None:
            pipe.load_adapter(adapter)
    if fast:
        pipe.load_adapter(FAST)
    if engine is not None:
        pipe.load_engine(engine)
    return pipe.to(device), adapter


def check_engine(folder: Path, music: bool) -> None:
    """Raise ValueError without music, where there is no export, and where no engine is installed."""
    from musetune.pipeline.exported_unet import check_export, fastest_engine

    if not music:
        raise ValueError("--engine needs --chords or --sheet: a prompt alone plays without the exported adapter")
    check_export(folder)
    fastest_engine()


def default_steps(pipe: MuseTunePipeline, steps: int | None) -> int:
    """Return the denoising steps that are meant: where none are given 20, or what an adapter for few steps says."""
    from musetune.pipeline.request import STEPS_WITH_MUSIC

    if steps is not None:
        return steps
    sampling = pipe.adapter_manager.sampling
    return STEPS_WITH_MUSIC if sampling is None else sampling.steps


def widen(pipe: MuseTunePipeline, mono: np.ndarray, loop_s: float | None = None) -> np.ndarray:
    """48 kHz stereo (2, samples) of the base's own mono (samples,); of a loop of so many seconds, a loop."""
    prepare_stereo(pipe)
    if loop_s is not None:
        from musetune.pipeline.looping import stereo_loop

        return stereo_loop(pipe, mono, loop_s)
    return pipe.to_stereo(mono)


def prepare_stereo(pipe: MuseTunePipeline) -> None:
    """Load an upsampler where the base has none of its own: the one that MuseTune ships.

    Raises:
        ValueError: The base does not give 16 kHz, which the upsampler takes.
    """
    from musetune.models.upsampler.network import RATE

    rate = pipe.vocoder.config.sampling_rate
    if rate != RATE:
        raise ValueError(f"this base gives {rate} Hz, and 48 kHz stereo is made of {RATE} Hz: give --mono16")
    if pipe.upsampler is None:
        pipe.load_upsampler()


def stem_path(audio: Path, player: str) -> Path:
    """Where a player's audio lies beside the mix: song.wav, song.bass.wav."""
    return audio.with_name(f"{audio.stem}.{player}{audio.suffix}")


def mix_path(audio: Path) -> Path:
    """Where levels and pans of a mix's players are kept: song.wav, song.mix.json."""
    from musetune.audio.mixing import SUFFIX

    return audio.with_name(audio.stem + SUFFIX)


def save_players(
    audio: Path, players: Mapping[str, np.ndarray], rate: int, lufs: float | None, kind: str
) -> Iterator[Path]:
    """Write the mix, each player and what `musetune mix` reads; yield their paths."""
    from musetune.audio.export import export_mix
    from musetune.audio.mixing import Channel, Mix, Seat
    from musetune.pipeline.songs import seat_of

    files = {name: stem_path(audio, name) for name in players}
    export_mix(audio, files, players, rate, kind, lufs)
    yield audio
    yield from files.values()
    seats = {name: seat_of(name) if wave.ndim == 2 else Seat() for name, wave in players.items()}
    channels = {name: Channel(files[name].name, seat, seat) for name, seat in seats.items()}
    yield Mix(audio.name, channels, lufs).save(mix_path(audio))
