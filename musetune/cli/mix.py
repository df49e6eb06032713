"""`musetune mix`: levels, pans, mute and solo of players that were generated; the mix is written anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetune.cli.outputs import Force, check_new
from musetune.cli.sound import audio_kind

if TYPE_CHECKING:
    from musetune.audio.mixing import Mix

HELP = """Set level, pan, mute and solo of a song's players, and write its mix again, without generating again.

FOLDER holds what `musetune compose --stems-audio` or `musetune generate --stems` wrote: a file for each player and
NAME.mix.json, which remembers how they are mixed; it may be named itself. What no option names stays as it was. The mix
is written over the one before, since it can always be made again; -o gives it another name.

Levels are in dB, -60 to 12. Pans go from -1, left, to 1, right; none changes what a mono listener hears. --mute and
--solo name all players that are then muted or solo, "none" for nobody. Without options the mix is shown.

Examples:

  musetune mix songs/ --level bass=-3 --level lead=2 --pan guitar=-0.7

  musetune mix songs/lofi.mix.json --mute drums,keys --lufs -14 -o songs/backing.flac

  musetune mix songs/ --solo none --mute none
"""


def mix(
    folder: Annotated[Path, typer.Argument(help="folder of the players' audio, or NAME.mix.json", exists=True)],
    level: Annotated[list[str] | None, typer.Option(help="bass=-3: decibels of a player, more than once")] = None,
    pan: Annotated[list[str] | None, typer.Option(help="keys=0.4: place of a player, more than once")] = None,
    mute: Annotated[str | None, typer.Option(help="all players that are silent, as drums,keys; or none")] = None,
    solo: Annotated[str | None, typer.Option(help="all players that are heard alone; or none")] = None,
    lufs: Annotated[
        str | None, typer.Option(help="loudness such as -14, by EBU R128, or none; softer where a peak forbids more")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="wav, flac, mp3 or ogg; default: the mix's own", dir_okay=False)
    ] = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="say how it is mixed, for programs")] = False,
) -> None:
    from musetune.audio.export import export_audio
    from musetune.audio.loudness import check_loudness
    from musetune.audio.mixing import Mix

    loudness = _loudness(lufs)
    check_loudness(loudness)
    path = find_mix(folder)
    before = Mix.load(path)
    changes: dict[str, Mapping[str, Any]] = {"level_db": _numbers("--level", level), "pan": _numbers("--pan", pan)}
    changes |= {name: _switches(f"--{name}", word, before.players) for name, word in (("mute", mute), ("solo", solo))}
    after = before.change(**changes)
    if lufs is not None:
        after = Mix(after.audio, after.players, loudness)
    target = path.parent / after.audio if out is None else out
    kind = audio_kind(target, None)
    if out is not None:
        own = [path.parent / one.file for one in after.players.values()]
        if any(file.exists() and target.exists() and target.samefile(file) for file in own):
            raise ValueError(f"-o {out} is a player's own file, which the mix is made of: give another name")
        check_new([target], force)
    if after != before or out is not None:
        wave, rate = after.render(path.parent)
        export_audio(target, wave, rate, kind, after.lufs)
        if out is None:  # another file's settings are not those of the mix beside it
            after.save(path)
    summary = _summary(after, target)
    typer.echo(json.dumps(summary, indent=2) if as_json else "\n".join(_lines(summary)))


def find_mix(place: Path) -> Path:
    """Return the one NAME.mix.json of a folder, or the file that is named itself.

    Raises:
        ValueError: There is none, or more than one.
    """
    from musetune.audio.mixing import SUFFIX

    if place.is_file():
        return place
    found = sorted(place.glob(f"*{SUFFIX}"))
    if not found:
        raise ValueError(
            f"{place} holds no NAME{SUFFIX}: musetune compose --stems-audio and musetune generate --stems write one"
        )
    if len(found) > 1:
        raise ValueError(f"{place} holds {', '.join(path.name for path in found)}: name one of them")
    return found[0]


def _numbers(option: str, words: list[str] | None) -> dict[str, float]:
    """Read player=number."""
    values = {}
    for word in words or ():
        name, _, number = word.partition("=")
        try:
            values[name.strip()] = float(number)
        except ValueError:
            raise ValueError(f"{option} {word!r} is not like bass=-3") from None
    return values


def _loudness(word: str | None) -> float | None:
    """Read --lufs."""
    if word is None or word.strip() == "none":
        return None
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"--lufs {word!r} is neither a loudness such as -14 nor none") from None


def _switches(option: str, word: str | None, players: Iterable[str]) -> dict[str, bool]:
    """Read names of players that are on; the others are off. Nothing where the option is not given."""
    if word is None:
        return {}
    names = [] if word.strip() == "none" else word.replace(",", " ").split()
    for name in names:
        if name not in players:
            raise ValueError(f"{option} {word!r}: {name!r} is not one of the players: {', '.join(players)}")
    return {name: name in names for name in players}


def _summary(mix: Mix, audio: Path) -> dict[str, Any]:
    heard = mix.audible()
    rows = [
        {"name": n, "level_db": c.seat.level_db, "pan": c.seat.pan, "mute": c.mute, "solo": c.solo, "heard": n in heard}
        for n, c in mix.players.items()
    ]
    return {"audio": str(audio), "lufs": mix.lufs, "players": rows}


def _lines(summary: dict[str, Any]) -> Iterable[str]:
    for row in summary["players"]:
        state = [word for word in ("mute", "solo") if row[word]] + ([] if row["heard"] else ["silent"])
        yield f"{row['name']:8} {row['level_db']:+6.1f} dB  pan {row['pan']:+.2f}  {' '.join(state)}".rstrip()
    yield summary["audio"]
