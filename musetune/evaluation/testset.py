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
    """A request of the test set.

    Attributes:
        id: Its name.
        source: The song that it was cut from.
        prompt: What the base is told.
        seed: Of the generator.
        sheet: What is asked for.

    Example:
        >>> from musetune import LeadSheet
        >>> TestSheet("1", "a song", "pop music", 0, LeadSheet.parse("| C |")).prompt
        'pop music'
    """

    __test__ = False  # not a test class of pytest's

    id: str
    source: str
    prompt: str
    seed: int
    sheet: LeadSheet


def load_test_sheets(path: str | Path | None = None) -> list[TestSheet]:
    """Read a test set.

    Args:
        path: A folder of JSON records as recipes/evaluation/make_sheets.py writes them, or of lead sheets in any format
            that `LeadSheet.load` reads, or one such file; None: the test set that comes with MuseTune.

    Returns:
        The requests in the files' order. A plain lead sheet gets the prompt "<genre> music" and its number as seed.

    Raises:
        ValueError: There is none.

    Example:
        >>> from musetune import LeadSheet
        >>> [test.prompt for test in load_test_sheets(LeadSheet.parse("| C |", genre="jazz").save("tune.json"))]
        ['jazz music']
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
