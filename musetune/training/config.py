"""A recipe's configuration from YAML files and `key=value` words, and its manual.

The options are the fields of a dataclass.
"""

from __future__ import annotations

import difflib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

ConfigType = TypeVar("ConfigType")


def read(kind: type[ConfigType], arguments: list[str]) -> ConfigType:
    """A configuration from the words of a command line.

    Args:
        kind: The dataclass whose fields are the options.
        arguments: `[file.yaml …] [key=value …]`; `--config` before a file may stand or be left out.

    Raises:
        ValueError: In one line, for an unknown, missing or mistyped option.
    """
    arguments = [a.removeprefix("--config=") for a in arguments if a != "--config"]
    files = [a for a in arguments if "=" not in a]
    if absent := [name for name in files if not Path(name).is_file()]:
        raise ValueError(f"no such file: {', '.join(absent)}; give YAML files and key=value, or --help")
    overrides = OmegaConf.merge(*map(OmegaConf.load, files), OmegaConf.from_dotlist([a for a in arguments if "=" in a]))
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in map(str, overrides):
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it is one of {', '.join(names)}"
            raise ValueError(f"no option is called {name}: {hint}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), overrides)
        if missing := sorted(OmegaConf.missing_keys(merged)):
            raise ValueError("give " + " and ".join(f"{name}=…" for name in missing) + "; --help says what they are")
        config = cast(ConfigType, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ValueError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    if getattr(config, "mixed_precision", None) == "False":  # YAML reads a bare `no` as false
        config.mixed_precision = "no"  # type: ignore[attr-defined]
    return config


def manual(text: str | None, kind: type) -> str:
    """A recipe's docstring, and below it each option with its type, default and meaning, as its dataclass has them."""
    lines = inspect.getsource(kind).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("class ")) + 1
    return f"{text}\nOptions, their defaults and meanings:\n" + "\n".join(
        line for line in lines[start:] if '"""' not in line
    )


def command_line(load: Callable[[list[str]], ConfigType], kind: type[ConfigType], text: str | None) -> ConfigType:
    """What `load` makes of this process's arguments. Without any, or with --help, prints the manual and leaves."""
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(manual(text, kind))
        raise SystemExit(0)
    try:
        return load(arguments)
    except ValueError as error:
        raise SystemExit(f"{Path(sys.argv[0]).name}: {error}") from None


def run_command(work: Callable[[ConfigType], object], config: ConfigType) -> None:
    """Do a recipe's work; what a user can mend ends it with one line instead of a traceback.

    Args:
        work: Takes the configuration.
        config: What `command_line` read.

    Raises:
        SystemExit: `work` raised a ValueError or OSError; $MUSETUNE_TRACEBACK shows where.
    """
    try:
        work(config)
    except (ValueError, OSError) as error:
        if os.environ.get("MUSETUNE_TRACEBACK"):
            raise
        raise SystemExit(f"{Path(sys.argv[0]).name}: {' '.join(str(error).split())}") from None


def folders_and_config(names: Sequence[str], kind: type[ConfigType], text: str | None) -> tuple[list[Path], ConfigType]:
    """What this process's arguments mean to a recipe that takes folders first.

    They are `FOLDER … [file.yaml …] [key=value …]`. With fewer words, or with --help, it prints the manual and leaves.

    Args:
        names: Of the folders, as the manual calls them.
        kind: The dataclass whose fields are the options.
        text: The recipe's docstring.
    """
    arguments = sys.argv[1:]
    if len(arguments) < len(names) or {"-h", "--help"} & set(arguments):
        print(manual(text, kind))
        raise SystemExit(0 if not arguments or {"-h", "--help"} & set(arguments) else f"give {' '.join(names)}")
    folders = arguments[: len(names)]
    try:
        if options := [word for word in folders if "=" in word]:
            raise ValueError(f"{options[0]} stands where a folder is meant: give {' '.join(names)} first")
        return [Path(folder) for folder in folders], read(kind, arguments[len(names) :])
    except ValueError as error:
        raise SystemExit(f"{Path(sys.argv[0]).name}: {error}") from None
