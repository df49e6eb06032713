"""The plug: time-aligned cross-attention, the frame map, LoRA; attach and detach. Knows tensors, never chords."""

from musetune.adapter.adapter import MusicAdapter, Prepared
from musetune.adapter.sites import music_sites

__all__ = ["MusicAdapter", "Prepared", "music_sites"]
