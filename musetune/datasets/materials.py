"""Sounds and music for training that Debian packages hold: what they are called, their licences, what is held out.

`recipes/analyzer/materials.py` unpacks them. Nothing of them is part of MuseTune. `permissive` says whether weights
that are shipped may learn from them: GPL and share-alike material only measures, or trains a user's own networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# They measure the analyser's chords, beats and bars and the generator, whose trainings refuse them. Other tasks may use
# sectoid: the upsampler learned from it, and one of its songs helps to calibrate genres; other recordings measure these
# two (musetune/models/upsampler/weights/README.md, musetune/datasets/recordings.py).
HELD_OUT_SOUNDFONT, HELD_OUT_KIT, HELD_OUT_MIDI = "TimGM6mb", "ForzeeStereo", "openmsx"
HELD_OUT_RECORDINGS = ("sectoid", "muldjord")
HELD_OUT = (HELD_OUT_SOUNDFONT, HELD_OUT_KIT, HELD_OUT_MIDI, *HELD_OUT_RECORDINGS)
HELD_OUT_DIGESTS = {  # SHA-256 of the soundfont as Debian and as pretty_midi have it, whatever a copy is called
    "c5378b62028c920cb11e4803327983fee2f2cdff5dc89c708e39da417e51c854",
    "82475b91a76de15cb28a104707d3247ba932e228bada3f47bba63c6b31aaf7a1",
}
KITS_AT = "usr/share/hydrogen/data/drumkits"
SOUNDFONTS_AT = "usr/share/sounds"


@dataclass(frozen=True)
class Material:
    """A soundfont, drum kit, collection of MIDI files or of recordings.

    Attributes:
        name: The file's stem or the folder's name.
        package: Debian's.
        path: Below the unpacked package's root.
        kind: "soundfont", "kit", "midi" or "recordings".
        licence: As the package's copyright file has it.
        permissive: Whether shipped weights may learn from it.
        megabytes: Of the package's download.
    """

    name: str
    package: str
    path: str
    kind: str
    licence: str
    permissive: bool
    megabytes: int

    @property
    def held_out(self) -> bool:
        """Whether it measures the analyser and the generator, which never learn from it."""
        return self.name in HELD_OUT

    def unpacked(self, cache: Path) -> Path:
        """Where it lies in its package, unpacked into `cache`/package."""
        return cache / self.package / self.path

    def locate(self, cache: Path) -> Path:
        """What training opens: MIDI files are taken out of their package into `cache`/midi."""
        return cache / "midi" / self.name if self.kind == "midi" else self.unpacked(cache)


def _kit(name: str, licence: str, permissive: bool = False, package: str = "hydrogen-drumkits") -> Material:
    return Material(name, package, f"{KITS_AT}/{name}", "kit", licence, permissive, 143 if "kits" in package else 7)


def _font(name: str, package: str, path: str, licence: str, permissive: bool, megabytes: int) -> Material:
    return Material(name, package, f"{SOUNDFONTS_AT}/{path}", "soundfont", licence, permissive, megabytes)


def _songs(name: str, licence: str) -> Material:
    path = f"usr/share/games/fretsonfire/data/songs/{name}"
    return Material(name, f"fretsonfire-songs-{name}", path, "recordings", licence, "SA" not in licence, 29)


MATERIALS = (
    _font("FluidR3_GM", "fluid-soundfont-gm", "sf2/FluidR3_GM.sf2", "MIT", True, 120),
    _font("FluidR3Mono_GM", "fluidr3mono-gm-soundfont", "sf3/FluidR3Mono_GM.sf3", "MIT", True, 19),
    _font(
        "MuseScore_General_Full",
        "musescore-general-soundfont",
        "sf3/MuseScore_General_Full.sf3",
        "MIT, some samples CC0",
        True,
        76,
    ),
    _font("sf_GMbank", "csound-soundfont", "sf2/sf_GMbank.sf2", "public domain", True, 3),
    _font("OPL-3_FM_128M", "opl3-soundfont", "sf2/OPL-3_FM_128M.sf2", "CC-BY-SA-4.0", False, 8),
    _font("TimGM6mb", "timgm6mb-soundfont", "sf2/TimGM6mb.sf2", "GPL-2", False, 5),
    _kit("Audiophob", "CC0", True),
    _kit("rumpf_kit_z01_h2", "CC-BY-3.0", True),
    _kit("ColomboAcousticDrumkit", "GPL-2+, music made with it excepted", True),
    _kit("Millo_MultiLayered2", "GPL-2"),
    _kit("The Black Pearl 1.0", "GPL-2"),
    _kit("Millo-Drums_v.1", "GPL-2"),
    _kit("GMRockKit", "GPL-2+", package="hydrogen-data"),
    _kit("TR808EmulationKit", "GPL-2+", package="hydrogen-data"),
    _kit("ForzeeStereo", "GPL-2"),
    Material("freedoom", "freedoom", "usr/share/games/doom", "midi", "BSD-3-Clause", True, 24),
    Material("simutrans", "simutrans-data", "usr/share/games/simutrans/music", "midi", "Artistic-1.0", True, 2),
    Material("openmsx", "openttd-openmsx", "usr/share/games/openttd/baseset/openmsx", "midi", "GPL-2", False, 1),
    _songs("sectoid", "MIT"),
    _songs("muldjord", "CC-BY-SA-3.0"),
)


def select(cache: Path, kind: str, permissive: bool = True) -> list[Path]:
    """What of a kind is unpacked and may be trained on, the held-out left out.

    Args:
        cache: The folder of unpacked packages.
        kind: "soundfont", "kit", "midi" or "recordings".
        permissive: Only what shipped weights may learn from.

    Returns:
        Existing paths, in the order of `MATERIALS`.

    Example:
        >>> select(Path("nowhere"), "kit")
        []
    """
    choice = [m for m in MATERIALS if m.kind == kind and not m.held_out and (m.permissive or not permissive)]
    return [path for material in choice if (path := material.locate(cache)).exists()]


def find_held_out(cache: Path, kind: str) -> Path | None:
    """The soundfont, kit or MIDI folder that measures alone, where it is unpacked."""
    return next((p for m in MATERIALS if m.held_out and m.kind == kind and (p := m.locate(cache)).exists()), None)


def reject_held_out(paths: Iterable[Path]) -> None:
    """Refuse to train the analyser or the generator on what is held out for measuring them.

    Args:
        paths: Soundfonts, folders of kits and of MIDI files; those that are not there are judged by name.

    Raises:
        ValueError: One of them is held out, by its name or, of a soundfont, by its content.

    Example:
        >>> reject_held_out([Path("fonts/FluidR3_GM.sf2")])
    """
    for path in paths:
        names = {path.stem.lower(), path.name.lower()}
        named = not names.isdisjoint(name.lower() for name in HELD_OUT)
        if named or (path.is_file() and _digest(path) in HELD_OUT_DIGESTS):
            raise ValueError(
                f"{path} is held out: the benchmarks measure with {', '.join(HELD_OUT)}, "
                "which analyser and generator never learn from; give another"
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
