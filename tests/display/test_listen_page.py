"""The page of before and after: whole HTML, no markup from names, every player with a label."""

from __future__ import annotations

from html.parser import HTMLParser

from musetune.display.listen_page import listen_page
from musetune.symbols import LeadSheet

SHEET = LeadSheet.parse("| C | G |", key="C major", bpm=120, duration_seconds=4)


def report(heard: str) -> dict:
    rows = [{"asked": asked, "heard": heard, "match": asked == heard} for asked in ("C:maj", "G:maj")]
    return {"overall": 0.5, "parts": {"chords": 0.5, "bar lines": 0.25}, "chords": rows}


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.players: list[dict] = []
        self.images: list[dict] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "audio":
            self.players.append(dict(attrs))
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_whole_and_nothing_in_it_is_markup_of_others() -> None:
    record = {
        "prompt": "<b>folk</b> & co", "seed": 3, "file": "<i>.mp3", "before": report("C:maj"), "after": report("A:min"),
    }  # fmt: skip
    files = {"before": "1 before.flac", "after": "2.flac", "original": "3.flac"}
    files |= {"before_chart": "1.png", "after_chart": "2.png"}
    text = listen_page("Mine <3", [(SHEET, record, files)], ["Sound: 3 < 4."], 'musetune generate "<x>"')
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert [player["src"] for player in reader.players] == ["1%20before.flac", "2.flac", "3.flac"]
    assert all(player["aria-label"] for player in reader.players)
    assert all(image["alt"] for image in reader.images)
    for part in ("&lt;b&gt;folk", "&lt;i&gt;.mp3", "Mine &lt;3", "Sound: 3 &lt; 4.", "&quot;&lt;x&gt;&quot;"):
        assert part in text
    assert "50 % as asked: chords 50 %, bar lines 25 %" in text
    assert text.count("✓") == 1
    assert text.count("✗") == 3
