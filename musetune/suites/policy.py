"""One policy after the other on one base: it draws a round's candidates, and plays the development sheets."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from musetune.datasets.latent_encoder import LatentEncoder
from musetune.datasets.preference_set import PreferenceSet, read_about
from musetune.evaluation.guards import PolicyFigures
from musetune.evaluation.rewards import find_rewards
from musetune.suites.alignment import FIGURES, listen_to_policy, read_figures
from musetune.suites.candidates import (
    CandidateRequest,
    DrawSettings,
    draw_candidates,
    load_policy,
    plan_candidate_requests,
)
from musetune.suites.choosing import prefer
from musetune.suites.stroke_listening import learn_to_hear_strokes

RENDERINGS = 800_000  # seeds from here on plan what a network learns to hear strokes from
DEVELOPMENT = 900_000  # seeds from here on plan the development sheets; rounds draw from below
ROUND = 10_000  # requests of a round have seeds of their own


@dataclass(frozen=True)
class PolicySettings:
    """What every policy of a run plays, and what is rewarded.

    Attributes:
        base: Bundled name, folder or Hub id.
        adapter: The adapter that was there before: bundled name, folder or Hub id.
        stacked: Whether the tuned ones are LoRAs on top of it, else they take its place.
        seconds: Of a take.
        prompts: Words that lead sheets are planned for; None: six genres in turn.
        notes_share: Share of the requests with players' notes, 0…1.
        how: Takes are drawn.
        rewards: Weight of each, by name.
        soundfont: Of renderings; None: what is found.
        seed: Other songs with another one.
        sheets: Development sheets; 0: none.
        takes: Of each of them, at least 2.
    """

    base: str
    adapter: str
    stacked: bool
    seconds: float
    prompts: Sequence[str] | None
    notes_share: float
    how: DrawSettings
    rewards: Mapping[str, float]
    soundfont: str | None
    seed: int
    sheets: int
    takes: int

    def requests(self, count: int, seed: int) -> list[CandidateRequest]:
        """Planned requests; other seeds, other songs."""
        return list(
            plan_candidate_requests(count, self.seconds, seed, prompts=self.prompts, notes_share=self.notes_share)
        )

    @property
    def development(self) -> list[CandidateRequest]:
        """Requests that nothing is trained on."""
        return self.requests(self.sheets, self.seed + DEVELOPMENT)

    @property
    def development_seeds(self) -> list[int]:
        """Seeds of the takes of each development sheet; no candidate has them."""
        return list(range(self.seed + DEVELOPMENT, self.seed + DEVELOPMENT + self.takes))


class PolicyPlayer:
    """The base with one adapter on it, loaded when it has something to play, and freed before training.

    A policy is the folder of a round, with adapter/ in it; None is the adapter that was there before.

    Args:
        settings: What is played.
        device: Such as cpu or cuda:1.
    """

    def __init__(self, settings: PolicySettings, device: str) -> None:
        self.settings, self.device = settings, device
        self._encoder: LatentEncoder | None = None

    @property
    def loaded(self) -> bool:
        """Whether a base lies in memory."""
        return self._encoder is not None

    def free(self) -> None:
        """Let the base go: beside a model that is trained there is no room for another one."""
        self._encoder = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _use(self, policy: Path | None) -> LatentEncoder:
        if self._encoder is None:
            self._encoder = LatentEncoder(self.settings.base, self.settings.seconds, self.device)
        if policy is None:
            load_policy(self._encoder, self.settings.adapter)
        else:
            theory = self.settings.adapter if self.settings.stacked else None
            load_policy(self._encoder, str(policy / "adapter"), theory)
        return self._encoder

    def draw(
        self,
        policy: Path | None,
        folder: Path,
        number: int,
        *,
        requests: int,
        candidates: int,
        margin: float,
        pairs_a_request: int,
    ) -> dict[str, float]:
        """Draw a round's candidates into a data set and let the rewards choose; returns the figures of `prefer`.

        What was chosen before a kill, in the same way, is read.
        """
        settings, seed = self.settings, self.settings.seed + number * ROUND
        choice = {"requests": requests, "margin": margin, "pairs_a_request": pairs_a_request}
        if (present := read_about(folder)) and present.get("choice") == choice:
            return dict(present["figures"])
        encoder = self._use(policy)
        data = draw_candidates(
            encoder,
            settings.requests(requests, seed),
            folder,
            find_rewards(settings.rewards),
            candidates=candidates,
            seed=settings.seed,
            how=settings.how,
            about={"policy": "before" if policy is None else policy.name},
        )
        return prefer(
            encoder, data, settings.rewards, margin, seed, settings.soundfont, pairs_a_request, about={"choice": choice}
        )

    def train_stroke_ears(self, path: Path, renderings: int) -> None:
        """Train the network that hears strokes on so many renderings, into a file."""
        settings, first = self.settings, self.settings.seed + RENDERINGS
        asked = plan_candidate_requests(renderings, settings.seconds, first, prompts=settings.prompts, notes_share=1.0)
        learn_to_hear_strokes(self._use(None), list(asked), path, settings.seed, settings.soundfont)

    def hear(self, policy: Path | None, folder: Path) -> None:
        """Play the development sheets into a folder, and write what A hears there; nothing where that is done."""
        if (folder / FIGURES).exists():
            return
        settings = self.settings
        listen_to_policy(
            self._use(policy),
            settings.development,
            folder,
            find_rewards(settings.rewards),
            settings.rewards,
            seeds=settings.development_seeds,
            how=settings.how,
            soundfont=settings.soundfont,
        )


def train_stroke_ears(accelerator: Accelerator, player: PolicyPlayer, path: Path, renderings: int) -> None:
    """Train the network that hears strokes, from renderings of requests that nothing else is drawn for.

    The main process does, the others wait; nothing where the file is there.
    """
    if accelerator.is_main_process and not path.exists():
        player.train_stroke_ears(path, renderings)
    accelerator.wait_for_everyone()


def draw_round(
    accelerator: Accelerator, player: PolicyPlayer, best: Path | None, folder: Path, number: int, **choice: Any
) -> PreferenceSet:
    """The candidates of a round: the main process draws them and chooses, the others wait and read.

    Args:
        accelerator: The processes.
        player: Of the main process; the others' is not used.
        best: The policy.
        folder: Of the candidates.
        number: Of the round.
        choice: As `PolicyPlayer.draw` takes it.
    """
    if accelerator.is_main_process:
        figures = player.draw(best, folder, number, **choice)
        print(f"round {number}: {figures}")
    accelerator.wait_for_everyone()
    return PreferenceSet(folder)


def hear_policy(
    accelerator: Accelerator, player: PolicyPlayer, policy: Path | None, folder: Path
) -> PolicyFigures | None:
    """What A hears of a policy on the development sheets, None where there are none.

    The main process plays them, the others wait and read.

    Args:
        accelerator: The processes.
        player: Of the main process; the others' is not used.
        policy: Folder of a round; None: the adapter that was there before.
        folder: Gets the takes and the figures.
    """
    if not player.settings.sheets:
        return None
    if accelerator.is_main_process:
        player.hear(policy, folder)
    accelerator.wait_for_everyone()
    return read_figures(folder)
