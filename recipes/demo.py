"""The whole path in a few minutes, on two CPU cores: analyse a real song, prepare a data set, fine-tune, generate,
judge.

    python recipes/demo.py [--song FILE] [--out out]

Without --song it fetches three real recordings from Debian's package asc-music (GPL-2+; unpacked into .cache, never
shipped); where Debian cannot be asked it plays three songs of its own on a synthesiser instead, and says so. Leaves in
OUT: song.json (what was heard in the song), demo.wav, demo.png and demo.json (I V vi IV in C at 120 bpm by the shipped
adapter, what was asked and what the judges heard), finetuned.wav (the same by the adapter that was just trained). Both
are 48 kHz stereo; --mono16 gives the base's own 16 kHz mono.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from musetune.audio import load_audio, save_audio
from musetune.audio.export import export_audio
from musetune.display.evaluation_charts import draw_chart
from musetune.evaluation import missing_judges, report
from musetune.symbols import LeadSheet

REPOSITORY = Path(__file__).parents[1]
PACKAGE, CACHE = "asc-music", REPOSITORY / ".cache" / "asc-music"
PROMPT = "bright pop song with piano, bass and drums, 120 bpm"
RATE = 44100
RENDERED = {  # where there is no real song: genre, progression, key, bpm
    "pop": ("I V vi IV IV V I I", "D major", 112),
    "jazz": ("ii7 V7 Imaj7 Imaj7 ii7 V7 vi7 VI7", "Bb major", 132),
    "rock": ("i bVII bVI bVII i iv V7 i", "E minor", 124),
}
RENDERED_SECONDS = 64.0


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    out, began = Path(args.out), time.monotonic()
    songs = [Path(args.song)] if args.song else fetch_songs()
    say(1, f"analyse {songs[0].name}: some seconds a minute of music")
    analyse(songs[0], out)
    say(
        2, f"prepare a data set from a minute of each of {len(songs)} songs: analyse it, cut it on bar lines, encode it"
    )
    data = prepare(songs, args, out / "demo-work")
    say(3, f"fine-tune a genre adapter on it for {args.train_steps} steps, over the frozen theory adapter")
    trained = finetune(data, args, out / "demo-work")
    say(4, "generate I V vi IV in C major at 120 bpm, by the shipped adapter and by the new one")
    generate(args, out, trained)
    print(f"\ndone in {time.monotonic() - began:.0f} s; listen to {out / 'demo.wav'}, look at {out / 'demo.png'}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--song", help="an MP3, WAV, FLAC or OGG of yours; default: three songs from Debian, else rendered ones"
    )
    parser.add_argument("--out", default="out")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--excerpt-seconds", type=float, default=62.0, help="of each song that go into the data set")
    parser.add_argument("--train-steps", type=int, default=30)
    parser.add_argument("--steps", type=int, default=20, help="denoising steps")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mono16", action="store_true", help="the base's own 16 kHz mono instead of 48 kHz stereo")
    return parser.parse_args(arguments)


def say(number: int, what: str) -> None:
    print(f"\n[{number}/4] {what}", flush=True)


def command_part(part: str | Path) -> str:
    """A part of a command as one would type it here."""
    return os.path.relpath(part) if Path(part).is_absolute() else shlex.quote(str(part))


def run(*command: str | Path) -> None:
    """Run one of MuseTune's own commands with this Python, showing it."""
    line = [str(part) for part in command]
    print("$ python " + " ".join(map(command_part, command)), flush=True)
    subprocess.run([sys.executable, *line], check=True, cwd=REPOSITORY)


def fetch_songs() -> list[Path]:
    """Three MP3s from Debian's asc-music, unpacked into the cache; songs of our own where Debian cannot be asked."""
    unpacked = (
        subprocess.run([str(REPOSITORY / "tools" / "debian.sh"), PACKAGE, str(CACHE)], check=False).returncode == 0
    )
    songs = sorted(CACHE.rglob("*.mp3"), key=lambda path: path.stat().st_size) if unpacked else []
    if not songs:
        print(
            "so these three songs are RENDERED by a synthesiser from lead sheets, not recorded; to hear what a real one"
        )
        print("does, name one of yours:  make demo SONG=song.mp3")
        return render_songs(CACHE.parent / "rendered-songs")
    print(f"songs of the Debian package {PACKAGE}; their licence: {next(CACHE.rglob('copyright'))}")
    return songs


def render_songs(folder: Path) -> list[Path]:
    """Three songs of about a minute as MP3s, arranged by rule and played by the General MIDI soundfont at hand."""
    from musetune.audio import synthesize
    from musetune.planning.rules.orchestrate import orchestrate

    songs = []
    for seed, (genre, (chords, key, bpm)) in enumerate(RENDERED.items()):
        sheet = LeadSheet.parse(chords, key=key, bpm=bpm, duration_seconds=RENDERED_SECONDS, genre=genre)
        midi = orchestrate(sheet, seed=seed).arrangement.to_pretty_midi()
        wave = synthesize(midi, RATE, duration_s=RENDERED_SECONDS)
        songs.append(save_audio(folder / f"rendered-{genre}.mp3", wave, RATE))
    return songs


def analyse(song: Path, out: Path) -> None:
    """Write song.json and print the gist of it."""
    from musetune.analysis import analyze

    began = time.monotonic()
    record = analyze(song).to_json()
    out.mkdir(parents=True, exist_ok=True)
    (out / "song.json").write_text(json.dumps(record, indent=2, ensure_ascii=False))
    first = " ".join(span["chord"] for span in record["chords"][:8])
    print(f"{record['key']}, {record['bpm']:.0f} bpm, {record['time_signature'] or 'meter unsure'}; {first} …")
    print(f"{out / 'song.json'}: {record['source']['duration_s']:.0f} s of music in {time.monotonic() - began:.0f} s")


def prepare(songs: list[Path], args: argparse.Namespace, work: Path) -> Path:
    """An excerpt of each song, and the data set made of them."""
    music, data = work / "music", work / "data"
    shutil.rmtree(work, ignore_errors=True)
    for song in songs:
        wave, rate = load_audio(song, RATE)
        middle = max(0, len(wave) // 2 - int(args.excerpt_seconds * rate / 2))
        excerpt = wave[middle : middle + int(args.excerpt_seconds * rate)]
        save_audio(music / f"{song.stem}.flac", excerpt / max(1.0, abs(excerpt).max()), rate)
    run(
        REPOSITORY / "recipes" / "prepare.py",
        music.resolve(),
        data.resolve(),
        "--base",
        args.base,
        "--licence",
        "see its source",
        "--transpose",  # by nothing: the demo is short
    )
    return data


def finetune(data: Path, args: argparse.Namespace, work: Path) -> Path:
    """A LoRA on the data set; returns the adapter's folder."""
    runs = work / "run"
    run(
        REPOSITORY / "recipes" / "finetune.py",
        REPOSITORY / "recipes" / "configs" / "genre.yaml",
        f"pretrained_model_name_or_path={args.base}",
        f"theory_adapter={args.adapter}",
        f"train_data_dir={data.resolve()}",
        f"output_dir={runs.resolve()}",
        f"max_train_steps={args.train_steps}",
        "train_batch_size=4",
        "lr_warmup_steps=5",
        "mixed_precision=no",
        "report_to=null",
    )
    return runs / "adapter"


def generate(args: argparse.Namespace, out: Path, trained: Path) -> None:
    """demo.wav with its chart and report by the shipped adapter; finetuned.wav by the one just trained."""
    import torch

    from musetune.pipeline.loading import quiet
    from musetune.pipeline.pipeline import MuseTunePipeline

    quiet()
    sheet = LeadSheet.from_progression(
        ["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=10.24, genre="pop"
    )
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)
    pipe.load_upsampler()
    listener = "musetune" if missing_judges() else "judges"
    for name in ("demo", "finetuned"):
        if name == "finetuned":
            pipe.load_adapter(trained)
        generator = torch.Generator().manual_seed(args.seed)
        output = pipe(PROMPT, lead_sheet=sheet, num_inference_steps=args.steps, generator=generator)
        wave, rate = output.audios[0], output.sampling_rate
        if args.mono16:
            export_audio(out / f"{name}.wav", wave, rate)
        else:
            export_audio(out / f"{name}.wav", pipe.to_stereo(wave), 48000)
        judged = report(wave, rate, sheet, listener=listener)
        print(f"{out / name}.wav: asked {' '.join(sheet.chord_labels)}")
        print(
            f"  {judged.listener} heard {' '.join(judged.estimate.labels)}; majmin "
            f"{100 * (judged.scores['majmin'] or 0):.0f} %",
            end="",
        )
        print(f", beat F {100 * (judged.scores['beat_f'] or 0):.0f} %")
        if name == "demo":
            settings = {
                "prompt": PROMPT,
                "seed": args.seed,
                "base": args.base,
                "adapter": args.adapter,
                "steps": args.steps,
            }
            (out / "demo.json").write_text(judged.dumps(settings))
            draw_chart(
                out / "demo.png", wave, rate, sheet, judged.estimate, title=f"I V vi IV in C major at 120 bpm: {PROMPT}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
