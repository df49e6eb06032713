"""`musetune push | pull | adapters` and shell completion, as programs of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from server import LoopbackHub

from musetune.hub import card_to_push, list_adapters, why_unlicensed

Make = Callable[..., Path]
REPO = "me/musetune-jazz"


@pytest.fixture
def musetune(hub: LoopbackHub, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in a home of its own, before the Hub on loopback."""
    known = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "write",
        "COLUMNS": "200",
    }

    def run(*arguments: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "musetune.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | known | extra)

    return run


@pytest.mark.slow
def test_push_pull_and_list(musetune: Callable, hub: LoopbackHub, make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder()
    pushed = musetune("push", folder, REPO, "--private", "-m", "rank 2", "--json")
    assert pushed.returncode == 0, pushed.stderr
    oid = hub.repos[REPO].refs["main"]
    assert json.loads(pushed.stdout) == {"repo": REPO, "commit": f"{hub.endpoint}/{REPO}/commit/{oid}"}
    assert hub.repos[REPO].private
    assert hub.repos[REPO].messages[-1] == "rank 2"
    pulled = musetune("pull", REPO, "--out", tmp_path / "copy", "--revision", oid)
    assert pulled.stdout.strip() == str(tmp_path / "copy"), pulled.stderr
    cached = json.loads(musetune("pull", REPO, "--json").stdout)
    assert Path(cached["folder"], "adapter_model.safetensors").is_file()
    listed = json.loads(musetune("adapters", tmp_path / "copy", "--json").stdout)
    found = {(one["source"], one["name"]): one for one in listed}
    assert found["cache", REPO]["genre"] == "jazz"
    assert found["folder", "jazz"] == found["cache", REPO] | {
        "name": "jazz",
        "source": "folder",
        "folder": str(tmp_path / "copy"),
    }
    rows = [line.split() for line in musetune("adapters").stdout.splitlines()]
    assert rows[0] == ["name", "kind", "genre", "base", "parameters", "MB", "majmin", "beat", "F", "where"]
    assert [REPO, "lora", "jazz", "nano", "32", "0.00", "85.1", "94.2", "cache"] in rows


@pytest.mark.slow
def test_generate_tells_programs_what_it_wrote(musetune: Callable, tiny_base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    done = musetune("generate", "x", "--base", tiny_base, "--steps", "1", "--seconds", "2", "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"audio": str(out), "seconds": 2.0, "sampling_rate": 48000, "channels": 2}


@pytest.mark.parametrize(
    ("arguments", "extra", "message"),
    [
        (["push", "FOLDER", REPO, "--token", "stolen"], {}, "the Hub does not accept the token (401)"),
        (["push", "FOLDER", REPO], {"HF_TOKEN": "read"}, "the token may not push me/musetune-jazz (403)"),
        (["push", "FOLDER", REPO], {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set: unset it to push"),
        (["push", "FOLDER", "jazz"], {}, "repo_id='jazz' is not owner/name"),
        (["push", "nowhere", REPO], {}, "does not exist"),
        (["pull", "me/nothing"], {}, "no repository me/nothing at http"),
        (["pull", "me/nothing"], {"HF_ENDPOINT": "http://127.0.0.1:9"}, "the connection to http://127.0.0.1:9 failed"),
        (["adapters", "nowhere"], {}, "no folder nowhere"),
    ],
)
def test_what_fails_says_why_in_a_line(
    musetune: Callable, make_folder: Make, arguments: list[str], extra: dict[str, str], message: str
) -> None:
    folder = make_folder()
    done = musetune(*(folder if argument == "FOLDER" else argument for argument in arguments), **extra)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["push", "pull", "adapters"])
def test_help_teaches(musetune: Callable, command: str) -> None:
    done = musetune(command, "--help")
    assert done.returncode == 0
    assert f"musetune {command} " in done.stdout.split("Examples:")[1]


def test_completion_can_be_installed(musetune: Callable, tmp_path: Path) -> None:
    ask = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    for shell in ("bash", "zsh", "fish"):
        shown = musetune("--show-completion", shell, **ask)
        assert shown.returncode == 0, shown.stderr
        assert "complete_" + shell in shown.stdout
    installed = musetune("--install-completion", "bash", **ask)
    assert installed.returncode == 0, installed.stderr
    assert (tmp_path / ".bashrc").is_file()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("musetune pu", ["push", "pull"]),
        ("musetune generate x --genre c", ["classical"]),
        ("musetune generate x --base n", ["nano"]),
        ("musetune generate x --base cvssp/audioldm2-", ["cvssp/audioldm2-music", "cvssp/audioldm2-large"]),
        ("musetune generate x --adapter th", ["theory"]),
        ("musetune info --adapter th", ["theory"]),
        ("musetune push --priv", ["--private"]),
    ],
)
def test_bash_completes(musetune: Callable, tmp_path: Path, line: str, wanted: list[str]) -> None:
    """The script that musetune shows, in a real shell, with the console script that a user has."""
    program, bash = Path(sys.executable).with_name("musetune"), shutil.which("bash")
    if not program.exists() or bash is None:
        pytest.skip("needs bash, and musetune installed as a program")
    words = line.split()
    source = subprocess.run(
        [program, "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    ).stdout
    script = (
        f"{source}\nCOMP_WORDS=({' '.join(words)})\nCOMP_CWORD={len(words) - 1}\n_musetune_completion musetune\nprintf "
        f'"%s\\n" "${{COMPREPLY[@]}}"'
    )
    env = os.environ | {"HF_HOME": str(tmp_path), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == wanted


def test_bundled_adapters_are_named(tmp_path: Path) -> None:
    assert "theory" in [one.name for one in list_adapters(cache_dir=tmp_path) if one.source == "bundled"]


def test_a_dry_run_shows_files_and_card_and_sends_nothing(
    musetune: Callable, hub: LoopbackHub, make_folder: Make
) -> None:
    done = musetune("push", make_folder(), REPO, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"would push to {REPO}: adapter_config.json, adapter_model.safetensors, chart.png")
    assert "license: apache-2.0" in done.stdout
    assert f'adapter="{REPO}"' in done.stdout
    assert not hub.repos
    assert not hub.requests


@pytest.mark.slow
def test_an_unknown_licence_stops_a_push_until_one_is_given(
    musetune: Callable, hub: LoopbackHub, make_folder: Make
) -> None:
    folder = make_folder()
    (folder / "training.json").unlink()
    shown = musetune("push", folder, REPO, "--dry-run")
    assert shown.returncode == 0
    assert "license: unknown" in shown.stdout
    assert "a push would stop here" in shown.stderr
    refused = musetune("push", folder, REPO)
    assert refused.returncode == 2
    assert "give --license" in refused.stderr
    assert not hub.repos
    sent = musetune("push", folder, REPO, "--license", "cc-by-4.0")
    assert sent.returncode == 0, sent.stderr
    tree = hub.repos[REPO].commits[hub.repos[REPO].refs["main"]]
    assert b"license: cc-by-4.0" in tree["README.md"]


def test_a_readme_of_ones_own_states_the_licence(make_folder: Make) -> None:
    folder = make_folder()
    (folder / "training.json").unlink()
    (folder / "README.md").write_text("# Mine\n")
    assert "give --license" in str(why_unlicensed(folder))
    assert card_to_push(folder, license="mit") == "---\nlicense: mit\n---\n# Mine\n"
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    assert why_unlicensed(folder) is None
    assert why_unlicensed(folder, "mit") is None
    assert "not apache-2.0: change it there" in str(why_unlicensed(folder, "apache-2.0"))
