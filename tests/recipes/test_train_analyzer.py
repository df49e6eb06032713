"""The recipe of the analyser's networks, run whole on two made-up songs and two lead sheets."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetune.analysis.listening.network_inputs import FEATURE_FPS
from musetune.symbols import LeadSheet
from recipes.analyzer import train as recipe

REPOSITORY = Path(__file__).parents[2]
RECIPE = REPOSITORY / "recipes" / "analyzer" / "train.py"
CONFIG = REPOSITORY / "recipes" / "configs" / "analyzer.yaml"


def make_song(folder: Path, roots: tuple[int, ...]) -> None:
    """A folder as POP909 has them: four-beat chords at 120 bpm."""
    import pretty_midi

    folder.mkdir(parents=True)
    midi = pretty_midi.PrettyMIDI()
    piano, melody = pretty_midi.Instrument(0, name="PIANO"), pretty_midi.Instrument(0, name="MELODY")
    names, bars = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"), 60
    for bar in range(bars):
        root = roots[bar % len(roots)]
        piano.notes += [pretty_midi.Note(80, 48 + root + step, bar * 2, bar * 2 + 1.9) for step in (0, 4, 7)]
        melody.notes += [pretty_midi.Note(90, 72 + root, bar * 2 + at, bar * 2 + at + 0.4) for at in (0, 0.5, 1.5)]
    midi.instruments += [melody, piano]
    midi.write(str(folder / "arrangement.mid"))
    lines = [f"{bar * 2}\t{bar * 2 + 2}\t{names[roots[bar % len(roots)]]}:maj" for bar in range(bars)]
    (folder / "chords.txt").write_text("\n".join(lines))
    beats = [f"{beat / 2} {float(beat % 2 == 0)} {float(beat % 4 == 0)}" for beat in range(4 * bars)]
    (folder / "beats.txt").write_text("\n".join(beats))
    (folder / "key.txt").write_text(f"0\t{2 * bars}\tC:maj")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tinysoundfont")
    root = tmp_path_factory.mktemp("analyzer")
    make_song(root / "songs/001", (0, 7, 9, 5))
    make_song(root / "songs/002", (2, 7))
    make_song(root / "songs/005", (4,))  # held out
    lines = ["path,title,first_performance,genres,styles"]
    for number in range(3):
        sheet = LeadSheet.from_progression(
            ["I", "vi", "ii7", "V7"] * 4, key="F major", time_signature=("3/4", "4/4", "6/8")[number]
        )
        sheet.save(root / f"sheets_{number}.musicxml")
        lines.append(f"sheets_{number}.musicxml,t{number},,Pop:1,")
    (root / "index.csv").write_text("\n".join(lines))
    write_midi(root / "midi", 12)
    return root


def write_midi(folder: Path, count: int) -> None:
    """Arrangements of C and F, two seconds each."""
    import pretty_midi

    folder.mkdir()
    for number in range(count):
        midi = pretty_midi.PrettyMIDI()
        organ = pretty_midi.Instrument(16)
        for bar in range(24):
            chord = (48, 60, 64, 67) if bar % 2 else (53, 60, 65, 69)
            organ.notes += [pretty_midi.Note(80, pitch, 2 * bar, 2 * bar + 1.9) for pitch in chord]
        midi.instruments.append(organ)
        midi.write(str(folder / f"{number}.mid"))


def run(data: Path, *more: str) -> subprocess.CompletedProcess:
    from musetune.audio import find_soundfont

    font = find_soundfont()
    if font.stem == "TimGM6mb":
        pytest.skip("the only soundfont here is held out; `make soundfont` unpacks another")
    folders = [f"songs={data / 'songs'}", f"sheets={data}", f"work={data / 'work'}", f"soundfonts=[{font}]"]
    sizes = ["count=10", "seconds=40", "chord_steps=2", "beat_steps=2", "workers=1"]
    command = [sys.executable, str(RECIPE), *folders, *sizes]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=True)


def options(data: Path, **more: object) -> recipe.Config:
    """A configuration that renders nothing."""
    return recipe.Config(songs=str(data / "songs"), sheets=str(data), work=str(data / "plans"), **more)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_recipe_writes_weights_that_listen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from musetune.analysis.listening import networks as nets

    out = data / "weights.safetensors"
    run(data, f"out={out}")
    assert out.stat().st_size < 4e6
    monkeypatch.setattr(nets, "WEIGHTS", out)
    nets.networks.cache_clear()
    try:
        chord, bass, key = nets.hear_chords(np.zeros((50, 80, 4), np.float16), np.zeros(50, np.float16))
        assert (chord.shape[1], bass.shape[1], key.shape[1]) == (169, 13, 24)
        np.testing.assert_allclose(np.exp(chord).sum(axis=1), 1, rtol=1e-3)  # in half precision
    finally:
        nets.networks.cache_clear()
    before = out.read_bytes()
    again = run(data, f"out={out}")  # nothing is rendered or trained twice
    assert out.read_bytes() == before
    assert "1/2" not in again.stderr


@pytest.mark.slow
def test_two_steps_on_every_kind_of_example_with_networks_of_another_size(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musetune.analysis.listening import networks as nets

    out, work = data / "small.safetensors", data / "small"
    settings = [
        "count=16",
        "seconds=20",
        f"midi=[{data / 'midi'}]",
        "chord_width=48",
        "chord_planes=8",
        "beat_width=24",
    ]
    run(data, str(CONFIG), "materials=null", f"work={work}", f"out={out}", "chord_steps=2", "beat_steps=2", *settings)
    assert out.stat().st_size < 1e6
    monkeypatch.setattr(nets, "WEIGHTS", out)
    nets.networks.cache_clear()
    try:
        chord, beat = nets.networks()
        assert (chord.fold.out_features, chord.near.out_channels, beat.input.out_channels) == (48, 8, 24)
    finally:
        nets.networks.cache_clear()


def test_a_plan_uses_all_materials_and_repeats(data: Path, tmp_path: Path) -> None:
    from musetune.datasets.materials import MATERIALS

    for material in MATERIALS:
        path = material.locate(tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"") if material.kind == "soundfont" else path.mkdir()
    cfg = options(data, materials=str(tmp_path), midi=[str(data / "midi")], count=300)
    jobs = recipe.plan(cfg)
    assert jobs == recipe.plan(cfg)
    used = {path for job in jobs for path in (*job.soundfonts, job.kit) if path}
    wanted = {m.locate(tmp_path) for m in MATERIALS if m.permissive and not m.held_out and m.kind != "midi"}
    assert used == wanted
    assert {job.kind for job in jobs} == {*recipe.KINDS, "drums"}
    cfg.permissive = False
    assert len({font for job in recipe.plan(cfg) for font in job.soundfonts}) == 5


def test_what_measures_is_refused(data: Path, tmp_path: Path) -> None:
    import pretty_midi

    font = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
    with pytest.raises(ValueError, match="is held out"):
        recipe.plan(options(data, soundfonts=[str(font)]))
    with pytest.raises(ValueError, match=r"ForzeeStereo is held out"):
        recipe.plan(options(data, soundfonts=[str(data / "index.csv")], kits=[str(tmp_path / "ForzeeStereo")]))
    with pytest.raises(ValueError, match=r"openmsx is held out"):
        recipe.plan(options(data, soundfonts=[str(data / "index.csv")], midi=[str(tmp_path / "openmsx")]))


def test_a_plan_says_what_is_missing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no soundfont plays the examples"):
        recipe.plan(options(data))
    with pytest.raises(FileNotFoundError, match=r"no such soundfont: .*gone\.sf2"):
        recipe.plan(options(data, soundfonts=[str(tmp_path / "gone.sf2")]))
    with pytest.raises(ValueError, match="shares names opera"):
        recipe.plan(options(data, soundfonts=[str(data / "index.csv")], shares={"opera": 1.0}))


def test_examples_of_other_options_are_not_mixed(data: Path, tmp_path: Path) -> None:
    jobs = recipe.plan(options(data, soundfonts=[str(data / "index.csv")], count=5))
    recipe.reject_other_plan(tmp_path / "plan.txt", jobs)
    recipe.reject_other_plan(tmp_path / "plan.txt", jobs)
    with pytest.raises(ValueError, match="give another work=FOLDER"):
        recipe.reject_other_plan(tmp_path / "plan.txt", jobs[1:])


def test_music_of_wad_files_becomes_midi_files(data: Path, tmp_path: Path) -> None:
    import struct

    from recipes.analyzer.materials import extract_midi

    tune = (data / "midi/0.mid").read_bytes()
    lumps = [(b"D_E1M1", tune), (b"D_E1M2", tune), (b"MAP01", b"no music")]
    body, directory, at = b"", b"", 12
    for name, content in lumps:
        directory += struct.pack("<II8s", at + len(body), len(content), name)
        body += content
    source = tmp_path / "games"
    source.mkdir()
    (source / "a.wad").write_bytes(b"IWAD" + struct.pack("<II", len(lumps), at + len(body)) + body + directory)
    (source / "song.mid").write_bytes(tune + b"x")
    extract_midi(source, tmp_path / "out")
    extract_midi(source, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-e1m1.mid", "song.mid"]
    assert (tmp_path / "out/a-e1m1.mid").read_bytes() == tune


def test_a_list_of_materials_names_licences_and_what_is_missing(tmp_path: Path) -> None:
    words = [sys.executable, str(RECIPE.with_name("materials.py")), f"cache={tmp_path}", "fetch=false"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "| FluidR3_GM | fluid-soundfont-gm | soundfont | MIT | missing, 120 to fetch | training |" in text
    assert "| TimGM6mb | timgm6mb-soundfont | soundfont | GPL-2 | missing, 5 to fetch | measuring |" in text
    assert "OPL-3" not in text


@pytest.mark.parametrize("name", ["train.py", "materials.py"])
def test_help_names_every_option(name: str) -> None:
    words = [sys.executable, str(RECIPE.with_name(name)), "--help"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    for option in ("materials", "shares", "chord_width") if name == "train.py" else ("cache", "permissive", "fetch"):
        assert f"{option}: " in text


def test_a_training_that_was_cut_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, moments, averages, schedule: all as if it had not been cut after three steps of five."""
    import torch
    from torch import nn

    def batch(examples: list[int], frames: int, rng: np.random.Generator) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32))

    def trained(work: Path, cut: int | None) -> dict[str, np.ndarray]:
        left = [cut or 100]

        def loss(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return (net(x) - x.sum(1, keepdim=True)).square().mean()

        monkeypatch.setattr(recipe, "chord_loss", loss)
        return recipe.train(recipe.Config(work=str(work), chord_steps=5, checkpointing_steps=1, workers=1), [], "chord")

    monkeypatch.setattr(recipe, "ChordNet", lambda width, planes: nn.Linear(3, 1))
    monkeypatch.setattr(recipe, "chord_batch", batch)
    monkeypatch.setattr(recipe, "load_examples", lambda paths, names: list(range(8)))
    whole = trained(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", 3)
    again = trained(tmp_path / "cut", None)
    assert all(np.array_equal(whole[name], again[name]) for name in whole)
    assert whole.keys() == {"chord.weight", "chord.bias"}
    assert [path.name for path in (tmp_path / "cut" / "chord").iterdir()] == ["checkpoint-5"]


def test_it_goes_on_from_other_weights_and_keeps_a_share_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import save_file
    from torch import nn

    old = {"chord.weight": torch.full((1, 3), 5.0), "chord.bias": torch.full((1,), -2.0)}
    save_file(old | {"beat.weight": torch.zeros(1)}, tmp_path / "old.safetensors")
    monkeypatch.setattr(recipe, "ChordNet", lambda width, planes: nn.Linear(3, 1))
    monkeypatch.setattr(recipe, "chord_batch", lambda *_: None)
    monkeypatch.setattr(recipe, "chord_loss", lambda net, batch: net(torch.ones(1, 3)).square().mean())
    monkeypatch.setattr(recipe, "load_examples", lambda paths, names: list(range(8)))

    def trained(share: float) -> dict[str, np.ndarray]:
        words = {
            "start": str(tmp_path / "old.safetensors"),
            "start_share": share,
            "chord_steps": 3,
            "learning_rate": 2.0,
        }
        return recipe.train(recipe.Config(work=str(tmp_path / str(share)), workers=1, **words), [], "chord")

    none, half, all_of_it = (trained(share) for share in (0.0, 0.5, 1.0))
    assert np.allclose(all_of_it["chord.weight"], 5)
    assert np.allclose(all_of_it["chord.bias"], -2)
    assert 2 < none["chord.weight"].max() < 4.9  # it began there
    np.testing.assert_allclose(half["chord.weight"], (none["chord.weight"] + 5) / 2, atol=2e-3)
    with pytest.raises(ValueError, match=r"start_share=1\.5 is a share"):
        trained(1.5)
    with pytest.raises(ValueError, match=r"start_share=0\.5"):
        recipe.train(recipe.Config(work=str(tmp_path / "none"), start_share=0.5, workers=1), [], "chord")


def test_examples_carry_the_truth_of_what_is_played(data: Path) -> None:
    from musetune.datasets.analyzer.examples import ExampleJob, song_of

    song = song_of(ExampleJob(3, "meter", data / "songs/001", (Path("unused"),), 40.0), np.random.default_rng(1))
    assert song.meter != "4/4"
    onsets = np.array([note.start for part in song.midi.instruments if part.name == "PIANO" for note in part.notes])
    near = np.abs(onsets[:, None] - song.downbeats_s).min(axis=1)
    assert np.median(near) < 0.01  # the chords begin with the bars, in any meter
    assert song.intervals_s[-1, 1] <= song.duration_s + 1e-6


def test_transposition_moves_notes_and_truth_together(data: Path) -> None:
    from musetune.datasets.analyzer.batches import chord_targets

    example = {"intervals_s": np.array([[0.0, 2.0]]), "chord": np.array([[9, 1, 0]]), "key": np.array(12 + 9)}
    chord, bass, key = chord_targets(example, np.array([0.5, 3.0]), 5)
    assert chord.tolist() == [2 * 14 + 1, -100]  # A minor became D minor
    assert bass.tolist() == [5, -100]
    assert key.tolist() == [12 + 2, -100]


def test_cut_time_is_counted_in_quarters() -> None:
    from musetune.datasets.corpus import in_quarters

    sheet = LeadSheet.from_progression(["I", "V"], key="C major", time_signature="2/2")
    moved = in_quarters(sheet)
    assert str(moved.meter) == "4/4"
    assert moved.length == 2 * sheet.length
    assert moved.chords[1].start == 2 * sheet.chords[1].start
    assert moved.first_downbeat == Fraction(0)


def test_what_is_played_faster_has_its_beats_earlier() -> None:
    from musetune.datasets.analyzer.batches import at_speed

    beats_s = np.arange(1, 20) / 2
    rhythm = np.zeros((500, 2), np.float16)
    rhythm[(beats_s * FEATURE_FPS).astype(int)] = 1
    faster = at_speed({"rhythm": rhythm, "beats_s": beats_s, "downbeats_s": beats_s[::4]}, 1.25)
    assert len(faster["rhythm"]) == pytest.approx(400, abs=1)
    heard = faster["rhythm"][(faster["beats_s"] * FEATURE_FPS).round().astype(int), 0]
    assert heard.min() > 0.4
    assert (faster["rhythm"][:, 0] > 0.4).sum() == len(beats_s)
    np.testing.assert_allclose(faster["downbeats_s"], faster["beats_s"][::4])


def test_colour_changes_the_sound_and_keeps_silence() -> None:
    from musetune.datasets.analyzer.batches import colour

    rng = np.random.default_rng(0)
    notes = np.zeros((4, 80, 4), np.float16)
    for _ in range(20):
        colour(notes, rng)
    assert not notes.any()
    versions = [np.ones((4, 80, 4), np.float16) for _ in range(40)]
    for version in versions:
        colour(version, rng)
    unchanged = sum(bool((version == 1).all()) for version in versions)
    assert 8 < unchanged < 24  # 0.5 × 0.8 × 0.9 of 40 is 14
    assert all(np.isfinite(version).all() and version.max() < 4 for version in versions)
