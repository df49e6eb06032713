"""Training: the cached data set, the loss, private randomness, exact checkpoints. No loop: the loop is the recipe."""

from musetune.datasets.latent_dataset import Clip, DatasetInfo, DatasetWriter, LatentDataset, TextEmbedding
from musetune.datasets.tokens import TokenTable, load_tokens, tabulate
from musetune.training.batch import Batch, Dropout, draw_batch
from musetune.training.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from musetune.training.loss import add_noise, diffusion_loss, snr, target

__all__ = [
    "Batch",
    "Clip",
    "DatasetInfo",
    "DatasetWriter",
    "Dropout",
    "LatentDataset",
    "TextEmbedding",
    "TokenTable",
    "add_noise",
    "diffusion_loss",
    "draw_batch",
    "find_checkpoint",
    "load_checkpoint",
    "load_tokens",
    "tabulate",
    "save_checkpoint",
    "snr",
    "target",
]
