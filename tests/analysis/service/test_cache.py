"""The cache: what it keeps, what makes it forget, and what it does about damage."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from musetune.analysis.service import cache as caching
from musetune.analysis.service.cache import AnalysisCache, StoredAnalysis, analyser_version, default_folder
from musetune.symbols import LeadSheet

STORED = StoredAnalysis({"source": {"file": "a.wav"}, "bpm": 120.0, "key": "C major"}, LeadSheet.parse("| C | G/B |"))


@pytest.fixture
def cache(tmp_path: Path) -> AnalysisCache:
    return AnalysisCache(tmp_path / "cache")


def test_what_was_kept_comes_back(cache: AnalysisCache) -> None:
    assert cache.load("ab", {}) is None
    cache.save("ab", {"beats": "madmom"}, STORED)
    assert cache.load("ab", {"beats": "madmom"}) == STORED
    assert cache.load("ab", {"beats": "musetune"}) is None
    assert cache.load("cd", {"beats": "madmom"}) is None
    assert [path.suffix for path in cache.root.rglob("*") if path.is_file()] == [".gz"]  # no leavings


def test_another_analyser_hears_anew(cache: AnalysisCache, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    cache.save("ab", {}, STORED)
    monkeypatch.setattr(caching, "analyser_version", lambda: "0" * 12)
    assert cache.load("ab", {}) is None


def test_the_version_is_that_of_code_and_weights(monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(caching, "PACKAGE", tmp_path)
    (tmp_path / "analysis").mkdir()
    seen = set()
    for name, content in (("a.py", b"1"), ("a.py", b"2"), ("weights.npz", b"1"), ("weights.npz", b"2")):
        (tmp_path / "analysis" / name).write_bytes(content)
        analyser_version.cache_clear()
        seen.add(analyser_version())
    analyser_version.cache_clear()
    assert len(seen) == 4


@pytest.mark.parametrize("damage", [b"", b"junk", None, "half"])
def test_damage_is_removed(cache: AnalysisCache, damage: bytes | str | None, caplog) -> None:  # type: ignore[no-untyped-def]
    cache.save("ab", {}, STORED)
    path = cache.path("ab", {})
    whole = path.read_bytes()
    content = whole[: len(whole) // 2] if damage == "half" else damage
    if content is None:  # sound gzip, but of something else
        import gzip

        content = gzip.compress(b'{"record": [], "lead_sheet": {}}')
    path.write_bytes(content)  # type: ignore[arg-type]
    assert cache.load("ab", {}) is None
    assert "damaged" in caplog.text
    assert not path.exists()
    cache.save("ab", {}, STORED)
    assert cache.load("ab", {}) == STORED


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").write_text("in the way")
    AnalysisCache(tmp_path / "file").save("ab", {}, STORED)
    assert "--no-cache" in caplog.text


def test_writers_at_once_leave_one_whole_file(cache: AnalysisCache) -> None:
    threads = [threading.Thread(target=cache.save, args=("ab", {}, STORED)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.load("ab", {}) == STORED
    assert len([path for path in cache.root.rglob("*") if path.is_file()]) == 1


def test_old_versions_are_forgotten(cache: AnalysisCache) -> None:
    for name, days in (("a" * 12, 99), ("b" * 12, 1), ("not a version", 99)):
        (cache.root / name).mkdir(parents=True)
        os.utime(cache.root / name, (time.time() - days * 86400,) * 2)
    cache.save("ab", {}, STORED)
    left = {path.name for path in cache.root.iterdir()}
    assert left == {"b" * 12, "not a version", analyser_version()}


def test_equal_bytes_under_another_name() -> None:
    assert STORED.named("b.mp3").to_json()["source"]["file"] == "b.mp3"
    assert STORED.to_json()["source"]["file"] == "a.wav"


def test_where_it_lies(monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("MUSETUNE_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("MUSETUNE_CACHE")
    assert default_folder().parts[-2:] == ("musetune", "analysis")
