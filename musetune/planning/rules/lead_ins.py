"""How bass and lead go from one section into the next: walk-ups, pick-ups, and grooves with a way of their own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from musetune.planning.rules.grooves.bar import GrooveBar, Strike
from musetune.planning.rules.grooves.voicing import BASS, pitch_near
from musetune.symbols import Key
from musetune.symbols.key import SCALES

WALK_UPS = {  # two steps of the scale on the last two beats
    "root_fifth", "root_quarters", "triad_walk", "boogie", "motown_line", "two_feel", "waltz", "marcato",
}  # fmt: skip
PICK_UPS = {  # an eighth before the bar line
    "root_whole", "root_eighths", "root_syncopated", "octaves", "offbeat_octaves", "funk_syncopated", "gallop", "samba",
    "tresillo", "reggae_syncopated", "habanera", "dembow", "half_time_bass", "cello_line",
}  # fmt: skip
OWN_WAY = {  # grooves that need neither
    "walking": "each of its bars comes to the next root by a step",
    "bossa_two": "its last eighth leads on in every bar",
    "tumbao": "it plays the coming root on the last beat of every bar",
    "pedal": "a drone does not move",
    "long_808": "a long note rings into the next section",
    "offbeats": "a machine's pattern goes round; its section ends with the drums' roll",
    "rolling_sixteenths": "a machine's pattern goes round; its section ends with the drums' roll",
    "techno_pulse": "a machine's pattern goes round; its section ends with the drums' roll",
}
SUNG = {"phrases", "call_and_response"}  # leads that have pick-ups; riffs go round, bebop runs on
SHARE = 0.75  # of the ends of sections have one
LOUDNESS = 0.7
EIGHTH = 2  # steps


def steps_to(target: int, count: int, key: Key, rising: bool) -> list[int]:
    """The scale's pitches before a target, in the order in which they come to it.

    Example:
        >>> steps_to(60, 2, Key("C"), rising=True), steps_to(60, 2, Key("C"), rising=False)
        ([57, 59], [64, 62])
    """
    scale = {(key.tonic_pc + step) % 12 for step in SCALES[key.mode]}
    side = range(target - 1, target - 12, -1) if rising else range(target + 1, target + 12)
    return [pitch for pitch in side if pitch % 12 in scale][:count][::-1]


def lead_bass_on(name: str, strikes: list[Strike], bar: GrooveBar, key: Key) -> list[Strike]:
    """A section's last bar of a bass with a walk-up or pick-up to the chord on the next bar line.

    Args:
        name: The groove's name; those of OWN_WAY stay as they are.
        strikes: The bar as the groove plays it.
        bar: Its chords and beats.
        key: The key in force on the next bar line.
    """
    if bar.following is None or bar.following.bass_pc is None or not strikes or name in OWN_WAY:
        return strikes
    end = bar.pulses[-1]
    if name in PICK_UPS:
        places = [bar.steps - EIGHTH]
    elif len(bar.pulses) > 2:
        places = [bar.pulses[-2].start, end.start]
    else:
        places = [end.start, end.start + end.steps - EIGHTH]
    kept = [replace(s, steps=min(s.steps, places[0] - s.step)) for s in strikes if s.step < places[0]]
    last = kept[-1].pitch if kept else strikes[0].pitch
    low, high = BASS
    target = pitch_near(bar.following.bass_pc, last, low, high)
    rising = last <= target
    pitches = steps_to(target, len(places), key, rising)
    if min(pitches) < low or max(pitches) > high:
        pitches = steps_to(target, len(places), key, not rising)
    lengths = [after - place for place, after in zip(places, [*places[1:], bar.steps])]
    return [*kept, *(Strike(*note, LOUDNESS) for note in zip(places, lengths, pitches))]


def lead_in(
    strikes: Sequence[Strike], bar: GrooveBar, first: int, key: Key, span: tuple[int, int], seed: str
) -> list[Strike]:
    """Two or three notes of a lead that come to the first note of the next section, where its last bar has room.

    Args:
        strikes: What the lead plays in the section's last bar.
        bar: That bar.
        first: The MIDI pitch with which the next section begins.
        key: The key in force there.
        span: Lowest and highest MIDI pitch of the instrument.
        seed: Whether there is one, and how long it is.

    Returns:
        The notes, none where the lead still sings in the last beat.
    """
    chance = random.Random(seed)
    drawn, count = chance.random(), chance.choice((2, 2, 3))
    start = bar.steps - count * EIGHTH
    busy = any(strike.step + strike.steps > start - EIGHTH / 2 for strike in strikes)
    if drawn > SHARE or busy or start <= 0:
        return []
    rising = chance.random() < 0.7
    pitches = steps_to(first, count, key, rising)
    if not span[0] <= min(pitches) <= max(pitches) <= span[1]:
        pitches = steps_to(first, count, key, not rising)
    return [Strike(start + i * EIGHTH, EIGHTH * 0.96, pitch, 0.6 + 0.04 * i) for i, pitch in enumerate(pitches)]
