"""The service on a cluster: three nodes of Ray, jobs in PostgreSQL, and a node that is killed in mid-job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import PostgresServer, postgres
from service_server import PATIENCE_S, program, wait_until

pytest.importorskip("ray")
pytest.importorskip("psycopg_pool")

from ray_nodes import SETTINGS, RayNodes, ray_nodes

from musetune.client import ServiceClient
from musetune.serve.service.jobs import Job
from musetune.serve.service.postgres_store import PostgresJobStore
from musetune.serve.service.ray_replica import LEASE_S
from musetune.serve.service.sql_store import SQLJobStore

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
CLIP = {"harmonic_progression": "I V", "duration_seconds": 2, "mono16": True}


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def store(database: PostgresServer) -> Iterator[SQLJobStore]:
    opened = PostgresJobStore(database.url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """A head on which no job is done, and two nodes, each with room for a replica of every kind."""
    with ray_nodes([0, 2, 2]) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(
    nodes: RayNodes, database: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceClient]:
    folder = tmp_path_factory.mktemp("cluster") / "service"
    options = ("--engine", "ray", "--store", database.url, "--address", nodes.address, "--workers", "2", "--idle", "5")
    variables = {"RAY_AUTH_MODE": SETTINGS["RAY_AUTH_MODE"]}
    with program(folder, Path("nano"), *options, variables=variables) as (_, url), ServiceClient(url) as opened:
        yield opened


def finished(store: SQLJobStore, job_id: str) -> bool:
    job = store.get(job_id)
    assert job is not None
    return job.final


def parents(pid: int) -> list[int]:
    """A process and those that started it, up to the first."""
    chain = [pid]
    while chain[-1] > 1:
        try:
            chain.append(int(Path(f"/proc/{chain[-1]}/stat").read_text().rpartition(")")[2].split()[1]))
        except FileNotFoundError:
            break
    return chain


def node_of(nodes: RayNodes, job: Job) -> int:
    """Which node's worker does a job."""
    assert job.worker is not None
    chain = parents(int(job.worker.split("-")[-2]))
    return next(place for place, node in enumerate(nodes.nodes) if node.pid in chain)


def test_a_clip_with_a_genre_adapter_from_request_to_file(client: ServiceClient, tmp_path: Path) -> None:
    """The same application: state, adapters, a job, its events, its files."""
    assert {"jazz", "blues"} <= {one["name"] for one in client.adapters() if one["kind"] == "lora"}
    job = client.generate("trio", adapters={"jazz": 0.7}, num_inference_steps=2, **CLIP)
    kinds = [update.kind for update in client.events(job.id)]
    assert kinds[0] == "queued"
    assert kinds[-1] == "succeeded"
    client.save(job.id, "audio", tmp_path / "take.wav")
    assert (tmp_path / "take.wav").stat().st_size > 10_000


def test_a_queue_brings_a_second_replica_and_quiet_sends_it_away(client: ServiceClient, store: SQLJobStore) -> None:
    def replicas() -> list[str]:
        return store.live("generation-", LEASE_S)

    assert len(replicas()) == 1
    ids = [client.generate("a waltz", seed=number, num_inference_steps=1000, **CLIP).id for number in range(3)]

    def running() -> set[str | None]:
        jobs = [store.get(name) for name in ids]
        assert not any(job.final for job in jobs if job is not None), "one was over before a second replica was there"
        return {job.worker for job in jobs if job is not None and job.state == "running"}

    wait_until(lambda: len(running()) == 2)
    assert len(replicas()) == 2, "there are no more than --workers"
    for name in ids:
        client.cancel(name)
    wait_until(lambda: all(finished(store, name) for name in ids))
    wait_until(lambda: len(replicas()) == 1)
    job = client.wait(client.generate("a waltz", num_inference_steps=2, **CLIP).id, PATIENCE_S)
    assert job.state == "succeeded"


def test_a_node_that_is_killed_in_mid_job_loses_nothing(
    client: ServiceClient, nodes: RayNodes, store: SQLJobStore
) -> None:
    """kill -9 of raylet, workers and all: the job that ran is done once, by another; those that waited are done too."""
    ids = [client.generate("a waltz", num_inference_steps=40, **CLIP).id]
    ids += [client.generate("a waltz", seed=number, num_inference_steps=2, **CLIP).id for number in range(3)]

    def runs() -> bool:
        job = store.get(ids[0])
        assert job is not None
        assert not job.final, "it was over before it could be killed"
        return job.state == "running" and job.progress.get("step", 0) > 1

    wait_until(runs)
    before = store.get(ids[0])
    assert before is not None
    victim = node_of(nodes, before)
    assert victim > 0, "no job is done on the head"
    nodes.kill(nodes.nodes[victim])
    wait_until(lambda: all(finished(store, name) for name in ids))
    for name in ids:
        job = store.get(name)
        assert job is not None
        assert job.state == "succeeded"
        assert Counter(event.kind for event in store.events(name))["succeeded"] == 1
        assert len(client.file(name)) > 10_000
    after = store.get(ids[0])
    assert after is not None
    assert after.attempt == 2
    assert after.worker != before.worker
    assert node_of(nodes, after) != victim
    assert store.silent(0.0) == [], "nobody runs what nobody does"
