"""The stem transformer: a small Llama (transformers) whose every token is read with the harmony that sounds where it
stands.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from musetune.formats.json_object import read_json_object
from musetune.models.config_limits import weight_shapes
from musetune.models.sizes import check_sizes
from musetune.models.weight_checks import check_finite
from musetune.planning.arranger.grammar import CONTEXT
from musetune.planning.arranger.language import VOCABULARY
from musetune.symbols.limits import shorten

WEIGHTS, CONFIG = "model.safetensors", "config.json"
SIZES, MOST_SIZE = ("dim", "layers", "heads", "ffn"), 16_384


class StemTransformer(nn.Module):
    """``dim`` wide, ``layers`` deep; rotary positions, so that there is no longest text."""

    def __init__(self, *, dim: int = 144, layers: int = 5, heads: int = 3, ffn: int = 384) -> None:
        super().__init__()
        self.shape = {"dim": dim, "layers": layers, "heads": heads, "ffn": ffn}
        self.lm = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=dim,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                num_key_value_heads=heads,
                intermediate_size=ffn,
                max_position_embeddings=4096,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=None,
            )
        )
        self.context = nn.EmbeddingBag(sum(CONTEXT), dim, mode="sum")
        nn.init.normal_(self.context.weight, std=0.02)
        firsts = torch.tensor([sum(CONTEXT[:i]) for i in range(len(CONTEXT))])
        self.firsts: Tensor
        self.register_buffer("firsts", firsts, persistent=False)

    def forward(self, tokens: Tensor, contexts: Tensor) -> Tensor:
        """tokens (batch, n) and contexts (batch, n, 10), integers → logits (batch, n, VOCABULARY) of what follows each
        token.
        """
        rows = (contexts + self.firsts).flatten(0, 1)
        harmony = self.context(rows).view(*tokens.shape, -1)
        return self.lm(inputs_embeds=self.lm.model.embed_tokens(tokens) + harmony, use_cache=False).logits

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, half precision."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        state = {k: v.half().contiguous() for k, v in self.state_dict().items() if k != "lm.lm_head.weight"}
        save_file(state, path / WEIGHTS, {"format": "pt"})
        story = {"model_type": "musetune-stems", **self.shape, "vocabulary": VOCABULARY, "context": list(CONTEXT)}
        (path / CONFIG).write_text(json.dumps(story, indent=1) + "\n")

    @staticmethod
    def from_pretrained(folder: str | Path) -> StemTransformer:
        """Read what ``save_pretrained`` wrote.

        Raises FileNotFoundError for a folder without it, ValueError for another token language, for damaged files and
        for a config whose sizes its weights do not have.
        """
        path = Path(folder)
        for name in (CONFIG, WEIGHTS):
            if not (path / name).is_file():
                raise FileNotFoundError(f"{path} has no {name}: give a folder that recipes/arranger/train.py wrote")
        config = read_json_object(path / CONFIG)
        if config.get("vocabulary") != VOCABULARY or config.get("context") != list(CONTEXT):
            raise ValueError(f"{path} speaks another token language than this version of musetune: train it anew")
        sizes = {name: config.get(name) or 0 for name in SIZES}
        check_sizes(str(path / CONFIG), MOST_SIZE, **sizes)
        stored = weight_shapes(path / WEIGHTS)
        held = {
            "layers": len({key.split(".")[3] for key in stored if key.startswith("lm.model.layers.")}),
            "dim": stored.get("lm.model.embed_tokens.weight", (0, 0))[-1],
            "ffn": stored.get("lm.model.layers.0.mlp.gate_proj.weight", (0, 0))[0],
        }
        if wrong := [
            f"{name}={sizes[name]} where the weights have {size}" for name, size in held.items() if sizes[name] != size
        ]:
            raise ValueError(
                f"{path / CONFIG} says {', '.join(wrong)}; take the file that was saved together with the weights"
            )
        if sizes["dim"] % (2 * sizes["heads"]):
            raise ValueError(
                f"{path / CONFIG} says heads={sizes['heads']}, which do not share dim={sizes['dim']} evenly"
            )
        model = StemTransformer(**sizes)
        try:
            state = {k: v.float() for k, v in load_file(path / WEIGHTS).items()}
            model.load_state_dict({**state, "lm.lm_head.weight": state["lm.model.embed_tokens.weight"]})
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(
                f"{path / WEIGHTS} is damaged or of another network ({shorten(error, 200)}): get it anew"
            ) from error
        check_finite(f"the arranger {path}", state)
        return model.eval()


class StemDecoder:
    """The stem transformer, one token a row at a time, keys and values kept.

    It is five times as fast as transformers' own on a CPU: the norms' gains are folded into the matrices after them,
    and the rotation of queries and keys is two matrices more.
    """

    def __init__(self, model: StemTransformer, rows: int, longest: int = 512) -> None:
        lm: Any = model.lm.model
        config = model.lm.config
        self.heads, self.size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        self.eps, self.at, self.rotary = config.rms_norm_eps, 0, lm.rotary_emb
        self.embed, self.harmony, self.firsts = lm.embed_tokens.weight, model.context.weight, model.firsts
        self.out = (model.lm.lm_head.weight * lm.norm.weight).T.contiguous()
        self.layers = [self._fold(layer) for layer in lm.layers]
        self.cache = torch.zeros(len(self.layers), 2, rows, self.heads, 0, self.size)
        self._grow(longest)

    def _grow(self, more: int) -> None:
        """Room for ``more`` tokens."""
        self.cache = F.pad(self.cache, (0, 0, 0, more))
        cos, sin = self.rotary(self.cache, torch.arange(self.cache.shape[-2])[None])  # (1, room, size) each
        self.cos, self.sin = cos[0, :, None].float(), sin[0, :, None].float()

    def _fold(self, layer: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(queries, keys, values, both rotated), attention's output, (gate, up), down."""
        attention, mlp = layer.self_attn, layer.mlp
        q, k, v = (
            p.weight * layer.input_layernorm.weight for p in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        first = torch.cat([q, k, v, self._turn(q), self._turn(k)]).T.contiguous()
        wide = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight
        return first, attention.o_proj.weight.T.contiguous(), wide.T.contiguous(), mlp.down_proj.weight.T.contiguous()

    def _turn(self, weight: Tensor) -> Tensor:
        """Rows of each head's second half, negated, before those of its first half."""
        first, second = weight.view(self.heads, 2, self.size // 2, -1).unbind(1)
        return torch.cat([-second, first], dim=1).reshape(weight.shape)

    def _norm(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)

    @torch.no_grad()
    def __call__(self, tokens: Tensor, contexts: Tensor) -> Tensor:
        """tokens (rows,), contexts (rows, 10) → logits (rows, VOCABULARY) of the next token."""
        rows, at = len(tokens), self.at
        if at == self.cache.shape[-2]:
            self._grow(at)
        x = self.embed[tokens] + self.harmony[contexts + self.firsts].sum(1)
        cos, sin = self.cos[at], self.sin[at]
        for (first, output, wide, down), (keys, values) in zip(self.layers, self.cache):
            q, k, v, turned_q, turned_k = (self._norm(x) @ first).view(rows, 5, self.heads, self.size).unbind(1)
            keys[:, :, at] = k * cos + turned_k * sin
            values[:, :, at] = v
            query = (q * cos + turned_q * sin)[:, :, None]
            attended = F.scaled_dot_product_attention(query, keys[:, :, : at + 1], values[:, :, : at + 1])
            x = x + attended.reshape(rows, -1) @ output
            gate, up = (self._norm(x) @ wide).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ down
        self.at += 1
        return self._norm(x) @ self.out
