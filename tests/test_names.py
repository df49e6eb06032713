"""Names and docstrings: a public class name stands for one type, a docstring's first words stand alone."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "musetune"
# names that still stand for several classes; this list may only get shorter
DUPLICATES: set[str] = set()


def trees() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py"))
    ]


def test_public_class_names_are_unique() -> None:
    files = defaultdict(list)
    for file, tree in trees():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files[node.name].append(file)
    twice = {name: where for name, where in files.items() if len(where) > 1}
    assert set(twice) <= DUPLICATES, twice


def test_docstrings_stand_alone() -> None:
    leaning = set()
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                if re.match(r"(The same|Of)\b", text):
                    leaning.add(f"{file}: {getattr(node, 'name', 'module')}")
    assert not leaning
