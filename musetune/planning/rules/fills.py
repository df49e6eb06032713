"""What drummers play at the end of a section, and how a build rises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from musetune.planning.rules.grooves.bar import GrooveBar, Hit

TOMS = ("snare", "high_tom", "mid_tom", "floor_tom")
MACHINES = {
    "four_on_the_floor",
    "techno",
    "trance",
    "disco",
    "breakbeat",
    "two_step",
    "dubstep",
    "half_time_trap",
    "synth_backbeat",
    "dembow",
}
JAZZ = {"swing_ride", "bebop_ride", "jazz_waltz", "two_beat_jazz"}
QUIET = {
    "brushes",
    "soft_pulse",
    "tango",
    "tambourine_six",
    "tambourine_pulse",
    "folk_stomp",
    "palmas",
    "lofi",
    "film_drums",
    "habanera",
    "waltz",
}
CRASHING = MACHINES | {  # grooves that begin a full section with a cymbal
    "rock_backbeat",
    "pop_backbeat",
    "ballad_backbeat",
    "indie_backbeat",
    "soul_backbeat",
    "grunge",
    "punk_beat",
    "d_beat",
    "double_kick",
    "blast",
    "half_time",
    "shuffle",
    "rock_and_roll",
    "gospel",
}
LATIN = {"bossa_clave", "samba", "salsa", "cha_cha", "bolero", "cumbia", "tresillo"}


def filled(groove: str, bar: GrooveBar, hits: Iterable[Hit]) -> Iterator[Hit]:
    """The bar's hits with a fill in its last beat, or in its last two where it is full; quiet grooves have none."""
    if groove in QUIET or not bar.pulses:
        yield from hits
        return
    long = bar.density > 0.8 and len(bar.pulses) > 2 and groove not in JAZZ | LATIN
    start = bar.pulses[-2 if long else -1].start
    kept = ("kick", "claves", "shaker") if groove in LATIN else ("kick",)
    for hit in hits:
        if hit.step < start or (hit.drum in kept and groove not in MACHINES):
            yield hit
    yield from _fill(groove, bar, start)


def _fill(groove: str, bar: GrooveBar, start: int) -> Iterator[Hit]:
    length, chance = bar.steps - start, bar.chance
    if groove in MACHINES:  # a roll on the snare, the kick silent before the next bar line
        for i in range(length):
            yield Hit(start + i, "snare", 0.45 + 0.45 * i / length)
    elif groove in JAZZ:  # two or three strokes that lead on
        for step in (start, start + length - 2):
            yield Hit(step, chance.choice(("snare", "mid_tom")), 0.6)
        yield Hit(start, "ride", 0.6)
    elif groove in LATIN:
        for step in range(start, bar.steps, 2 if length > 4 else 1):
            yield Hit(step, chance.choice(("timbale", "high_timbale")) if groove == "salsa" else "snare", 0.55)
    elif groove in ("one_drop", "steppers", "ska"):  # a rattle of the timbale-tuned snare
        for step in (start, start + 1, start + 3):
            yield Hit(step, "high_timbale" if step == start else "snare", 0.7)
    else:  # down the toms
        rests = chance.choice(("", "3", "36"))
        for i in range(length):
            if str(i % 8) not in rests:
                yield Hit(start + i, TOMS[min(i * len(TOMS) // length, 3)], 0.65 + 0.25 * i / length)


def build(bar: GrooveBar) -> Iterator[Hit]:
    """A build: the kick on each beat, a snare that doubles its pace with every quarter of the section, then silence."""
    part = (bar.number + 0.5) / bar.count
    gap = 4 if part < 0.4 else 2 if part < 0.75 else 1
    end = bar.steps - bar.pulses[-1].steps if bar.last and bar.count > 2 else bar.steps
    for pulse in bar.pulses:
        if part < 0.75:
            yield Hit(pulse.start, "kick", 0.8)
    for step in range(0, end, gap):
        yield Hit(step, "snare", 0.4 + 0.5 * (bar.number + step / bar.steps) / bar.count)
