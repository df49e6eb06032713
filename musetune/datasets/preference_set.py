"""A data set of takes with what is preferred among them: what recipes/align/prefer.py writes and tune.py reads.

A folder as `LatentDataset` reads it, and beside it preferences.json: `pairs` of clips' ids, the better one first, the
`optimality` 0…1 of clips, and who said so. Written at once when all takes are there, so that it is whole or absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from musetune.datasets.latent_dataset import LatentDataset
from musetune.evaluation.whole_files import write_json
from musetune.symbols.json_values import JsonObject

SCHEMA = 1
FILE = "preferences.json"
KINDS = ("recogniser", "person")
DEMONSTRATION = "demonstration"


@dataclass(frozen=True)
class PreferencePair:
    """Two clips of one request: the ids of the better and the worse one, and how far apart they are for the judge."""

    winner: str
    loser: str
    gap: float = 0.0


class PreferenceSet:
    """A folder of takes and preferences in memory.

    Args:
        folder: As `write_preferences` left it.

    Attributes:
        data: The takes.
        kind: Who preferred: recogniser or person; or demonstration, where nobody compared anything.
        pairs: (place of the better take, place of the worse) in `data`.
        optimality: Place in `data` → 0…1, of the takes that have one.
        notes_told: Whether who learns from a take is told its players' notes wherever its sheet, which does not imply
            them.

    Raises:
        FileNotFoundError: The folder holds no preferences yet.
        ValueError: They are of another schema, or about takes that are not there.
    """

    def __init__(self, folder: str | Path) -> None:
        path = Path(folder) / FILE
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no {FILE}, which recipes/align/prefer.py writes at its end")
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("schema") != SCHEMA or record.get("kind") not in KINDS:
            raise ValueError(
                f"{path}: schema {record.get('schema')!r} by {record.get('kind')!r}; this version reads {SCHEMA} by "
                f"{' or '.join(KINDS)}"
            )
        self.folder, self.kind = Path(folder), str(record["kind"])
        self.data = LatentDataset(folder)
        places = {clip.id: i for i, clip in enumerate(self.data.clips)}
        named = {id for pair in record["pairs"] for id in (pair["winner"], pair["loser"])} | record["optimality"].keys()
        if lost := sorted(named - places.keys()):
            raise ValueError(f"{path} tells of takes that are not there: {', '.join(lost[:5])}")
        self.pairs = [(places[pair["winner"]], places[pair["loser"]]) for pair in record["pairs"]]
        self.optimality = {places[id]: float(value) for id, value in record["optimality"].items()}
        self.notes_told = False

    @classmethod
    def of_demonstrations(cls, folder: str | Path, *, notes_told: bool = False) -> PreferenceSet:
        """A data set of recipes/prepare.py whose clips all count as better takes, with no worse ones beside them.

        Args:
            folder: The data set's.
            notes_told: Whether their players' notes are told wherever their sheets are.

        Raises:
            FileNotFoundError: The folder is no data set.
            ValueError: Notes are to be told, and clips have none.
        """
        made = cls.__new__(cls)
        made.folder, made.kind, made.data = Path(folder), DEMONSTRATION, LatentDataset(folder)
        made.pairs, made.optimality, made.notes_told = [], {}, notes_told
        if notes_told and (silent := [clip.id for clip in made.data.clips if clip.arrangement is None]):
            raise ValueError(f"{folder} has clips without players' notes, such as {silent[0]}: no notes can be told")
        return made

    def __len__(self) -> int:
        return len(self.pairs)

    def items(self, method: str) -> list[tuple[int, ...]]:
        """What a method of `musetune.training.preference_loss` learns from, as places in `data`.

        Pairs, the better take first; for `nft` single takes that have an optimality, for `supervised` the better take
        of each pair, for `refl` all takes with players' notes. Of demonstrations `supervised` learns from all, no other
        method from any.
        """
        if self.kind == DEMONSTRATION:
            return [(place,) for place in range(len(self.data.clips))] if method == "supervised" else []
        if method == "refl":
            return [(place,) for place, clip in enumerate(self.data.clips) if clip.arrangement is not None]
        if method == "nft":
            return [(place,) for place in self.optimality]
        return [(better,) for better, _ in self.pairs] if method == "supervised" else list(self.pairs)


def write_preferences(
    folder: str | Path,
    kind: str,
    pairs: Sequence[PreferencePair],
    optimality: Mapping[str, float],
    about: Mapping[str, object],
) -> Path:
    """Write what is preferred among the takes of a data set.

    Args:
        folder: The data set's.
        kind: recogniser or person.
        pairs: The better take first.
        optimality: 0…1 of takes, by id.
        about: What else is to be known: rewards, weights, settings; as JSON holds it.

    Returns:
        The file.

    Raises:
        ValueError: `kind` is neither, or an optimality lies outside of 0…1.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    if wrong := {id: value for id, value in optimality.items() if not 0 <= value <= 1}:
        raise ValueError(f"optimality {wrong} lies outside of 0…1")
    record: JsonObject = {
        "schema": SCHEMA,
        "kind": kind,
        "pairs": [asdict(pair) for pair in pairs],
        "optimality": dict(optimality),
        "about": dict(about),
    }
    return write_json(Path(folder) / FILE, record)


def read_about(folder: str | Path) -> JsonObject | None:
    """What else is to be known of a data set's preferences, as it was given; None where there are none yet."""
    path = Path(folder) / FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))["about"]) if path.is_file() else None
