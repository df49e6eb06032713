"""From a folder of songs to an adapter that one can hear: what `musetune train` does."""

from musetune.training.own_songs.run import TrainedAdapter, train_on_songs

__all__ = ["TrainedAdapter", "train_on_songs"]
