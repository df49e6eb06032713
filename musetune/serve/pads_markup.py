"""The chord pads' own HTML: tools, the words of the progression, and the pads of a key.

Made of words and numbers only, all escaped: pads.css gives it a look; pads.js plays, inserts and moves chords. What
chords a key has, what they are called and which notes they have is said here; the script knows no theory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from html import escape

from musetune.formats.chart_text import pop_name
from musetune.formats.midi import voicing
from musetune.serve.chart_words import CHORD, ChartWord, chart_words
from musetune.symbols import Chord, Key, LeadSheet
from musetune.theory.harmony.palette import PaletteChord, palette
from musetune.theory.numerals.roman import roman_of

OCTAVE = 12  # by which chords sound above `voicing`, so that small loudspeakers have the bass too
GROUPS = (
    ("triads", "Chords of the key", "key"),
    ("sevenths", "Chords of the key with sevenths", "key"),
    ("dominants", "Dominants of other degrees", "dominants"),
    ("borrowed", "Chords from the parallel key", "borrowed"),
)
TOOLS = (  # tool, sign, name
    ("undo", "↶", "Undo"),
    ("redo", "↷", "Redo"),
    ("lower", "♭", "Transpose a semitone down"),
    ("raise", "♯", "Transpose a semitone up"),
    ("bar", "|", "Bar line after the selected chord, or no longer"),
    ("remove", "✕", "Remove the selected chord"),
    ("hear", "▶", "Hear the progression"),
)
TAP = '<button type="button" class="mt-tool" data-tool="tap" title="Tap the beat here to set the tempo">Tap</button>'
HELP = "Drag a chord, or Alt+← →, to move it; Delete removes it; a pad follows the selected chord."


def notes_of(chord: Chord) -> list[int]:
    """MIDI pitches that a pad sounds, the bass first; none for N.C."""
    return [pitch + OCTAVE for pitch in voicing(chord)]


def tools_html(field: str, *, tempo: bool = True) -> str:
    """The tools of a board.

    ``field``: the id of the text that holds the chords; ``tempo``: whether a tempo can be tapped.
    """
    buttons = "".join(
        f'<button type="button" class="mt-tool" data-tool="{tool}" aria-label="{name}" title="{name}">{sign}</button>'
        for tool, sign, name in TOOLS
    )
    return (
        f'<div class="mt-tools" role="group" aria-label="Tools for the chords" data-field="{escape(field)}">'
        f"{buttons}{TAP if tempo else ''}"
        '<button type="button" class="mt-tool" data-tool="sevenths" aria-pressed="false" '
        'title="Chords of the key with sevenths">7ths</button><span class="mt-say" role="status"></span></div>'
    )


@lru_cache(maxsize=64)
def pads_html(key: Key, name: str = "Chord pads") -> str:
    """Pads of a key's chords, in groups; sevenths stand in the place of triads when they are asked for."""
    groups = palette(key)
    parts = "".join(
        f'<div class="mt-pad-group mt-{group}" role="group" aria-label="{title}" title="{title}">'
        f"{''.join(_pad(one, look) for one in getattr(groups, group))}</div>"
        for group, title, look in GROUPS
    )
    silence = (
        '<button type="button" class="mt-pad" tabindex="-1" data-chord="N.C." data-numeral="N.C." data-notes="" '
        'aria-label="N.C., no chord"><b>N.C.</b></button>'
    )
    return (
        f'<div class="mt-pads" role="toolbar" aria-label="{escape(name)}, {escape(str(key))}">{parts}'
        f'<div class="mt-pad-group" role="group" aria-label="Silence">{silence}</div></div>'
    )


def _pad(one: PaletteChord, look: str) -> str:
    name = pop_name(one.chord)
    return (
        f'<button type="button" class="mt-pad mt-pad-{look}" tabindex="-1" data-chord="{escape(name)}" '
        f'data-numeral="{escape(one.numeral)}" data-notes="{_notes(one.chord)}" '
        f'aria-label="{escape(name)}, {escape(one.numeral)}"><b>{escape(name)}</b><small>{escape(one.numeral)}</small>'
        "</button>"
    )


def words_html(text: str, key: Key, meter: str = "4/4", bpm: float = 120.0) -> str:
    """The words of a progression: chords as buttons to hear, select and move; bar lines and the rest between them.

    Args:
        text: the progression, which need not be right; what names no chord is marked.
        key: what degrees count from.
        meter: what bars have, such as "4/4".
        bpm: beats a minute at which it is heard.
    """
    words = chart_words(text, key)
    chords = [word for word in words if word.kind == CHORD]
    numerals = bool(chords) and chords[0].relative
    parts = "".join(_word(word, index, key) for index, word in enumerate(words))
    schedule = escape(json.dumps(_schedule(text, key, meter)), quote=True)
    return (
        f'<div class="mt-words" role="toolbar" aria-label="Progression. {HELP}" title="{HELP}" '
        f'data-text="{escape(text)}" data-numerals="{str(numerals).lower()}" data-key="{escape(str(key))}" '
        f'data-bpm="{bpm:g}" '
        f'data-schedule="{schedule}">{parts}</div>'
    )


def _word(word: ChartWord, index: int, key: Key) -> str:
    place = f'data-from="{word.start}" data-to="{word.end}" data-kind="{word.kind}"'
    if word.chord is None:
        return f'<span class="mt-word mt-word-{word.kind}" {place}>{escape(word.text)}</span>'
    other = pop_name(word.chord) if word.relative else "" if word.chord.root is None else roman_of(word.chord, key)
    return (
        f'<button type="button" class="mt-word mt-chip" tabindex="-1" aria-pressed="false" {place} '
        f'data-notes="{_notes(word.chord)}" aria-label="{escape(word.text)}{escape(f", {other}" if other else "")}">'
        f"<b>{escape(word.text)}</b><small>{escape(other)}</small></button>"
    )


def _notes(chord: Chord) -> str:
    return " ".join(map(str, notes_of(chord)))


def _schedule(text: str, key: Key, meter: str) -> list[Sequence[object]]:
    """Beat, beats and notes of each chord as it is played; empty where the progression cannot be read."""
    try:
        sheet = LeadSheet.parse(text, key=str(key), time_signature=meter)
    except ValueError:
        return []
    return [(float(span.start), float(span.beats), notes_of(span.chord)) for span in sheet.chords]
