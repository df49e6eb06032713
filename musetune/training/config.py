"""A recipe's knobs from YAML files and `key=value` words, and their manual. The knobs are the fields of a dataclass."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

Knobs = TypeVar("Knobs")


def read(kind: type[Knobs], arguments: list[str]) -> Knobs:
    """`[file.yaml …] [key=value …]` → kind; `--config` before a file may stand or be left out. Raises ValueError, in one line, for an
    unknown, missing or mistyped knob."""
    arguments = [a.removeprefix("--config=") for a in arguments if a != "--config"]
    files = [a for a in arguments if "=" not in a]
    if absent := [name for name in files if not Path(name).is_file()]:
        raise ValueError(f"no such file: {', '.join(absent)}; give YAML files and key=value, or --help")
    told = OmegaConf.merge(*map(OmegaConf.load, files), OmegaConf.from_dotlist([a for a in arguments if "=" in a]))
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in map(str, told):
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it is one of {', '.join(names)}"
            raise ValueError(f"no knob is called {name}: {hint}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), told)
        if missing := sorted(OmegaConf.missing_keys(merged)):
            raise ValueError("give " + " and ".join(f"{name}=…" for name in missing) + "; --help says what they are")
        return cast(Knobs, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ValueError(f"{error.full_key}: {str(error).splitlines()[0]}") from None


def manual(text: str | None, kind: type) -> str:
    """A recipe's docstring, and below it each knob with its type, default and meaning, as its dataclass has them."""
    lines = inspect.getsource(kind).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("class ")) + 1
    return f"{text}\nKnobs, their defaults and meanings:\n" + "\n".join(
        line for line in lines[start:] if '"""' not in line
    )


def command_line(load: Callable[[list[str]], Knobs], kind: type[Knobs], text: str | None) -> Knobs:
    """What `load` makes of this process's arguments. Without any, or with --help, prints the manual and leaves."""
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(manual(text, kind))
        raise SystemExit(0)
    try:
        return load(arguments)
    except ValueError as error:
        raise SystemExit(f"{Path(sys.argv[0]).name}: {error}") from None
