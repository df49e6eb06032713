"""Write docs/reference/grooves.md from musetune/planning/rules/grooves: every groove, and how to name one.

python tools/docs_grooves.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from musetune.planning.rules.grooves.catalogue import GROOVES, describe_groove
from musetune.planning.rules.section_shapes import SHAPES, SectionShape

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "grooves.md"
TITLES = {"drums": "Drums", "bass": "Bass", "guitar": "Guitar and keys", "lead": "Lead"}
HEAD = """<!-- Written by tools/docs_grooves.py from musetune/planning/rules: do not edit. -->

# Grooves

A groove is a named rule: how drums, bass, guitar, keys or a lead play a style. A [style](styles.md) names one for each
player, or several to choose from. The stem transformer writes every player for whom the style names none, after those
that rules have written.

```python
from musetune import LeadSheet
from musetune.planning.arranger.arranger import arrange

sheet = LeadSheet.parse("| Dm7 | G7 | Cmaj7 | A7 |", key="C", bpm=132)
band = arrange(sheet, style="bossa nova", seed=1)
for name, stem in band.stems.items():
    print(name, stem.credit)
```

A sheet that `plan` wrote for "a slow bossa nova" names its style itself (`LeadSheet.style`), so `compose`, the page and
`pipe.arrange(plan)` play it as one. `arrange(sheet, style="")` leaves all to the transformer.

## Who wrote what

`Stem.credit` says it in few words ("by rule one_drop; rests in intro"), `Stem.writers` for each section. Both the command
line and the page show it, and the JSON of a song keeps it under `writers`: `[beat, section, source, rule]`. `source` is
`model`, `rule` or `given`.

## Your own choice

Name grooves in a file of styles. `none` is silence, `model` leaves the player to the transformer.

```python
from pathlib import Path

Path("mine.yaml").write_text(\"\"\"
style: zouk
tempo: [88, 104]
feel: {kind: swing, ratio: 0.58, unit: 16}
grooves: {drums: dembow, bass: tresillo, guitar: none, keys: [stabs, pad], lead: model}
instruments: {drums: drum machine, bass: synth bass, keys: polysynth, lead: flute}
\"\"\")
sheet = LeadSheet.parse("| Am7 | Dm7 | G7 | Cmaj7 |", bpm=96)
print(arrange(sheet, style="zouk", styles="mine.yaml").stems["bass"].credit)
```

```bash
musetune compose "zouk for a warm night" --styles mine.yaml --bars 4 -o zouk.mid
```

An unknown name stops the command with a line that lists the names that there are.

## Sections

The label of a section says what it is for. Loudness and density go from the first to the second value over the section.
Sections of one label are played alike. Where the section has a purpose (`Section.purpose`: dynamics, density, register),
as plans have, that says how loud, full and high it is.

Every groove has strokes that sections below density 0.5 leave out, ghosts from 0.68 on, and strokes for sections from 0.75
on; only a `pedal` is one note in all of them. Full sections double the lowest tone of close chords an octave higher, a
walking bass skips, leads sing fuller motifs and rest in fewer bars. Guitar and keys move by up to six semitones with the
height of the lead.

What the stem transformer writes knows no purposes. Its sections are brought into their order: sparse ones lose strikes at
weak places, fuller ones strike again what is long, higher ones turn chords upwards. That also holds for sheets without a
style whose sections have a purpose.

SHAPES

In songs of several sections drums end each with a fill where the groove has one. Machines roll in a `build` and leave its
last beat empty; rock grooves begin a full section with a cymbal. Basses lead into the next section: some walk up in two
steps of the scale, others have an eighth before the bar line, and some do so in every bar or not at all; leads that sing
have pick-ups of two or three notes (`musetune.planning.rules.lead_ins`). A song of eight bars or more that ends on its
tonic ends there on a held chord.

## Feel and hands

`feel` in a style makes eighths or sixteenths long and short. The ratio evens out from 160 to 300 quarters a minute, as
drummers do (Friberg & Sundström, Music Perception 19(3), 2002). Notes stray by 5 to 11 milliseconds, each following the
one before, as hands do (Hennig et al., PLoS ONE 6(10), 2011); strings of a guitar follow each other. `humanize=False`
and `musetune compose --on-grid` leave that out. An equal seed gives equal notes.

## Meters

Patterns are written for four beats of four sixteenths. In other meters each beat plays one of the four: 3/4 the first,
second and last, 5/4 is 3 + 2, 7/8 is 2 + 2 + 3 eighths, and 2/4 plays a pattern in two bars. Beats of three eighths have
patterns of their own or stretch those of four sixteenths.

## Where they come from

Patterns are common knowledge of players and teachers, in our own words and figures; nothing is copied from a collection of
grooves. `phrases` is measured against melodies of POP909 (Wang et al., ISMIR 2020) and OpenEWLD (Simonetta et al., 2018):
its chord tones on strong beats, intervals, rests and rhythms that return lie within the middle 80 % of theirs.
"""


def _span(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.2f}" if pair[0] == pair[1] else f"{pair[0]:.2f} → {pair[1]:.2f}"


def shapes_table() -> str:
    """A row for each kind of section."""
    lines = ["| section | loudness | density | height of the lead | rest |", "|---|---|---|---|---|"]
    for name, shape in (SHAPES | {"all others": SectionShape()}).items():
        rest = ", ".join(shape.resting)
        lines.append(f"| {name} | {_span(shape.level)} | {_span(shape.density)} | {shape.height:.2f} | {rest} |")
    return "\n".join(lines)


def page() -> str:
    """The page's text."""
    parts = [HEAD.replace("SHAPES", shapes_table())]
    for player, title in TITLES.items():
        rows = "\n".join(f"| `{name}` | {describe_groove(player, name)} |" for name in GROOVES[player])
        parts.append(f"## {title}\n\n| groove | what it is |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit("run python tools/docs_grooves.py" if PAGE.read_text() != page() else 0)
    PAGE.write_text(page())
    print(PAGE)
