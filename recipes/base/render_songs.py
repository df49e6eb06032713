"""Songs with chords → rendered clips with exact truth, in six genres, all keys, many tempi, many timbres.

    python recipes/analyzer/materials.py cache=.cache/materials
    python recipes/base/render_songs.py SONGS OUT materials=.cache/materials clips=6000
    python recipes/base/render_songs.py SONGS OUT materials=.cache/materials stereo=true clips=430
    python recipes/base/render_songs.py SONGS OUT materials=.cache/materials only_held_out=true unknown_sounds=true
    python recipes/base/render_songs.py SONGS OUT soundfont=FluidR3Mono_GM.sf3

The first line unpacks soundfonts and drum kits (no root, nothing is installed). The second renders what nano learns
from: each player by a soundfont drawn anew, half of the drums by a kit, played unevenly, at a level, a place, with an
equaliser, a room and a compressor drawn at random, mixed at 48 kHz in stereo and brought down to 16 kHz mono. The third
keeps the stereo for pretrain_upsampler.py. The fourth renders songs that no training saw with the soundfont and the kit
that no training hears. The last plays all clips with one soundfont, as written and unmixed. A run that was stopped goes
on with the same command.

SONGS holds song folders, lead sheets or both, in any depth. A song folder is one of POP909
(github.com/music-x-lab/POP909-Dataset: NNN.mid, chord_midi.txt, beat_midi.txt, key_audio.txt) or has the same under the
names arrangement.mid, chords.txt, beats.txt, key.txt: chords are start and end in seconds and a Harte label, beats are
seconds, beat flag and downbeat flag. A lead sheet is any file that LeadSheet.load reads: MIDI (.mid, chords as
markers), MusicXML (.musicxml, .xml, .mxl), JAMS (.jams) or our own .json, with chords in it; one without is named and
left out.

OUT gets FLAC files and metadata.jsonl (AudioFolder convention: file_name, text, genre, key, bpm, lead_sheet,
arrangement as written, source). Songs whose folder name ends in a digit of ``held_out`` are left for tests.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from musetune.audio import find_soundfont
from musetune.datasets.materials import find_held_out, reject_held_out, select
from musetune.datasets.rendering.settings import RenderingConfig
from musetune.datasets.rendering.songs import PARTS, find_songs, remember, render
from musetune.formats.files import SUFFIXES
from musetune.processes import parallel_map
from musetune.training.config import folders_and_config, run_command


def with_sounds(cfg: RenderingConfig) -> RenderingConfig:
    """The settings with every soundfont and kit named.

    Raises:
        ValueError: A kit has no soundfont beside it, the materials lack what is asked of them, or what is held out
            would be heard in training.
        FileNotFoundError: A soundfont is not there.
    """
    fonts = [find_soundfont(font) for font in cfg.soundfonts]
    kits = [Path(kit) for kit in cfg.kits]
    if not cfg.only_held_out:
        reject_held_out([*fonts, *kits])
    if cfg.unknown_sounds and not (cfg.materials and cfg.only_held_out):
        raise ValueError("unknown_sounds measures alone: give materials=FOLDER and only_held_out=true with it")
    if cfg.materials:
        cache = Path(cfg.materials)
        for kind, found in (("soundfont", fonts), ("kit", kits)):
            some = [find_held_out(cache, kind)] if cfg.unknown_sounds else select(cache, kind)
            found += [path for path in some if path is not None]
        if not fonts:
            raise ValueError(f"{cache} holds no soundfont: python recipes/analyzer/materials.py cache={cache}")
    if kits and not fonts:
        raise ValueError("kits play the drums of mixed clips: give soundfonts for the other players, or materials")
    font = str(find_soundfont(cfg.soundfont)) if cfg.plain_share or not fonts else None
    return replace(cfg, soundfont=font, soundfonts=[str(path) for path in fonts], kits=[str(path) for path in kits])


def render_all(cfg: RenderingConfig, source: Path, out: Path) -> None:
    """Render every clip that is not there yet, then write metadata.jsonl."""
    cfg = with_sounds(cfg)
    songs = find_songs(source, cfg.held_out, sheets=cfg.held_out_sheets, only=cfg.only_held_out)
    if not songs:
        raise ValueError(
            f"no songs in {source}: give a folder of lead sheets with chords ({', '.join(SUFFIXES)}) or of song "
            f"folders ({', '.join(names[0] for names in PARTS.values())}) whose names end in "
            f"{'a' if cfg.only_held_out else 'no'} digit of held_out={cfg.held_out}"
        )
    sounds = {
        "soundfont": cfg.soundfont and Path(cfg.soundfont).name,
        "soundfonts": [Path(font).name for font in cfg.soundfonts],
        "kits": [Path(kit).name for kit in cfg.kits],
        "materials": None,  # named one by one above
    }
    remember(out, {"songs": len(songs), **asdict(cfg), **sounds})
    work = partial(render, cfg=cfg, songs=songs, out=out)
    clips = parallel_map(work, range(cfg.clips), cfg.workers)
    rows = list(tqdm(clips, total=cfg.clips, desc="rendering", unit="clip", mininterval=5))
    (out / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    (source, out), cfg = folders_and_config(("SONGS", "OUT"), RenderingConfig, __doc__)
    run_command(partial(render_all, source=source, out=out), cfg)


if __name__ == "__main__":
    main()
