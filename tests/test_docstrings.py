"""Examples in docstrings run and give what they show; what users import is documented in full."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import musetune
from musetune.evaluation import missing_judges

ROOT = Path(__file__).parents[1]
FILES = sorted(path for path in (ROOT / "musetune").rglob("*.py") if ">>>" in path.read_text())
SLOW = ("analysis", "display", "evaluation", "hub", "pipeline", "planning")  # rooms whose examples take seconds
PAGE = re.findall(r"^::: (musetune\.\S+)", (ROOT / "docs/reference/api.md").read_text(), re.MULTILINE)
PUBLIC = sorted({*PAGE, *(f"musetune.{name}" for name in musetune.__all__ if name != "__version__")})


def the_object(name: str) -> object:
    home, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(home), attribute)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=name, marks=pytest.mark.slow if name.split("/")[0] in SLOW else ())
        for path in FILES
        for name in [path.relative_to(ROOT / "musetune").as_posix()]
    ],
)
def test_examples_in_docstrings_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, which the examples may write to; those of judges where these are installed."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        if not (test.name == "musetune.evaluation.judges.judge" and missing_judges()):
            runner.run(test)
    assert runner.failures == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    """A sentence, what goes in and comes out, and an example, as far as there is something to say."""
    target = the_object(name)
    text = inspect.getdoc(target) or ""
    assert doctest.DocTestParser().get_examples(text), "no example"
    assert re.match(r"[A-Z].*?[.:](\s|$)", text, re.DOTALL), "no sentence"
    if isinstance(target, type):
        assert "Args:" in text or "Attributes:" in text
    else:
        arguments = list(inspect.signature(target).parameters)  # type: ignore[arg-type]
        assert "Returns:" in text
        assert [x for x in arguments if not re.search(rf"^ +\*{{0,2}}{x}[,:]|, {x}[,:]", text, re.MULTILINE)] == []
