"""Every Python and bash block of docs/ runs, a page in one process, with fewer denoising and training steps; or its page says why not.

`<!-- not run: reason -->` before a block leaves it out. What shortens a command is in `FEWER`, and nothing else is changed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from musetune.hub.locate import BASES

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
FENCE = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*$")
RUN = ("python", "bash")
SHOWN = ("", "text", "json", "yaml", "mermaid")  # blocks that are no code to run
FEWER = {
    "musetune generate": "--steps 4",
    "python recipes/prepare.py": "--workers 0 --transpose",
    "python recipes/finetune.py": "max_train_steps=2 train_batch_size=2 lr_warmup_steps=1 mixed_precision=no validation_steps=null report_to=null",
}
PLAYER = '''
import os, runpy, shlex, sys, warnings
import torch
torch.set_num_threads(1)
from diffusers.utils import logging
logging.disable_progress_bar()

def command(line):
    """A line of a shell block in this process: musetune, or a recipe."""
    words = shlex.split(line)
    sys.argv = words[1:] if words[0] == "python" else words
    try:
        if words[0] == "musetune":
            from musetune.cli import main
            main()
        else:
            sys.path.insert(0, os.path.dirname(os.path.join(REPOSITORY, words[1])))
            runpy.run_path(os.path.join(REPOSITORY, words[1]), run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            raise RuntimeError(f"{line}: exit code {end.code}") from None

def play(blocks):
    names = {"__name__": "__main__"}
    for language, code, where in blocks:
        print(f"-- {where}", flush=True)
        if language == "python":
            exec(compile(code, where, "exec"), names)
        else:
            for line in code:
                print("$", line, flush=True)
                command(line)
'''


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, its line, and why it is not run."""

    language: str
    code: str
    line: int
    reason: str | None


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page in order."""
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        before = NOT_RUN.search(text[: match.start()])
        line = text[: match.start()].count("\n") + 2
        found.append(Block(match[1], match[2], line, before[1] if before else None))
    return found


def commands_of(code: str) -> list[str]:
    """The commands of a shell block without comments, continued lines joined, shortened as FEWER says."""
    lines = code.replace("\\\n", " ").splitlines()
    commands = [" ".join(shlex.split(line, comments=True)) and line.split("  #")[0].strip() for line in lines]
    out = []
    for command in filter(None, commands):
        more = next((f" {extra}" for start, extra in FEWER.items() if command.startswith(start)), "")
        audio = " --steps 4" if command.startswith("musetune compose") and "-audio" in command else ""
        out.append(command + more + audio)
    return out


PAGES = [p for p in sorted(DOCS.rglob("*.md")) if any(b.language in RUN and not b.reason for b in blocks_of(p))]


def test_every_block_runs_or_says_why_not() -> None:
    for page in sorted(DOCS.rglob("*.md")):
        for block in blocks_of(page):
            place = f"{page.relative_to(DOCS)}, line {block.line}"
            assert block.language in RUN + SHOWN, f"{place}: a block of {block.language!r}"
            assert block.reason is None or (block.language in RUN and len(block.reason) > 10), place
            if block.language == "bash" and block.reason is None:
                for command in commands_of(block.code):
                    assert command.startswith(("musetune ", "python recipes/")), f"{place}: {command!r} is not run: say why"


def test_recipes_and_configs_that_pages_name_exist() -> None:
    named = {name for p in DOCS.rglob("*.md") for name in re.findall(r"\b(?:recipes|benchmarks|tools)/[\w/]+\.(?:py|yaml|sh)\b", p.read_text())}  # fmt: skip
    assert named
    assert not [name for name in sorted(named) if not (REPOSITORY / name).is_file()]


@pytest.mark.slow
@pytest.mark.skipif(not (BASES / "nano" / "model_index.json").is_file(), reason="nano's weights are not in this checkout")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_page_runs(page: Path, tmp_path: Path) -> None:
    blocks = [
        (b.language, b.code if b.language == "python" else commands_of(b.code), f"{page.name}:{b.line}")
        for b in blocks_of(page)
        if b.language in RUN and not b.reason
    ]
    (tmp_path / "recipes").symlink_to(REPOSITORY / "recipes")
    code = f"REPOSITORY = {str(REPOSITORY)!r}\n{PLAYER}\nplay({blocks!r})\n"
    script = tmp_path / "page_of_the_docs.py"
    script.write_text(f"{code}" if "__main__" in code else code)
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
