"""Write docs/reference/styles.md from musetune/planning/planner/styles.yaml: every style, and how to add your own.

python tools/docs_styles.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from musetune.planning.planner.song_style import FEELS, SongStyle
from musetune.planning.planner.song_styles import BUILT_IN, read_styles

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "styles.md"
HEAD = """<!-- Written by tools/docs_styles.py from musetune/planning/planner/styles.yaml: do not edit. -->

# Styles and forms

The planner knows {count} styles, occasions and kinds of music by name. A style in a prompt says what the prompt and your
pins leave open: genre, meter, tempo, harmonic rhythm, kinds of chords, form. What you pin goes before the prompt's own
words, and these go before the style.

```python
from musetune.planning.planner.planner import plan

blues = plan("12 bar blues in A")
print(blues.meter, sorted(set(blues.chord_labels)))
song = plan("indie rock, verse chorus verse chorus bridge chorus", seed=2)
print([section.label for section in song.sections])
```

A style does not replace the structure transformer. Its meters, harmonic rhythm and kinds of chords shift how likely each
word of the plan is; the shares aimed at are drawn anew from the style's ranges for each seed. About half of the sections
take one of the style's progressions, the transformer writes the others. The form is one of the style's: where a length is
named, whole sections come again or are left out until the form is about as long, then its sections are stretched by
phrases. Of several styles ("gospel ballad") each says what the ones before it in the file leave open.
`--style NAME` of `musetune plan` and `musetune compose`, `style=` of `plan` and the page's field name styles that go
before those of the prompt. The plan keeps their names (`LeadSheet.style`), and the arranger plays by them.

Sections are whole phrases of four bars where nothing else is asked for. Their last bar comes home to the tonic or
stays open on the dominant. The song comes home unless its style goes round, and always after an outro: over V or IV, or
over a chord from which the style's own progressions reach the tonic, such as the ♭VII of rock. Dominant sevenths lead on
where they do not rest as in blues, basses under a chord are chord tones that move by step, and no root lasts longer
than the style's `hold`. A length in seconds chooses a tempo that fills whole phrases, where the tempo is open. Where
a prompt words both a form and a length that no whole phrases fill, the phrases stay whole and a remark says how long
the song is.

## What sections do

A named section has a purpose, which the chart says behind it ("louder, fuller, higher") and which players follow.
`Section.purpose` holds `dynamics`, `density` and `register`, each -1 to 1; 0 is the song's usual. It is kept in JSON, and
inside MIDI, MusicXML and JAMS files of MuseTune.

```python
chorus = next(section for section in song.sections if section.label == "chorus")
assert chorus.purpose is not None and chorus.purpose.dynamics > 0
print(chorus.purpose)
```

`plan_expression` says the same as an `Expression`: a curve of loudness in LUFS (a section as loud as usual lies at -16;
harder strokes and more notes add to it), the swing of the style at the tempo, and harmonic complexity; of an arrangement
also onsets a second and syncopation. `musetune plan --json` and `musetune compose --json` print it under `expression`. An
adapter with a branch for it follows [expression](../how-to/expression.md); give it loudness and swing of this: densities
counted of notes are others than the analyser's.

```python
from musetune.planning.arranger.plan_expression import plan_expression

expression = plan_expression(song)
print(expression.loudness_db[:2], expression.swing)
```

## Forms in words

| words | form |
|---|---|
| `verse chorus verse chorus bridge chorus` | six sections with these names; equal names are equal sections |
| `two verses, a chorus x2 and an outro` | counted |
| `8 bar verse, 16 bar chorus` | with bars of their own |
| `AABA`, `rondo`, `32-bar form` | sections A, B, … |
| `with a bridge`, `with a drop` | a usual form that has one |
| `EDM drop`, `the chorus of a pop song`, `podcast intro` | one section |
| `loop`, `riff`, `vamp` | one section of 4 or 8 bars, or as long as you say |
| `12-bar blues`, `blues, 24 bars` | one or several choruses |

"No bridge" or "without a chorus" leaves a section out of the style's form.

Section names are intro, verse, pre-chorus, chorus, refrain, hook, bridge, middle eight, solo, interlude, break, breakdown,
build, drop, vamp, outro and coda. `three chords` limits a plan to chords on three roots.

## Players in words

| words | meaning |
|---|---|
| `no drums`, `without bass or guitar`, `drumless` | these players are silent |
| `solo piano`, `unaccompanied cello`, `only guitar` | one instrument: a piano is bass, chords and melody |
| `with horns`, `for flute and strings`, `banjo` | the player of such an instrument plays on it, and plays where the style has it silent |

They stand behind the styles in the plan's `style`, and may be given there: `--style "waltz, no drums, lead on flute"`. The
players are drums, bass, guitar, keys and lead.

```python
trio = plan("gypsy waltz without drums, with accordion, 8 bars", seed=1)
print(trio.style)
```

## Chords, keys and meters in words

Chords that a prompt writes out, three in a row or two that it calls chords, are the progression of the first section:
`a song with Am F C G`, `pop with the chords I V vi IV in D`. A meter in numbers goes before the style's. Church modes are
read as the mode that has their third, and a misspelled style as the one that it is nearest to; remarks say so.

## A file of your own

```python
from pathlib import Path

Path("mine.yaml").write_text(\"\"\"
style: zouk
also: [kizomba]
genre: pop
meters: {{4/4: 1}}
tempo: [88, 104]
mode: minor
feel: {{kind: swing, ratio: 0.58, unit: 16}}
chords_a_bar: [0.5, 1, 1.25]
hold: 2
vocabulary: {{sevenths: [0.2, 0.6], outside: [0, 0.15]}}
progressions:
  minor: [Am7 | Dm7 | G7 | Cmaj7, Am | F | Dm7 G7 | E7]
forms: {{"intro:4 verse:8 chorus:8 verse:8 chorus:8": 1}}
grooves: {{drums: dembow, bass: tresillo, guitar: none, keys: [stabs, pad], lead: phrases}}
instruments: {{drums: drum machine, bass: synth bass, keys: polysynth, lead: flute}}
\"\"\")
```

```bash
musetune plan "zouk for a warm night" --styles mine.yaml
```

`musetune plan` and `musetune compose` take `--styles FILE`, `Planner.plan` takes `styles=`. Your styles go before those of
the package, and one of the same name takes its place. Several styles in a file are parted by a line `---`. All entries but
`style` may be left out.

| entry | meaning |
|---|---|
| `style` | the name, 1–60 characters; a space also stands for a hyphen or nothing, and a plural is understood |
| `also` | other names; `*` stands for any letters |
| `genre` | one or several of pop, rock, jazz, blues, classical, electronic |
| `meters` | time signatures with weights |
| `tempo` | fewest and most beats a minute, 30–300; in 6/8 of dotted quarters |
| `mode` | `major` or `minor`, or both with weights |
| `feel` | `straight`, `swing` or `shuffle`; or a mapping: `kind` one of these, `ratio` 0.5–0.75 the share of a unit that its first half lasts (straight 0.5, else 2/3), `unit` 8 or 16, the notes that are long and short |
| `chords_a_bar` | chord changes in a bar: first quartile, median, third quartile of songs of the style |
| `hold` | most bars on one chord |
| `ending` | `home`: the last bar comes to the tonic; `turnaround`: or leads to the beginning, as jazz, blues and electronic genres do where nothing is said |
| `vocabulary` | least and greatest share, 0–1, of `sevenths` (chords of four notes and more), `outside` (a tone outside the key), `slash` (another bass than the root), `power` (root and fifth) |
| `progressions` | in C `major` or A `minor`, bars parted by `|`, one or two chords a bar |
| `forms` | sections with bars, and weights; recurring names are recurring sections |
| `grooves` | what drums, bass, guitar, keys and lead play: a [groove](grooves.md)'s name or several to choose from; `none` is silence, `model` the stem transformer |
| `instruments` | what drums, bass, guitar, keys and lead play on, in words |

A mistake in the file stops the command with one line that names the entry, what is allowed and how to mend it. A file has
at most 128 KiB and no YAML anchors.

## The styles

Sources of these rows are named in the file itself; the rows are common knowledge in our own figures, nothing is copied.

"""


def table(styles: tuple[SongStyle, ...]) -> str:
    """The styles that say how music is played, a row each."""
    lines = [
        "| style | also | genre | meters | bpm | feel | chords a bar | forms | grooves | instruments |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for style in styles:
        rhythm = "–".join(f"{value:g}" for value in style.chords_a_bar[::2]) if style.chords_a_bar else ""
        cells = (
            f"{style.style}{f' ({style.mode})' if style.mode else ''}",
            ", ".join(style.also),
            ", ".join(style.genre),
            ", ".join(meter for meter, _ in style.meters),
            "–".join(map(str, style.tempo or ())),
            _feel(style),
            rhythm,
            "; ".join(form for form, _ in style.forms),
            ", ".join(f"{player} {' or '.join(names)}" for player, names in style.grooves),
            ", ".join(dict.fromkeys(name for _, name in style.instruments)),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |")
    return "\n".join(lines)


def _feel(style: SongStyle) -> str:
    feel = style.feel
    if feel is None:
        return ""
    return (
        feel.kind
        + (f" {feel.ratio:.2g}" if feel.ratio not in FEELS.values() else "")
        + (" of 16ths" * (feel.unit == 16))
    )


def page() -> str:
    """The page's text."""
    styles = read_styles(BUILT_IN)
    return HEAD.format(count=len(styles)).replace("bars parted by `|`", "bars parted by `\\|`") + table(styles) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit("run python tools/docs_styles.py" if PAGE.read_text() != page() else 0)
    PAGE.write_text(page())
    print(PAGE)
