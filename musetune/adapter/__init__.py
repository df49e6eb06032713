"""The plug: time-aligned cross-attention, the frame map, LoRA; attach and detach. Knows tensors, never chords."""

from musetune.adapter.adapter import MusicAdapter, MusicInputs
from musetune.adapter.sites import music_sites

__all__ = ["MusicAdapter", "MusicInputs", "music_sites"]
