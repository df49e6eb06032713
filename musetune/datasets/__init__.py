"""Data for training: corpora, rendering, preparing, the cached latent data set."""

from musetune.datasets.latent_dataset import Clip, DatasetInfo, DatasetWriter, LatentDataset, TextEmbedding

__all__ = ["Clip", "DatasetInfo", "DatasetWriter", "LatentDataset", "TextEmbedding"]
