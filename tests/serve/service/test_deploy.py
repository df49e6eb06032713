"""The files of deploy/: they parse, their commands and options exist, and the dashboard asks for metrics there are."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer
import yaml
from prometheus import promtool
from prometheus_client.parser import text_string_to_metric_families

from musetune.cli.app import app
from musetune.serve.service.monitoring import ServiceMetrics
from musetune.serve.service.sqlite_store import SQLiteJobStore

REPOSITORY = Path(__file__).parents[3]
DEPLOY = REPOSITORY / "deploy"
INSTRUCTIONS = {  # of a Dockerfile: https://docs.docker.com/reference/dockerfile
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "SHELL", "STOPSIGNAL",
    "USER", "VOLUME", "WORKDIR",
}  # fmt: skip


def check_options(words: list[str]) -> None:
    """Hold that `musetune serve` takes these words."""
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    command.make_context("serve", list(words), resilient_parsing=False)


def known_metrics(folder: Path) -> set[str]:
    """Names of the metrics that a service has, those of its process too."""
    store = SQLiteJobStore(folder / "jobs.sqlite3")
    text = ServiceMetrics(store).render().decode()
    store.close()
    return {family.name for family in text_string_to_metric_families(text)}


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "prometheus-rules.yml"])
def test_what_is_asked_of_prometheus_exists(tmp_path: Path, file: str) -> None:
    text = (DEPLOY / file).read_text()
    asked = set(re.findall(r"\bmusetune_\w+", text))
    assert asked
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked} <= known_metrics(tmp_path)


def test_every_metric_of_the_service_is_on_the_dashboard(tmp_path: Path) -> None:
    text = (DEPLOY / "grafana-dashboard.json").read_text()
    ours = {name for name in known_metrics(tmp_path) if re.match(r"musetune_.*(?<!_created)$", name)}
    assert {name for name in ours if name not in text} <= {"musetune_build_info"}


def test_panels_of_the_dashboard_stand_side_by_side() -> None:
    panels = json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells), "two panels lie on each other"
    assert max(x for x, _ in cells) < 24, "the width of a dashboard"


def test_prometheus_takes_its_configuration_and_the_alerts_fire_when_they_should() -> None:
    promtool("check", "config", DEPLOY / "prometheus.yml")
    assert "SUCCESS" in promtool("test", "rules", DEPLOY / "prometheus-rules-test.yml")
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((DEPLOY / "prometheus-rules-test.yml").read_text())["tests"][0]["alert_rule_test"]
    assert {rule["alert"] for rule in rules} == {test["alertname"] for test in tests}


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    folder = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    address = urlsplit(source["url"])
    assert address.hostname in compose
    assert any(port.endswith(f":{address.port}") for port in compose[str(address.hostname)]["ports"])
    [provider] = yaml.safe_load((folder / "dashboards" / "musetune.yml").read_text())["providers"]
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in compose["grafana"]["volumes"]}
    assert mounts[f"{provider['options']['path']}/grafana-dashboard.json"] == "./grafana-dashboard.json"
    assert mounts["/etc/grafana/provisioning"] == "./grafana/provisioning"


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "musetune.service")
    program, command, *words = shlex.split(unit["Service"]["ExecStart"])
    assert (Path(program).name, command) == ("musetune", "serve")
    check_options(words)
    drain = float(words[words.index("--drain") + 1])
    assert float(unit["Service"]["TimeoutStopSec"]) > drain, "systemd waits longer than the service drains"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    text = (DEPLOY / "musetune.service").read_text()
    program = re.search(r"ExecStart=(\S+)", text)
    assert program is not None
    unit = tmp_path / "musetune.service"
    unit.write_text(text.replace(program[1], sys.executable))  # a program that is there
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their words, lines put together."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in text.splitlines() if line.strip()]


def test_the_image_installs_what_there_is() -> None:
    lines = instructions()
    assert {name for name, _ in lines} <= INSTRUCTIONS
    assert lines[0][0] == "FROM"
    commands = [part.split() for name, words in lines if name == "RUN" for part in words.split("&&")]
    installs = [words for words in commands if words[:2] == ["pip", "install"]]
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [ours] = [word.strip('"') for words in installs for word in words if word.startswith('".[')]
    assert set(ours[2:-1].split(",")) <= set(extras)
    pinned = (REPOSITORY / "constraints.txt").read_text().splitlines()
    for words in installs:
        assert "constraints.txt" in words or set(words) & set(pinned), words
    readme = (REPOSITORY / "README.md").read_text()
    index = next(words for name, words in lines if name == "ARG").partition("=")[2]
    assert f"pip install torch --index-url {index}" in readme
    assert "pip install --no-deps tinysoundfont" in readme
    assert any({"--no-deps", "tinysoundfont"} <= set(words) for words in installs)


def test_the_image_and_the_compose_file_start_commands_that_exist() -> None:
    lines = dict(instructions())
    entry = json.loads(lines["ENTRYPOINT"])
    assert entry[:2] == ["musetune", "serve"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    check_options(entry[2:] + compose["services"]["musetune"]["command"])
    port = entry[entry.index("--port") + 1]
    assert lines["EXPOSE"] == port
    check = json.loads(lines["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "health check", "exec")
    assert f"127.0.0.1:{port}/healthz" in check[2]
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).exists(), source
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"] == [f"musetune:{port}"]
    mounted = {volume.split(":")[0] for volume in compose["services"]["prometheus"]["volumes"]}
    assert {f"./{name}" for name in scrape["rule_files"]} <= mounted
