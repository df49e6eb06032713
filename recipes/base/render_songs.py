"""Songs with chords → rendered clips with exact truth, in six genres, all keys, many tempi.

    python recipes/base/render_songs.py SONGS OUT clips=6000 seconds=10.24 soundfont=FluidR3Mono_GM.sf3

SONGS holds song folders, lead sheets or both, in any depth. A song folder is one of POP909
(github.com/music-x-lab/POP909-Dataset: NNN.mid, chord_midi.txt, beat_midi.txt, key_audio.txt) or has the same under the
names arrangement.mid, chords.txt, beats.txt, key.txt: chords are start and end in seconds and a Harte label, beats are
seconds, beat flag and downbeat flag. A lead sheet is any file that LeadSheet.load reads: MIDI (.mid, chords as
markers), MusicXML (.musicxml, .xml, .mxl), JAMS (.jams) or our own .json, with chords in it; one without is named and
left out.

OUT gets FLAC files and metadata.jsonl (AudioFolder convention: file_name, text, genre, key, bpm, lead_sheet,
arrangement, source). Songs whose folder name ends in a digit of ``held_out`` are left for tests.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tqdm import tqdm

from musetune.audio import find_soundfont
from musetune.datasets.rendering.settings import RenderingConfig
from musetune.datasets.rendering.songs import PARTS, find_songs, remember, render
from musetune.formats.files import SUFFIXES
from musetune.processes import parallel_map
from musetune.training.config import folders_and_config


def main() -> None:
    (source, out), cfg = folders_and_config(("SONGS", "OUT"), RenderingConfig, __doc__)
    cfg.soundfont = str(find_soundfont(cfg.soundfont))
    songs = find_songs(source, cfg.held_out)
    if not songs:
        raise SystemExit(
            f"no songs in {source}: give a folder of lead sheets with chords ({', '.join(SUFFIXES)}) or of song "
            f"folders "
            f"({', '.join(names[0] for names in PARTS.values())}) whose names end in no digit of "
            f"held_out={cfg.held_out}"
        )
    remember(out, {"songs": len(songs), **asdict(cfg), "soundfont": Path(cfg.soundfont).name})
    work = partial(render, cfg=cfg, songs=songs, out=out)
    clips = parallel_map(work, range(cfg.clips), cfg.workers)
    rows = list(tqdm(clips, total=cfg.clips, desc="rendering", unit="clip"))
    (out / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
