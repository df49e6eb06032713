"""Keys, rates, and bodies that are too large or too slow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from musetune.cli.app import app
from musetune.serve.service.access import (
    ApiKeys,
    BodyTooLargeError,
    RateLimit,
    SlowClientError,
    bounded,
    hash_key,
)

KEY = "a-key-of-enough-length"


def test_keys_come_from_the_environment_and_from_a_file_of_hashes(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the studio\nstudio:{hash_key('studio-key')}\n\n{hash_key('bare-key')}\n")
    keys = ApiKeys.load(file, {"MUSETUNE_API_KEYS": f"me:{KEY}"})
    assert keys.owner(f"Bearer {KEY}") == "me"
    assert keys.owner("bearer studio-key") == "studio"
    assert keys.owner("Bearer bare-key") == f"key-{hash_key('bare-key')[:12]}"
    for wrong in (None, "", KEY, f"Basic {KEY}", "Bearer ", f"Bearer {KEY}x", f"Bearer {hash_key(KEY)}"):
        assert keys.owner(wrong) is None
    assert ApiKeys.load(None, {}).owner(None) == ""


def test_a_key_without_a_name_keeps_its_jobs_where_another_goes() -> None:
    first, second = "a" * 16, "b" * 16
    both = ApiKeys.load(None, {"MUSETUNE_API_KEYS": f"{first},{second}"})
    one = ApiKeys.load(None, {"MUSETUNE_API_KEYS": second})
    assert both.owner(f"Bearer {first}") != both.owner(f"Bearer {second}") == one.owner(f"Bearer {second}")


def test_keys_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="key 2 has 5 characters"):
        ApiKeys.load(None, {"MUSETUNE_API_KEYS": f"{KEY},short"})
    file = tmp_path / "keys"
    file.write_text("plain-key\n")
    with pytest.raises(ValueError, match="line 1: not a SHA-256"):
        ApiKeys.load(file, {})


def test_each_key_has_its_own_rate() -> None:
    rate = RateLimit("2/hour")
    assert [rate.seconds_to_wait("me") > 0 for _ in range(4)] == [False, False, True, True]
    assert 3500 < rate.seconds_to_wait("me") <= 3601
    assert rate.seconds_to_wait("you") == 0
    assert RateLimit(None).seconds_to_wait("me") == 0
    with pytest.raises(ValueError, match="rate='often'"):
        RateLimit("often")


def test_a_body_ends_at_its_limit_and_may_not_dawdle() -> None:
    async def pieces(*sizes: int) -> None:
        left = list(sizes)

        async def receive() -> dict:
            if not left:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": b"x" * left.pop(0), "more_body": True}

        read = bounded(receive, limit=10, slow_s=0.01)
        for _ in range(len(sizes) + 1):
            await read()

    with pytest.raises(BodyTooLargeError):
        asyncio.run(pieces(6, 6))
    with pytest.raises(SlowClientError):
        asyncio.run(pieces(6, 4))


def test_the_command_refuses_to_open_to_others_without_keys() -> None:
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0", "--port", "18471"], env={"MUSETUNE_API_KEYS": ""})
    assert isinstance(result.exception, ValueError)
    assert "there are no keys" in str(result.exception)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--lora", "house", "give NAME=FOLDER"),
        ("--lora", "house=.", "holds no genre adapter"),
        ("--cors-origin", "*", "give scheme and host"),
        ("--cors-origin", "https://a.example.org/page", "no path"),
    ],
)
def test_options_that_are_none_are_refused(tmp_path: Path, option: str, value: str, words: str) -> None:
    command = ["serve", "--port", "18472", "--folder", str(tmp_path / "service"), option, value]
    result = CliRunner().invoke(app, command, env={"MUSETUNE_API_KEYS": ""})
    assert words in str(result.exception)


def test_help_teaches() -> None:
    text = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).output
    for word in ("/v1/generations", "MUSETUNE_API_KEYS", "curl", "musetune.client"):
        assert word in text
