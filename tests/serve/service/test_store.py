"""The store of jobs: order, claims, attempts, idempotency, what is kept and what is forgotten."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from postgres import postgres

from musetune.serve.service.jobs import (
    IdempotencyError,
    Job,
    JobCancelledError,
    JobLostError,
    QueueFullError,
    StoreUnavailableError,
)
from musetune.serve.service.monitoring import ServiceMetrics
from musetune.serve.service.sql_store import MAX_ATTEMPTS, MAX_DEATHS, SQLJobStore
from musetune.serve.service.sqlite_store import SQLiteDatabase, SQLiteJobStore

KINDS = ("song",)
DATABASES = ["sqlite", pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.heavy])]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as running:
        yield running.url


@pytest.fixture(params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLJobStore]:
    """A store that takes three jobs, empty: every test that asks for it holds for both databases."""
    if request.param == "sqlite":
        made: SQLJobStore = SQLiteJobStore(tmp_path / "new" / "jobs.sqlite3", max_queue=3)
    else:
        pytest.importorskip("psycopg_pool")
        from musetune.serve.service.postgres_store import PostgresJobStore

        made = PostgresJobStore(request.getfixturevalue("server"), max_queue=3)
    yield made
    for table in ("events", "jobs", "workers"):
        write(made, f"DELETE FROM {table}")
    made.close()


def write(store: SQLJobStore, statement: str, *values: object) -> None:
    """Change what no method of a store changes."""
    with store.database.transaction() as db:
        db.execute(statement, values)


def submit(store: SQLJobStore, number: int = 0, **options: object) -> Job:
    return store.submit("song", {"number": number}, **options)[0]


def claim(store: SQLJobStore, worker: str = "w") -> Job:
    job = store.claim(worker, KINDS)
    assert job is not None
    return job


def test_first_come_first_served_and_each_kind_by_itself(store: SQLJobStore) -> None:
    jobs = [submit(store, number) for number in range(2)]
    other = store.submit("analysis", {})[0]
    assert [store.position(job) for job in (*jobs, other)] == [0, 1, 0]
    assert claim(store).id == jobs[0].id
    assert [store.position(job) for job in jobs] == [0, 1], "the running one goes before"
    assert claim(store).id == jobs[1].id
    assert store.claim("w", KINDS) is None
    assert store.claim("w", ("analysis",)).id == other.id


def test_a_full_queue_refuses_and_says_when_to_come_back(store: SQLJobStore) -> None:
    for number in range(3):
        submit(store, number)
    with pytest.raises(QueueFullError, match="holds 3 jobs") as caught:
        submit(store, 3)
    assert caught.value.retry_after >= 1
    claim(store)
    assert submit(store, 3).state == "queued"


def test_an_idempotency_key_gives_the_job_that_is_there(store: SQLJobStore) -> None:
    first, new = store.submit("song", {"a": 1, "b": 2}, owner="me", idempotency_key="k")
    again, second = store.submit("song", {"b": 2, "a": 1}, owner="me", idempotency_key="k")
    assert (new, second) == (True, False)
    assert again.id == first.id
    with pytest.raises(IdempotencyError, match="another request"):
        store.submit("song", {"a": 2}, owner="me", idempotency_key="k")
    with pytest.raises(IdempotencyError, match="another request"):
        store.submit("analysis", {"a": 1, "b": 2}, owner="me", idempotency_key="k")
    assert store.submit("song", {"a": 2}, owner="you", idempotency_key="k")[1], "keys are each owner's own"


def test_only_the_attempt_that_runs_may_speak(store: SQLJobStore) -> None:
    submit(store)
    dead = claim(store, "dead")
    again, failed = store.recover("dead", "by signal SIGKILL")
    assert ([job.id for job in again], failed) == ([dead.id], [])
    for act in (lambda: store.report(dead, {}), lambda: store.succeed(dead, {}), lambda: store.fail(dead, {})):
        with pytest.raises(JobLostError):
            act()
    alive = claim(store, "alive")
    assert alive.attempt == 2
    with pytest.raises(JobLostError):
        store.succeed(dead, {"by": "the dead"})
    store.succeed(alive, {"by": "the living"})
    with pytest.raises(JobLostError):
        store.succeed(alive, {"by": "the living, twice"})
    assert store.get(alive.id).result == {"by": "the living"}


def test_a_recovered_job_goes_first_and_other_workers_keep_theirs(store: SQLJobStore) -> None:
    first, second, third = (submit(store, number) for number in range(3))
    claim(store, "dead")
    claim(store, "alive")
    store.recover("dead")
    assert store.get(second.id).state == "running"
    assert claim(store).id == first.id
    assert claim(store).id == third.id


def test_a_job_may_cost_so_many_workers_and_no_more(store: SQLJobStore) -> None:
    job = submit(store)
    for attempt in range(1, MAX_DEATHS + 1):
        assert claim(store).attempt == attempt
        again, failed = store.recover("w", "by signal SIGKILL")
        assert len(again) + len(failed) == 1
    assert [one.id for one in failed] == [job.id]
    after = store.get(job.id)
    assert after.state == "failed"
    assert "3 workers died" in after.error["message"]
    assert "SIGKILL" in after.error["message"]


def test_an_orderly_stop_costs_a_job_nothing(store: SQLJobStore) -> None:
    """A job that is longer than the service's drain starts again as often as the service is stopped."""
    job = submit(store)
    for attempt in range(1, 6):
        assert claim(store).attempt == attempt
        again, failed = store.recover("w", "the service was stopped", death=False)
        assert ([one.id for one in again], failed) == ([job.id], [])
    for _ in range(MAX_DEATHS - 1):
        claim(store)
        store.recover("w", "by signal SIGKILL")
    assert store.get(job.id).state == "queued"
    assert store.get(job.id).deaths == MAX_DEATHS - 1
    claim(store)
    assert len(store.recover("w", "by signal SIGKILL")[1]) == 1


def test_a_job_that_takes_the_service_with_it_ends_in_the_end(store: SQLJobStore) -> None:
    job = submit(store)
    for _ in range(MAX_ATTEMPTS):
        claim(store)
        store.recover(None, "the service ended in the middle of it", death=False)
    message = store.get(job.id).error["message"]
    assert message.startswith("this job was begun 20 times and never ended (the service ended in the middle of it)")


def test_a_job_that_is_given_back_goes_first_and_its_worker_goes_on(store: SQLJobStore) -> None:
    first, second = submit(store, 0), submit(store, 1)
    mine = claim(store)
    store.give_back(mine, "it could not be done together with others")
    with pytest.raises(JobLostError):
        store.succeed(mine, {})
    assert (store.get(first.id).state, store.get(first.id).deaths) == ("queued", 0)
    assert claim(store).id == first.id
    assert claim(store).id == second.id


def test_cancelling(store: SQLJobStore) -> None:
    running, queued = submit(store, 0), submit(store, 1)
    mine = claim(store)
    assert store.cancel(queued.id).state == "cancelled"
    assert store.cancel(running.id).cancelling
    for act in (lambda: store.check(mine), lambda: store.report(mine, {"step": 3})):
        with pytest.raises(JobCancelledError):
            act()
    store.finish_cancel(mine)
    assert store.get(running.id).state == "cancelled"
    assert store.claim("w", KINDS) is None
    assert store.cancel("nobody") is None
    assert store.cancel(running.id).state == "cancelled", "again changes nothing"


def test_a_job_whose_worker_died_while_it_was_cancelled_is_over(store: SQLJobStore) -> None:
    job = submit(store)
    claim(store)
    store.cancel(job.id)
    assert store.recover() == ([], [])
    assert store.get(job.id).state == "cancelled"


def test_events_are_numbered_and_read_on(store: SQLJobStore) -> None:
    job = submit(store)
    mine = claim(store)
    store.report(mine, {"stage": "denoising", "step": 1, "steps": 20})
    store.succeed(mine, {})
    kinds = [event.kind for event in store.events(job.id)]
    assert kinds == ["queued", "running", "progress", "succeeded"]
    assert [event.number for event in store.events(job.id, after=2)] == [3, 4]
    assert store.events(job.id)[2].data["step"] == 1
    assert store.events("nobody") == []


def test_jobs_are_dated_by_the_stores_own_clock(store: SQLJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of PostgreSQL's machine, whatever the one says that asks; metrics look for what ended by it too."""
    ticks = count(1000.0, 0.001)
    monkeypatch.setattr(time, "time", lambda: next(ticks))
    metrics = ServiceMetrics(store)
    job = submit(store)
    store.succeed(claim(store), {})
    ended = store.get(job.id)
    assert ended.created == pytest.approx(store.now(), abs=60)
    assert ended.created <= ended.started <= ended.finished
    assert (ended.created < 2000) == isinstance(store, SQLiteJobStore)
    assert [one.id for one in metrics.observe_ended()] == [job.id]
    assert store.live("w", 30) == ["w"]
    assert store.expire(seconds=60) == []
    monkeypatch.setattr(SQLiteDatabase, "now", lambda _: 1100.0)
    assert store.expire(seconds=60) == ([job.id] if isinstance(store, SQLiteJobStore) else [])


def test_time_left_follows_from_what_the_last_ones_took(store: SQLJobStore) -> None:
    job = submit(store, cost=10)
    assert store.seconds_left(job, 1) is None
    store.succeed(claim(store), {})
    write(store, "UPDATE jobs SET started = 100, finished = 120")  # two seconds a unit
    ahead, last = submit(store, 1, cost=3), submit(store, 2, cost=5)
    assert store.seconds_left(ahead, 1) == pytest.approx(6)
    assert store.seconds_left(last, 1) == pytest.approx(16)
    assert store.seconds_left(last, 3) == pytest.approx(12), "three workers share what goes before"
    assert store.seconds_left(store.get(job.id), 1) == 0


def test_ended_jobs_expire_and_the_oldest_make_room(store: SQLJobStore) -> None:
    jobs = []
    for number in range(3):
        jobs.append(submit(store, number, idempotency_key=str(number)))
        store.succeed(claim(store), {}, size=100)
    waiting = submit(store, 9)
    for number, job in enumerate(jobs):
        write(store, "UPDATE jobs SET finished = ? WHERE id = ?", number + 1.0, job.id)
    write(store, "UPDATE jobs SET created = 0")
    texts = 4 * len('{"number": 0}') + 3 * len("{}")  # of the requests, the waiting one's included, and the results
    assert store.expire(seconds=1e12, max_bytes=300 + texts) == []
    assert store.expire(seconds=1e12, max_bytes=299 + texts) == [jobs[0].id]
    assert store.events(jobs[0].id) == [], "events go with their job"
    assert sorted(store.expire(seconds=3600)) == sorted(job.id for job in jobs[1:])
    assert store.ids() == {waiting.id}, "what waits is never too old"
    assert store.submit("song", {"number": 0}, idempotency_key="0")[1], "a forgotten job's key is free"


def test_requests_count_as_much_as_results(store: SQLJobStore) -> None:
    """A request of megabytes that fails at once made no file, and lies on the disk all the same."""
    jobs = [store.submit("song", {"junk": "x" * 10_000})[0] for _ in range(2)]
    for _ in jobs:
        store.fail(claim(store), {"code": "invalid-request", "status": 422, "message": "a word"})
    assert store.expire(seconds=1e12, max_bytes=30_000) == []
    assert store.expire(seconds=1e12, max_bytes=15_000) == [jobs[0].id]


@pytest.mark.slow
def test_many_threads_claim_each_job_once(store: SQLJobStore) -> None:
    store.max_queue = 1000
    for number in range(60):
        submit(store, number)
    claims: list[str] = []

    def drain() -> None:
        while (job := store.claim("w", KINDS)) is not None:
            claims.append(job.id)
            store.succeed(job, {})

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(Counter(claims).values()) == 1
    assert len(claims) == 60
    assert store.counts() == {("song", "succeeded"): 60}
    assert all([event.number for event in store.events(name)] == [1, 2, 3] for name in store.ids())


def test_another_versions_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="schema 99"):
        SQLiteJobStore(tmp_path / "jobs.sqlite3")


VERSION_1 = """
CREATE TABLE jobs (
    place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, owner TEXT NOT NULL,
    state TEXT NOT NULL, request TEXT NOT NULL, cost REAL NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, finished REAL, progress TEXT NOT NULL DEFAULT '{}', result TEXT, error TEXT,
    cancelling INTEGER NOT NULL DEFAULT 0, worker TEXT, size INTEGER NOT NULL DEFAULT 0, idempotency_key TEXT,
    digest TEXT NOT NULL, UNIQUE (owner, idempotency_key)
) STRICT;
CREATE TABLE events (
    job TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (job, number)
) STRICT;
CREATE TABLE workers (name TEXT PRIMARY KEY, seen REAL NOT NULL) STRICT;
INSERT INTO jobs (id, kind, owner, state, request, cost, attempt, created, digest)
VALUES ('a', 'song', '', 'queued', '{}', 1.0, 2, 0.0, '');
PRAGMA user_version = 1;
"""


def test_a_file_of_the_version_before_goes_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as db:
        db.executescript(VERSION_1)
    for _ in range(2):  # brought up to date, and as it is then
        store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
        job = store.get("a")
        assert (job.attempt, job.deaths) == (2, 0)
        store.close()
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    assert claim(store).attempt == 3
    assert store.recover("w", "by signal SIGKILL")[0][0].id == "a", "what earlier versions counted is no death"
    store.close()


@pytest.mark.slow
@pytest.mark.heavy
def test_another_versions_tables_in_postgresql_are_refused(server: str) -> None:
    pytest.importorskip("psycopg_pool")
    import psycopg

    from musetune.serve.service.postgres_store import PostgresJobStore

    store = PostgresJobStore(server)
    write(store, "ALTER TABLE jobs DROP COLUMN deaths")
    write(store, "DROP TABLE schema_version")
    store.close()
    store = PostgresJobStore(server)  # as the version before left it
    assert submit(store).deaths == 0
    write(store, "UPDATE schema_version SET version = 99")
    store.close()
    with pytest.raises(ValueError, match="schema 99"):
        PostgresJobStore(server)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP TABLE events, jobs, workers, schema_version")


def test_a_named_job_is_claimed_out_of_turn(store: SQLJobStore) -> None:
    first, second = submit(store, 0), submit(store, 1)
    assert [job.id for job in store.queued(KINDS, 10)] == [first.id, second.id]
    assert [job.id for job in store.queued(KINDS, 1)] == [first.id]
    assert store.queued(("analysis",), 10) == []
    mine = store.claim("w", KINDS, second.id)
    assert mine is not None
    assert mine.id == second.id
    assert store.claim("other", KINDS, second.id) is None, "it is done already"
    assert store.claim("other", ("analysis",), first.id) is None, "it is of another kind"
    assert [job.id for job in store.queued(KINDS, 10)] == [first.id]


def test_a_worker_that_says_nothing_is_named(store: SQLJobStore) -> None:
    submit(store, 0)
    submit(store, 1)
    claim(store, "alive")
    claim(store, "dead")
    assert store.silent(60) == []
    write(store, "UPDATE workers SET seen = seen - 100")
    assert sorted(store.silent(60)) == ["alive", "dead"]
    store.renew("alive")
    store.renew("idle-1")
    assert store.silent(60) == ["dead"]
    assert store.live("", 60) == ["alive", "idle-1"]
    assert store.live("idle-", 60) == ["idle-1"]
    again, _ = store.recover("dead")
    assert len(again) == 1
    assert store.silent(60) == []


def test_an_end_said_twice_counts_once(store: SQLJobStore) -> None:
    """A connection may break before the answer of a transaction comes: the worker says it again."""
    submit(store, 0)
    mine = claim(store)
    for _ in range(2):
        store.succeed(mine, {"files": {"audio.wav": "1/audio.wav"}}, size=10)
    with pytest.raises(JobLostError):
        store.fail(mine, {"code": "internal", "status": 500, "message": "a word"})
    assert [event.kind for event in store.events(mine.id)] == ["queued", "running", "succeeded"]


def test_no_id_is_an_error(store: SQLJobStore) -> None:
    for name in ("", "a\0b", "x" * 10_000, "'; DROP TABLE jobs; --", "%s ? {}"):
        assert store.get(name) is None
        assert store.cancel(name) is None
        assert store.events(name) == []


@pytest.mark.slow
@pytest.mark.heavy
def test_a_database_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker has to say is said when the server is back; in between the store says that it cannot be reached."""
    pytest.importorskip("psycopg_pool")
    from musetune.serve.service import postgres_store

    monkeypatch.setattr(postgres_store, "PATIENCE_S", 1.0)
    with postgres() as server:
        store = postgres_store.PostgresJobStore(server.url)
        job = submit(store)
        mine = claim(store)
        server.stop()
        with pytest.raises(StoreUnavailableError):
            store.check(mine)
        server.start()
        store.succeed(mine, {"files": {}})
        assert store.get(job.id).state == "succeeded"
        store.close()


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """SQLite's own limit on a file's pages stands for the disk's end."""
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    job = submit(store)
    assert isinstance(store.database, SQLiteDatabase)
    db = store.database.connection()
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailableError, match="full"):
        store.submit("song", {"text": "x" * 100_000})
    assert store.ids() == {job.id}
    db.execute("PRAGMA max_page_count = 100000")
    assert store.submit("song", {"text": "x" * 100_000})[1]
    store.close()


def test_a_copy_made_while_it_is_written_to_is_whole(tmp_path: Path) -> None:
    """docs/how-to/serve.md: VACUUM INTO, which reads what still lies in the write-ahead log too."""
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    store.submit("a", {"n": 1})
    running = store.claim("one", ["a"])
    store.submit("a", {"n": 2})
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as other:
        other.execute("VACUUM INTO ?", (str(tmp_path / "copy.sqlite3"),))
    store.succeed(running, {"files": {}})
    copy = SQLiteJobStore(tmp_path / "copy.sqlite3")
    assert copy.get(running.id).state == "running"
    copy.recover()
    assert [copy.claim("two", ["a"]).request["n"] for _ in range(2)] == [1, 2]
    copy.close()
    store.close()


def test_connections_end_with_their_threads(tmp_path: Path) -> None:
    """A server's threads come and go: after ten seconds without work they end, and the next request has a new one."""
    with closing(SQLiteJobStore(tmp_path / "jobs.sqlite3")) as store:

        def descriptors() -> int:
            links = Path("/proc/self/fd").iterdir()
            return sum(str(tmp_path) in str(link.readlink()) for link in links if link.is_symlink())

        before = descriptors()
        for _ in range(20):
            thread = threading.Thread(target=store.get, args=("none",))
            thread.start()
            thread.join()
        assert before > 0
        assert descriptors() <= before + 2  # SQLite keeps one for the next connection
