"""Recordings by package: what is stated of each, and what is heard of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musetune.datasets.recordings import FOLDERS, RECORDINGS, find_recordings, unpack_archives
from musetune.symbols import GENRES

RATE = 8000


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A few files where the packages have theirs."""

    def write(package: str, name: str, seconds: float, level: float = 0.1) -> None:
        path = tmp_path / package / FOLDERS[package] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full((int(seconds * RATE), 2), level), RATE)

    write("singularity-music", "win/Apex.ogg", 100)
    write("hyperrogue-music", "hr3-hell.ogg", 50)
    write("hyperrogue-music", "hr-savino-ocean.ogg", 30)
    for stem in ("song.ogg", "guitar.ogg"):
        write("fretsonfire-songs-sectoid", f"Metal madness/{stem}", 100)
    write("ufoai-music", "van_theme.ogg", 100)
    return tmp_path


def test_what_is_stated_of_each(cache: Path) -> None:
    found = {one.name: one for one in find_recordings(cache)}
    assert {name: one.set.genre for name, one in found.items()} == {
        "singularity-music/win/Apex.ogg": "electronic",
        "fretsonfire-songs-sectoid/Metal madness/song.ogg": "rock",
        "hyperrogue-music/hr-savino-ocean.ogg": None,
        "hyperrogue-music/hr3-hell.ogg": "none",
        "ufoai-music/van_theme.ogg": "none",
    }
    assert len(found["fretsonfire-songs-sectoid/Metal madness/song.ogg"].stems) == 2


def test_excerpts_stand_on_both_sides_of_the_middle_and_stems_are_summed(cache: Path) -> None:
    found = {one.name: list(one.excerpts(30.0)) for one in find_recordings(cache)}
    assert [name for name, _, _ in found["singularity-music/win/Apex.ogg"]] == [
        "singularity-music/win/Apex.ogg 23 s",
        "singularity-music/win/Apex.ogg 47 s",
    ]
    assert [name for name, _, _ in found["hyperrogue-music/hr3-hell.ogg"]] == ["hyperrogue-music/hr3-hell.ogg 10 s"]
    assert found["hyperrogue-music/hr-savino-ocean.ogg"] == []
    _, wave, rate = found["fretsonfire-songs-sectoid/Metal madness/song.ogg"][0]
    assert wave().shape == (30 * rate,)
    assert np.median(wave()) == pytest.approx(0.2, abs=0.02)


def test_packages_that_calibrate_do_not_measure_and_are_permissive() -> None:
    calibrating = {one.package for one in RECORDINGS if one.calibrates}
    assert calibrating
    for one in RECORDINGS:
        assert one.package in FOLDERS
        assert one.genre in (*GENRES, "none", None)
        if one.calibrates:
            assert one.genre is not None
            assert one.licence in ("MIT", "CC-BY-3.0", "public domain")
        elif one.package in calibrating:
            assert one.genre is None


def test_archives_are_unpacked_beside_themselves(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "0music.pk3", "w") as archive:
        archive.writestr("music/a.ogg", b"sound")
        archive.writestr("maps/a.bsp", b"map")
    unpack_archives(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*") if path.suffix != ".pk3"] == [
        "0music.unpacked",
        "0music.unpacked/music/a.ogg",
    ]
