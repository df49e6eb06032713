"""Bass lines. ``R`` the chord's bass note, ``8`` its octave, ``3 5 6 7`` its third, fifth, sixth and seventh.

The line of digits below a pattern says how full a section must be for a sign: 1 under those that sparse sections leave
out, 2 under those of full ones; a pair has one of six eighths as well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from musetune.planning.rules.grooves.bar import GrooveBar, Strike
from musetune.planning.rules.grooves.voicing import BASS, bass_note, degree, pitch_near

LOW, HIGH = BASS
SKIPS = 0.3  # share of the beats of a full walking bass with a short note before the next


def pattern(
    bar: GrooveBar,
    signs: str,
    compound: str | None = None,
    levels: tuple[str, str] = ("", ""),
    loudness: float = 0.75,
) -> Iterator[Strike]:
    """One bar of signs; a change of harmony inside a held note strikes the new bass."""
    line = bar.sounding_line(signs, compound, levels)
    for step, steps, sign, chord in bar.places(signs, compound, levels):
        struck = line[int(step)] == sign and step == int(step)
        pitch = bass_note(chord) + degree(chord, sign if struck else "R")
        accent = 0.1 if step == 0 else 0.0
        yield Strike(step, steps, pitch if pitch <= HIGH else pitch - 12, loudness + accent)


def root_whole(bar: GrooveBar) -> Iterator[Strike]:
    """One long root a chord."""
    return pattern(bar, "R-------R-------", "R-----R-----",
                       ("        2       ", "      2     "))  # fmt: skip


def root_quarters(bar: GrooveBar) -> Iterator[Strike]:
    """The root on every beat."""
    return pattern(bar, "R---R---R---R-R-", "R---R-",
                       ("    1       1 2 ", "    2 "))  # fmt: skip


def root_eighths(bar: GrooveBar) -> Iterator[Strike]:
    """The root in eighths: rock, punk, new wave."""
    return pattern(bar, "R-R-R-R-R-R-R-RR", "R-R-R-",
                       ("  1   1   1   12", "  1 1 "))  # fmt: skip


def root_syncopated(bar: GrooveBar) -> Iterator[Strike]:
    """A dotted quarter, an eighth tied over 3, and a way back to 1."""
    end = bar.theme.choice(("5-R-", "R-5-", "--R-"))
    return pattern(bar, f"R---R-R-R---{end}", "R---R-",
                        ("    2 1     1 1 ", "    1 "))  # fmt: skip


def root_fifth(bar: GrooveBar) -> Iterator[Strike]:
    """Root on 1, fifth on 3: country, march, polka, samba from afar."""
    two = "R---5---R---5-R-" if len(bar.pulses) == 2 else "R-------5-----R-"
    return pattern(bar, two, "R---..5---R.",
                  ("              2 ", "          2 "))  # fmt: skip


def waltz(bar: GrooveBar) -> Iterator[Strike]:
    """The first beat alone, in full sections an answer on the last; fifth in every second bar on one chord."""
    held = (
        bar.number % 2 == 1
        and len(bar.chords) == 1
        and bar.before
        and bar.chords[0].chord.bass_pc == bar.before[0] % 12
    )
    first = next(iter(bar.places("R---............", "R-----......")), None)
    if first:
        step, _, _, chord = first
        pitch = bass_note(chord) + degree(chord, "5" if held else "R")
        yield Strike(step, bar.pulses[0].steps, pitch if pitch <= HIGH else pitch - 12, 0.8)
        for start, steps, _, other in list(bar.places("R" + "-" * 15, "R-----------"))[1:]:
            if other != chord:
                yield Strike(start, min(steps, 4), bass_note(other), 0.7)
        end = bar.pulses[-1]
        last = bar.chord_at(end.start)
        if bar.full and len(bar.pulses) > 2 and last == chord:
            yield Strike(end.start, end.steps, bass_note(chord) + (0 if held else degree(chord, "5")), 0.6)


def walking(bar: GrooveBar) -> Iterator[Strike]:
    """A note on each beat: the root where the harmony changes, then tones of the chord, a step before the next root.

    Sparse sections are played in two; in full ones a note is struck again, short, before some of the beats.
    """
    chance, skips, last = (
        bar.chance,
        random.Random(f"{bar.seed}:{bar.number}:skip"),
        bar.before[-1] if bar.before else 38,
    )
    known = None
    for index, pulse in enumerate(bar.pulses):
        chord = bar.chord_at(pulse.start)
        if chord is None:
            continue
        after = bar.pulses[index + 1].start if index + 1 < len(bar.pulses) else None
        coming = bar.chord_at(after) if after is not None else bar.following
        low = [pitch for pitch in range(LOW, HIGH + 1) if pitch % 12 in chord.pitch_classes]
        if chord != known:
            assert chord.bass_pc is not None
            pitch = pitch_near(chord.bass_pc, last, LOW, HIGH)
        elif coming is not None and coming.bass_pc is not None and (coming != chord or after is None):
            target = pitch_near(coming.bass_pc, last, LOW, HIGH)
            steps = [p for p in (target - 1, target + 1, target - 2, target + 2) if LOW <= p <= HIGH and p != last]
            weights = [4 if p % 12 in chord.pitch_classes else 2 if abs(p - target) == 1 else 1 for p in steps]
            pitch = chance.choices(steps, weights)[0]
        else:
            near = sorted((p for p in low if p != last), key=lambda p: (abs(p - last), p))[:3]
            pitch = chance.choice(near or [last])
        skipped, struck = (
            skips.random() < SKIPS and bar.full,
            not bar.sparse or pulse.quarter % 2 == 0 or chord != known,
        )
        if struck:
            going = pulse.steps * (2 if bar.sparse and index + 1 < len(bar.pulses) else 1)
            yield Strike(pulse.start, going, pitch, 0.72 + 0.08 * (pulse.quarter % 2))
        if skipped:
            yield Strike(pulse.start + pulse.steps - 2, 2, pitch, 0.5)
        known, last = chord, pitch


def two_feel(bar: GrooveBar) -> Iterator[Strike]:
    """Jazz in two: root and fifth in halves, a swung pick-up to the next bar at times."""
    ends = bar.chance.choice(("5-------", "5-----R-", "5-------"))
    return pattern(bar, f"R-----R-{ends}", "R-----5---R-",
                        ("      2       1 ", "          1 "))  # fmt: skip


def bossa_two(bar: GrooveBar) -> Iterator[Strike]:
    """Bossa nova: root on 1, fifth on 3, each led to by a short eighth."""
    return pattern(bar, "R-----5-5---R-R-", "R---R-5---5-",
                       ("      1     2 1 ", "    1     1 "))  # fmt: skip


def samba(bar: GrooveBar) -> Iterator[Strike]:
    """Dotted eighth and sixteenth on each beat, root and fifth in turns."""
    return pattern(bar, "R--55--55--RR--R", "R---5-5---R-",
                       ("   1   1   1   1", "    1     1 "))  # fmt: skip


def tresillo(bar: GrooveBar) -> Iterator[Strike]:
    """Three, three and two eighths: son, mambo, New Orleans."""
    return pattern(bar, "R-----5-----8-R-", "R--5--8-----",
                       ("      1       2 ", "   1        "))  # fmt: skip


def tumbao(bar: GrooveBar) -> Iterator[Strike]:
    """Salsa: nothing on 1; the fifth after 2, and on 4 the root of the next bar."""
    for step, steps, sign, chord in bar.places(
        "......5-----R-R-", "..5-..R---..", ("      1       2 ", "  1         ")
    ):
        coming = bar.following if sign == "R" and bar.following is not None else chord
        pitch = bass_note(coming) if sign == "R" else bass_note(chord) + degree(chord, "5")
        yield Strike(step, steps, pitch if pitch <= HIGH else pitch - 12, 0.8)


def offbeat_octaves(bar: GrooveBar) -> Iterator[Strike]:
    """Disco: root on the beat, octave between."""
    return pattern(bar, "R-8-R-8-R-8-R-88", "R-8-8-",
                       ("  1   1   1   12", "  1 1 "))  # fmt: skip


def octaves(bar: GrooveBar) -> Iterator[Strike]:
    """Root and octave in turns, two eighths each: synth pop."""
    return pattern(bar, "R-R-8-8-R-R-8-88", "R-R-8-",
                       ("  1   1   1   12", "  1   "))  # fmt: skip


def offbeats(bar: GrooveBar) -> Iterator[Strike]:
    """House and trance: the bass answers each kick between the beats."""
    return pattern(bar, "..R-..R-..R-..RR", "..R-R-",
                       ("      1       12", "    1 "))  # fmt: skip


def rolling_sixteenths(bar: GrooveBar) -> Iterator[Strike]:
    """Techno and trance: three sixteenths after each kick."""
    return pattern(bar, ".RRR.RRR.RRR.R8R", ".RR.RR",
                       (" 1 1 1 1 1 1 1 1", " 1  1 "), 0.68)  # fmt: skip


def techno_pulse(bar: GrooveBar) -> Iterator[Strike]:
    """A low note that repeats against the bar in threes."""
    line = bar.theme.choice(("..R..R..R..R..RR", "..RR..R...RR..RR", "R..R..R...R..R.R"))
    return pattern(bar, line, "..R..R",
                  ("   1 1     1 1 2", "     1"), 0.7)  # fmt: skip


def long_808(bar: GrooveBar) -> Iterator[Strike]:
    """Trap: long low notes where the kick is, one more before the bar line."""
    line = bar.theme.choice(("R-----R-------8-", "R--R--------R-8-", "R-----8----R--R-"))
    levels = "      2    1  1 " if line[11] == "R" else "   1  1     1 2 "
    return pattern(bar, line, "R---R-------",
                  (levels, "    1       "), 0.85)  # fmt: skip


def half_time_bass(bar: GrooveBar) -> Iterator[Strike]:
    """Drum and bass, dubstep: a long root, then a syncopated answer."""
    line = bar.theme.choice(("R-----R-----R-8-", "R-----R-..R---5-", "R-----R---R-----"))
    return pattern(bar, line, "R---------R-",
                  ("      2   1 1 1 ", "          1 "), 0.82)  # fmt: skip


def reggae_syncopated(bar: GrooveBar) -> Iterator[Strike]:
    """Reggae: heavy and melodic, a rest where one expects a beat; the riff comes back in each bar."""
    line, levels = bar.theme.choice((
        ("R--R..3-5-..R-5-", "   1        1 2 "), ("..R-R-..5-3-R-5-", "    1     1   2 "),
        ("R-..R-5-..5-3-R-", "    1     2   1 "), ("R-R-..5-8-5-3-R-", "  1     2 1   1 "),
    ))  # fmt: skip
    return pattern(bar, line, "R-..3-5-..R-",
                  (levels, "    1     1 "), 0.85)  # fmt: skip


def triad_walk(bar: GrooveBar) -> Iterator[Strike]:
    """Ska, early rock'n'roll: up the chord and back in quarters."""
    line = bar.theme.choice(("R---3---5---3-5-", "R---3---5---6-5-", "R---5---8---5-3-"))
    return pattern(bar, line, "R---3-5---3-",
                  ("    1       1 2 ", "    1     1 "))  # fmt: skip


def boogie(bar: GrooveBar) -> Iterator[Strike]:
    """Boogie: root, third, fifth, sixth and back, each struck twice."""
    up, down = "R-R-3-3-5-5-6-66", "8-8-6-6-5-5-3-33"
    return pattern(bar, up + down, "R---3-5---6-",
                  ("  1   1   1   12", "    1     1 "))  # fmt: skip


def funk_syncopated(bar: GrooveBar) -> Iterator[Strike]:
    """Funk: the first beat firm, sixteenths and octaves around the rest."""
    line, levels = bar.theme.choice((
        ("R--R..88..5-R.8.", "   1   2  1   1 "), ("R-.R..R.8..5.R8.", "   1    1    12 "),
        ("R...R.8R..5-R.7R", "    1 1   1 2 1 "),
    ))  # fmt: skip
    return pattern(bar, line, "R--8.R", (levels, "   1  "), 0.8)


def motown_line(bar: GrooveBar) -> Iterator[Strike]:
    """Soul: eighths that pass through fifth and sixth, syncopated before 3."""
    line = bar.theme.choice(("R--RR-5-6-5-R-55", "R-..R-3-5-6-5-33", "R--R..5-R-5-6-88"))
    return pattern(bar, line, "R---5-6---5-",
                  ("   1  1   1   12", "    1     1 "))  # fmt: skip


def gallop(bar: GrooveBar) -> Iterator[Strike]:
    """Metal: an eighth and two sixteenths on each beat."""
    return pattern(bar, "R-RRR-RRR-RRRRRR", "R-R-RR",
                       ("   1   1   1 2 1", "     1"))  # fmt: skip


def dembow(bar: GrooveBar) -> Iterator[Strike]:
    """Reggaeton: root on 1, then with the snare."""
    return pattern(bar, "R--R--R-R--R--58", "R---R-",
                       ("           1  12", "    1 "))  # fmt: skip


def habanera(bar: GrooveBar) -> Iterator[Strike]:
    """Long, short, long, long: root, fifth, octave, fifth."""
    if bar.meter.denominator < 4:
        return pattern(bar, "R--58-5-R--58-5-", "R--55-", ("   1  1    1  1 ", "    1 "))
    return pattern(bar, "R--5--..8---5-8-", "R--55-",
                       ("   1          2 ", "    1 "))  # fmt: skip


def marcato(bar: GrooveBar) -> Iterator[Strike]:
    """Tango: every beat struck short, root and fifth in turns."""
    return pattern(bar, "R--.5--.R--.5-R.", "R---..5---R.",
                       ("    1       1 2 ", "          2 "), 0.82)  # fmt: skip


def pedal(bar: GrooveBar) -> Iterator[Strike]:
    """A drone: the bass of the section's first chord stays under all chords that share it, others sound their own."""
    for step, steps, _, chord in bar.places("R---------------", "R-----------"):
        held = bar.before[0] % 12 if bar.before else None
        pitch = bar.before[0] if held is not None and held in chord.pitch_classes else bass_note(chord)
        yield Strike(step, steps, pitch, 0.6)


def cello_line(bar: GrooveBar) -> Iterator[Strike]:
    """Chorales and chamber music: a quiet note a beat, near to the one before, third or root."""
    last = bar.before[-1] if bar.before else 40
    for index, pulse in enumerate(bar.pulses):
        chord = bar.chord_at(pulse.start)
        if chord is None or chord.bass_pc is None:
            continue
        changed = index == 0 or chord != bar.chord_at(bar.pulses[index - 1].start)
        if changed or index == 2 or bar.full:
            steps = (
                sum(p.steps for p in bar.pulses[index : index + 2])
                if changed
                and not bar.full
                and chord == bar.chord_at(bar.pulses[min(index + 1, len(bar.pulses) - 1)].start)
                else pulse.steps
            )
            pitch = pitch_near(chord.bass_pc, last, LOW, HIGH)
            yield Strike(pulse.start, steps, pitch, 0.6)
            last = pitch
