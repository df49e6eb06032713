"""How well the analyser hears, beside Chordino and plain librosa, on songs that its training never saw.

    python benchmarks/analysis.py --songs ../shared/data/pop909 --soundfont FluidR3Mono_GM.sf3 [--count 12] [--band]

Renders the first minute of held-out POP909 songs (numbers that end in 5), runs every listener on the same files in
the same run, scores with mir_eval, prints a table. Chordino is a tool for this benchmark only: `pip install vamp
chord-extractor`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import mir_eval
import numpy as np

from musetune.analysis import hear
from musetune.analysis.chords import PITCHES
from musetune.analysis.corpus import Song, load_pop909, render
from musetune.analysis.source import RATE
from musetune.evaluation.judges import chordino, missing_judges

Listener = Callable[[np.ndarray], dict]
COLUMNS = ("root", "majmin", "sevenths", "bass", "beat F", "downbeat F", "tempo", "key", "× real time")


def musetune_listener(wave: np.ndarray) -> dict:
    heard = hear(wave, RATE)
    return {
        "intervals": heard.intervals_s,
        "labels": heard.labels,
        "beats": heard.beats_s,
        "downbeats": heard.downbeats_s,
        "bpm": heard.bpm,
        "key": heard.key,
    }


def librosa_listener(wave: np.ndarray) -> dict:
    """Plain librosa: beat_track, CQT chroma averaged over beats, triad templates by cosine, Krumhansl key."""
    import librosa

    tempo, frames = librosa.beat.beat_track(y=wave, sr=RATE, trim=False)
    beats = librosa.frames_to_time(frames, sr=RATE)
    chroma = librosa.feature.chroma_cqt(y=wave, sr=RATE)
    edges = np.unique(np.concatenate([[0.0], beats, [len(wave) / RATE]]))
    cuts = librosa.time_to_frames(edges[1:-1], sr=RATE)
    synced = librosa.util.sync(chroma, cuts, aggregate=np.median)
    triads = [
        (f"{name}:{quality}", np.isin(np.arange(12), [(root + step) % 12 for step in steps]).astype(float))
        for root, name in enumerate(PITCHES)
        for quality, steps in (("maj", (0, 4, 7)), ("min", (0, 3, 7)))
    ]
    best = (np.array([row for _, row in triads]) @ (synced / (np.linalg.norm(synced, axis=0) + 1e-9))).argmax(axis=0)
    labels = [triads[index][0] for index in best]
    return {
        "intervals": np.stack([edges[:-1], edges[1:]], axis=1)[: len(labels)],
        "labels": labels,
        "beats": beats,
        "bpm": float(np.atleast_1d(tempo)[0]),
        "key": _krumhansl(chroma.mean(axis=1)),
    }


def _krumhansl(profile: np.ndarray) -> str:
    major = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
    minor = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]
    scores = {
        f"{name} {mode}": np.corrcoef(profile, np.roll(shape, root))[0, 1]
        for mode, shape in (("major", major), ("minor", minor))
        for root, name in enumerate(PITCHES)
    }
    return max(scores, key=lambda name: scores[name])


def chordino_listener(wave: np.ndarray) -> dict:
    intervals, labels = chordino(wave, RATE)
    return {"intervals": intervals, "labels": labels}


def score(song: Song, said: dict) -> dict[str, float]:
    """Percent per quantity that the listener gave, by mir_eval; chords by weighted overlap, beats at ±70 ms without trimming."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chords = mir_eval.chord.evaluate(song.intervals_s, song.labels, said["intervals"], said["labels"])
        row = {
            "root": chords["root"],
            "majmin": chords["majmin"],
            "sevenths": chords["sevenths"],
            "bass": chords["majmin_inv"],
        }
        for column, mine in (("beat F", "beats"), ("downbeat F", "downbeats")):
            if mine in said:
                row[column] = mir_eval.beat.f_measure(getattr(song, f"{mine}_s"), np.asarray(said[mine]))
        if said.get("bpm"):
            row["tempo"] = float(abs(said["bpm"] / song.bpm - 1) < 0.04)
        if said.get("key"):
            row["key"] = mir_eval.key.weighted_score(_mir_key(song.key), said["key"])
    return {name: 100 * value for name, value in row.items()}


def _mir_key(label: str) -> str:
    tonic, mode = label.split(":")
    return f"{tonic} {'major' if mode.startswith('maj') else 'minor'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=Path, default=Path(__file__).parents[1] / "../shared/data/pop909")
    parser.add_argument("--soundfont", type=Path, default=None, help="General MIDI .sf2 or .sf3")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument(
        "--band", action="store_true", help="other instruments, bass and drums instead of the piano as written"
    )
    args = parser.parse_args()
    listeners: dict[str, Listener] = {"musetune": musetune_listener, "librosa": librosa_listener}
    if "Chordino" in missing_judges():
        print("chordino left out: pip install vamp chord-extractor")
    else:
        listeners["chordino"] = chordino_listener
    folders = sorted(folder for folder in args.songs.iterdir() if folder.name.endswith("5"))[: args.count]
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in listeners}
    for number, folder in enumerate(folders):
        song = load_pop909(folder, args.start, args.seconds)
        wave = render(song, args.soundfont, np.random.default_rng(number) if args.band else None)
        for name, listener in listeners.items():
            if number == 0:
                listener(wave[: 5 * RATE])  # first calls compile
            began = time.perf_counter()
            said = listener(wave)
            seconds = time.perf_counter() - began
            rows[name].append(score(song, said) | {"× real time": args.seconds / seconds})
    print(
        f"{len(folders)} songs, {args.start:.0f}–{args.start + args.seconds:.0f} s, "
        f"{'played by a band' if args.band else 'as written'}; means in %"
    )
    print(f"{'':10}" + "".join(f"{column:>13}" for column in COLUMNS))
    for name, scores in rows.items():
        cells = [
            np.mean([row[column] for row in scores if column in row]) if column in scores[0] else None
            for column in COLUMNS
        ]
        print(f"{name:10}" + "".join(f"{'—' if cell is None else format(cell, '.1f'):>13}" for cell in cells))


if __name__ == "__main__":
    main()
