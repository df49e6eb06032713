"""Chords and settings on the computer keyboard, read from a terminal key by key."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from musetune.live.controls import LiveControls
from musetune.symbols import NO_CHORD, Chord, Key
from musetune.theory.harmony.palette import palette

ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm,.")  # one a group of the palette
ESCAPE, CONTROL_C, CONTROL_D = "\x1b", "\x03", "\x04"
BPM_STEP, LOUDNESS_STEP_DB = 2.0, 3.0


def chord_keys(key: Key) -> dict[str, tuple[str, Chord]]:
    """Return the numeral and the chord on each key of the computer keyboard.

    Digits are the key's triads, the row below them its sevenths, then dominants of its degrees, then borrowed chords.

    Example:
        >>> keys = chord_keys(Key("G"))
        >>> [(keys[k][0], str(keys[k][1])) for k in "15qa"]
        [('I', 'G:maj'), ('V', 'D:maj'), ('Imaj7', 'G:maj7'), ('V7/ii', 'E:7')]
    """
    chords = palette(key)
    groups = (chords.triads, chords.sevenths, chords.dominants, chords.borrowed)
    return {
        letter: (one.numeral, one.chord)
        for row, group in zip(ROWS, groups, strict=True)
        for letter, one in zip(row, group)
    }


def key_map(key: Key) -> str:
    """Return what to press for what, as lines of text."""
    keys = chord_keys(key)
    names = ("triads", "sevenths", "dominants", "borrowed")
    lines = [
        f"{name:10} " + "  ".join(f"{letter} {keys[letter][0]}" for letter in row if letter in keys)
        for name, row in zip(names, ROWS, strict=True)
    ]
    return "\n".join(
        [
            *lines,
            "space      back to the chart     -  no chord     [ ] softer, louder     < > slower, faster     Esc end",
        ]
    )


def press(controls: LiveControls, letter: str) -> str | None:
    """Do what a key stands for, and return what to say of it; None for a key that stands for nothing.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> controls = LiveControls(LeadSheet.parse("| C |", bpm=120))
        >>> press(controls, "6"), press(controls, ">"), press(controls, "[")
        ('vi  A:min', '122 bpm', '-3 dB')
    """
    keys = chord_keys(controls.key)
    if letter in keys:
        numeral, chord = keys[letter]
        controls.hold(chord)
        return f"{numeral}  {chord}"
    if letter in (ESCAPE, CONTROL_C, CONTROL_D):
        controls.stop()
        return "end"
    if letter == " ":
        controls.hold(None)
        return "chart"
    if letter == "-":
        controls.hold(NO_CHORD)
        return "no chord"
    if letter in "<>":
        controls.set_bpm(controls.settings.bpm + (BPM_STEP if letter == ">" else -BPM_STEP))
        return f"{controls.settings.bpm:g} bpm"
    if letter in "[]":
        controls.set_loudness(
            controls.settings.loudness_db + (LOUDNESS_STEP_DB if letter == "]" else -LOUDNESS_STEP_DB)
        )
        return f"{controls.settings.loudness_db:+g} dB"
    return None


@contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """A context in which a terminal gives each key at once and does not show it; after it as before."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)  # what was typed before counts
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def read_keys(descriptor: int, controls: LiveControls, say: Callable[[str], None]) -> None:
    """Read a terminal until the player or the stream ends.

    Args:
        descriptor: of the terminal, which is put in raw mode meanwhile.
        controls: what the keys change.
        say: told what each key did.
    """
    with raw_terminal(descriptor), contextlib.suppress(KeyboardInterrupt):
        while not controls.stopped:
            if not select.select([descriptor], [], [], 0.1)[0]:
                continue
            data = os.read(descriptor, 64)
            if not data:
                break
            text = data.decode(errors="ignore")
            if text.startswith(ESCAPE) and len(text) > 1:
                continue  # an arrow or a function key
            for letter in text:
                if (done := press(controls, letter)) is not None:
                    say(done)


def terminal() -> int | None:
    """Return the descriptor of standard input where it is a terminal that can be read key by key."""
    try:
        import termios  # noqa: F401  # Windows has none
    except ImportError:
        return None
    return sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
