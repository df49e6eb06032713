"""Build nano with random weights: AudioLDM 2's modules at a size for two CPU cores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from musetune.models.nano.autoencoder import PatchAutoencoder
from musetune.models.nano.tokenizers import roberta_tokenizer, t5_tokenizer
from musetune.models.nano.vocoder import NanoVocoder

if TYPE_CHECKING:
    from diffusers import AudioLDM2Pipeline, AudioLDM2UNet2DConditionModel
    from transformers import ClapModel, GPT2LMHeadModel, T5EncoderModel

CAPTIONS = (
    "warm pop song with piano, acoustic guitar and drums, medium tempo",
    "driving rock track, 120 bpm, distorted guitar, electric bass",
    "smooth jazz music with tenor sax, upright bass and vibraphone, fast",
    "slow burning blues piece with harmonica and organ",
    "elegant classical waltz with violin, cello and flute, slow",
    "pulsing electronic track with synth bass, saw lead and warm pad, very fast",
)


HEADS = 4  # of every attention


@dataclass(frozen=True)
class Size:
    """Widths of nano's parts."""

    channels: tuple[int, ...] = (64, 96, 128)  # U-Net
    text_dim: int = 96  # CLAP's text branch, T5, GPT-2
    layers: int = 2
    clap_audio: int = 24  # first stage of CLAP's audio branch
    latent_channels: int = 16
    vocoder_dim: int = 256
    vocoder_layers: int = 6
    vocab: int = 800


SIZES = {
    "nano": Size(),
    "tiny": Size(
        channels=(16, 16, 32),
        text_dim=16,
        layers=1,
        clap_audio=4,
        latent_channels=4,
        vocoder_dim=16,
        vocoder_layers=1,
        vocab=340,
    ),
}


def build_nano(preset: str = "nano", captions: Iterable[str] = CAPTIONS) -> AudioLDM2Pipeline:
    """Build an AudioLDM2Pipeline with random weights.

    Args:
        preset: "nano" (about 12 M parameters), or "tiny" for tests.
        captions: texts that the tokenizers learn from.

    Returns:
        A pipeline whose latents are (latent_channels, rows of 128 ms, 16 columns).

    Raises:
        ValueError: for an unknown preset.
    """
    import torch
    from diffusers import AudioLDM2Pipeline, DPMSolverMultistepScheduler
    from diffusers.pipelines.audioldm2 import AudioLDM2ProjectionModel
    from transformers import ClapFeatureExtractor

    if preset not in SIZES:
        raise ValueError(f"preset={preset!r} is not one of {', '.join(SIZES)}")
    size, captions = SIZES[preset], list(captions)
    roberta, t5 = roberta_tokenizer(captions, size.vocab), t5_tokenizer(captions, size.vocab)
    dim = size.text_dim
    pipe = AudioLDM2Pipeline(
        vae=PatchAutoencoder(latent_channels=size.latent_channels),
        text_encoder=_clap(size, roberta),
        text_encoder_2=_t5(size, len(t5)),
        projection_model=AudioLDM2ProjectionModel(dim, dim, dim),
        language_model=_gpt2(size),
        tokenizer=roberta,
        tokenizer_2=t5,
        feature_extractor=ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad"),
        unet=_unet(size),
        scheduler=DPMSolverMultistepScheduler(
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            use_karras_sigmas=False,
            timestep_spacing="trailing",
        ),
        vocoder=NanoVocoder(dim=size.vocoder_dim, hidden=3 * size.vocoder_dim, layers=size.vocoder_layers),
    )
    for module in pipe.components.values():
        if isinstance(module, torch.nn.Module):
            module.eval()
    return pipe


def _t5(size: Size, vocabulary: int) -> T5EncoderModel:
    import torch
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=vocabulary,
        d_model=size.text_dim,
        d_kv=size.text_dim // HEADS,
        d_ff=4 * size.text_dim,
        num_layers=size.layers,
        num_heads=HEADS,
        dropout_rate=0.0,
    )
    encoder = T5EncoderModel(config)
    with torch.no_grad():  # T5's default initialisation assumes a final scale that nano does not have
        encoder.shared.weight.normal_(std=1.0)
    return encoder


def _gpt2(size: Size) -> GPT2LMHeadModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=1,
        n_embd=size.text_dim,
        n_head=HEADS,
        n_layer=size.layers,
        n_positions=96,
        max_new_tokens=8,
        bos_token_id=0,
        eos_token_id=0,
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
    )
    return GPT2LMHeadModel(config)


def _unet(size: Size) -> AudioLDM2UNet2DConditionModel:
    from diffusers import AudioLDM2UNet2DConditionModel

    return AudioLDM2UNet2DConditionModel(
        sample_size=80,
        in_channels=size.latent_channels,
        out_channels=size.latent_channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=size.channels,
        layers_per_block=1,
        cross_attention_dim=[[None, size.text_dim, size.text_dim]] * 3,  # type: ignore[arg-type]
        attention_head_dim=4,  # the number of heads: AudioLDM 2's config names it so
        norm_num_groups=16,
    )


def _clap(size: Size, tokenizer) -> ClapModel:  # type: ignore[no-untyped-def]
    from transformers import ClapAudioConfig, ClapConfig, ClapModel, ClapTextConfig

    dim = size.text_dim
    text = ClapTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=dim,
        num_hidden_layers=size.layers,
        num_attention_heads=4,
        intermediate_size=2 * dim,
        max_position_embeddings=80,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=dim,
    )
    stages = [1, 1, 1, 1]
    audio = ClapAudioConfig(
        patch_embeds_hidden_size=size.clap_audio,
        depths=stages,
        num_attention_heads=[1, 2, 2, 4],
        hidden_size=size.clap_audio * 8,
        projection_dim=dim,
        drop_path_rate=0.0,
        hidden_dropout_prob=0.0,
        num_hidden_layers=4,
        num_classes=2,
        aff_block_r=1,
    )
    return ClapModel(ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=dim))
