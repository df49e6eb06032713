"""Write the pages of docs/results/, and the table of README.md, from JSON files, so that no figure is copied by hand.

    python tools/docs_results.py                 write the pages and the table
    python tools/docs_results.py --check         say which pages differ from their figures; exit code 1 where some do
    python benchmarks/guidance.py --sheets … | python tools/docs_results.py --take guidance
                                                 put the first table that a benchmark printed into
                                                 docs/results/guidance.json

Three kinds of sources. `adapters/*/results.json` are what `recipes/evaluate.py` measured, `gallery/gallery.json` is what
`recipes/evaluation/gallery.py` generated. `docs/results/*.json` hold what a benchmark printed: `page`, `order`, `title`, `command`, `about` (what was done), `columns`, `rows`, `reading` (what
follows from it); `docs/results/analyser.json`, which `benchmarks/analysis.py --out` writes, has `sets`, `means`,
`meters` and `calibration` instead of `columns` and `rows`, and its tables show the unknown sets first. A cell is text, a
number, or `{"mean", "low", "high"}`: a mean with its 95 % interval.

The tables of HEARD name the analyser's networks that they were heard with: `weights`, the first twelve digits of SHA-256
of their file. Where these are not those that ship, the page says so, and `--check` refuses the table unless its
`superseded` says why it stays.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "docs" / "results"
ADAPTERS = REPOSITORY / "adapters"
GALLERY = REPOSITORY / "gallery" / "gallery.json"
README = REPOSITORY / "README.md"
NETWORKS = REPOSITORY / "musetune" / "analysis" / "listening" / "weights.safetensors"
HEARD = ("analyser", "certainty", "genre", "bar_confidence", "report_agreement")  # what the analyser's networks heard
MARKS = re.compile("(<!-- results -->\n).*(<!-- /results -->)", re.DOTALL)
LISTENING_MARKS = re.compile("(<!-- listening -->\n).*(<!-- /listening -->)", re.DOTALL)  # README.md may have them
GENERATED = "<!-- Written by tools/docs_results.py from the named results.json files: do not edit. -->"
INTERVAL = re.compile(r"^\*{0,2}(-?[\d.]+) \((-?[\d.]+)–(-?[\d.]+)\)\*{0,2}$")
NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
PAGES = {
    "adapter": "What each part of the adapter is worth",
    "songs": "Plans, notes and players",
    "analysis": "Analysis",
    "sound": "48 kHz stereo",
    "cost": "Time, memory and size",
    "serving": "The service under load and faults",
}
MEASURES = {
    "root": "chord roots",
    "majmin": "major and minor chords",
    "triads": "triads",
    "tetrads": "chords with sevenths",
    "beat_f": "beats, F",
    "downbeat_f": "bar lines, F",
    "bar_changes": "chord changes on bar lines",
    "tempo_acc1": "tempo within 4 %",
    "key": "key (weighted)",
    "genre": "genre, by our analyser",
    "clap": "likeness to the words (CLAP of nano)",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers of a column get equally many decimals."""
    rows = [list(row) for row in rows]
    decimals = [max((_decimals(row[i]) for row in rows), default=0) for i in range(len(columns))]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(v, d) for v, d in zip(row, decimals, strict=True)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(value: Any, decimals: int) -> str:
    """A cell as text: 62.2 (56–69), 3.00, or the text itself."""
    if isinstance(value, dict):
        ends = max(_places(value["low"]), _places(value["high"]))
        return f"{value['mean']:.{decimals}f} ({value['low']:.{ends}f}–{value['high']:.{ends}f})"
    return f"{value:.{decimals}f}" if isinstance(value, (int, float)) else str(value)


def _decimals(value: Any) -> int:
    return _places(value["mean"]) if isinstance(value, dict) else _places(value) if not isinstance(value, str) else 0


def _places(number: float) -> int:
    return len(repr(number).partition(".")[2]) if isinstance(number, float) else 0


def read_cell(text: str) -> Any:
    """The value that a printed cell stands for."""
    text = text.strip()
    if found := INTERVAL.match(text):
        mean, low, high = (float(part) if "." in part else int(part) for part in found.groups())
        return {"mean": mean, "low": low, "high": high}
    if NUMBER.match(text):
        return float(text) if "." in text else int(text)
    return text


def read_tables(markdown: str) -> list[tuple[list[str], list[list[Any]]]]:
    """Columns and rows of every table in a Markdown text."""
    found: list[tuple[list[str], list[list[Any]]]] = []
    inside = False
    for line in markdown.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [part.strip() for part in line.strip().strip("|").split("|")]
        if set("".join(cells)) <= set("-: ") and inside:
            continue
        if not inside:
            found.append((cells, []))
            inside = True
        else:
            found[-1][1].append([read_cell(part) for part in cells])
    return found


def take(name: str, printed: str) -> Path:
    """Replace the table of docs/results/NAME.json by the first one in ``printed``."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise SystemExit(f"{path.name} does not exist: write it with page, order, title, command and about first")
    tables = read_tables(printed)
    if not tables:
        raise SystemExit("no Markdown table on standard input: pipe a benchmark's output into this command")
    record = json.loads(path.read_text())
    record["columns"], record["rows"] = tables[0]
    if name in HEARD:
        record["weights"] = networks_that_ship()
        record.pop("superseded", None)
    path.write_text(dumps(record))
    return path


def dumps(record: dict[str, Any]) -> str:
    """JSON with a row a line."""
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in record["rows"])
    head = json.dumps({k: v for k, v in record.items() if k != "rows"}, indent=1, ensure_ascii=False)
    return head[:-2] + ',\n "rows": [\n' + rows + "\n ]\n}\n"


def networks_that_ship() -> str:
    """The digest of the analyser's networks."""
    return hashlib.sha256(NETWORKS.read_bytes()).hexdigest()[:12]


def heard_with(record: dict[str, Any]) -> set[str | None]:
    """The digests of the networks that a table of HEARD names; None among them where it does not say."""
    return {some.get("weights") for some in record["sets"].values()} if "sets" in record else {record.get("weights")}


def heard_by_others() -> list[str]:
    """Tables of HEARD that the networks that ship did not hear, and that do not say why they stay."""
    found = []
    for name in HEARD:
        record = json.loads((FOLDER / f"{name}.json").read_text())
        if heard_with(record) != {networks_that_ship()} and not record.get("superseded"):
            found.append(name)
    return found


# -- pages -------------------------------------------------------------------------------------------------------------


def per_cent(value: dict[str, float] | None) -> str:
    """A mean with its interval in per cent."""
    if value is None:
        return "—"
    mean, low, high = (100 * value[name] for name in ("mean", "low", "high"))
    return f"{mean:.1f} ({low:.0f}–{high:.0f})"


def obedience() -> str:
    """The theory adapter's table, from adapters/theory/results.json."""
    record = json.loads((ADAPTERS / "theory" / "results.json").read_text())
    found, distance = record["table"], record["frechet"]
    rows: list[list[str]] = []
    for name, words in MEASURES.items():
        scores = [per_cent(column.get(name)) for column in found.values()]
        rows.append([words, *scores, "—" if name in ("genre", "clap") else reached(found, name)])
    for name in ("beat_f", "downbeat_f", "tempo_acc1"):
        told = f"{MEASURES[name]}, judge told nothing"
        rows.append([told, *(per_cent(column.get(f"{name} unhinted")) for column in found.values()), "—"])
    fad = ["—" if distance.get(name) is None else f"{distance[name]:.0f}" for name in found]
    rows.append(["Fréchet distance of timbre", *fad, "—"])
    return f"Command: `{record['command']}` ({record['n']} lead sheets)\n\n" + table(
        ["", *found, "share reached"], rows
    )


def reached(found: dict[str, dict[str, dict[str, float]]], name: str) -> str:
    """How far the adapter came on the way from floor A to ceiling B."""
    floor, adapter, ceiling = (found[column][name]["mean"] for column in ("floor A", "adapter", "ceiling B"))
    return f"{100 * (adapter - floor) / (ceiling - floor):.0f} %"


def genres() -> str:
    """What each genre adapter changes, from adapters/GENRE/results.json."""
    rows, commands = [], set()
    for path in sorted(ADAPTERS.glob("*/results.json")):
        record = json.loads(path.read_text())
        if "theory alone" not in record["table"]:
            continue
        before, after = record["table"]["theory alone"], record["table"]["adapter"]
        changes = [
            f"{per_cent(before[name])} → {per_cent(after[name])}"
            for name in ("majmin", "beat_f", "downbeat_f", "genre")
        ]
        distance = record["frechet"]
        rows.append([path.parent.name, *changes, f"{distance['theory alone']:.0f} → {distance['adapter']:.0f}"])
        commands.add(record["command"])
    columns = ["genre", *(MEASURES[n] for n in ("majmin", "beat_f", "downbeat_f", "genre")), "Fréchet distance"]
    return f"Command: `{'`, `'.join(sorted(commands))}`\n\n" + table(columns, rows)


GALLERY_PAGE = """{generated}

# Gallery

`{chords}` in {key} at {bpm:g} beats a minute, played by nano with each genre adapter on the theory adapter. All clips
have seed {seed}. Nothing was picked. The clips are 48 kHz stereo: nano's 16 kHz mono through
[StereoUpsampler](../how-to/stereo.md). The first picture shows the chords and beats as requested and as recognised. The
second shows both channels up to 24 kHz, and which of them is louder.

Command: `python recipes/evaluation/gallery.py`

{clips}
"""


def gallery() -> str:
    """The page with the sound, the chart and the scores of each genre, from gallery/gallery.json."""
    record = json.loads(GALLERY.read_text())
    clips = []
    for genre, scores in record["clips"].items():
        chords, beats = (100 * scores[name] for name in ("majmin", "beat_f"))
        clips.append(
            f"## {genre.capitalize()}\n\n"
            f'<audio controls aria-label="I V vi IV, {genre}" src="../assets/gallery/{genre}.ogg"></audio>\n\n'
            f"Major and minor chords: {chords:.0f} %. Beats, F: {beats:.0f} %. Judged by {record['listener']}.\n\n"
            f"![{genre}: spectrogram, requested and recognised chords and beats](../assets/gallery/{genre}.png)\n\n"
            f"![{genre}: left and right up to 24 kHz](../assets/gallery/{genre}-channels.png)"
        )
    return GALLERY_PAGE.format(**record | {"generated": GENERATED, "clips": "\n\n".join(clips)})


SHORT = ("majmin", "tetrads", "beat_f", "downbeat_f", "key")  # the measures that the README shows
SHORT_COLUMNS = {"floor A": "without the adapter", "adapter": "with the adapter", "ceiling B": "a synthesiser"}


def short_results() -> str:
    """The table of README.md, from adapters/theory/results.json."""
    record = json.loads((ADAPTERS / "theory" / "results.json").read_text())
    rows = [[MEASURES[name], *(per_cent(record["table"][column][name]) for column in SHORT_COLUMNS)] for name in SHORT]
    about = (
        f"nano played {record['n']} unseen lead sheets, one seed each, nothing picked; Chordino, madmom and essentia judged "
        "the audio. Last column: a synthesiser's audio through nano's codec. Per cent, with 95 % intervals:"
    )
    return f"{wrapped(about)}\n\n{table(['', *SHORT_COLUMNS.values()], rows)}"


# -- listeners
# ------------------------------------------------------------------------------------------------------------

OURS = "musetune"
QUANTITIES = {
    "majmin": "major and minor chords",
    "sevenths": "chords with sevenths",
    "inversions": "major and minor chords with their bass",
    "tetrads": "every chord with its seventh",
    "tetrads with bass": "every chord with its seventh and bass",
    "beat F": "beats, F at ±70 ms",
    "downbeat F": "bar lines, F at ±70 ms",
    "level": "tempo neither halved nor doubled, share of clips",
    "meter": "meter right, share of clips",
    "key": "key (weighted)",
    "× real time": "times faster than the music lasts, one core",
}


def unknown_first(record: dict[str, Any]) -> list[str]:
    """The sets that were heard, those of unknown timbre before the known."""
    return sorted(record["sets"], key=lambda name: record["sets"][name]["known"])


def best_other(record: dict[str, Any], of: str, column: str) -> tuple[str, float] | None:
    """Who of the others has the highest mean of a set in a column."""
    means = {
        name: per[of][column] for name, per in record["means"].items() if name != OURS and column in per.get(of, {})
    }
    return max(means.items(), key=lambda item: item[1]) if means else None


def beside_best(record: dict[str, Any]) -> str:
    """A row for each set, unknown first: MuseTune's mean, and in brackets the best other listener's."""
    columns = [column for column in QUANTITIES if column != "× real time"]
    rows = []
    for name in unknown_first(record):
        cells = []
        for column in columns:
            mine, other = record["means"][OURS].get(name, {}).get(column), best_other(record, name, column)
            rival = f" ({other[0]} {other[1]:.1f})" if other else ""
            cells.append("—" if mine is None else f"{mine:.1f}{rival}")
        rows.append([f"{name}, {'known' if record['sets'][name]['known'] else 'unknown'} timbre", *cells])
    return table(["set", *columns], rows).rstrip()


def standing(record: dict[str, Any]) -> list[str]:
    """A sentence for each quantity that others hear too: on how many unknown sets MuseTune leads, and where not."""
    sentences = []
    unknown = [name for name in unknown_first(record) if not record["sets"][name]["known"]]
    for column, words in QUANTITIES.items():
        rivals = {name: other for name in unknown if (other := best_other(record, name, column))}
        mine = {name: record["means"][OURS][name][column] for name in rivals if column in record["means"][OURS][name]}
        behind = [
            f"{name} ({rivals[name][0]} {rivals[name][1] - value:.1f} ahead)"
            for name, value in mine.items()
            if value < rivals[name][1]
        ]
        if mine and column != "× real time":
            rest = f"; behind on {', '.join(behind)}" if behind else ""
            count = len(mine) - len(behind)
            sentences.append(
                f"{words[0].upper() + words[1:]}: not behind on {count} of {len(mine)} unknown sets{rest}."
            )
    return sentences


def with_interval(record: dict[str, Any], listener: str, of: str, column: str) -> str:
    """A listener's mean of a set, as 93.2 (88–96); without an interval where none was stored."""
    mean = record["means"].get(listener, {}).get(of, {}).get(column)
    if mean is None:
        return "—"
    bounds = record.get("intervals", {}).get(listener, {}).get(of, {}).get(column)
    return f"{mean:.1f} ({bounds[0]:.0f}–{bounds[1]:.0f})" if bounds else f"{mean:.1f}"


def compared(about: dict[str, Any]) -> str:
    """Such as "; compared: majmin 161 s, sevenths 240 s", where a set says how long its chords could be."""
    seconds = about.get("seconds") or {}
    return "; compared: " + ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items()) if seconds else ""


def listening_tables(record: dict[str, Any]) -> list[str]:
    """The overview, a table for each quantity, what was heard of each meter, and how sure the truth of each set is."""
    order, means = unknown_first(record), record["means"]
    parts = ["MuseTune, and in brackets the best other of those asked:", beside_best(record)]
    heads = [f"{name} ({'known' if record['sets'][name]['known'] else 'unknown'})" for name in order]
    for column, words in QUANTITIES.items():
        rows = [
            [listener, *(with_interval(record, listener, name, column) for name in order)]
            for listener, per in means.items()
            if any(column in scores for scores in per.values())
        ]
        parts += [f"**{words[0].upper() + words[1:]}**", table(["", *heads], rows).rstrip()]
    if record["meters"]:
        played = list(dict.fromkeys(meter for counts in record["meters"].values() for meter in counts))
        rows = [[meter, *(heard_as(counts.get(meter, {})) for counts in record["meters"].values())] for meter in played]
        parts += [
            "**What was heard of each meter** of the set recast, clips",
            table(["played", *record["meters"]], rows),
        ]
        parts[-1] = parts[-1].rstrip()
    if record.get("calibration"):
        rows = [[name, f"{error:.3f}"] for name, error in record["calibration"].items()]
        parts += ["**Expected calibration error of MuseTune's confidence**", table(["", "error"], rows).rstrip()]
    truths = [
        f"{name}: {record['sets'][name]['songs']} clips; {record['sets'][name]['truth']}{compared(record['sets'][name])}."
        for name in order
    ]
    return [*parts, "How sure the truth is:", "\n".join(wrapped(sentence, "- ") for sentence in truths)]


def heard_as(counts: dict[str, int]) -> str:
    """Such as "6/8 17, 3/4 3"."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered) or "—"


SHORT_SETS = {  # of README.md, unknown first
    "pop-timgm": "new soundfont",
    "grooves": "new band (MMA)",
    "others": "MIDI of others",
    "recordings": "recordings",
    "pop-fluid": "known soundfont",
}
SHORT_QUANTITIES = {
    "majmin": "major and minor chords",
    "sevenths": "chords with sevenths",
    "beat F": "beats, F",
    "downbeat F": "bar lines, F",
}


def short_listening() -> str:
    """The table of README.md on hearing, from docs/results/analyser.json: unknown sets first, the known one last."""
    record = json.loads((FOLDER / "analyser.json").read_text())
    if "means" not in record:
        raise SystemExit(
            "analyser.json has no means: run python benchmarks/analysis.py --out docs/results/analyser.json"
        )
    about = "`analyze` on songs unheard in training ([more](docs/results/analysis.md)); in brackets the best other of those asked:"
    mine = record["means"][OURS]
    rows = []
    for column, words in SHORT_QUANTITIES.items():
        cells = []
        for name in SHORT_SETS:
            other = best_other(record, name, column)
            rival = f" ({other[0]} {other[1]:.0f})" if other else ""
            cells.append(f"{mine[name][column]:.0f}{rival}" if column in mine.get(name, {}) else "—")
        rows.append([words, *cells])
    return f"{wrapped(about)}\n\n{table(['', *SHORT_SETS.values()], rows)}"


HOURS = """## Hours of training, computed {{ #training_hours }}

Arithmetic of a training = steps × clips a step × TFLOP a clip. Steps and clips are read from `recipes/configs/*.yaml`,
TFLOP a clip from [cached training](#cached_training). Hours = arithmetic / sustained speed / 3600. The **sustained**
speed is what a machine really does, which is a part of what its maker promises: measure yours with `python
benchmarks/adapter_training.py --device cuda`. nano's 14 crops a second on two cores ([sizes and times](#cost_figures))
are 0.08 TFLOP/s. *n* GPUs divide the hours by *n* at best. These hours are computed, not measured.

{table}"""
TRAININGS = (
    ("genre adapter on nano", "genre", "nano"),
    ("theory adapter on nano", "theory", "nano"),
    ("theory adapter on AudioLDM 2", "audioldm2", "audioldm2"),
)  # what is trained, its file in recipes/configs, its base in cached_training.json
SPEEDS = (0.08, 10, 30, 100)  # TFLOP/s, sustained


def training_hours() -> str:
    """The table of computed hours."""
    import yaml

    measured = json.loads((FOLDER / "cached_training.json").read_text())
    column = {name: i for i, name in enumerate(measured["columns"])}
    cached = {row[0]: row for row in measured["rows"] if row[column["from"]] == "cached"}
    rows = []
    for what, config, base in TRAININGS:
        settings = yaml.safe_load((REPOSITORY / "recipes" / "configs" / f"{config}.yaml").read_text())
        clips = settings["train_batch_size"] * settings.get("gradient_accumulation_steps", 1)
        a_clip = cached[base][column["TFLOP"]] / cached[base][column["batch"]]
        total = settings["max_train_steps"] * clips * a_clip
        hours = [_hours(total / speed / 3600) for speed in SPEEDS]
        rows.append(
            [what, f"{settings['max_train_steps']:,} × {clips}", f"{a_clip:.2g}", f"{total / 1000:.3g}", *hours]
        )
    columns = ["training", "steps × clips", "TFLOP a clip", "PFLOP in all"]
    return HOURS.format(table=table(columns + [f"hours at {speed:g} TFLOP/s" for speed in SPEEDS], rows)).rstrip()


def _hours(hours: float) -> str:
    return "—" if hours > 100 else "under 0.1" if hours < 0.1 else f"{hours:.1f}"


INDEX = """{generated}

# Results

Every table on these pages is written by `python tools/docs_results.py`. The script reads `adapters/*/results.json`,
which `recipes/evaluate.py` wrote, and [the JSON files beside this page](#sources), which hold what a benchmark printed.
A test fails where a page and its figures differ.

How to read a cell: `90.0 (88–92)` is a mean in per cent with its 95 % bootstrap interval over the lead sheets.

The music behind the figures of nano and its adapters is arranged by rule and rendered with one soundfont; they do not
say how an adapter fares on recordings. The pages on analysis and on sound name their own music.

## Does nano obey? {{ #obedience }}

Sixty lead sheets from songs that no training saw, one seed each, nothing picked. The judges had no part in training:
Chordino for chords, madmom for beats, essentia for the key.

- **floor A**: the base without an adapter.
- **floor B**: the adapter's audio for another song's lead sheet.
- **adapter**: the shipped theory adapter.
- **best of 4**: the clip that MuseTune's own report ranks first of four seeds.
- **ceiling A**: the lead sheet played by a synthesiser.
- **ceiling B**: the synthesiser's audio through nano's autoencoder and vocoder.
- **share reached**: how far the adapter came on the way from floor A to ceiling B.

{obedience}
The judge of beats is told the requested tempo, except where the row says otherwise. An adapter that reaches ceiling B plays
as well as the judges can tell.

What these figures say:

- Chords, beats, bar lines and tempo lie at the ceilings or above them. Another song's lead sheet (floor B) scores at the
  floor in chords. In bar lines it scores above the floor, because any steady beat meets some of them.
- The words are heard as without music: compare the adapter's likeness to the words with that of floor A.

What falls short:

- The key was to reach 90 %. The judge finds it in no more of the renderings: ten seconds often leave a key open.
- The timbre stays further from the synthesiser's than the codec alone puts it (Fréchet distance of MFCC statistics).
- Best of four gains a little in chords and key; beats, bar lines and tempo come out lower, within the intervals.
- All of it is rule-made music on one soundfont.

![A chart: the log-mel spectrogram of a generated clip, its chords and beats as requested and as recognised](../assets/theory-chart.png)

## What a genre adapter changes {{ #genres }}

Twelve lead sheets that name no genre, with the prompt "music". Each cell shows the theory adapter alone, then the genre
adapter stacked on it. The Fréchet distance is to held-out renderings of that genre: lower is nearer.

{genres}
## More results

- [Gallery](gallery.md): six genres to listen to
{more}
## Sources {{ #sources }}

{sources}
"""


def pages() -> dict[Path, str]:
    """Every page of docs/results/, and README.md, with its text."""
    records = {path: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    ordered = sorted(records.items(), key=lambda item: (item[1]["page"], item[1]["order"]))
    out: dict[Path, str] = {}
    for page, title in PAGES.items():
        mine = [(path, record) for path, record in ordered if record["page"] == page]
        parts = [GENERATED, f"# {title}", *(section(path, record) for path, record in mine)]
        parts += [training_hours()] if page == "cost" else []
        out[FOLDER / f"{page}.md"] = "\n\n".join(parts) + "\n"
    out[FOLDER / "gallery.md"] = gallery()
    readme = MARKS.sub(lambda found: found[1] + short_results() + found[2], README.read_text())
    out[README] = LISTENING_MARKS.sub(lambda found: found[1] + short_listening() + found[2], readme)
    sources = [f"- [{p.name}]({p.name}): {r['title']}" for p, r in ordered]
    out[FOLDER / "index.md"] = INDEX.format(
        generated=GENERATED,
        obedience=obedience(),
        genres=genres(),
        more="\n".join(f"- [{title}]({page}.md)" for page, title in PAGES.items()) + "\n",
        sources="\n".join(sources),
    )
    return out


def wrapped(text: str, mark: str = "") -> str:
    """A paragraph or, with a mark, an item of a list, in lines of 120 columns."""
    return textwrap.fill(text, 120, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False)


def section(path: Path, record: dict[str, Any]) -> str:
    """One table with its command before it and its reading after it."""
    lines = [f"## {record['title']} {{ #{path.stem} }}", wrapped(record["about"])]
    lines += [] if "command" in record.get("columns", ()) else [f"Command: `{record['command']}`"]
    if path.stem in HEARD and heard_with(record) != {networks_that_ship()}:
        lines.append(
            wrapped(f"Heard by earlier networks than those that ship: {record.get('superseded', 'measure anew')}.")
        )
    lines += [wrapped(f"Machine: {record['machine']}.")] if "machine" in record else []
    if "means" in record:
        lines += listening_tables(record)
        reading = [*standing(record), *record.get("reading", [])]
    else:
        lines.append(table(record["columns"], record["rows"]).rstrip())
        reading = record.get("reading", [])
    lines += ["\n".join(wrapped(sentence, "- ") for sentence in reading)] if reading else []
    return "\n\n".join(lines)


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is stale")
    parser.add_argument("--take", metavar="NAME", help="put the table on standard input into docs/results/NAME.json")
    args = parser.parse_args(arguments)
    if args.take:
        print(take(args.take, sys.stdin.read()))
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text() != text]
    if args.check:
        for path in stale:
            print(f"{path.relative_to(REPOSITORY)} differs from its figures: run python tools/docs_results.py")
        for name in (others := heard_by_others()):
            print(f"docs/results/{name}.json was heard by other networks than {networks_that_ship()}: measure it anew")
        return 1 if stale or others else 0
    for path in stale:
        path.write_text(pages()[path])
        print(path.relative_to(REPOSITORY))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
