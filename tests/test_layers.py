"""The house stands: rooms import downwards only, `import musetune` is light, and what is imported is declared."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "musetune"
# From the ground floor up; a room may import those before it. Why a room stands where it does:
# docs/design/architecture.md
ROOMS = (
    "symbols",
    "processes",
    "audio",
    "theory",
    "formats",
    "display",
    "models",
    "nano",
    "conditioning",
    "analysis",
    "planning",
    "evaluation",
    "adapter",
    "hub",
    "pipeline",
    "live",
    "datasets",
    "training",
    "suites",
    "client",
    "serve",
    "cli",
)
HANDOVER = PACKAGE / "symbols" / "handover.py"  # the one file that reaches up, by name
DISTRIBUTIONS = {  # import name → name on the registry
    "mir_eval": "mir_eval",
    "yaml": "pyyaml",
    "starlette": "gradio",
    "opentelemetry": "opentelemetry_sdk",
    "psycopg_pool": "psycopg",
}
JUDGES = {"vamp", "chord_extractor", "madmom", "essentia", "basic_pitch"}  # by `make`: docs/design/decisions.md
PLAYER = {"tinysoundfont"}  # installed without its dependency pyaudio


def module_of(path: Path) -> str:
    """Dotted name of a file of the package."""
    parts = ["musetune", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_imported(source: str, package: list[str]) -> Iterator[str]:
    """Dotted names of all that source text in ``package`` imports, anywhere in it.

    Functions and TYPE_CHECKING count, relative imports are resolved.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, node.module] if node.module else above)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def import_graph() -> dict[str, set[str]]:
    """For each module of the package those of the package that it imports."""
    modules = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
        names = set(names_imported(path.read_text(), package))
        # `from a.b import c`: the module a.b.c where there is one, else a.b
        graph[module] = {name if name in modules else name.rpartition(".")[0] for name in names} & modules.keys() - {
            module
        }
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules that reach each other, each sorted (strongly connected components of two or more; Tarjan,
    1972).
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph.get(module, ())):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                out.append(sorted(stack[at:]))
            del stack[at:]

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return out


def room_of(module: str) -> str:
    """The room of a module; "" for the package itself."""
    return [*module.split("."), ""][1]


def test_rooms_import_downwards_only() -> None:
    up = []
    for module, imported in sorted(import_graph().items()):
        room = room_of(module)
        if not room:
            continue
        assert room in ROOMS, (
            f"{room} is a new room: say in tests/test_layers.py and docs/design/architecture.md where it stands"
        )
        others = (other for other in sorted(imported) if room_of(other))
        up += [f"{module} → {other}" for other in others if ROOMS.index(room_of(other)) > ROOMS.index(room)]
    assert not up, "these imports point up: " + ", ".join(up)


def test_no_imports_go_in_circles() -> None:
    graph = {module: imported - {"musetune"} for module, imported in import_graph().items() if module != "musetune"}
    assert circles(graph) == []


def test_circles_are_found() -> None:
    """Guards the test above."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_the_walk_sees_every_kind_of_import() -> None:
    """Guards the tests above: absolute, relative, nested and type-only imports are all found."""
    source = """
from musetune.pipeline import x
import musetune.models.nano
if TYPE_CHECKING:
    from .. import hub
def f():
    from ..training import y
    from musetune import planning
    from . import beats
"""
    names = set(names_imported(source, ["musetune", "analysis"]))
    expected = {
        "musetune.pipeline.x",
        "musetune.models.nano",
        "musetune.hub",
        "musetune.training.y",
        "musetune.planning",
    }
    assert names >= expected | {"musetune.analysis.beats"}


def test_only_the_handover_reaches_up_by_name() -> None:
    """Every function that symbols hand over exists; no other file imports a module of ours by a string."""
    spec = importlib.util.spec_from_file_location("handover", HANDOVER)
    assert spec is not None
    assert spec.loader is not None
    handover = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(handover)
    for name in handover.UPSTAIRS:
        assert callable(handover.upstairs(name)), name
    for path in PACKAGE.rglob("*.py"):
        if path not in (HANDOVER, PACKAGE / "__init__.py") and "import_module(" in path.read_text():
            assert not re.search(r"import_module\(f?[\"']musetune", path.read_text()), path


@pytest.mark.slow
def test_nobody_imports_the_recipes_or_the_command_line() -> None:
    """Recipes are scripts: neither the package nor a benchmark nor another recipe imports one.

    musetune.training.recipe loads finetune.py by its path, for `musetune train`.
    """
    for module, imported in import_graph().items():
        if room_of(module) != "cli":
            assert not {name for name in imported if room_of(name) == "cli"}, module
    recipes = sorted((REPOSITORY / "recipes").rglob("*.py"))
    names = {"recipes", *(path.stem for path in recipes if path.parent.name == "recipes")}
    for path in [*PACKAGE.rglob("*.py"), *(REPOSITORY / "benchmarks").glob("*.py"), *recipes]:
        source = path.read_text()
        neighbours = names | ({other.stem for other in path.parent.glob("*.py")} if path in recipes else set())
        assert not [name for name in names_imported(source, []) if name.split(".")[0] in neighbours], path
        assert "sys.path." not in source, path


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY
    ).stdout


@pytest.mark.parametrize(
    "module", ["musetune", "musetune.symbols", "musetune.theory", "musetune.cli", "musetune.audio", "musetune.analysis"]
)
def test_import_is_light(module: str) -> None:
    heavy = ("torch", "diffusers", "transformers", "music21", "librosa", "matplotlib")
    loaded = run(f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])")
    assert loaded.strip() == "[]"


@pytest.mark.slow
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
    return {re.split(r"[<>=!~\[; ]", need)[0].lower().replace("-", "_") for need in needs} - {"musetune"}


def test_third_party_imports_are_declared() -> None:
    known = declared() | set(sys.stdlib_module_names) | JUDGES | PLAYER | {"musetune"}
    for path in [*PACKAGE.rglob("*.py"), *(REPOSITORY / "recipes").rglob("*.py")]:
        neighbours = {other.stem for other in path.parent.glob("*.py")}
        for module in names_imported(path.read_text(), ["musetune"]):
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
