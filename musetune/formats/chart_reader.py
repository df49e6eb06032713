"""A chart as players write it → its bars as they are played: repeats, endings, meters, section names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from musetune.symbols.chord import Chord
from musetune.symbols.key import Key
from musetune.symbols.limits import BEATS, CHART_CHARACTERS, CHORDS, LABEL_CHARACTERS, REPEATS, check_count, shorten
from musetune.symbols.meter import Meter

NESTED = "a repeat '|:' stands inside another one; close the first with ':|' or write it out"
HOLD, SLASH, REPEAT = ".", "/", "%"
Slot = tuple[Fraction, Chord]  # beats, chord

_SIGNS = str.maketrans({"│": "|", "¦": "|", "‖": "||", "𝄆": "|:", "𝄇": ":|", "𝄂": "|]", "𝄎": "%", "𝄁": "||", "𝄀": "|"})
_BAR = re.compile(
    r"\s*(?P<close>:)?(?P<line>\[?\|+\]?)(?P<open>:)?(?P<reopen>\|*:)?"
    r"(?:(?<=\|)(?P<count>[1-9]\d*)(?!\s*[,.\-–]\s*\d|[\d.]|/|[A-Za-z#^+°ø])"
    r"|[ \t]*\(?(?:[x×](?P<times>\d+)|(?P<fold>\d+)[x×])\)?(?=[\s|]|$))?"
)
_ENDING = re.compile(r"\s*\[?(?P<numbers>\d+(?:\s*[.,]\s*(?:\d+\s*[.,]?)*|\s*[-–]\s*\d+\.?)?)(?=\s|$|[A-GN])")
_LABEL = re.compile(r"\[([^\[\]|]*)\]")
_METER = re.compile(r"(\d{1,4})/(\d{1,4})")
_TIMES = re.compile(r"\(?(?:[x×]\d+|\d+[x×])\)?", re.IGNORECASE)
_LETTER = re.compile(r"[A-G](?!(?!maj|min|dim|aug|sus|add|alt|dom)[a-z]{3})")
_JUMPS = re.compile(r"(?:D\.?\s?[CS]\.?|al|Fine|Coda|Segno|𝄋|𝄌)", re.IGNORECASE)


@dataclass
class ChartBar:
    """One bar as it is played: its chords with their beats, its meter, and the section that begins with it."""

    slots: list[Slot]
    meter: Meter
    label: str | None = None


@dataclass
class _BarText:
    """One bar as it is written."""

    tokens: list[str] = field(default_factory=list)
    blank: bool = False  # written as an empty bar
    label: str | None = None
    opens: bool = False
    closes: int = 0  # passes of the repeat that ends here; 0 for none
    endings: frozenset[int] = frozenset()


def read_chart(text: str, key: Key, meter: Meter) -> list[ChartBar]:
    """Bars of a chart in the order of playing.

    Raises ValueError for what is no chord, hold, repeat, ending, meter or section, for repeats that nothing closes or
    that stand in one another, and for a chart beyond the limits.
    """
    check_count("characters of a chart", len(text), CHART_CHARACTERS)
    text = text.translate(_SIGNS)
    text = re.sub(r"(?<=[^\s|?])\?(?=[\s|]|$)", "", text)  # marks a chord that an analysis is unsure of
    text = re.sub(r"\([^()]*\)", lambda inside: "".join(inside[0].split()), text)
    text = re.sub(r"(?<=\|)\s*\[?\d+(?:,\d+)+\.", lambda ending: ending[0].replace(",", "."), text)
    text = re.sub(r"[,;](?![^()]*\))", " ", text)  # commas in C:maj(9,11) belong to the chord
    text = re.sub(r"(?<![^\s|:])\.//?\.(?![^\s|:])", REPEAT, text)
    degrees = not any(_LETTER.match(token) for token in re.sub(r"[|:\[\]]", " ", _LABEL.sub(" ", text)).split())
    bars = _bars_of(text, degrees) if "|" in text else _chords_of(text)
    return _play_repeats(_check_repeats(_join_meters(bars, degrees)), key, meter, degrees)


def _chords_of(text: str) -> list[_BarText]:
    """A text without bar lines: a bar for each chord."""
    bars: list[_BarText] = []
    label = None
    for i, piece in enumerate(_LABEL.split(text)):
        if i % 2:
            label = _name(piece)
            continue
        for token in piece.split():
            if _TIMES.fullmatch(token):
                raise ValueError(
                    f"{token!r} repeats a passage, and none is marked; put the passage between '|:' and ':| {token}'"
                )
            bars.append(_BarText([token], label=label))
            label = None
    return bars


def _join_meters(bars: list[_BarText], degrees: bool) -> list[_BarText]:
    """``bars`` with a meter that stands alone put into the bar after it.

    In a chart of degrees 5/4 is a chord, 4/4 none.
    """
    out: list[_BarText] = []
    for bar in bars:
        before = out[-1] if out else None
        if before is not None and len(before.tokens) == 1 and not before.closes:
            meter = _METER.fullmatch(before.tokens[0].removeprefix("="))
            if meter and (before.tokens[0][0] == "=" or not degrees or (meter[1] == meter[2] and len(out) == 1)):
                bar.tokens[:0] = [f"={meter[0]}"]
                bar.label, bar.opens = before.label or bar.label, before.opens or bar.opens
                out.pop()
        out.append(bar)
    return out


def _bars_of(text: str, degrees: bool) -> list[_BarText]:
    """The bars between bar lines."""
    bars: list[_BarText] = []
    at, current, start, ended = 0, _BarText(), True, False
    while at < len(text):
        line = text.find("|", at)
        line = len(text) if line < 0 else line
        while (
            0 < line < len(text) and line > at and text[line - 1] in ":[" and text[line - 1 : line + 1] in (":|", "[|")
        ):
            line -= 1
        _fill(current, text[at:line], degrees, fresh=start)
        if line == len(text):
            if current.tokens:
                bars.append(current)
            return bars
        sign = _BAR.match(text, line)
        assert sign is not None
        empty = not current.tokens
        spaced = text[at:line] != "" and "\n" not in text[at:line] and not start
        plain = sign["line"] == "|" and not (sign["close"] or sign["open"] or sign["reopen"])
        spaced = spaced and plain and not ended  # no bar is empty between ":|" and "|:"
        if not empty or (spaced and not current.label and not current.endings):
            current.blank = empty
            bars.append(current)
            current = _BarText()
        times = sign["times"] or sign["fold"] or (sign["count"] if sign["close"] else None)
        if sign["close"]:
            if not bars:
                raise ValueError("':|' repeats what stands before it, and there is nothing; write the chords first")
            had_ending = bool(bars[-1].endings) or any(bar.endings for bar in _passage(bars))
            ends = sign["count"] and had_ending
            bars[-1].closes = 2 if times is None or ends else _count(times)
            at = sign.start("count") if ends else sign.end()
        elif times is not None:
            raise ValueError(
                f"'x{times}' repeats a passage, and none is marked; put the passage between '|:' and ':| x{times}'"
            )
        else:
            at = sign.start("count") if sign["count"] else sign.end()
        if sign["open"] or sign["reopen"]:
            if current.opens:
                raise ValueError(NESTED)
            current.opens = True
        start, ended = False, bool(sign["close"]) or len(sign["line"]) > 1
    return bars


def _passage(bars: list[_BarText]) -> list[_BarText]:
    """The bars since the repeat that is open, or since the last one that closed without endings."""
    out: list[_BarText] = []
    for bar in reversed(bars):
        if out and bar.closes and not bar.endings:
            break
        out.append(bar)
        if bar.opens:
            break
    return out


def _fill(bar: _BarText, text: str, degrees: bool, fresh: bool) -> None:
    """Put what stands between two bar lines into ``bar``: endings first, then section names and tokens."""
    ending = _ENDING.match(text) if not fresh else None
    if ending is not None and _is_ending(ending["numbers"], text[ending.end() :], degrees):
        bar.endings = _numbers(ending["numbers"])
        text = text[ending.end() :]
    for i, piece in enumerate(_LABEL.split(text)):
        if i % 2:
            if bar.tokens:
                raise ValueError(f"section [{shorten(piece)}] begins within a bar; put it before the bar")
            bar.label = _name(piece)
        else:
            bar.tokens += piece.split()
    if fresh and len(bar.tokens) == 1 and degrees and _METER.fullmatch(bar.tokens[0]):
        bar.tokens[0] = f"={bar.tokens[0]}"  # before the first bar line it is a meter in any chart


def _is_ending(numbers: str, rest: str, degrees: bool) -> bool:
    """Whether a number at a bar's beginning is an ending's: with a dot or comma, or bare where degrees mean nothing."""
    return numbers.strip()[-1:] in ".," or bool(re.search(r"[.,]", numbers)) or (not degrees and bool(rest.split()))


def _numbers(text: str) -> frozenset[int]:
    """The passes of an ending: ``1.``, ``1,2.``, ``1-3``."""
    values = [int(number) for number in re.findall(r"\d{1,4}", text)]
    if len(values) == 2 and re.search(r"[-–]", text) and max(values) <= REPEATS:
        values = list(range(values[0], values[1] + 1))
    if not values or not 1 <= min(values) <= max(values) <= REPEATS:
        raise ValueError(f"ending {text.strip()!r} is not one of 1–{REPEATS}")
    return frozenset(values)


def _count(text: str) -> int:
    """How often a passage is played."""
    if len(text) > 4 or not 1 <= int(text) <= REPEATS:
        raise ValueError(f"a passage is played {shorten(text, 12)} times; 1–{REPEATS} are possible")
    return int(text)


def _name(text: str) -> str:
    """The name of a section."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= LABEL_CHARACTERS:
        raise ValueError(f"section [{shorten(name, 40)}] needs a name of 1–{LABEL_CHARACTERS} characters")
    return name


def _check_repeats(bars: list[_BarText]) -> list[_BarText]:
    """``bars``, whose repeats are closed and stand side by side."""
    opened: int | None = None
    for i, bar in enumerate(bars):
        if bar.opens:
            if opened is not None:
                raise ValueError(NESTED)
            opened = i
        if bar.closes:
            opened = None
    if opened is not None:
        rest = " | ".join(" ".join(bar.tokens) for bar in bars[opened:])
        raise ValueError(f"'|: {shorten(rest)} |' opens a repeat that nothing closes; end it with ':|'")
    return bars


def _play_repeats(bars: list[_BarText], key: Key, meter: Meter, degrees: bool) -> list[ChartBar]:
    """The bars as they are played."""
    out: list[ChartBar] = []
    first, turn, at, chords, beats = 0, 1, 0, 0, Fraction(0)
    while at < len(bars):
        bar = bars[at]
        before = bars[at - 1] if at else None
        if bar.opens and turn == 1:
            first = at
        if before is not None and before.endings and not bar.endings and turn > 1:
            turn, first = 1, at  # past the last ending
        if bar.endings and turn not in bar.endings and _in_repeat(bars, first, at):
            at += 1
            continue
        meter, slots = _slots(bar, out[-1].slots if out else [], key, meter, degrees)
        out.append(ChartBar(slots, meter, bar.label if turn == 1 else None))
        chords, beats = chords + len(slots), beats + meter.beats_per_bar
        check_count("chords of a chart, repeats played out", chords, CHORDS)
        check_count("beats of a chart, repeats played out", beats, BEATS)
        if bar.closes:
            if turn < _passes(bars, first, at):
                turn, at = turn + 1, first
                continue
            turn, first = 1, at + 1
        at += 1
    return out


def _in_repeat(bars: list[_BarText], first: int, at: int) -> bool:
    """Whether a repeat that began at ``first`` has a bar that leads back, so that its endings take turns."""
    group = bars[first:]
    for i, bar in enumerate(group):
        if bar.closes and (bar.endings or first + i >= at):
            return True
        if i and bar.opens:
            return False
    return False


def _passes(bars: list[_BarText], first: int, at: int) -> int:
    """How often the passage from ``first`` that closes at ``at`` is played: as its endings, else its count, say."""
    if not bars[at].endings:
        return bars[at].closes
    last = 2
    for bar in bars[first:]:
        if bar.opens and bar is not bars[first]:
            break
        last = max([last, *bar.endings])
    return last


def _slots(bar: _BarText, before: list[Slot], key: Key, meter: Meter, degrees: bool) -> tuple[Meter, list[Slot]]:
    """The meter and the slots of one bar."""
    tokens = list(bar.tokens)
    if tokens and (signature := _METER.fullmatch(tokens[0].removeprefix("="))) is not None:
        same = signature[1] == signature[2]  # 4/4: no degree stands over itself
        if tokens[0][0] == "=" or not degrees or (len(tokens) > 1 and same):
            meter = Meter.parse(signature[0])
            tokens = tokens[1:]
    if tokens == [REPEAT] or (bar.blank and not tokens) or (not tokens and before):
        if not before:
            what = "'%' repeats the bar before" if tokens else "an empty bar holds the chord before"
            raise ValueError(f"{what}, and there is none; write a chord")
        beats = Fraction(meter.beats_per_bar)
        if tokens and sum(length for length, _ in before) == beats:
            return meter, list(before)
        return meter, [(beats, before[-1][1])]
    if not tokens:
        raise ValueError("a bar of a meter alone has nothing to hold; write a chord after it")
    share = Fraction(meter.beats_per_bar, len(tokens))
    slots: list[Slot] = []
    for token in tokens:
        if token not in (HOLD, SLASH, REPEAT):
            slots.append((share, _chord(token, key, degrees)))
        elif token != REPEAT and slots:
            slots[-1] = (slots[-1][0] + share, slots[-1][1])
        elif slots or before:
            slots.append((share, (slots or before)[-1][1]))
        else:
            does = "repeats" if token == REPEAT else "holds"
            raise ValueError(f"{token!r} {does} the chord before, and there is none; write a chord")
    return meter, slots


def _chord(token: str, key: Key, degrees: bool) -> Chord:
    """The chord that a token names. Raises ValueError with what was probably meant."""
    text = token.removeprefix("=")
    if not degrees and re.fullmatch(r"[b#]?[1-7]", text):
        raise ValueError(
            f"{text!r} is a degree only in a chart of degrees, and this one names notes: write the chord's name, "
            f"'{text}.' for an ending, or ':|{text}' for a count"
        )
    if _JUMPS.fullmatch(text):
        raise ValueError(
            f"{shorten(text)!r} sends the player elsewhere; write out the passage, or repeat it with '|: … :|'"
        )
    if text in ("-", "–", "—", "->", "→"):
        raise ValueError(f"{text!r} is no chord: part chords with spaces, hold one with '.' or '/', bars with '|'")
    if _TIMES.fullmatch(text):
        raise ValueError(f"{text!r} repeats a passage; put the passage between '|:' and ':| {text}'")
    if text.endswith(":") and re.fullmatch(r"[\w '-]+:", text):
        raise ValueError(f"{shorten(text)!r} names a section; write it in brackets: [{shorten(text[:-1])}]")
    if re.fullmatch(r"[({<][A-Za-z][\w'-]{2,}[)}>]", text):
        raise ValueError(f"{shorten(text)!r} names a section; write it in brackets: [{shorten(text[1:-1])}]")
    if (bracket := re.fullmatch(r"\[(\d{1,2})\.?", text)) is not None:
        raise ValueError(f"{text!r} opens a bracket; write '|{bracket[1]}.' for an ending, '[A]' for a section")
    try:
        return Chord.parse(text, key)
    except ValueError:
        if re.fullmatch(r"[A-G][^-–—>]*([-–—>]+[A-G][^-–—>]*)+", text):
            raise ValueError(f"{shorten(text)!r} holds several chords; part them with spaces, bars with '|'") from None
        raise
