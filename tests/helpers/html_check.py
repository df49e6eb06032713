"""HTML that tests read."""

from __future__ import annotations

from html.parser import HTMLParser


def classes(html: str) -> list[str]:
    """The classes of all elements; fails where tags are not closed."""
    found: list[str] = []
    open_tags: list[str] = []

    class Walk(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend((dict(attrs).get("class") or "").split())
            if tag not in ("br", "rect", "path", "input"):
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("br", "rect", "path", "input"):
                assert open_tags.pop() == tag

    Walk().feed(html)
    assert not open_tags
    return found
