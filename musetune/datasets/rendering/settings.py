"""How songs are drawn and rendered as clips."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class RenderingConfig:
    """Every option, its default, its meaning."""

    clips: int = 6000
    seconds: float = 10.24
    soundfont: str | None = None  # of clips that one plays; default: what musetune.audio.find_soundfont finds
    materials: str | None = None  # a folder of recipes/analyzer/materials.py: what of it shipped weights may learn from
    soundfonts: list[str] = field(default_factory=list)  # each player of a mixed clip is drawn from these
    kits: list[str] = field(default_factory=list)  # folders of Hydrogen's drum kits, for kit_share of mixed clips
    unknown_sounds: bool = False  # of materials the soundfont and kit that no training hears, to measure with
    kit_share: float = 0.5  # mixed clips whose drums are a kit's instead of a soundfont's
    plain_share: float = 0.0  # clips that soundfont plays as written, unmixed; all where there are no soundfonts
    perform_share: float = 0.8  # mixed clips whose players are uneven in time and strength
    compression_share: float = 0.5  # mixed clips that a compressor evens out
    stereo: bool = False  # files of 48 kHz in stereo, as pretrain_upsampler.py takes them, not of 16 kHz in mono
    held_out: str = "05"  # last digits of song folders that are never rendered
    held_out_sheets: bool = False  # leave out lead sheets too: those that musetune.datasets.song_split keeps for tests
    only_held_out: bool = False  # render what is held out and nothing else
    random_share: float = 0.35  # clips whose chords are drawn at random instead of taken from the song
    waltz_share: float = 0.15  # clips whose bars are squeezed into 3/4
    compound_share: float = 0.1  # clips whose bars are squeezed into 6/8
    any_tempo_share: float = 0.2  # clips at 60 to 180 bpm whatever the genre (6/8: always 40 to 110 dotted quarters)
    rubato_share: float = 0.15  # clips whose tempo sways by up to a tenth
    push_share: float = 0.15  # clips in which half of the changes come half a beat early
    inversion_share: float = 0.15  # clips in which a third of the chords gets its third or fifth as bass
    free_share: float = 0.0  # clips whose players' notes are drawn at random instead of taken from patterns
    solo_share: float = 0.0  # clips in which one player is alone
    expression_share: float = 0.0  # clips that are swung, thinned and faded otherwise than their genre's patterns
    seed: int = 0
    workers: int = 2
