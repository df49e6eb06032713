"""The house stands: rooms import downwards only, `import musetune` is light, and what is imported is declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "musetune"
ALLOWED: dict[str, set[str]] = {
    "theory": set(),
    "audio": set(),
    "nano": {"audio"},
    "analysis": {"theory", "audio"},
    "conditioning": {"theory"},
    "adapter": {"conditioning"},
    "planning": {"theory", "conditioning"},
    "training": {"conditioning", "theory", "adapter"},
    "evaluation": {"theory", "audio", "analysis", "planning"},
    "generation": {"conditioning", "adapter", "audio", "theory", "nano", "hub", "planning"},
    "hub": {"adapter"},
    "pipeline": {"generation", "conditioning", "adapter", "planning", "audio", "evaluation", "theory", "nano", "hub"},
}
TOP = {
    "__init__",
    "cli",
    "cli_analyze",
    "cli_compose",
    "cli_hub",
    "cli_info",
    "cli_song",
    "cli_ui",
    "serve",
}  # may import every room; nobody imports cli
DISTRIBUTIONS = {"mir_eval": "mir_eval", "yaml": "pyyaml"}  # import name → name on the registry, where they differ
JUDGES = {"vamp", "chord_extractor", "madmom", "essentia", "basic_pitch"}  # installed by `make`, see CONTRIBUTING.md
PLAYER = {"tinysoundfont"}  # installed without its dependency pyaudio


def room_of(path: Path) -> str:
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def imported_modules(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, anywhere in it."""
    package = ["musetune", *path.relative_to(PACKAGE).parts[:-1]] if path.is_relative_to(PACKAGE) else []
    return modules_of(path.read_text(), package)


def modules_of(source: str, package: list[str]) -> Iterator[str]:
    """The same of source text that lies in ``package``, relative imports resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, node.module] if node.module else above)
            if module == "musetune":
                yield from (f"musetune.{alias.name}" for alias in node.names)
            else:
                yield module


def rooms_imported(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imported_modules(path) if name.startswith("musetune.")}
    return {name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_downwards_only(path: Path) -> None:
    room = room_of(path)
    if room in TOP:
        return
    assert room in ALLOWED, f"{room} is a new room: say in tests/test_layers.py and CONTRIBUTING.md what it stands on"
    wrong = rooms_imported(path) - ALLOWED[room] - {room}
    assert not wrong, (
        f"{path.relative_to(REPOSITORY)} imports {', '.join(sorted(wrong))}; {room} may use {sorted(ALLOWED[room])}"
    )


def test_the_walk_sees_every_kind_of_import() -> None:
    """Guards the test above: absolute, relative, nested and type-only imports are all found."""
    source = """
from musetune.pipeline import x
import musetune.nano
if TYPE_CHECKING:
    from .. import hub
def f():
    from ..training import y
    from musetune import planning
    from . import beats
"""
    names = set(modules_of(source, ["musetune", "analysis"]))
    assert names >= {"musetune.pipeline", "musetune.nano", "musetune.hub", "musetune.training", "musetune.planning"}


def test_nobody_imports_the_recipes_or_the_command_line() -> None:
    recipes = {path.stem for path in (REPOSITORY / "recipes").glob("*.py")}
    for path in PACKAGE.rglob("*.py"):
        names = set(imported_modules(path))
        assert not names & recipes, path
        assert "musetune.cli" not in names, path


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY
    ).stdout


@pytest.mark.parametrize(
    "module", ["musetune", "musetune.theory", "musetune.cli", "musetune.audio", "musetune.analysis"]
)
def test_import_is_light(module: str) -> None:
    heavy = ("torch", "diffusers", "transformers", "music21", "librosa", "matplotlib")
    loaded = run(f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])")
    assert loaded.strip() == "[]"


def test_package_names_load_when_asked_for() -> None:
    names = run(
        "import musetune; print([getattr(musetune, n).__name__ for n in ('Chord', 'LeadSheet', 'MuseTunePipeline')])"
    )
    assert "MuseTunePipeline" in names
    with pytest.raises(subprocess.CalledProcessError):
        run("import musetune; musetune.Chrod")


def declared() -> set[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needs = project["dependencies"] + [need for extra in project["optional-dependencies"].values() for need in extra]
    return {re.split(r"[<>=!~\[; ]", need)[0].lower().replace("-", "_") for need in needs}


def test_third_party_imports_are_declared() -> None:
    known = declared() | set(sys.stdlib_module_names) | JUDGES | PLAYER | {"musetune"}
    for path in [*PACKAGE.rglob("*.py"), *(REPOSITORY / "recipes").glob("*.py")]:
        neighbours = {other.stem for other in path.parent.glob("*.py")}
        for module in imported_modules(path):
            name = module.split(".")[0]
            assert DISTRIBUTIONS.get(name, name).lower() in known | neighbours, (
                f"{path.relative_to(REPOSITORY)}: {name}"
            )


def test_constraints_pin_every_dependency_exactly() -> None:
    lines = [
        line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[^ ]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("-", "_") for line in lines}
    assert declared() - pinned == set()


def test_files_stay_readable() -> None:
    """A file is one idea: 300 lines at most."""
    for path in [*PACKAGE.rglob("*.py"), *(REPOSITORY / "recipes").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 300, path.relative_to(REPOSITORY)
