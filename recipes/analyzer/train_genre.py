"""Train the genre classifier on renderings in six styles and in none, heard by the analyser itself.

    python recipes/analyzer/materials.py cache=.cache/materials recordings=true
    python recipes/analyzer/train_genre.py songs=../shared/data/pop909 lead_sheets=../shared/data/openewld \\
        work=out/genre materials=.cache/materials
    python recipes/analyzer/train_genre.py … fresh=false      calibrate the networks that are there anew

Three parts, split by song: `train` (any other song), `calibration` (numbers ending in 9; half on a soundfont and a drum
kit that training does not hear), `test` (5; half on the soundfont and the kit that no training hears). Numbers ending
in 0 are left alone. A lead sheet's number is the CRC of its path. A seventh of the clips is in none of the six genres.
musetune/datasets/rendering/genres.py says what a clip is.

Two groups of small networks learn apart: from lead sheets what harmony and rhythm say, from the clips of `train` what
their sound says, each in several productions. Neither needs the analyser's ears. What both say is weighed and becomes a
probability by four numbers, fitted to what the analyser hears in the clips of `calibration` and in the recordings
(musetune/datasets/recordings.py) that are for calibration; on the same is chosen from which confidence on a genre is
named. Without `materials` the clips alone. So a change of the analyser's ears asks for calibration alone.

Renderings stay in work/PART/*.flac, what was measured and heard in files beside them (new ones when the analyser
changes), so a second run goes on where the first ended. Writes musetune/analysis/genre/genre_weights.npz. About a
quarter of an hour on one core; measure with benchmarks/genre.py.
"""

from __future__ import annotations

import json
import random
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import MISSING
from scipy.optimize import minimize
from tqdm import tqdm

from musetune.analysis.genre.classifier import (
    GROUPS,
    KINDS,
    WEIGHTS_FILE,
    evidence,
    probabilities,
    standardise,
    weights,
)
from musetune.analysis.genre.traits import FEATURE_NAMES, features
from musetune.audio import load_audio, save_audio
from musetune.audio.source import RATE
from musetune.datasets.genre_hearing import hear_part, hear_recordings, remember, stored_rows, timbre_of
from musetune.datasets.materials import find_held_out, reject_held_out, select
from musetune.datasets.recordings import find_recordings
from musetune.datasets.rendering.genres import NO_GENRE, PARTS, draw_sheet, find_songs, make_clip, reproduce
from musetune.planning.rules.styles import STYLES
from musetune.symbols import GENRES, LeadSheet
from musetune.training.config import command_line, read

VIEWS = ("sound", "heard")
RIGHT = 0.8  # share of the named genres of the calibration clips that shall be right
BATCH, NOISE = 128, (0.5, 0.3)  # examples a network and step; standard deviations added to features of score, sound
CLASSES = (*GENRES, NO_GENRE)
STRANGE_FONT, STRANGE_KIT = "sf_GMbank", "Audiophob"  # calibration alone hears these of the materials
EQUALISED = ("cepstrum", ("level", "brightness", "brightness deviation"))  # beginnings, ends of names: not learned from
HIDDEN_SHARE = {"harmony": 0.1, "rhythm": 0.1, "sound": 0.0}  # of the training examples


@dataclass
class Config:
    """Every option, its default, its meaning."""

    songs: str = MISSING  # POP909's folders
    lead_sheets: str = MISSING  # OpenEWLD: index.csv and its files
    work: str = MISSING  # renderings and what was heard in them
    materials: str | None = None  # the folder that materials.py unpacked into; fills what of the next six is not given
    fonts: list[str] = field(default_factory=list)  # soundfonts of all parts
    strange_font: str | None = None  # of half of the calibration clips
    new_font: str | None = None  # of half of the test clips
    kits: list[str] = field(default_factory=list)  # folders of drum kits; half of the clips have a soundfont's drums
    strange_kit: str | None = None
    new_kit: str | None = None
    out: str | None = None  # default: the package's own weights
    train: int = 210  # clips of this part
    calibration: int = 252
    test: int = 252
    sheets: int = 1200  # further training examples that are not played: chords, tempo, meter and swing alone
    views: int = 2  # further productions of a training clip whose timbre is measured
    pool: int = 72  # songs a part is made of, at most; reading them takes most of the time
    seconds: float = 20.0
    idiom_share: float = 0.45  # clips with progressions of the genre instead of a song's
    networks: int = 5  # whose logits are averaged
    hidden: int = 32  # width of each
    steps: int = 1500
    seed: int = 0
    fresh: bool = True  # train; false: only calibrate the weights that are there


def complete(cfg: Config) -> Config:
    """The options with soundfonts and kits of `materials` where they are not given.

    Raises:
        ValueError: There is no soundfont for a part, or training is given one that is held out.
    """
    cache = Path(cfg.materials) if cfg.materials else None
    for kind, many, strange, new, name in (
        ("soundfont", "fonts", "strange_font", "new_font", STRANGE_FONT),
        ("kit", "kits", "strange_kit", "new_kit", STRANGE_KIT),
    ):
        paths = [str(path) for path in select(cache, kind)] if cache else []
        if not getattr(cfg, many):
            setattr(cfg, many, [path for path in paths if Path(path).stem != name])
        if getattr(cfg, strange) is None:
            setattr(cfg, strange, next((path for path in paths if Path(path).stem == name), None))
        if getattr(cfg, new) is None and cache and (path := find_held_out(cache, kind)):
            setattr(cfg, new, str(path))
        reject_held_out([Path(path) for path in (*getattr(cfg, many), getattr(cfg, strange)) if path])
    if not (cfg.fonts and cfg.strange_font and cfg.new_font):
        raise ValueError(
            "soundfonts are missing: give materials=FOLDER, or fonts=[A.sf2,B.sf3] strange_font=C.sf2 new_font=D.sf2"
        )
    return cfg


def players(part: str, index: int, cfg: Config) -> tuple[str, str | None]:
    """Soundfont and drum kit of a part's clip: half of calibration and test by what training does not hear."""
    turn = index // len(CLASSES)
    other = {"calibration": (cfg.strange_font, cfg.strange_kit), "test": (cfg.new_font, cfg.new_kit)}.get(part)
    if other and turn % 2:
        return str(other[0]), other[1] if turn % 4 == 1 or part == "test" else None
    kit = cfg.kits[turn // 2 % len(cfg.kits)] if cfg.kits and turn // 2 % 2 else None
    return cfg.fonts[turn // 2 % len(cfg.fonts) if other else turn % len(cfg.fonts)], kit


def render_part(part: str, cfg: Config) -> list[dict[str, Any]]:
    """Rows of work/PART/metadata.jsonl: file_name, genre, font, kit, rough (produced?), lead_sheet.

    Renders what is missing.
    """
    folder = Path(cfg.work) / part
    folder.mkdir(parents=True, exist_ok=True)
    cache = Path(cfg.work) / "sheets"
    cache.mkdir(exist_ok=True)
    listed = folder / "metadata.jsonl"
    rows = {row["file_name"]: row for row in stored_rows(Path(cfg.work), part)} if listed.is_file() else {}
    songs = find_songs(Path(cfg.songs), Path(cfg.lead_sheets), cfg.pool)[part]
    jobs = [(*players(part, index, cfg), index) for index in range(getattr(cfg, part))]
    with listed.open("a") as file:
        for font, kit, index in tqdm(sorted(jobs, key=lambda job: job[0]), desc=f"rendering {part}", unit="clip"):
            name = f"{index:05d}.flac"
            if name in rows:
                continue
            genre, rough = CLASSES[index % len(CLASSES)], part != "test" or index // (2 * len(CLASSES)) % 2 == 1
            seed = cfg.seed * 1_000_003 + PARTS.index(part) * 100_003 + index
            wave, sheet = make_clip(genre, songs, cache, font, cfg.seconds, cfg.idiom_share, seed, rough, kit)
            save_audio(folder / name, wave, RATE)
            rows[name] = {
                "file_name": name,
                "genre": genre,
                "font": Path(font).name,
                "kit": Path(kit).name if kit else None,
                "rough": rough,
                "lead_sheet": sheet.to_json(),
            }
            file.write(json.dumps(rows[name]) + "\n")
            file.flush()
    return [rows[f"{index:05d}.flac"] for index in range(getattr(cfg, part))]


def measure_timbres(rows: list[dict[str, Any]], cfg: Config) -> list[dict[str, Any]]:
    """The training rows with `timbres`: of the clip and of `views` further productions of it."""
    folder = Path(cfg.work) / "train"

    def measure(name: str) -> dict[str, Any]:
        wave, rate = load_audio(folder / name)
        rng, beats = np.random.default_rng(zlib.crc32(name.encode())), np.arange(0, len(wave) / rate, 0.5)
        waves = [wave, *(reproduce(wave, beats, rng) for _ in range(cfg.views))]
        return {"timbres": [timbre_of(view, rate) for view in waves]}

    return remember(rows, folder / f"timbres-{cfg.views}.jsonl", measure)


Examples = tuple[np.ndarray, np.ndarray]  # features (n, FEATURE_NAMES), genre (n,)


def examples(rows: list[dict[str, Any]], view: str) -> Examples:
    """What the classifier sees of each row that was heard.

    Args:
        rows: Of `hear_part`.
        view: "sound": all that was heard; "heard": the same without timbre. Without a timbre nothing tells that a clip
            is in none of the genres, so these are left out.
    """
    inputs, truth = [], []
    for row in rows:
        if row["heard_sheet"] is None or (view != "sound" and row["genre"] == NO_GENRE):
            continue
        sheet = LeadSheet.from_json(row["heard_sheet"])
        inputs.append(features(sheet, row["rhythm"], np.array(row["timbre"]) if view == "sound" else None))
        truth.append(CLASSES.index(row["genre"]))
    return np.array(inputs), np.array(truth)


def sound_examples(rows: list[dict[str, Any]]) -> Examples:
    """The timbres of rows of `measure_timbres`, all else not known, nor what an equaliser changes most."""
    inputs = np.full((sum(len(row["timbres"]) for row in rows), len(FEATURE_NAMES)), np.nan)
    inputs[:, GROUPS["sound"]] = [timbre for row in rows for timbre in row["timbres"]]
    inputs[:, [name.startswith(EQUALISED[0]) or name.endswith(EQUALISED[1]) for name in FEATURE_NAMES]] = np.nan
    return inputs, np.array([CLASSES.index(row["genre"]) for row in rows for _ in row["timbres"]])


def draw_examples(cfg: Config) -> Examples:
    """Lead sheets as they would be played, without a sound: harmony costs nothing to learn from these."""
    songs = find_songs(Path(cfg.songs), Path(cfg.lead_sheets), cfg.pool)["train"]
    inputs, truth = [], []
    for index in tqdm(range(cfg.sheets), desc="sheets", unit="sheet"):
        rng, genre = random.Random(cfg.seed * 1_000_003 + 700_000 + index), GENRES[index % len(GENRES)]
        sheet = draw_sheet(genre, songs, Path(cfg.work) / "sheets", rng.choice((20.0, 40.0)), cfg.idiom_share, rng)
        swing = rng.gauss(1.9, 0.2) if STYLES[genre].swing else rng.gauss(1.02, 0.06)
        inputs.append(features(sheet, {"swing_ratio": swing if rng.random() < 0.6 else None}, None))
        truth.append(index % len(GENRES))
    return np.array(inputs), np.array(truth)


def fit(part: Examples, noise: float, cfg: Config) -> dict[str, np.ndarray]:
    """Networks of one hidden layer that differ by their start and by what is hidden from them.

    Args:
        part: Examples.
        noise: Standard deviations added to each feature.
        cfg: The options.
    """
    x, truth = part
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that no example has
        mean, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0) + 1e-3
    mean, scale = np.nan_to_num(mean), np.where(np.isnan(scale), np.inf, scale)  # which is never looked at
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    size = x.shape[1] + len(GROUPS)
    w = {
        "w1": torch.randn(cfg.networks, size, cfg.hidden) / size**0.5,
        "b1": torch.zeros(cfg.networks, cfg.hidden),
        "w2": torch.randn(cfg.networks, cfg.hidden, len(CLASSES)) / cfg.hidden**0.5,
        "b2": torch.zeros(cfg.networks, len(CLASSES)),
    }
    for value in w.values():
        value.requires_grad_()
    optimizer = torch.optim.AdamW(w.values(), 4e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, cfg.steps)
    for _ in tqdm(range(cfg.steps), desc="classifier"):
        rows = rng.choice(len(x), cfg.networks * BATCH)
        z = torch.from_numpy(standardise(with_gaps(x[rows], rng), mean, scale)).reshape(cfg.networks, BATCH, size)
        z[..., : x.shape[1]] += noise * torch.randn(cfg.networks, BATCH, x.shape[1])
        hidden = F.relu(torch.einsum("mni,mih->mnh", F.dropout(z, 0.2), w["w1"]) + w["b1"][:, None])
        logits = torch.einsum("mnh,mhg->mng", F.dropout(hidden, 0.3), w["w2"]) + w["b2"][:, None]
        loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(truth[rows]), label_smoothing=0.03)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {"mean": mean, "scale": scale, **{name: value.detach().numpy() for name, value in w.items()}}


def with_gaps(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of `x` (n, features) in which whole groups are hidden, so that none is leaned on."""
    x = x.copy()
    for name, columns in GROUPS.items():
        x[rng.random(len(x)) < HIDDEN_SHARE[name], columns] = np.nan
    return x


def calibrate(w: dict[str, np.ndarray], silent: Examples, sound: Examples) -> tuple[np.ndarray, float]:
    """The weights of what score and sound say, and what is added to none: those by which the calibration clips are
    likeliest, drawn to 0.5 and 0 a little (temperature scaling after Guo et al., ICML 2017, with one for each kind).
    """

    def cost(weight: np.ndarray, none: float, part: Examples) -> float:
        share = probabilities(evidence(part[0], w), weight, none)
        return float(-np.log(share[np.arange(len(part[1])), part[1]] + 1e-9).mean())

    def loss(p: np.ndarray) -> float:
        weight = np.exp(p[:3])
        pull = 0.01 * ((p[:3] - np.log(0.5)) ** 2).sum() + 0.002 * p[3] ** 2
        return cost(weight, p[3], silent) + cost(weight, p[3], sound) + float(pull)

    found = minimize(loss, np.array([*np.log([0.5] * 3), 0.0]), method="Nelder-Mead", options={"maxiter": 400}).x
    return np.exp(found[:3]), float(found[3])


def naming_threshold(w: dict[str, np.ndarray], part: Examples) -> float:
    """The lowest confidence from which on the genres named are right as often as `RIGHT` on the calibration clips."""
    share = probabilities(evidence(part[0], w), w["weight"], float(w["none"]))[:, : len(GENRES)]
    sure, right = share.max(axis=1), share.argmax(axis=1) == part[1]
    steps = np.arange(0.2, 0.95, 0.01)
    return float(next((t for t in steps if (sure >= t).any() and right[sure >= t].mean() >= RIGHT), steps[-1]))


def accuracy(w: dict[str, np.ndarray], part: Examples) -> float:
    """Share of examples of the six genres whose likeliest genre is the true one."""
    x, truth = (column[part[1] < len(GENRES)] for column in part)
    share = probabilities(evidence(x, w), w["weight"], float(w["none"]))[:, : len(GENRES)]
    return float((share.argmax(axis=1) == truth).mean())


def make_analyser_run() -> None:
    """Untrained weights, to which all genres are alike, where there are none of today's shape.

    `analyze` asks for some.
    """
    size, kinds = len(FEATURE_NAMES), len(KINDS)
    if WEIGHTS_FILE.is_file():
        with np.load(WEIGHTS_FILE) as stored:
            if stored["mean"].shape == (kinds, size):
                return
    shapes: dict[str, tuple[int, ...]] = {
        "mean": (kinds, size),
        "scale": (kinds, size),
        "w1": (kinds, 1, size + len(GROUPS), 1),
        "b1": (kinds, 1, 1),
        "w2": (kinds, 1, 1, len(CLASSES)),
        "b2": (kinds, 1, len(CLASSES)),
        "weight": (3,),
        "none": (),
        "sure": (2,),
    }
    fill = {name: np.full(shape, float(name == "scale")) for name, shape in shapes.items()}
    np.savez_compressed(WEIGHTS_FILE, **fill)  # type: ignore[arg-type]


def train(cfg: Config) -> dict[str, np.ndarray]:
    """The networks of both kinds, stacked in the order of `KINDS`."""
    rows = measure_timbres(render_part("train", cfg), cfg)
    both = [fit(draw_examples(cfg), NOISE[0], cfg), fit(sound_examples(rows), NOISE[1], cfg)]
    return {name: np.stack([w[name] for w in both]) for name in both[0]}


def main() -> None:
    cfg = complete(command_line(lambda words: read(Config, words), Config, __doc__))
    make_analyser_run()
    w = train(cfg) if cfg.fresh else dict(weights())
    parts = {part: hear_part(part, render_part(part, cfg), Path(cfg.work)) for part in PARTS[1:]}
    recordings = [one for one in find_recordings(Path(cfg.materials)) if one.set.calibrates] if cfg.materials else []
    silent = examples(parts["calibration"], "heard")
    sound = examples(parts["calibration"] + hear_recordings(recordings, Path(cfg.work)), "sound")
    w["weight"], none = calibrate(w, silent, sound)
    w["none"] = np.array(none)
    w["sure"] = np.array([naming_threshold(w, silent), naming_threshold(w, sound)])
    out = Path(cfg.out or WEIGHTS_FILE)
    np.savez_compressed(out, **{name: value.astype(np.float16) for name, value in w.items()})  # type: ignore[arg-type]
    numbers = {name: w[name].round(2).tolist() for name in ("weight", "none", "sure")}
    print(f"{out}: {out.stat().st_size / 1024:.0f} KiB; {numbers}")
    for part, rows in parts.items():
        print(part, {view: round(accuracy(w, examples(rows, view)), 3) for view in VIEWS})


if __name__ == "__main__":
    main()
