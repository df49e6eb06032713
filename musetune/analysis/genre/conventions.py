"""What a genre usually does, as written in genres/*.yaml or in a user's file, and which of it a piece does.

    genre: bossa nova
    tempo: [110, 160]                  # bpm
    progressions: [ii-V-I, backdoor]   # names of musetune.theory.harmony.patterns
    chords:                            # share of the time that chords of this kind sound, 0–1
      four notes: [0.6, 1.0]
    rhythm:
      swing: [0.9, 1.2]                # long half of the beat over the short one
      syncopation: [0.2, 0.8]          # syncopation_index of the record
      meters: [4/4, 2/4]
    sound: [drums, mellow]             # words of SOUND_WORDS

All but `genre` may be left out; several genres in one file are parted by a line `---`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path

from musetune.analysis.genre.traits import CHORD_KINDS, SOUND_WORDS, GenreTraits
from musetune.formats.plain_yaml import check_fields, read_documents, read_range, short
from musetune.symbols import BPM_RANGE, Meter
from musetune.symbols.names import suggest

LARGEST = 2**16  # bytes of a file of genres
LONGEST_NAME = 60
BUILT_IN = Path(__file__).with_name("genres")
FIELDS = ("genre", "tempo", "progressions", "chords", "rhythm", "sound")
RHYTHM_FIELDS = ("swing", "syncopation", "metres")
WEIGHTS = {
    "progressions": 1.5,
    "chords": 1.5,
    "tempo": 0.75,
    "swing": 1.0,
    "syncopation": 0.5,
    "metres": 0.25,
    "sound": 1.5,
}
Range = tuple[float, float]


@dataclass(frozen=True)
class ConventionCheck:
    """One convention held against a piece: does the piece keep it, and in words how, with the piece's own value."""

    kind: str  # of WEIGHTS
    subject: str  # the same for the same question asked by two genres
    kept: bool
    reason: str


@dataclass(frozen=True)
class Convention:
    """A genre's row; what is None or empty is not asked. Ranges include both ends."""

    genre: str
    tempo: Range | None = None
    progressions: tuple[str, ...] = ()
    chords: tuple[tuple[str, Range], ...] = ()
    swing: Range | None = None
    syncopation: Range | None = None
    meters: tuple[str, ...] = ()
    sound: tuple[str, ...] = ()

    def checks(self, piece: GenreTraits) -> list[ConventionCheck]:
        """Every convention that the piece's traits can decide; a reason is true where `kept`."""
        rows = [
            _within("tempo", f"{piece.bpm:.0f} bpm lies in {self.genre}'s {{}}", piece.bpm, self.tempo, "{:.0f}"),
            _within("swing", f"swing ratio {piece.swing} lies in {self.genre}'s {{}}", piece.swing, self.swing, "{:g}"),
            _within(
                "syncopation",
                f"syncopation {piece.syncopation} lies in {self.genre}'s {{}}",
                piece.syncopation,
                self.syncopation,
                "{:g}",
            ),
        ]
        for kind, span in self.chords:
            share = piece.chords.get(kind)
            text = f"{kind}: {share or 0:.0%} of the chords' time, in {self.genre}'s {{}}"
            rows.append(_within("chords", text, share, span, "{:.0%}", subject=kind))
        checks = [row for row in rows if row is not None]
        if self.progressions and piece.chords:
            used = [name for name in piece.patterns if name in self.progressions]
            checks += [ConventionCheck("progressions", name, True, f"uses {name}") for name in used]
            checks += [] if used else [ConventionCheck("progressions", "", False, "")]
        if self.meters:
            checks.append(
                ConventionCheck(
                    "metres", "metre", piece.meter in self.meters, f"{piece.meter} is usual in {self.genre}"
                )
            )
        for word in self.sound if piece.sound else ():
            measure, low, high = SOUND_WORDS[word]
            value = piece.sound[measure]
            reason = f"{word}: {measure} {value:.2f} lies in {low:g}–{high:g}"
            checks.append(ConventionCheck("sound", word, low <= value <= high, reason))
        return checks

    def points(self, checks: Iterable[ConventionCheck]) -> float:
        """Sum over kinds of weight · (share of its checks kept · 2 − 1): above 0 where more is kept than broken."""
        answers: dict[str, list[bool]] = {}
        for check in checks:
            answers.setdefault(check.kind, []).append(check.kept)
        return sum(WEIGHTS[kind] * (2 * sum(rows) / len(rows) - 1) for kind, rows in answers.items())


def _within(
    kind: str, text: str, value: float | None, span: Range | None, number: str, subject: str = ""
) -> ConventionCheck | None:
    """The check of a range; None where either is unknown. `text` has {} where the range goes."""
    if value is None or span is None:
        return None
    low, high = span
    return ConventionCheck(
        kind, subject or kind, low <= value <= high, text.format(f"{number.format(low)}–{number.format(high)}")
    )


@lru_cache(maxsize=1)
def built_in() -> tuple[Convention, ...]:
    """The six genres of this package, in the order of musetune.symbols.GENRES."""
    from musetune.symbols import GENRES

    rows = {row.genre: row for path in sorted(BUILT_IN.glob("*.yaml")) for row in load_conventions(path)}
    return tuple(rows[genre] for genre in GENRES)


def load_conventions(path: str | PathLike) -> tuple[Convention, ...]:
    """The genres of a YAML file.

    Raises FileNotFoundError where there is none, ValueError that names the file, the entry, what is allowed and the fix
    for anything that is not as this module's docstring shows.
    """
    file = Path(path)
    documents = read_documents(file, "genres", LARGEST, str(BUILT_IN))
    if not documents:
        raise ValueError(f"{file.name} is empty; it needs at least genre: NAME and one of {', '.join(FIELDS[1:])}")
    rows = tuple(_convention(row, file.name) for row in documents)
    names = [row.genre for row in rows]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{file.name} has two genres called {twice!r}; put their conventions into one")
    return rows


def _convention(row: object, where: str) -> Convention:
    if not isinstance(row, dict):
        raise ValueError(f"{where} holds {short(row)}; a genre is a mapping with the entries {', '.join(FIELDS)}")
    check_fields(row, FIELDS, where)
    genre = row.get("genre")
    if not isinstance(genre, str) or not 0 < len(genre.strip()) <= LONGEST_NAME:
        raise ValueError(
            f"{where}: genre={short(genre)} is not a name of 1–{LONGEST_NAME} characters; "
            "write for example genre: bossa nova"
        )
    where = f"{where}, genre {genre}"
    if len(row) == 1:
        raise ValueError(f"{where} has no conventions; add at least one of {', '.join(FIELDS[1:])}")
    rhythm, chords = _mapping(row, "rhythm", where), _mapping(row, "chords", where)
    check_fields(rhythm, RHYTHM_FIELDS, f"{where}, rhythm")
    check_fields(chords, tuple(CHORD_KINDS), f"{where}, chords")
    return Convention(
        genre.strip(),
        _range(row, "tempo", BPM_RANGE, where),
        _names(row, "progressions", pattern_names(), where),
        tuple((kind, span) for kind in chords if (span := _range(chords, kind, (0.0, 1.0), f"{where}, chords"))),
        _range(rhythm, "swing", (0.5, 4.0), f"{where}, rhythm"),
        _range(rhythm, "syncopation", (0.0, 1.0), f"{where}, rhythm"),
        _names(rhythm, "metres", None, f"{where}, rhythm"),
        _names(row, "sound", tuple(SOUND_WORDS), where),
    )


def pattern_names() -> tuple[str, ...]:
    """What a progression may be called."""
    from musetune.theory.harmony.patterns import PATTERNS

    return tuple(pattern.name for pattern in PATTERNS)


def _mapping(row: dict, name: str, where: str) -> dict:
    value = row.get(name, {})
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {name}={short(value)} is not a mapping; indent its entries below it")
    return value


def _range(row: dict, name: str, allowed: Range, where: str) -> Range | None:
    return read_range(row[name], allowed, where, name) if name in row else None


def _names(row: dict, name: str, allowed: tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    """A list of words; `allowed` None: time signatures."""
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"{where}: {name}={short(value)} is not a list of words; write for example {name}: [a, b]")
    check: Callable[[str], object] = Meter.parse
    for word in value:
        if allowed is None:
            try:
                check(word)
            except ValueError as error:
                raise ValueError(f"{where}: {name}: {error}") from None
        elif word not in allowed:
            raise ValueError(
                f"{where}: {name} has no {short(word)}; allowed are {', '.join(allowed)}{suggest(word, allowed)}"
            )
    return tuple(value)
