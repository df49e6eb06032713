"""The page of grooves is what the rules say of themselves."""

from __future__ import annotations

from tools import docs_grooves


def test_the_page_is_as_the_rules_say() -> None:
    assert docs_grooves.PAGE.read_text() == docs_grooves.page(), "run python tools/docs_grooves.py"
