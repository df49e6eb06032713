"""The files of deploy/: they parse, their commands and options exist, and the dashboard asks for metrics there are."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path

import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families

from musetune.cli.app import app
from musetune.serve.service.monitoring import ServiceMetrics
from musetune.serve.service.sqlite_store import SQLiteJobStore

DEPLOY = Path(__file__).parents[3] / "deploy"


def check_options(words: list[str]) -> None:
    """Hold that `musetune serve` takes these words."""
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    command.make_context("serve", list(words), resilient_parsing=False)


def test_the_dashboard_asks_for_metrics_that_there_are(tmp_path: Path) -> None:
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    text = ServiceMetrics(store).render().decode()
    store.close()
    known = {family.name for family in text_string_to_metric_families(text)}
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    asked = set(re.findall(r"musetune_\w+", json.dumps(dashboard["panels"])))
    assert asked
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked} <= known


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "musetune.service")
    program, command, *words = shlex.split(unit["Service"]["ExecStart"])
    assert (Path(program).name, command) == ("musetune", "serve")
    check_options(words)


def test_the_image_and_the_compose_file_start_commands_that_exist() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    entry = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT")).removeprefix("ENTRYPOINT"))
    assert entry[:2] == ["musetune", "serve"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    check_options(entry[2:] + compose["services"]["musetune"]["command"])
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_file(), source
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"] == ["musetune:8000"]
