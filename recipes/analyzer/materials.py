"""Unpack soundfonts, drum kits and MIDI files that Debian packages hold, for training and measuring the analyser.

    python recipes/analyzer/materials.py cache=.cache/materials                  what shipped weights may learn from
    python recipes/analyzer/materials.py cache=.cache/materials permissive=false  GPL and share-alike material too
    python recipes/analyzer/materials.py cache=.cache/materials recordings=true   recordings that judge genres too
    python recipes/analyzer/materials.py cache=.cache/materials fetch=false       list what is there
    make recordings                    recordings alone, with who made them (recordings=true materials=false)

What the benchmarks measure with is always unpacked; training refuses it. Needs apt-get and dpkg, but no root, and
installs nothing; what is there already is not fetched again. Prints each material's name, licence and size.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING
from tqdm import tqdm

from musetune.datasets.arranger.songs import wad_music
from musetune.datasets.copyrights import find_notice, package_notices
from musetune.datasets.materials import MATERIALS, Material
from musetune.datasets.recordings import FOLDERS, MEGABYTES, RECORDINGS, find_recordings, unpack_archives
from musetune.training.config import command_line, read, run_command

UNPACK = Path(__file__).parents[2] / "tools" / "debian.sh"


@dataclass
class Config:
    """Every option, its default, its meaning."""

    cache: str = MISSING  # the folder that packages are unpacked into, such as .cache/materials
    permissive: bool = True  # only what shipped weights may learn from, and what measures
    recordings: bool = False  # 600 MB of produced music of games too, see musetune/datasets/recordings.py
    materials: bool = True  # false: no soundfonts, kits and MIDI files; with recordings=true, recordings alone
    fetch: bool = True  # false: only list


def fetch_all(cfg: Config) -> None:
    """Unpack what is missing, take MIDI files out of their packages, print the list."""
    cache = Path(cfg.cache)
    choice = [m for m in MATERIALS if cfg.materials and (m.permissive or m.held_out or not cfg.permissive)]
    if not cfg.materials and not cfg.recordings:
        raise ValueError("materials=false and recordings=false leave nothing: set one of them to true")
    if cfg.fetch:
        sizes = {m.package: m.megabytes for m in choice} | (MEGABYTES if cfg.recordings else {})
        unpack(sizes, cache)
        for material in choice:
            if material.kind == "midi":
                extract_midi(material.unpacked(cache), material.locate(cache))
        for package in FOLDERS if cfg.recordings else ():
            unpack_archives(cache / package)
    if choice:
        print("| name | package | kind | licence | MB | for |\n|---|---|---|---|---|---|")
    for material in choice:
        print("| " + " | ".join(describe(material, cache)) + " |")
    if cfg.recordings:
        print("\n| recordings | package | files | genre stated | evidence | licence | for |\n" + "|---" * 7 + "|")
        tally = Counter(one.set for one in find_recordings(cache))
        for row in RECORDINGS:
            purpose = "calibrating genres" if row.calibrates else "measuring genres"
            cells = (row.package, row.pattern, row.genre or "nothing", row.evidence, row.licence, purpose)
            print(f"| {tally[row]} | " + " | ".join(cells) + " |")
        print(f"\nWho made them:\n{credits(cache)}")


def unpack(sizes: dict[str, int], cache: Path) -> None:
    """Fetch and unpack packages (name → MB) that are not there yet; a bar counts megabytes."""
    missing = {package: size for package, size in sizes.items() if not (cache / package).is_dir()}
    print(f"{len(sizes) - len(missing)} of {len(sizes)} packages are there, {sum(missing.values())} MB to fetch")
    with tqdm(total=sum(missing.values()), unit="MB", disable=not missing) as bar:
        for package, size in missing.items():
            bar.set_description(package)
            if subprocess.run([str(UNPACK), package, str(cache / package)], check=False).returncode:
                raise ValueError(f"{package} was not unpacked; fetch it elsewhere and unpack it to {cache / package}")
            bar.update(size)


def credits(cache: Path) -> str:
    """A table of the recordings that are unpacked: package, licence and authors as its copyright file has them."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    notices = {package: package_notices(cache / package, package) for package in FOLDERS}
    for one in find_recordings(cache):
        found = find_notice(notices[one.set.package], one.stems[0].as_posix())
        authors = "; ".join(found.authors) if found else "not stated"
        key = (one.set.package, found.licence if found else one.set.licence, authors)
        rows.setdefault(key, []).append(one.name.rsplit("/", 1)[-1])
    lines = ["| package | licence | authors | files |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(key)} | {len(names)}: {names[0]} … |" for key, names in rows.items()]
    return "\n".join(lines)


def describe(material: Material, cache: Path) -> list[str]:
    """A row of the list; MB as unpacked."""
    path = material.locate(cache)
    size = f"{size_mb(path):.1f}" if path.exists() else f"missing, {material.megabytes} to fetch"
    purpose = "measuring" if material.held_out else "training" if material.permissive else "training, not for shipping"
    return [material.name, material.package, material.kind, material.licence, size, purpose]


def size_mb(path: Path) -> float:
    """Of a file or of all in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def extract_midi(source: Path, target: Path) -> None:
    """Copy MIDI files, and the music of WAD files, into one folder, each content once."""
    if target.is_dir():
        return
    part = target.with_name(target.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    contents: set[bytes] = set()
    for path in sorted(source.rglob("*")):
        files = [(path.stem, path.read_bytes())] if path.suffix.lower() == ".mid" else []
        if path.suffix.lower() == ".wad":
            lumps = wad_music(path.read_bytes())
            files = [(f"{path.stem}-{name.removeprefix('D_').lower()}", data) for name, data in lumps]
        for name, data in files:
            if data not in contents:
                contents.add(data)
                (part / f"{name}.mid").write_bytes(data)
    part.rename(target)


if __name__ == "__main__":
    run_command(fetch_all, command_line(lambda words: read(Config, words), Config, __doc__))
