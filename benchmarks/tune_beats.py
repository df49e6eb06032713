"""Tune what decides beats, bar lines and meter after the networks, on songs that no benchmark plays.

    python benchmarks/tune_beats.py --data ../shared/data --materials .cache/materials --work out/beats
        [--weights weights.safetensors | --checkpoint out/analyzer/beat] [METER_WEIGHT=1,2 TRIPLE_WEIGHT=4,6]

POP909 songs whose number ends in 5, the tens odd (no training hears them, no benchmark plays them): as written, and
each recast in 6/8, 3/4 and 4/4 with a band; tunes that MMA accompanies, other ones than the benchmark's (left out where
mma is not installed); MIDI files of the training split; all on soundfonts and kits of training. Their
sound is rendered once; what networks say of it is stored for each file of weights. Then every combination of the values
given for constants of listening/bars.py and listening/beats.py is scored in per cent, the best by the mean of the
columns last; without any, the constants as they are, with every clip whose meter, tempo or bar line is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import mir_eval
import numpy as np
from songs import HeldOutSound, accompanied, mma_missing, pop909, recast
from tqdm import tqdm

from musetune.analysis.listening import bars, beats, networks
from musetune.analysis.listening.chords import ChordFrames, changes, half_beats, score
from musetune.analysis.listening.features import extract
from musetune.analysis.listening.network_inputs import beat_features, chord_inputs
from musetune.analysis.listening.spectrum import NoteSalience, salience
from musetune.datasets.corpus import AnnotatedSong
from musetune.datasets.materials import select
from musetune.datasets.midi_songs import load_midi_song, split_midi

_point_along, _paths = bars._along, {}  # a path is found once, whatever constants weigh it


def _along(pointer: bars._BarPointer, activation: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    key = (hashlib.sha1(activation.tobytes()).digest(), pointer.lengths.tobytes(), pointer.meter, bars.TEMPO_RIGIDITY)
    if key not in _paths:
        _paths[key] = _point_along(pointer, activation)
    return _paths[key]


COLUMNS = ("beat F", "downbeat F", "level", "meter")
EMPTY = NoteSalience(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0), np.zeros(0), 0.0)


@dataclass(frozen=True)
class Clip:
    """What was stored of a clip: `sound` before the networks, `said` by them, and the truth."""

    name: str
    sound: dict[str, np.ndarray]
    said: dict[str, np.ndarray]


def development_songs(args: argparse.Namespace) -> Iterator[tuple[str, AnnotatedSong, HeldOutSound]]:
    """(name, song, sound) of each clip."""
    fonts = [font for font in select(args.materials, "soundfont") if font.suffix == ".sf2"]
    kits: list[Path | None] = [None, *select(args.materials, "kit")]

    def sound(number: int) -> HeldOutSound:
        return HeldOutSound(fonts[number % len(fonts)], kits[number % len(kits)])

    songs = list(pop909(args.data / "pop909", 99, args.seconds, odd=True, start_s=20.0))
    fours = [song for song in songs if song.meter == "4/4"][: args.recast]
    for number, song in enumerate(fours):
        for place, meter in enumerate(("6/8", "3/4", "4/4")):
            yield f"recast {meter} {song.name}", recast(song, meter, 1000 + number), sound(number + place)
    if mma_missing() is None:
        for number, tune in enumerate(accompanied(args.data / "openewld", 12, args.seconds, odd=True)):
            yield f"groove {tune.meter} {number}", tune, sound(number)
    for number, song in enumerate(songs[::2]):
        yield f"plain {song.name}", song, sound(number)
    files = [path for folder in select(args.materials, "midi") for path in split_midi(folder, held_out=False)]
    for number, path in enumerate(files[:: max(1, len(files) // 16)]):
        try:
            song = load_midi_song(path, 20.0, args.seconds)[0]
        except Exception as error:  # a stranger's file may fail in any way: the others go on
            print(f"left out {path.name}: {error}", file=sys.stderr)
            continue
        yield f"midi {path.stem}", song, sound(number)


def store_sounds(args: argparse.Namespace) -> list[Path]:
    """Render what is missing; the files of all clips."""
    folder = args.work / "sound"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, song, sound in tqdm(development_songs(args), desc="sound"):
        path = folder / f"{name.replace('/', '')}.npz"
        paths.append(path)
        if path.exists():
            continue
        features = extract([sound.render(song)])
        pitches = salience(features.spectrum, features.loudness)
        notes, level = chord_inputs(pitches)
        np.savez(
            path.with_suffix(".part.npz"),
            levels=features.levels(),
            rhythm=beat_features(features.levels(), pitches),
            notes=notes,
            level=level,
            loudness=pitches.loudness,
            times_s=pitches.times_s,
            beats_s=song.beats_s,
            downbeats_s=song.downbeats_s,
            meter=np.array(song.meter),
            duration_s=np.array(song.duration_s),
        )
        path.with_suffix(".part.npz").rename(path)
    return paths


def weights_of(args: argparse.Namespace) -> Path:
    """The file of weights to tune for; of a checkpoint of training the running means of its network."""
    if args.checkpoint is None:
        return args.weights or networks.WEIGHTS
    from safetensors.torch import load_file, save_file

    newest = max(args.checkpoint.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    stored, means = load_file(args.weights or networks.WEIGHTS), load_file(newest / "state.safetensors")
    prefix, net = {"beat": ("beat", networks.BeatNet), "chord": ("chord", networks.ChordNet)}[args.checkpoint.name]
    names = [name for name, _ in net().named_parameters()]
    kept = {name: value for name, value in stored.items() if not name.startswith(f"{prefix}.")}
    path = args.work / f"{args.checkpoint.name}-{newest.name}.safetensors"
    save_file(kept | {f"{prefix}.{name}": means[f"ema.{name}"].half() for name in names}, path)
    return path


def listen(args: argparse.Namespace, paths: list[Path]) -> list[Clip]:
    """What the networks with these weights say of every clip, stored for the next time."""
    networks.WEIGHTS = weights_of(args)
    networks.networks.cache_clear()
    digest = hashlib.sha256(networks.WEIGHTS.read_bytes()).hexdigest()[:12]
    folder = args.work / digest
    folder.mkdir(parents=True, exist_ok=True)
    print(f"weights {networks.WEIGHTS} ({digest})")
    clips = []
    for path in tqdm(paths, desc="networks"):
        with np.load(path) as stored:
            sound = {name: stored[name] for name in stored.files}
        said = folder / path.name
        if not said.exists():
            coarse, meters = networks.hear_beats(sound["rhythm"])
            chord, bass, key = networks.hear_chords(sound["notes"], sound["level"])
            np.savez(said.with_suffix(".part.npz"), coarse=coarse, meters=meters, chord=chord, bass=bass, key=key)
            said.with_suffix(".part.npz").rename(said)
        with np.load(said) as stored:
            clips.append(Clip(path.stem, sound, {name: stored[name] for name in stored.files}))
    return clips


def decide(clip: Clip) -> beats.BeatTrack | None:
    """Beats and bar lines with the constants as they are now."""
    at = np.arange(len(clip.sound["levels"])) * beats.FEATURE_FPS / bars.POINTER_FPS
    coarse = clip.said["coarse"]
    activation = np.stack([np.interp(at, np.arange(len(coarse)), column) for column in coarse.T], axis=1)
    beats._network_output = lambda levels, notes: (activation, clip.said["meters"])  # type: ignore[assignment]
    track = beats.track_beats(clip.sound["levels"], EMPTY)
    if track is None:
        return None
    frames = ChordFrames(
        *(clip.said[n] for n in ("chord", "bass", "key")), clip.sound["loudness"], clip.sound["times_s"]
    )
    edges_s, edges = half_beats(track.times_s, float(clip.sound["duration_s"]))
    return beats.bars_by_harmony(track, changes(score(frames, edges_s), edges, np.arange(len(track.times_s))))


def judge(clip: Clip, track: beats.BeatTrack | None) -> dict[str, float]:
    """Per cent."""
    if track is None:
        return dict.fromkeys(COLUMNS, 0.0)
    truth = clip.sound["beats_s"]
    bpm = 60 / float(np.median(np.diff(truth)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "beat F": 100 * mir_eval.beat.f_measure(truth, track.times_s),
            "downbeat F": 100 * mir_eval.beat.f_measure(clip.sound["downbeats_s"], track.downbeats_s),
            "level": 100.0 * (abs(np.log2(track.bpm / bpm)) < 0.25),
            "meter": 100.0 * (str(track.meter) == str(clip.sound["meter"])),
        }


def set_constant(name: str, value: float) -> None:
    """Set METER_WEIGHT and the like; FASTER_68 stands for FASTER["6/8"]."""
    if name.startswith("FASTER_"):
        bars.FASTER[f"{name[-2]}/{name[-1]}"] = value
        return
    room = next((room for room in (bars, beats) if hasattr(room, name)), None)
    if room is None:
        raise SystemExit(f"neither bars.py nor beats.py has {name}")
    setattr(room, name, value)


def summary(clips: list[Clip], rows: list[dict[str, float]]) -> str:
    """Means of each kind of clips in a line."""
    kinds = list(dict.fromkeys(" ".join(clip.name.split()[:-1]) for clip in clips))
    parts = []
    for kind in kinds:
        some = [row for clip, row in zip(clips, rows, strict=True) if " ".join(clip.name.split()[:-1]) == kind]
        parts.append(f"{kind} " + " ".join(f"{np.mean([row[column] for row in some]):.1f}" for column in COLUMNS))
    return " | ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[1]
    parser.add_argument("constants", nargs="*", help="NAME=VALUE,VALUE…")
    parser.add_argument("--data", type=Path, default=root / "../shared/data")
    parser.add_argument("--materials", type=Path, default=root / ".cache/materials")
    parser.add_argument("--work", type=Path, required=True, help="what is rendered and heard is stored here")
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--checkpoint", type=Path, default=None, help="the folder beat or chord of a training")
    parser.add_argument("--recast", type=int, default=45, help="songs that are recast in three meters")
    parser.add_argument("--seconds", type=float, default=45.0)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    bars._along = _along
    clips = listen(args, store_sounds(args))
    names = [constant.split("=")[0] for constant in args.constants]
    values = [[float(value) for value in constant.split("=")[1].split(",")] for constant in args.constants]
    results = []
    for choice in itertools.product(*values):
        for name, value in zip(names, choice, strict=True):
            set_constant(name, value)
        tracks = [decide(clip) for clip in clips]
        rows = [judge(clip, track) for clip, track in zip(clips, tracks, strict=True)]
        mean = float(np.mean([[row[column] for column in COLUMNS] for row in rows]))
        results.append((mean, choice))
        print(f"{dict(zip(names, choice, strict=True))} {mean:.2f} | {summary(clips, rows)}", flush=True)
    if not names:
        for clip, track, row in zip(clips, tracks, rows, strict=True):
            if min(row.values()) < 70:
                print(clip.name, {name: round(value) for name, value in row.items()}, track and str(track.meter))
    else:
        print("best", max(results))


if __name__ == "__main__":
    main()
