"""Tune an adapter on what people and our recognisers prefer, in rounds, with guards; the base stays as it is.

    accelerate launch recipes/align/tune.py recipes/configs/align.yaml output_dir=runs/aligned
    accelerate launch recipes/align/tune.py recipes/configs/align.yaml preferences=[runs/mine] output_dir=runs/taste

A round draws candidates from the present adapter and lets the rewards choose (as recipes/align/prefer.py does), trains
on the pairs, and hears development sheets. `preferences` names data sets that prefer.py made: a recognisers' one is the
first round's, people's count in every round, alone with people_share=1. Rounds end early where A's reward on the
development sheets no longer rises or a guard objects. Then judges that had no part compare the best round with the
adapter that was there before: report.json, and in adapter/ the tuned adapter or, where they object, the old one.

Options: YAML files and `key=value` overrides. A run that was killed goes on with `resume_from_checkpoint=latest`, and
ends with the weights that it would have had.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from omegaconf import MISSING
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from musetune.datasets.fingerprint import check_base
from musetune.datasets.preference_set import PreferenceSet
from musetune.evaluation.guards import GuardLimits, PolicyFigures, vetoes
from musetune.evaluation.judges import missing_judges
from musetune.evaluation.provenance import hash_of, remember
from musetune.evaluation.rewards import DEFAULT_WEIGHTS, find_rewards
from musetune.evaluation.transcription import missing_transcribers
from musetune.hub.locate import find_adapter, find_base, is_lora
from musetune.pipeline.loading import quiet
from musetune.suites.alignment import keep_better_adapter, read_figures
from musetune.suites.policy import PolicyPlayer, PolicySettings
from musetune.training import Dropout, TokenTable, draw_batch, load_tokens, seeding
from musetune.training.checkpoint import find_checkpoint
from musetune.training.config import command_line, read, run_command
from musetune.training.denoiser import Denoiser
from musetune.training.frozen_copy import FrozenCopy
from musetune.training.loss import add_noise, target
from musetune.training.memory import enable_gradient_checkpointing
from musetune.training.preference_batches import choose_set
from musetune.training.preference_loss import (
    METHODS,
    crpo_loss,
    dpo_loss,
    nft_loss,
    preference_margin,
    sample_errors,
)
from musetune.training.run_info import describe_music, save_adapter, save_lora, with_averages
from musetune.training.setup import (
    GENRE,
    attach_present_adapter,
    choose_trained_parts,
    load_noise_schedule,
    load_unet,
    resolve_mixed_precision,
    start_accelerator,
)
from musetune.training.state import (
    TrainingState,
    begin,
    learning_rate_factor,
    log_step,
    make_state,
    resume_state,
    save_state,
    stop_where_nothing_is_finite,
)

WEIGHTS = "trained.safetensors"  # of a round: the parameters that learned, averaged
# What a resumed run may have otherwise and still repeat the uninterrupted one exactly.
RECORDS = (
    "output_dir",
    "resume_from_checkpoint",
    "report_to",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "name",
)


# What takes and figures depend on: another value needs another folder
HEARD = (
    "pretrained_model_name_or_path",
    "adapter",
    "rank",
    "seed",
    "seconds",
    "prompts",
    "notes_share",
    "num_inference_steps",
    "rewards",
    "soundfont",
    "candidates",
    "development_sheets",
    "development_seeds",
)


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    output_dir: str = MISSING  # a folder a round, report.json, and at the end adapter/
    pretrained_model_name_or_path: str = "nano"  # the base: nano, a folder or a Hub name
    adapter: str = "theory"  # what is tuned: bundled name, folder or Hub id
    rank: int = 0  # 0: the whole adapter learns; above: it stays, and a LoRA of this rank on top of it learns
    name: str | None = None  # of the tuned adapter; null: the last part of output_dir
    seed: int = 0
    # what is preferred
    preferences: list[str] = field(default_factory=list)  # data sets by prefer.py: people's, and the first round's
    people_share: float = 0.5  # of the steps that learn from people, where there are both
    rounds: int = 2  # at most
    requests: int = 64  # of a round
    candidates: int = 8  # a request
    seconds: float = 5.12  # of a take
    prompts: list[str] | None = None  # words that lead sheets are planned for; null: six genres in turn
    notes_share: float = 0.0  # share of the requests with players' notes, 0–1
    num_inference_steps: int = 20
    rewards: dict[str, float] = field(default_factory=dict)  # weight by name, as prefer.py has them; {}: its default
    margin: float = 0.05  # takes that are no further apart are no pair
    pairs_a_request: int = 1  # 1: best and worst; 2: the second best and the second worst too; …
    soundfont: str | None = None  # of renderings; null: what is found
    # how it is learned
    method: str = "crpo"  # supervised, dpo, crpo or nft: formulas in musetune.training.preference_loss
    beta: float = 2000.0  # of dpo: how close to the reference
    winner_weight: float = 1.0  # of crpo
    nft_beta: float = 1.0  # of nft
    text_dropout: float = 0.1
    stream_dropout: float = 0.1  # each stream of the sheet by itself
    condition_dropout: float = 0.1  # all streams together: guidance needs what the adapter does without music
    crop_rows: int | None = None  # latent rows of a random crop; null takes whole takes
    train_batch_size: int = 8  # pairs (of nft: takes) a process
    gradient_accumulation_steps: int = 1
    max_train_steps: int = 120  # of a round
    learning_rate: float = 1e-4
    lr_scheduler: str = "constant_with_warmup"
    lr_warmup_steps: int = 10
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_weight_decay: float = 0.0
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    use_ema: bool = True
    ema_decay: float = 0.98
    mixed_precision: str | None = None  # no or bf16; null: what accelerate launch says, else no
    gradient_checkpointing: bool = False
    cpu: bool = False  # even where there is a GPU
    max_bad_steps: int = 5
    # guards
    development_sheets: int = 12  # that nothing is trained on: A says there whether a round brought anything; 0: none
    development_seeds: int = 8  # takes of each: how much do they differ?
    judged_seeds: int = 2  # of those, what the judges hear at the end
    min_gain: float = 0.002  # a round that brings A's reward less is the last
    min_diversity: float = 0.95  # share of before
    max_text_loss: float = 0.02  # cosine of prompt and audio
    max_frechet_rise: float = 0.05  # share of before
    # records
    checkpointing_steps: int = 50
    checkpoints_total_limit: int | None = 1
    resume_from_checkpoint: str | None = None  # latest
    report_to: str | None = "tensorboard"


class Round(NamedTuple):
    """What the loop of one round works on.

    model: the denoiser as it is trained, perhaps in DDP's wrapper; denoiser: without; reference: as it was when the
    round began; factor: step → factor of the learning rate; sets: what is preferred, and tokens: of their takes;
    facts: what a resumed run must have alike to be exact; alphas: of the noise schedule, (timesteps,).
    """

    model: torch.nn.Module
    denoiser: Denoiser
    reference: FrozenCopy
    state: TrainingState
    factor: Callable[[int], float]
    alphas: Tensor
    prediction_type: str
    sets: list[PreferenceSet]
    tokens: list[TokenTable]
    facts: dict[str, str | int]


def tune(config: Config) -> Path:
    """Tune as `config` says; returns the folder of the adapter that is to be used."""
    precision = resolve_mixed_precision(config.mixed_precision)
    config = replace(config, mixed_precision=precision, rewards=config.rewards or dict(DEFAULT_WEIGHTS))
    check(config)
    out = Path(config.output_dir)
    quiet()
    accelerator = start_accelerator(
        config.mixed_precision or "no", cpu=config.cpu, report_to=config.report_to, logs=out / "logs"
    )
    if config.report_to:
        accelerator.init_trackers("align", {k: str(v) for k, v in asdict(config).items()})
    given = [PreferenceSet(folder) for folder in config.preferences]
    if accelerator.is_main_process:
        remember(out, {name: value for name, value in asdict(config).items() if name in HEARD})
        warn_of_missing_judges(config)
    people, ready = ([one for one in given if one.kind == kind] for kind in ("person", "recogniser"))
    people_alone = bool(people) and not ready and config.people_share == 1
    drawing = not people_alone and (config.rounds > 1 or not ready)
    player = None
    if (drawing or config.development_sheets) and accelerator.is_main_process:
        player = PolicyPlayer(settings_of(config), str(accelerator.device))
    before = hear(config, accelerator, player, None, out / "before")
    best, best_figures, objections = None, before, []
    for number in range(1, config.rounds + 1):
        folder = out / f"round-{number}"
        if people_alone or (number == 1 and ready):
            sets = given
        else:
            fresh = draw(config, accelerator, player, best, folder / "candidates", number)
            if number > 1 and not fresh.items(config.method):
                accelerator.print(
                    f"round {number} is left out: no takes are further apart than margin={config.margin:g}"
                )
                break
            sets = [*people, fresh]
        train(config, accelerator, best, folder, sets)
        figures = hear(config, accelerator, player, folder, folder)
        if before is None or figures is None or best_figures is None:  # no development sheets: no guard, no early end
            best = folder
            continue
        objections = vetoes(before, figures, limits(config))
        gain = figures.mean_reward - best_figures.mean_reward
        if accelerator.is_main_process:
            print(" ".join([f"round {number}: A's reward {gain:+.4f}.", *objections]))
        if number == 1 or (gain > 0 and not objections):
            best, best_figures = folder, figures
        if objections or gain < config.min_gain:
            break
    if accelerator.is_main_process:
        finish(config, best, before, best_figures)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return out / "adapter"


def warn_of_missing_judges(config: Config) -> None:
    """Say before the work that there will be no verdict, where judges are missing."""
    absent = [*missing_judges(), *(missing_transcribers() if config.notes_share else [])]
    if config.development_sheets and absent:
        print(
            f"{', '.join(absent)} not installed: there will be no verdict, so that adapter/ is the old one; run "
            "`make install`, or give development_sheets=0 and decide yourself",
            file=sys.stderr,
        )


def train(config: Config, accelerator: Accelerator, start: Path | None, out: Path, sets: list[PreferenceSet]) -> None:
    """One round: from the adapter of `start` (None: config.adapter) to the one in the folder `out`."""
    checkpoint = find_checkpoint(out, config.resume_from_checkpoint)
    if (out / WEIGHTS).exists() and checkpoint:
        return  # done before the kill
    run = set_up(config, accelerator, start, sets)
    state, alphas, rank = run.state, run.alphas, accelerator.process_index
    changed = []
    if checkpoint:
        changed = resume_state(state, checkpoint, config=asdict(config), data=run.facts, records=RECORDS)
    if accelerator.is_main_process:
        begin(out, state.step, changed)
    per_batch = config.train_batch_size * accelerator.num_processes
    steps, micros = config.max_train_steps, config.gradient_accumulation_steps
    progress = tqdm(
        total=steps, initial=state.step, unit="step", desc=out.name, disable=not accelerator.is_main_process
    )
    while state.step < steps:
        # all randomness follows from (seed, step, sample), so a resumed run repeats this step exactly
        torch.manual_seed(seeding.integer(config.seed, state.step, f"process {rank}"))  # for dropout layers
        losses, margins, names = [], [], []
        for micro in range(micros):
            chosen = choose_set(run.sets, config.method, config.people_share, config.seed, state.step * micros + micro)
            items = run.sets[chosen].items(config.method)
            places = seeding.stream(len(items), config.seed, (state.step * micros + micro) * per_batch, per_batch)
            names += [f"{run.sets[chosen].folder.name} {items[place]}" for place in places]
            mine = range(rank * config.train_batch_size, (rank + 1) * config.train_batch_size)
            keys = [f"{micro} {place} {i}" for i, place in enumerate(places)]
            own = [items[places[i]] for i in mine]
            with nullcontext() if micro + 1 == micros else accelerator.no_sync(run.model):
                loss, margin = preference_loss(config, run, chosen, own, [keys[i] for i in mine], state.step, alphas)
                accelerator.backward(loss.mean() / micros)
            losses.append(accelerator.gather(loss.detach()))
            margins.append(accelerator.gather(margin.detach()))
        grad_norm = torch.nn.utils.clip_grad_norm_(state.parameters, config.max_grad_norm).item()
        lr = config.learning_rate * run.factor(state.step)
        per_sample, margin = torch.cat(losses).tolist(), torch.cat(margins)
        finite = math.isfinite(sum(per_sample)) and math.isfinite(grad_norm)
        if finite:  # else the step moves nothing
            state.optimizer.param_groups[0]["lr"] = lr
            state.optimizer.step()
            if state.ema:
                state.ema.step(state.parameters)
        state.optimizer.zero_grad()
        state.step, state.bad_steps = state.step + 1, 0 if finite else state.bad_steps + 1
        record = {"step": state.step, "loss": sum(per_sample) / len(per_sample), "grad_norm": grad_norm, "lr": lr}
        record |= {"margin": margin.mean().item(), "right": (margin > 0).float().mean().item()}
        log_step(
            accelerator, out / "loss.jsonl", record, skipped=None if finite else zip(names, per_sample, strict=True)
        )
        stop_where_nothing_is_finite(state, config.max_bad_steps, out / "loss.jsonl")
        if accelerator.is_main_process and (state.step == steps or state.step % config.checkpointing_steps == 0):
            save_state(state, out, config=asdict(config), data=run.facts, total_limit=config.checkpoints_total_limit)
        progress.update()
        progress.set_postfix(loss=f"{record['loss']:.4f}", right=f"{record['right']:.2f}", refresh=False)
    progress.close()
    if accelerator.is_main_process:
        save(config, run, out)
    accelerator.wait_for_everyone()


def preference_loss(
    config: Config, run: Round, chosen: int, items: list[tuple[int, ...]], keys: list[str], step: int, alphas: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss (B,) of a batch, and by how much the policy prefers each better take more than the reference does, (B,).

    items: places of the better and of the worse take; of nft of one take, of supervised of the better one.
    """
    data, device, kind = run.sets[chosen].data, alphas.device, run.prediction_type
    columns = list(zip(*items, strict=True))  # all better takes, then all worse ones
    first, *twins = ([seeding.generator(config.seed, step, key) for key in keys] for _ in columns)
    batch = draw_batch(  # both takes of a pair: the same crop, the same conditions hidden
        data,
        run.tokens[chosen],
        [place for column in columns for place in column],
        [generator for column in (first, *twins) for generator in column],
        frames_per_row=run.denoiser.adapter.config.frames_per_row,
        crop_rows=config.crop_rows,
        dropout=Dropout(config.text_dropout, config.stream_dropout, config.condition_dropout, span=0.0),
    ).to(device)
    t = seeding.timesteps(first, len(alphas)).repeat(len(columns)).to(device)
    noise = seeding.noise(first, batch.latents.shape[1:]).repeat(len(columns), 1, 1, 1).to(device)
    noisy = add_noise(batch.latents, noise, alphas, t)
    wanted = target(batch.latents, noise, alphas, t, kind)
    predicted = run.model(noisy, t, batch.tokens, batch.text)
    error = sample_errors(predicted, wanted)
    if config.method == "supervised":
        return error, torch.zeros_like(error)
    reference = run.reference(noisy, t, batch.tokens, batch.text)
    reference_error = sample_errors(reference, wanted)
    if config.method == "nft":
        optimality = torch.tensor([run.sets[chosen].optimality[place] for (place,) in items], device=device)
        gain = (reference_error - error) * (2 * optimality - 1)
        return nft_loss(predicted, reference, wanted, optimality, config.nft_beta), gain
    margin = preference_margin(error, reference_error)
    if config.method == "dpo":
        return dpo_loss(error, reference_error, config.beta), margin
    return crpo_loss(error, reference_error, config.beta, config.winner_weight), margin


def set_up(config: Config, accelerator: Accelerator, start: Path | None, sets: list[PreferenceSet]) -> Round:
    """Everything before a round's first step: model, what learns of it, its frozen copy, and what is preferred."""
    base = find_base(config.pretrained_model_name_or_path)
    for one in sets:
        check_base(base, one.data.info.base_fingerprint, one.data.info.base, one.folder)
        if not one.items(config.method):
            raise ValueError(
                f"{one.folder} holds no pairs: draw more requests, or give a smaller margin than {config.margin:g}"
            )
    info, noise_schedule = sets[0].data.info, load_noise_schedule(base)
    set_seed(config.seed)
    unet = load_unet(base, info.channels, cpu=config.cpu)
    adapter = attach_present_adapter(unet, config.adapter, frozen=config.rank > 0)
    choose_trained_parts(
        adapter, base, frozen=config.rank > 0, rank=config.rank, stem_hidden=0, stem_channels=0, new_stems=False
    )
    if config.gradient_checkpointing:
        enable_gradient_checkpointing(unet)
    model = accelerator.prepare(Denoiser(unet, adapter, info.row_s).train())
    denoiser = accelerator.unwrap_model(model)
    if start is not None:
        weights, named = load_file(start / WEIGHTS), dict(denoiser.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                named[name].copy_(value)
    state = make_state(
        denoiser,
        learning_rate=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        epsilon=config.adam_epsilon,
        weight_decay=config.adam_weight_decay,
        ema_decay=config.ema_decay if config.use_ema else None,
    )
    factor = learning_rate_factor(state.optimizer, config.lr_scheduler, config.lr_warmup_steps, config.max_train_steps)
    with accelerator.main_process_first():
        write, shape = accelerator.is_main_process, adapter.config
        tokens = [load_tokens(s.data, shape.frames_per_row, shape.event_s, write=write, quiet=True) for s in sets]
    facts: dict[str, str | int] = {}
    for place, one in enumerate(sets):
        facts[f"takes of set {place} ({one.folder.name})"] = one.data.digest()
        said = repr((one.kind, one.pairs, sorted(one.optimality.items())))
        facts[f"preferences of set {place} ({one.folder.name})"] = hash_of(said.encode())
    facts["processes"] = accelerator.num_processes
    alphas, kind = noise_schedule.alphas_cumprod.to(accelerator.device), noise_schedule.config.prediction_type
    reference = FrozenCopy(denoiser, state.named)
    return Round(model, denoiser, reference, state, factor, alphas, kind, sets, tokens, facts)


def save(config: Config, run: Round, out: Path) -> None:
    """Write a round's adapter, averaged, and the weights that the next round begins with."""
    settings = asdict(config) | {"name": config.name or Path(config.output_dir).resolve().name}
    if config.rank:
        settings["theory_adapter"] = config.adapter
    music = asdict(run.sets[0].data.info) | describe_music(run.sets[0].data)
    info = {"config": settings, "data": music, "step": run.state.step}
    with with_averages(run.state.parameters, run.state.averages):
        if config.rank:
            save_lora(run.denoiser.unet, GENRE, out / "adapter", info)
        else:
            save_adapter(run.denoiser.adapter, out / "adapter", info)
        scratch = out / f"{WEIGHTS}.tmp"
        save_file({name: value.detach().cpu().contiguous() for name, value in run.state.named.items()}, scratch)
        scratch.rename(out / WEIGHTS)  # last: with it the round is done


def draw(
    config: Config, accelerator: Accelerator, player: PolicyPlayer | None, best: Path | None, folder: Path, number: int
) -> PreferenceSet:
    """The candidates of a round, drawn from the adapter of `best` and chosen among by the rewards."""
    if player is not None:
        figures = player.draw(
            best,
            folder,
            number,
            requests=config.requests,
            candidates=config.candidates,
            margin=config.margin,
            pairs_a_request=config.pairs_a_request,
        )
        print(f"round {number}: {figures}")
    accelerator.wait_for_everyone()
    return PreferenceSet(folder)


def hear(
    config: Config, accelerator: Accelerator, player: PolicyPlayer | None, policy: Path | None, folder: Path
) -> PolicyFigures | None:
    """What A hears of a policy on the development sheets; None where there are none."""
    if not config.development_sheets:
        return None
    if player is not None:
        player.hear(policy, folder)
    accelerator.wait_for_everyone()
    return read_figures(folder)


def finish(config: Config, best: Path | None, before: PolicyFigures | None, after: PolicyFigures | None) -> None:
    """Write adapter/ and report.json: with development sheets by the judges' verdict, else what was trained."""
    out, old, settings = Path(config.output_dir), Path(find_adapter(config.adapter)), settings_of(config)
    assert best is not None  # at least one round was trained
    if before is None or after is None:
        shutil.copytree(best / "adapter", out / "adapter", dirs_exist_ok=True)
        print("no development sheets: nobody has compared this adapter with the one before")
        return
    judged = settings.development_seeds[: config.judged_seeds]
    keep_better_adapter(out, old, best, before, after, settings.development, judged, limits(config))


def settings_of(config: Config) -> PolicySettings:
    """What every policy of the run plays."""
    return PolicySettings(
        base=config.pretrained_model_name_or_path,
        adapter=config.adapter,
        stacked=config.rank > 0,
        seconds=config.seconds,
        prompts=config.prompts,
        notes_share=config.notes_share,
        steps=config.num_inference_steps,
        rewards=config.rewards,
        soundfont=config.soundfont,
        seed=config.seed,
        sheets=config.development_sheets,
        takes=config.development_seeds,
    )


def limits(config: Config) -> GuardLimits:
    """What a tuned adapter may lose."""
    return GuardLimits(config.min_diversity, config.max_text_loss, config.max_frechet_rise)


def check(config: Config) -> None:
    """Raise ValueError, in one line, for what would fail after minutes of work."""
    if config.method not in METHODS:
        raise ValueError(f"method={config.method!r} is none of {', '.join(METHODS)}")
    if config.rounds < 1 or config.max_train_steps < 1:
        raise ValueError(f"rounds={config.rounds} and max_train_steps={config.max_train_steps} must be at least 1")
    if is_lora(find_adapter(config.adapter)):
        raise ValueError(
            f"adapter={config.adapter} is a LoRA: give the theory adapter that it lies on, and rank=8 for a new LoRA"
        )
    if not 0 <= config.people_share <= 1:
        raise ValueError(f"people_share={config.people_share} is outside 0–1")
    if config.development_sheets and config.development_seeds < max(2, config.judged_seeds):
        raise ValueError(
            f"development_seeds={config.development_seeds} must be at least 2, to tell diversity, and at least "
            f"judged_seeds={config.judged_seeds}"
        )
    if not find_rewards(config.rewards) and config.development_sheets:
        raise ValueError("the reward sound alone says nothing of development sheets: let another one count too")


load_config = partial(read, Config)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(tune, command_line(load_config, Config, __doc__))
