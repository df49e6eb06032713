"""`musetune train` on three small songs and a small base: each step is there, resumes, and refuses what it should."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState
from small import SR, tones
from small_pipe import make_pipe

from musetune import MuseTunePipeline
from musetune.audio import load_audio, save_audio
from musetune.cli import app
from musetune.datasets import LatentDataset
from musetune.hub import card
from musetune.symbols import LeadSheet
from musetune.training.own_songs import TrainedAdapter, run, train_on_songs
from musetune.training.recipe import load_finetune

SONGS = {
    "morning": ("| G | D | Em | C |", 100),
    "noon": ("| C | F | G | C |", 110),
    "evening": ("| Am | F | C | G |", 92),
}


@pytest.fixture(scope="module", autouse=True)
def precision_given_back() -> Iterator[None]:
    """accelerate keeps the first run's precision for the whole process: other tests take another."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    rows = []
    for name, (chords, bpm) in SONGS.items():
        sheet = LeadSheet.parse(chords, key="C major", bpm=bpm, duration_seconds=12)
        save_audio(folder / f"{name}.flac", tones(sheet, 12), SR)
        rows.append({"file_name": f"{name}.flac", "chords": chords, "bpm": bpm, "key": "C major", "license": "CC0-1.0"})
    save_audio(folder / "short.wav", tones(sheet, 1), SR)
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def options(songs: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    theory = make_pipe(tiny_base).save_adapter(tmp_path_factory.mktemp("theory") / "theory")
    settings = {"name": "My Records!", "genre": "folk", "steps": 2, "clip_seconds": 5.12, "sheets": 1, "workers": 0}
    return {"source": songs, "base": str(tiny_base), "theory": str(theory), "device": "cpu", **settings}


@pytest.fixture(scope="module")
def out(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained in three goes: a no, a run that breaks off after its last checkpoint, and the rest."""
    folder = tmp_path_factory.mktemp("own") / "out"
    asked: list[str] = []
    assert train_on_songs(out=folder, **options, confirm=lambda question: bool(asked.append(question))) is None
    assert asked == ["Train on these songs?"]
    assert not (folder / "run").exists()
    recipe = load_finetune()
    save, recipe.save = recipe.save, interrupt
    try:
        with pytest.raises(KeyboardInterrupt):
            train_on_songs(out=folder, **options)
    finally:
        recipe.save = save
    assert (folder / "run" / "checkpoint-2").is_dir()
    log = (folder / "run" / "loss.jsonl").read_bytes()
    assert train_on_songs(out=folder, **options, confirm=never) is not None
    assert (folder / "run" / "loss.jsonl").read_bytes() == log
    return folder


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def never(question: str) -> bool:
    raise AssertionError(f"{question} was answered before")


def test_the_held_out_song_was_not_trained_on(out: Path) -> None:
    config = json.loads((out / "run" / "adapter" / "training.json").read_text())["config"]
    assert len(config["held_out"]) == 1
    assert config["held_out"][0] in {f"{name}.flac" for name in SONGS}
    left = LatentDataset(out / "data", held_out=config["held_out"])
    assert {clip.file for clip in left.clips} == {f"{name}.flac" for name in SONGS} - set(config["held_out"])
    assert {clip.transpose for clip in left.clips} == {-3, -1, 0, 1, 3}
    assert json.loads((out / "listen" / "1.json").read_text())["file"] == config["held_out"][0]


def test_the_adapter_loads_and_its_card_tells_the_truth(out: Path, options: dict[str, Any]) -> None:
    pipe = MuseTunePipeline.from_pretrained(options["base"], adapter=options["theory"])
    pipe.load_adapter(out / "adapter")
    assert pipe.adapters["my-records"].genre == "folk"
    record = json.loads((out / "adapter" / "training.json").read_text())
    assert record["step"] == 2
    assert record["config"]["rank"] == 4
    assert record["data"]["licences"] == ["CC0-1.0"]
    assert record["data"]["songs"] == 2
    text = card(out / "adapter")
    assert "licence of the music: CC0-1.0" in text
    assert "2 songs, 0.3 minutes of music" in text
    assert "Heard by MuseTune's own analyser" in text
    assert "license: unknown" in text  # nobody knows the small base's
    results = json.loads((out / "adapter" / "results.json").read_text())
    assert set(results["losses"]) == {"held out", "trained"}
    assert set(results["table"]) == {"theory alone", "adapter"}


def test_the_page_has_both_sides_and_no_missing_file(out: Path) -> None:
    import re

    text = (out / "listen" / "index.html").read_text()
    files = re.findall(r'src="([^"]+)"', text)
    assert len(files) == 5  # two players and two charts, and the recording
    assert all((out / "listen" / name).stat().st_size > 0 for name in files)
    before, after = (load_audio(out / "listen" / f"1-{side}.flac")[0] for side in ("before", "after"))
    assert len(before) == len(after)
    assert (before != after).any()  # same seed, other adapter
    assert "Prediction (diffusion loss" in text
    assert "musetune push" in text
    assert "<script" not in text


def test_the_same_again_does_nothing_twice(
    out: Path, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [*(out / "run").rglob("*.safetensors"), *(out / "listen").glob("*.flac"), *(out / "data").rglob("*.jsonl")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    again = train_on_songs(out=out, **options, confirm=never)
    assert isinstance(again, TrainedAdapter)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert (again.adapter, again.page) == (out / "adapter", out / "listen" / "index.html")
    said = capsys.readouterr().out
    assert [f"[{n}/5]" in said for n in range(1, 6)] == [True] * 5
    assert "left out short.wav: ValueError: too short" in said
    assert "held out, for listening: " in said
    assert "--adapter" in again.commands
    assert "--dry-run --license LICENCE" in again.commands  # nobody knows the small base's
    assert 'set_adapter({"my-records": 0.5})' in again.commands
    assert '"jazz"' not in again.commands  # jazz is for nano


def test_other_settings_are_refused_and_forced(out: Path, options: dict[str, Any], tmp_path: Path) -> None:
    copy = shutil.copytree(out, tmp_path / "copy")
    with pytest.raises(ValueError, match=r"was made with other genre, seed: .*--force"):
        train_on_songs(out=copy, **options | {"genre": "rock", "seed": 1})
    assert (copy / "adapter").is_dir()
    assert train_on_songs(out=copy, **options | {"genre": "rock"}, force=True, confirm=lambda question: False) is None
    assert not (copy / "adapter").exists()
    assert {clip.genre for clip in LatentDataset(copy / "data").clips} == {"rock"}
    # nothing was trained yet, so other settings need no force
    assert train_on_songs(out=copy, **options | {"genre": "pop"}, confirm=lambda question: False) is None
    assert {clip.genre for clip in LatentDataset(copy / "data").clips} == {"pop"}


def test_a_misspelt_genre_is_refused_before_any_work(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="genre is 'jaz': write 'jazz'"):
        train_on_songs(out=tmp_path / "out", **options | {"genre": "jaz"})
    assert not (tmp_path / "out").exists()


def test_what_it_did_not_make_is_left_alone(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(ValueError, match="musetune train did not make it"):
            train_on_songs(out=tmp_path, **options, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_songs_that_cannot_be_used_say_why(options: dict[str, Any], tmp_path: Path) -> None:
    source = tmp_path / "bad"
    source.mkdir()
    with pytest.raises(ValueError, match=r"bad holds no \.flac, \.mid"):
        train_on_songs(out=tmp_path / "out", **options | {"source": source})
    (source / "a.mp3").write_bytes(b"ID3 no music" * 40)
    with pytest.raises(ValueError, match=r"none of the 1 files in .*bad can be used; a\.mp3: .*cannot be decoded"):
        train_on_songs(out=tmp_path / "out", **options | {"source": source})


def test_the_command_asks_and_needs_an_answer(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    asked: list[dict[str, Any]] = []

    def record(*places: Path, **settings: Any) -> None:
        asked.append({"places": places, **settings})
        settings["confirm"]("Train on these songs?")

    monkeypatch.setattr("musetune.training.own_songs.train_on_songs", record)
    words = ["train", str(options["source"]), "--name", "My Records!", "--genre", "folk", "--data-license", "MIT"]
    runner = CliRunner()
    assert "nothing was trained" in runner.invoke(app, words, input="n\n").output
    assert asked[-1]["places"] == (options["source"], Path("out/my-records"))
    assert (asked[-1]["data_license"], asked[-1]["genre"], asked[-1]["theory"]) == ("MIT", "folk", "theory")
    failed = runner.invoke(app, words)
    assert "give --yes" in str(failed.exception)
    assert runner.invoke(app, [*words, "--yes"]).exit_code == 0


def test_names_become_folders() -> None:
    assert run.slug(" My  Records! No. 2 ") == "my-records-no-2"
    with pytest.raises(ValueError, match="has no letter"):
        run.slug("…")
