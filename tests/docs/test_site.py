"""The site without mkdocs: every page is in the navigation, every link and anchor resolves, every API name exists.

With mkdocs: it builds.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import docs_hooks

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+?)(?:\s*\{\s*#([\w-]+)\s*\})?$", re.MULTILINE)
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose !!python/name tags name functions of mkdocs' extensions."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
CONFIG = yaml.load((REPOSITORY / "mkdocs.yml").read_text(), Loader)


def entries(nav: Any) -> Iterator[str]:
    """Every page of a navigation tree."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for inner in nav.values():
            yield from entries(inner)
    else:
        for inner in nav:
            yield from entries(inner)


def slug(heading: str) -> str:
    """The anchor that Python-Markdown's toc gives a heading."""
    text = re.sub(r"[`*]", "", heading)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text.encode("ascii", "ignore").decode()).strip().lower())


def anchors(page: Path) -> set[str]:
    """Every anchor of a page."""
    return {own or slug(text) for text, own in HEADING.findall(FENCE.sub("", page.read_text()))}


def test_navigation_and_folder_hold_the_same_pages() -> None:
    named, there = list(entries(CONFIG["nav"])), {page.relative_to(DOCS).as_posix() for page in PAGES}
    assert len(named) == len(set(named))
    assert set(named) == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_resolve(page: Path) -> None:
    generated = docs_hooks.assets()
    assert all(path.is_file() for path in generated.values())
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        known = place.is_file() or place.relative_to(DOCS).as_posix() in generated
        assert known, f"{target} leads nowhere"
        assert not anchor or anchor in anchors(place), f"{target}: there is no such heading"


def test_api_names_exist() -> None:
    names = [name for page in PAGES for name in DIRECTIVE.findall(page.read_text())]
    assert {f"musetune.{name}" for name in importlib.import_module("musetune").__all__ if name[0] != "_"} <= set(names)
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), f"{name} does not exist"


def test_diagrams_name_their_kind() -> None:
    diagrams = [text for page in PAGES for text in MERMAID.findall(page.read_text())]
    assert diagrams
    assert all(text.split()[0] in ("flowchart", "sequenceDiagram") for text in diagrams)


def test_no_page_speaks_of_this_machine() -> None:
    for page in [*PAGES, *sorted((REPOSITORY / "examples").glob("*.ipynb"))]:
        assert not re.search(r"/work/|/tmp/|/home/", page.read_text()), page.name


@pytest.mark.slow
@pytest.mark.skipif(
    not (os.environ.get("MUSETUNE_CI") or all(map(find_spec, ("mkdocs", "material", "mkdocstrings")))),
    reason="mkdocs is not installed: it is in the extra docs",
)
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "site" / "index.html").is_file()
    assert (tmp_path / "site" / "assets" / "gallery" / "pop.ogg").is_file()
