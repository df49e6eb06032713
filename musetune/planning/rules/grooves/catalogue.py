"""All grooves by player and name. docs/reference/grooves.md describes them; a file of styles names them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from musetune.planning.rules.grooves import bass, chords, drums, drums_dance, drums_latin, drums_swing, lead
from musetune.planning.rules.grooves.bar import GrooveBar, Hit, Strike
from musetune.symbols.arrangement import SILENCE, STEMS
from musetune.symbols.names import suggest

MODEL = "model"  # the stem transformer writes the player's part

DrumGroove = Callable[[GrooveBar], Iterable[Hit]]
PitchGroove = Callable[[GrooveBar], Iterable[Strike]]
LeadGroove = Callable[[lead.LeadSection], Iterable[tuple[int, Strike]]]

DRUMS: dict[str, DrumGroove] = {
    groove.__name__: groove
    for groove in (
        drums.rock_backbeat, drums.pop_backbeat, drums.ballad_backbeat, drums.indie_backbeat, drums.grunge,
        drums.punk_beat, drums.d_beat, drums.double_kick, drums.blast, drums.half_time, drums.shuffle,
        drums.rock_and_roll, drums.train_beat, drums.country_two_beat, drums.motown, drums.soul_backbeat, drums.funk,
        drums.gospel, drums.folk_stomp, drums.tambourine_six, drums.reel, drums.waltz, drums.march, drums.polka,
        drums.film_drums, drums.tambourine_pulse,
        drums_dance.four_on_the_floor, drums_dance.techno, drums_dance.trance, drums_dance.disco,
        drums_dance.synth_backbeat, drums_dance.breakbeat, drums_dance.two_step, drums_dance.dubstep,
        drums_dance.half_time_trap, drums_dance.boom_bap, drums_dance.lofi, drums_dance.dembow, drums_dance.soft_pulse,
        drums_swing.swing_ride, drums_swing.bebop_ride, drums_swing.jazz_waltz, drums_swing.brushes,
        drums_swing.two_beat_jazz,
        drums_latin.one_drop, drums_latin.steppers, drums_latin.ska, drums_latin.bossa_clave, drums_latin.samba,
        drums_latin.salsa, drums_latin.cha_cha, drums_latin.bolero, drums_latin.cumbia, drums_latin.tango,
        drums_latin.tresillo, drums_latin.habanera, drums_latin.palmas, drums_latin.afrobeat,
    )
}  # fmt: skip
BASS: dict[str, PitchGroove] = {
    groove.__name__: groove
    for groove in (
        bass.root_whole, bass.root_quarters, bass.root_eighths, bass.root_syncopated, bass.root_fifth, bass.waltz,
        bass.walking, bass.two_feel, bass.bossa_two, bass.samba, bass.tresillo, bass.tumbao, bass.offbeat_octaves,
        bass.octaves, bass.offbeats, bass.rolling_sixteenths, bass.techno_pulse, bass.long_808, bass.half_time_bass,
        bass.reggae_syncopated, bass.triad_walk, bass.boogie, bass.funk_syncopated, bass.motown_line, bass.gallop,
        bass.dembow, bass.habanera, bass.marcato, bass.pedal, bass.cello_line,
    )
}  # fmt: skip
CHORDS: dict[str, PitchGroove] = {
    groove.__name__: groove
    for groove in (
        chords.pad, chords.block, chords.ballad_block, chords.eighths, chords.strum, chords.campfire,
        chords.boom_chick, chords.waltz, chords.off_beats, chords.skank, chords.bubble, chords.ska_upstrokes,
        chords.power_chords, chords.power_sustained, chords.chugging, chords.jangle, chords.comping,
        chords.charleston, chords.four_to_the_bar, chords.bossa, chords.samba_comping, chords.montuno,
        chords.muted_sixteenths, chords.stabs, chords.dub_stab, chords.tremolo, chords.marcato, chords.tango,
        chords.rasgueado, chords.arpeggio, chords.fingerpicking, chords.arpeggio_sixteenths, chords.alberti,
        chords.chorale, chords.boogie, chords.trap_keys,
    )
}  # fmt: skip
LEAD: dict[str, LeadGroove] = {
    groove.__name__: groove for groove in (lead.phrases, lead.riff, lead.bebop_line, lead.call_and_response)
}
GROOVES: dict[str, Mapping[str, Callable]] = {
    "drums": DRUMS,
    "bass": BASS,
    "guitar": CHORDS,
    "keys": CHORDS,
    "lead": LEAD,
}


def check_groove(player: str, name: str) -> str:
    """The name, where the player has such a groove; ``none`` is silence, ``model`` the stem transformer.

    Args:
        player: One of `musetune.symbols.arrangement.STEMS`.
        name: Of a groove.

    Raises:
        ValueError: For another player or name; it lists those that there are.

    Example:
        >>> check_groove("drums", "one_drop")
        'one_drop'
    """
    if player not in STEMS:
        raise ValueError(f"player {player!r} is not one of {', '.join(STEMS)}")
    names = (*sorted(GROOVES[player]), MODEL, SILENCE)
    if name not in names:
        raise ValueError(f"{player} has no groove {name[:60]!r}; there are {', '.join(names)}{suggest(name, names)}")
    return name


def describe_groove(player: str, name: str) -> str:
    """The first sentence of what a groove says of itself."""
    return (GROOVES[player][check_groove(player, name)].__doc__ or "").strip().splitlines()[0]
