"""Chords from a MIDI keyboard, and the clock for other machines (MIDI 1.0, system real-time messages)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from musetune.live.controls import LiveControls
from musetune.pipeline.stream_score import StreamPassage
from musetune.symbols import Chord

TICKS = 24  # of the clock, a quarter note
FEWEST, FEWEST_CLASSES = 3, 2  # notes that are a chord, and pitch classes among them: C G C is one, C C C none
SETTLE_S = 0.06  # fingers of one hand leave the keys within this time


class HeldNotes:
    """Names the chord that is held on a MIDI keyboard, and plays it.

    From three notes of two pitch classes on, a chord is named: anew with each note that is pressed, and where notes
    are let go and three stay held, SETTLE_S later, as in legato. When the hand goes up the chord stays, as a band would
    go on, until another comes.

    Args:
        controls: told of every chord.
        say: told its name.
        settle_s: seconds after the last note that is let go until what stays held is named.

    Example:
        >>> from mido import Message
        >>> from musetune.symbols import LeadSheet
        >>> controls = LiveControls(LeadSheet.parse("| C |", bpm=120))
        >>> keyboard = HeldNotes(controls)
        >>> for note in (57, 60, 64):
        ...     keyboard.receive(Message("note_on", note=note))
        >>> str(controls.settings.chord)
        'A:min'
    """

    def __init__(
        self, controls: LiveControls, say: Callable[[str], None] = lambda text: None, settle_s: float = SETTLE_S
    ) -> None:
        self._controls, self._say, self._settle_s = controls, say, settle_s
        self._notes: set[int] = set()
        self._lock = threading.Lock()  # the port's thread and the timer's
        self._timer: threading.Timer | None = None

    def receive(self, message: Any) -> None:
        """Take in a message of mido; what is neither note on nor off is passed over."""
        if message.type not in ("note_on", "note_off"):
            return
        pressed = message.type == "note_on" and message.velocity > 0
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if pressed:
                self._notes.add(message.note)
                self._name()
                return
            self._notes.discard(message.note)
            if len(self._notes) >= FEWEST:  # else the hand is going up
                self._timer = threading.Timer(self._settle_s, self._name_later)
                self._timer.daemon = True
                self._timer.start()

    def _name_later(self) -> None:
        with self._lock:
            self._name()

    def _name(self) -> None:
        """Name what is held and play it, where it is a chord."""
        if len(self._notes) < FEWEST or len({note % 12 for note in self._notes}) < FEWEST_CLASSES:
            return
        chord = Chord.from_notes(self._notes, self._controls.key)
        if chord != self._controls.settings.chord:
            self._controls.hold(chord)
            self._say(str(chord))


def clock_times(passage: StreamPassage) -> np.ndarray:
    """Return where in the stream the clock ticks in a passage, (n,) seconds: 24 a quarter note.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> bar = LeadSheet.parse("| C |", bpm=120, time_signature="6/8")  # two dotted quarters of half a second
        >>> times = clock_times(StreamPassage(bar, 4.0, "", None, 0.0))
        >>> len(times), times[0].item(), round(times[36].item(), 6)
        (72, 4.0, 4.5)
    """
    quarter = passage.sheet.meter.beat_quarters
    count = round(float(passage.sheet.length * quarter * TICKS))
    beats = np.arange(count) / float(quarter * TICKS)
    return np.asarray(passage.start_s + passage.sheet.grid.time_at(beats))


class MidiClock:
    """Sends start, 24 clocks a quarter note, and stop, in time with what is heard.

    Args:
        send: takes a mido.Message, such as ``port.send``.
        heard_s: says where in the stream the sound is that leaves the loudspeaker now, seconds; below 0 before it
            begins.
    """

    def __init__(self, send: Callable[[Any], None], heard_s: Callable[[], float]) -> None:
        self._send, self._heard_s = send, heard_s
        self._times: deque[float] = deque()
        self._wake = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ticks = 0

    def schedule(self, passage: StreamPassage) -> None:
        """Take in a passage that will be heard; the first one starts the clock."""
        self._times.extend(clock_times(passage).tolist())
        self._wake.set()
        if not self._thread.is_alive() and not self._end.is_set():
            self._thread.start()

    def close(self) -> None:
        """Send stop, and end."""
        self._end.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        from mido import Message

        started = False
        while not self._end.is_set():
            if not self._times:
                self._wake.clear()
                self._wake.wait(0.1)
                continue
            if (wait_s := self._times[0] - self._heard_s()) > 0.0005:
                self._end.wait(min(wait_s, 0.05))
                continue
            self._times.popleft()
            if not started:
                self._send(Message("start"))
                started = True
            self._send(Message("clock"))
            self.ticks += 1
        if started:
            self._send(Message("stop"))


def open_input(name: str | None, receive: Callable[[Any], None]) -> Any:
    """Open a MIDI input that calls ``receive`` with every message; None: the first there is.

    Raises:
        ValueError: where there is none of that name; it lists those that there are.
    """
    import mido

    return mido.open_input(_port(name, _names(mido.get_input_names), "input"), callback=receive)


def open_output(name: str | None) -> Any:
    """Open a MIDI output; None: the first there is.

    Raises:
        ValueError: where there is none of that name; it lists those that there are.
    """
    import mido

    return mido.open_output(_port(name, _names(mido.get_output_names), "output"))


def _names(ask: Callable[[], list[str]]) -> list[str]:
    try:
        return ask()
    except ImportError as error:
        raise ImportError(f"MIDI ports need python-rtmidi: pip install musetune[live] ({error})") from None
    except Exception as error:  # rtmidi.SystemError, where the machine has no sequencer
        raise ValueError(f"this machine has no MIDI ports: {error}") from None


def _port(name: str | None, names: list[str], kind: str) -> str:
    """Return the port whose name begins so, or holds it."""
    wanted = (name or "").lower()
    found = [one for one in names if one.lower().startswith(wanted)] or [one for one in names if wanted in one.lower()]
    if not found:
        raise ValueError(f"no MIDI {kind} {name or ''!r}: there are {', '.join(names) or 'none'}")
    return found[0]
