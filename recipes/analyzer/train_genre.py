"""Train the genre classifier on renderings in six styles, heard by the analyser itself.

    python recipes/analyzer/train_genre.py songs=POP909 lead_sheets=OPENEWLD work=out/genre fonts=[A.sf2,B.sf3]
    strange_font=C.sf2 new_font=D.sf2

Three parts, split by song: `train` (any other song), `calibration` (numbers ending in 9; half on strange_font), `test`
(5; half on new_font, which nothing else uses). Numbers ending in 0 are left alone. A lead sheet's number is the CRC of
its path. render_genres.py says what a clip is.

Renderings stay in work/PART/*.flac, what the analyser heard in work/PART/heard-*.jsonl (a new file when the analyser
changes), so a second run goes on where the first ended. Writes musetune/analysis/genre_weights.npz. About eight minutes
on one core; measure with benchmarks/genre.py.
"""

from __future__ import annotations

import hashlib
import json
import random
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import MISSING
from scipy.special import log_softmax
from tqdm import tqdm

import musetune.analysis
from musetune.analysis import analyze
from musetune.analysis.genre.classifier import GROUPS, WEIGHTS_FILE, network, standardise
from musetune.analysis.genre.traits import FEATURE_NAMES, features
from musetune.analysis.listening.features import mel_levels
from musetune.analysis.listening.timbre import timbre_features
from musetune.audio import load_audio, save_audio
from musetune.audio.source import RATE, listen
from musetune.datasets.rendering.genres import PARTS, draw_sheet, find_songs, make_clip
from musetune.planning.rules.styles import STYLES
from musetune.symbols import GENRES, LeadSheet
from musetune.training.config import command_line, read

VIEWS = ("sound", "heard", "symbols")
BATCH, NOISE = 128, 0.3  # examples a network and step; standard deviations added to every feature
HIDDEN_SHARE = {"harmony": 0.1, "rhythm": 0.1, "sound": 0.15}  # of the training examples


@dataclass
class Config:
    """Every option, its default, its meaning."""

    songs: str = MISSING  # POP909's folders
    lead_sheets: str = MISSING  # OpenEWLD: index.csv and its files
    work: str = MISSING  # renderings and what was heard in them
    fonts: list[str] = field(default_factory=list)  # soundfonts of all parts
    strange_font: str = MISSING  # of half of the calibration clips
    new_font: str = MISSING  # of half of the test clips
    out: str | None = None  # default: the package's own weights
    train: int = 540  # clips of this part
    calibration: int = 120
    test: int = 180
    sheets: int = 1200  # further training examples that are not played: chords, tempo, meter and swing alone
    pool: int = 72  # songs a part is made of, at most; reading them takes most of the time
    seconds: float = 20.0
    idiom_share: float = 0.45  # clips with progressions of the genre instead of a song's
    networks: int = 5  # whose logits are averaged
    hidden: int = 32  # width of each
    steps: int = 1500
    seed: int = 0


def render_part(part: str, cfg: Config) -> list[dict[str, Any]]:
    """Rows of work/PART/metadata.jsonl: file_name, genre, font, rough (degraded?), lead_sheet.

    Renders what is missing.
    """
    folder = Path(cfg.work) / part
    folder.mkdir(parents=True, exist_ok=True)
    cache = Path(cfg.work) / "sheets"
    cache.mkdir(exist_ok=True)
    listed = folder / "metadata.jsonl"
    rows = (
        {row["file_name"]: row for row in map(json.loads, listed.read_text().splitlines())} if listed.is_file() else {}
    )
    songs = find_songs(Path(cfg.songs), Path(cfg.lead_sheets), cfg.pool)[part]
    other = {"calibration": cfg.strange_font, "test": cfg.new_font}.get(part)
    jobs = []
    for index in range(getattr(cfg, part)):
        font = other if other and index // len(GENRES) % 2 else cfg.fonts[index // len(GENRES) // 2 % len(cfg.fonts)]
        jobs.append((font, index))
    with listed.open("a") as file:
        for font, index in tqdm(sorted(jobs), desc=f"rendering {part}", unit="clip"):  # a font is loaded once
            name = f"{index:05d}.flac"
            if name in rows:
                continue
            genre, rough = GENRES[index % len(GENRES)], part != "test" or index // (2 * len(GENRES)) % 2 == 1
            seed = cfg.seed * 1_000_003 + PARTS.index(part) * 100_003 + index
            wave, sheet = make_clip(genre, songs, cache, font, cfg.seconds, cfg.idiom_share, seed, rough)
            save_audio(folder / name, wave, RATE)
            rows[name] = {
                "file_name": name,
                "genre": genre,
                "font": Path(font).name,
                "rough": rough,
                "lead_sheet": sheet.to_json(),
            }
            file.write(json.dumps(rows[name]) + "\n")
            file.flush()
    return [rows[f"{index:05d}.flac"] for index in range(getattr(cfg, part))]


def fingerprint() -> str:
    """Eight letters that change with the analyser's code and weights, the genre's own files left out."""
    room = Path(musetune.analysis.__file__).parent
    files = [path for path in sorted(room.rglob("*")) if path.suffix in (".py", ".npz", ".safetensors")]
    content = [
        path.read_bytes() for path in files if "genre" not in path.parts
    ]  # training again does not mean hearing again
    return hashlib.sha256(b"".join(content)).hexdigest()[:8]


def hear_part(part: str, rows: list[dict[str, Any]], cfg: Config) -> list[dict[str, Any]]:
    """The rows with what the analyser hears: heard_sheet, rhythm, timbre; None where it hears no music."""
    folder = Path(cfg.work) / part
    stored = folder / f"heard-{fingerprint()}.jsonl"
    known = (
        {row["file_name"]: row for row in map(json.loads, stored.read_text().splitlines())} if stored.is_file() else {}
    )
    with stored.open("a") as file:
        for row in tqdm(rows, desc=f"hearing {part}", unit="clip"):
            if row["file_name"] not in known:
                known[row["file_name"]] = {"file_name": row["file_name"], **hear(folder / row["file_name"])}
                file.write(json.dumps(known[row["file_name"]]) + "\n")
                file.flush()
    return [{**row, **known[row["file_name"]]} for row in rows]


def hear(path: Path) -> dict[str, Any]:
    """The analyser's lead sheet and rhythm, and the timbre of a file."""
    wave, rate = load_audio(path)
    timbre = timbre_features(mel_levels(listen(wave, rate).wave)).round(5).tolist()
    try:
        record = analyze(wave, rate)
    except ValueError as error:
        print(f"{path.name}: {error}")
        return {"heard_sheet": None, "rhythm": {}, "timbre": timbre}
    return {"heard_sheet": record.lead_sheet.to_json(), "rhythm": record.rhythmic_analysis, "timbre": timbre}


Examples = tuple[np.ndarray, np.ndarray]  # features (n, FEATURE_NAMES), genre (n,)


def examples(rows: list[dict[str, Any]], view: str) -> Examples:
    """What the classifier sees of each row: "sound" all that was heard, "heard" the same without timbre, "symbols" the
    lead sheet that was played, with the rhythm that was heard, without timbre."""
    inputs, truth = [], []
    for row in rows:
        if row["heard_sheet"] is not None:
            sheet = LeadSheet.from_json(row["lead_sheet" if view == "symbols" else "heard_sheet"])
            inputs.append(features(sheet, row["rhythm"], np.array(row["timbre"]) if view == "sound" else None))
            truth.append(GENRES.index(row["genre"]))
    return np.array(inputs), np.array(truth)


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


def fit(parts: list[Examples], cfg: Config) -> dict[str, np.ndarray]:
    """Networks of one hidden layer that differ by their start and by what is hidden from them."""
    x, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that no clip has
        mean, scale = np.nanmean(parts[0][0], axis=0), np.nanstd(parts[0][0], axis=0) + 1e-3
    mean, scale = np.nan_to_num(mean), np.nan_to_num(scale, nan=1.0)
    chance = np.concatenate([np.full(len(part), 1 / len(part)) for _, part in parts]) / len(parts)
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    size = x.shape[1] + len(GROUPS)
    w = {
        "w1": torch.randn(cfg.networks, size, cfg.hidden) / size**0.5,
        "b1": torch.zeros(cfg.networks, cfg.hidden),
        "w2": torch.randn(cfg.networks, cfg.hidden, len(GENRES)) / cfg.hidden**0.5,
        "b2": torch.zeros(cfg.networks, len(GENRES)),
    }
    for value in w.values():
        value.requires_grad_()
    optimizer = torch.optim.AdamW(w.values(), 4e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, cfg.steps)
    for _ in tqdm(range(cfg.steps), desc="classifier"):
        rows = rng.choice(len(x), cfg.networks * BATCH, p=chance)
        z = torch.from_numpy(standardise(with_gaps(x[rows], rng), mean, scale)).reshape(cfg.networks, BATCH, size)
        z[..., : x.shape[1]] += NOISE * torch.randn(cfg.networks, BATCH, x.shape[1])
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


def temperature(w: dict[str, np.ndarray], parts: list[Examples]) -> float:
    """The number by which to divide logits so that the calibration clips are likeliest (Guo et al., ICML 2017)."""
    x, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
    logits = network(standardise(x, w["mean"], w["scale"]), w)
    candidates = np.geomspace(0.2, 5, 81)
    return float(min(candidates, key=lambda t: -log_softmax(logits / t, axis=1)[np.arange(len(truth)), truth].mean()))


def accuracy(w: dict[str, np.ndarray], part: Examples) -> float:
    """Share of examples whose likeliest genre is the true one."""
    x, truth = part
    return float((network(standardise(x, w["mean"], w["scale"]), w).argmax(axis=1) == truth).mean())


def make_analyser_run() -> None:
    """Untrained weights, to which all genres are alike, where there are none of today's size.

    `analyze` asks for some.
    """
    size = len(FEATURE_NAMES)
    if WEIGHTS_FILE.is_file():
        with np.load(WEIGHTS_FILE) as stored:
            if stored["mean"].shape == (size,):
                return
    shapes = {
        "mean": (size,),
        "scale": (size,),
        "w1": (1, size + len(GROUPS), 1),
        "b1": (1, 1),
        "w2": (1, 1, len(GENRES)),
        "b2": (1, len(GENRES)),
        "temperature": (2,),
    }
    fill = {name: np.full(shape, float(name in ("scale", "temperature"))) for name, shape in shapes.items()}
    np.savez_compressed(WEIGHTS_FILE, **fill)  # type: ignore[arg-type]


def main() -> None:
    cfg = command_line(lambda words: read(Config, words), Config, __doc__)
    make_analyser_run()
    parts = {part: hear_part(part, render_part(part, cfg), cfg) for part in PARTS}
    w = fit([*(examples(parts["train"], view) for view in VIEWS), draw_examples(cfg)], cfg)
    silent = [examples(parts["calibration"], view) for view in VIEWS[1:]]
    sound = [examples(parts["calibration"], "sound")]
    w["temperature"] = np.array([temperature(w, silent), temperature(w, sound)])
    out = Path(cfg.out or WEIGHTS_FILE)
    np.savez_compressed(out, **{name: value.astype(np.float16) for name, value in w.items()})  # type: ignore[arg-type]
    print(f"{out}: {out.stat().st_size / 1024:.0f} KiB; temperatures {w['temperature'].round(2).tolist()}")
    for part in PARTS:
        print(part, {view: round(accuracy(w, examples(parts[part], view)), 3) for view in VIEWS})


if __name__ == "__main__":
    main()
