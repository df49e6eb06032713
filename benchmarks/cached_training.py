"""Training from cached latents against training from waveforms: the same modules, the same step, in turns.

    python benchmarks/cached_training.py [--base nano audioldm2] [--turns 5] [--batch 16 1] [--json out.json]

`cached` is what recipes/finetune.py does: latents and prompts' embeddings come from a data set that recipes/prepare.py
made once. `waveforms` is what a training script without one does in every step: spectrogram, the autoencoder's encoder,
CLAP, T5 and GPT-2 on the batch, nothing of it trained; its waves are in memory, decoded. Then both make the same step
of adapter and LoRA. nano has its weights; audioldm2 has the true shapes, T5-large and CLAP's RoBERTa among them, with
random weights, since cost follows from shapes.

TFLOP of a step (`torch.utils.flop_counter`) stands beside the seconds: its ratio is the one to expect on a machine with
nothing else to do. `CPU` is the ratio of the processor's own time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from adapter_training import Learner
from diffusers import AudioLDM2Pipeline, AudioLDM2UNet2DConditionModel, AutoencoderKL, DDIMScheduler
from realsize import (
    SHAPES,
    Base,
    alternate,
    base_of,
    busy_sheet,
    config_of,
    finish,
    folder_of,
    medians,
    paired_ratio,
    parser_of,
    table,
)
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from musetune.audio import mel_frontend
from musetune.datasets import Clip, DatasetInfo, DatasetWriter, LatentDataset, TextEmbedding
from musetune.hub.locate import BASES
from musetune.models.nano.build import CAPTIONS
from musetune.pipeline.loading import quiet
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.training import Dropout, draw_batch, load_tokens, seeding

EVENTS = 32  # chords and beats of a song's clip
CLAP_TOKENS = 512  # AudioLDM 2 pads every prompt to so many


def real_pipeline(folder: Path) -> AudioLDM2Pipeline:
    """AudioLDM 2 by the configs in ``folder``, random weights.

    Only the U-Net is left small, for the learner has its own.
    """
    from diffusers.pipelines.audioldm2 import AudioLDM2ProjectionModel
    from transformers import (
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        GPT2Config,
        GPT2LMHeadModel,
        RobertaTokenizerFast,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        T5Config,
        T5EncoderModel,
        T5TokenizerFast,
    )

    t5 = T5Config(
        vocab_size=32128, d_model=1024, d_kv=64, d_ff=2816, num_layers=24, num_heads=16, feed_forward_proj="gated-gelu"
    )  # flan-t5-large
    clap, gpt2 = ClapConfig(), GPT2Config(**config_of(folder, "language_model"))
    nano = BASES / "nano"
    pipe = AudioLDM2Pipeline(
        vae=AutoencoderKL.from_config(config_of(folder, "vae")),
        text_encoder=ClapModel(clap),
        text_encoder_2=T5EncoderModel(t5),
        projection_model=AudioLDM2ProjectionModel(clap.projection_dim, t5.d_model, gpt2.n_embd),
        language_model=GPT2LMHeadModel(gpt2),
        tokenizer=RobertaTokenizerFast.from_pretrained(nano / "tokenizer", model_max_length=CLAP_TOKENS),
        tokenizer_2=T5TokenizerFast.from_pretrained(nano / "tokenizer_2"),
        feature_extractor=ClapFeatureExtractor(),
        unet=_stand_in(config_of(folder, "unet")),
        scheduler=DDIMScheduler(),
        vocoder=SpeechT5HifiGan(SpeechT5HifiGanConfig(**config_of(folder, "vocoder"))),
    )
    for module in (pipe.vae, pipe.text_encoder, pipe.text_encoder_2, pipe.projection_model, pipe.language_model):
        module.eval()
    return pipe


def _stand_in(config: dict[str, Any]) -> AudioLDM2UNet2DConditionModel:
    """A pipeline must have a U-Net; this one has no weights."""
    with torch.device("meta"):
        return AudioLDM2UNet2DConditionModel.from_config(config)


class Ears:
    """What makes latents and embeddings, as a training script without a data set calls it.

    A batch at a time, nothing kept.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.pipe = real_pipeline(folder) if folder == SHAPES else MuseTunePipeline.from_pretrained(folder)
        for name in ("vae", "text_encoder", "text_encoder_2", "projection_model", "language_model"):
            getattr(self.pipe, name).to(device).requires_grad_(False)
        self.frontend, self.device = mel_frontend(self.pipe).to(device), device

    @torch.no_grad()
    def latents(self, waves: Tensor) -> Tensor:
        """(B, samples) → (B, channels, rows, cols), drawn from the autoencoder's distribution and scaled."""
        mel = self.frontend(waves.to(self.device))
        return self.pipe.vae.encode(mel).latent_dist.sample() * self.pipe.vae.config.scaling_factor

    @torch.no_grad()
    def text(self, prompts: list[str]) -> TextEmbedding:
        """The embeddings of a batch of prompts."""
        return TextEmbedding(*self.pipe.encode_prompt(prompts, self.device, 1, False))


def write_dataset(folder: Path, base: Base, rows: int, waves: Tensor, ears: Ears) -> LatentDataset:
    """What prepare.py leaves of these waves (n, samples): a clip a wave."""
    info = DatasetInfo(base.name, "", base.unet["in_channels"], rows, base.cols, base.row_s)
    seconds = rows * base.row_s
    sheet = busy_sheet(EVENTS, seconds).to_json()
    with DatasetWriter(folder, info) as writer:
        for i, wave in enumerate(waves):
            prompts = {"", CAPTIONS[i % len(CAPTIONS)]}
            clip = Clip(
                id=str(i),
                file=f"{i}.wav",
                sha256="",
                offset_s=0.0,
                duration_s=seconds,
                text=CAPTIONS[i % len(CAPTIONS)],
                lead_sheet=sheet,
                genre=None,
                transpose=0,
            )
            texts = {p: ears.text([p]) for p in prompts}
            alone = {p: TextEmbedding(*(x[0].cpu() for x in vars(text).values())) for p, text in texts.items()}
            writer.add([clip], ears.latents(wave[None]).cpu(), alone)
    return LatentDataset(folder)


def tasks(
    base: Base, learner: Learner, ears: Ears, dataset: LatentDataset, waves: Tensor, batch: int
) -> dict[str, Callable[[], float]]:
    """A training step from either source; both draw the same clips, tokens and dropout."""
    per_row = learner.adapter.config.frames_per_row
    tokens = load_tokens(dataset, per_row)
    device = torch.device(learner.device)

    def step(cached: bool) -> float:
        indices = seeding.stream(len(dataset), 0, 0, batch)
        generators = [seeding.generator(0, 0, str(i)) for i in range(batch)]
        drawn = draw_batch(
            dataset, tokens, indices, generators, frames_per_row=per_row, crop_rows=None, dropout=Dropout(text=0.0)
        ).to(device)
        if not cached:
            prompts = [dataset.clips[i].text for i in indices]
            drawn = replace(drawn, latents=ears.latents(waves[indices]), text=ears.text(prompts))
        return learner.step(drawn.latents, drawn.tokens, drawn.text)

    return {"cached": lambda: step(True), "waveforms": lambda: step(False)}


def measure(
    name: str, *, batch: int, turns: int, rows: int | None = None, checkpointing: bool = False, device: str = "cpu"
) -> list[dict[str, Any]]:
    """A row for either source: median seconds of a step, clips a second, FLOP, and the ratios of the first to the
    second.
    """
    base = base_of(name)
    rows = rows or base.rows
    ears = Ears(folder_of(name), device)
    learner = Learner(base, checkpointing=checkpointing, device=device)
    rate = ears.pipe.vocoder.config.sampling_rate
    waves = 0.1 * torch.randn(batch, round(rows * base.row_s * rate))
    with tempfile.TemporaryDirectory() as folder:
        both = tasks(base, learner, ears, write_dataset(Path(folder), base, rows, waves, ears), waves, batch)
        flop = {what: count_flop(task) for what, task in both.items()}
        times = alternate(both, turns)
    cached, waveforms = (medians(times[what]) for what in ("cached", "waveforms"))
    ratios = {
        "ratio": waveforms.wall_s / cached.wall_s,
        "ratio_pairs": paired_ratio(times["waveforms"], times["cached"]),
        "ratio_cpu": waveforms.cpu_s / cached.cpu_s,
        "ratio_flop": flop["waveforms"] / flop["cached"],
    }
    common = {"base": base.name, "rows": rows, "batch": batch, "checkpointing": checkpointing, "device": device}
    return [
        common
        | {"what": what, "wall_s": middle.wall_s, "cpu_s": middle.cpu_s, "clips_s": batch / middle.wall_s}
        | {"flop": flop[what], "seconds": [t.wall_s for t in times[what]]}
        | (ratios if what == "cached" else {})
        for what, middle in (("cached", cached), ("waveforms", waveforms))
    ]


def count_flop(task: Callable[[], object]) -> int:
    """Multiplications and additions of one run, which also warms up."""
    with FlopCounterMode(display=False) as counter:
        task()
    return counter.get_total_flops()


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Rows of ``measure`` as a table's."""
    head = [
        "base",
        "from",
        "batch",
        "checkpointing",
        "seconds",
        "clips a second",
        "TFLOP",
        "faster",
        "pairs",
        "CPU",
        "by TFLOP",
    ]
    ratios = ("ratio", "ratio_pairs", "ratio_cpu", "ratio_flop")
    return [
        head,
        *(
            [
                row["base"],
                row["what"],
                str(row["batch"]),
                "yes" if row["checkpointing"] else "no",
                f"{row['wall_s']:.2f}",
                f"{row['clips_s']:.3g}",
                f"{row['flop'] / 1e12:.3f}",
                *(f"{row[k]:.2f}×" if k in row else "" for k in ratios),
            ]
            for row in rows
        ),
    ]


def main() -> None:
    parser = parser_of(__doc__)
    parser.set_defaults(base=["nano", "audioldm2"])
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[16, 1], help="clips a step, one for all or one a base; default: 16 1"
    )
    parser.add_argument("--turns", type=int, default=5, help="in which both make a step; default: 5")
    parser.add_argument("--checkpointing", action="store_true", help="as the recipe for audioldm2 does")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; default: cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    quiet()
    batches = args.batch * len(args.base) if len(args.batch) == 1 else args.batch
    if len(batches) < len(args.base):
        parser.error(f"--batch has {len(batches)} numbers for {len(args.base)} bases: give one for all or one for each")
    rows = [
        row
        for name, batch in zip(args.base, batches)
        for row in measure(
            name, batch=batch, turns=args.turns, rows=args.rows, checkpointing=args.checkpointing, device=args.device
        )
    ]
    print(table(lines(rows)))
    finish(rows, args.json)


if __name__ == "__main__":
    main()
