"""The data set on disk: round trip, continuation after a kill at any point, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from musetune.datasets.latent_dataset import Clip, DatasetInfo, DatasetWriter, LatentDataset, TextEmbedding

INFO = DatasetInfo("nano", "f00", channels=2, rows=6, cols=4, row_s=0.128)


def _text(length: int) -> TextEmbedding:
    return TextEmbedding(
        torch.full((length, 8), float(length)), torch.ones(length, dtype=torch.long), torch.full((3, 6), float(length))
    )


def _add(writer: DatasetWriter, name: str, n: int = 2, **fields: object) -> None:
    clips = [
        Clip(f"{name}-{i}", name, "ab" * 32, i * 0.768, 0.768, text=f"song {name}", lead_sheet={"v": i}, **fields)
        for i in range(n)
    ]
    latents = torch.arange(n * 48, dtype=torch.float32).reshape(n, 2, 6, 4) + len(name)
    writer.add(clips, latents, {"": _text(1), f"song {name}": _text(2 + len(name))})


def test_round_trip(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, INFO, shard_size=3) as writer:
        for name in ("a.wav", "bb.wav", "ccc.wav"):
            _add(writer, name, genre="jazz", licence="MIT", provenance={"by": "me"})
    assert len(list((tmp_path / "shards").iterdir())) == 2
    data = LatentDataset(tmp_path)
    assert data.info == INFO
    assert len(data) == 6
    clip = data.clips[3]
    assert (clip.id, clip.offset_s, clip.lead_sheet, clip.licence) == ("bb.wav-1", 0.768, {"v": 1}, "MIT")
    expected = torch.arange(48, 96, dtype=torch.float16).reshape(2, 6, 4) + len("bb.wav")
    assert torch.equal(data.latents[3], expected)
    text = data.collate_texts(["", "song a.wav"])
    assert text.prompt_embeds.shape == (2, 7, 8)
    assert text.attention_mask.sum(1).tolist() == [1, 7]
    assert text.prompt_embeds[0, 1:].abs().sum() == 0
    assert text.generated_prompt_embeds[1, 0, 0] == 7
    for shard in (tmp_path / "shards").iterdir():
        shard.unlink()
    alone = LatentDataset(tmp_path, clips_alone=True)
    assert alone.clips == data.clips
    assert (len(alone), len(alone.latents), alone.texts) == (6, 0, {})


def test_bars_are_kept_and_older_data_sets_have_none(tmp_path: Path) -> None:
    bars = [[0.0, 0.4, 0.9], [0.4, 0.768, 0.3]]
    for name, fields in (("old", {}), ("new", {"bars": bars})):
        with DatasetWriter(tmp_path / name, INFO) as writer:
            _add(writer, "a.wav", **fields)
    old, new = LatentDataset(tmp_path / "old"), LatentDataset(tmp_path / "new")
    assert [clip.bars for clip in old.clips + new.clips] == [None, None, bars, bars]
    assert old.digest() != new.digest()
    path = tmp_path / "old" / "clips.jsonl"  # as written before there were bars
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "bars"}) + "\n" for line in lines))
    assert LatentDataset(tmp_path / "old").digest() == old.digest()


def test_continues_after_a_kill(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    with DatasetWriter(whole, INFO, shard_size=4) as writer:
        for name in "abcd":
            _add(writer, name)
    cut = tmp_path / "cut"
    with DatasetWriter(cut, INFO, shard_size=4) as writer:
        for name in "abc":
            _add(writer, name)
        writer.quarantine("bad.mp3", "no sound")
    # what a kill can leave: a shard without lines, a shard half told, a half line
    (cut / "shards" / "00007.safetensors").write_bytes(b"half")
    lines = (cut / "clips.jsonl").read_text().splitlines(keepends=True)
    (cut / "clips.jsonl").write_text("".join(lines[:-1]) + lines[-1][:20])
    with DatasetWriter(cut, INFO, shard_size=4) as writer:
        assert writer.done == {"a", "b", "bad.mp3"}
        for name in "cd":
            _add(writer, name)
    assert (cut / "clips.jsonl").read_text() == (whole / "clips.jsonl").read_text()
    assert torch.equal(LatentDataset(cut).latents, LatentDataset(whole).latents)


def test_selection_and_refusals(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"recipes/prepare\.py"):
        LatentDataset(tmp_path)
    with DatasetWriter(tmp_path, INFO) as writer:
        _add(writer, "a", genre="jazz")
        _add(writer, "b", genre="rock", transpose=3)
        with pytest.raises(ValueError, match=r"shape \(1, 2, 6, 5\), the data set holds \(1, 2, 6, 4\)"):
            writer.add([Clip("x", "x", "", 0, 1, "", {})], torch.zeros(1, 2, 6, 5), {})
        with pytest.raises(ValueError, match=r"no text embedding given for .*new text"):
            writer.add([Clip("x", "x", "", 0, 1, "new text", {})], torch.zeros(1, 2, 6, 4), {})
    assert [c.file for c in LatentDataset(tmp_path, transposed=False).clips] == ["a", "a"]
    assert [c.file for c in LatentDataset(tmp_path, genre="rock").clips] == ["b", "b"]
    with pytest.raises(ValueError, match=r"no clips of genre=folk, but 2 of jazz, 2 of rock: .*--genre folk"):
        LatentDataset(tmp_path, genre="folk")
    with pytest.raises(ValueError, match=r"made with rows=6, not 7"):
        DatasetWriter(tmp_path, DatasetInfo("nano", "f00", 2, 7, 4, 0.128))
    (tmp_path / "dataset.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="schema 99"):
        LatentDataset(tmp_path)
