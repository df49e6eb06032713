"""How guitars and keyboards play chords. Both may use each of these; a guitar takes its own voicings.

``X`` is an accent and ``o`` a stroke of every section, ``x`` a stroke that sparse sections leave out, ``g`` a soft one,
``f`` one of full sections alone, in which close chords have their lowest tone an octave higher as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from musetune.planning.rules.grooves.bar import GrooveBar, Strike
from musetune.planning.rules.grooves.voicing import close_near, power, shell
from musetune.symbols import Chord

Voicing = Callable[[Chord], list[int]]
LOUDER = {"X": 0.14, "o": 0.0, "x": 0.0, "f": -0.06, "g": -0.2}
MOST_VOICES, ABOVE = 5, 7  # notes of a hand; semitones above its range that the doubled tone may take


def _close(bar: GrooveBar) -> Voicing:
    return lambda chord: _with_octave(bar, close_near(chord, bar.before, *bar.span))


def _with_octave(bar: GrooveBar, voices: list[int]) -> list[int]:
    """A close chord, in a full bar with its lowest tone an octave higher where the hand has room."""
    high = voices[0] + 12
    room = len(voices) < MOST_VOICES and high not in voices and high <= bar.span[1] + ABOVE
    return [*voices, high] if bar.full and room else voices


def _shell(bar: GrooveBar) -> Voicing:
    return lambda chord: shell(chord, bar.before, *bar.span)


def strike(
    bar: GrooveBar, signs: str, compound: str | None = None, voicing: Voicing | None = None, loudness: float = 0.62
) -> Iterator[Strike]:
    """All tones at each sign, ``X`` louder; a sparse bar keeps its accents."""
    voice = voicing or _close(bar)
    for step, steps, sign, chord in bar.places(signs, compound):
        for pitch in voice(chord):
            yield Strike(step, steps, pitch, loudness + LOUDER[sign])


def pad(bar: GrooveBar) -> Iterator[Strike]:
    """Each chord held until the next one."""
    return strike(bar, "X---------------", "X-----------", loudness=0.42)


def block(bar: GrooveBar) -> Iterator[Strike]:
    """The chord on each beat."""
    return strike(bar, "X---x---X---x---", "X-----")


def ballad_block(bar: GrooveBar) -> Iterator[Strike]:
    """The chord in halves."""
    return strike(bar, "X-------x-------", "X-----", loudness=0.55)


def eighths(bar: GrooveBar) -> Iterator[Strike]:
    """The chord in even eighths: a driving piano."""
    return strike(bar, "X-x-X-x-X-x-X-x-", "X-x-x-", loudness=0.55)


def strum(bar: GrooveBar) -> Iterator[Strike]:
    """A strummed guitar: down on the beats, up between the later ones."""
    signs = bar.theme.choice(("X---x-x---x-x-x-", "X-----x-x---x-x-", "X---X-x-..x-X-x-"))
    return strike(bar, signs, bar.theme.choice(("X-----x---x-", "X-x-x-", "X---x-x---x-")), loudness=0.6)


def campfire(bar: GrooveBar) -> Iterator[Strike]:
    """Folk: a strum on each beat and its answer."""
    return strike(bar, "X---x-x-X---x-x-", "X---x-")


def boom_chick(bar: GrooveBar) -> Iterator[Strike]:
    """Country and polka: the chord short on the weak beats, the bass has the strong ones."""
    return strike(bar, "....X-......X-f.", "..X-x-")


def waltz(bar: GrooveBar) -> Iterator[Strike]:
    """Waltz: the chord on all beats but the first."""
    for pulse in bar.pulses[1:]:
        chord = bar.chord_at(pulse.start)
        if chord is not None and chord.root is not None:
            for pitch in _close(bar)(chord):
                yield Strike(pulse.start, pulse.steps * 0.7, pitch, 0.5)
    if len(bar.pulses) == 1:
        yield from strike(bar, "..X-", "..X-x-")


def off_beats(bar: GrooveBar) -> Iterator[Strike]:
    """Polka, march: the chord short between the beats."""
    return strike(bar, "..X...x...X...x.", "..X.x.", loudness=0.5)


def skank(bar: GrooveBar) -> Iterator[Strike]:
    """Reggae: short chords on 2 and 4, an echo behind them."""
    return strike(bar, "....Xg......Xg..", "...X..", loudness=0.62)


def bubble(bar: GrooveBar) -> Iterator[Strike]:
    """Reggae's organ: short chords between the beats, the skank's beats left out."""
    return strike(bar, "..o...x...o...x.", "..o.x.", loudness=0.45)


def ska_upstrokes(bar: GrooveBar) -> Iterator[Strike]:
    """Ska: a short chord on each off-beat."""
    return strike(bar, "..X...x...X...x.", "..X..x")


def power_chords(bar: GrooveBar) -> Iterator[Strike]:
    """Punk and hard rock: root, fifth and octave in eighths."""
    return strike(bar, "X-x-x-x-X-x-x-xf", "X-x-x-", power, 0.72)


def power_sustained(bar: GrooveBar) -> Iterator[Strike]:
    """Grunge: power chords held, pushed before 3."""
    return strike(
        bar, bar.theme.choice(("X-----x-----f---", "X---..X-x---x-f-", "X---------x-x-f-")), "X---------x-", power, 0.74
    )


def chugging(bar: GrooveBar) -> Iterator[Strike]:
    """Metal: short low fifths in a gallop, the accents held."""
    return strike(bar, bar.theme.choice(("X-xxX-xxX-xxXfxx", "XxxXxxXxxXxxX-xf")), "X-x.xx", power, 0.66)


def jangle(bar: GrooveBar) -> Iterator[Strike]:
    """Indie: one tone of the chord after another in eighths, the top one ringing through."""
    return broken(bar, (0, 2, 1, 3, 0, 2, 3, 1), 2)


def comping(bar: GrooveBar) -> Iterator[Strike]:
    """Jazz: rootless chords at places that change from bar to bar, off the beat more than on it."""
    signs = bar.chance.choice(
        (
            "X-....x-..f.x-..",
            "......X-..f.x-..",
            "..X---......x-f.",
            "X-....x-....f-..",
            "..x-....X---..f.",
            "....x-....X-..f.",
        )
    )
    return strike(bar, signs, "X-..x-", _shell(bar), 0.5)


def charleston(bar: GrooveBar) -> Iterator[Strike]:
    """Jazz: the chord on 1 and between 2 and 3."""
    return strike(bar, "X---..x-..f-....", "X---x-......", _shell(bar), 0.55)


def four_to_the_bar(bar: GrooveBar) -> Iterator[Strike]:
    """Swing guitar: a short chord on each beat, 2 and 4 louder."""
    return strike(bar, "x-..X-..x-..X-f.", "x---..X---..", _shell(bar), 0.48)


def bossa(bar: GrooveBar) -> Iterator[Strike]:
    """Bossa nova's guitar: the chord's syncopation over two bars, each before or between the beats."""
    signs = bar.theme.choice(("X---..X-..x---f.", "X-....X---f.x-..")) + bar.theme.choice(
        ("..X---x-....X---", "..X-..x-..X---..")
    )
    return strike(bar, signs, "X-..X-..X-..", _shell(bar), 0.58)


def samba_comping(bar: GrooveBar) -> Iterator[Strike]:
    """Samba: short sixteenth syncopations that the tambourine's pattern gives."""
    return strike(bar, "X.x..X.x.X..x.Xf.X.x..X.x..X.x.f", "X.X.X.", _shell(bar), 0.52)


def montuno(bar: GrooveBar) -> Iterator[Strike]:
    """Salsa's piano: two bars of octaves and chord tones, on the beat once, then always before it."""
    for step, steps, sign, chord in bar.places("X-x-.xX-.x-x.xX-.x-x.x-x.x-x.xX-", "X-xx.x"):
        voices = close_near(chord, bar.before, bar.span[1] - 24, bar.span[1])
        tone = voices[-1] if sign == "X" else voices[int(step) // 2 % len(voices)]
        doubled = bar.full and tone + 12 <= bar.span[1] + ABOVE
        for pitch in (tone - 12, tone) if sign == "X" else (tone, tone + 12) if doubled else (tone,):
            yield Strike(step, steps, pitch, 0.66 if sign == "X" else 0.56)


def muted_sixteenths(bar: GrooveBar) -> Iterator[Strike]:
    """Funk guitar: short sixteenths, most of them silent, the same ones in each bar."""
    return strike(
        bar, bar.theme.choice(("..X.g.xg..Xg.x..", "....X..xg...X..x", "x..X..g.x..X..g.")), "..X.xg", loudness=0.55
    )


def stabs(bar: GrooveBar) -> Iterator[Strike]:
    """House piano: short chords pushed against the beat."""
    return strike(
        bar, bar.theme.choice(("X..x..X...X..x..", "..X..x....X..x..", "X-....x-..X-....")), "X..X..", loudness=0.6
    )


def dub_stab(bar: GrooveBar) -> Iterator[Strike]:
    """Techno: one short chord, and its echoes softer."""
    signs = bar.theme.choice(("......X..g..g...", "...X..g..g......", "..........X..g..g..............."))
    return strike(bar, signs, "..X..g", loudness=0.5)


def tremolo(bar: GrooveBar) -> Iterator[Strike]:
    """Film strings: the chord again and again in eighths, quieter between the beats."""
    return strike(bar, "X-g-x-g-X-g-x-g-", "X-g-x-", loudness=0.45)


def marcato(bar: GrooveBar) -> Iterator[Strike]:
    """Tango: short chords on each beat, the strong ones heavy."""
    return strike(bar, "X-..x-..X-..x-..", "X-....x-....", loudness=0.66)


def tango(bar: GrooveBar) -> Iterator[Strike]:
    """Tango: a short chord, a long one across the beat, a short one."""
    return strike(bar, "X-x---x-..x-X-..", "X-x---", loudness=0.62)


def rasgueado(bar: GrooveBar) -> Iterator[Strike]:
    """Flamenco: strums that roll into the accents."""
    return strike(bar, "X-..xxX-x-x-XxX-", "X-xxX-", loudness=0.6)


def broken(bar: GrooveBar, order: tuple[int, ...], size: int, loudness: float = 0.52) -> Iterator[Strike]:
    """Tones of the chord one after another, ``size`` steps each, in the order of the voicing's ``order``."""
    lengths = 2 * size if bar.sparse else size
    for count, step in enumerate(range(0, bar.steps, size)):
        chord = bar.chord_at(step) if step % lengths == 0 else None
        if chord is not None and chord.root is not None:
            voices = close_near(chord, bar.before, *bar.span)
            tone = order[count % len(order)]
            pitch = voices[tone % len(voices)] + 12 * (tone // len(voices))
            pitch -= 12 * (pitch > bar.span[1] + 7)
            yield Strike(step, lengths * 1.5, pitch, loudness + (0.1 if step == 0 else 0))
            other = voices[-1] if pitch == voices[0] else voices[0]
            if bar.full and other != pitch and any(step == pulse.start for pulse in bar.pulses):
                yield Strike(step, lengths * 1.5, other, loudness)


def arpeggio(bar: GrooveBar) -> Iterator[Strike]:
    """The chord's tones in eighths, up and down."""
    triple = bar.meter.compound or len(bar.pulses) % 3 == 0
    return broken(bar, (0, 1, 2, 3, 2, 1) if triple else (0, 1, 2, 3, 4, 3, 2, 1), 2)


def fingerpicking(bar: GrooveBar) -> Iterator[Strike]:
    """Folk guitar: low and high strings in turns, in eighths."""
    return broken(bar, (0, 2, 1, 3, 0, 3, 1, 2), 2, 0.5)


def arpeggio_sixteenths(bar: GrooveBar) -> Iterator[Strike]:
    """Trance and synthwave: the chord's tones in sixteenths."""
    order = bar.theme.choice(((0, 1, 2, 3), (0, 2, 1, 2), (0, 1, 2, 1, 3, 1, 2, 1)))
    return broken(bar, order, 1, 0.48)


def alberti(bar: GrooveBar) -> Iterator[Strike]:
    """Classical piano: lowest, highest, middle, highest in eighths."""
    return broken(bar, (0, 2, 1, 2), 2, 0.45)


def chorale(bar: GrooveBar) -> Iterator[Strike]:
    """The chord struck at each change and on each strong beat, held: voices that move together."""
    return strike(bar, "X-------x-------", "X-----", loudness=0.5)


def boogie(bar: GrooveBar) -> Iterator[Strike]:
    """Blues guitar: root with fifth, then with sixth, in swung eighths."""
    for step, steps, sign, chord in bar.places("5-5-6-6-5-5-6-66", "5---6-", ("  1   1   1   12", "    1 ")):
        root, fifth = power(chord)[0], power(chord)[1]
        upper = root + 9 if sign == "6" and fifth == root + 7 else fifth
        for pitch in (root, upper):
            yield Strike(step, steps, pitch, 0.6)


def trap_keys(bar: GrooveBar) -> Iterator[Strike]:
    """Trap: dark chord tones, two or three notes a bar that come back in each."""
    signs = bar.theme.choice(("X-----x---x-....", "X---------x---x-", "X--x--x---------"))
    for count, (step, steps, sign, chord) in enumerate(bar.places(signs, "X---x-")):
        voices = close_near(chord, bar.before, 60, 84)
        pitch = voices[count % len(voices)]
        for each in (pitch, pitch - 12) if bar.full and sign == "X" else (pitch,):
            yield Strike(step, steps, each, 0.55)
