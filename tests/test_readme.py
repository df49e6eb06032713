"""Every example of the README runs: the Python as it stands, the commands with fewer denoising steps."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from musetune.hub.locate import BASES

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
COMMANDS = re.findall(r"^musetune .*$", README, re.MULTILINE)

pytestmark = pytest.mark.skipif(
    not (BASES / "nano" / "model_index.json").is_file(), reason="nano's weights are not in this checkout"
)


def run(arguments: list[str], folder: Path) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_python(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        run(["-c", block], tmp_path)
    assert (tmp_path / "sheet.musicxml").is_file()


@pytest.mark.slow
def test_commands(tmp_path: Path) -> None:
    """In the README's order: later ones read what earlier ones wrote."""
    assert {c.split()[1] for c in COMMANDS} == {"generate", "analyze", "info", "adapters", "plan", "compose"}
    for command in COMMANDS:
        fewer = ["--steps", "8"] if " generate " in command else []
        run(["-m", "musetune.cli", *shlex.split(command)[1:], *fewer], tmp_path)
    assert {name for name in ("out.json", "song.musicxml", "take2.mid") if not (tmp_path / name).is_file()} == set()


def test_recipes_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"recipes/[\w/]+\.(?:py|yaml)", README))
    assert named
    assert all((REPOSITORY / name).is_file() for name in named)
