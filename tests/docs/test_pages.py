"""Every Python and bash block of docs/ runs, with fewer denoising and training steps; or its page says why not.

`<!-- not run: reason -->` before a block leaves it out. A call of the pipeline takes `STEPS` denoising steps, commands
get what `FEWER` says, and nothing else is changed.
"""

from __future__ import annotations

import json
import os
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
PIPES = ("cat", "printf")  # what begins a pipe into musetune
STEPS = 1
FEWER = {
    "musetune generate": f"--steps {STEPS}",
    "musetune replay": f"--steps {STEPS}",
    "musetune compare mine --pairs": f"--pairs 1 --steps {STEPS} --seconds 2",
    "python recipes/prepare.py": "--workers 0 --transpose",
    "python recipes/finetune.py": "max_train_steps=1 train_batch_size=2 lr_warmup_steps=1 mixed_precision=no "
    "validation_steps=null report_to=null",
}
PLAYER = """
import json, os, runpy, shlex, subprocess, sys, time, traceback
import torch
torch.set_num_threads(1)
from diffusers.utils import logging
logging.disable_progress_bar()

def shorten():
    from musetune import MuseTunePipeline

    def shorter(name):
        call = getattr(MuseTunePipeline, name)

        def short(self, *args, **options):
            options["num_inference_steps"] = STEPS
            return call(self, *args, **options)

        setattr(MuseTunePipeline, name, short)

    for name in ("__call__", "repaint", "extend", "vary", "cover", "loop", "replay"):
        shorter(name)

def shell(line):
    # a line with a pipe, by the shell
    musetune = f'musetune() {{ "{sys.executable}" -m musetune.cli "$@"; }}'
    subprocess.run(["sh", "-c", f"set -e; {musetune}; {line}"], check=True)

def command(line):
    # a line of a shell block, in this process: musetune, or a recipe
    words = shlex.split(line)
    if words[0] in PIPES:
        return shell(line)
    sys.argv = words[1:] if words[0] == "python" else words
    try:
        if words[0] == "musetune":
            from musetune.cli import main
            main()
        else:
            sys.path.insert(0, os.path.join(REPOSITORY, os.path.dirname(words[1])))
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

def main(pages, out):
    shorten()
    failures = {}
    for name, (folder, blocks) in pages.items():
        os.chdir(folder)
        began = time.process_time()
        try:
            play(blocks)
        except Exception:
            failures[name] = traceback.format_exc()
        print(f"== {name}: {time.process_time() - began:.1f} s of the processor", flush=True)
    with open(out, "w") as file:
        json.dump(failures, file)
"""


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
        if command.startswith(PIPES):
            out.append(command.replace("musetune generate", f"musetune generate --steps {STEPS}"))
            continue
        more = next((f" {extra}" for start, extra in FEWER.items() if command.startswith(start)), "")
        audio = f" --steps {STEPS}" if command.startswith("musetune compose") and "-audio" in command else ""
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
                    assert command.startswith(("musetune ", "python recipes/", *PIPES)), (
                        f"{place}: {command!r} is not run: say why"
                    )


def test_files_that_pages_name_exist() -> None:
    path = re.compile(r"(?<![\w/])(?:recipes|benchmarks|tools|musetune|tests|adapters|gallery)/[\w./*-]*\w")
    pages = [*DOCS.rglob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
    named = {name for page in pages for name in path.findall(page.read_text())}
    assert named
    wheel = "musetune/_"  # what a wheel alone has: _adapters, _recipes
    assert not [name for name in sorted(named) if not name.startswith(wheel) and not any(REPOSITORY.glob(name))]


def name_of(page: Path) -> str:
    """The page's place within docs/."""
    return page.relative_to(DOCS).as_posix()


@pytest.fixture(scope="module")
def failures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Page → what went wrong.

    All pages that are tested play in one process, which loads torch once; each has a folder of its own.
    """
    folder = tmp_path_factory.mktemp("pages")
    items = [item for item in request.session.items if item.name.startswith("test_page_runs[")]
    wanted = {item.callspec.params["page"] for item in items}  # type: ignore[attr-defined]
    pages = {}
    for number, page in enumerate(p for p in PAGES if p in wanted):
        place = folder / str(number)
        place.mkdir()
        (place / "recipes").symlink_to(REPOSITORY / "recipes")
        blocks = [b for b in blocks_of(page) if b.language in RUN and not b.reason]
        plain = [
            (b.language, b.code if b.language == "python" else commands_of(b.code), f"{name_of(page)}:{b.line}")
            for b in blocks
        ]
        pages[name_of(page)] = (str(place), plain)
    script, out = folder / "pages_of_the_docs.py", folder / "failures.json"
    head = f"REPOSITORY, STEPS, PIPES = {str(REPOSITORY)!r}, {STEPS}, {PIPES}\n"
    script.write_text(f'{head}{PLAYER}\nif __name__ == "__main__":\n    main({pages!r}, {str(out)!r})\n')
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment)
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith("== ")))
    assert out.is_file(), done.stdout[-1500:] + done.stderr[-3000:]
    return json.loads(out.read_text())


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.skipif(
    not (BASES / "nano" / "model_index.json").is_file(), reason="nano's weights are not in this checkout"
)
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_runs(page: Path, failures: dict[str, str]) -> None:
    assert name_of(page) not in failures, failures[name_of(page)]
