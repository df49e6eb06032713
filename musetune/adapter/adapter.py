"""MusicAdapter: all that makes a frozen U-Net obey a lead sheet, in one ModelMixin. Attach, prepare, feed, detach."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from musetune.adapter import lora
from musetune.adapter.attention import MusicAttention, MusicAttnProcessor, MusicStream, row_angles
from musetune.adapter.expression_branch import ExpressionBranch
from musetune.adapter.film import ConditionedConvIn, FiLM, MapEntry
from musetune.adapter.merging import merged
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata
from musetune.adapter.sites import music_sites, site_levels
from musetune.adapter.stem_branch import StemBranch
from musetune.conditioning import STREAMS, MusicConditioner, MusicConditioning, MusicTokens
from musetune.formats.json_object import read_json_object
from musetune.models.config_limits import weight_shapes
from musetune.models.sizes import check_sizes
from musetune.models.weight_checks import check_finite, refuse_weight_indices

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from diffusers import AudioLDM2UNet2DConditionModel
    from peft import LoraConfig

HEAD_DIM = 32
LORA_NAME = "music"
OWNER = "MusicAdapter"  # in errors


class MusicInputs(NamedTuple):
    """What the U-Net is fed of one set of tokens.

    Attributes:
        entry: what joins conv_in's output, (B, entry_channels, rows, cols), if anything.
        stream: what the sites read.
    """

    entry: Tensor | None
    stream: MusicStream


class MusicAdapter(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers' types are not followed
    """Adapter that makes a frozen AudioLDM 2 U-Net follow a lead sheet.

    It holds the conditioner, one MusicAttention a site, the frame map's ways in, and an optional LoRA. It is attached
    to one U-Net at a time. ``for_unet`` reads the U-Net's shapes; a new adapter, and one of strength 0, leaves the
    U-Net as it is, bit for bit.

    Args:
        channels: of each site, in the U-Net's order.
        text_width: of the GPT-2 stream.
        in_channels: of the U-Net.
        entry_channels: of conv_in's output.
        levels: of the U-Net.
        cols: columns of the latent grid.
        frames_per_row: frames folded into a latent row.
        dim: width of the events.
        hidden: width of the frame network.
        map_channels: width of the frame map.
        site_levels: the level of each site.
        map_entry: whether the map is added to conv_in's output.
        map_modulation: whether the map scales and shifts the sites; needs ``site_levels``.
        attended: sites that read events; None: all.
        rotary: whether sites know the events' times.
        event_s: ``tokenize``'s, kept for those who make tokens.
        hidden_streams: of STREAMS, never read.
        stem_hidden: width of the branch that reads stems; 0: no branch.
        stem_channels: width of that branch's map.
        stem_bins: bins of the base's spectrum in a column, for that branch.
        expression_hidden: width of the branch that reads expression; 0: no branch.
        expression_channels: width of that branch's map.
        site_widths: inner width of each site, in whole heads of 32; None: half of its channels. A narrowed adapter has
            those of the wide one.
        lora: whether it was saved with a LoRA.

    Raises:
        ValueError: that names the argument, its value and the range.

    Example:
        >>> from musetune import MusicAdapter
        >>> from musetune.hub.locate import find_adapter
        >>> adapter = MusicAdapter.from_pretrained(find_adapter("theory"))
        >>> adapter.strength, adapter.has_lora
        (1.0, True)
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        channels: tuple[int, ...] = (96, 128, 128, 128, 128, 96, 96),
        text_width: int = 96,
        in_channels: int = 16,
        entry_channels: int = 64,
        levels: int = 3,
        cols: int = 16,
        frames_per_row: int = 4,
        dim: int = 128,
        hidden: int = 96,
        map_channels: int = 32,
        site_levels: tuple[int, ...] | None = None,
        map_entry: bool = True,
        map_modulation: bool = False,
        attended: tuple[int, ...] | None = None,
        rotary: bool = True,
        event_s: float | None = None,
        hidden_streams: tuple[str, ...] = (),
        stem_hidden: int = 0,
        stem_channels: int = 48,
        stem_bins: int = 8,
        expression_hidden: int = 0,
        expression_channels: int = 24,
        site_widths: tuple[int, ...] | None = None,
        lora: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(OWNER, 128, sites=len(channels), levels=levels, frames_per_row=frames_per_row)
        check_sizes(OWNER, 256, cols=cols, stem_bins=stem_bins)
        check_sizes(
            OWNER, 1024, map_channels=map_channels, stem_channels=stem_channels, stem_hidden=stem_hidden or None
        )
        check_sizes(OWNER, 1024, expression_channels=expression_channels, expression_hidden=expression_hidden or None)
        check_sizes(OWNER, 4096, dim=dim, hidden=hidden, channels=channels, entry_channels=entry_channels)
        check_sizes(OWNER, 4096, text_width=text_width, in_channels=in_channels, site_widths=site_widths)
        if site_levels is not None and not (
            len(site_levels) == len(channels) and all(level in range(levels) for level in site_levels)
        ):
            raise ValueError(
                f"{OWNER}: site_levels={site_levels} are not {len(channels)} levels from 0 to {levels - 1}"
            )
        self.conditioner = MusicConditioner(
            dim=dim, hidden=hidden, map_channels=map_channels, cols=cols, frames_per_row=frames_per_row
        )
        reading = range(len(channels)) if attended is None else attended
        if wrong := sorted(set(reading) - set(range(len(channels)))):
            raise ValueError(f"attended={wrong} is outside 0–{len(channels) - 1}, the U-Net's sites")
        if strange := sorted(set(hidden_streams) - set(STREAMS)):
            raise ValueError(f"hidden_streams={strange} are not among {', '.join(STREAMS)}")
        if not (reading or map_entry or map_modulation):
            raise ValueError("nothing takes part: give map_entry, map_modulation or some attended sites")
        widths = tuple(map(inner_width, channels)) if site_widths is None else tuple(site_widths)
        if len(widths) != len(channels) or any(width % HEAD_DIM for width in widths):
            raise ValueError(f"{OWNER}: site_widths={widths} are not {len(channels)} multiples of {HEAD_DIM}")
        self.sites = nn.ModuleDict(
            {
                str(i): MusicAttention(c, dim, widths[i], widths[i] // HEAD_DIM, rotary=rotary)
                for i, c in enumerate(channels)
                if i in reading
            }
        )
        self.entry = MapEntry(map_channels, entry_channels) if map_entry else None
        self.modulation = None
        if map_modulation:
            if site_levels is None:
                raise ValueError("map_modulation=True needs site_levels, one a site; MusicAdapter.for_unet finds them")
            self.modulation = FiLM(map_channels, channels, site_levels)
        self.stems: StemBranch | None = None
        if stem_hidden:
            self.stems = self._branch()
        self.expression: ExpressionBranch | None = None
        if expression_hidden:
            self.expression = self._expression_branch()
        self.metadata: AdapterMetadata | None = None
        self._strength = 1.0
        self._unet: list[AudioLDM2UNet2DConditionModel] = []  # a list keeps the base out of this module's parameters
        self._lora_config: LoraConfig | None = None
        self._lora_weights: dict[str, Tensor] = {}  # while it is not in a U-Net

    @classmethod
    def for_unet(cls, unet: AudioLDM2UNet2DConditionModel, **options: Any) -> MusicAdapter:
        """Build a new adapter shaped for ``unet``.

        Args:
            unet: whose shapes it reads.
            options: the constructor's: cols, the widths, what takes part.
        """
        sites = music_sites(unet)
        adapter: MusicAdapter = cls(
            site_levels=site_levels(unet),
            channels=tuple(attn.to_q.in_features for attn in sites),
            text_width=sites[0].to_k.in_features,
            in_channels=unet.config.in_channels,
            entry_channels=unet.config.block_out_channels[0],
            levels=len(unet.config.block_out_channels),
            **options,
        )
        return adapter

    # -- plug
    # --------------------------------------------------------------------------------------------------------------

    def attach(self, unet: AudioLDM2UNet2DConditionModel) -> MusicAdapter:
        """Plug into ``unet``: processors at its GPT-2 sites, conv_in's wrapper, the saved LoRA where there is one.

        Raises ValueError, and leaves the U-Net as it was, where it has other shapes than the adapter was made for, or
        another adapter.
        """
        if self._unet:
            raise ValueError("this adapter is attached already; detach() it first")
        if isinstance(unet.conv_in, ConditionedConvIn):
            raise ValueError("the U-Net holds another MusicAdapter; detach() that one first")
        self._check(unet)
        if self._lora_config is not None:
            lora.put(unet, LORA_NAME, self._lora_config, self._lora_weights)
        unet.conv_in = ConditionedConvIn(unet.conv_in)
        self._unet = [unet]
        self.wrap_processors()
        self.strength = self._strength
        return self

    def wrap_processors(self) -> None:
        """Wrap the processors of the attached U-Net's sites, also those that others put there since (slicing,
        ``set_attn_processor``).
        """
        reading = dict(self.sites.named_children())
        for index, attn in enumerate(music_sites(self.unet)):
            if not isinstance(attn.processor, MusicAttnProcessor):
                attn.processor = MusicAttnProcessor(attn.processor, reading.get(str(index)), index)  # type: ignore[arg-type]

    def detach(self) -> None:
        """Take everything out; the U-Net is what it was, bit for bit."""
        unet = self.unet
        if self._lora_config is not None:
            self._lora_weights = lora.state(unet, LORA_NAME)
            lora.remove(unet, LORA_NAME)
        if isinstance(unet.conv_in, ConditionedConvIn):
            unet.conv_in = unet.conv_in.conv
        for attn in music_sites(unet):
            if isinstance(attn.processor, MusicAttnProcessor):
                attn.processor = attn.processor.base
        self._unet = []

    def add_lora(self, rank: int, targets: tuple[str, ...] = lora.EVERYTHING) -> None:
        """Add a fresh LoRA to the attached U-Net; only it and the adapter train.

        Args:
            rank: from 1 on.
            targets: ends of the names of the modules that get one.

        Raises:
            ValueError: for an adapter that is not attached or has a LoRA.
        """
        unet = self.unet
        if self._lora_config is not None:
            raise ValueError("this adapter has a LoRA already")
        self._lora_config = lora.inject(unet, LORA_NAME, rank=rank, targets=targets)

    def add_stems(self, hidden: int, channels: int, bin_hz: np.ndarray) -> StemBranch:
        """Add a fresh branch that reads stems.

        It changes nothing until it is trained, and nothing ever where no stems are given.

        Args:
            hidden: width of its frame network.
            channels: width of its map.
            bin_hz: frequencies of the bins of the base's spectrogram in rising Hz, equally many in each column of the
            latents
                (``musetune.audio.mel_frontend``).

        Raises:
            ValueError: for an adapter that has one, or was made without ``site_levels``.
        """
        shape = self.config
        if self.stems is not None:
            raise ValueError("this adapter reads stems already")
        if shape.site_levels is None:
            raise ValueError("a branch for stems needs site_levels; MusicAdapter.for_unet finds them")
        self.register_to_config(stem_hidden=hidden, stem_channels=channels, stem_bins=len(bin_hz) // shape.cols)
        self.stems = self._branch()
        self.stems.conditioner.sketch.draw(bin_hz)
        return self.stems

    def _branch(self) -> StemBranch:
        shape = self.config
        return StemBranch(
            hidden=shape.stem_hidden,
            map_channels=shape.stem_channels,
            cols=shape.cols,
            bins=shape.stem_bins,
            frames_per_row=shape.frames_per_row,
            entry_channels=shape.entry_channels,
            channels=tuple(shape.channels),
            levels=tuple(shape.site_levels),
        )

    def add_expression(self, hidden: int, channels: int) -> ExpressionBranch:
        """Add a fresh branch that reads expression.

        It changes nothing until it is trained, and nothing ever where no expression is given.

        Args:
            hidden: width of its frame network.
            channels: width of its map.

        Raises:
            ValueError: for an adapter that has one, or was made without ``site_levels``.
        """
        if self.expression is not None:
            raise ValueError("this adapter reads expression already")
        if self.config.site_levels is None:
            raise ValueError("a branch for expression needs site_levels; MusicAdapter.for_unet finds them")
        self.register_to_config(expression_hidden=hidden, expression_channels=channels)
        self.expression = self._expression_branch()
        return self.expression

    def _expression_branch(self) -> ExpressionBranch:
        shape = self.config
        return ExpressionBranch(
            hidden=shape.expression_hidden,
            map_channels=shape.expression_channels,
            cols=shape.cols,
            frames_per_row=shape.frames_per_row,
            entry_channels=shape.entry_channels,
            channels=tuple(shape.channels),
            levels=tuple(shape.site_levels),
        )

    @property
    def card(self) -> AdapterMetadata | None:
        """Former name of `metadata`."""
        warnings.warn("MusicAdapter.card is now MusicAdapter.metadata", DeprecationWarning, stacklevel=2)
        return self.metadata

    @property
    def has_lora(self) -> bool:
        """Whether a LoRA belongs to the adapter, loaded or added."""
        return self._lora_config is not None

    def lora_weights(self) -> dict[str, Tensor]:
        """Return copies of the LoRA's weights under peft's keys, attached or not; empty where there is none."""
        if self._lora_config is None:
            return {}
        return lora.state(self._unet[0], LORA_NAME) if self._unet else dict(self._lora_weights)

    @property
    def lora_scale(self) -> float | None:
        """What the LoRA's product is multiplied by: alpha over rank; None where there is none."""
        return None if self._lora_config is None else self._lora_config.lora_alpha / self._lora_config.r

    def replace_lora_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put other weights into the LoRA of an adapter that is attached to no U-Net.

        Args:
            weights: Under the keys and in the shapes of `lora_weights`.

        Raises:
            ValueError: Other keys or shapes, or an attached adapter.
        """
        if self._unet:
            raise ValueError("this adapter is attached; detach() it first")
        shapes = [{key: tensor.shape for key, tensor in one.items()} for one in (self._lora_weights, weights)]
        if shapes[0] != shapes[1]:
            raise ValueError("these weights have other names or shapes than the adapter's LoRA")
        self._lora_weights = dict(weights)

    @property
    def strength(self) -> float:
        """Scale of everything that the adapter adds: 0 is the base bit for bit, 1 as trained."""
        return self._strength

    @strength.setter
    def strength(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"strength={value} is outside 0–1: 0 is the base, 1 as trained")
        self._strength = float(value)
        if self._unet and self._lora_config is not None:
            lora.set_strength(self._unet[0], LORA_NAME, self._strength)

    def silence(self) -> None:
        """Let the LoRA in the U-Net add nothing until ``strength`` is set again: who uses the U-Net otherwise gets
        the base.
        """
        if self._unet and self._lora_config is not None:
            lora.set_strength(self._unet[0], LORA_NAME, 0.0)

    def attached_to(self, unet: nn.Module) -> bool:
        """Whether it is attached to ``unet``."""
        return bool(self._unet) and self._unet[0] is unet

    def merged(self) -> AbstractContextManager[None]:
        """Return a context in which the LoRA lies in the U-Net's weights.

        It is as fast as none there, with the same sound but for rounding; not for training.
        """
        return merged(self.unet) if self._lora_config is not None else nullcontext()

    def absorb_lora(self) -> None:
        """Add the LoRA to the weights of the attached U-Net for good: the adapter has none afterwards.

        The two sound as before but for rounding, and the U-Net is no longer the base. Without a LoRA nothing changes.
        """
        if self._lora_config is not None:
            lora.absorb(self.unet, LORA_NAME)
            self._lora_config, self._lora_weights = None, {}

    # -- feed
    # --------------------------------------------------------------------------------------------------------------

    def prepare(self, tokens: MusicTokens, rows: int, cols: int, row_s: float) -> MusicInputs:
        """Embed tokens, with keys and values of all sites, once for all steps.

        Args:
            tokens: with rows · frames_per_row frames.
            rows: of the latents.
            cols: of the latents.
            row_s: seconds of a latent row.
        """
        tokens = tokens.drop(self.config.hidden_streams)
        music = self.conditioner(tokens, rows, cols)
        angles = row_angles(rows, cols, row_s, self.config.levels, HEAD_DIM, music.events.device)
        keys, values = self._keys_values(music)
        modulation = () if self.modulation is None else self.modulation(music.frame_map)
        entry = None if self.entry is None else self.entry(music.frame_map)
        if self.stems is not None:
            entry, modulation = self.stems.join(entry, modulation, tokens, rows)
        if self.expression is not None:
            entry, modulation = self.expression.join(entry, modulation, tokens, rows)
        entry = None if entry is None else entry * self._strength
        return MusicInputs(entry, MusicStream(keys, values, music.mask, angles, self._strength, modulation))

    def _keys_values(self, music: MusicConditioning) -> tuple[tuple[Tensor | None, ...], tuple[Tensor | None, ...]]:
        """Return keys and values of every site; None where it reads no events."""
        pairs: list[tuple[Tensor | None, Tensor | None]] = [(None, None)] * len(self.config.channels)
        for name, site in self.sites.items():
            pairs[int(name)] = site.keys_values(music.events, music.times_s)  # type: ignore[operator]
        return tuple(k for k, _ in pairs), tuple(v for _, v in pairs)

    def inputs(
        self, sample: Tensor, generated_prompt_embeds: Tensor, music: MusicInputs
    ) -> tuple[Tensor, tuple[Tensor, MusicStream]]:
        """Return the U-Net's ``sample`` and ``encoder_hidden_states`` with music in them; pass them on as they are."""
        text = (generated_prompt_embeds, music.stream)
        if music.stream.strength == 0.0 or music.entry is None:
            return sample, text
        return torch.cat([sample, music.entry.to(sample.dtype)], dim=1), text

    # -- keep
    # --------------------------------------------------------------------------------------------------------------

    def save_pretrained(self, save_directory: str | Path, **options) -> None:  # type: ignore[no-untyped-def, override]
        """Write config.json, diffusion_pytorch_model.safetensors, and lora/ in peft's format and musetune.json where
        there are such.

        Args:
            save_directory: is made where it is not there.
            options: as of ``ModelMixin.save_pretrained``.
        """
        self.register_to_config(lora=self.has_lora)
        super().save_pretrained(save_directory, safe_serialization=True, **options)
        if self._lora_config is not None:
            lora.save(self.lora_weights(), self._lora_config, Path(save_directory) / "lora")
        if self.metadata is not None:
            self.metadata.write(save_directory)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options) -> MusicAdapter:  # type: ignore[no-untyped-def, override]
        """Load a folder that ``save_pretrained`` wrote; its LoRA goes in at ``attach``. Safetensors only.

        Raises ValueError for damaged files, where its musetune.json is of another schema version, and where its LoRA is
        missing.
        """
        refuse_weight_indices(folder)
        if (Path(folder) / "config.json").is_file():  # else the library says what is missing
            read_json_object(Path(folder) / "config.json")
            weight_shapes(Path(folder))
        options["use_safetensors"] = True
        adapter: MusicAdapter = super().from_pretrained(folder, **options)
        check_finite(f"the adapter {folder}", adapter.state_dict())
        adapter.metadata, lora_folder = read_adapter_metadata(folder), Path(folder) / "lora"
        if (lora_folder / "adapter_config.json").is_file():
            adapter._lora_config, adapter._lora_weights = lora.read(lora_folder)
            check_finite(f"the LoRA {lora_folder}", adapter._lora_weights)
        elif adapter.config.lora:
            raise ValueError(
                f"{folder} has lost its lora/: get the whole folder, by MuseTunePipeline.from_pretrained or musetune "
                f"pull"
            )
        return adapter

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Return the adapter's own parameters and its LoRA's."""
        own = list(self.parameters())
        return own + (lora.parameters(self._unet[0], LORA_NAME) if self._unet and self._lora_config is not None else [])

    @property
    def unet(self) -> AudioLDM2UNet2DConditionModel:
        """The U-Net that it is attached to. Raises ValueError where it is attached to none."""
        if not self._unet:
            raise ValueError("this adapter is not attached; attach(unet) it first")
        return self._unet[0]

    def _check(self, unet: AudioLDM2UNet2DConditionModel) -> None:
        here = {
            "channels": [attn.to_q.in_features for attn in music_sites(unet)],
            "text_width": music_sites(unet)[0].to_k.in_features,
            "in_channels": unet.config.in_channels,
            "entry_channels": unet.config.block_out_channels[0],
            "levels": len(unet.config.block_out_channels),
        }
        if self.config.site_levels is not None:
            here["site_levels"] = list(site_levels(unet))
        wrong = [
            f"{k}: adapter {list_or(self.config[k])}, U-Net {v}"
            for k, v in here.items()
            if list_or(self.config[k]) != v
        ]
        if wrong:
            raise ValueError(f"this adapter was made for another U-Net; {'; '.join(wrong)}")


def list_or(value: object) -> object:
    """A tuple as a list, which JSON has; anything else as it is."""
    return list(value) if isinstance(value, tuple) else value


def inner_width(channels: int) -> int:
    """Return the inner width of a site of a new adapter: half its channels, in whole heads."""
    return max(HEAD_DIM, channels // 2 // HEAD_DIM * HEAD_DIM)
