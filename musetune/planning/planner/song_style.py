"""What a style says of songs: meters, tempo, feel, harmony, forms, grooves, instruments; chords as it reads them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

from musetune.planning.planner.language import PlanBar, PlanChord, relative, steps_per_beat
from musetune.symbols import Chord, Key, Meter
from musetune.symbols.qualities import QUALITY_INTERVALS

FEELS = {"straight": 1 / 2, "swing": 2 / 3, "shuffle": 2 / 3}  # share of a unit that its first half lasts
TONICS = {"major": Key("C", "major"), "minor": Key("A", "minor")}  # keys in which progressions are written


@dataclass(frozen=True)
class Feel:
    """How two notes of a unit share its time.

    Attributes:
        kind: One of FEELS.
        ratio: Share, 1/2–3/4, that the first of them lasts: 1/2 straight, 2/3 a triplet's.
        unit: 8 where eighths are long and short, 16 where sixteenths are.

    Example:
        >>> Feel("swing").ratio == 2 / 3
        True
    """

    kind: str
    ratio: float = 0.0
    unit: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", self.ratio or FEELS[self.kind])


@dataclass(frozen=True)
class SongStyle:
    """A style's row; None or empty where it says nothing.

    Attributes:
        style: Its name.
        also: Other names; a ``*`` stands for any letters.
        genre: The genres of `musetune.symbols.GENRES` to choose from.
        meters: Time signatures and how often each is meant.
        tempo: Fewest and most beats a minute, in compound meters of dotted beats.
        mode: "major" or "minor"; None where both occur.
        modes: Both modes and how often each is meant.
        feel: Straight or long and short notes.
        chords_a_bar: Chord changes in a bar: first quartile, median and third quartile of songs of this style.
        hold: Most bars on one chord.
        ending: "home" where the last bar comes to the tonic, "turnaround" where it may lead to the beginning instead.
        vocabulary: Least and greatest share, 0–1, of chords of each kind of CHORD_SHARES.
        progressions: Bars of chords in C major and A minor, by mode: ``"Dm7 G7 | Cmaj7"``.
        forms: Sections, such as ``"verse:8 chorus:8"``, and how often each is meant.
        grooves: What each player of PLAYERS plays: names of rules, one of which is chosen; "none" is silence.
        instruments: What each player plays on, in words.
    """

    style: str = ""
    also: tuple[str, ...] = ()
    genre: tuple[str, ...] = ()
    meters: tuple[tuple[str, float], ...] = ()
    tempo: tuple[int, int] | None = None
    mode: str | None = None
    modes: tuple[tuple[str, float], ...] = ()
    feel: Feel | None = None
    chords_a_bar: tuple[float, float, float] | None = None
    hold: int | None = None
    ending: str | None = None
    vocabulary: tuple[tuple[str, tuple[float, float]], ...] = ()
    progressions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    forms: tuple[tuple[str, float], ...] = ()
    grooves: tuple[tuple[str, tuple[str, ...]], ...] = ()
    instruments: tuple[tuple[str, str], ...] = ()

    def groove(self, player: str) -> tuple[str, ...]:
        """Names of the rules that a player of PLAYERS may follow; empty where the style says none."""
        return dict(self.grooves).get(player, ())

    def instrument(self, player: str) -> str | None:
        """What a player of PLAYERS plays on, in words."""
        return dict(self.instruments).get(player)

    def progressions_in(self, mode: str) -> tuple[str, ...]:
        """The progressions of a mode."""
        return dict(self.progressions).get(mode, ())


def join_styles(styles: tuple[SongStyle, ...]) -> SongStyle:
    """One style of several: each says what the ones before it left open."""
    joined = styles[0] if styles else SongStyle()
    for style in styles[1:]:
        fresh = {f.name: getattr(style, f.name) for f in fields(style) if f.name not in ("style", "also")}
        joined = replace(joined, **{name: value for name, value in fresh.items() if not getattr(joined, name)})
    return joined


@lru_cache(maxsize=1024)
def progression_bars(text: str, mode: str, meter: Meter) -> tuple[PlanBar, ...]:
    """The bars of a progression that is written in C major or A minor; two chords share a bar by its beats.

    Chords keep their alterations (``PlanChord.intervals``).

    Raises:
        ValueError: For a bar without a chord or with more than two, and for what is no chord.

    Example:
        >>> [len(bar) for bar in progression_bars("Dm7 G7 | Cmaj7", "major", Meter(4, 4))]
        [2, 1]
    """
    bars: list[PlanBar] = []
    for bar in text.split("|"):
        names = bar.split()
        if not 1 <= len(names) <= 2:
            raise ValueError(f"bar {len(bars) + 1} has {len(names)} chords: write one or two, such as Dm7 G7 | Cmaj7")
        middle = (meter.beats_per_bar + 1) // 2 * steps_per_beat(meter)
        bars.append(
            tuple(
                relative(chord, TONICS[mode], 0 if index == 0 else middle)._replace(intervals=chord.intervals)
                for index, chord in enumerate(map(Chord.parse, names))
            )
        )
    return tuple(bars)


def chord_kinds(chord: PlanChord, mode: str) -> frozenset[str]:
    """Which kinds of CHORD_SHARES a chord is; "outside" has a tone that is in no scale of its mode."""
    tones = QUALITY_INTERVALS[chord.quality]
    scale = {0, 2, 4, 5, 7, 9, 11} if mode == "major" else {0, 2, 3, 5, 7, 8, 10, 11}
    kinds = {
        "sevenths": len(tones) > 3,
        "outside": any((chord.degree + tone) % 12 not in scale for tone in tones),
        "slash": chord.bass != 0,
        "power": chord.quality == "5",
    }
    return frozenset(kind for kind, holds in kinds.items() if holds)
