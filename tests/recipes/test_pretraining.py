"""The recipes that make nano, one after the other on a few short clips.

Rendering, vocoder, CLAP, base; each resumed.
"""

from __future__ import annotations

import importlib
import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import torch
from kit_folder import write_kit

from musetune.audio import find_soundfont, load_audio
from musetune.models.nano import NanoVocoder
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import LeadSheet
from musetune.training.checkpoint import load_checkpoint

SONGS = {
    "major": ("| C | G/B | Am7 | F | Dm7 | G7 | Cmaj7 | C |", "C major"),
    "minor": ("| Am | Dm | E7 | Am | F | C/E | Bdim | E7 |", "A minor"),
}


def run(recipe: str, *arguments: object) -> None:
    """A recipe's main() in this process, as its command line would have it."""
    before, sys.argv = sys.argv, [recipe, *map(str, arguments)]
    try:
        importlib.import_module(f"recipes.base.{recipe}").main()
    finally:
        sys.argv = before


def write_songs(folder: Path) -> Path:
    """One song as MIDI, one as JSON, and what lies about in folders of songs."""
    folder.mkdir(exist_ok=True)
    for name, (chords, key) in SONGS.items():
        sheet = LeadSheet.parse(chords, key=key, bpm=100, duration_seconds=60)
        sheet.save(folder / f"{name}.{'mid' if name == 'major' else 'json'}")
    (folder / "settings.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    songs, out = write_songs(tmp_path_factory.mktemp("songs")), tmp_path_factory.mktemp("rendered")
    run("render_songs", songs, out, "clips=6", "seconds=6", "workers=1")
    return out


def test_rendering_is_what_its_sheet_says(rendered: Path) -> None:
    rows = [json.loads(line) for line in (rendered / "metadata.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    for row in rows:
        wave, rate = load_audio(rendered / row["file_name"])
        assert (rate, len(wave)) == (16000, 96000)
        assert np.sqrt(np.mean(wave**2)) > 0.01
        sheet = LeadSheet.from_json(row["lead_sheet"])
        assert sheet.duration_s == pytest.approx(6.0)
        assert sheet.chords
        assert row["genre"] in row["text"]
        assert set(row["arrangement"]) <= {"drums", "bass", "guitar", "keys", "lead"}
        assert all(stem["notes"] and stem["source"] == "rule" for stem in row["arrangement"].values())
    assert {row["source"] for row in rows} == {"major.mid", "minor.json"}
    assert len({row["text"] for row in rows}) > 1


def test_rendering_is_a_function_of_the_seed(rendered: Path, tmp_path: Path) -> None:
    run("render_songs", write_songs(tmp_path / "songs"), tmp_path / "again", "clips=2", "seconds=6", "workers=1")
    first, again = ((p / "metadata.jsonl").read_text().splitlines() for p in (rendered, tmp_path / "again"))
    assert again == first[:2]
    name = json.loads(again[0])["file_name"]
    assert np.array_equal(load_audio(rendered / name)[0], load_audio(tmp_path / "again" / name)[0])


@pytest.fixture
def materials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like that of recipes/analyzer/materials.py: the soundfont at hand, under a name that training may hear,
    one kit for training and one for measuring."""
    from musetune.datasets import materials as listing

    monkeypatch.setattr(listing, "HELD_OUT_DIGESTS", set())  # the soundfont at hand may be the one that pretty_midi has
    places = {m.name: m.locate(tmp_path / "materials") for m in listing.MATERIALS}
    for name in ("FluidR3Mono_GM", listing.HELD_OUT_SOUNDFONT):
        places[name].parent.mkdir(parents=True, exist_ok=True)
        places[name].symlink_to(find_soundfont())
    for name in ("Audiophob", listing.HELD_OUT_KIT):
        places[name].parent.mkdir(parents=True, exist_ok=True)
        write_kit(places[name])
    return tmp_path / "materials"


def test_players_of_many_sounds_are_mixed_and_a_cut_run_goes_on(materials: Path, tmp_path: Path) -> None:
    songs, out = write_songs(tmp_path / "songs"), tmp_path / "mixed"
    words = (songs, out, f"materials={materials}", "clips=3", "seconds=3", "workers=0", "kit_share=1", "plain_share=0")
    run("render_songs", *words)
    settings = json.loads((out / "render.json").read_text())
    assert settings["soundfonts"] == ["FluidR3Mono_GM.sf3"]
    assert settings["kits"] == ["Audiophob"]
    first, rate = load_audio(out / "000/000001.flac")
    assert (rate, len(first)) == (16000, 48000)
    (out / "000/000001.flac").unlink()
    (out / "000/000002.flac.part").write_bytes(b"cut short")
    run("render_songs", *words)
    assert np.array_equal(load_audio(out / "000/000001.flac")[0], first)
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    run("render_songs", songs, tmp_path / "plain", "clips=3", "seconds=3", "workers=0")
    plain = [json.loads(line) for line in (tmp_path / "plain/metadata.jsonl").read_text().splitlines()]
    assert rows == plain  # sounds, unevenness and mix leave what is asked for as it was written
    assert not np.allclose(load_audio(tmp_path / "plain/000/000001.flac")[0], first, atol=1e-2)
    with pytest.raises(SystemExit, match="rendered with another kit_share: give another folder"):
        run("render_songs", *words[:-2], "kit_share=0.5", "plain_share=0")


def test_stereo_and_what_is_only_for_measuring(materials: Path, tmp_path: Path) -> None:
    for name in ("001", "005"):
        write_song_folder(tmp_path / "songs" / name, OURS)
    words = ("clips=1", "seconds=3", "workers=0", "stereo=true", "only_held_out=true")
    out = tmp_path / "test"
    run("render_songs", tmp_path / "songs", out, f"materials={materials}", *words, "unknown_sounds=true", "kit_share=1")
    settings = json.loads((out / "render.json").read_text())
    assert (settings["soundfonts"], settings["kits"]) == (["TimGM6mb.sf2"], ["ForzeeStereo"])
    assert json.loads((out / "metadata.jsonl").read_text())["source"] == "005"
    wave, rate = load_audio(out / "000/000000.flac", mono=False)
    assert (rate, wave.shape) == (48000, (2, 144000))
    assert np.abs(wave[0] - wave[1]).max() > 0.01
    with pytest.raises(SystemExit, match="unknown_sounds measures alone"):
        run("render_songs", tmp_path / "songs", out, f"materials={materials}", "unknown_sounds=true")
    font = next((materials / "timgm6mb-soundfont").rglob("*.sf2"))
    with pytest.raises(SystemExit, match="is held out: the benchmarks measure with"):
        run("render_songs", tmp_path / "songs", tmp_path / "no", f"soundfonts=[{font}]", "clips=1")


def test_lead_sheets_of_a_collection_are_held_out_by_their_path(tmp_path: Path) -> None:
    from musetune.datasets.rendering import songs as recipe
    from musetune.datasets.song_split import for_tests

    sheet, root = LeadSheet.parse("| C | F |", key="C major", bpm=100), tmp_path / "books" / "one"
    names = [f"deep/{index}.json" for index in range(24)]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        sheet.save(root / name)
    (root / "index.csv").write_text("path\n")
    held = {name for name in names if for_tests(name, "openewld")}
    assert held
    kept, only = (
        {path.relative_to(root).as_posix() for path in recipe.find_songs(tmp_path, "5", sheets=True, only=only)}
        for only in (False, True)
    )
    assert (kept, only) == (set(names) - held, held)


OURS = ("chords.txt", "beats.txt", "key.txt", "arrangement.mid")
PUBLIC = ("chord_midi.txt", "beat_midi.txt", "key_audio.txt", "{}.mid")


def write_song_folder(folder: Path, names: tuple[str, ...]) -> Path:
    """Eight bars at 120 bpm as POP909 has them, a beat of 0.5 s from 0.25 s on."""
    folder.mkdir(parents=True)
    chords, beats, key, notes = (folder / name.format(folder.name) for name in names)
    chords.write_text(
        "".join(f"{0.25 + 2 * i}\t{2.25 + 2 * i}\t{c}\n" for i, c in enumerate(["G:maj", "E:min", "C:maj7", "D:7"] * 2))
    )
    beats.write_text("".join(f"{0.25 + 0.5 * i} {float(i % 2 == 0)} {float(i % 4 == 0)}\n" for i in range(33)))
    key.write_text("0.25\t16.25\tG:maj\n")
    midi = pretty_midi.PrettyMIDI()
    midi.instruments.append(pretty_midi.Instrument(0, name="MELODY"))
    midi.instruments[0].notes.append(pretty_midi.Note(90, 67, 0.75, 1.25))
    midi.write(str(notes))
    return folder


def test_song_folders_and_files_are_found_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from musetune.datasets.rendering import songs as recipe

    sheet = LeadSheet.parse("| C | F |", key="C major", bpm=100)
    for name in ("b.mid", "c.musicxml", "d.jams", "z/a.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        sheet.save(tmp_path / name)
    (tmp_path / "c.musicxml").rename(tmp_path / "c.xml")
    pretty_midi.PrettyMIDI().write(str(tmp_path / "chordless.mid"))
    for name in ("012", "003", "005"):
        write_song_folder(tmp_path / "pop" / name, PUBLIC if name == "012" else OURS)
    (tmp_path / "pop" / "012" / "versions").mkdir()
    sheet.save(tmp_path / "pop" / "012" / "versions" / "012-v1.mid")
    found = [path.relative_to(tmp_path).as_posix() for path in recipe.find_songs(tmp_path, "05")]
    assert found == ["pop/003", "pop/012", "b.mid", "c.xml", "d.jams", "z/a.json"]
    assert "chordless.mid" in capsys.readouterr().err
    assert [p.name for p in recipe.find_songs(tmp_path / "pop", "")] == ["003", "005", "012"]


def test_pop909_as_published_reads_like_ours(tmp_path: Path) -> None:
    from musetune.datasets.rendering import songs as recipe

    public, ours = (write_song_folder(tmp_path / kind / "001", names) for kind, names in (("a", PUBLIC), ("b", OURS)))
    sheet = recipe.read_song(public)
    assert sheet == recipe.read_song(ours)
    assert (str(sheet.key), str(sheet.meter), sheet.chord_labels[:2]) == ("G major", "4/4", ["G:maj", "E:min"])
    assert [(n.start, n.beats, n.pitch) for n in sheet.melody] == [(Fraction(1), Fraction(1), 67)]
    (ours / "key.txt").unlink()
    recipe.read_song.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"neither key\.txt nor key_audio\.txt"):
        recipe.read_song(ours)


@pytest.mark.slow
def test_vocoder_clap_and_base_train_and_resume(rendered: Path, tmp_path: Path) -> None:
    vocoder = ("pretrain_vocoder", rendered, tmp_path / "vocoder", "batch=2", "frames=64")
    run(*vocoder, "steps=1")
    before, _ = load_checkpoint(tmp_path / "vocoder" / "checkpoint-1")
    run(*vocoder, "steps=2")
    after, _ = load_checkpoint(tmp_path / "vocoder" / "checkpoint-2")
    assert {int(after[name]) - int(before[name]) for name in after if name.endswith(".step")} == {1}

    further = ("pretrain_vocoder", rendered, tmp_path / "further", "batch=2", "frames=64", "resolutions=1")
    run(*further, "steps=1", f"start={tmp_path / 'vocoder'}", "learning_rate=1e-6")
    codes = [
        (tmp_path / name / "vae/diffusion_pytorch_model.safetensors").read_bytes() for name in ("vocoder", "further")
    ]
    assert codes[0] == codes[1]  # latents mean what they meant
    start, end = (NanoVocoder.from_pretrained(tmp_path / name / "vocoder") for name in ("vocoder", "further"))
    assert start.config.loudest == end.config.loudest
    changes = [float((a - b).detach().abs().max()) for a, b in zip(start.parameters(), end.parameters(), strict=True)]
    assert 0 < max(changes) < 1e-4

    clap = ("pretrain_clap", rendered, tmp_path / "clap", "batch=4", "held_out=2", "save_every=1", "workers=1")
    run(*clap, "steps=1")
    run(*clap, "steps=2")
    heard = json.loads((tmp_path / "clap" / "heard.json").read_text())
    assert heard["steps"] == 2
    assert 0 <= heard["clip_by_words"] <= 1

    base = ("pretrain_base", rendered, tmp_path / "vocoder", tmp_path / "base", "batch=2", "rows=40")
    base += (f"clap={tmp_path / 'clap'}",)
    run(*base, "steps=2")
    before, _ = load_checkpoint(tmp_path / "base" / "checkpoint-2")
    run(*base, "steps=4")
    after, meta = load_checkpoint(tmp_path / "base" / "checkpoint-4")
    assert meta["step"] == 4
    assert not (tmp_path / "base" / "checkpoint-2").exists()
    trained = [name for name in after if name.startswith("model.")]
    assert {name.split(".")[1] for name in trained if not torch.equal(after[name], before[name])} == {
        "unet",
        "t5",
        "gpt2",
        "projection",
    }
    assert not list(tmp_path.rglob("*.pt"))
    assert json.loads((tmp_path / "base" / "base" / "training.json").read_text())["step"] == 4
    pipe = MuseTunePipeline.from_pretrained(tmp_path / "base" / "base")
    made = pipe("pop song", duration_seconds=2.56, num_inference_steps=2)
    assert np.isfinite(made.audios[0]).all()


def test_a_run_of_the_former_format_is_not_begun_anew(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"state\.pt is of MuseTune 0\.1\.0: finish with that"):
        run("pretrain_vocoder", rendered, tmp_path, "steps=1", "batch=2", "frames=64")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["only-one"], "give RENDERED OUT"),
        (["in", "steps=3"], "steps=3 stands where a folder is meant: give RENDERED OUT first"),
        (["in", "out", "step=3"], "no option is called step: did you mean steps"),
    ],
)
def test_wrong_words_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        run("pretrain_vocoder", *arguments)
