"""Produced recordings that Debian packages hold, and which genre their makers say they are.

Only what a file's own tags, its title or a text beside it states counts; nobody here listened and judged. The option
`recordings` of `recipes/analyzer/materials.py` unpacks them, `benchmarks/genre.py` measures with them. Packages are
kept apart: what calibrates genres never measures them. Nothing of them is part of MuseTune. For other tasks shipped
weights learned from some: the chord network from thirteen tracks of ufoai-music (`docs/how-to/train-the-analyser.md`),
the upsampler from these, three more and sectoid (`musetune/models/upsampler/weights/README.md`).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import numpy as np

from musetune.datasets.rendering.genres import NO_GENRE

SOUNDS = (".ogg", ".opus")
STEMS = ("song.ogg", "guitar.ogg")  # of one recording
SHORTEST_S = 40.0


@dataclass(frozen=True)
class RecordingSet:
    """Recordings of a package about which one thing is stated.

    Attributes:
        package: Debian's.
        pattern: Of paths within `folder`; the first set whose pattern fits a file has it.
        genre: One of the six, `NO_GENRE` where what is stated is none of them, None where nothing is.
        evidence: What is stated, and where.
        licence: As the package's copyright file has it.
        calibrates: Whether it calibrates (its licence must permit that of weights that are shipped) or measures.
    """

    package: str
    pattern: str
    genre: str | None
    evidence: str
    licence: str
    calibrates: bool = False


MEGABYTES = {  # of the packages' downloads
    "singularity-music": 52,
    "nexuiz-music": 84,
    "fretsonfire-songs-muldjord": 29,
    "fretsonfire-songs-sectoid": 29,
    "hyperrogue-music": 64,
    "drascula-music": 36,
    "warzone2100-music": 86,
    "ufoai-music": 210,
}
FOLDERS = {  # package → folder of its music, below the unpacked package's root
    "singularity-music": "usr/share/games/singularity/music",
    "nexuiz-music": "usr/share/games/nexuiz",
    "fretsonfire-songs-muldjord": "usr/share/games/fretsonfire/data/songs/muldjord",
    "fretsonfire-songs-sectoid": "usr/share/games/fretsonfire/data/songs/sectoid",
    "hyperrogue-music": "usr/share/hyperrogue/music",
    "drascula-music": "usr/share/scummvm/drascula/audio",
    "warzone2100-music": "usr/share/games/warzone2100/music",
    "ufoai-music": "usr/share/games/ufoai/base",
}
_SA, _UNSTATED = "CC-BY-SA-3.0", "no tag, title or text names a genre"

RECORDINGS = (
    RecordingSet(
        "singularity-music", "*", "electronic", 'README: "the Psycle and Renoise source files for the tracks"', _SA
    ),
    RecordingSet("nexuiz-music", "*digital-pursuit*", "electronic", 'tag: genre "Electronic"', "GPL-2+"),
    RecordingSet("nexuiz-music", "*", None, _UNSTATED, "GPL-2+"),
    RecordingSet(
        "fretsonfire-songs-muldjord", "*", "rock", 'tag: genre "Death Metal"; readme: "the danish metal band"', _SA
    ),
    RecordingSet("hyperrogue-music", "hr3-*", NO_GENRE, 'tag: genre "Game"', _SA),
    RecordingSet("hyperrogue-music", "*", None, _UNSTATED, _SA),
    RecordingSet("drascula-music", "*", None, _UNSTATED, "freeware"),
    RecordingSet("warzone2100-music", "*", None, _UNSTATED, "CC-BY-SA-3.0 or GPL-2+"),
    RecordingSet("ufoai-music", "*van_*", NO_GENRE, 'tag of four of the six: genre "Soundtrack"', "CC-BY-3.0", True),
    RecordingSet("ufoai-music", "*karlmacklin*", NO_GENRE, 'tag: genre "Game"', "CC-BY-3.0", True),
    RecordingSet("ufoai-music", "*", None, _UNSTATED, "CC-BY-3.0, CC-BY-SA-3.0, GPL-2 or public domain"),
    RecordingSet("fretsonfire-songs-sectoid", "Metal madness/*", "rock", "its title", "MIT", True),
    RecordingSet("fretsonfire-songs-sectoid", "*", None, _UNSTATED, "MIT"),
)


@dataclass(frozen=True)
class Recording:
    """One recording: its `stems` are to be summed; what is stated of it is that of its `set`."""

    name: str
    stems: tuple[Path, ...]
    set: RecordingSet

    def excerpts(self, seconds: float = 30.0) -> Iterator[tuple[str, Callable[[], np.ndarray], int]]:
        """Name, sound when called (samples,) mono, and rate of a stretch from each side of the middle; of one where
        the recording is short, of none where it is shorter than `SHORTEST_S`.

        Args:
            seconds: Length of each.
        """
        import soundfile

        infos = [soundfile.info(str(path)) for path in self.stems]
        length = min(info.duration for info in infos)
        shares = (1 / 3, 2 / 3) if length >= 3 * seconds else (1 / 2,) if length >= SHORTEST_S else ()
        for share in shares:
            start_s = share * (length - seconds)
            yield f"{self.name} {start_s:.0f} s", partial(_mix, self.stems, start_s, seconds), infos[0].samplerate


def _mix(stems: tuple[Path, ...], start_s: float, seconds: float) -> np.ndarray:
    """The sum of the stems, mono, a peak of 1 at most."""
    import soundfile

    waves = []
    for path in stems:
        rate = soundfile.info(str(path)).samplerate
        wave, _ = soundfile.read(str(path), int(seconds * rate), int(start_s * rate), dtype="float32", always_2d=True)
        waves.append(wave.mean(axis=1))
    total = np.sum([wave[: min(map(len, waves))] for wave in waves], axis=0)
    return np.asarray(total / max(1.0, float(np.abs(total).max(initial=0.0))))


def unpack_archives(root: Path) -> None:
    """Unpack the .pk3 files (zip) that game engines read music from, beside them; those that are unpacked are left."""
    for path in sorted(root.rglob("*.pk3")):
        target = path.with_suffix(".unpacked")
        if target.is_dir():
            continue
        part = path.with_suffix(".part")  # a folder that is whole or not there, wherever this is stopped
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(SOUNDS)]
            archive.extractall(part, names)
        part.rename(target)


def find_recordings(cache: Path) -> Iterator[Recording]:
    """All that is unpacked in `cache`/package, in the order of `FOLDERS` and of names.

    Example:
        >>> list(find_recordings(Path("nowhere")))
        []
    """
    for package, below in FOLDERS.items():
        folder = cache / package / below
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS):
            stems = tuple(path.with_name(name) for name in STEMS)
            if path in stems:
                if path != stems[0] or not all(stem.is_file() for stem in stems):
                    continue
            else:
                stems = (path,)
            inside = path.relative_to(folder).as_posix()
            first = next(row for row in RECORDINGS if row.package == package and fnmatch(inside, row.pattern))
            yield Recording(f"{package}/{inside}", stems, first)
