"""The options of recipes/distill.py, and what follows from them: the teacher's, the sampler's, the cache's name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from omegaconf import MISSING

from musetune.adapter.sampling import Sampling
from musetune.pipeline.request import GUIDANCE_RESCALE, PLAYED_GUIDANCE, TEXT_GUIDANCE
from musetune.training.batch import Dropout
from musetune.training.distillation import METHODS
from musetune.training.teacher_batches import TeacherOptions

# What a resumed run may have otherwise and still repeat the uninterrupted one exactly.
RECORDS = (
    "output_dir",
    "resume_from_checkpoint",
    "max_train_minutes",
    "report_to",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "validation_steps",
    "validation_batches",
    "name",
    "data_license",
    "fitting_steps",
)


@dataclass
class DistillationConfig:
    """Every option, and the only place where it has a default."""

    pretrained_model_name_or_path: str = MISSING  # the base: nano, a folder or a Hub name with unet/ and scheduler/
    theory_adapter: str = MISSING  # its music adapter, frozen: name, folder or Hub id
    train_data_dir: str = MISSING  # a data set made by prepare.py
    output_dir: str = MISSING  # checkpoints, loss.jsonl, logs/, trajectories-…/, and at the end adapter/
    start_from: str | None = None  # a LoRA for few steps to go on from: name, folder or Hub id, of the same rank
    name: str = "fast"  # of the LoRA
    data_license: str | None = None  # of the music, for the card, such as CC-BY-4.0; null: what each clip says
    seed: int = 0
    # teacher
    method: str = "trajectory"  # or consistency: musetune/training/distillation.py
    num_inference_steps: int = 4  # of the student; a divisor of teacher_steps
    trained_steps: list[int] | None = None  # numbers of steps that are trained in turn; null: num_inference_steps alone
    own_share: float = 0.5  # samples of a trajectory that begin where the student's own steps lead, not the teacher's
    fitting_steps: list[int] = field(default_factory=lambda: [4, 8])  # fewest and most that its card says to fit
    teacher_steps: int = 20
    skipping_steps: int = 1  # of the teacher, between the two states that consistency compares
    guidance_scale: float = TEXT_GUIDANCE  # of words and music, which the student has without guidance
    played_guidance_scale: float = PLAYED_GUIDANCE  # of words, music and notes where there are notes
    guidance_rescale: float = GUIDANCE_RESCALE
    notes_share: float = 0.5  # batches in which the players' notes are told
    genre_adapters: list[str] = field(default_factory=list)  # genre LoRAs, of which one lies under some batches
    genre_share: float = 0.3  # how many batches
    trajectories: int = 400  # batches of the teacher, at most
    steps_per_trajectory: int = 10  # a new batch of the teacher every so many steps; earlier ones are used again
    # student
    rank: int = 16
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole clips
    # conditions hidden from both, so that partial requests are distilled too
    text_dropout: float = 0.1
    genre_dropout: float | None = None
    stream_dropout: float = 0.1  # each stream by itself
    stem_dropout: float | None = None
    condition_dropout: float = 0.05  # all streams together
    span_dropout: float = 0.05  # a stretch of time of all streams
    # optimisation
    train_batch_size: int = 16  # a process
    max_train_steps: int = 4000
    max_train_minutes: float | None = None  # stop at a checkpoint then; the schedule still follows max_train_steps
    learning_rate: float = 1e-3
    lr_scheduler: str = "cosine"
    lr_warmup_steps: int = 50
    adam_beta1: float = 0.9
    adam_beta2: float = 0.99
    adam_weight_decay: float = 0.0
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    huber_width: float = 0.1  # c of the pseudo-Huber loss
    ema_decay: float = 0.99  # also of the network that sets consistency's target
    mixed_precision: str | None = None  # no or bf16; null: what accelerate launch says, else no
    cpu: bool = False  # even where there is a GPU
    max_bad_steps: int = 5  # stop after so many steps in a row without a finite loss
    # records
    checkpointing_steps: int = 200
    checkpoints_total_limit: int | None = 2
    resume_from_checkpoint: str | None = None  # latest, or a checkpoint's name or path
    report_to: str | None = "tensorboard"
    validation_steps: int | None = None  # hold student against teacher every so many steps; null never
    validation_batches: int = 1


def check(config: DistillationConfig) -> None:
    """Raise ValueError for options that do not fit each other."""
    if config.method not in METHODS:
        raise ValueError(f"method={config.method!r} is not one of {', '.join(METHODS)}")
    told = {"num_inference_steps": [config.num_inference_steps], "trained_steps": config.trained_steps or []}
    for name, steps in ((name, steps) for name, each in told.items() for steps in each):
        if not 1 <= steps <= config.teacher_steps or config.teacher_steps % steps:
            raise ValueError(
                f"{name}={steps} does not divide teacher_steps={config.teacher_steps}: "
                "a step of the student takes the place of as many of the teacher's, at each place"
            )
    for name in ("notes_share", "genre_share", "own_share"):
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"{name}={getattr(config, name)} is outside 0…1")
    for name in ("trajectories", "steps_per_trajectory", "skipping_steps", "rank"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name}={getattr(config, name)} must be at least 1")
    if len(config.fitting_steps) != 2:
        raise ValueError(f"fitting_steps={config.fitting_steps} are not two, the fewest and the most")
    sampling_of(config)


def teacher_options(config: DistillationConfig) -> TeacherOptions:
    """What is asked of the teacher."""
    dropout = Dropout(
        text=config.text_dropout,
        stream=config.stream_dropout,
        condition=config.condition_dropout,
        span=config.span_dropout,
        genre=config.genre_dropout,
        stem=config.stem_dropout,
    )
    return TeacherOptions(
        config.seed,
        config.train_batch_size,
        config.teacher_steps,
        config.crop_rows,
        dropout,
        config.notes_share,
        config.genre_share,
        config.guidance_scale,
        config.played_guidance_scale,
        config.guidance_rescale,
    )


def teaching_name(config: DistillationConfig, facts: dict[str, str | int]) -> str:
    """A name for all that the teacher's batches depend on."""
    students = {"method", "num_inference_steps", "trained_steps", "own_share", "skipping_steps", "trajectories"}
    students |= {"steps_per_trajectory", "rank", "start_from"}
    optimisation = list(DistillationConfig.__dataclass_fields__)
    optimisation = optimisation[optimisation.index("max_train_steps") :]
    apart = {*students, *optimisation, *RECORDS} - {"mixed_precision"}
    told = {name: value for name, value in asdict(config).items() if name not in apart} | facts
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=6).hexdigest()


def sampling_of(config: DistillationConfig) -> Sampling:
    """What the LoRA's card says of its sampler."""
    fewest, most = config.fitting_steps
    if config.method == "trajectory":
        scheduler = {"_class_name": "DDIMScheduler", "timestep_spacing": "trailing", "steps_offset": 0}
        scheduler |= {"set_alpha_to_one": True, "clip_sample": False}
    else:
        scheduler = {"_class_name": "LCMScheduler", "original_inference_steps": config.teacher_steps}
        scheduler |= {"set_alpha_to_one": True, "clip_sample": False}
    return Sampling(scheduler, config.num_inference_steps, fewest, most)
