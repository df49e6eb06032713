"""One rule says which songs are for tests, and every recipe that reads songs asks it."""

from __future__ import annotations

import hashlib

from musetune.datasets.arranger import examples as arranger_data
from musetune.datasets.planner import songs as planner_songs
from musetune.datasets.song_split import for_tests


def test_numbers_that_end_in_5_and_hashes_that_end_in_0_or_1():
    assert for_tests("215", "pop909")
    assert not for_tests("216", "pop909")
    names = [f"tune {number}.mxl" for number in range(400)]
    held = [name for name in names if for_tests(name, "openewld")]
    assert held == [name for name in names if int(hashlib.sha1(name.encode()).hexdigest(), 16) % 16 < 2]
    assert 30 < len(held) < 70


def test_the_arranger_and_the_planner_share_it():
    assert arranger_data.for_tests is planner_songs.for_tests is for_tests
