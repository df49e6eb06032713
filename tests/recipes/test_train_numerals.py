"""The recipe of the numerals' network, run whole on two made-up songs and a chorale of music21's corpus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from musetune.analysis.numerals import network, reader
from musetune.analysis.numerals.reader import read_numerals
from musetune.formats.scores import read_score
from musetune.training import one_cycle
from recipes.analyzer import train_numerals as recipe

REPOSITORY = Path(__file__).parents[2]
RECIPE = REPOSITORY / "recipes" / "analyzer" / "train_numerals.py"
CONFIG = REPOSITORY / "recipes" / "configs" / "numerals.yaml"
SONG = "OpenScore-LiederCorpus/Nobody/_/Sung"
CHORALE = "Early_Choral/Bach,_Johann_Sebastian/Chorales/900"
ANALYSIS = "Composer: X\nAnalyst: A. Person\n\nTime Signature: 4/4\n\n"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from music21 import chord, meter, stream

    root = tmp_path_factory.mktemp("collection")
    song = root / "Corpus" / SONG
    song.mkdir(parents=True)
    part = stream.Part([meter.TimeSignature("4/4")])
    for pitches in ("C3 E4 G4", "F3 F4 A4", "G3 F4 B4 D5", "C3 E4 G4") * 4:
        part.append(chord.Chord(pitches, quarterLength=4))
    part.write("mxl", song / "score.mxl")
    bars = "".join(f"m{4 * n + 1} C: I\nm{4 * n + 2} IV\nm{4 * n + 3} V7\nm{4 * n + 4} I\n" for n in range(4))
    (song / "analysis.txt").write_text(ANALYSIS + bars)
    chorale = root / "Corpus" / CHORALE
    chorale.mkdir(parents=True)
    (chorale / "analysis.txt").write_text(ANALYSIS + "m0 b4 A: I\nm1 V6 b2 I b3 V6 b4 I\nm2 V\nm3 IV6 b2 V b3 I\n")
    (chorale / "remote.json").write_text('{"remote_score_music21": "bach/bwv269.mxl"}')
    return root


def run(collection: Path, *more: str) -> subprocess.CompletedProcess:
    sizes = ["steps=2", "width=16", "frames=24", "batch=2", "checkpointing_steps=1"]
    command = [sys.executable, str(RECIPE), str(CONFIG), f"collection={collection}", f"work={collection / 'work'}"]
    return subprocess.run([*command, *sizes, *more], capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_the_recipe_writes_weights_that_read(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = collection / "weights.safetensors"
    run(collection, f"out={out}")
    monkeypatch.setattr(reader, "WEIGHTS", out)
    monkeypatch.setattr(network, "WEIGHTS", out)
    sheet, names = read_numerals(read_score(collection / "Corpus" / SONG / "score.mxl"))
    assert len(sheet.chords) == len(names) > 0
    before = out.read_bytes()
    again = run(collection, f"out={out}")  # nothing is read or trained twice
    assert out.read_bytes() == before
    assert "1/2" not in again.stderr


@pytest.mark.slow
def test_a_run_that_was_cut_ends_as_one_that_was_not(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(name: str) -> recipe.Config:
        files = {"work": str(tmp_path / name), "out": str(tmp_path / f"{name}.safetensors")}
        sizes = {"steps": 3, "width": 16, "frames": 24, "batch": 2, "checkpointing_steps": 1}
        return recipe.Config(collection=str(collection), **files, **sizes)  # type: ignore[arg-type]

    def save_and_stop(*args: object, **options: object) -> None:
        save(*args, **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    recipe.run(options("whole"))
    save = one_cycle.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(one_cycle, "save_checkpoint", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            recipe.run(options("cut"))
    assert not (tmp_path / "cut.safetensors").exists()
    recipe.run(options("cut"))
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_what_cannot_be_read_is_left_out_and_named(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = collection / "Corpus" / "OpenScore-LiederCorpus" / "Nobody" / "_" / "Torn"
    broken.mkdir()
    (broken / "analysis.txt").write_text(ANALYSIS + "m1 C: I\n")
    (broken / "score.mxl").write_bytes(b"no score")
    cfg = recipe.Config(collection=str(collection), work=str(collection / "some"))
    paths = recipe.make_examples(cfg)
    assert "left out OpenScore-LiederCorpus/Nobody/_/Torn" in capsys.readouterr().err
    assert len(paths) == len(list((collection / "some" / "examples").glob("*.npz")))
    assert recipe.make_examples(cfg) == paths
    assert "left out" not in capsys.readouterr().err  # said once


def test_kinds_and_shares(collection: Path) -> None:
    kinds = [recipe.kind_of(name) for name in (SONG, CHORALE, "TAVERN/Mozart/K025/M025_01", "Early_Choral/Goudimel/1")]
    assert kinds == ["songs", "chorales", "variations", "madrigals"]
    with pytest.raises(ValueError, match="shares names jazz; kinds are songs"):
        recipe.load_pieces([], recipe.Config(collection="", work="", shares={"jazz": 1.0}))
    with pytest.raises(ValueError, match="no piece to learn from"):
        recipe.load_pieces([], recipe.Config(collection="", work=""))
