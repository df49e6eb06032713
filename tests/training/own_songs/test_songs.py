"""Which songs are held out, and what the table says."""

from __future__ import annotations

import pytest

from musetune.datasets.latent_dataset import Clip
from musetune.training.own_songs.songs import choose_held_out, is_held_out, song_rows, song_table


def clips_of(counts: dict[str, int], confidence: float | None = 0.634) -> list[Clip]:
    findings = {
        "key": "A minor",
        "bpm": 96.2,
        "time_signature": "4/4",
        "genre_guess": None if confidence is None else "pop",
        "genre_confidence": confidence,
        "duration_s": 185.0,
    }
    return [
        Clip(f"{file}@{n}", file, "", 10.24 * n, 10.24, "slow folk song", {}, "folk", provenance={"findings": findings})
        for file, count in counts.items()
        for n in range(count)
    ]


@pytest.mark.parametrize("songs", [3, 6, 12, 40])
def test_whole_songs_are_held_out_and_never_many(songs: int) -> None:
    clips = clips_of({f"{n}.mp3": 3 + n % 4 for n in range(songs)})
    held = choose_held_out(clips)
    assert held == choose_held_out(clips[::-1])
    assert 1 <= len(held) <= 4
    assert set(held) <= {clip.file for clip in clips}
    share = sum(is_held_out(clip, held) for clip in clips) / len(clips)
    assert 0 < share <= 1 / 3 + 1e-9


def test_of_one_or_two_songs_the_end_of_the_longer_is_held_out() -> None:
    clips = clips_of({"a.mp3": 9, "b.mp3": 4})
    held = choose_held_out(clips)
    assert held == ["a.mp3@71.680", "a.mp3@81.920"]
    assert [clip.id for clip in clips if is_held_out(clip, held)] == ["a.mp3@7", "a.mp3@8"]


def test_one_song_that_is_most_of_the_music_is_not_held_out_whole() -> None:
    clips = clips_of({"a.mp3": 2, "b.mp3": 2, "c.mp3": 2})
    assert len(choose_held_out(clips)) == 1
    held = choose_held_out(clips_of({"long.mp3": 50, "x.mp3": 40, "y.mp3": 45}))
    assert all(name.startswith("long.mp3@") for name in held) or len(held) == 1


def test_too_little_music_says_how_much_is_needed() -> None:
    with pytest.raises(ValueError, match=r"3 clips of 10\.24 s are too few: give at least 4 \(41 s of music\)"):
        choose_held_out(clips_of({"a.mp3": 3}))


def test_the_table_says_what_was_found() -> None:
    clips = clips_of({"a.mp3": 2}) + clips_of({"deep/" + "x" * 50 + ".mp3": 1}, confidence=None)
    lines = song_table(song_rows(clips)).splitlines()
    assert lines[0].split()[:5] == ["file", "length", "clips", "key", "bpm"]
    assert "genre  guess  confidence" in lines[0]
    for part in ("a.mp3", "3:05", "2", "A minor", "96", "folk", "pop", "63 %", "slow folk song"):
        assert part in lines[1]
    assert "…" in lines[2]
    assert "None" not in lines[2]
