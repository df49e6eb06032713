"""Parts of plans beside those of people: MMA's grooves of the style, and songs that were held out. It prints tables and
writes JSON.

    python benchmarks/plans_parts.py --mma FOLDER [--songs POP909 --sheets OPENEWLD] [--half dev] [--out FILE]

Prompts whose style has grooves (plans_styles.yaml) are planned and arranged. FOLDER is the unpacked Debian package mma
(see musetune/datasets/arranger/mma.py): its human-written grooves of the style play the same chords. Each style's plans
stand beside them; "no style" are the same plans arranged without their style's name, as the stem transformer plays its
genre.

- grid: Jensen-Shannon divergence, bits, of the onsets' places in the bar from those of the style's grooves (drums: of
  each kind of drum). "other styles" is the divergence from the grooves of the other styles in that meter, in the
  median; "grooves" is the divergence between one half of the style's grooves and the other: as near as it gets.
- nearer: share of the styles whose own grooves are nearer than the other styles' in the median; chance is 50.
- density: notes a bar; chord tones: per cent of the notes on beats that belong to the chord; leaps: per cent of the
  intervals from note to note of more than a fourth.

With --songs and --sheets the leads stand beside melodies of held-out songs (POP909's for styles whose songs are "pop"
or none, OpenEWLD's jazz for jazz): density, chord tones, leaps, share of bars without an onset, divergence of the
intervals and of the grid; and keys and lead of POP909 tell how alike bars are within a section, between sections of one
label and between labels (share of onset places that two bars have in common, Jaccard).

--table chooses what is printed: "summary", or the tables of docs/results, which `tools/docs_results.py --take` reads:
"styles" has every style and player, leads among them, "sections" how alike bars are. --report prints what an earlier
run's --out holds and measures nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pickle
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import plans
import torch
from arranger_measures import Tally, divergence
from plans_data import with_sections
from tqdm import tqdm

from musetune.datasets.arranger.mma import Groove, accompany, grooves
from musetune.datasets.arranger.songs import PlayedSong, Track, lead_sheets
from musetune.datasets.song_split import for_tests
from musetune.evaluation import bootstrap_mean
from musetune.planning.arranger.arranger import PassagePosition, arrange, events_in, positions_of
from musetune.planning.arranger.language import StemEvent, drums_in
from musetune.planning.arranger.passages import known_meters
from musetune.planning.planner.planner import plan
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import STEMS, Arrangement, Stem, StemNote

PLAYED = 2  # passages of a plan that the grooves play
GROOVES = 3  # grooves of each file
LEAP = 5  # semitones
KINDS = {"drums": True, "bass": False, "guitar": False, "keys": False}
LONGEST_LAG = 4  # bars


@dataclass
class Part:
    """What is counted of one player in one style."""

    tally: Tally = field(default_factory=Tally)
    grid: Counter[tuple] = field(default_factory=Counter)
    steps: Counter[int] = field(default_factory=Counter)  # intervals in semitones from onset to onset
    empty: int = 0  # bars without an onset

    def add(self, events: Sequence[StemEvent], where: PassagePosition, name: str) -> None:
        """Count a passage."""
        passage, drums = where.passage, name == "drums"
        self.tally.add(events, passage, drums)
        at = {event.step // passage.bar_steps for event in events}
        self.empty += passage.bars - len(at)
        for event in events:
            place = passage.meter, event.step % passage.bar_steps
            self.grid.update((*place, kind) for kind in drums_in(event.pitch)) if drums else self.grid.update([place])
        if not drums:
            tops = [
                max(e.pitch for e in group)
                for _, group in itertools.groupby(sorted(events, key=lambda e: e.step), lambda e: e.step)
            ]
            self.steps.update(min(abs(b - a), 12) for a, b in itertools.pairwise(tops))

    def figures(self, drums: bool) -> dict[str, float | None]:
        """Density, chord tones, leaps and empty bars."""
        shares, intervals = self.tally.shares(drums), sum(self.steps.values())
        leaps = 100 * sum(n for step, n in self.steps.items() if step > LEAP) / max(intervals, 1)
        return {
            "density": shares["notes_a_bar"],
            "chord tones": shares["chord_tones"],
            "leaps": None if drums else leaps,
            "empty bars": 100 * self.empty / max(self.tally.bars, 1),
        }


Band = dict[str, Part]


def band() -> Band:
    """A part for each player."""
    return {name: Part() for name in STEMS}


def count(players: Band, arrangement: Arrangement, sheet: LeadSheet) -> None:
    """Count an arrangement."""
    for where in positions_of(sheet):
        for name, stem in arrangement.stems.items():
            players[name].add(events_in(stem, name, where), where, name)


def count_tracks(players: Band, tracks: dict[str, Track], where: PassagePosition) -> None:
    """Count what a groove plays in one passage, in beats from its start."""
    place = replace(where, start=Fraction(0))
    for name, notes in tracks.items():
        stem = Stem(0, tuple(StemNote(s, e - s, p) for s, e, p in notes), is_drum=name == "drums")
        players[name].add(events_in(stem, name, place), place, name)


def files_of(mma: Path) -> dict[str, list[Groove]]:
    """The package's grooves by library and file, such as stdlib/swing."""
    by_name = {groove.name: groove for groove in grooves(mma)}
    out: dict[str, list[Groove]] = {}
    for index in sorted((mma / "usr/share/mma/lib").glob("*/.mmaDB")):
        with index.open("rb") as file:
            file.readline()
            for path, names in pickle.load(file).items():  # an index that MMA itself made on this machine
                own = [by_name.pop(name) for name in sorted(names) if name in by_name]
                out[f"{index.parent.name}/{Path(path).stem}"] = own
    if not out:
        raise SystemExit(
            f"{mma} holds no usr/share/mma/lib/*/.mmaDB: give the folder of the unpacked package, after mma -G"
        )
    return out


# -- plans beside grooves ----------------------------------------------------------------------------------------------


@dataclass
class StyleParts:
    """What was counted of one style."""

    plan: Band = field(default_factory=band)
    plain: Band = field(default_factory=band)
    halves: tuple[Band, Band] = field(default_factory=lambda: (band(), band()))
    songs: list[tuple[LeadSheet, Arrangement]] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)


def collect(rows: Sequence[dict[str, Any]], mma: Path, seed: int) -> dict[str, StyleParts]:
    """Plan, arrange and let the grooves play."""
    files = files_of(mma)
    out: dict[str, StyleParts] = defaultdict(StyleParts)
    for row in tqdm(rows, desc="parts", unit="prompt"):
        own = [files[name] for name in row.get("grooves", ()) if files.get(name)]
        sheet = plan(row["prompt"], seed=seed, duration_seconds=None if {"bars", "seconds"} & row.keys() else 40)
        if not own or not known_meters(sheet):
            continue
        style, song = out[row["style"]], arrange(sheet, seed=seed)
        count(style.plan, song, sheet)
        count(style.plain, arrange(replace(sheet, style=None), seed=seed), replace(sheet, style=None))
        style.songs.append((sheet, song))
        style.sources.update(stem.source for stem in song.stems.values())
        for half, chosen in enumerate(_halves(own, str(sheet.meter))):
            played = [(where, groove) for groove in chosen for where in positions_of(sheet)[:PLAYED]]
            if played:
                heard = accompany(
                    mma,
                    [(w.passage, g) for w, g in played],
                    [w.passage.offset % 12 for w, _ in played],
                    sheet.bpm,
                    seed,
                )
                for tracks, (where, _) in zip(heard, played, strict=True):
                    count_tracks(style.halves[half], tracks, where)
    return out


def _halves(files: list[list[Groove]], meter: str) -> tuple[list[Groove], list[Groove]]:
    """Grooves in the meter; files, or the grooves of a single one, in two halves."""
    fitting = [own for file in files if (own := [groove for groove in file if groove.meter == meter][:GROOVES])]
    if len(fitting) == 1:
        return fitting[0][::2], fitting[0][1::2]
    return [g for own in fitting[::2] for g in own], [g for own in fitting[1::2] for g in own]


def beside(styles: dict[str, StyleParts]) -> list[dict[str, Any]]:
    """For each style and player the divergences and figures."""
    people = {name: {s: one.halves[0][s].grid + one.halves[1][s].grid for s in STEMS} for name, one in styles.items()}
    out = []
    for name, one in styles.items():
        meters = {place[0] for place in one.plan["drums"].grid} | {place[0] for place in one.plan["bass"].grid}
        for stem, drums in KINDS.items():
            own, others = people[name][stem], []
            for other, grids in people.items():
                grid = Counter({place: n for place, n in grids[stem].items() if place[0] in meters})
                if other != name and grid:
                    others.append(grid)
            if not own or not one.plan[stem].grid or len(others) < 3:
                continue
            halves = [half[stem].grid for half in one.halves]
            row = {"style": name, "player": stem, "grid": divergence(one.plan[stem].grid, own)}
            row["no style"] = divergence(one.plain[stem].grid, own)
            row["other styles"] = statistics.median(divergence(one.plan[stem].grid, grid) for grid in others)
            row["grooves"] = divergence(*halves) if all(halves) else None
            groove = Part()
            for half in one.halves:
                for tally in ("bars", "notes", "strong", "fitting"):
                    setattr(groove.tally, tally, getattr(groove.tally, tally) + getattr(half[stem].tally, tally))
                groove.steps.update(half[stem].steps)
                groove.empty += half[stem].empty
            row["figures"] = {
                "plans": one.plan[stem].figures(drums),
                "no style": one.plain[stem].figures(drums),
                "grooves": groove.figures(drums),
            }
            out.append(row)
    return out


# -- leads and sections beside songs -----------------------------------------------------------------------------------


def held_out(songs: Path | None, sheets: Path | None, limit: int) -> dict[str, list[PlayedSong]]:
    """Held-out songs: POP909 as pop, OpenEWLD's jazz as jazz."""
    out: dict[str, list[PlayedSong]] = {"pop": [], "jazz": []}
    if songs:
        chosen = (s for s in pop909_tests(songs, limit) if known_meters(s.sheet))
        out["pop"] = list(chosen)
    if sheets:
        jazz = (s for s in lead_sheets(sheets) if s.sheet.genre == "jazz" and for_tests(s.name, s.source))
        out["jazz"] = [s for s in itertools.islice(jazz, limit) if known_meters(s.sheet)]
    return out


def pop909_tests(folder: Path, limit: int) -> Iterable[PlayedSong]:
    """The held-out songs of POP909, each its longest even stretch, with sections found from the chords."""
    from musetune.datasets.arranger.songs import _pop_song
    from musetune.planning.planner.form_detection import derive_form
    from musetune.planning.planner.language import bars_of

    for path in [p for p in sorted(folder.iterdir()) if p.is_dir() and for_tests(p.name, "pop909")][:limit]:
        try:
            song = max(_pop_song(path), key=lambda one: one.sheet.length)
            bars = bars_of(song.sheet)
        except ValueError:  # its meter is unclear
            continue
        at, parts = 0, []
        for label, size in derive_form(bars):
            parts.append((label, bars[at : at + size]))
            at += size
        yield replace(song, sheet=with_sections(song.sheet, parts))


def played(song: PlayedSong) -> Arrangement:
    """A song's tracks as an arrangement."""
    stems = {n: Stem(0, tuple(StemNote(s, e - s, p) for s, e, p in t)) for n, t in song.tracks.items() if t}
    return Arrangement(song.sheet.grid, stems)


def alike(sheet: LeadSheet, arrangement: Arrangement, names: Sequence[str]) -> dict[str, float]:
    """How alike bars are: within a section (up to LONGEST_LAG bars apart), in sections of one label at one place, and
    of two labels at one place; the mean of what there is.
    """
    size = int(sheet.meter.beats_per_bar)
    bars: list[set[tuple]] = [set() for _ in range(int(sheet.length) // size)]
    for name in names:
        for note in arrangement.stems[name].notes if name in arrangement.stems else ():
            place = round(note.start * 4)
            if 0 <= place // (4 * size) < len(bars):
                bars[place // (4 * size)].add((name, place % (4 * size)))
    parts = [(s.label, bars[int(s.start) // size : int(s.start + s.beats) // size]) for s in sheet.sections]
    found: dict[str, list[float]] = defaultdict(list)
    for _, own in parts:
        for i, j in itertools.combinations(range(len(own)), 2):
            if j - i <= LONGEST_LAG:
                found["within"].append(_jaccard(own[i], own[j]))
    for (one, own), (other, others) in itertools.combinations(parts, 2):
        found["same label" if one == other else "other label"] += map(_jaccard, own, others)
    return {name: statistics.fmean(kept) for name, values in found.items() if (kept := [v for v in values if v >= 0])}


def _jaccard(one: set, other: set) -> float:
    """Shared places of all places; −1 where both bars are empty."""
    return len(one & other) / len(one | other) if one | other else -1.0


def leads(styles: dict[str, StyleParts], data: dict[str, list[PlayedSong]], groups: dict[str, str]) -> dict[str, Any]:
    """Leads of pop and jazz beside melodies of held-out songs."""
    out = {}
    for kind, songs in data.items():
        ours, plain, halves = Part(), Part(), (Part(), Part())
        for name, one in styles.items():
            if groups[name] == kind:
                for into, part in ((ours, one.plan["lead"]), (plain, one.plain["lead"])):
                    _merge(into, part)
        for number, song in enumerate(songs):
            stem = played(song).stems["lead"]
            for where in positions_of(song.sheet):
                halves[number % 2].add(events_in(stem, "lead", where), where, "lead")
        if not songs or not ours.grid:
            continue
        people = Part()
        for half in halves:
            _merge(people, half)
        out[kind] = {
            who: part.figures(False)
            | {
                "interval divergence": divergence(part.steps, against.steps),
                "grid divergence": divergence(part.grid, against.grid),
            }
            for who, part, against in (("plans", ours, people), ("no style", plain, people), ("songs", *halves))
        }
    return out


def _merge(into: Part, part: Part) -> None:
    for name in ("bars", "notes", "strong", "fitting"):
        setattr(into.tally, name, getattr(into.tally, name) + getattr(part.tally, name))
    into.grid.update(part.grid)
    into.steps.update(part.steps)
    into.empty += part.empty


def lead_rows(
    styles: dict[str, StyleParts], data: dict[str, list[PlayedSong]], groups: dict[str, str]
) -> list[dict[str, Any]]:
    """The lead of each style beside the melodies of its group's held-out songs."""
    people: dict[str, Part] = defaultdict(Part)
    for kind, songs in data.items():
        for song in songs:
            for where in positions_of(song.sheet):
                people[kind].add(events_in(played(song).stems["lead"], "lead", where), where, "lead")
    out = []
    for name, one in styles.items():
        songs_part, ours = people[groups[name]], one.plan["lead"]
        if songs_part.grid and ours.grid:
            meters = {place[0] for place in ours.grid}
            grid = Counter({place: n for place, n in songs_part.grid.items() if place[0] in meters})
            out.append(
                {
                    "style": name,
                    "songs": groups[name],
                    "grid": divergence(ours.grid, grid) if grid else None,
                    "intervals": divergence(ours.steps, songs_part.steps),
                    "figures": {"plans": ours.figures(False), "songs": songs_part.figures(False)},
                }
            )
    return out


def similarity(styles: dict[str, StyleParts], songs: Sequence[PlayedSong]) -> dict[str, Any]:
    """How alike bars are in plans' parts and in POP909's, with intervals over songs; of each style as well."""
    own = {name: [alike(sheet, song, ("keys", "lead")) for sheet, song in one.songs] for name, one in styles.items()}
    rows = {
        "plans": [one for values in own.values() for one in values],
        "songs": [alike(song.sheet, played(song), ("keys", "lead")) for song in songs],
    } | {f"style {name}": values for name, values in own.items()}
    out: dict[str, Any] = {}
    for who, values in rows.items():
        for name in ("within", "same label", "other label"):
            mean = bootstrap_mean([one.get(name) for one in values])
            out.setdefault(name, {})[who] = (
                None if mean is None else {"mean": mean.mean, "low": mean.low, "high": mean.high}
            )
    return out


# -- tables ------------------------------------------------------------------------------------------------------------


def tables(report: dict[str, Any]) -> str:
    """The report as Markdown tables."""
    columns = ("grid", "no style", "other styles", "grooves")
    lines = [
        "| onset grid, bits from the style's grooves | styles | plans | no style | other styles | grooves | nearer, % |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for stem in KINDS:
        rows = [row for row in report["grids"] if row["player"] == stem]
        if not rows:
            continue
        cells = [_cell(bootstrap_mean([row[name] for row in rows]), 2) for name in columns]
        near = plans.measures.wilson(sum(row["grid"] < row["other styles"] for row in rows) / len(rows), len(rows))
        cells.append(f"{100 * near.mean:.0f} ({100 * near.low:.0f}–{100 * near.high:.0f})")
        lines.append(f"| {stem} | {len(rows)} | {' | '.join(cells)} |")
    lines += ["", "| figure | plans | no style | grooves |", "|---|---|---|---|"]
    for stem, name in itertools.product(KINDS, ("density", "chord tones", "leaps")):
        rows = [row["figures"] for row in report["grids"] if row["player"] == stem]
        if rows and rows[0]["plans"][name] is not None:
            cells = [
                _cell(bootstrap_mean([row[who][name] for row in rows]), 1) for who in ("plans", "no style", "grooves")
            ]
            lines.append(f"| {stem}, {name} | {' | '.join(cells)} |")
    for kind, rows in report["leads"].items():
        lines += ["", f"| lead, {kind} | plans | no style | songs |", "|---|---|---|---|"]
        lines += [
            f"| {name} | " + " | ".join(f"{rows[who][name]:.2f}" for who in rows) + " |" for name in rows["plans"]
        ]
    lines += ["", "| bars alike (keys and lead, Jaccard) | plans | songs |", "|---|---|---|"]
    for name, row in report["similarity"].items():
        lines.append(f"| {name} | " + " | ".join(_triple(row.get(who)) for who in ("plans", "songs")) + " |")
    return "\n".join(lines)


def style_table(report: dict[str, Any]) -> str:
    """Every style and player: plans / the style's grooves, and for leads plans / held-out songs."""
    lines = [
        "| style | player | grid, bits: plans / other styles / grooves | notes a bar | chord tones, % | leaps, % |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    for row in sorted((*report["grids"], *report["lead styles"]), key=lambda row: row["style"]):
        other = "songs" if "songs" in row else "grooves"
        player = f"lead ({row['songs']})" if "songs" in row else row["player"]
        grids = [row["grid"], row.get("other styles"), row.get("grooves")]
        cells = [" / ".join(_number(value, 2) for value in grids)]
        for name in ("density", "chord tones", "leaps"):
            cells.append(" / ".join(_number(row["figures"][who][name], 1) for who in ("plans", other)))
        lines.append(f"| {row['style']} | {player} | {' | '.join(cells)} |")
    return "\n".join(lines)


def section_table(report: dict[str, Any]) -> str:
    """How alike bars are in held-out songs, in all plans, and, as means, in each style's plans."""
    names = ("within", "same label", "other label")
    lines = ["| bars of | within a section | sections of one label | two labels |", "|---|---|---|---|"]
    found = report["similarity"]
    order = ["songs", "plans", *sorted(who for who in found["within"] if who.startswith("style "))]
    for who in order:
        values = [found[name].get(who) for name in names]
        few = who.startswith("style ")  # a song or two, of which no interval speaks
        cells = [_number(v and v["mean"], 2) if few else _triple(v) for v in values]
        title = {"songs": "held-out songs (POP909)", "plans": "all plans"}.get(who, who.removeprefix("style "))
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _cell(mean: Any, decimals: int) -> str:
    return "—" if mean is None else _triple({"mean": mean.mean, "low": mean.low, "high": mean.high}, decimals)


def _triple(value: dict[str, float] | None, decimals: int = 2) -> str:
    if value is None:
        return "—"
    return f"{value['mean']:.{decimals}f} ({value['low']:.{decimals}f}–{value['high']:.{decimals}f})"


PRINTED = {"summary": tables, "styles": style_table, "sections": section_table}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure what the arguments say; the report that --out gets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mma", type=Path)
    parser.add_argument("--report", type=Path, help="print what this report holds")
    parser.add_argument("--table", choices=PRINTED, default="summary")
    parser.add_argument("--songs", type=Path, help="POP909's folder")
    parser.add_argument("--sheets", type=Path, help="OpenEWLD's folder")
    parser.add_argument("--half", choices=("dev", "test"), default="dev")
    parser.add_argument("--prompts", type=int, help="only the first so many")
    parser.add_argument("--limit", type=int, default=40, help="held-out songs of each collection")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("plans_parts.json"))
    args = parser.parse_args(arguments)
    if (args.mma is None) == (args.report is None):
        parser.error("give --mma, to measure, or --report, to print")
    if args.report is not None:
        report = json.loads(args.report.read_text())
        print(PRINTED[args.table](report))
        return report
    torch.set_num_threads(1)
    known = plans.read_styles()
    rows = [row for row in plans.read_prompts(args.half, known) if row.get("grooves")][: args.prompts]
    styles = collect(rows, args.mma, args.seed)
    data = held_out(args.songs, args.sheets, args.limit)
    groups = {name: "jazz" if known[name]["chords"] == "sevenths" else "pop" for name in styles}
    report = {
        "half": args.half,
        "songs": sum(len(one.songs) for one in styles.values()),
        "sources": dict(sum((one.sources for one in styles.values()), Counter())),
        "grids": beside(styles),
        "leads": leads(styles, data, groups),
        "lead styles": lead_rows(styles, data, groups),
        "similarity": similarity(styles, data["pop"]),
    }
    args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(PRINTED[args.table](report))
    return report


if __name__ == "__main__":
    main()
