"""A data set of annotations on the Hub: what is sent, with which card, and that `datasets` opens what arrives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from server import LoopbackHub
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

from musetune.cli.app import app
from musetune.datasets.annotation import annotate
from musetune.hub import dataset_files, push_dataset
from musetune.symbols import LeadSheet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]
REPO = "me/songs"


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for name, chart in (("a.mid", "| C | F | G7 | C |"), ("b.mid", "| Am | Dm | E7 | Am |")):
        LeadSheet.parse(chart).save(folder / name)
    rows = [{"file_name": "a.mid", "licence": "CC BY 4.0"}, {"file_name": "b.mid", "licence": "CC BY 4.0"}]
    (folder / "songs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return annotate(folder / "songs.jsonl", folder / "annotated", workers=1, shard_size=1)


def test_a_push_sends_tables_and_card_and_no_paths(hub: LoopbackHub, annotated: Path) -> None:
    url = push_dataset(annotated, REPO, message="first")
    repo = hub.repos[REPO]
    assert url.endswith(f"/commit/{repo.refs['main']}")
    files = repo.commits[repo.refs["main"]]
    tables = ["data/train-00000.parquet", "data/train-00001.parquet"]
    assert sorted(files) == sorted([".gitattributes", "README.md", "annotations.json", *tables])
    assert all(str(annotated.parent).encode() not in data for data in files.values())
    head = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert head["license"] == "cc-by-4.0"
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "data/*.parquet"}]


def test_what_arrives_is_opened_by_datasets(hub: LoopbackHub, annotated: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from huggingface_hub import snapshot_download

    push_dataset(annotated, REPO)
    folder = snapshot_download(REPO, repo_type="dataset", local_dir=tmp_path / "copy")
    songs = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert songs["file"][:] == ["a.mid", "b.mid"]
    assert json.loads(songs[1]["record"])["key"] == "A minor"


def test_a_second_push_takes_the_firsts_place(hub: LoopbackHub, annotated: Path, tmp_path: Path) -> None:
    push_dataset(annotated, REPO)
    whole = annotate(annotated.parent / "songs.jsonl", tmp_path / "whole", workers=1)
    push_dataset(whole, REPO)
    repo = hub.repos[REPO]
    names = [name for name in repo.commits[repo.refs["main"]] if name.startswith("data/")]
    assert names == ["data/train-00000.parquet"]


def test_an_unknown_licence_is_asked_for(hub: LoopbackHub, annotated: Path, tmp_path: Path) -> None:
    other = annotate(annotated.parent, tmp_path / "other", workers=1)
    with pytest.raises(ValueError, match="give --license"):
        push_dataset(other, REPO)
    push_dataset(other, REPO, license="cc0-1.0")
    repo = hub.repos[REPO]
    assert b"license: cc0-1.0" in repo.commits[repo.refs["main"]]["README.md"]
    with pytest.raises(ValueError, match=r"says license: cc-by-4\.0, not mit"):
        push_dataset(annotated, REPO, license="mit")
    with pytest.raises(FileNotFoundError, match="no finished data set"):
        dataset_files(tmp_path)


def test_musetune_push_knows_a_data_set(hub: LoopbackHub, annotated: Path) -> None:
    shown = CliRunner().invoke(app, ["push", str(annotated), REPO, "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "data/train-00001.parquet" in shown.output
    assert "Annotations of 2 songs" in shown.output
    assert REPO not in hub.repos
    assert CliRunner().invoke(app, ["push", str(annotated), REPO]).exit_code == 0
    assert REPO in hub.repos
