"""Let our recognisers choose among takes, at scale, or take people's verdicts, for recipes/align/tune.py.

    python recipes/align/prefer.py recipes/configs/prefer.yaml output_dir=runs/preferences
    python recipes/align/prefer.py people=mine output_dir=runs/mine
    python recipes/align/prefer.py takes=runs/preferences output_dir=runs/others mine.yaml

The first plays `requests` lead sheets, `candidates` times each, by the present adapter, and lets a weighted sum of
rewards choose the best and the worst take of each. The second reads the verdicts of a batch that `musetune compare` or
the page's Compare tab made. The third lets other rewards choose among takes that are there. All write a data set with
preferences.json. Killed, the same command goes on where it was.

Options: YAML files and `key=value` overrides. Where rewards are named, only those count. One of your own, in YAML:
`rewards: {"mymodule:myfunction": 1.0}`, a function of a musetune.evaluation.rewards.RequestedTake that returns 0…1.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from omegaconf import MISSING

from musetune.datasets.fingerprint import check_base
from musetune.datasets.latent_dataset import LatentDataset
from musetune.datasets.latent_encoder import LatentEncoder
from musetune.datasets.peoples_preferences import take_verdicts
from musetune.evaluation.provenance import remember
from musetune.evaluation.rewards import DEFAULT_WEIGHTS, find_rewards
from musetune.evaluation.testset import load_test_sheets
from musetune.hub.locate import find_base
from musetune.pipeline.loading import quiet
from musetune.suites.candidates import (
    CandidateRequest,
    DrawSettings,
    check_policy,
    draw_candidates,
    load_policy,
    plan_candidate_requests,
    score_again,
)
from musetune.suites.choosing import prefer
from musetune.suites.pairs import weights_of
from musetune.training.config import command_line, read, run_command
from musetune.training.preference_checks import check_choice


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    output_dir: str = MISSING  # a data set of takes with preferences.json
    pretrained_model_name_or_path: str = "nano"  # the base: nano, a folder or a Hub name
    adapter: str = "theory"  # the policy: bundled name, folder or Hub id
    theory_adapter: str | None = None  # where `adapter` is a LoRA: what it stacks on
    people: str | None = None  # a batch of pairs with people's verdicts; nothing is drawn then
    takes: str | None = None  # takes that prefer.py drew before, to be scored by other rewards; nothing is drawn then
    seconds: float = 5.12  # of a take; a whole number of the base's latent rows
    # what is played
    requests: int = 64
    candidates: int = 8  # a request
    prompts: list[str] | None = None  # words that lead sheets are planned for; null: six genres in turn
    sheets: str | None = None  # folder of lead sheets to play instead of planned ones, each from its start
    notes_share: float = 0.0  # share of the planned requests with players' notes, 0–1
    num_inference_steps: int = 20
    guidance_scale: float | None = None  # how hard words are pushed; null: as every call does
    music_guidance_scale: float | None = None  # how hard the music is pushed; null: as every call does
    seed: int = 0  # of the first request; candidates' seeds follow from it and the request. Another seed, other songs
    # what is preferred
    rewards: dict[str, float] = field(default_factory=dict)  # weight by name; {}: musetune.evaluation.rewards' default
    margin: float = 0.05  # takes that are no further apart are no pair
    pairs_a_request: int = 1  # 1: best and worst; 2: the second best and the second worst too; …
    soundfont: str | None = None  # of the renderings that the reward `sound` learns from; null: what is found
    cpu: bool = False  # even where there is a GPU


# What may be otherwise when a killed run goes on: what no take depends on
LATER = ("output_dir", "requests", "rewards", "margin", "pairs_a_request", "soundfont", "cpu")


def make_preferences(config: Config) -> Path:
    """Draw, score and choose as `config` says; returns the data set's folder."""
    out, device = Path(config.output_dir), "cuda" if torch.cuda.is_available() and not config.cpu else "cpu"
    rewards = find_rewards(config.rewards or DEFAULT_WEIGHTS)
    for name in ("people", "takes"):
        folder = getattr(config, name)
        if folder is not None and not Path(folder).is_dir():
            raise ValueError(f"{name}={folder} is no folder: give what `musetune compare` (people) or this recipe made")
    if config.people is None:
        choice = {name: getattr(config, name) for name in ("requests", "candidates", "margin", "pairs_a_request")}
        check_choice(config.rewards or DEFAULT_WEIGHTS, **choice)
    if config.people is None and config.takes is None:
        check_policy(config.adapter, config.theory_adapter)
    settings = {name: value for name, value in asdict(config).items() if name not in LATER}
    remember(out, settings | {"rewards": sorted(rewards)})
    quiet()
    encoder = LatentEncoder(config.pretrained_model_name_or_path, config.seconds, device)
    if config.people is not None:
        counts = take_verdicts(config.people, out, encoder, config.seconds)
        print(
            f"{out}: {counts.pairs} pairs of {counts.used} of {counts.verdicts} verdicts; {counts.undecided} said "
            f"equal or both bad, {counts.without_sheet} have no lead sheet of {config.seconds:g} s, "
            f"{counts.too_short} a shorter sound"
        )
        return out
    if config.takes is not None:
        source, base = LatentDataset(config.takes), find_base(config.pretrained_model_name_or_path)
        check_base(base, source.info.base_fingerprint, source.info.base, source.folder)
        if source.info.rows != encoder.info.rows:
            seconds = source.info.rows * source.info.row_s
            raise ValueError(f"the takes last {seconds:g} s, not seconds={config.seconds:g}: give seconds={seconds:g}")
        return choose(config, encoder, score_again(encoder, source, out, rewards))
    pipe = load_policy(encoder, config.adapter, config.theory_adapter)
    data = draw_candidates(
        encoder,
        requests_of(config, encoder),
        out,
        rewards,
        candidates=config.candidates,
        seed=config.seed,
        how=DrawSettings(config.num_inference_steps, config.guidance_scale, config.music_guidance_scale),
        about={"adapter": Path(config.adapter).name, "weights": weights_of(pipe, pipe.loras.mix if pipe.loras else {})},
    )
    return choose(config, encoder, data)


def choose(config: Config, encoder: LatentEncoder, data: LatentDataset) -> Path:
    """Let the rewards choose among the takes; returns the data set's folder."""
    weights = config.rewards or DEFAULT_WEIGHTS
    figures = prefer(encoder, data, weights, config.margin, config.seed, config.soundfont, config.pairs_a_request)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    return data.folder


def requests_of(config: Config, encoder: LatentEncoder) -> list[CandidateRequest]:
    """The requests that `config` asks for: a user's own sheets, or planned ones."""
    seconds = encoder.info.rows * encoder.info.row_s
    if config.sheets is None:
        return list(
            plan_candidate_requests(
                config.requests, seconds, config.seed, prompts=config.prompts, notes_share=config.notes_share
            )
        )
    tests = load_test_sheets(config.sheets)
    if short := [test.id for test in tests if test.sheet.duration_s < seconds]:
        raise ValueError(f"{', '.join(short[:5])} last less than seconds={seconds:g}: leave them out, or give less")
    words = config.prompts or []
    return [
        CandidateRequest(test.id, words[i % len(words)] if words else test.prompt, test.sheet.crop(0.0, seconds))
        for i, test in enumerate(tests)
    ]


load_config = partial(read, Config)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(make_preferences, command_line(load_config, Config, __doc__))
