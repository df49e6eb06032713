"""Drums of rock, pop, soul, folk and marches. Patterns are common knowledge of drummers, in our own words and figures.

Each function plays one bar. ``X`` is an accent and ``o`` a stroke of every bar, ``x`` a stroke that a sparse bar leaves
out, ``g`` a ghost, ``f`` a stroke of full bars alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from musetune.planning.rules.grooves.bar import GHOSTS, GrooveBar, Hit

KIT = {  # General MIDI percussion
    "kick": 36, "rim": 37, "snare": 38, "clap": 39, "brush": 40, "hat": 42, "pedal": 44, "open": 46, "ride": 51,
    "bell": 53, "crash": 49, "floor_tom": 43, "low_tom": 45, "mid_tom": 47, "high_tom": 50, "tambourine": 54,
    "cowbell": 56, "conga_slap": 62, "conga": 63, "low_conga": 64, "high_timbale": 65, "timbale": 66, "agogo": 67,
    "low_agogo": 68, "shaker": 70, "guiro": 73, "claves": 75, "surdo": 41, "block": 76, "triangle": 81,
}  # fmt: skip
EIGHTHS, SIXTEENTHS, OFFBEATS = "X.x.X.x.X.x.X.x.", "Xgxgxgxgxgxgxgxg", "..x...x...x...x."
TRIPLE = {"hat": "X.x.x.", "ride": "X.x.x.", "shaker": "X.x.x."}  # eighths of 6/8


def rock_backbeat(bar: GrooveBar) -> Iterator[Hit]:
    """Kick on 1 and 3, snare on 2 and 4, eighths on the hi-hat: the backbeat of rock."""
    kick = bar.theme.choice(("X.......X.x...f.", "X......xX.x...f.", "X.x.....X.....f.", "X.....x.X.x...f."))
    return bar.hits(TRIPLE, kick=kick, snare="....X..g....X...", hat=EIGHTHS, tambourine="....f.......f...")


def pop_backbeat(bar: GrooveBar) -> Iterator[Hit]:
    """Snare or clap on 2 and 4 over a syncopated kick, eighths on the hi-hat."""
    kick = bar.theme.choice(("X.....x.X.f.....", "X.....X...x...f.", "X.....f.X.x...x."))
    return bar.hits(TRIPLE, kick=kick, snare="....X..g....X...", hat=EIGHTHS, tambourine="....f.......f...")


def ballad_backbeat(bar: GrooveBar) -> Iterator[Hit]:
    """A slow backbeat on the rim, snare where the section is full, soft eighths."""
    stick = "rim" if bar.density < GHOSTS else "snare"
    return bar.hits(
        {**TRIPLE, "kick": "X....."}, kick="X.......f.x.....", hat="x.x.x.x.x.x.x.x.", **{stick: "....X.......X..."}
    )


def indie_backbeat(bar: GrooveBar) -> Iterator[Hit]:
    """A backbeat with sixteenths on the hi-hat, open before the bar line."""
    return bar.hits(kick="X..x....X..x..x.", snare="....X.......X...", hat="XgxgXgxgXgxgXgx.", open="..............x.",
                    tambourine="....f.......f...")  # fmt: skip


def grunge(bar: GrooveBar) -> Iterator[Hit]:
    """A heavy backbeat: open hi-hat in quarters, kick doubled before the snare."""
    return bar.hits(kick="X.x...x.X.x...f.", snare="....X.......X..g", open="X...X...X...X...")


def punk_beat(bar: GrooveBar) -> Iterator[Hit]:
    """Twice as fast as a backbeat: kick on each beat, snare on each off-beat."""
    return bar.hits(kick="X...X...X.x.X.f.", snare="..X...X...X...X.", hat="X.x.X.x.X.x.X.x.",
                    crash="f.......f.......")  # fmt: skip


def d_beat(bar: GrooveBar) -> Iterator[Hit]:
    """The gallop of hardcore: kick doubled between the strokes of the snare."""
    return bar.hits(kick="X.....X.X.f...X.", snare="....X.......X...", open=EIGHTHS, crash="f.......f.......")


def double_kick(bar: GrooveBar) -> Iterator[Hit]:
    """Metal: sixteenths of two bass drums under a backbeat."""
    return bar.hits(
        {"kick": "XxxxxX"},
        kick="XfxxXfxxXfxxXfxx",
        snare="....X.......X...",
        crash="X...X...X...X..." if bar.density > 0.9 else "................",
        ride="X...X...X...X..." if bar.density <= 0.9 else "................",
    )


def blast(bar: GrooveBar) -> Iterator[Hit]:
    """Blast beat: kick and snare take turns in sixteenths."""
    return bar.hits(
        {"kick": "X.X.X.", "snare": ".X.X.X"},
        kick="X.X.X.X.X.X.X.X.",
        snare=".X.X.X.X.X.X.X.X",
        ride="X.x.X.x.X.x.X.x.",
        crash="f.......f.......",
    )


def half_time(bar: GrooveBar) -> Iterator[Hit]:
    """One snare a bar, on 3: the tempo seems halved."""
    return bar.hits(TRIPLE, kick="X.....x.......x.", snare="........X.......", hat="X.xfX.xfX.xfX.xf")


def shuffle(bar: GrooveBar) -> Iterator[Hit]:
    """A backbeat whose eighths swing, long and short."""
    cymbal = bar.theme.choice(("hat", "ride"))
    return bar.hits(kick="X.....f.X.....x.", snare="....X.....g.X...", **{cymbal: EIGHTHS})


def rock_and_roll(bar: GrooveBar) -> Iterator[Hit]:
    """The ride in eighths, snare on 2 and on both eighths of 4."""
    return bar.hits(kick="X.....f.X.x.....", snare="....X.......X.x.", ride=EIGHTHS)


def train_beat(bar: GrooveBar) -> Iterator[Hit]:
    """Country's train: sixteenths on the snare, 2 and 4 accented, kick on each beat."""
    return bar.hits({"snare": "o.x.X.o.x.X."}, kick="X...x.f.X...x.f.", snare="oxoxXxoxoxoxXxox")


def country_two_beat(bar: GrooveBar) -> Iterator[Hit]:
    """Kick on 1 and 3, rim or snare on 2 and 4, nothing more than eighths."""
    return bar.hits(TRIPLE, kick="X.......X.f...f.", rim="....X.......X...", hat=EIGHTHS)


def motown(bar: GrooveBar) -> Iterator[Hit]:
    """Snare on all four beats, tambourine on the off-beats."""
    return bar.hits(kick="X.....x.X.x...x.", snare="X...X...X...X...", tambourine="f.x.f.x.f.x.f.x.")


def soul_backbeat(bar: GrooveBar) -> Iterator[Hit]:
    """A backbeat with ghosts of the snare and a kick that answers it."""
    return bar.hits(TRIPLE, kick="X..x..f...x..x..", snare="....X..g.g..X..g", hat=EIGHTHS)


def funk(bar: GrooveBar) -> Iterator[Hit]:
    """The first beat heavy, sixteenths on the hi-hat, ghosts around the backbeat."""
    kick = bar.theme.choice(("X..x..x..fx..x..", "X.x....x..x...f.", "X..f..x..xx...x."))
    return bar.hits(kick=kick, snare="....X..g.g..X..g", hat="XxoxXxoxXxoxXxox")


def gospel(bar: GrooveBar) -> Iterator[Hit]:
    """Swung eighths, tambourine and claps on 2 and 4, a busy kick."""
    return bar.hits(
        TRIPLE,
        kick="X.....x.X.x...x.",
        snare="....X..f....X..f",
        tambourine="..x.X.x...x.X.x.",
        clap="....x.......x...",
    )


def folk_stomp(bar: GrooveBar) -> Iterator[Hit]:
    """A foot on each strong beat, a tambourine or a clap on the weak ones."""
    return bar.hits({"kick": "X.....", "tambourine": "...x.."}, kick="X.......X.......", tambourine="..f.X.f...f.X.f.")


def tambourine_six(bar: GrooveBar) -> Iterator[Hit]:
    """Jigs: a tambourine in three eighths a pulse, the first heavy; a foot on each pulse."""
    return bar.hits({"tambourine": "X.gxx.", "kick": "X....."}, kick="X.......X.....f.", tambourine="X.x.x.x.X.x.x.x.")


def reel(bar: GrooveBar) -> Iterator[Hit]:
    """A frame drum in running eighths, the off-beats answered."""
    return bar.hits(low_conga="X...x...X...x...", conga="..x...xg..x...xg")


def waltz(bar: GrooveBar) -> Iterator[Hit]:
    """Kick on 1, something light on all other beats."""
    others = bar.pulses[1:]
    yield Hit(0, "kick", 0.9)
    for pulse in others:
        yield Hit(pulse.start, "rim" if bar.density < 0.6 else "snare", 0.5)
        if bar.full:
            yield Hit(pulse.start, "hat", 0.5)


def march(bar: GrooveBar) -> Iterator[Hit]:
    """Bass drum on the strong beats, a snare that rolls on to each of them, cymbals where it is full."""
    yield from bar.hits({"snare": "X.x.xx"}, kick="X.......X.......", snare="X.x.XxxxX.x.XxxX")
    if bar.full:
        yield Hit(0, "crash", 0.6)


def polka(bar: GrooveBar) -> Iterator[Hit]:
    """Kick on each beat, snare and hi-hat on each off-beat."""
    return bar.hits(kick="X...X...X...X...", snare="..o...o...o...o.", hat="f.x.f.x.f.x.f.x.")


def film_drums(bar: GrooveBar) -> Iterator[Hit]:
    """Low toms in groups of three and two, a deep stroke on 1, no cymbals."""
    line = "X..x..x.X..x..x."
    return bar.hits({"floor_tom": "X.x.xx"}, kick="X...............", floor_tom=line, low_tom="......g.......gg")


def tambourine_pulse(bar: GrooveBar) -> Iterator[Hit]:
    """A shaker in eighths and a soft kick: singers and one guitar."""
    return bar.hits(TRIPLE, kick="X.......x.......", shaker=EIGHTHS, tambourine="....f.......f...")
