"""Every command and every line of Python in the README does what it says, or runs where it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
SHIPPED = (REPOSITORY / "musetune" / "bases" / "nano" / "model_index.json").is_file()
needs_nano = pytest.mark.skipif(not SHIPPED, reason="musetune/bases/nano is not in this checkout")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Command lines of the bash blocks, comments off."""
    lines = [line.split("  #")[0].split(" # ")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def of(program: str) -> list[str]:
    return [line for line in commands() if line.startswith(program)]


def test_every_command_is_covered_by_a_test_below() -> None:
    covered = {
        *of("make "),
        *of("musetune "),
        *of("python recipes/"),
        *of("accelerate launch recipes/"),
        *of("pip install"),
    }
    assert set(commands()) == covered
    assert len(of("make ")) >= 2
    assert len(of("musetune ")) >= 3


@pytest.mark.parametrize("line", of("make "))
def test_make_targets_exist(line: str) -> None:
    done = subprocess.run(
        [*shlex.split(line), "--dry-run"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "recipes/demo.py" in done.stdout or "pytest" in done.stdout or "install" in done.stdout


@needs_nano
@pytest.mark.slow
def test_musetune_commands_run(tmp_path: Path) -> None:
    """In the order of the README, for later ones read what earlier ones wrote."""
    for line in of("musetune "):
        words = [sys.executable, "-m", "musetune.cli", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert {path.suffix for path in tmp_path.iterdir()} >= {".wav", ".json"}


@needs_nano
@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(block: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", [*of("python recipes/"), *of("accelerate launch recipes/")])
def test_recipes_exist_and_know_their_options(line: str) -> None:
    """The recipes run whole in tests/recipes; here: the file is there and every option or knob of the line is one of its own."""
    words = shlex.split(line)
    script = next(word for word in words if word.endswith(".py"))
    source = (REPOSITORY / script).read_text()
    for word in words[words.index(script) + 1 :]:
        if word.startswith("--"):
            assert f'"{word}"' in source, f"{script} has no {word}"
        elif "=" in word:
            assert re.search(rf"^    {word.split('=')[0]}\b", source, re.MULTILINE), f"{script} has no {word}"
        elif word.endswith(".yaml"):
            assert (REPOSITORY / word).is_file(), word


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (REPOSITORY / link).exists(), link


def test_figures_are_there() -> None:
    assert "RESULTS" not in README.replace("## Results", "")
