"""Songs with chords → clips in 48 kHz stereo, each player from a soundfont drawn anew, mixed at random.

    python recipes/base/render_stereo.py SONGS OUT "soundfonts=[FluidR3_GM.sf2,MuseScore_General.sf3]" clips=1000

SONGS is what render_songs.py takes. OUT gets FLAC files in folders of a thousand and metadata.jsonl (file_name, text,
genre, source). The clips are what pretrain_upsampler.py learns from, beside recordings. Songs whose folder name ends
in a digit of ``held_out`` are left for tests; ``only_held_out=true`` renders those alone.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.audio import find_soundfont, save_audio
from musetune.datasets.rendering.excerpts import excerpt
from musetune.datasets.rendering.settings import RenderingConfig
from musetune.datasets.rendering.songs import find_songs, read_song, remember
from musetune.datasets.rendering.stereo import mix_in_stereo
from musetune.planning.rules.orchestrate import orchestrate
from musetune.processes import parallel_map
from musetune.training.config import folders_and_config


@dataclass
class Config:
    """Every option, its default, its meaning."""

    soundfonts: list[str] = field(default_factory=list)  # stereo .sf2 or .sf3 files; none: the one that is found
    clips: int = 1000
    seconds: float = 10.24
    held_out: str = "05"  # last digits of song folders that are left for tests
    only_held_out: bool = False  # render the held-out songs and no others
    seed: int = 0
    workers: int = 2


def render(index: int, cfg: Config, songs: list[Path], out: Path) -> dict:
    """Render clip ``index``, a function of seed and index alone, and return its metadata row."""
    draw = random.Random(cfg.seed * 1_000_003 + index)
    path = draw.choice(songs)
    sheet = excerpt(read_song(path), RenderingConfig(seconds=cfg.seconds), draw)
    take = orchestrate(sheet, seed=draw.randrange(2**31))
    name = f"{index // 1000:03d}/{index:06d}.flac"
    if not (out / name).is_file():
        rng, fonts = np.random.default_rng([cfg.seed, index]), [Path(font) for font in cfg.soundfonts]
        wave = mix_in_stereo(take.arrangement.to_pretty_midi(), fonts, rng, seconds=cfg.seconds)
        save_audio(out / name, wave, 48000)
    return {"file_name": name, "text": take.prompt, "genre": sheet.genre, "source": path.name}


def main() -> None:
    (source, out), cfg = folders_and_config(("SONGS", "OUT"), Config, __doc__)
    cfg.soundfonts = [str(find_soundfont(font)) for font in cfg.soundfonts] or [str(find_soundfont())]
    songs = find_songs(source, "" if cfg.only_held_out else cfg.held_out)
    if cfg.only_held_out:
        songs = [song for song in songs if song.name[-1] in cfg.held_out]
    if not songs:
        raise SystemExit(f"no songs in {source} for held_out={cfg.held_out}: see --help for what a folder holds")
    fonts = [Path(font).name for font in cfg.soundfonts]
    remember(out, {"songs": len(songs), **asdict(cfg), "soundfonts": fonts})
    work = partial(render, cfg=cfg, songs=songs, out=out)
    clips = parallel_map(work, range(cfg.clips), cfg.workers)
    rows = list(tqdm(clips, total=cfg.clips, desc="rendering", unit="clip", mininterval=5))
    (out / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
