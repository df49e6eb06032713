"""The stem transformer's recipe, run whole on made-up songs of every kind that it reads, with a stand-in for MMA."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from musetune.planning.arranger.grammar import read_events
from musetune.planning.arranger.language import Passage, PassageChord
from musetune.symbols import LeadSheet, Note

REPOSITORY = Path(__file__).parents[2]
RECIPE = REPOSITORY / "recipes" / "arranger" / "train.py"

# Plays a kick and a bass note on each beat, a guitar chord on every other, in bars of four, for as many bars as the
# file has.
STAND_IN = """
import sys
import mido
bars = sum(line.split()[0].isdigit() for line in open(sys.argv[1]) if line.strip())
file = mido.MidiFile(ticks_per_beat=192)
TRACKS = (("Drum", 9, 0, (36,), 1), ("Bass", 1, 32, (36,), 1), ("Chord", 2, 25, (60, 64, 67), 2))
for name, channel, program, pitches, every in TRACKS:
    events = [(0, mido.Message("program_change", channel=channel, program=program))]
    for beat in range(0, 4 * bars, every):
        for pitch in pitches:
            events.append((192 * beat, mido.Message("note_on", channel=channel, note=pitch, velocity=80)))
            events.append((192 * beat + 90, mido.Message("note_off", channel=channel, note=pitch)))
    track, now = mido.MidiTrack([mido.MetaMessage("track_name", name=name)]), 0
    for tick, message in sorted(events, key=lambda e: e[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    file.tracks.append(track)
file.save(sys.argv[4])
"""


def make_song(folder: Path, beats: int = 128) -> None:
    """A POP909 folder: 120 bpm, C G Am F a bar each."""
    import pretty_midi

    folder.mkdir(parents=True)
    midi = pretty_midi.PrettyMIDI()
    melody, piano = pretty_midi.Instrument(0, name="MELODY"), pretty_midi.Instrument(0, name="PIANO")
    roots = (0, 7, 9, 5)
    for beat in range(beats):
        root = roots[beat // 4 % 4]
        melody.notes.append(pretty_midi.Note(90, 72 + root - (beat % 3), beat / 2, beat / 2 + 0.4))
        piano.notes += [pretty_midi.Note(80, p + root, beat / 2, beat / 2 + 0.45) for p in (36, 60, 64, 67)]
    midi.instruments += [melody, piano]
    midi.write(str(folder / "arrangement.mid"))
    midi.write(str(folder / "corrected.mid"))
    names = ("C:maj", "G:maj", "A:min", "F:maj")
    (folder / "chords.txt").write_text("\n".join(f"{2 * b}\t{2 * b + 2}\t{names[b % 4]}" for b in range(beats // 4)))
    (folder / "beats.txt").write_text("\n".join(f"{b / 2} 1.0 {float(b % 4 == 0)}" for b in range(beats)))
    (folder / "key.txt").write_text(f"0\t{beats / 2}\tC:maj")


def make_sheets(folder: Path) -> None:
    lines = ["path,title,first_performance,genres,styles"]
    folder.mkdir()
    for number, meter in enumerate(("4/4", "3/4", "2/4")):
        sheet = LeadSheet.from_progression(["I", "vi", "ii7", "V7"] * 4, key="F major", time_signature=meter)
        notes = tuple(Note(Fraction(b), Fraction(1), 65 + b % 5) for b in range(int(sheet.length)))
        LeadSheet(sheet.chords, sheet.keys, sheet.meters, sheet.grid, sheet.length, melody=notes).save(
            folder / f"{number}.musicxml"
        )
        lines.append(f"{number}.musicxml,t{number},,Jazz:2,")
    (folder / "index.csv").write_text("\n".join(lines))


def make_mma(folder: Path) -> None:
    """What the recipe needs of the package: the program, an index of grooves, their files."""
    library = folder / "usr/share/mma/lib/stdlib"
    library.mkdir(parents=True)
    (folder / "usr/bin").mkdir()
    (folder / "usr/bin/mma").write_text(STAND_IN)
    (library / "swing.mma").write_text("Time 4\n")
    (library / "jazzwaltz.mma").write_text("Time 3\nTimesig 3 4\n")
    with (library / ".mmaDB").open("wb") as file:
        file.write(b"### index\n")
        pickle.dump({"swing.mma": ["SWING", "SWINGINTRO"], "jazzwaltz.mma": ["JAZZWALTZ"]}, file)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("arranger")
    for name in ("001", "002", "005"):  # the last is for tests
        make_song(root / "songs" / name)
    make_sheets(root / "sheets")
    make_mma(root / "mma")
    (root / "midi").mkdir()
    lump = (root / "songs/001/arrangement.mid").read_bytes()
    head = struct.pack("<4sII", b"PWAD", 1, 12 + len(lump))
    (root / "midi/game.wad").write_bytes(head + lump + struct.pack("<II8s", 12, len(lump), b"D_TUNE"))
    return root


def run(data: Path, *more: str) -> str:
    command = [
        sys.executable,
        str(RECIPE),
        f"work_dir={data / 'work'}",
        "dim=16",
        "layers=1",
        "heads=2",
        "ffn=16",
        "workers=1",
    ]
    done = subprocess.run([*command, *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.mark.slow
def test_the_recipe_writes_weights_that_play(data: Path) -> None:
    told = [
        f"songs={data / 'songs'}",
        f"sheets={data / 'sheets'}",
        f"midi=[{data / 'midi'}]",
        f"mma={data / 'mma'}",
        "accompanied=1.0",
    ]
    run(data, *told, "max_train_steps=3", "checkpointing_steps=2", "train_batch_size=2")
    log = (data / "work/loss.jsonl").read_text()
    run(data, "max_train_steps=5", "checkpointing_steps=2", "train_batch_size=2")
    assert (data / "work/loss.jsonl").read_text().startswith(log)
    assert [json.loads(line)["step"] for line in (data / "work/loss.jsonl").read_text().splitlines()] == [1, 2, 3, 4, 5]
    run(data, f"package={data / 'nano'}")
    info = json.loads((data / "nano/training.json").read_text())
    assert info["data"]["songs"]["test"] >= 1
    assert {"drums from mma", "guitar from mma", "lead from pop909", "keys from midi", "lead from openewld"} <= set(
        info["data"]["training_tokens"]
    )

    from musetune.planning.arranger.arranger import Arranger

    made = Arranger.from_pretrained(data / "nano").arrange(LeadSheet.from_progression(["I", "V"] * 2), seed=1)
    assert set(made.stems) == {"drums", "bass", "guitar", "keys", "lead"}
    assert str(data) not in (data / "nano/training.json").read_text()


def test_examples_hold_what_is_played(data: Path) -> None:
    from musetune.datasets.arranger.examples import collect, restore, store

    examples = collect(data / "songs", None, [data / "midi"], None, seed=0, workers=1)
    assert {e.split for e in examples if e.song == "pop909/005"} == {"test"}
    assert {e.split for e in examples if e.song != "pop909/005"} <= {"train", "validation", "test"}
    first = next(e for e in examples if e.song == "pop909/001" and e.passage.meter == "4/4")
    played = {s: read_events(v[0][0].tolist(), first.passage)[s] for s, v in first.stems.items()}
    assert set(played) == {"bass", "keys", "lead"}
    assert {e.pitch for e in played["bass"]} == {36, 43, 45, 41}
    assert [e.step for e in played["bass"]] == list(range(0, first.passage.steps, 12))
    halves = [e for e in examples if e.passage.meter == "2/4"]
    assert halves
    assert all(e.passage.bars % 2 == 0 for e in halves)
    store(examples, data / "again.npz")
    again = restore(data / "again.npz")
    assert [(e.split, e.song, e.passage) for e in again] == [(e.split, e.song, e.passage) for e in examples]
    assert all(
        (a[0] == b[0]).all() and a[2] == b[2]
        for x, y in zip(again, examples)
        for s in y.stems
        for a, b in zip(x.stems[s], y.stems[s])
    )


def test_one_stem_alone_is_learned(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    from musetune.datasets.arranger.examples import collect, store
    from recipes.arranger import train as recipe

    examples = collect(data / "songs", None, [], None, seed=0, workers=1)
    without = next(e for e in examples if e.split == "train")
    del without.stems["keys"]
    cfg = recipe.Config(work_dir=str(tmp_path), only="keys", dim=16, layers=1, heads=2, ffn=16, max_train_steps=1)
    example = next(e for e in examples if set(e.stems) == {"bass", "keys", "lead"})
    bass, keys = (example.stems[s][0][0].tolist() for s in ("bass", "keys"))
    head = example.passage.head()
    for dropout, before in ((0.0, [*head, *bass]), (1.0, head)):
        text = recipe.text_of(example, random.Random(0), cfg, dropout)
        assert text[0].tolist() == [*before, *keys]
        targets = recipe.batch_of([text], "keys")[2][0]
        assert targets.tolist() == [-100] * len(before) + keys[1:] + [-100]
    store(examples, tmp_path / "examples.npz")
    drawn = []
    draw = recipe.draw
    monkeypatch.setattr(recipe, "draw", lambda learned, *more: drawn.extend(learned) or draw(learned, *more))
    recipe.train(cfg)
    assert len(drawn) == sum(e.split == "train" for e in examples) - 1
    assert all("keys" in e.stems for e in drawn)
    with pytest.raises(ValueError, match="only=flute is no stem: give one of drums, bass"):
        recipe.train(recipe.Config(work_dir=str(tmp_path), only="flute"))


def test_mma_is_told_chords_and_heard_in_beats(data: Path) -> None:
    from musetune.datasets.arranger.mma import accompany, chart, grooves

    known = {g.name: g for g in grooves(data / "mma")}
    assert {(g.name, g.genre, g.meter) for g in known.values()} == {
        ("SWING", "jazz", "4/4"),
        ("JAZZWALTZ", "jazz", "3/4"),
    }
    passage = Passage(
        "jazz",
        "4/4",
        "major",
        120,
        -2,
        2,
        (PassageChord(0, 0, 0, 0), PassageChord(24, 7, 6, 11), PassageChord(48, 12, 18, 12)),
    )
    text = chart([(passage, known["SWING"])], [10], 120, seed=4)
    assert text.splitlines()[2:] == ["Groove SWING", "1 Bb F7/A@3", "2 z"]
    tracks = accompany(data / "mma", [(passage, known["SWING"])] * 2, [10, 10], 120, seed=4)
    assert [len(t["drums"]) for t in tracks] == [8, 8]
    assert [n[0] for n in tracks[1]["bass"]] == list(range(8))
    assert len(tracks[0]["guitar"]) == 12


def test_swing_and_hands() -> None:
    from musetune.datasets.arranger.examples import is_swung, swung
    from musetune.datasets.arranger.songs import estimate_chords, estimate_key, even_bars, split_hands

    assert [swung(x) for x in (1.0, 1.5, 1.75)] == pytest.approx([1.0, 1 + 2 / 3, 1 + 5 / 6])
    assert is_swung({"drums": [(b + 2 / 3, b + 1, 42) for b in range(8)]})
    assert not is_swung({"drums": [(b + 0.5, b + 1, 42) for b in range(8)]})
    bass, keys = split_hands([(0.0, 1.0, 40), (0.0, 1.0, 64), (1.0, 2.0, 50)])
    assert (bass, keys) == ([(0.0, 1.0, 40)], [(0.0, 1.0, 64), (1.0, 2.0, 50)])
    import numpy as np

    assert list(even_bars(np.array([0, 4, 8, 10, 14, 18, 22]), 4, least=2)) == [(0, 8), (10, 22)]
    notes = [
        (b, b + 2, p)
        for b, chord in ((0, (48, 64, 67)), (2, (45, 60, 64)), (4, (41, 57, 60)), (6, (43, 59, 62)))
        for p in chord
    ]
    assert [s.chord.harte for s in estimate_chords(notes, 8)] == ["C:maj", "A:min", "F:maj", "G:maj"]
    assert str(estimate_key(notes)) == "C major"
