"""Finding music in folders: what is no music is passed over with a word, equal names stay apart."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

import pytest

from musetune.analysis.service.batch import find_files


def music(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_in_any_depth_sorted_and_each_file_once(tmp_path: Path) -> None:
    music(tmp_path / "b/z.mp3", tmp_path / "b/c/a.WAV", tmp_path / "b/notes.txt", tmp_path / "b/a.mp3.analysis.mid")
    found = find_files([tmp_path / "b", tmp_path / "b/z.mp3"])
    assert found == [(tmp_path / "b/c/a.WAV", Path("c/a.WAV")), (tmp_path / "b/z.mp3", Path("z.mp3"))]


def test_equal_names_in_two_folders_do_not_collide(tmp_path: Path) -> None:
    music(tmp_path / "one/a.mp3", tmp_path / "two/a.mp3", tmp_path / "two/b.mp3")
    names = [name for _, name in find_files([tmp_path / "one", tmp_path / "two"])]
    assert names == [Path("one/a.mp3"), Path("two/a.mp3"), Path("b.mp3")]
    assert [name for _, name in find_files([tmp_path / "one/a.mp3", tmp_path / "two/a.mp3"])] == names[:2]


def test_equal_names_further_up_get_more_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    music(*(tmp_path / name for name in ("x/cd/a.mp3", "y/cd/a.mp3", "x/cd/b.mp3", "x/a.mp3")))
    monkeypatch.chdir(tmp_path)
    names = dict(find_files(["x/cd", "y/cd", "x/a.mp3", "./x/../x/cd/b.mp3"]))
    assert names == {
        Path("x/cd/a.mp3"): Path("x/cd/a.mp3"),
        Path("x/cd/b.mp3"): Path("b.mp3"),
        Path("y/cd/a.mp3"): Path("y/cd/a.mp3"),
        Path("x/a.mp3"): Path("x/a.mp3"),
    }


def test_what_is_no_file_is_named_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    music(tmp_path / "a.mp3", tmp_path / "._a.mp3")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "lost.wav").symlink_to(tmp_path / "nowhere.wav")
    with socket.socket(socket.AF_UNIX) as listener, caplog.at_level(logging.WARNING):
        listener.bind(str(tmp_path / "s.mid"))
        assert [path.name for path, _ in find_files([tmp_path])] == ["a.mp3"]
    for name in ("._a.mp3", "pipe.wav", "lost.wav", "s.mid"):
        assert name in caplog.text


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    music(tmp_path / "a.mp3", tmp_path / "secret/b.mp3")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with caplog.at_level(logging.WARNING):
        assert [path.name for path, _ in find_files([tmp_path])] == ["a.mp3"]
    assert "secret cannot be read (Permission denied)" in caplog.text


def test_a_folder_of_macos_attributes_alone_holds_no_music(tmp_path: Path) -> None:
    music(tmp_path / "._a.mp3")
    with pytest.raises(ValueError, match="holds no music"):
        find_files([tmp_path])
