"""The README is short, and its examples run: the Python as it stands, the commands with fewer denoising steps."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from musetune import LeadSheet
from musetune.audio import save_audio, synthesize
from musetune.hub.locate import BASES
from musetune.planning.arranger.arranger import arrange

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
COMMANDS = re.findall(r"^musetune .*$", README, re.MULTILINE)

pytestmark = pytest.mark.skipif(
    not (BASES / "nano" / "model_index.json").is_file(), reason="nano's weights are not in this checkout"
)


def run(arguments: list[str], folder: Path) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_it_is_short_and_names_the_two_commands() -> None:
    assert len(README.splitlines()) <= 120
    assert all(words in README for words in ("make demo", "make test", "not on PyPI"))
    assert len(COMMANDS) == 5


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]
    assert len(links) > 10
    assert not [link for link in links if not (REPOSITORY / link.partition("#")[0]).exists()]


@pytest.mark.slow
@pytest.mark.heavy
def test_python(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].splitlines()) <= 11
    run(["-c", blocks[0]], tmp_path)
    assert (tmp_path / "first.wav").is_file()


@pytest.mark.slow
@pytest.mark.heavy
def test_commands(tmp_path: Path) -> None:
    """In the README's order: later ones read what earlier ones wrote."""
    extra = {"generate": ["--steps", "8"], "train": ["--yes", "--steps", "1", "--sheets", "1"], "ui": ["--help"]}
    sheet = LeadSheet.parse("| G | D | Em | C |", key="G major", bpm=100, duration_seconds=21)
    for seed in range(6):
        song = synthesize(arrange(sheet.transpose(seed), seed=seed).to_pretty_midi(), 22050)
        save_audio(tmp_path / "songs" / f"{seed}.flac", song, 22050)
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        run(["-m", "musetune.cli", *words, *extra.get(words[0], [])], tmp_path)
    names = {"trio.wav", "trio.json", "trio.wav.analysis.png", "ballad.mid", "ballad.musicxml"}
    assert (tmp_path / "out" / "my-records" / "listen" / "index.html").is_file()
    assert not names - {path.name for path in tmp_path.iterdir()}


def test_recipes_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"recipes/[\w/]+\.(?:py|yaml)", README))
    assert named
    assert all((REPOSITORY / name).is_file() for name in named)
