"""The test set: lead sheets that no training saw, each with a prompt and a seed.

Made by recipes/evaluation/make_sheets.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet

SHEETS = Path(__file__).parent / "sheets"


@dataclass(frozen=True)
class TestSheet:
    """One request of the test set; ``source`` names the song that it was cut from."""

    __test__ = False  # not a test class of pytest's

    id: str
    source: str
    prompt: str
    seed: int
    sheet: LeadSheet


def load_test_sheets(path: str | Path | None = None) -> list[TestSheet]:
    """Read ``place``: a folder of JSON records as make_sheets.py writes them, or of lead sheets in any format that
    LeadSheet.load reads, or one such file. Default: the test set that comes with MuseTune.

    A plain lead sheet gets the prompt "<genre> music" and a seed by its place in the list. Raises ValueError where
    there is none.
    """
    from musetune.symbols import LeadSheet

    root = Path(path) if path is not None else SHEETS
    files = (
        [root]
        if root.is_file()
        else sorted(p for p in root.glob("*") if p.suffix in (".json", ".mid", ".musicxml", ".jams"))
    )
    if not files:
        raise ValueError(f"{root} holds no lead sheets (.json, .mid, .musicxml, .jams)")
    tests = []
    for index, file in enumerate(files):
        record = json.loads(file.read_text()) if file.suffix == ".json" else {}
        if "lead_sheet" in record:
            sheet = LeadSheet.from_json(record["lead_sheet"])
            tests.append(TestSheet(record["id"], record["source"], record["prompt"], record["seed"], sheet))
        else:
            sheet = LeadSheet.load(file)
            tests.append(TestSheet(file.stem, file.name, f"{sheet.genre or 'pop'} music", index, sheet))
    return tests
