"""recipes/align/choose.py: clips whose lead sheets are heard best, as a folder like the one that they are from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small import SR, tones

from musetune import LeadSheet
from musetune.audio import load_audio, save_audio
from musetune.suites import chosen_clips
from recipes.align.choose import choose, load_config

SHEET = LeadSheet.parse("| C | F | G |", bpm=120, duration_seconds=4.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two clips of each of two genres: one plays its sheet, the other noise."""
    folder = tmp_path / "rendered"
    (folder / "000").mkdir(parents=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * SR)
    rows = []
    for genre in ("pop", "jazz"):
        for kind, wave in (("noise", noise), ("played", tones(SHEET, 4.0, clicks=0.3))):
            name = f"000/{genre}-{kind}.flac"
            save_audio(folder / name, wave, SR, "flac")
            rows.append({"file_name": name, "genre": genre, "text": genre, "lead_sheet": SHEET.to_json()})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(source: Path, out: Path, *options: str) -> list[dict]:
    choose(load_config([f"sources=[{source}]", f"output_dir={out}", "workers=0", *options]))
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]


def test_what_plays_its_sheet_stays(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "best"
    rows = run(source, out, "share=0.5")
    assert {row["file_name"] for row in rows} == {f"rendered-000-{genre}-played.flac" for genre in ("pop", "jazz")}
    assert {row["text"] for row in rows} == {"pop", "jazz"}
    for row in rows:
        wave, rate = load_audio(out / row["file_name"])
        assert (len(wave), rate) == (4 * SR, SR)

    def never(*_: object) -> None:
        raise AssertionError("heard again")

    monkeypatch.setattr(chosen_clips, "measure_clip", never)
    assert len(run(source, out, "share=1")) == 4
    again = run(source, out, "share=0.5")  # what no longer stays goes
    assert again == rows
    assert sorted(path.suffix for path in out.iterdir()) == [".flac"] * 2 + [".json"] * 2 + [".jsonl"] * 2


def test_a_killed_run_goes_on(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "best"
    heard: list[str] = []
    measure = chosen_clips.measure_clip

    def stopped(clip: chosen_clips.MeasuredClip, weights: dict[str, float]) -> dict[str, float | None]:
        if len(heard) == 2:
            raise KeyboardInterrupt
        heard.append(clip.name)
        return measure(clip, weights)

    with monkeypatch.context() as patch:
        patch.setattr(chosen_clips, "measure_clip", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(source, out)
    with (out / "rewards.jsonl").open("a") as log:
        log.write('["rendered-000-jazz-noi')  # killed within a line
    rest: list[str] = []
    monkeypatch.setattr(
        chosen_clips, "measure_clip", lambda clip, weights: rest.append(clip.name) or measure(clip, weights)
    )
    assert len(run(source, out)) == 2
    assert len(rest) == 2
    assert not set(rest) & set(heard)


def test_what_was_rendered_anew_is_heard_anew(source: Path, tmp_path: Path) -> None:
    """Neither rewards nor sound of a clip that was there before under the same name."""
    out = tmp_path / "best"
    run(source, out, "share=1")
    name = "000/pop-noise.flac"
    (source / name).unlink()
    save_audio(source / name, tones(SHEET, 4.0, clicks=0.3), SR, "flac")
    rows = run(source, out, "share=1")
    heard = [json.loads(line) for line in (out / "rewards.jsonl").read_text().splitlines()]
    before, now = (rewards["chords"] for clip, _, rewards in heard if clip == "rendered-000-pop-noise.flac")
    assert now > before + 0.5
    assert len(heard) == 5
    assert len(rows) == 4
    assert (out / "rendered-000-pop-noise.flac").read_bytes() == (source / name).read_bytes()


def test_no_two_clips_share_a_name(source: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (source / "metadata.jsonl").read_text().splitlines()]
    rows[1]["file_name"] = rows[0]["file_name"].replace("/", "-")
    (source / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"two clips would be called rendered-000-pop-noise\.flac"):
        run(source, tmp_path / "best")


def test_wrong_folders_and_options(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for options, message in (
        (("share=0",), "share=0.0 is outside"),
        (("sources=[]",), "holds no clips"),
        (("rewards={words: 1.0}",), "words cannot be told of a clip by itself"),
        (("rewards={chord: 1.0}",), "did you mean chords"),
        ((f"sources=[{other}]",), "has no metadata.jsonl"),
        ((f"sources=[{source},{other / source.name}]",), "have the same name"),
        ((f"output_dir={source}",), "is one of the sources"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            run(source, tmp_path / "best", *options)
    (other / "metadata.jsonl").write_text("")
    with pytest.raises(ValueError, match="holds clips that were not chosen here"):
        run(source, other)
    assert [path.name for path in other.iterdir()] == ["metadata.jsonl"]
    run(source, tmp_path / "best", "rewards={chords: 1.0, bars: 0.5, beats: 0.25, key: 0}")  # what weighs nothing
    with pytest.raises(ValueError, match="another rewards"):
        run(source, tmp_path / "best", "rewards={chords: 1.0}")
    row = json.loads((source / "metadata.jsonl").read_text().splitlines()[0])
    (other / "metadata.jsonl").write_text(json.dumps({"file_name": row["file_name"]}) + "\n")
    with pytest.raises(ValueError, match=r"000/pop-noise\.flac has no lead_sheet"):
        run(other, tmp_path / "third")
