"""Players at their places: pan, level, mute and solo, and the file that keeps them beside the players' audio.

A pan never changes the mono sum. With M = (L + R)/2 and S = (L − R)/2 a pan p, −1 (left) to 1 (right), keeps M and puts
(1 − |p|) · S − p · M in the place of S: at p = 1 all of it is right, at twice the level (the linear pan law, −6 dB in
the middle). So a mix that is folded down is the sum of the players folded down, wherever they stand.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from musetune.audio.io import load_audio

LEVELS_DB = (-60.0, 12.0)
PANS = (-1.0, 1.0)
SCHEMA = 1
SUFFIX = ".mix.json"


@dataclass(frozen=True)
class Seat:
    """Where a player stands.

    Attributes:
        level_db: −60 to 12 dB.
        pan: −1 left, 0 the middle, 1 right.

    Raises:
        ValueError: A value lies outside.
    """

    level_db: float = 0.0
    pan: float = 0.0

    def __post_init__(self) -> None:
        for name, value, (low, high) in (("level_db", self.level_db, LEVELS_DB), ("pan", self.pan, PANS)):
            if not (isinstance(value, int | float) and math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name}={value} is outside of {low:g} to {high:g}")


def place(wave: np.ndarray, seat: Seat, recorded_at: Seat = Seat()) -> np.ndarray:
    """Put a player at a seat.

    Args:
        wave: Floats (2, samples), or (samples,), which stays so where both pans are 0.
        seat: Where the player shall stand.
        recorded_at: Where the player stands in `wave`; its pan is between −1 and 1, both excluded, or `seat`'s own.

    Returns:
        Float32 (2, samples) or (samples,).

    Raises:
        ValueError: `recorded_at` is at the very left or right, from where there is no way back.

    Example:
        >>> left, right = place(np.ones(4), Seat(pan=0.5))
        >>> float(left[0]), float(right[0])
        (0.5, 1.5)
    """
    gain = 10 ** ((seat.level_db - recorded_at.level_db) / 20)
    if seat.pan == recorded_at.pan:
        return np.asarray(wave * gain, np.float32)
    if abs(recorded_at.pan) == 1:
        raise ValueError(f"pan={recorded_at.pan:g} of the recording leaves nothing on one side: it cannot be moved")
    left, right = (wave, wave) if wave.ndim == 1 else wave
    middle, side = (left + right) / 2, (left - right) / 2
    side = (side + recorded_at.pan * middle) / (1 - abs(recorded_at.pan))
    side = (1 - abs(seat.pan)) * side - seat.pan * middle
    return np.asarray(np.stack([middle + side, middle - side]) * gain, np.float32)


def sum_waves(waves: Iterable[np.ndarray]) -> np.ndarray:
    """Sum of players (samples,) or (2, samples), equally long; mono ones count on both sides where there are others.

    Raises:
        ValueError: There are none, or their lengths differ.
    """
    several = list(waves)
    if len({wave.shape[-1] for wave in several}) != 1:
        lengths = sorted({wave.shape[-1] for wave in several})
        raise ValueError(f"players of {', '.join(map(str, lengths)) or 'no'} samples make no mix: give equal lengths")
    flat = all(wave.ndim == 1 for wave in several)
    wide = several if flat else [wave if wave.ndim == 2 else np.stack([wave, wave]) for wave in several]
    return np.asarray(np.sum(wide, axis=0), np.float32)


@dataclass(frozen=True)
class Channel:
    """A player in a mix.

    Attributes:
        file: Name of the audio file, beside the mix's own file.
        seat: Where the player shall stand.
        recorded_at: Where the player stands in the file.
        mute: Whether the player is silent.
        solo: Whether those without solo are silent.
    """

    file: str
    seat: Seat = field(default_factory=Seat)
    recorded_at: Seat = field(default_factory=Seat)
    mute: bool = False
    solo: bool = False


@dataclass(frozen=True)
class Mix:
    """Players, their seats, and the file that they are mixed into.

    Attributes:
        audio: Name of the mix's audio file.
        players: By name.
        lufs: Loudness that the mix is brought to, −40 to −5; None: as it is.
    """

    audio: str
    players: Mapping[str, Channel]
    lufs: float | None = None

    def change(self, **columns: Mapping[str, Any]) -> Mix:
        """Another mix with other levels, pans, mutes or solos.

        Args:
            columns: ``level_db``, ``pan``, ``mute`` or ``solo``: the new value for each player that it names.

        Raises:
            ValueError: A player is not in the mix, or a value lies outside.

        Example:
            >>> mix = Mix("a.wav", {"bass": Channel("bass.wav")}).change(pan={"bass": -0.5}, mute={"bass": True})
            >>> mix.players["bass"].seat.pan, mix.audible()
            (-0.5, [])
        """
        players = dict(self.players)
        for column, values in columns.items():
            for name, value in values.items():
                if name not in players:
                    raise ValueError(f"{name!r} is not one of the players: {', '.join(players)}")
                one = players[name]
                if column in ("level_db", "pan"):
                    players[name] = replace(one, seat=replace(one.seat, **{column: value}))
                else:
                    players[name] = replace(one, **{column: value})
        return replace(self, players=players)

    def audible(self) -> list[str]:
        """Names of the players that are heard."""
        solo = any(one.solo for one in self.players.values())
        return [name for name, one in self.players.items() if (one.solo if solo else not one.mute)]

    def render(self, folder: Path) -> tuple[np.ndarray, int]:
        """Read the players from a folder and add them up: (samples,) or (2, samples), and the rate in Hz.

        Raises:
            ValueError: Rates or lengths differ.
            FileNotFoundError: A player's file is not there.
        """
        heard, waves, rates = self.audible(), [], set()
        for name, one in self.players.items():
            wave, rate = load_audio(folder / one.file, mono=False)
            rates.add(rate)
            wave = wave[0] if len(wave) == 1 else wave
            waves.append(place(wave, one.seat, one.recorded_at) if name in heard else np.zeros_like(wave))
        if len(rates) > 1:
            raise ValueError(f"the players' files have {', '.join(map(str, sorted(rates)))} Hz: give all one rate")
        return sum_waves(waves), rates.pop()

    def save(self, path: Path) -> Path:
        """Write it as JSON."""
        rows = {
            name: {"file": one.file, **asdict(one.seat), "mute": one.mute, "solo": one.solo}
            | {"recorded_at": asdict(one.recorded_at)}
            for name, one in self.players.items()
        }
        record = {"schema": SCHEMA, "audio": self.audio, "lufs": self.lufs, "players": rows}
        path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return path

    @staticmethod
    def load(path: Path) -> Mix:
        """Read what `save` wrote.

        Raises:
            ValueError: It is no such file, or a name in it leads out of its folder.
        """
        try:
            record = json.loads(path.read_text())
            if record["schema"] != SCHEMA:
                raise ValueError(f"schema {record['schema']!r} is not {SCHEMA}")
            players = {}
            for name, row in record["players"].items():
                seat, recorded = Seat(row["level_db"], row["pan"]), Seat(**row["recorded_at"])
                players[str(name)] = Channel(row["file"], seat, recorded, bool(row["mute"]), bool(row["solo"]))
            mix = Mix(record["audio"], players, record["lufs"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is no mix that musetune wrote: {error}") from None
        if not players:
            raise ValueError(f"{path} names no players")
        for file in (mix.audio, *(one.file for one in players.values())):
            if not isinstance(file, str) or Path(file).name != file:
                raise ValueError(f"{path}: {str(file)[:80]!r} is no name of a file beside it")
        return mix
