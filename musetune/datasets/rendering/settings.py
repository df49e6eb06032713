"""How songs are drawn and rendered as clips."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RenderingConfig:
    """Every option, its default, its meaning."""

    clips: int = 6000
    seconds: float = 10.24
    soundfont: str | None = None  # default: what musetune.audio.find_soundfont finds
    held_out: str = "05"  # last digits of song folders that are never rendered
    random_share: float = 0.35  # clips whose chords are drawn at random instead of taken from the song
    waltz_share: float = 0.15  # clips whose bars are squeezed into 3/4
    compound_share: float = 0.1  # clips whose bars are squeezed into 6/8
    any_tempo_share: float = (
        0.2  # clips at 60 to 180 bpm whatever the genre (6/8: 40 to 110 dotted quarters in all clips)
    )
    rubato_share: float = 0.15  # clips whose tempo sways by up to a tenth
    push_share: float = 0.15  # clips in which half of the changes come half a beat early
    inversion_share: float = 0.15  # clips in which a third of the chords gets its third or fifth as bass
    free_share: float = 0.0  # clips whose players' notes are drawn at random instead of taken from patterns
    solo_share: float = 0.0  # clips in which one player is alone
    seed: int = 0
    workers: int = 2
