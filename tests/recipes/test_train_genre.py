"""train_genre.py on a few short clips: three parts split by song, renderings kept, weights that the analyser reads."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musetune.analysis.genre.classifier import WEIGHTS_FILE, evidence, probabilities
from musetune.analysis.genre.traits import FEATURE_NAMES
from musetune.audio import find_soundfont, load_audio
from musetune.symbols import GENRES, LeadSheet


def recipe(name: str):  # type: ignore[no-untyped-def]
    """A module of recipes/."""
    return importlib.import_module(name)


def write_pop909(folder: Path, number: int) -> None:
    """A song of 64 bars of C, F, G, C at 120 bpm."""
    song = folder / f"{number:03d}"
    song.mkdir(parents=True)
    chords, beats = ("C:maj", "F:maj", "G:maj", "C:maj"), range(257)
    (song / "chords.txt").write_text("".join(f"{2 * i} {2 * i + 2} {chords[i % 4]}\n" for i in range(64)))
    (song / "beats.txt").write_text("".join(f"{beat / 2} 1.0 {float(beat % 4 == 0)}\n" for beat in beats))
    (song / "key.txt").write_text("0.0 128.0 C:maj\n")
    midi = pretty_midi.PrettyMIDI()
    melody = pretty_midi.Instrument(0, name="MELODY")
    melody.notes = [pretty_midi.Note(80, 72 + beat % 5, beat / 2, beat / 2 + 0.5) for beat in beats]
    midi.instruments.append(melody)
    midi.write(str(song / "arrangement.mid"))


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that name the songs, and small sizes."""
    root = tmp_path_factory.mktemp("songs")
    for number in (1, 5, 9, 10):
        write_pop909(root / "pop909", number)
    sheets = root / "openewld"
    sheets.mkdir()
    rows = ["path,title,first_performance,genres,styles"]
    for number in range(12):
        LeadSheet.parse("| Dm7 | G7 | Cmaj7 | A7 |" * 16, bpm=140).save(sheets / f"{number}.musicxml")
        rows.append(f"{number}.musicxml,Tune {number},,Jazz:3,Bop:1")
    (sheets / "index.csv").write_text("\n".join(rows) + "\n")
    font = find_soundfont()
    return [
        f"songs={root / 'pop909'}",
        f"lead_sheets={sheets}",
        f"fonts=[{font}]",
        f"strange_font={font}",
        f"new_font={font}",
        "train=14",
        "calibration=7",
        "test=7",
        "views=1",
        "seconds=8",
        "sheets=12",
        "steps=40",
        "networks=2",
    ]


def run(arguments: list[str]) -> None:
    before, sys.argv = sys.argv, ["train_genre", *arguments]
    try:
        recipe("recipes.analyzer.train_genre").main()
    finally:
        sys.argv = before


@pytest.mark.slow
def test_from_songs_to_weights(songs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work, out = tmp_path / "work", tmp_path / "weights.npz"
    run([*songs, f"work={work}", f"out={out}"])
    assert "test {'sound':" in capsys.readouterr().out
    with np.load(out) as stored:
        w = {name: stored[name].astype(np.float32) for name in stored.files}
    x = np.full((1, len(FEATURE_NAMES)), np.nan)
    share = probabilities(evidence(x, w), w["weight"], float(w["none"]))
    np.testing.assert_allclose(share, [[*[1 / 6] * 6, 0]], atol=1e-6)  # nothing is known: all alike, and not none
    x[:, -1] = 0.5
    assert probabilities(evidence(x, w), w["weight"], float(w["none"]))[0, -1] > 0
    assert ((w["sure"] >= 0.2) & (w["sure"] < 0.95)).all()
    for part, clips in (("train", 14), ("calibration", 7), ("test", 7)):
        rows = [json.loads(line) for line in (work / part / "metadata.jsonl").read_text().splitlines()]
        assert sorted(row["genre"] for row in rows) == sorted((*GENRES, "none") * (clips // 7))
        wave, rate = load_audio(work / part / rows[0]["file_name"])
        assert len(wave) == 8 * rate
        assert np.abs(wave).max() > 0.05
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*.flac")}
    first = out.read_bytes()
    run([*songs, f"work={work}", f"out={out}"])
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.flac")} == before
    assert out.read_bytes() == first


def test_parts_do_not_share_songs(songs: list[str]) -> None:
    render_genres = recipe("musetune.datasets.rendering.genres")
    pop909, openewld = (Path(word.split("=")[1]) for word in songs[:2])
    found = render_genres.find_songs(pop909, openewld, 72)
    names = {part: [path.name for files in sources.values() for path in files] for part, sources in found.items()}
    assert [names[part][0] for part in ("train", "calibration", "test")] == ["001", "009", "005"]
    every = [name for part in names.values() for name in part]
    assert len(every) == len(set(every))
    assert "010" not in every


def test_idioms_are_chords_of_their_key() -> None:
    import random

    render_genres = recipe("musetune.datasets.rendering.genres")
    for genre in GENRES:
        for seed in range(12):
            sheet = render_genres.idiom(genre, 20.0, random.Random(seed))
            assert sheet.genre == genre
            assert sheet.duration_s >= 20.0
            assert all(span.chord.root for span in sheet.chords)


def test_a_clip_is_a_function_of_its_seed(songs: list[str], tmp_path: Path) -> None:
    render_genres = recipe("musetune.datasets.rendering.genres")
    found = render_genres.find_songs(*(Path(word.split("=")[1]) for word in songs[:2]), 72)["train"]
    font = str(find_soundfont())
    clips = [render_genres.make_clip("rock", found, tmp_path, font, 6.0, 0.0, seed, True) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(clips[0][0], clips[1][0])
    assert clips[0][1] == clips[1][1]
    assert not np.array_equal(clips[0][0], clips[2][0])


def test_clips_with_a_kit_a_drum_machine_and_of_no_genre(songs: list[str], tmp_path: Path) -> None:
    render_genres = recipe("musetune.datasets.rendering.genres")
    found = render_genres.find_songs(*(Path(word.split("=")[1]) for word in songs[:2]), 72)["train"]
    font = str(find_soundfont())
    for genre, seed in (("electronic", 1), ("electronic", 2), ("none", 3)):
        wave, sheet = render_genres.make_clip(genre, found, tmp_path, font, 6.0, 1.0, seed, True)
        assert wave.shape == (6 * render_genres.RATE,)
        assert 0.01 < wave.std() < 1
        assert sheet.chords


def test_no_genre_is_played_by_players_of_none(songs: list[str]) -> None:
    render_genres = recipe("musetune.datasets.rendering.genres")
    sheet = LeadSheet.parse("| C | F | G | C |", bpm=120, genre="pop")
    arrangement = render_genres.orchestrate(sheet, seed=0).arrangement
    for seed in range(8):
        strange = render_genres.estrange(arrangement, np.random.default_rng(seed))
        assert strange.stems.keys() <= arrangement.stems.keys()
        pitched = [stem for stem in strange.stems.values() if not stem.is_drum]
        assert pitched
        if strange is not arrangement:
            assert all(stem.program in render_genres.STRANGE_PLAYERS for stem in pitched)


def test_training_refuses_what_is_held_out_and_says_what_is_missing(tmp_path: Path) -> None:
    train_genre = recipe("recipes.analyzer.train_genre")
    options = {"songs": "s", "lead_sheets": "l", "work": "w"}
    with pytest.raises(ValueError, match="soundfonts are missing: give materials=FOLDER"):
        train_genre.complete(train_genre.Config(**options, materials=str(tmp_path)))
    held_out = train_genre.Config(**options, fonts=["TimGM6mb.sf2"], strange_font="b.sf2", new_font="c.sf2")
    with pytest.raises(ValueError, match="is held out"):
        train_genre.complete(held_out)


def test_calibration_finds_what_score_sound_and_none_are_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features are the evidence itself here, and truths are drawn from weights that calibration does not know."""
    train_genre = recipe("recipes.analyzer.train_genre")
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, (1500, 14))
    x[:, 6] = 0  # the score says nothing of none

    def halves(rows: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
        return np.stack([rows[:, :7], rows[:, 7:]])

    monkeypatch.setattr(train_genre, "evidence", halves)
    silent = x.copy()
    silent[:, 7:13], silent[:, 13] = 0, -np.inf
    truths = []
    for rows in (silent, x):
        share = probabilities(halves(rows, {}), np.array([0.7, 0.3, 1.2]), 1.5)
        truths.append((rng.random((len(rows), 1)) > share.cumsum(axis=1)).sum(axis=1))
    weight, none = train_genre.calibrate({}, (silent, truths[0]), (x, truths[1]))
    np.testing.assert_allclose(weight, [0.7, 0.3, 1.2], atol=0.15)
    assert none == pytest.approx(1.5, abs=0.35)
    fitted = {"weight": weight, "none": np.array(none)}
    from_here = train_genre.naming_threshold(fitted, (x, truths[1]))
    share = probabilities(halves(x, {}), weight, none)[:, :6]
    named = share.max(axis=1) >= from_here
    assert (share.argmax(axis=1) == truths[1])[named].mean() >= train_genre.RIGHT


@pytest.mark.slow
def test_calibrating_anew_leaves_the_networks(songs: list[str], tmp_path: Path) -> None:
    work, out, again = tmp_path / "work", tmp_path / "weights.npz", tmp_path / "again.npz"
    run([*songs, f"work={work}", f"out={out}"])
    run([*songs, f"work={work}", f"out={again}", "fresh=false"])
    with np.load(WEIGHTS_FILE) as shipped, np.load(again) as calibrated:
        for name in ("mean", "scale", "w1", "b1", "w2", "b2"):
            np.testing.assert_array_equal(shipped[name], calibrated[name])
        assert calibrated["weight"].shape == (3,)


def test_a_label_without_a_usable_song_takes_another(songs: list[str], tmp_path: Path) -> None:
    import random

    render_genres = recipe("musetune.datasets.rendering.genres")
    found = dict(render_genres.find_songs(*(Path(word.split("=")[1]) for word in songs[:2]), 72)["train"])
    broken = tmp_path / "broken.musicxml"
    broken.write_text("no music")
    found["Blues"] = [broken]
    for seed in range(4):
        sheet = render_genres.draw_sheet("blues", found, tmp_path, 8.0, 0.0, random.Random(seed))
        assert sheet.genre == "blues"
        assert sheet.chords


def test_recolour_takes_chords_with_exact_notes() -> None:
    import random

    render_genres = recipe("musetune.datasets.rendering.genres")
    sheet = LeadSheet.parse("| Cadd9 | F |", key="C major")
    assert sheet.chords[0].chord.intervals
    assert next(span.chord.quality for span in render_genres.recolour(sheet, random.Random(0)).chords) in ("maj7", "7")
