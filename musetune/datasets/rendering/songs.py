"""Songs with chords, read as lead sheets, and one rendered clip of them."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict, replace
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from musetune.audio import resample, save_audio, synthesize
from musetune.datasets.rendering.excerpts import excerpt
from musetune.datasets.rendering.expression import draw_gain, fade, vary
from musetune.datasets.rendering.performance import perform
from musetune.datasets.rendering.players import free, solo
from musetune.datasets.rendering.settings import RenderingConfig
from musetune.datasets.rendering.stereo import mix_in_stereo
from musetune.datasets.song_split import for_tests
from musetune.evaluation.references import limit_peak
from musetune.formats.files import SUFFIXES
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Note
from musetune.symbols.arrangement import Arrangement

MIX_RATE, MONO_RATE = 48000, 16000  # Hz: at which players are mixed; of files in mono
PARTS = {  # of a song folder; the second name is that of POP909 as its authors publish it, {} the folder's own
    "chords": ("chords.txt", "chord_midi.txt"),
    "beats": ("beats.txt", "beat_midi.txt"),
    "key": ("key.txt", "key_audio.txt"),
    "notes": ("arrangement.mid", "{}.mid"),
}


def find_songs(source: Path, held_out: str, *, sheets: bool = False, only: bool = False) -> list[Path]:
    """Song folders, then the lead sheets that lie in no song folder, each in order of path.

    Args:
        source: Holds them in any depth.
        held_out: Song folders whose names end in one of these digits are left for tests.
        sheets: Whether lead sheets are left for tests too, those that `song_split.for_tests` names by their path below
            their collection (the folder that has an index.csv; otherwise `source`).
        only: What is left for tests instead of the others.
    """
    chord_files = sorted(path for name in PARTS["chords"] for path in source.rglob(name))
    folders = list(dict.fromkeys(path.parent for path in chord_files))
    inside = set(folders)
    files = [p for p in sorted(source.rglob("*")) if p.suffix.lower() in SUFFIXES and inside.isdisjoint(p.parents)]
    files = [f for f in files if (sheets and _sheet_for_tests(f, source)) == only]
    return [f for f in folders if (f.name[-1] in held_out) == only] + [f for f in files if has_chords(f)]


def _sheet_for_tests(path: Path, source: Path) -> bool:
    root = next((folder for folder in path.parents if (folder / "index.csv").is_file()), source)
    return for_tests(path.relative_to(root).as_posix(), "sheets")


def has_chords(path: Path) -> bool:
    """Whether a lead sheet can be read and has chords; says so where not."""
    try:
        if read_song(path).chords:
            return True
        reason = "it has no chords"
    except Exception as error:  # any reader may raise anything: the other songs go on
        reason = f"{type(error).__name__}: {error}"
    print(f"left out {path}: {reason}", file=sys.stderr)
    return False


def part(folder: Path, kind: str) -> Path:
    """The file of a song folder that holds its chords, beats, key or notes."""
    names = [name.format(folder.name) for name in PARTS[kind]]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"the song folder {folder} has neither {' nor '.join(names)}: add its {kind}")


@lru_cache(maxsize=64)
def read_song(path: Path) -> LeadSheet:
    """A song as a lead sheet, chords on half beats, melody on quarters of a beat."""
    if path.is_file():
        return LeadSheet.load(path)
    import pretty_midi

    beats = np.loadtxt(part(path, "beats"))
    at = partial(np.interp, xp=beats[:, 0], fp=np.arange(len(beats)))
    spans: list[ChordSpan] = []
    for line in part(path, "chords").read_text().splitlines():
        start_s, end_s, label = line.split()
        start, end = (Fraction(round(float(at(float(s))) * 2), 2) for s in (start_s, end_s))
        if end > start and (not spans or start >= spans[-1].start + spans[-1].beats):
            spans.append(ChordSpan(start, end - start, Chord.parse(label)))
    notes = []
    for note in pretty_midi.PrettyMIDI(str(part(path, "notes"))).instruments[0].notes:
        start, end = (Fraction(round(float(at(s)) * 4), 4) for s in (note.start, note.end))
        if start < len(beats) - 1:
            notes.append(Note(start, max(end - start, Fraction(1, 4)), note.pitch, note.velocity))
    downbeats = np.flatnonzero(beats[:, 2] > 0)
    bar = int(np.median(np.diff(downbeats))) if len(downbeats) > 1 else 4
    key = Key.parse(part(path, "key").read_text().split()[2].replace(":", " "))
    return LeadSheet(
        chords=tuple(s for s in spans if s.start + s.beats <= len(beats) - 1),
        keys=(KeySpan(Fraction(0), key),),
        meters=(MeterSpan(Fraction(0), Meter(3 if bar == 3 else 4, 4)),),
        grid=BeatGrid(tuple(beats[:, 0].tolist())),
        length=Fraction(len(beats) - 1),
        melody=tuple(notes),
        first_downbeat=Fraction(int(downbeats[0]) if len(downbeats) else 0),
    )


def render(index: int, cfg: RenderingConfig, songs: list[Path], out: Path) -> dict:
    """Render clip ``index`` (a function of seed and index alone) and return its metadata row."""
    rng = random.Random(cfg.seed * 1_000_003 + index)
    path = rng.choice(songs)
    sheet = excerpt(read_song(path), cfg, rng)
    take = orchestrate(sheet, seed=rng.randrange(2**31))
    for share, other in ((cfg.free_share, free), (cfg.solo_share, solo)):
        if share and rng.random() < share:  # no draw where there is no share: older renderings come out the same
            take = other(take, sheet, rng)
    gain: tuple[tuple[float, float], ...] = ()
    if cfg.expression_share and rng.random() < cfg.expression_share:
        take = replace(take, arrangement=vary(take.arrangement, sheet, rng))
        gain = draw_gain(cfg.seconds, rng)
    name = f"{index // 1000:03d}/{index:06d}.flac"
    if not (out / name).is_file():
        wave, rate = play(take.arrangement, sheet.genre or "pop", cfg, index)
        wave = limit_peak(wave)
        part = save_audio(out / f"{name}.part", fade(wave, rate, gain) if gain else wave, rate, "flac")
        part.rename(out / name)  # a file that is there is whole, wherever the run was stopped
    sheet = replace(sheet.crop(0.0, cfg.seconds), melody=())
    return {
        "file_name": name,
        "text": take.prompt,
        "genre": sheet.genre,
        "key": str(sheet.key),
        "bpm": round(sheet.bpm, 2),
        "lead_sheet": sheet.to_json(),
        "arrangement": take.arrangement.to_json(),
        "source": path.name,
    }


def play(arrangement: Arrangement, genre: str, cfg: RenderingConfig, index: int) -> tuple[np.ndarray, int]:
    """The sound of clip ``index`` and its rate: (2, samples) at 48 kHz where ``cfg.stereo``, or (samples,) at 16 kHz.

    By one soundfont as written, or by players drawn from several, performed and mixed.
    """
    choice, mixing = np.random.default_rng([cfg.seed, index, 1]), np.random.default_rng([cfg.seed, index])
    plain, performed, kit, compressed = choice.random(4) < (
        cfg.plain_share if cfg.soundfonts else 1.0, cfg.perform_share, cfg.kit_share, cfg.compression_share
    )  # fmt: skip
    if plain:
        midi = arrangement.to_pretty_midi()
        rate = MIX_RATE if cfg.stereo else MONO_RATE
        return synthesize(midi, rate, duration_s=cfg.seconds, soundfont=cfg.soundfont, stereo=cfg.stereo), rate
    if performed:
        arrangement = perform(arrangement, genre, choice, free=False)
    wave = mix_in_stereo(
        arrangement.to_pretty_midi(),
        [Path(font) for font in cfg.soundfonts],
        mixing,
        kit=Path(cfg.kits[int(choice.integers(len(cfg.kits)))]) if kit and cfg.kits else None,
        compressed=bool(compressed),
        rate=MIX_RATE,
        seconds=cfg.seconds,
    )
    return (wave, MIX_RATE) if cfg.stereo else (resample(wave.mean(axis=0), MIX_RATE, MONO_RATE), MONO_RATE)


def remember(out: Path, now: dict) -> None:
    """Write the settings beside the clips.

    Refuse to go on among clips that others made (more clips and workers are no others). An option that a folder does
    not know had its default.
    """
    path = out / "render.json"
    before = asdict(RenderingConfig()) | json.loads(path.read_text()) if path.is_file() else now
    other = [k for k in now if k not in ("clips", "workers") and before.get(k) != now[k]]
    if other:
        raise SystemExit(f"{out} was rendered with another {', '.join(other)}: give another folder, or remove it")
    (out / "000").mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1))
