"""Which meter, where the beats and the bar lines.

Held-out songs recast in six meters, with rubato, played by a band with drums.

    python benchmarks/meters.py --data ../shared/data [--songs 8]

POP909 songs in 4/4 (numbers that end in 5), some eighths of each bar cut out (`musetune.datasets.corpus.in_meter`), on
TimGM6mb, which training never heard; a third wander in tempo. Per cent.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import mir_eval
import numpy as np
from tqdm import tqdm

from musetune.analysis import analyze
from musetune.audio import synthesize
from musetune.audio.source import RATE
from musetune.datasets.band import with_band
from musetune.datasets.corpus import HALVES, AnnotatedSong, in_meter, load_pop909, rubato


def recast(song: AnnotatedSong, meter: str, number: int) -> tuple[AnnotatedSong, np.ndarray]:
    """The song in `meter` and its sound."""
    import pretty_midi

    rng = np.random.default_rng((number, len(meter)))
    song = song if meter == "4/4" else in_meter(song, meter)
    song = rubato(song, rng, 0.08) if number % 3 == 0 else song
    font = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
    return song, synthesize(with_band(song, rng, drums=1.0), RATE, duration_s=song.duration_s, soundfont=font)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / "../shared/data")
    parser.add_argument("--songs", type=int, default=8)
    args = parser.parse_args()
    folders = [f for f in sorted((args.data / "pop909").iterdir()) if f.name[-1] == "5" and int(f.name[-2]) % 2 == 0]
    songs = [song for song in (load_pop909(f, 20.0, 60.0) for f in folders) if song.meter == "4/4"][: args.songs]
    print("| meter | heard as | beat F | downbeat F |\n|---|---|---|---|")
    for meter in tqdm(["4/4", *HALVES]):
        heard, rows = Counter(), []
        for number, plain in enumerate(songs):
            song, wave = recast(plain, meter, number)
            sheet = analyze(wave, RATE).lead_sheet
            heard[str(sheet.meter)] += 1
            truth = ((song.beats_s, sheet.beats_s), (song.downbeats_s, sheet.downbeats_s))
            rows.append([100 * mir_eval.beat.f_measure(a, np.asarray(b)) for a, b in truth])
        told = ", ".join(f"{name} {count}" for name, count in heard.most_common())
        print(f"| {meter} | {told} | {np.mean(rows, axis=0)[0]:.1f} | {np.mean(rows, axis=0)[1]:.1f} |")


if __name__ == "__main__":
    main()
