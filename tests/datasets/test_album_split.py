"""Albums are held out whole, and a larger amount of songs holds the smaller one."""

from __future__ import annotations

from itertools import pairwise

import pytest

from musetune.datasets.album_split import album_of, draw_songs, split_by_album

MINUTES = {f"{album}/{number}.ogg": 3.0 + number for album in ("a", "b/one", "b/two", "c") for number in range(4)}


@pytest.mark.parametrize("albums", [None, ["b/one"], ["a", "c"]])
def test_no_album_is_on_both_sides(albums: list[str] | None) -> None:
    split = split_by_album(MINUTES, albums)
    assert sorted(split.train + split.held_out) == sorted(MINUTES)
    assert {album_of(file) for file in split.held_out} == set(split.albums)
    assert {album_of(file) for file in split.train}.isdisjoint(split.albums)
    if albums is not None:
        assert split.albums == tuple(albums)


def test_the_share_is_reached_and_half_is_not_passed() -> None:
    assert len(split_by_album(MINUTES, share=0.2).albums) == 1
    assert len(split_by_album(MINUTES, share=0.5).albums) == 2
    big = MINUTES | {"huge/1.ogg": 500.0}
    assert split_by_album(big).albums != ("huge",)
    assert split_by_album(big) == split_by_album(dict(reversed(big.items())))


def test_a_file_in_no_folder_is_its_own_album() -> None:
    assert split_by_album({"x.ogg": 3.0, "y.ogg": 3.0}, ["x.ogg"]).train == ("y.ogg",)


@pytest.mark.parametrize(
    ("minutes", "albums", "share", "message"),
    [
        ({"a/1.ogg": 1.0, "a/2.ogg": 1.0}, None, 0.2, "2 files in 1 album: a split by album needs two"),
        (MINUTES, ["d"], 0.2, "no album is called d: there are a, b/one, b/two, c"),
        (MINUTES, ["a", "b/one", "b/two", "c"], 0.2, "4 of 4 albums held out"),
        (MINUTES, [], 0.2, "0 of 4 albums held out"),
        (MINUTES, None, 0.7, "share=0.7 is not above 0 and at most 0.5"),
    ],
)
def test_what_cannot_be_split(minutes: dict, albums: list[str] | None, share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_by_album(minutes, albums, share)


def test_more_minutes_hold_the_fewer() -> None:
    amounts = [draw_songs(MINUTES, limit) for limit in (5, 15, 40, 1000)]
    assert all(set(few) < set(more) for few, more in pairwise(amounts))
    assert amounts[-1] == tuple(sorted(MINUTES))
    assert 15 <= sum(MINUTES[file] for file in amounts[1]) < 15 + 6
    with pytest.raises(ValueError, match="limit=0 minutes is not above 0"):
        draw_songs(MINUTES, 0)
