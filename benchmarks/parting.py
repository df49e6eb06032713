"""stems=True: does each player's audio hold that player's notes, and nobody else's?

    python benchmarks/parting.py [--sheets 8] [--out out/parting]

Of test sheets with the rule-made arrangement of most players, every player is played alone (`pipe(…, stems=True)`).
Each player's audio, and their sum, is held against the notes of drums (strokes_f by madmom), bass and lead (share of
the time at the right pitch, by basic-pitch) and against the chords (majmin by Chordino); beside it the same of a
synthesiser's renderings. A player's own column should be high, the others as low as the synthesiser's: a solo bass
tells chords too. Prints two tables and writes parting.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.audio import save_audio, synthesize
from musetune.evaluation import adherence, bootstrap_mean, judge, load_test_sheets
from musetune.evaluation.notes import note_scores
from musetune.evaluation.testset import TestSheet
from musetune.evaluation.transcription import transcribe
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.songs import mix_stems, solo_arrangements
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols.arrangement import Arrangement

COLUMNS = {"drums": "strokes_f", "bass": "bass_pitch", "lead": "lead_pitch", "chords": "majmin"}
ROWS = ("drums", "bass", "guitar", "keys", "lead", "all")
TAKES = 20  # seeds that are tried for a take with most players
Scores = dict[str, dict[str, float | None]]  # whose audio → COLUMNS → score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", type=int, default=8, help="test sheets, spread over the set")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", default="out/parting")
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")
    pipe.set_progress_bar_config(disable=True)
    every = load_test_sheets()
    tests = [every[i * len(every) // args.sheets] for i in range(args.sheets)]
    found: dict[str, list[Scores]] = {"nano": [], "synthesiser": []}
    for test in tqdm(tests, unit="sheet"):
        takes = (orchestrate(test.sheet, seed=test.seed + i).arrangement for i in range(TAKES))
        notes = max(takes, key=lambda take: len({"drums", "bass", "lead"} & take.stems.keys()))
        for maker, parts in (("nano", played(pipe, test, notes, args.steps)), ("synthesiser", rendered(notes, test))):
            for name, audio in parts.items():
                save_audio(out / f"{test.id}-{maker}-{name}.flac", audio, 16000)
            found[maker].append({name: heard(audio, notes, test) for name, audio in parts.items()})
    for maker, scores in found.items():
        print(f"\n{maker}, {len(scores)} sheets, %\n\n{table(scores)}")
    (out / "parting.json").write_text(json.dumps({"settings": vars(args), "scores": found}, indent=1))


def played(pipe: MuseTunePipeline, test: TestSheet, notes: Arrangement, steps: int) -> dict[str, np.ndarray]:
    """Each player's audio by the pipeline, and their mix."""
    song = pipe(
        test.prompt,
        lead_sheet=test.sheet,
        arrangement=notes,
        stems=True,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(test.seed),
    )
    return {**song.stems, "all": song.audios[0]}


def rendered(notes: Arrangement, test: TestSheet) -> dict[str, np.ndarray]:
    """The same by a synthesiser."""
    parts = {
        name: synthesize(alone.to_pretty_midi(), 16000, duration_s=test.sheet.duration_s)
        for name, alone in solo_arrangements(notes).items()
    }
    whole = mix_stems(parts)[0]
    peak = max(1.0, float(np.abs(whole).max()))
    return {name: audio / peak for name, audio in {**parts, "all": whole}.items()}


def heard(audio: np.ndarray, notes: Arrangement, test: TestSheet) -> dict[str, float | None]:
    """COLUMNS of one audio against all players' notes and the sheet's chords."""
    scores = note_scores(notes, transcribe(audio, 16000), test.sheet.duration_s)
    scores |= adherence(test.sheet, judge(audio, 16000, tempo_hint=test.sheet))
    return {name: scores[measure] for name, measure in COLUMNS.items()}


def table(scores: list[Scores]) -> str:
    """Means of every player's audio (rows) against everybody's notes (columns)."""
    lines = ["| audio of | n | " + " | ".join(COLUMNS) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    for row in ROWS:
        these = [s[row] for s in scores if row in s]
        means = [bootstrap_mean([one[column] for one in these]) for column in COLUMNS]
        cells = ["—" if mean is None else f"{100 * mean.mean:.0f}" for mean in means]
        lines.append(f"| {row} | {len(these)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
