"""Let our recognisers choose, among clips with lead sheets, those in which the sheets are heard best: demonstrations.

    python recipes/align/choose.py sources=[rendered/a,rendered/b] output_dir=rendered/best share=0.45
    python recipes/prepare.py rendered/best data/best --transpose

A source is a folder as recipes/base/render_songs.py writes it: audio and metadata.jsonl, whose rows have `file_name`
and `lead_sheet`, and may have `genre`, `text` and `arrangement`. The best share of each genre goes to `output_dir`, a
folder of the same kind, its audio as links. Renderings are exact, but in a third of them nobody would find the bar
lines: who learns from those learns to blur. A fifth of a second a clip and core; killed, the same command goes on.

Options: YAML files and `key=value` overrides. Rewards are those of recipes/align/prefer.py, and functions of your own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from omegaconf import MISSING

from musetune.evaluation.provenance import remember
from musetune.evaluation.rewards import find_rewards
from musetune.suites.chosen_clips import MeasuredClip, check_target, choose_clips, measure_clips, write_clips
from musetune.training.config import command_line, read, run_command

NEED_MORE = ("words", "sound")  # what is told of takes of a base, and of no clip by itself


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    sources: list[str] = MISSING  # folders with audio and metadata.jsonl
    output_dir: str = MISSING  # gets the best clips, metadata.jsonl, rewards.jsonl (of all clips) and choice.json
    share: float = 0.45  # of each genre's clips that stays, over 0 to 1
    rewards: dict[str, float] = field(default_factory=dict)  # weight by name; {}: chords 1, bars 0.5, beats 0.25
    workers: int = 2  # processes


def choose(config: Config) -> Path:
    """Choose as `config` says; returns the folder of the best clips."""
    weights = config.rewards or {"chords": 1.0, "bars": 0.5, "beats": 0.25}
    find_rewards(weights)
    weights = {name: weight for name, weight in weights.items() if weight}
    if not config.sources:
        raise ValueError("sources=[] holds no clips: give folders of recipes/base/render_songs.py")
    if untold := sorted(set(weights) & set(NEED_MORE)):
        raise ValueError(f"{', '.join(untold)} cannot be told of a clip by itself: leave it out of the rewards")
    choose_clips([], weights, config.share)
    out = Path(config.output_dir)
    if out.resolve() in [Path(source).resolve() for source in config.sources]:
        raise ValueError(f"output_dir={out} is one of the sources: give another folder")
    check_target(out)
    remember(out, {"rewards": sorted(weights)})
    clips = list(measure_clips([Path(source) for source in config.sources], out, weights, config.workers))
    chosen = choose_clips(clips, weights, config.share)
    write_clips(chosen, out, asdict(config) | {"rewards": weights, "clips": len(clips), "chosen": len(chosen)})
    genres = ", ".join(
        f"{number} {genre or 'of no genre'}" for genre, number in Counter(c.genre for c in chosen).items()
    )
    print(f"{out}: {len(chosen)} of {len(clips)} clips ({genres})")
    for name in weights:
        print(f"{name}: {mean_of(clips, name)} of all, {mean_of(chosen, name)} of the chosen ones")
    return out


def mean_of(clips: list[MeasuredClip], name: str) -> str:
    """Mean of a reward in per cent; a dash where none has it."""
    values = [value for clip in clips if (value := clip.rewards[name]) is not None]
    return f"{100 * float(np.mean(values)):.1f} %" if values else "—"


load_config = partial(read, Config)  # of `[file.yaml …] [key=value …]`


if __name__ == "__main__":
    run_command(choose, command_line(load_config, Config, __doc__))
