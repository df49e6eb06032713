"""The recipe of the analyser's networks, run whole on two made-up songs and two lead sheets."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetune.symbols import LeadSheet

REPOSITORY = Path(__file__).parents[2]
RECIPE = REPOSITORY / "recipes" / "analyzer" / "train.py"


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
    return root


def run(data: Path, *more: str) -> subprocess.CompletedProcess:
    import pretty_midi

    font = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
    folders = [f"songs={data / 'songs'}", f"sheets={data}", f"work={data / 'work'}", f"soundfonts=[{font}]"]
    sizes = ["count=10", "seconds=40", "chord_steps=2", "beat_steps=2", "workers=1"]
    command = [sys.executable, str(RECIPE), *folders, *sizes]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=True)


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


def test_a_training_that_was_cut_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, moments, averages, schedule: all as if it had not been cut after three steps of five."""
    import torch
    from torch import nn

    from recipes.analyzer import train as recipe

    def batch(examples: list[int], frames: int, rng: np.random.Generator) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32))

    def trained(work: Path, cut: int | None) -> dict[str, torch.Tensor]:
        left = [cut or 100]

        def loss(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return (net(x) - x.sum(1, keepdim=True)).square().mean()

        monkeypatch.setattr(recipe, "chord_loss", loss)
        torch.manual_seed(1)
        cfg = recipe.Config(work=str(work), chord_steps=5, checkpointing_steps=1)
        return recipe.train(nn.Linear(3, 1), "chord", [], cfg).state_dict()

    monkeypatch.setattr(recipe, "chord_batch", batch)
    monkeypatch.setattr(recipe, "load_examples", lambda paths, names: list(range(8)))
    whole = trained(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", 3)
    again = trained(tmp_path / "cut", None)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert [path.name for path in (tmp_path / "cut" / "chord").iterdir()] == ["checkpoint-5"]


def test_examples_carry_the_truth_of_what_is_played(data: Path) -> None:
    from musetune.datasets.analyzer.examples import ExampleJob, song_of

    song = song_of(ExampleJob(3, "meter", data / "songs/001", Path("unused"), 40.0), np.random.default_rng(1))
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
