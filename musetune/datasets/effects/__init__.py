"""What happens to music between the players and the listener: dynamics, rooms, colour, media; each a pure function.

Waves are float32 (…, samples), the last axis time, so mono and stereo pass alike; what is drawn is an argument.
"""

from musetune.datasets.effects.chain import produce

__all__ = ["produce"]
