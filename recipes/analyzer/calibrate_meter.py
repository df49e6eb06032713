"""Measure how often the analyser's meter is right, and from which confidence on it shall be stated.

    python recipes/analyzer/calibrate_meter.py songs=../shared/data/pop909 work=out/meter materials=.cache/materials
    python recipes/analyzer/calibrate_meter.py songs=… work=out/meter materials=.cache/materials part=test

Songs of POP909 that neither training nor a benchmark plays (numbers that end in 5, their tens odd), each in 4/4 and
recast in 3/4, 6/8, 5/4 or 7/8 (2/4 differs from 4/4 by its bar lines alone), played by a band on soundfonts and drum
kits of training, in productions drawn at random. Fits the two numbers that turn the analyser's own share into a
probability (Platt 1999), and takes the lowest confidence from which on `right` of the meters stated are. Writes
musetune/analysis/certainty.json, or `out`; run it again when the analyser's networks change. What was heard is kept in
`work`, one file for each state of the analyser.

`part=test` only measures: songs with even tens, on the soundfont and kit that no training hears. Both print how much is
stated, how often that is right, and the expected calibration error. About four minutes on one core.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING
from scipy.optimize import minimize
from tqdm import tqdm

import musetune.analysis.listening
from musetune.analysis.certainty import FILE, MeterCertainty, meter_certainty
from musetune.analysis.listening.beats import track_beats
from musetune.analysis.listening.features import extract
from musetune.analysis.listening.spectrum import salience
from musetune.audio import synthesize
from musetune.audio.source import RATE
from musetune.datasets.band import with_band
from musetune.datasets.corpus import AnnotatedSong, at_tempo, in_meter, load_pop909, rubato
from musetune.datasets.drum_kits import load_kit, play_kit
from musetune.datasets.effects import produce
from musetune.datasets.materials import find_held_out, select
from musetune.training.config import command_line, read, run_command

PARTS = ("calibration", "test")
BINS = 10
PULL = 7.0  # nats for a slope or an intercept 1 off 1 and 0: a few clips do not outvote what bars.py says
OTHERS = {"3/4": None, "6/8": "11101110", "5/4": None, "7/8": None}  # meter → eighths of `in_meter` that stay


@dataclass
class Config:
    """Every option, its default, its meaning."""

    songs: str = MISSING  # POP909's folders
    work: str = MISSING  # what was heard
    materials: str = MISSING  # the folder that materials.py unpacked into
    part: str = "calibration"  # or test
    count: int = 36  # songs, each in 4/4 and in another meter
    seconds: float = 40.0
    right: float = 0.95  # share of the meters stated that shall be right
    out: str | None = None  # null: the analyser's own numbers


def find_songs(folder: Path, part: str, count: int, seconds: float) -> list[AnnotatedSong]:
    """The part's first songs in 4/4."""
    odd = part == "calibration"
    folders = [f for f in sorted(folder.iterdir()) if f.name[-1] == "5" and int(f.name[-2]) % 2 == odd]
    songs: list[AnnotatedSong] = []
    for path in folders:
        song = load_pop909(path, 20.0, seconds)
        songs += [song] if song.meter == "4/4" else []
        if len(songs) == count:
            break
    return songs


def perform(song: AnnotatedSong, font: Path, kit: Path | None, rng: np.random.Generator) -> np.ndarray:
    """(samples,) at RATE: the song by a band, half of the time with a kit's drums, in a production."""
    midi = with_band(song, rng)
    strokes = [note for part in midi.instruments if part.is_drum for note in part.notes] if kit else []
    if strokes:
        midi.instruments = [part for part in midi.instruments if not part.is_drum]
    wave = synthesize(midi, RATE, duration_s=song.duration_s, soundfont=font, stereo=True)
    if strokes and kit:
        drums = play_kit(load_kit(kit, RATE), strokes, wave.shape[1])
        wave = wave + drums * (wave.std() * rng.uniform(0.4, 1.2) / (drums.std() + 1e-9))
    return produce(wave / max(1.0, float(np.abs(wave).max())), RATE, song.beats_s, rng)[0].mean(axis=0)


def hear(cfg: Config) -> list[dict[str, Any]]:
    """Rows of song, truth, meter as heard, share of the network; None where no pulse is heard."""
    cache = Path(cfg.materials)
    if cfg.part == "calibration":
        fonts, kits = select(cache, "soundfont"), select(cache, "kit")
    else:
        fonts, kits = ([path for path in [find_held_out(cache, kind)] if path] for kind in ("soundfont", "kit"))
    if not fonts:
        raise ValueError(f"no soundfont for {cfg.part} in {cache}: run recipes/analyzer/materials.py cache={cache}")
    room = Path(musetune.analysis.listening.__file__).parent
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(room.glob("*.*")))).hexdigest()[:8]
    stored = Path(cfg.work) / f"{cfg.part}-{state}.jsonl"
    stored.parent.mkdir(parents=True, exist_ok=True)
    known = {row["name"]: row for row in map(json.loads, stored.read_text().splitlines())} if stored.is_file() else {}
    rows, others = [], list(OTHERS)
    songs = find_songs(Path(cfg.songs), cfg.part, cfg.count, cfg.seconds)
    with stored.open("a") as file:
        for number, plain in enumerate(tqdm(songs, desc=cfg.part)):
            for meter in ("4/4", others[number % len(others)]):
                name = f"{plain.name} {meter}"
                if name not in known:
                    rng = np.random.default_rng((number, len(meter), cfg.part == "test"))
                    song = plain if meter == "4/4" else in_meter(plain, meter, OTHERS[meter])
                    song = at_tempo(song, 1.5) if meter == "6/8" else song
                    song = rubato(song, rng, 0.05) if number % 3 == 0 else song
                    kit = kits[number % len(kits)] if kits and number % 2 else None
                    known[name] = {
                        "name": name,
                        "truth": meter,
                        **listen(perform(song, fonts[number % len(fonts)], kit, rng)),
                    }
                    file.write(json.dumps(known[name]) + "\n")
                    file.flush()
                rows.append(known[name])
    return rows


def listen(wave: np.ndarray) -> dict[str, Any]:
    """The meter heard and the network's share for it."""
    features = extract([wave])
    beats = track_beats(features.levels(), salience(features.spectrum, features.loudness))
    return {"heard": str(beats.meter), "share": beats.meter_confidence} if beats else {"heard": None, "share": 0.0}


def fit(share: np.ndarray, right: np.ndarray, goal: float) -> MeterCertainty:
    """Slope and intercept by maximum likelihood with a weak pull to 1 and 0, and the lowest threshold that keeps
    `goal`.
    """

    def loss(pair: np.ndarray) -> float:
        sure = np.array([MeterCertainty(float(pair[0]), float(pair[1]), 0.0).probability(value) for value in share])
        return float(-np.log(np.where(right, sure, 1 - sure) + 1e-9).sum() + PULL * ((pair - (1, 0)) ** 2).sum())

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    certainty = MeterCertainty(round(float(slope), 3), round(float(intercept), 3), 0.0)
    sure = np.array([certainty.probability(value) for value in share])
    steps = np.arange(0.3, 0.96, 0.01)
    stated_from = next((t for t in steps if (sure >= t).any() and right[sure >= t].mean() >= goal), steps[-1])
    return MeterCertainty(certainty.slope, certainty.intercept, round(float(stated_from), 2))


def report(rows: list[dict[str, Any]], certainty: MeterCertainty) -> str:
    """What `certainty` makes of the rows."""
    right = np.array([row["heard"] == row["truth"] for row in rows])
    sure = np.array([certainty.probability(row["share"]) for row in rows])
    stated, place = sure >= certainty.stated_from, np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [(place == b).sum() * abs(sure[place == b].mean() - right[place == b].mean()) for b in set(place)]
    return (
        f"{len(rows)} clips, {right.mean():.0%} right; stated from {certainty.stated_from:.2f}: {stated.mean():.0%}, "
        f"{right[stated].mean():.0%} of these right; expected calibration error {sum(gaps) / len(rows):.3f}"
    )


def run(cfg: Config) -> None:
    """Calibrate, or measure."""
    if cfg.part not in PARTS:
        raise ValueError(f"part={cfg.part!r} is not one of {', '.join(PARTS)}")
    rows, certainty = hear(cfg), meter_certainty()
    if cfg.part == "calibration":
        right = np.array([row["heard"] == row["truth"] for row in rows])
        certainty = fit(np.array([row["share"] for row in rows]), right, cfg.right)
        out = Path(cfg.out or FILE)
        out.write_text(json.dumps({"meter": asdict(certainty)}, indent=2) + "\n", encoding="utf-8")
        print(f"{out}: {certainty}")
    print(report(rows, certainty))


if __name__ == "__main__":
    run_command(run, command_line(lambda words: read(Config, words), Config, __doc__))
