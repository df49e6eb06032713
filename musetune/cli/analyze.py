"""`musetune analyze`: files through the analyser, and what it recognises as text, tables, pictures and scores."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from musetune.cli.outputs import Force, check_new
from musetune.cli.stdin import DASH, stdin_file

if TYPE_CHECKING:
    from musetune.analysis.service.worker import AnalysisJob
    from musetune.symbols.estimate import AnalysisResult

HELP = """Hear chords, key, beats, tempo, meter and form.

FILES are audio (MP3, WAV, FLAC, OGG; M4A and others where ffmpeg is installed), MIDI, MusicXML, lead sheets (.json), or
folders of them; - reads one from standard input. One file is printed as a chart; many as a line each.

Files written are named after the music: song.mp3.analysis.csv, .beats.csv, .png, .mid, .musicxml, .jams; .chords.txt,
.keys.txt, .bars.txt, .sections.txt for Audacity; .chords.lab, .beats.lab, .downbeats.lab, .sections.lab, .keys.lab,
.key.lab for mir_eval. They lie beside it or, with --out, in that folder, below which the folders of the music are
mirrored; equal names get the names of the folders above too. Files that are there already stay as they are without
--force.

Examples:

  musetune analyze song.mp3                                 key, tempo, meter, and the chords in bars

  musetune analyze song.mp3 --plot --labels                 a picture to read; label tracks to import in Audacity

  musetune analyze song.mp3 --json | jq .key                the whole record

  musetune analyze ~/Music --csv --out tables --jobs 4      a library; run it again and only new files are heard

  musetune analyze song.mp3 --lab --jams                    chords and beats for mir_eval and JAMS

  cat song.mp3 | musetune analyze - --json                  from another program

  musetune analyze take.wav --sheet take.musicxml           a lead sheet to edit, and to give back to musetune generate

Exit code: 0 all went well, 1 some files could not be analysed, 2 none could.
"""


def analyze(
    files: Annotated[
        list[Path], typer.Argument(help="music, or folders of it; - for standard input", metavar="FILES...")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="print the whole record (one a line, of many); with --out, write it")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="write tables of the chords and of the beats")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="draw chords, beats, keys, cadences and form, as PNG")] = False,
    midi: Annotated[bool, typer.Option("--midi", help="write the lead sheet as MIDI")] = False,
    musicxml: Annotated[bool, typer.Option("--musicxml", help="write the lead sheet as MusicXML")] = False,
    jams: Annotated[bool, typer.Option("--jams", help="write JAMS, with the confidence of each chord")] = False,
    labels: Annotated[bool, typer.Option("--labels", help="write Audacity label tracks, chords as Am7")] = False,
    lab: Annotated[bool, typer.Option("--lab", help="write MIREX label files, chords as A:min7, for mir_eval")] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(help="write the lead sheet of one file here: .json, .mid, .musicxml, .mxl, .jams", dir_okay=False),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="folder for what is written", file_okay=False)] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="processes; default: one a core", min=1)] = None,
    beats: Annotated[str, typer.Option(help="who hears the beats: musetune, madmom or beat_this")] = "musetune",
    tempo_hint: Annotated[
        float | None, typer.Option(help="about how many beats a minute: settles half or double", min=30, max=300)
    ] = None,
    genres: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of genres of your own, as musetune/analysis/genres/*.yaml", dir_okay=False, exists=True
        ),
    ] = None,
    numerals: Annotated[
        str,
        typer.Option(help="what reads scores without chord symbols: network, rules, or auto"),
    ] = "auto",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="analyse anew, and keep nothing")] = False,
    force: Force = False,
) -> None:
    from musetune.analysis.genre.conventions import load_conventions
    from musetune.analysis.listening.engines import check_engine
    from musetune.analysis.numerals.reader import check_reader
    from musetune.analysis.service.batch import cores, find_files
    from musetune.analysis.service.cache import default_folder

    check_engine(beats)
    check_reader(numerals)
    flags = {
        "json": as_json and out is not None,
        "csv": csv,
        "plot": plot,
        "midi": midi,
        "musicxml": musicxml,
        "jams": jams,
        "labels": labels,
        "lab": lab,
    }
    outputs = tuple(kind for kind, on in flags.items() if on)
    if genres is not None:
        load_conventions(genres)
    options: dict[str, Any] = {
        "beats": beats,
        "tempo_hint": tempo_hint,
        "genres": None if genres is None else str(genres),
        "numerals": numerals,
    }
    options |= {"cache": None if no_cache else str(default_folder()), "outputs": outputs, "force": force}
    if len(files) > 1 and DASH in files:
        raise ValueError("- is standard input, which holds one file: give it alone")
    with stdin_file() if DASH in files else nullcontext() as stdin_path:
        music = [(stdin_path, Path("stdin"))] if stdin_path else find_files(files)
        _run(_jobs(music, out, sheet, options), jobs or cores(), as_json and out is None)


def _jobs(
    music: list[tuple[Path, Path]], out: Path | None, sheet: Path | None, options: dict[str, Any]
) -> dict[str, AnalysisJob]:
    """What to do by the name to print, checked before anything is done. music: files, and their names for output."""
    from musetune.analysis.service.batch import MARK
    from musetune.analysis.service.worker import AnalysisJob
    from musetune.formats.files import SUFFIXES

    if sheet is not None and len(music) > 1:
        raise ValueError(f"--sheet takes one file, not {len(music)}; --midi, --musicxml and --jams take many")
    if sheet is not None and sheet.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--sheet {sheet}: suffix {sheet.suffix!r} is not one of {', '.join(SUFFIXES)}")
    if sheet is not None and sheet.exists() and sheet.samefile(music[0][0]):
        raise ValueError(f"--sheet {sheet} would overwrite the music itself: give it another name")
    check_new([] if sheet is None else [sheet], options["force"], "--sheet")
    work: dict[str, AnalysisJob] = {}
    names = [name for _, name in music]
    for path, name in music:
        stdin = name == Path("stdin") and path.name != name.name
        folder = out / name.parent if out is not None else Path() if stdin else path.parent
        if out is not None and options["outputs"]:
            folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"{name.name}{MARK}"
        saved = None if sheet is None else str(sheet)
        work["stdin" if stdin else str(path)] = AnalysisJob(str(path), **options, stem=str(stem), sheet=saved)
    if out is not None and options["outputs"] and len({name.name for name in names}) < len(names):
        typer.echo(f"musetune: some names are equal: what is written lies in the music's folders below {out}", err=True)
    return work


def _run(work: dict[str, AnalysisJob], processes: int, as_json: bool) -> None:
    """Do it, say what was heard, and what could not be. Ends the program with 1 or 2 where something could not be."""
    from tqdm import tqdm

    from musetune.analysis.service.batch import reason, run_jobs

    failed: list[str] = []
    from_cache, alone = 0, len(work) == 1
    existing: list[str] = []
    names = {job.path: name for name, job in work.items()}
    bar = tqdm(total=len(work), unit="file", disable=alone, file=sys.stderr)
    with bar, closing(run_jobs(work.values(), processes)) as answers:
        for job, answer in answers:
            if isinstance(answer, Exception):
                text = reason(answer).replace(job.path, names[job.path])
                failed.append(text if names[job.path] in text else f"{names[job.path]}: {text}")
            else:
                from_cache += answer.cached
                existing += answer.existing
                for note in answer.notes:
                    tqdm.write(f"musetune: {note}", file=sys.stderr)
                name, result = names[job.path], answer.result
                text = result.dumps(2 if alone else None) if as_json else _summary(name, result, alone)
                tqdm.write("\n".join([text, *([] if as_json else answer.files)]), file=sys.stdout)
            bar.update()
    if existing:
        many = f"{existing[0]} and {len(existing) - 1} more" if len(existing) > 1 else existing[0]
        typer.echo(f"musetune: left as before: {many}; --force writes over what is there already", err=True)
    if alone and failed:
        typer.echo(f"musetune: {failed[0]}", err=True)
    elif not alone:
        cached = f", {from_cache} from the cache" if from_cache else ""
        typer.echo(f"{len(work) - len(failed)} of {len(work)} files analysed{cached}", err=True)
        for line in failed:
            typer.echo(f"  {line}", err=True)
    if failed:
        raise typer.Exit(2 if len(failed) == len(work) else 1)


def _summary(path: str, result: AnalysisResult, whole: bool) -> str:
    """One line of what was heard, with the chart beneath where `whole`."""
    from musetune.display.unsure import MARK, legend_for, unsure_chords
    from musetune.formats.chart_text import chart_text

    record = result.to_json()
    bpm, seconds = record.get("bpm"), (record.get("source") or {}).get("duration_s")
    genre = (record.get("genre_analysis") or {}).get("primary_genre")
    parts = [
        record.get("key") or "no key",
        None if bpm is None else f"{bpm:.1f} bpm",
        record.get("time_signature") or "meter unsure",
        "genre unsure" if genre == "unsure" else genre,
        None if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}",
    ]
    line = f"{path}: {', '.join(part for part in parts if part)}"
    if not whole:
        return line
    unsure = unsure_chords(record)
    chart = chart_text(result.lead_sheet, bars_per_line=4, marks=[MARK if one else "" for one in unsure])
    return "\n".join(part for part in (line, chart, legend_for(unsure)) if part)
