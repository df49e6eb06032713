"""Train a MusicAdapter (and LoRA) on a data set of cached latents made by recipes/prepare.py.

    accelerate launch recipes/finetune.py recipes/configs/theory.yaml train_data_dir=data/songs output_dir=runs/theory

Knobs: the YAML file and `key=value` overrides, all fields of `Config` below, named as in diffusers' training scripts
where those have the same knob. Only the base's U-Net and scheduler are loaded, and its vocoder for a new
branch that reads stems. A run that was killed continues with
`resume_from_checkpoint=latest`, and ends with the weights and the loss log that it would have had.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING
from tqdm import tqdm

from musetune.training.config import command_line, read
from musetune.training.finetune_run import Run


@dataclass
class Config:
    """Every knob, and the only place where it has a default."""

    pretrained_model_name_or_path: str = MISSING  # the base: nano, a folder or a Hub name with unet/ and scheduler/
    train_data_dir: str = MISSING  # a data set made by prepare.py
    output_dir: str = MISSING  # checkpoints, loss.jsonl, logs/, and at the end adapter/
    seed: int = 0
    # what is trained
    theory_adapter: str | None = (
        None  # an adapter to freeze, so that only a LoRA (a genre) or its stem branch is trained
    )
    stem_hidden: int = (
        0  # width of the branch that reads stems, which the frozen adapter gets, or has; 0: a LoRA trains
    )
    stem_channels: int = 48  # of a new such branch: channels of its map
    new_stems: bool = False  # a fresh branch instead of the one that the adapter has
    init_adapter: str | None = None  # an adapter to go on training, with its shape and its LoRA
    rank: int = 0  # of a new LoRA, where the adapter has none; 0 adds none
    frames_per_row: int = 4  # of a new adapter: time steps of beats and chroma in a latent row
    dim: int = 128  # of a new adapter: width of its events
    hidden: int = 96  # of a new adapter: width of its frames
    map_channels: int = 32  # of a new adapter: channels of the map that enters the U-Net
    map_entry: bool = True  # of a new adapter: the map joins the output of the U-Net's first convolution
    map_modulation: bool = True  # of a new adapter: it is added, with a scaled copy of their input, to sites' outputs
    attended: list[int] | None = None  # of a new adapter: the sites that read events; null all, [] none
    rotary: bool = True  # of a new adapter: attention knows the events' times
    event_s: float | None = None  # of a new adapter: further events so far apart, seconds; null: beats and changes
    hidden_streams: list[str] = field(default_factory=list)  # of a new adapter: never heard: chords, beats, …
    genre: str | None = None  # only this genre's clips
    transpose_augmentation: bool = True  # also prepare.py's copies, by default 2 semitones lower and 3 higher
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole clips
    # conditions hidden from the model, so that one adapter serves partial requests and guidance
    text_dropout: float = 0.15
    genre_dropout: float | None = None  # of the genre; null: like every stream. High where a LoRA shall bring the genre
    stream_dropout: float = 0.5  # each stream by itself
    stem_dropout: float | None = None  # each stem; null: like every stream
    arrangement_dropout: float = 0.0  # all stems together
    condition_dropout: float = 0.1  # all streams together
    span_dropout: float = 0.1  # a stretch of time of all streams
    # optimisation
    train_batch_size: int = 16  # a process
    gradient_accumulation_steps: int = 1
    max_train_steps: int = 10_000
    max_train_minutes: float | None = None  # stop at a checkpoint then; the schedule still follows max_train_steps
    learning_rate: float = 1e-3
    lr_scheduler: str = "cosine"
    lr_warmup_steps: int = 100
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_weight_decay: float = 1e-2
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    timestep_sampling: str = "stratified"  # uniform, stratified (one in each slice of 0…999 a batch) or logit_normal
    snr_gamma: float | None = None  # min-SNR weights, 5 with epsilon; with v-prediction they undo chords (CONTRIBUTING)
    use_ema: bool = True
    ema_decay: float = 0.999
    mixed_precision: str = "no"  # no or bf16
    gradient_checkpointing: bool = False
    cpu: bool = False  # even where there is a GPU
    max_bad_steps: int = 5  # stop after so many steps in a row without a finite loss
    # records
    checkpointing_steps: int = 500
    checkpoints_total_limit: int | None = 2
    resume_from_checkpoint: str | None = None  # latest, or a checkpoint's name or path
    report_to: str | None = "tensorboard"
    validation_steps: int | None = None  # make audio and charts every so many steps; null never
    num_validation_clips: int = 4  # lead sheets of the data set's first clips, at fixed seeds


def train(cfg: Config) -> Path:
    """Train as `cfg` says; returns the folder of the finished adapter."""
    run = Run(cfg)
    size = run.per_step
    bar = tqdm(total=cfg.max_train_steps * size, initial=run.step * size, unit="sample", disable=not run.main)
    while not run.ended():
        record = run.learn()
        run.keep()
        bar.update(size)
        bar.set_postfix(loss=f"{record['loss']:.4f}", refresh=False)
    bar.close()
    return run.finish()


def load_config(arguments: list[str]) -> Config:
    """`[file.yaml …] [key=value …]` → Config; an unknown key or a value of the wrong type raises."""
    config = read(Config, arguments)
    if config.mixed_precision == "False":  # YAML reads a bare `no` as false
        config.mixed_precision = "no"
    return config


if __name__ == "__main__":
    train(command_line(load_config, Config, __doc__))
