"""What hands say: keys, held notes and the clock; no model."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from mido import Message
from mido.ports import EchoPort

from musetune import Chord, Key, LeadSheet
from musetune.live.controls import LiveControls
from musetune.live.keys import chord_keys, key_map, press, read_keys
from musetune.live.midi import HeldNotes, MidiClock, clock_times
from musetune.pipeline.stream_score import StreamPassage, StreamPosition, StreamScore
from musetune.symbols import BeatGrid

CHART = LeadSheet.parse("| C | F G |", bpm=120)


def bars(controls: LiveControls, count: int) -> list[LeadSheet]:
    score = StreamScore(controls, longest_s=2.0)
    return [score.next().sheet for _ in range(count)]


def test_the_chart_goes_on_under_what_is_held_and_comes_back_where_it_is_by_then() -> None:
    controls = LiveControls(replace(CHART, grid=BeatGrid.constant(60, 8)))
    score = StreamScore(controls, longest_s=2.0)  # half bars
    assert score.next().sheet.chord_labels == ["C:maj"]
    controls.hold(Chord.parse("Am7"))  # within the bar: it waits
    assert score.next().sheet.chord_labels == ["C:maj"]
    assert score.next().sheet.chord_labels == ["A:min7"]
    assert score.next().sheet.chord_labels == ["A:min7"]
    controls.hold(None)
    assert [score.next().sheet.chord_labels for _ in range(4)] == [["C:maj"], ["C:maj"], ["F:maj"], ["G:maj"]]


def test_what_comes_too_late_for_the_bar_line_is_in_the_second_chunk_of_the_bar() -> None:
    controls = LiveControls(CHART)
    score = StreamScore(controls, longest_s=3.0, opening_s=0.5)
    heard = []

    def listen(count: int) -> None:
        for _ in range(count):
            passage = score.next()
            labels = [str(span.chord) for span in passage.sheet.chords]
            heard.append((round(passage.start_s, 6), labels, round(passage.sheet.duration_s, 6)))

    listen(1)
    controls.hold(Chord.parse("Am7"))
    listen(1)
    controls.hold(Chord.parse("Dm7"))  # in time
    listen(2)
    controls.set_bpm(240)  # in time
    listen(3)
    controls.hold(None)  # too late: it counts from the second chunk on, where the chart is by then
    listen(2)
    assert heard == [
        (0.0, ["C:maj"], 0.5),
        (0.5, ["A:min7"], 1.5),
        (2.0, ["D:min7"], 0.5),
        (2.5, ["D:min7"], 1.5),
        (4.0, ["D:min7"], 0.5),
        (4.5, ["D:min7"], 0.5),
        (5.0, ["D:min7"], 0.5),
        (5.5, ["G:maj"], 0.5),
        (6.0, ["C:maj"], 0.5),
    ]
    assert score._bar == 5  # a change within a bar begins none


def test_a_bar_is_made_for_the_one_that_follows_it() -> None:
    score = StreamScore(LiveControls(CHART), longest_s=3.0)
    score.next()
    assert score.window(0.0, 3.0).chord_labels == ["C:maj", "F:maj"]


def test_a_change_early_in_a_long_bar_waits_for_the_bar_line() -> None:
    controls = LiveControls(replace(CHART, grid=BeatGrid.constant(60, 8)))
    score = StreamScore(controls, longest_s=1.5, opening_s=0.5)
    score.next()
    score.next()
    controls.hold(Chord.parse("Am7"))  # the bar's third chunk comes three seconds after the bar line
    assert [score.next().sheet.chord_labels for _ in range(2)] == [["C:maj"], ["A:min7"]]


def test_tempo_and_loudness_stay_in_their_ranges() -> None:
    controls = LiveControls(CHART)
    controls.set_bpm(60)
    assert [sheet.duration_s for sheet in bars(controls, 2)] == [2.0, 2.0]  # half bars now
    controls.set_bpm(1000)
    controls.set_loudness(-100)
    assert (controls.settings.bpm, controls.settings.loudness_db) == (300, -60)
    controls.stop()
    with pytest.raises(StopIteration):
        controls(StreamPosition(0.0, 1, Fraction(0)))


@pytest.mark.parametrize("key", ["C major", "Eb major", "F# minor", "A minor"])
def test_every_key_has_its_chords_on_the_keyboard(key: str) -> None:
    keys = chord_keys(Key.parse(key))
    for letter, (numeral, chord) in keys.items():
        assert Chord.parse(numeral, Key.parse(key)).pitch_classes == chord.pitch_classes, letter
    shown = key_map(Key.parse(key))
    assert all(f"{letter} {numeral}" in shown for letter, (numeral, _) in keys.items())


def test_keys_are_read_from_a_terminal_until_escape() -> None:
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    controls, said = LiveControls(CHART), []
    reader = threading.Thread(target=read_keys, args=(follower, controls, said.append))
    reader.start()
    os.write(leader, b"5")
    deadline = time.monotonic() + 30
    while not said and time.monotonic() < deadline:
        time.sleep(0.01)
    os.write(leader, b"\x1b[A")  # an arrow is none of ours
    os.write(leader, b"Q")
    time.sleep(0.2)
    os.write(leader, b"\x1b")
    reader.join(30)
    assert not reader.is_alive()
    assert said == ["V  G:maj", "end"]
    assert str(controls.settings.chord) == "G:maj"
    os.close(leader)
    os.close(follower)


def test_keys_that_stand_for_nothing_change_nothing() -> None:
    controls = LiveControls(CHART)
    assert press(controls, "Q") is None
    assert press(controls, " ") == "chart"
    assert press(controls, "-") == "no chord"
    assert str(controls.settings.chord) == "N"


def test_chords_are_named_as_the_hand_holds_them() -> None:
    controls, said = LiveControls(LeadSheet.parse("| F |", key="F major", bpm=120)), []
    keyboard = HeldNotes(controls, said.append)
    for note in (58, 62, 65):
        keyboard.receive(Message("note_on", note=note))
    keyboard.receive(Message("control_change", control=64, value=127))
    for note in (58, 62, 65):
        keyboard.receive(Message("note_on", note=note, velocity=0))  # another way to say note off
    assert str(controls.settings.chord) == "Bb:maj"  # it goes on
    for note in (64, 67, 70, 72):
        keyboard.receive(Message("note_on", note=note))
    assert said == ["Bb:maj", "E:dim", "C:7/3"]


def wait_for_chord(controls: LiveControls, name: str) -> None:
    deadline = time.monotonic() + 30
    while str(controls.settings.chord) != name and time.monotonic() < deadline:
        time.sleep(0.005)
    assert str(controls.settings.chord) == name


def test_a_chord_into_which_the_hand_glides_is_named_once_the_old_keys_are_up() -> None:
    controls = LiveControls(CHART)
    keyboard = HeldNotes(controls, settle_s=0.02)
    for note in (60, 64, 67, 65, 69, 72):
        keyboard.receive(Message("note_on", note=note))
    assert str(controls.settings.chord) == "F:maj9/5"
    for note in (60, 64, 67):
        keyboard.receive(Message("note_off", note=note))
    wait_for_chord(controls, "F:maj")
    for note in (65, 69, 72):
        keyboard.receive(Message("note_off", note=note))
    time.sleep(0.1)
    assert str(controls.settings.chord) == "F:maj"  # the hand went up


def test_one_note_in_three_octaves_is_no_chord() -> None:
    controls = LiveControls(CHART)
    keyboard = HeldNotes(controls)
    for note in (60, 72, 84):
        keyboard.receive(Message("note_on", note=note))
    assert controls.settings.chord is None
    keyboard.receive(Message("note_on", note=67))
    assert str(controls.settings.chord) == "C:5"


def test_messages_of_a_port_bring_chords() -> None:
    """Through mido's own echoing port, which needs no sequencer; the next test goes through the system's."""
    controls = LiveControls(CHART)
    keyboard = HeldNotes(controls)
    with EchoPort() as port:
        for note in (67, 71, 74, 77):
            port.send(Message("note_on", note=note))
        for message in port.iter_pending():
            keyboard.receive(message)
    assert str(controls.settings.chord) == "G:7"


def test_a_virtual_port_brings_chords() -> None:
    """Through ALSA's sequencer or CoreMIDI where there is one."""
    pytest.importorskip("rtmidi")
    import mido

    try:
        port = mido.open_output("musetune test", virtual=True)
    except Exception as error:  # rtmidi.SystemError is not exported
        pytest.skip(f"no MIDI sequencer here: {error}")
    from musetune.live.midi import open_input

    controls = LiveControls(CHART)
    with port, open_input("musetune test", HeldNotes(controls).receive):
        for note in (62, 65, 69):
            port.send(Message("note_on", note=note))
        deadline = time.monotonic() + 30
        while controls.settings.chord is None and time.monotonic() < deadline:
            time.sleep(0.01)
    assert str(controls.settings.chord) == "D:min"


def test_a_port_that_is_not_there_is_said() -> None:
    from musetune.live.midi import _port

    with pytest.raises(ValueError, match=r"no MIDI input 'Roland': there are Korg nanoKEY"):
        _port("Roland", ["Korg nanoKEY"], "input")
    assert _port("nano", ["Korg nanoKEY", "other"], "input") == "Korg nanoKEY"


def test_the_clock_follows_the_beats_and_begins_and_stops() -> None:
    bar = LeadSheet.parse("| C |", bpm=90, time_signature="3/4")
    passage = StreamPassage(bar, 2.0, "", None, 0.0)
    times = clock_times(passage)
    assert len(times) == 3 * 24
    assert np.allclose(np.diff(times), 60 / 90 / 24)
    sent: list[tuple[str, float]] = []
    now = [-0.1]
    clock = MidiClock(lambda message: sent.append((message.type, now[0])), lambda: now[0])
    clock.schedule(passage)
    deadline = time.monotonic() + 30
    for now_s in (1.9, 2.0, 2.5, 4.5):
        now[0] = now_s
        due = int((times <= now_s + 0.0005).sum())
        while clock.ticks < due and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.06)
        assert clock.ticks == due  # and none too early
    clock.close()
    assert [kind for kind, _ in sent] == ["start", *["clock"] * 72, "stop"]
    assert sent[0][1] == 2.0
