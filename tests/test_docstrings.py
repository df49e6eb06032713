"""Examples in docstrings run and give what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import musetune.symbols
import musetune.theory

ROOMS = (musetune.symbols, musetune.theory)  # others join once their docstrings have examples
MODULES = sorted(found.name for room in ROOMS for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."))
PUBLIC = sorted(name for name in musetune.symbols.__all__ if isinstance(getattr(musetune.symbols, name), type))


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_classes_that_users_import_show_an_example(name: str) -> None:
    docstring = getattr(musetune.symbols, name).__doc__ or ""
    assert "Args:" in docstring
    assert doctest.DocTestParser().get_examples(docstring)
