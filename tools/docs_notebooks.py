"""Run the notebooks of examples/ and keep what they show, up to 100 kB an output: sounds are left out, charts and text stay.

    python tools/docs_notebooks.py [NAME.ipynb …]     run and write them (needs the extra dev: nbclient and ipykernel)
    python tools/docs_notebooks.py --check [NAME.ipynb …]   run them and write nothing

MUSETUNE_EXAMPLE_STEPS sets the denoising steps of all notebooks, and with them how long they train; default 20.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
LARGEST = 100_000  # bytes of an output
TEMPORARY = re.compile(re.escape(tempfile.gettempdir()) + r"/\w+")  # a folder that a notebook made


def run(path: Path) -> dict[str, Any]:
    """The notebook after a run in its own folder. Raises what a cell raises."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}).execute()  # fmt: skip
    return json.loads(nbformat.writes(notebook))


def trimmed(notebook: dict[str, Any]) -> dict[str, Any]:
    """Without outputs larger than LARGEST, standard error, the times of the run and the names of temporary folders."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"].pop("execution", None)
            outputs = [out for out in cell["outputs"] if out.get("name") != "stderr"]
            cell["outputs"] = [out for out in outputs if len(json.dumps(out)) <= LARGEST]
            for out in cell["outputs"]:
                if "text" in out:
                    out["text"] = [TEMPORARY.sub("FOLDER", line) for line in out["text"]]
    notebook["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def main(arguments: list[str]) -> None:
    """Run what the command line names, by default every notebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(EXAMPLES.glob("*.ipynb")))
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(arguments)
    for path in args.notebooks:
        print(path.name, flush=True)
        done = run(path)
        if not args.check:
            path.write_text(json.dumps(trimmed(done), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
