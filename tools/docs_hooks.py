"""mkdocs' hook: sounds and charts that lie elsewhere in the repository join the site, so that no copy of them can go
stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

REPOSITORY = Path(__file__).parents[1]


def assets() -> dict[str, Path]:
    """Address within the site → file of the repository."""
    found = {"assets/theory-chart.png": REPOSITORY / "adapters" / "theory" / "chart.png"}
    gallery = sorted(p for p in (REPOSITORY / "gallery").iterdir() if p.suffix in (".ogg", ".png"))
    return found | {f"assets/gallery/{path.name}": path for path in gallery}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add ``assets`` to the files of the site."""
    from mkdocs.structure.files import File

    for address, path in assets().items():
        files.append(File.generated(config, address, abs_src_path=str(path)))
    return files
