"""The page of styles is what the table of styles says."""

from __future__ import annotations

from tools import docs_styles


def test_the_page_is_as_the_table_says() -> None:
    assert docs_styles.PAGE.read_text() == docs_styles.page(), "run python tools/docs_styles.py"
