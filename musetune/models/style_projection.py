"""StyleProjection: a clip's sound, as CLAP embeds it, told to a base in place of words.

AudioLDM 2's U-Net reads words twice: GPT-2's embeddings, which hear CLAP, and T5's states, one a token. A base that
listens to T5 above all does not hear a clip that only GPT-2 is told of. Here a small network makes of CLAP's embedding
a few states that stand where T5's do, as IP-Adapter projects an image's embedding into tokens (arXiv 2308.06721).
`recipes/base/pretrain_style.py` trains it on a frozen base.
"""

from __future__ import annotations

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from musetune.models.sizes import check_sizes


class StyleProjection(ModelMixin, ConfigMixin):
    """CLAP's embedding (batch, embedding_dim) → states (batch, tokens, cross_attention_dim) beside or instead of T5's.

    Args:
        embedding_dim: of CLAP's embedding.
        cross_attention_dim: of T5's states.
        tokens: how many states a clip becomes.
        hidden: width between both.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> import torch
        >>> StyleProjection(96, 96, tokens=8)(torch.zeros(2, 96)).shape
        torch.Size([2, 8, 96])
    """

    @register_to_config
    def __init__(self, embedding_dim: int, cross_attention_dim: int, tokens: int = 8, hidden: int = 384) -> None:
        super().__init__()
        check_sizes("StyleProjection", 16384, embedding_dim=embedding_dim, cross_attention_dim=cross_attention_dim)
        check_sizes("StyleProjection", 16384, tokens=tokens, hidden=hidden)
        self.spread = embedding_dim**0.5  # a unit vector's entries are then of the order of 1
        self.net = nn.Sequential(
            nn.Linear(embedding_dim, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, tokens * cross_attention_dim),
        )
        self.norm = nn.LayerNorm(cross_attention_dim)

    def forward(self, embedding: Tensor) -> Tensor:
        """Return states (batch, tokens, cross_attention_dim) of embeddings (batch, embedding_dim) of unit length."""
        states: Tensor = self.net(self.spread * embedding).unflatten(1, (self.config.tokens, -1))
        return self.norm(states)
