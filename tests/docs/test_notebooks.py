"""The notebooks of examples/ run from top to bottom at reduced length, have sound in them, and hold no large output."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from musetune.hub.locate import BASES
from tools import docs_notebooks

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = sorted((REPOSITORY / "examples").glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    """The cells of one kind."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def test_there_are_four() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_python_that_reads_its_length_from_the_environment(path: Path) -> None:
    code = ["".join(cell["source"]) for cell in cells(path, "code")]
    for text in code:
        ast.parse("\n".join(line for line in text.splitlines() if not line.startswith("%")))
    assert "MUSETUNE_EXAMPLE_STEPS" in code[0]
    assert any("Audio(" in text for text in code), "a notebook lets one hear something"
    assert len(cells(path, "markdown")) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_small(path: Path) -> None:
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            assert len(json.dumps(output)) <= docs_notebooks.LARGEST, "run python tools/docs_notebooks.py"
            assert output["output_type"] != "error"


def test_large_outputs_and_warnings_are_left_out() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["kept", f"8 clips: {tempfile.gettempdir()}/tmpab1/data"]},
        {"output_type": "stream", "name": "stderr", "text": ["a progress bar"]},
        {"output_type": "display_data", "data": {"text/html": "x" * 200_000}},
    ]
    cell = {"cell_type": "code", "metadata": {"execution": {"iopub.status.busy": "now"}}, "outputs": outputs}
    done = docs_notebooks.trimmed({"cells": [cell], "metadata": {"language_info": {"version": "3.11"}}})
    assert done["cells"][0]["outputs"] == [outputs[0] | {"text": ["kept", "8 clips: FOLDER/data"]}]
    assert done["cells"][0]["metadata"] == {}
    assert "language_info" not in done["metadata"]


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.skipif(
    not (os.environ.get("MUSETUNE_CI") or (find_spec("nbclient") and find_spec("ipykernel"))),
    reason="nbclient and ipykernel are not installed: they are in the extra dev",
)
@pytest.mark.skipif(
    not (BASES / "nano" / "model_index.json").is_file(), reason="nano's weights are not in this checkout"
)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    search = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"MUSETUNE_EXAMPLE_STEPS": "1", "PYTHONPATH": search, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(REPOSITORY / "tools" / "docs_notebooks.py"), "--check", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
