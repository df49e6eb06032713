"""What a job's events say of its time, in the metrics and in the traces made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from musetune.serve.service.jobs import TRACE, IdempotencyError, JobEvent
from musetune.serve.service.monitoring import ServiceMetrics, memory_of
from musetune.serve.service.sqlite_store import SQLiteJobStore
from musetune.serve.service.timeline import StageTime, read_timeline
from musetune.serve.service.tracing import Tracing, exporter_name


def events(*rows: tuple[float, str, dict]) -> list[JobEvent]:
    return [JobEvent(number, at, kind, data) for number, (at, kind, data) in enumerate(rows, 1)]


KILLED_ONCE = events(
    (10, "queued", {}),
    (12, "running", {"attempt": 1}),
    (13, "progress", {"stage": "denoising", "step": 1, "steps": 9}),
    (15, "queued", {"cause": "by signal SIGKILL"}),
    (16, "running", {"attempt": 2}),
    (16.5, "progress", {"stage": "denoising", "step": 1, "steps": 9}),
    (16.7, "preview", {"of": "something that is not known here"}),
    (17, "progress", {"stage": "denoising", "step": 9, "steps": 9}),
    (18, "progress", {"stage": "writing"}),
    (18.5, "succeeded", {}),
)


def test_a_job_whose_worker_was_killed_has_two_attempts() -> None:
    first, second = read_timeline(KILLED_ONCE)
    assert (first.queued, first.started, first.ended, first.outcome) == (10, 12, 15, "queued")
    assert first.cause == "by signal SIGKILL"
    assert first.stages == (StageTime("denoising", 13, 15),)
    assert (second.number, second.queued, second.started, second.outcome) == (2, 15, 16, "succeeded")
    assert second.stages == (StageTime("denoising", 16.5, 18), StageTime("writing", 18, 18.5))


def test_a_job_that_was_cancelled_while_it_waited_has_no_attempt_but_a_wait() -> None:
    [only] = read_timeline(events((1, "queued", {}), (4, "cancelled", {})))
    assert (only.number, only.started, only.ended, only.stages) == (0, None, 4, ())
    assert read_timeline([]) == []


def test_metrics_count_each_ended_job_once_with_its_stages(tmp_path: Path) -> None:
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    told: list[str] = []
    metrics = ServiceMetrics(store, [lambda job, attempts: told.append(attempts[-1].outcome)])
    store.submit("generation", {"a": 1})
    job = store.claim("one", ["generation"])
    store.report(job, {"stage": "denoising"})
    assert store.recover("one", "by signal SIGKILL")[0]
    store.claim("two", ["generation"])
    assert store.recover("two", "the service was stopped", death=False)[0]
    store.give_back(store.claim("two", ["generation"]), "it could not be done together with others")
    job = store.claim("two", ["generation"])
    store.report(job, {"stage": "denoising"})
    store.succeed(job, {"score": 0.75, "parts": {"chords": 0.5, "key": None}, "real_time_factor": 2.0, "files": {}})
    for _ in range(3):
        text = metrics.render().decode()
    store.close()
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert told == ["succeeded"]
    assert samples["musetune_jobs_ended_total", "generation", "succeeded"] == 1
    assert samples["musetune_attempts_lost_total", "generation"] == 1, "an orderly stop is none, nor a batch that fails"
    assert samples["musetune_job_wait_seconds_count", "generation"] == 4
    assert samples["musetune_job_stage_seconds_count", "denoising", "generation"] == 1, "of the attempt that succeeded"
    assert samples["musetune_adherence_part_sum", "chords"] == 0.5
    assert ("musetune_adherence_part_sum", "key") not in samples


def test_memory_is_that_of_the_process() -> None:
    import os

    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("only Linux says it")
    assert 1e6 < memory_of(os.getpid()) < 1e11
    assert memory_of(2**22 + 1) is None


def test_a_traced_request_is_the_same_request(tmp_path: Path) -> None:
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    first, _ = store.submit("a", {"n": 1, TRACE: {"traceparent": "x"}}, idempotency_key="k")
    again, new = store.submit("a", {"n": 1, TRACE: {"traceparent": "y"}}, idempotency_key="k")
    assert (again.id, new) == (first.id, False)
    with pytest.raises(IdempotencyError):
        store.submit("a", {"n": 2}, idempotency_key="k")
    store.close()


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, "none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, "none"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
    ],
)
def test_the_environment_says_where_traces_go(variables: dict[str, str], name: str) -> None:
    assert exporter_name(variables) == name
    if name == "none":
        assert Tracing.from_environment(variables) is None


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin.* is not one of otlp, console, none"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_what_is_not_supported_is_said(variables: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        exporter_name(variables)


def test_spans_of_a_killed_attempt_are_errors_inside_the_job(tmp_path: Path) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="traces are of the extra otel")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    submitted, _ = store.submit("generation", {"a": 1})
    store.close()
    Tracing(provider).trace_job(submitted, read_timeline(KILLED_ONCE))
    spans = memory.get_finished_spans()
    assert [span.name for span in spans] == [
        "job generation", "queue", "attempt", "denoising", "queue", "attempt", "denoising", "writing",
    ]  # fmt: skip
    killed, well = [span for span in spans if span.name == "attempt"]
    assert not killed.status.is_ok
    assert "SIGKILL" in killed.status.description
    assert well.status.is_unset
    assert (spans[0].start_time, spans[0].end_time) == (10_000_000_000, 18_500_000_000)
