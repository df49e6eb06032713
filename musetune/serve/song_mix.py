"""The mix of a song on the page: players at their seats as files, and the mix written anew after faders were moved."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.serve.work import SOUNDS, widen

if TYPE_CHECKING:
    import numpy as np

    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.serve.remote_pipeline import RemotePipeline

DESK = "song.mix.json"
TEXT = 4000  # characters of faders as the browser sends them


@dataclass(frozen=True)
class MixFiles:
    """A mix on the disk.

    Attributes:
        sounds: The mix in each format, by name.
        stems: The WAV file of each player, at its seat.
        pans: Where each player stands in its file, −1 to 1.
        archive: A zip of ``stems`` and of the file that `musetune mix` reads.
        heard: Who is heard in ``sounds``; the others are muted.
        faders: How ``sounds`` were mixed, as the browser sent it; "" as at first.
    """

    sounds: Mapping[str, Path]
    stems: Mapping[str, Path]
    pans: Mapping[str, float]
    archive: Path
    heard: tuple[str, ...]
    faders: str = ""


def mix_players(
    pipe: MuseTunePipeline | RemotePipeline, players: Mapping[str, np.ndarray], rate: int, folder: Path
) -> MixFiles:
    """Write players and their sum: 48 kHz stereo, each at its seat, where the pipeline has an upsampler.

    Args:
        pipe: Has the upsampler.
        players: Samples of each: mono (n,), or 48 kHz stereo (2, n) already.
        rate: Theirs, Hz.
        folder: Where to.
    """
    from musetune.audio.export import export_audio, export_mix
    from musetune.audio.mixing import Channel, Mix, Seat
    from musetune.pipeline.songs import place_players, seat_of

    wide = {name: widen(pipe, wave, rate) if wave.ndim == 1 else (wave, rate) for name, wave in players.items()}
    rate = next(iter(wide.values()))[1]
    waves = {name: wave for name, (wave, _) in wide.items()}
    stereo = pipe.upsampler is not None
    waves = place_players(waves) if stereo else waves
    stems = {name: folder / f"{name}.wav" for name in waves}
    sounds = {name: folder / f"song.{kind}" for name, kind in SOUNDS.items()}
    export_mix(sounds["WAV"], stems, waves, rate)
    seats = {name: seat_of(name) if stereo else Seat() for name in waves}
    channels = {name: Channel(stems[name].name, seat, seat) for name, seat in seats.items()}
    mix = Mix(sounds["WAV"].name, channels)
    mix.save(folder / DESK)
    total, _ = mix.render(folder)
    for name, file in sounds.items():
        if name != "WAV":
            export_audio(file, total, rate)
    archive = folder / "stems.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        for file in (*stems.values(), folder / DESK):
            files.write(file, file.name)
    return MixFiles(sounds, stems, {name: seat.pan for name, seat in seats.items()}, archive, tuple(waves))


def remix(files: MixFiles, faders: str) -> MixFiles:
    """Write the mix anew, under new names, with the faders as they stand; nothing is generated.

    Args:
        files: The mix before, whose players' files are still there.
        faders: JSON of the browser: {player: {"level_db": −60…12, "pan": −1…1, "mute": bool, "solo": bool}}.

    Raises:
        ValueError: The faders are none of that, or the files are gone.
    """
    from musetune.audio.export import export_audio
    from musetune.audio.mixing import Mix

    folder = files.archive.parent
    if not (folder / DESK).is_file():
        raise ValueError("the players' audio is no longer kept: press 3 to make it again")
    mix = Mix.load(folder / DESK).change(**read_faders(faders))
    wave, rate = mix.render(folder)
    number = 2 + len(list(folder.glob("song-*.wav")))
    sounds = {name: folder / f"song-{number}.{kind}" for name, kind in SOUNDS.items()}
    for file in sounds.values():
        export_audio(file, wave, rate)
    return MixFiles(sounds, files.stems, files.pans, files.archive, tuple(mix.audible()), faders)


def read_faders(text: str) -> dict[str, dict[str, Any]]:
    """Columns of `Mix.change` from what the browser sends.

    Raises:
        ValueError: It is no JSON object of objects, or a value has another kind.

    Example:
        >>> read_faders('{"bass": {"pan": 0.5, "mute": true}}')
        {'level_db': {}, 'pan': {'bass': 0.5}, 'mute': {'bass': True}, 'solo': {}}
    """
    try:
        rows = json.loads(text) if isinstance(text, str) and len(text) <= TEXT else None
    except json.JSONDecodeError:
        rows = None
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise ValueError(f"Mix: {str(text)[:40]!r} is no table of players; reload the page")
    columns: dict[str, dict[str, Any]] = {"level_db": {}, "pan": {}, "mute": {}, "solo": {}}
    for player, row in rows.items():
        for name, value in row.items():
            if name not in columns:
                raise ValueError(f"Mix: {str(name)[:40]!r} is not one of {', '.join(columns)}")
            if isinstance(value, bool) != (name in ("mute", "solo")):
                raise ValueError(f"Mix: {name} of {str(player)[:40]} is {str(value)[:40]!r}")
            columns[name][str(player)] = value
    return columns
