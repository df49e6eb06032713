"""Songs with chords → rendered clips with exact truth, in six genres, all keys, many tempi.

    python recipes/render_songs.py SONGS OUT clips=6000 seconds=10.24 soundfont=FluidR3Mono_GM.sf3

SONGS holds song folders, lead sheets or both, in any depth. A song folder is one of POP909 (github.com/music-x-lab/POP909-Dataset: NNN.mid,
chord_midi.txt, beat_midi.txt, key_audio.txt) or has the same under the names arrangement.mid, chords.txt, beats.txt, key.txt: chords are
start and end in seconds and a Harte label, beats are seconds, beat flag and downbeat flag. A lead sheet is any file that LeadSheet.load
reads: MIDI (.mid, chords as markers), MusicXML (.musicxml, .xml, .mxl), JAMS (.jams) or our own .json, with chords in it; one without is named and left out.

OUT gets FLAC files and metadata.jsonl (AudioFolder convention: file_name, text, genre, key, bpm, lead_sheet, arrangement, source). Songs whose folder
name ends in a digit of ``held_out`` are left for tests.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from excerpts import excerpt  # type: ignore[import-not-found]
from knobs import manual, read  # type: ignore[import-not-found]
from players import free, solo  # type: ignore[import-not-found]
from tqdm import tqdm

from musetune.audio import find_soundfont, save_audio, synthesize
from musetune.planning.orchestrate import orchestrate
from musetune.theory import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Note
from musetune.theory.formats import SUFFIXES


@dataclass
class Config:
    """Every knob, its default, its meaning."""

    clips: int = 6000
    seconds: float = 10.24
    soundfont: str | None = None  # default: what musetune.audio.find_soundfont finds
    held_out: str = "05"  # last digits of song folders that are never rendered
    random_share: float = 0.35  # clips whose chords are drawn at random instead of taken from the song
    waltz_share: float = 0.15  # clips whose bars are squeezed into 3/4
    compound_share: float = 0.1  # clips whose bars are squeezed into 6/8
    any_tempo_share: float = (
        0.2  # clips at 60 to 180 bpm whatever the genre (6/8: 40 to 110 dotted quarters in all clips)
    )
    rubato_share: float = 0.15  # clips whose tempo sways by up to a tenth
    push_share: float = 0.15  # clips in which half of the changes come half a beat early
    inversion_share: float = 0.15  # clips in which a third of the chords gets its third or fifth as bass
    free_share: float = 0.0  # clips whose players' notes are drawn at random instead of taken from patterns
    solo_share: float = 0.0  # clips in which one player is alone
    seed: int = 0
    workers: int = 2


PARTS = {  # of a song folder; the second name is that of POP909 as its authors publish it, {} the folder's own
    "chords": ("chords.txt", "chord_midi.txt"),
    "beats": ("beats.txt", "beat_midi.txt"),
    "key": ("key.txt", "key_audio.txt"),
    "notes": ("arrangement.mid", "{}.mid"),
}


def find_songs(source: Path, held_out: str) -> list[Path]:
    """Song folders not held out, then the lead sheets that lie in no song folder, each in order of path."""
    found = sorted(path for name in PARTS["chords"] for path in source.rglob(name))
    folders = list(dict.fromkeys(path.parent for path in found))
    inside = set(folders)
    files = [p for p in sorted(source.rglob("*")) if p.suffix.lower() in SUFFIXES and inside.isdisjoint(p.parents)]
    return [f for f in folders if f.name[-1] not in held_out] + [f for f in files if has_chords(f)]


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


def render(index: int, cfg: Config, songs: list[Path], out: Path) -> dict:
    """Render clip ``index`` (a function of seed and index alone) and return its metadata row."""
    rng = random.Random(cfg.seed * 1_000_003 + index)
    path = rng.choice(songs)
    sheet = excerpt(read_song(path), cfg, rng)
    take = orchestrate(sheet, seed=rng.randrange(2**31))
    for share, other in ((cfg.free_share, free), (cfg.solo_share, solo)):
        if share and rng.random() < share:  # no draw where there is no share: older renderings come out the same
            take = other(take, sheet, rng)
    name = f"{index // 1000:03d}/{index:06d}.flac"
    if not (out / name).is_file():
        wave = synthesize(take.arrangement.to_pretty_midi(), 16000, duration_s=cfg.seconds, soundfont=cfg.soundfont)
        save_audio(out / name, wave, 16000)
    sheet = replace(sheet.crop(0.0, cfg.seconds), melody=())
    return {
        "file_name": name, "text": take.prompt, "genre": sheet.genre, "key": str(sheet.key), "bpm": round(sheet.bpm, 2),
        "lead_sheet": sheet.to_json(), "arrangement": take.arrangement.to_json(), "source": path.name,
    }  # fmt: skip


def remember(out: Path, now: dict) -> None:
    """Write the settings beside the clips; refuse to go on among clips that others made (more clips and workers are no others)."""
    path = out / "render.json"
    before = json.loads(path.read_text()) if path.is_file() else now
    other = [k for k in now if k not in ("clips", "workers") and before.get(k) != now[k]]
    if other:
        raise SystemExit(f"{out} was rendered with another {', '.join(other)}: give another folder, or remove it")
    (out / "000").mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1))


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        raise SystemExit(manual(__doc__, Config))
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    cfg = read(Config, sys.argv[3:])
    cfg.soundfont = str(find_soundfont(cfg.soundfont))
    songs = find_songs(source, cfg.held_out)
    if not songs:
        raise SystemExit(
            f"no songs in {source}: give a folder of lead sheets with chords ({', '.join(SUFFIXES)}) or of song folders "
            f"({', '.join(names[0] for names in PARTS.values())}) whose names end in no digit of held_out={cfg.held_out}"
        )
    remember(out, {"songs": len(songs), **asdict(cfg), "soundfont": Path(cfg.soundfont).name})
    work = partial(render, cfg=cfg, songs=songs, out=out)
    with Pool(cfg.workers) as pool:
        rows = list(
            tqdm(pool.imap(work, range(cfg.clips), chunksize=16), total=cfg.clips, desc="rendering", unit="clip")
        )
    (out / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
