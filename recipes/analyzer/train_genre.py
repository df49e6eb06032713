"""Train the genre classifier on renderings in six styles and in none, heard by the analyser itself.

    python recipes/analyzer/materials.py cache=.cache/materials recordings=true
    python recipes/analyzer/train_genre.py songs=../shared/data/pop909 lead_sheets=../shared/data/openewld \\
        work=out/genre materials=.cache/materials

Three parts, split by song: `train` (any other song), `calibration` (numbers ending in 9; half on a soundfont and a drum
kit that training does not hear), `test` (5; half on the soundfont and the kit that no training hears). Numbers ending
in 0 are left alone. A lead sheet's number is the CRC of its path. A seventh of the clips is in none of the six genres.
musetune/datasets/rendering/genres.py says what a clip is.

What the networks say becomes a probability by four numbers, fitted to the clips of `calibration` and to those of the
recordings (musetune/datasets/recordings.py) that are for calibration; on the same is chosen from which confidence on a
genre is named. Without `recordings` or `materials` the clips alone.

Renderings stay in work/PART/*.flac, what the analyser heard in work/PART/heard-*.jsonl (a new file when the analyser
changes), so a second run goes on where the first ended. Writes musetune/analysis/genre/genre_weights.npz. About half an
hour on one core; measure with benchmarks/genre.py.
"""

from __future__ import annotations

import hashlib
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
from tqdm import tqdm

import musetune.analysis
from musetune.analysis import analyze
from musetune.analysis.genre.classifier import GROUPS, WEIGHTS_FILE, network, probabilities, standardise
from musetune.analysis.genre.traits import FEATURE_NAMES, features
from musetune.analysis.listening.features import mel_levels
from musetune.analysis.listening.timbre import timbre_features
from musetune.audio import load_audio, save_audio
from musetune.audio.source import RATE, listen
from musetune.datasets.materials import find_held_out, reject_held_out, select
from musetune.datasets.recordings import Recording, find_recordings
from musetune.datasets.rendering.genres import NO_GENRE, PARTS, draw_sheet, find_songs, make_clip, reproduce
from musetune.planning.rules.styles import STYLES
from musetune.symbols import GENRES, LeadSheet
from musetune.training.config import command_line, read

VIEWS = ("sound", "heard", "symbols")
RIGHT = 0.8  # share of the named genres of the calibration clips that shall be right
BATCH, NOISE = 128, 0.3  # examples a network and step; standard deviations added to every feature
CLASSES = (*GENRES, NO_GENRE)
STRANGE_FONT, STRANGE_KIT = "sf_GMbank", "Audiophob"  # calibration alone hears these of the materials
HIDDEN_SHARE = {"harmony": 0.1, "rhythm": 0.1, "sound": 0.15}  # of the training examples


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
    train: int = 308  # clips of this part
    calibration: int = 112
    test: int = 112
    sheets: int = 1200  # further training examples that are not played: chords, tempo, meter and swing alone
    views: int = 3  # further productions of a training clip whose timbre is measured
    pool: int = 72  # songs a part is made of, at most; reading them takes most of the time
    seconds: float = 20.0
    idiom_share: float = 0.45  # clips with progressions of the genre instead of a song's
    networks: int = 5  # whose logits are averaged
    hidden: int = 32  # width of each
    steps: int = 1500
    seed: int = 0


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


def stored_rows(work: Path, part: str) -> list[dict[str, Any]]:
    """Rows of work/PART/metadata.jsonl in the order of their clips' numbers."""
    lines = (work / part / "metadata.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda row: str(row["file_name"]))


def fingerprint() -> str:
    """Eight letters that change with the analyser's code and weights, the genre's own files left out."""
    room = Path(musetune.analysis.__file__).parent
    files = [path for path in sorted(room.rglob("*")) if path.suffix in (".py", ".npz", ".safetensors")]
    content = [
        path.read_bytes() for path in files if "genre" not in path.parts
    ]  # training again does not mean hearing again
    return hashlib.sha256(b"".join(content)).hexdigest()[:8]


def hear_part(part: str, rows: list[dict[str, Any]], cfg: Config) -> list[dict[str, Any]]:
    """The rows with what the analyser hears: heard_sheet, rhythm, timbre, views; None where it hears no music."""
    folder = Path(cfg.work) / part
    stored = folder / f"heard-{fingerprint()}.jsonl"
    known = (
        {row["file_name"]: row for row in map(json.loads, stored.read_text().splitlines())} if stored.is_file() else {}
    )
    views = cfg.views if part == "train" else 0
    with stored.open("a") as file:
        for row in tqdm(rows, desc=f"hearing {part}", unit="clip"):
            if row["file_name"] not in known:
                wave, rate = load_audio(folder / row["file_name"])
                known[row["file_name"]] = {"file_name": row["file_name"], **hear(wave, rate, row["file_name"], views)}
                file.write(json.dumps(known[row["file_name"]]) + "\n")
                file.flush()
    return [{**row, **known[row["file_name"]]} for row in rows]


def hear(wave: np.ndarray, rate: int, name: str, views: int = 0) -> dict[str, Any]:
    """The analyser's lead sheet and rhythm, the timbre of a sound and of `views` other productions of it."""
    row: dict[str, Any] = {"heard_sheet": None, "rhythm": {}, "timbre": timbre_of(wave, rate)}
    try:
        record = analyze(wave, rate)
    except ValueError as error:
        print(f"{name}: {error}")
        return row | {"views": []}
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    beats = np.array(record.lead_sheet.beats_s)
    return row | {
        "heard_sheet": record.lead_sheet.to_json(),
        "rhythm": record.rhythmic_analysis,
        "meter_confidence": record.meter_confidence,
        "views": [timbre_of(reproduce(wave, beats, rng), rate) for _ in range(views)],
    }


def timbre_of(wave: np.ndarray, rate: int) -> list[float]:
    """Values of `TIMBRE_NAMES`."""
    values: list[float] = timbre_features(mel_levels(listen(wave, rate).wave)).round(5).tolist()
    return values


Examples = tuple[np.ndarray, np.ndarray]  # features (n, FEATURE_NAMES), genre (n,)


def examples(rows: list[dict[str, Any]], view: str) -> Examples:
    """What the classifier sees of each row.

    Args:
        rows: Of `hear_part`.
        view: "sound": all that was heard, once in each production; "heard": the same without timbre; "symbols": the
            lead sheet that was played, with the rhythm that was heard, without timbre. Without a timbre nothing tells
            that a clip is in none of the genres, so these are left out.
    """
    inputs, truth = [], []
    for row in rows:
        if row["heard_sheet"] is None or (view != "sound" and row["genre"] == NO_GENRE):
            continue
        sheet = LeadSheet.from_json(row["lead_sheet" if view == "symbols" else "heard_sheet"])
        timbres = [np.array(row["timbre"]), *map(np.array, row.get("views", []))] if view == "sound" else [None]
        inputs += [features(sheet, row["rhythm"], timbre) for timbre in timbres]
        truth += [CLASSES.index(row["genre"])] * len(timbres)
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
        "w2": torch.randn(cfg.networks, cfg.hidden, len(CLASSES)) / cfg.hidden**0.5,
        "b2": torch.zeros(cfg.networks, len(CLASSES)),
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


def calibrate(w: dict[str, np.ndarray], parts: list[Examples], sound: bool) -> tuple[float, float]:
    """What turns logits into probabilities: the temperature that divides them (Guo et al., ICML 2017), and what is
    added to that of none; both make the calibration clips likeliest.
    """
    x, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
    logits = network(standardise(x, w["mean"], w["scale"]), w)

    def loss(t: float, none: float) -> float:
        share = probabilities(logits, {"temperature": np.array([t, t]), "none": np.array(none)}, sound)
        return float(-np.log(share[np.arange(len(truth)), truth] + 1e-9).mean())

    options = [(t, none) for t in np.geomspace(0.3, 6, 61) for none in (np.linspace(-4, 4, 65) if sound else [0.0])]
    t, none = min(options, key=lambda option: loss(*option))
    return float(t), float(none)


def naming_threshold(w: dict[str, np.ndarray], parts: list[Examples], sound: bool) -> float:
    """The lowest confidence from which on the genres named are right as often as `RIGHT` on the calibration clips."""
    x, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
    share = probabilities(network(standardise(x, w["mean"], w["scale"]), w), w, sound)[:, : len(GENRES)]
    sure, right = share.max(axis=1), share.argmax(axis=1) == truth
    steps = np.arange(0.2, 0.95, 0.01)
    return float(next((t for t in steps if (sure >= t).any() and right[sure >= t].mean() >= RIGHT), steps[-1]))


def accuracy(w: dict[str, np.ndarray], part: Examples) -> float:
    """Share of examples of the six genres whose likeliest genre is the true one."""
    x, truth = (column[part[1] < len(GENRES)] for column in part)
    logits = network(standardise(x, w["mean"], w["scale"]), w)[:, : len(GENRES)]
    return float((logits.argmax(axis=1) == truth).mean())


def hear_recordings(recordings: list[Recording], cfg: Config) -> list[dict[str, Any]]:
    """Rows, as of `hear_part`, of the recordings' excerpts, with `name` and what is stated as `genre`; kept in
    work/recordings-*.jsonl.
    """
    stored, rows = Path(cfg.work) / f"recordings-{fingerprint()}.jsonl", []
    known = {row["name"]: row for row in map(json.loads, stored.read_text().splitlines())} if stored.is_file() else {}
    with stored.open("a") as file:
        for one in tqdm(recordings, desc="recordings"):
            for name, wave, rate in one.excerpts():
                if name not in known:
                    known[name] = {"name": name, **hear(wave(), rate, name)}
                    file.write(json.dumps(known[name]) + "\n")
                    file.flush()
                rows.append({**known[name], "genre": one.set.genre})
    return rows


def make_analyser_run() -> None:
    """Untrained weights, to which all genres are alike, where there are none of today's size.

    `analyze` asks for some.
    """
    size = len(FEATURE_NAMES)
    if WEIGHTS_FILE.is_file():
        with np.load(WEIGHTS_FILE) as stored:
            if stored["mean"].shape == (size,) and "none" in stored:
                return
    shapes = {
        "mean": (size,),
        "scale": (size,),
        "w1": (1, size + len(GROUPS), 1),
        "b1": (1, 1),
        "w2": (1, 1, len(CLASSES)),
        "b2": (1, len(CLASSES)),
        "temperature": (2,),
        "none": (),
        "sure": (2,),
    }
    fill = {name: np.full(shape, float(name in ("scale", "temperature"))) for name, shape in shapes.items()}
    np.savez_compressed(WEIGHTS_FILE, **fill)  # type: ignore[arg-type]


def main() -> None:
    cfg = complete(command_line(lambda words: read(Config, words), Config, __doc__))
    make_analyser_run()
    parts = {part: hear_part(part, render_part(part, cfg), cfg) for part in PARTS}
    recordings = [one for one in find_recordings(Path(cfg.materials)) if one.set.calibrates] if cfg.materials else []
    write_weights(parts, hear_recordings(recordings, cfg), cfg)


def write_weights(parts: dict[str, list[dict[str, Any]]], recordings: list[dict[str, Any]], cfg: Config) -> None:
    """Train, calibrate, store; print how often each part is right."""
    w = fit([*(examples(parts["train"], view) for view in VIEWS), draw_examples(cfg)], cfg)
    silent = [examples(parts["calibration"], view) for view in VIEWS[1:]]
    sound = [examples(parts["calibration"] + recordings, "sound")]
    (blind, _), (hearing, none) = calibrate(w, silent, False), calibrate(w, sound, True)
    w |= {"temperature": np.array([blind, hearing]), "none": np.array(none)}
    w["sure"] = np.array([naming_threshold(w, silent, False), naming_threshold(w, sound, True)])
    out = Path(cfg.out or WEIGHTS_FILE)
    np.savez_compressed(out, **{name: value.astype(np.float16) for name, value in w.items()})  # type: ignore[arg-type]
    numbers = {name: w[name].round(2).tolist() for name in ("temperature", "none", "sure")}
    print(f"{out}: {out.stat().st_size / 1024:.0f} KiB; {numbers}")
    for part in PARTS:
        print(part, {view: round(accuracy(w, examples(parts[part], view)), 3) for view in VIEWS})


if __name__ == "__main__":
    main()
