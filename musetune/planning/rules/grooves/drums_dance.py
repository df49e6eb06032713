"""Drums of dance music and hip hop."""

from __future__ import annotations

from collections.abc import Iterator

from musetune.planning.rules.grooves.bar import GrooveBar, Hit
from musetune.planning.rules.grooves.drums import OFFBEATS, SIXTEENTHS

EACH = "X...X...X...X..."


def four_on_the_floor(bar: GrooveBar) -> Iterator[Hit]:
    """House: kick on every beat, clap on 2 and 4, open hi-hat between the beats."""
    return bar.hits(
        {"kick": "X.....", "open": "...X.."},
        kick=EACH,
        clap="....X.......X...",
        open=OFFBEATS,
        shaker="gxggxggxggxgggxg",
    )


def techno(bar: GrooveBar) -> Iterator[Hit]:
    """Kick on every beat, a hard hi-hat between, a rim that drifts against the bar."""
    rim = bar.theme.choice(("...x..x...x..x..", "......x..x....x.", "..x..x..x..x..x."))
    return bar.hits(
        {"kick": "X.....", "hat": "...X.."}, kick=EACH, hat="..X.g.X.g.X.g.Xg", clap="............x...", rim=rim
    )


def trance(bar: GrooveBar) -> Iterator[Hit]:
    """Kick on every beat, open hi-hat between, clap on 2 and 4, sixteenths of a shaker."""
    return bar.hits(
        {"kick": "X.....", "open": "...X.."}, kick=EACH, clap="....X.......X...", open=OFFBEATS, shaker=SIXTEENTHS
    )


def disco(bar: GrooveBar) -> Iterator[Hit]:
    """Kick on every beat, snare on 2 and 4, the hi-hat opened on each off-beat between sixteenths."""
    return bar.hits(
        {"kick": "X.....", "open": "...X.."},
        kick=EACH,
        snare="....X.......X...",
        hat="Xx..Xx..Xx..Xx..",
        open=OFFBEATS,
        tambourine="f.f.f.f.f.f.f.f.",
    )


def synth_backbeat(bar: GrooveBar) -> Iterator[Hit]:
    """Machine drums of the eighties: a big snare on 2 and 4, toms before the bar line, eighths."""
    toms = "............x.xx" if bar.number % 4 == 3 else "................"
    return bar.hits(kick="X...x...X...x...", snare="....X.......X...", hat="X.x.X.x.X.x.X.x.", mid_tom=toms,
                    clap="....f.......f...")  # fmt: skip


def breakbeat(bar: GrooveBar) -> Iterator[Hit]:
    """Drum and bass: snare on 2 and 4, kick on 1 and after 3, ghosts that never rest."""
    kick = bar.theme.choice(("X.........X.....", "X.x.......X.....", "X.........X..x.."))
    return bar.hits(kick=kick, snare="....X..g.g..X..g", hat="XgxgXgxgXgxgXgxg", ride="X.......X.......")


def two_step(bar: GrooveBar) -> Iterator[Hit]:
    """Garage: the kick leaves the third beat out, the hi-hat shuffles in sixteenths."""
    return bar.hits(kick="X.........x..x..", snare="....X.......X...", hat="..X..xX...X..xX.", rim="...f......f.....")


def dubstep(bar: GrooveBar) -> Iterator[Hit]:
    """Half-time: one big snare on 3, a kick that stutters before it."""
    return bar.hits(
        kick="X.........x...x." if bar.number % 2 else "X.....x.........",
        snare="........X.......",
        hat="..xf..xf..xf.xxf",
    )


def half_time_trap(bar: GrooveBar) -> Iterator[Hit]:
    """Trap: a clap on 3 alone, a sparse low kick, eighths of the hi-hat broken by rolls of 32nds and triplets."""
    kick = bar.theme.choice(("X.....x...x...f.", "X..x..f...x..x..", "X......x..x...f."))
    yield from bar.hits({"kick": "X.....", "clap": "......X....."}, kick=kick)
    strong = bar.pulses[len(bar.pulses) // 2] if len(bar.pulses) > 1 else bar.pulses[0]
    yield Hit(strong.start, "clap", 0.95)
    yield Hit(strong.start, "snare", 0.8)
    roll = None
    if not bar.sparse and bar.number % 2:
        roll = bar.chance.choice([pulse for pulse in bar.pulses if pulse.start]) if len(bar.pulses) > 1 else None
    for pulse in bar.pulses:
        if pulse is roll:
            count = bar.chance.choice((6, 8)) * pulse.steps // 4
            for i in range(count):
                yield Hit(pulse.start + pulse.steps * i / count, "hat", 0.45 + 0.4 * i / count)
        else:
            for step in range(0, 1 if bar.sparse else pulse.steps, 2):
                yield Hit(pulse.start + step, "hat", 0.75 if step == 0 else 0.55)


def boom_bap(bar: GrooveBar) -> Iterator[Hit]:
    """Hip hop: snare on 2 and 4, a kick that falls before and after the third beat, swung hi-hats."""
    kick = bar.theme.choice(("X......x..x.....", "X.x.......x..x..", "X.....x..xx....."))
    return bar.hits(kick=kick, snare="....X.......X..g", hat="X.x.X.x.X.x.X.xg")


def lofi(bar: GrooveBar) -> Iterator[Hit]:
    """Boom bap played softly: rim with the snare, no accents on the hi-hat."""
    return bar.hits(kick="X......x..x...f.", snare="....o.......o...", rim="....o.......o...", hat="o.x.o.x.o.x.o.x.")


def dembow(bar: GrooveBar) -> Iterator[Hit]:
    """Reggaeton: kick on every beat, the snare on 3 + 3 + 2 sixteenths."""
    return bar.hits({"kick": "X.....", "snare": "...X.X"}, kick=EACH, snare="...X..X....X..X.", hat="o.xfo.xfo.xfo.xf")


def soft_pulse(bar: GrooveBar) -> Iterator[Hit]:
    """Ambient: a soft low stroke at the start of each second bar, a shaker that one hardly hears."""
    if bar.number % 2 == 0:
        yield Hit(0, "kick", 0.35)
    for pulse in () if bar.sparse else bar.pulses:
        yield Hit(pulse.start + 2, "shaker", 0.25)
        if bar.full:
            yield Hit(pulse.start, "shaker", 0.2)
