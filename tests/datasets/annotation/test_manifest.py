"""Manifests: folders, JSON lines and Parquet, what they may say wrongly, and what is hashed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from musetune.datasets.annotation.manifest import ManifestSong, hash_songs, read_manifest


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.flac").write_bytes(b"one")
    (folder / "deep" / "b.mp3").write_bytes(b"two")
    (folder / "notes.txt").write_text("no music")
    return folder


def test_a_folder_is_its_music_in_order(music: Path) -> None:
    assert [song.file for song in read_manifest(music)] == ["a.flac", "deep/b.mp3"]


def test_json_lines_and_parquet_say_the_same(music: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    digest = hashlib.sha256(b"one").hexdigest()
    rows = [
        {"file_name": "a.flac", "licence": "CC0-1.0", "text": None, "sha256": digest},
        {"file_name": "deep/../deep/b.mp3", "text": "calm", "licence": None, "sha256": None},
        {"file_name": "a.flac", "licence": "later rows of one file are left out", "sha256": None},
    ]
    (music / "songs.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), music / "songs.parquet")
    songs = read_manifest(music / "songs.jsonl")
    assert songs == read_manifest(music / "songs.parquet")
    assert [(song.file, song.fields) for song in songs] == [
        ("a.flac", {"licence": "CC0-1.0"}),
        ("deep/b.mp3", {"text": "calm"}),
    ]
    assert songs[0].sha256 == digest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: is no JSON"),
        ("[1]", "line 2: is no object"),
        ('{"file": "a.flac"}', "line 2: file_name is None"),
        ('{"file_name": "a.flac", "sha256": "ABC"}', "64 hexadecimal digits"),
        ('{"file_name": "a.flac", "bpm": NaN}', "cannot be kept as JSON"),
    ],
)
def test_a_wrong_line_is_named(music: Path, line: str, message: str) -> None:
    (music / "songs.jsonl").write_text(f'{{"file_name": "a.flac"}}\n{line}\n')
    with pytest.raises(ValueError, match=message):
        read_manifest(music / "songs.jsonl")


def test_what_is_no_manifest_is_refused(music: Path) -> None:
    with pytest.raises(ValueError, match=r"\.jsonl or \.parquet"):
        read_manifest(music / "notes.txt")
    with pytest.raises(FileNotFoundError):
        read_manifest(music / "nothing.jsonl")
    (music / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="names no file"):
        read_manifest(music / "empty.jsonl")


def test_a_file_that_nobody_touched_is_read_once(music: Path) -> None:
    songs = [*read_manifest(music), ManifestSong(str(music / "gone.wav"), "gone.wav")]
    first, _, gone = hash_songs(songs, {}, 2)
    assert isinstance(first, ManifestSong)
    assert first.sha256 == hashlib.sha256(b"one").hexdigest()
    assert isinstance(gone, tuple)
    assert gone[1] == "no such file: gone.wav"
    known = {first.mark: "0" * 64}
    again = next(iter(hash_songs(songs, known, 1)))
    assert isinstance(again, ManifestSong)
    assert again.sha256 == "0" * 64, "size and time are those that were seen"
    Path(first.path).write_bytes(b"another")
    changed = next(iter(hash_songs(songs, known, 1)))
    assert isinstance(changed, ManifestSong)
    assert changed.sha256 == hashlib.sha256(b"another").hexdigest()
