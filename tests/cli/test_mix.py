"""`musetune mix`: players' files become another mix; nothing is generated, nothing of theirs is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from musetune.audio import load_audio
from musetune.audio.loudness import true_peak
from musetune.audio.mixing import Mix
from musetune.cli.app import app
from musetune.cli.sound import save_players
from musetune.pipeline.songs import place_players

RATE = 48000


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A folder as `compose --stems-audio` leaves it: three players of a second, each at its place."""
    rng = np.random.default_rng(4)
    players = {name: rng.normal(size=(2, RATE)).astype(np.float32) * 0.03 for name in ("bass", "guitar", "keys")}
    list(save_players(tmp_path / "song.wav", place_players(players), RATE, None, "wav"))
    return tmp_path


def run(*words: object) -> dict:
    """What the command says, as JSON."""
    done = CliRunner().invoke(app, ["mix", *map(str, words), "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return dict(json.loads(done.stdout))


def read(path: Path) -> np.ndarray:
    return load_audio(path, mono=False)[0]


def test_the_mix_that_was_written_is_the_sum_and_is_written_alike(song: Path) -> None:
    first = read(song / "song.wav")
    assert np.array_equal(first, sum(read(song / f"song.{name}.wav") for name in ("bass", "guitar", "keys")))
    run(song, "-o", song / "again.wav")
    assert np.abs(read(song / "again.wav") - first).max() <= 1.5 / 32768


def test_guitar_and_keys_stand_apart(song: Path) -> None:
    guitar, keys = (np.square(read(song / f"song.{name}.wav")).sum(axis=1) for name in ("guitar", "keys"))
    assert guitar[0] > 2 * guitar[1]
    assert keys[1] > 2 * keys[0]


def test_changes_are_heard_and_kept(song: Path) -> None:
    own = {name: read(song / f"song.{name}.wav") for name in ("bass", "guitar", "keys")}
    said = run(song, "--level", "bass=-6", "--mute", "keys")
    assert {row["name"]: row["heard"] for row in said["players"]} == {"bass": True, "guitar": True, "keys": False}
    wanted = own["bass"] * 10 ** (-6 / 20) + own["guitar"]
    assert np.abs(read(song / "song.wav") - wanted).max() < 2e-4
    run(song / "song.mix.json", "--mute", "none", "--solo", "bass")
    assert np.abs(read(song / "song.wav") - own["bass"] * 10 ** (-6 / 20)).max() < 2e-4
    kept = Mix.load(song / "song.mix.json").players
    assert (kept["bass"].seat.level_db, kept["bass"].solo, kept["keys"].mute) == (-6.0, True, False)
    run(song, "--solo", "none", "--level", "bass=0", "--pan", "guitar=1")
    assert all(np.array_equal(read(song / f"song.{name}.wav"), wave) for name, wave in own.items())
    assert np.allclose(read(song / "song.wav").mean(0), sum(own.values()).mean(0), atol=2e-4)  # the mono sum stays


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac"])
def test_formats_and_loudness(song: Path, kind: str) -> None:
    run(song, "--level", "bass=12", "--lufs", "-9", "-o", song / f"loud.{kind}")
    wave = read(song / f"loud.{kind}")
    assert 0.3 < true_peak(wave) <= 10 ** (-1 / 20)
    assert soundfile.info(song / f"loud.{kind}").channels == 2


def test_a_loudness_can_be_undone(song: Path) -> None:
    before = read(song / "song.wav")
    run(song, "--lufs", "-30")
    assert Mix.load(song / "song.mix.json").lufs == -30
    assert np.abs(read(song / "song.wav")).max() < 0.9 * np.abs(before).max()
    run(song, "--lufs", "none")
    assert Mix.load(song / "song.mix.json").lufs is None
    assert np.abs(read(song / "song.wav") - before).max() < 2e-4


def test_lines_for_readers(song: Path) -> None:
    done = CliRunner().invoke(app, ["mix", str(song), "--solo", "keys"], catch_exceptions=False)
    bass, guitar, keys, _ = done.stdout.splitlines()
    assert bass == "bass       +0.0 dB  pan +0.00  silent"
    assert guitar == "guitar     +0.0 dB  pan -0.40  silent"
    assert keys.endswith("pan +0.40  solo")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--level", "bass"], "--level 'bass' is not like bass=-3"),
        (["--lufs", "loud"], "--lufs 'loud' is neither a loudness such as -14 nor none"),
        (["--pan", "bass=3"], "pan=3.0 is outside of -1 to 1"),
        (["--mute", "drums"], "'drums' is not one of the players: bass, guitar, keys"),
        (["-o", "song.bass.wav"], "is a player's own file"),
        (["-o", "x.aac"], "'aac' is not one of wav, flac, mp3, ogg"),
    ],
)
def test_mistakes_say_what_is_wrong(
    song: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(song)
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, ["mix", str(song), *words], catch_exceptions=False)


def test_a_folder_with_none_or_many_is_refused(song: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ValueError, match=r"holds no NAME\.mix\.json: musetune compose --stems-audio"):
        CliRunner().invoke(app, ["mix", str(tmp_path_factory.mktemp("none"))], catch_exceptions=False)
    Mix.load(song / "song.mix.json").save(song / "other.mix.json")
    with pytest.raises(ValueError, match=r"other\.mix\.json, song\.mix\.json: name one"):
        CliRunner().invoke(app, ["mix", str(song)], catch_exceptions=False)
