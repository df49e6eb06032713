"""The cache: what it keeps, what makes it forget, and what it does about damage."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from pathlib import Path

import pytest

from musetune.analysis.service import cache as caching
from musetune.analysis.service.cache import AnalysisCache, StoredAnalysis, analyser_version, default_folder
from musetune.symbols import LeadSheet

PARTS = {"chords": [{"chord": "C:maj"}, {"chord": "G:maj/3"}], "harmonic_analysis": {}, "rhythmic_analysis": {}}
RECORD = {"source": {"file": "a.wav"}, "bpm": 120.0, "key": "C major", "genre_analysis": {}, **PARTS}
STORED = StoredAnalysis(RECORD, LeadSheet.parse("| C | G/B |"))


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
    assert STORED.with_file("b.mp3").to_json()["source"]["file"] == "b.mp3"
    assert STORED.to_json()["source"]["file"] == "a.wav"


def test_where_it_lies(monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("MUSETUNE_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("MUSETUNE_CACHE")
    assert default_folder().parts[-2:] == ("musetune", "analysis")


def hostile_entries() -> dict[str, bytes]:
    """What somebody else may have written where an analysis lies."""
    good = STORED.pack()

    def packed(**changes: object) -> bytes:
        return gzip.compress(json.dumps(good | {"record": RECORD | changes}).encode())

    return {
        "bomb": gzip.compress(b" " * 2**27),
        "deep": gzip.compress(b"[" * 10**6),
        "no object": gzip.compress(b"[]"),
        "null": gzip.compress(b"null"),
        "half": packed()[:-20],
        "no gzip": b"\x1f\x8b" + b"\xff" * 100,
        "latin": gzip.compress(b'{"record": "\xe9"}'),
        "source": packed(source="x"),
        "rows": packed(chords=[{"chord": "C:maj"}]),
        "texts": packed(chords=["a", "b"]),
        "infinite": packed(bpm=float("inf")),
        "number": gzip.compress(b'{"record": ' + b"9" * 5000 + b"}"),
        "sheet": gzip.compress(json.dumps(good | {"lead_sheet": {"chords": 5}}).encode()),
    }


@pytest.mark.parametrize("data", hostile_entries().values(), ids=hostile_entries())
def test_a_hostile_entry_is_removed_and_analysed_anew(data: bytes, tmp_path: Path) -> None:
    cache = AnalysisCache(tmp_path)
    path = cache.path("0" * 64, {})
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert cache.load("0" * 64, {}) is None
    assert not path.exists()


def test_entries_that_are_no_files(tmp_path: Path) -> None:
    cache = AnalysisCache(tmp_path)
    for number, make in enumerate((Path.mkdir, os.mkfifo)):
        path = cache.path(str(number), {})
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        assert cache.load(str(number), {}) is None
