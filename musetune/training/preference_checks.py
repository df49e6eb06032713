"""What is wrong with the options of preference tuning, said before minutes of work and not after them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from musetune.evaluation.provenance import hash_of
from musetune.evaluation.rewards import find_rewards
from musetune.evaluation.rewards.choice import REALNESS
from musetune.hub.locate import find_adapter, is_lora
from musetune.training.preference_loss import METHODS

LEARNED = ("all", "players")


def check_choice(
    rewards: Mapping[str, float], *, requests: int, candidates: int, margin: float, pairs_a_request: int
) -> None:
    """Raise ValueError for options by which nothing can be chosen among takes that are drawn.

    Args:
        rewards: Weight by name.
        requests: At least 1; two where the reward `sound` counts, which is told across requests.
        candidates: Of a request, at least 2.
        margin: At least 0.
        pairs_a_request: At least 1.

    Example:
        >>> check_choice({"chords": 1.0}, requests=4, candidates=2, margin=0.05, pairs_a_request=1)
    """
    find_rewards(rewards)
    least = 2 if rewards.get(REALNESS) else 1
    if requests < least:
        why = ", since the reward sound is told across requests" if least == 2 else ""
        raise ValueError(f"requests={requests} must be at least {least}{why}")
    if candidates < 2:
        raise ValueError(f"candidates={candidates} must be at least 2: there is nothing to choose among fewer")
    if margin < 0 or pairs_a_request < 1:
        raise ValueError(f"margin={margin} must be at least 0, and pairs_a_request={pairs_a_request} at least 1")


def check_method(
    method: str, *, beta: float, winner_weight: float, nft_beta: float, refl_anchor: float, refl_guidance: float
) -> None:
    """Raise ValueError for a method that there is not, and for a strength that its formula does not take.

    Example:
        >>> check_method("nft", beta=2000.0, winner_weight=1.0, nft_beta=1.0, refl_anchor=12.0, refl_guidance=2.5)
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is none of {', '.join(METHODS)}")
    if beta <= 0 or nft_beta <= 0:
        raise ValueError(f"beta={beta} and nft_beta={nft_beta} must be over 0; 2000 and 1 are usual")
    if winner_weight < 0:
        raise ValueError(f"winner_weight={winner_weight} must be at least 0; 1 is usual")
    if refl_anchor < 0:
        raise ValueError(f"refl_anchor={refl_anchor} must be at least 0; 12 is usual")
    if refl_guidance <= 0:
        raise ValueError(f"refl_guidance={refl_guidance} must be over 0; 2.5 is usual")


def check_learned(learned: str, *, rank: int, adapter: str) -> None:
    """Raise ValueError for a part of the adapter that there is not.

    Args:
        learned: One of `LEARNED`.
        rank: Of a LoRA on top of the adapter; 0: none.
        adapter: Bundled name, folder or Hub id.

    Example:
        >>> check_learned("players", rank=0, adapter="theory")
    """
    if learned not in LEARNED:
        raise ValueError(f"learned={learned!r} is none of {', '.join(LEARNED)}")
    if learned == "all":
        return
    if rank:
        raise ValueError(f"learned=players tunes a branch of the adapter, and rank={rank} a LoRA: give rank=0")
    config = json.loads((Path(find_adapter(adapter)) / "config.json").read_text(encoding="utf-8"))
    if not config.get("stem_hidden"):
        raise ValueError(f"adapter={adapter} has no branch for players' notes: tune all of it, learned=all")


def check_demonstrations(demonstrations: Sequence[str], *, method: str, preferences: Sequence[str]) -> None:
    """Raise ValueError where demonstrations cannot be learned from.

    Args:
        demonstrations: Data sets.
        method: Only supervised learns from clips without worse ones beside them.
        preferences: Other data sets, of which none may be given beside them.

    Example:
        >>> check_demonstrations(["data/rendered"], method="supervised", preferences=[])
    """
    if demonstrations and method != "supervised":
        raise ValueError(f"method={method} compares takes, and demonstrations are compared with nothing: supervised")
    if demonstrations and preferences:
        raise ValueError("give demonstrations or preferences, not both: tune with one after the other")


def check_tuned(tuned: str | None, *, sheets: int, learned: Sequence[str], rank: int = 0) -> None:
    """Raise ValueError for an adapter from elsewhere that cannot be compared with the one that was there before.

    Args:
        tuned: Bundled name, folder or Hub id of a theory adapter; None: a round is trained.
        sheets: On which they are compared.
        learned: Data sets that a round would learn from.
        rank: Of the LoRA that a round would train on top of the adapter; 0: it would train the adapter.

    Example:
        >>> check_tuned("theory", sheets=12, learned=[])
    """
    if tuned is None:
        return
    if learned:
        raise ValueError(f"tuned={tuned} is compared and not trained: leave {', '.join(learned)} out")
    if not sheets:
        raise ValueError(f"tuned={tuned} cannot be compared on development_sheets=0: give 12")
    if is_lora(find_adapter(tuned)):
        raise ValueError(f"tuned={tuned} is a LoRA: give a theory adapter")
    if rank:
        raise ValueError(f"tuned={tuned} takes the adapter's place and rank={rank} would lie on top of it: give rank=0")


def check_output(output_dir: str, *, adapters: Sequence[str]) -> None:
    """Raise ValueError where a run would write into an adapter that it is made from.

    Args:
        output_dir: The run's folder.
        adapters: Bundled names, folders or Hub ids.

    Example:
        >>> check_output("runs/aligned", adapters=["theory"])
    """
    out = Path(output_dir).resolve()
    for adapter in adapters:
        folder = Path(find_adapter(adapter)).resolve()
        if out == folder or folder in out.parents:
            raise ValueError(f"output_dir={output_dir} lies in the adapter {adapter}: give another folder")


def check_notes(notes_share: float, *, requests: int | None, renderings: int) -> None:
    """Raise ValueError where notes would be learned from, and there are none, or too few to learn to hear them.

    Args:
        notes_share: Of the requests, 0…1.
        requests: Of a round; None: none are drawn.
        renderings: From which a network learns to hear strokes, at least 20.

    Example:
        >>> check_notes(1.0, requests=96, renderings=400)
    """
    if requests is not None and int(requests * notes_share) < 1:
        raise ValueError(
            f"notes_share={notes_share} of requests={requests} leaves none with players' notes, which are to be "
            "learned from: give notes_share=1"
        )
    if renderings < 20:
        raise ValueError(f"renderings={renderings} must be at least 20; 400 is usual")


def check_rounds(*, rounds: int, max_train_steps: int, people_share: float) -> None:
    """Raise ValueError for rounds, steps or a share outside of their ranges.

    Example:
        >>> check_rounds(rounds=2, max_train_steps=120, people_share=0.5)
    """
    if rounds < 1 or max_train_steps < 1:
        raise ValueError(f"rounds={rounds} and max_train_steps={max_train_steps} must be at least 1")
    if not 0 <= people_share <= 1:
        raise ValueError(f"people_share={people_share} is outside 0–1")


def check_development(rewards: Mapping[str, float], *, sheets: int, seeds: int, judged_seeds: int) -> None:
    """Raise ValueError for development sheets on which nothing can be told.

    Args:
        rewards: Weight by name.
        sheets: At least 0; 0: none, and the rewards alone are checked.
        seeds: Takes of each, at least 2.
        judged_seeds: Of those, what the judges hear; 0…seeds, 0: nobody judges.

    Example:
        >>> check_development({"chords": 1.0}, sheets=12, seeds=8, judged_seeds=2)
    """
    counted = find_rewards(rewards)
    if sheets < 0:
        raise ValueError(f"development_sheets={sheets} must be at least 0; 0: none")
    if not sheets:
        return
    if seeds < 2 or not 0 <= judged_seeds <= seeds:
        raise ValueError(
            f"development_seeds={seeds} must be at least 2, to tell diversity, and judged_seeds={judged_seeds} "
            f"in 0–{seeds}"
        )
    if not counted:
        raise ValueError("the reward sound alone says nothing of development sheets: let another one count too")


def adapter_digest(name: str) -> str:
    """A hash of an adapter's weights, whatever it is called.

    Args:
        name: Bundled name, folder or Hub id.

    Raises:
        ValueError: It is a LoRA, which lies on another adapter.
    """
    folder = Path(find_adapter(name))
    if is_lora(folder):
        raise ValueError(
            f"adapter={name} is a LoRA: give the theory adapter that it lies on, and rank=8 for a new LoRA"
        )
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    parts = ((path.relative_to(folder).as_posix().encode(), path.read_bytes()) for path in files)
    return hash_of(*(part for pair in parts for part in pair))
