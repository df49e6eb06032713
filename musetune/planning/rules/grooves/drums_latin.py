"""Drums of the Caribbean, of South America and of Spain."""

from __future__ import annotations

from collections.abc import Iterator

from musetune.planning.rules.grooves.bar import GrooveBar, Hit
from musetune.planning.rules.grooves.drums import EIGHTHS


def one_drop(bar: GrooveBar) -> Iterator[Hit]:
    """Reggae: nothing on 1; kick and rim together on 3, eighths on the hi-hat with the off-beats open."""
    strong = bar.pulses[len(bar.pulses) // 2] if len(bar.pulses) > 1 else None
    yield from bar.hits({"hat": "x.x.x."}, hat="x.X.x.X.x.X.x.Xg")
    yield Hit(strong.start if strong else 2, "kick", 0.9)
    yield Hit(strong.start if strong else 2, "rim", 0.85)


def steppers(bar: GrooveBar) -> Iterator[Hit]:
    """Reggae that walks: kick on every beat, rim on 3, off-beats of the hi-hat."""
    return bar.hits(
        {"kick": "X.....", "rim": "......X....."},
        kick="X...X...X...X...",
        rim="........X.......",
        hat="g.X.g.X.g.X.g.X.",
    )


def ska(bar: GrooveBar) -> Iterator[Hit]:
    """Kick and snare together on 2 and 4, hi-hat on every off-beat."""
    return bar.hits(kick="....X.......X...", snare="....X.......X.f.", hat="x.X.x.X.x.X.x.X.")


def bossa_clave(bar: GrooveBar) -> Iterator[Hit]:
    """Bossa nova: the clave on the rim over two bars, kick on 1 and before 2, even eighths of the hi-hat."""
    return bar.hits(
        {"rim": "X..x..", "kick": "X...x.", "hat": "x.x.x.", "shaker": "f.f.f."},
        rim="X.....X.....X.......X.....X.....",
        kick="X.....x.X.....x.",
        hat="X.x.X.x.X.x.X.x.",
        shaker="f.f.f.f.f.f.f.f.",
    )


def samba(bar: GrooveBar) -> Iterator[Hit]:
    """Samba: the low surdo heavy on each second beat, the kick's dotted pulse, sixteenths of a shaker, agogô."""
    return bar.hits(
        kick="o..xo..xo..xo..x",
        surdo="....X.......X...",
        shaker="XgxXXgxXXgxXXgxX",
        agogo="X..x....x.x.....",
        low_agogo="....x.x......x.x",
    )


def salsa(bar: GrooveBar) -> Iterator[Hit]:
    """Salsa: clave of three and two over two bars, cáscara on the timbale's shell, congas that open on 4."""
    return bar.hits(
        claves="X.....X.....X.......X...X.......",
        block="X...x.X...x.X.x.X.x...X.x...X.x.",
        conga_slap="....x.......x...",
        conga="......f.....X.X.",
        cowbell="X...x...X...x...",
    )


def cha_cha(bar: GrooveBar) -> Iterator[Hit]:
    """Cowbell on each beat, a scraped güiro, congas that open on 4."""
    return bar.hits(
        cowbell="X...X...X...X...",
        guiro="X...x.x.X...x.x.",
        conga_slap="....X...........",
        conga="......f.....X.X.",
    )


def bolero(bar: GrooveBar) -> Iterator[Hit]:
    """Slow: maracas in eighths, a low conga on 1, high ones on 4."""
    return bar.hits(
        shaker=EIGHTHS,
        low_conga="X.......f.......",
        conga="............X.x.",
        conga_slap="....x...........",
    )


def cumbia(bar: GrooveBar) -> Iterator[Hit]:
    """The scraper's long and two short on each beat, a drum on the off-beats."""
    return bar.hits(
        guiro="X.xxX.xxX.xxX.xx", kick="X.......X.......", conga="..X...X...X...X.", cowbell="f...f...f...f..."
    )


def tango(bar: GrooveBar) -> Iterator[Hit]:
    """Tango has no kit: a block marks the beats, and the drag before the bar line."""
    yield from bar.hits(
        {"block": "X.....X.....", "rim": ".....g.....g"}, block="X...x...X...x...", rim="......f.......gx"
    )


def tresillo(bar: GrooveBar) -> Iterator[Hit]:
    """Three, three and two sixteenths or eighths against the bar, on kick and rim: habanera's cousin."""
    return bar.hits({"kick": "X....."}, kick="X.......X.....f.", rim="X.....X.....X...", shaker="o.x.o.x.o.x.o.x.")


def habanera(bar: GrooveBar) -> Iterator[Hit]:
    """A dotted beat, its sixteenth and two even ones: long, short, long, long."""
    return bar.hits({"low_conga": "X...X.", "conga": "...x.."}, low_conga="X..x....X..x....", conga="....X.x.....X.x.",
                    shaker="f.f.f.f.f.f.f.f.")  # fmt: skip


def palmas(bar: GrooveBar) -> Iterator[Hit]:
    """Flamenco: claps and a box drum, accents off the beat, the last ones doubled."""
    return bar.hits(
        {"clap": "X.x.X.", "kick": "X.....", "rim": "...x.x"},
        clap="..X.X.X...X.X.Xx",
        kick="X......xX.....f.",
        rim="....x..x....x.xx",
    )


def afrobeat(bar: GrooveBar) -> Iterator[Hit]:
    """Hi-hat and kick interlock, the snare speaks off the beat, a shaker runs on."""
    return bar.hits(
        kick="X..x..x.X..x....",
        snare="....x..x....x..x",
        hat="X.xxX.xxX.xxX.xx",
        shaker="XxxxXxxxXxxxXxxx",
        agogo="f..f..f...f..f..",
    )
