"""What a real Prometheus and a real OTLP receiver get of a running `musetune serve`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from collector import Collector, collecting
from prometheus import promtool, query, scraping
from service_server import PATIENCE_S, program, wait_until

from musetune.client import ServiceClient, ServiceError

pytest.importorskip("opentelemetry.sdk", reason="traces are of the extra otel")
pytestmark = [pytest.mark.slow, pytest.mark.heavy]
DEPLOY = Path(__file__).parents[3] / "deploy"
CLIP = {"harmonic_progression": "I V", "duration_seconds": 2, "num_inference_steps": 2}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def expressions() -> list[str]:
    """All that the dashboard asks Prometheus for, its variables filled in."""
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [re.sub(r"\$__rate_interval|\[\d+m\]", lambda match: "[1m]" if "[" in match[0] else "1m", e) for e in asked]


@pytest.fixture(scope="module")
def watched(full_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A service with a Prometheus that scrapes it and a collector of its traces, after jobs that went well and not."""
    folder = tmp_path_factory.mktemp("watched")
    with collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with program(folder / "service", full_base, variables=variables) as (_, url):
            config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
            config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
            config["scrape_configs"][0]["static_configs"][0]["targets"] = [url.removeprefix("http://")]
            config["rule_files"] = [str(DEPLOY / name) for name in config["rule_files"]]
            (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
            promtool("check", "config", folder / "prometheus.yml")
            with scraping(folder / "prometheus.yml", folder) as prometheus:
                wait_until(lambda: query(prometheus, "up") != [])
                yield SimpleNamespace(url=url, prometheus=prometheus, collector=collector, **jobs(url, folder))


def jobs(url: str, folder: Path) -> dict[str, Any]:
    """A clip made in a known trace, one without, and an analysis that fails."""
    header = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    body = {"prompt": "x", "key": "C major", **CLIP}
    answer = httpx.post(f"{url}/v1/generations", json=body, headers=header, trust_env=False)
    assert answer.status_code == 202
    (folder / "bad.mid").write_bytes(b"MThd, and no more")
    with ServiceClient(url) as client:
        client.wait(answer.json()["id"], PATIENCE_S)
        again = client.generate("y", idempotency_key="one", **CLIP)
        assert client.generate("y", idempotency_key="one", **CLIP).id == again.id, "another trace, the same request"
        with pytest.raises(ServiceError):
            client.wait(client.analyse(folder / "bad.mid").id, PATIENCE_S)
        client.wait(again.id, PATIENCE_S)
    return {"job_id": answer.json()["id"]}


def test_prometheus_has_what_happened(watched: SimpleNamespace) -> None:
    def value(expression: str) -> float:
        return sum(number for _, number in query(watched.prometheus, expression))

    wait_until(lambda: value('musetune_jobs_ended_total{kind="generation",state="succeeded"}') == 2)
    wait_until(lambda: value('musetune_job_errors_total{kind="analysis",code="invalid-request"}') == 1)
    assert value("up") == value("musetune_ready") == 1
    assert value("musetune_adherence_count") == value('musetune_job_wait_seconds_count{kind="generation"}') == 2
    stages = {labels["stage"] for labels, _ in query(watched.prometheus, "musetune_job_stage_seconds_sum")}
    assert {"preparing", "denoising", "decoding", "writing"} <= stages
    assert value('musetune_process_memory_bytes{process="server"}') > 1e6
    assert value("musetune_disk_free_bytes") > 0


def test_the_dashboard_finds_series_for_everything_that_it_asks_for(watched: SimpleNamespace) -> None:
    """In a real Prometheus: every expression is one, and has a series within a few scrapes."""
    asked = expressions()
    assert len(asked) > 10
    for expression in asked:
        wait_until(lambda expression=expression: query(watched.prometheus, expression) != [])  # type: ignore[misc]


def test_promtool_finds_nothing_wrong_with_the_metrics(watched: SimpleNamespace) -> None:
    text = httpx.get(f"{watched.url}/metrics", trust_env=False).text
    promtool("check", "metrics", text=text)


def spans_of(collector: Collector, trace: str) -> dict[str, Any]:
    return {span.name: span for span in list(collector.spans) if span.trace_id.hex() == trace}


def test_one_trace_leads_from_the_request_to_the_stages(watched: SimpleNamespace) -> None:
    wait_until(lambda: "job generation" in spans_of(watched.collector, TRACE))
    wait_until(lambda: "writing" in spans_of(watched.collector, TRACE))
    spans = spans_of(watched.collector, TRACE)
    parents = {
        "POST /v1/generations": None,
        "job generation": "POST /v1/generations",
        "queue": "job generation",
        "attempt": "job generation",
        "preparing": "attempt",
        "denoising": "attempt",
        "decoding": "attempt",
        "writing": "attempt",
    }
    assert set(parents) == set(spans)
    assert spans["POST /v1/generations"].parent_span_id.hex() == "b7ad6b7169203331", "the caller's own span"
    for name, parent in parents.items():
        span = spans[name]
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        if parent is not None:
            assert span.parent_span_id == spans[parent].span_id, name
            assert span.start_time_unix_nano >= spans["job generation"].start_time_unix_nano
    attributes = {pair.key: pair.value for pair in spans["job generation"].attributes}
    assert attributes["musetune.job.id"].string_value == watched.job_id
    assert attributes["musetune.job.state"].string_value == "succeeded"
    assert watched.collector.resources[0]["service.name"] == "musetune"


def test_a_failed_job_is_an_error_in_its_trace_and_probes_have_none(watched: SimpleNamespace) -> None:
    wait_until(lambda: watched.collector.named("job analysis") != [])
    [failed] = watched.collector.named("job analysis")
    assert failed.status.code == 2
    assert "bad.mid" in failed.status.message
    assert not [span for span in watched.collector.spans if span.name.endswith(("/readyz", "/metrics"))]
