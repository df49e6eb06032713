"""Figures that are kept as they are measured, so that a benchmark that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class KeptRows:
    """Rows of figures in a JSON file, each written as soon as it is there; a row that is there is not measured again.

    Args:
        path: of the file; None: nothing is kept.
        settings: what all rows depend on, such as the number of threads.

    Raises:
        ValueError: The file's rows were measured by other settings or another version of torch.
    """

    def __init__(self, path: Path | None, **settings: Any) -> None:
        self.path, self.settings = path, {"torch": torch.__version__, **settings}
        self.rows: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            kept = json.loads(path.read_text())
            self.rows = {row["key"]: row for row in kept.pop("rows")}
            if kept != self.settings:
                raise ValueError(f"{path} was measured with {kept}, not with {self.settings}: give another file")

    def row(self, key: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the row of this key: the one that is there, else what ``measure`` returns, which is then written."""
        if key not in self.rows:
            self.rows[key] = {"key": key, **measure()}
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                scratch = self.path.with_suffix(".partial")
                scratch.write_text(json.dumps({**self.settings, "rows": list(self.rows.values())}, indent=1) + "\n")
                scratch.replace(self.path)
        return self.rows[key]
