"""`musetune compare`: pairs are made once, go on after a kill, come in from a table, and are summed up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter, cli
from musetune.audio import save_audio
from musetune.cli.compare import mix_of
from musetune.evaluation.preferences import Judge, PairBatch, Verdict, read_verdicts


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """The exit code, output and errors of `musetune compare` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["musetune"])
        with pytest.raises(SystemExit) as end:
            cli.main("compare", *map(str, arguments))
    return int(end.value.code or 0), *capsys.readouterr()


@pytest.fixture(scope="module")
def adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two theory adapters of the tiny base that differ."""
    import torch

    unet = MuseTunePipeline.from_pretrained(tiny_base).unet
    folders = []
    for seed, name in enumerate(("plain", "tuned")):
        torch.manual_seed(seed)
        adapter = MusicAdapter.for_unet(unet, dim=32, hidden=16, map_channels=8)
        for weights in adapter.trainable_parameters():  # a new one does nothing
            torch.nn.init.normal_(weights, std=0.1)
        folders.append(tmp_path_factory.mktemp("adapters") / name / "adapter")
        adapter.save_pretrained(folders[-1])
    return folders[0], folders[1]


@pytest.fixture
def options(tiny_base: Path, adapters: tuple[Path, Path], tmp_path: Path) -> list[str]:
    """A base, an adapter and two short sheets."""
    sheets = tmp_path / "sheets"
    sheets.mkdir()
    for name, chords in (("1", "C G"), ("2", "Dm A7")):
        LeadSheet.parse(chords, bpm=240, genre="jazz").save(sheets / f"{name}.json")
    return ["--base", str(tiny_base), "--adapter", str(adapters[0]), "--sheets", str(sheets), "--steps", "1"]


@pytest.mark.slow
def test_pairs_go_on_where_they_were(
    options: list[str], adapters: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = tmp_path / "batch"
    code, out, err = run(capsys, batch, *options, "--pairs", "1")
    assert code == 0, err
    assert f"{batch}: 1 new pairs, 0 were there" in out
    assert f"musetune ui --compare {batch}" in out
    first = (batch / "pairs.jsonl").read_text()
    with (batch / "pairs.jsonl").open("a") as file:
        file.write('{"schema": 1, "pa')  # as a kill leaves it
    code, out, _ = run(capsys, batch, *options, "--pairs", "3", "--json")
    assert json.loads(out) == {"batch": str(batch), "new": 2, "present": 1}
    assert (batch / "pairs.jsonl").read_text().startswith(first)
    pairs = list(PairBatch(batch).pairs().values())
    assert [[side.origin["seed"] for side in pair.sides] for pair in pairs] == [[0, 1], [2, 3], [4, 5]]
    assert [pair.request["prompt"] for pair in pairs] == ["jazz music"] * 3
    assert LeadSheet.from_json(pairs[1].request["sheet"]).chord_labels == ["D:min", "A:7"]
    assert {side.origin["name"] for pair in pairs for side in pair.sides} == {"plain"}
    code, out, _ = run(capsys, batch, *options, "--pairs", "1", "--versus", adapters[1], "--json")
    assert json.loads(out)["new"] == 1
    last = list(PairBatch(batch).pairs().values())[-1]
    assert [(side.origin["name"], side.origin["seed"]) for side in last.sides] == [("plain", 0), ("tuned", 0)]
    assert last.sides[0].origin["weights"] != last.sides[1].origin["weights"]


def test_tables_come_in_and_are_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    for name in ("x", "y"):
        save_audio(tmp_path / f"{name}.wav", draw.normal(0, 0.1, 800), 16000)
    table, batch = tmp_path / "pairs.csv", tmp_path / "batch"
    table.write_text("audio_a,audio_b,origin_a,origin_b\nx.wav,y.wav,old,new\n")
    code, out, _ = run(capsys, batch, "--import", table)
    assert (code, out.strip()) == (0, f"{batch}: 1 new pairs, 0 were there; 0 new verdicts")
    assert "no verdicts yet" in run(capsys, batch, "--summary")[1]
    (pair,) = PairBatch(batch).pairs().values()
    sides = [side.to_json(batch) for side in pair.sides]
    Verdict(pair.id, Judge("person", "anna"), "B", *sides).append(PairBatch(batch).preferences)
    assert "new  preferred 100 % (21–100), 1 of 1" in run(capsys, batch, "--summary")[1]
    assert json.loads(run(capsys, batch, "--summary", "--json")[1])["origins"][0]["origin"] == "new"
    assert len(read_verdicts(PairBatch(batch).preferences)) == 1
    table.write_text("audio_a,audio_b,origin_a,origin_b\nx.wav,none.wav,old,new\n")
    code, _, err = run(capsys, batch, "--import", table)
    assert code == 2
    assert err.startswith("musetune: ")
    assert "row 2, column audio_b: none.wav is not there" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--summary"], "batch is not there: musetune compare"),
        (["--summary", "--import", "x.csv"], "give --import or --summary, not both"),
        (["--import", "none.csv"], "none.csv is not there"),
        (["--mix", "jazz"], "--mix 'jazz': give a genre adapter and its weight from 0 to 2, as jazz=0.5"),
        (["--versus-mix", "jazz=3"], "--versus-mix 'jazz=3'"),
        (["--sheets", "x", "--prompt", "y"], "leave them out beside --sheets"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, _, err = run(capsys, tmp_path / "batch", *arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_mixes() -> None:
    assert mix_of("--mix", ["jazz=0.5", "runs/a=b=1"]) == {"jazz": 0.5, "runs/a=b": 1.0}
    assert mix_of("--mix", ["none=0"]) == {}
    assert mix_of("--mix", None) == {}
