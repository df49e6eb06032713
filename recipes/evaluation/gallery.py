"""The gallery: one progression in every genre, by the theory adapter with each genre's adapter on it.

    python recipes/evaluation/gallery.py [--chords "I V vi IV"] [--key "C major"] [--bpm 110] [--out gallery]

Writes a short OGG, a chart and spectrograms to 24 kHz of left and right for each genre into OUT, and gallery.json with
their scores, which `python tools/docs_results.py` makes a page of. The audio is 48 kHz stereo at -16 LUFS; --mono16
gives the base's own 16 kHz mono. One seed for all, nothing is picked. The scores are the judges', or MuseTune's own
analyser's where the judges are not installed; they listen to the mono sound, which is what both channels' mean is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio.export import export_audio
from musetune.display.evaluation_charts import draw_chart
from musetune.display.spectrograms import draw_channels
from musetune.evaluation import missing_judges, report
from musetune.symbols.lead_sheet import GENRES

JUDGES = "Chordino and madmom"


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    sheet = LeadSheet.from_progression(args.chords.split(), key=args.key, bpm=args.bpm, duration_seconds=args.seconds)
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)
    pipe.load_upsampler()
    for genre in args.genres:
        pipe.load_adapter(genre, name=Path(genre).name)
    clips = {}
    for genre in (Path(genre).name for genre in args.genres):
        clips[genre] = play(pipe, genre, sheet, args)
        print(genre, clips[genre], flush=True)
    settings = {name: getattr(args, name) for name in ("chords", "key", "bpm", "seed")}
    record = settings | {"listener": "MuseTune's analyser" if missing_judges() else JUDGES, "clips": clips}
    (args.out / "gallery.json").write_text(json.dumps(record, indent=1) + "\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chords", default="I V vi IV")
    parser.add_argument("--key", default="C major")
    parser.add_argument("--bpm", type=float, default=110)
    parser.add_argument("--seconds", type=float, default=10.24)
    parser.add_argument("--genres", nargs="+", default=list(GENRES), help="genre adapters: bundled names or folders")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--lufs", type=float, default=-16.0, help="loudness of the clips")
    parser.add_argument("--mono16", action="store_true", help="the base's own 16 kHz mono instead of 48 kHz stereo")
    parser.add_argument("--out", type=Path, default=Path("gallery"))
    return parser.parse_args(arguments)


def play(pipe: MuseTunePipeline, genre: str, sheet: LeadSheet, args: argparse.Namespace) -> dict[str, float | None]:
    """Write GENRE.ogg, GENRE.png and, in stereo, GENRE-channels.png.

    Returns the shares of chords and of beats that were followed.
    """
    pipe.set_adapter(genre)
    generator = torch.Generator().manual_seed(args.seed)
    output = pipe(f"{genre} music", lead_sheet=sheet, num_inference_steps=args.steps, generator=generator)
    wave, rate = output.audios[0], output.sampling_rate
    judged = report(wave, rate, sheet, listener="musetune" if missing_judges() else "judges")
    sound, sound_rate = (wave, rate) if args.mono16 else (pipe.to_stereo(wave), 48000)
    export_audio(args.out / f"{genre}.ogg", sound, sound_rate, lufs=args.lufs)
    if not args.mono16:
        draw_channels(args.out / f"{genre}-channels.png", sound, sound_rate, title=f"{args.chords}: {genre}")
    draw_chart(
        args.out / f"{genre}.png", wave, rate, sheet, judged.estimate, title=f"{args.chords} in {args.key}: {genre}"
    )
    return {name: judged.scores[name] for name in ("majmin", "beat_f")}


if __name__ == "__main__":
    main(sys.argv[1:])
