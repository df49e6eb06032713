"""`musetune serve`: the HTTP service."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from musetune.cli.ui import check_port
from musetune.hub.locate import is_lora

ENGINES = ("local", "ray")
STORE_VARIABLE = "MUSETUNE_STORE"
HELP = """Serve generation and analysis over HTTP, for programs.

POST a request to /v1/generations, repaints, extensions, variations, covers, loops, plans, arrangements or analyses and
get a job; ask /v1/jobs/ID how far it is; fetch /v1/jobs/ID/audio, report, chart, midi, musicxml. /openapi.json
describes all of it, `musetune.client` speaks it and docs/how-to/serve.md explains it.

Jobs and results lie in --folder and outlive a crash: at the next start the queue goes on where it was.

It is served to this machine alone. To let others in, give it keys: MUSETUNE_API_KEYS=name:KEY,… or --keys FILE with
the SHA-256 of a key a line; then say --host 0.0.0.0, and put a proxy with TLS before it.

Ctrl+C or SIGTERM: what runs is finished, for up to --drain seconds, what waits stays in the folder.

/metrics speaks to Prometheus. OTEL_EXPORTER_OTLP_ENDPOINT=URL sends traces (extra \\[otel]).

--engine ray runs the same service on all machines of a Ray cluster: --workers and --analysers are then the most
replicas, of which there are as many as the queue needs. --folder must lie where each machine sees it, and the jobs in
PostgreSQL (--store). docs/how-to/service-and-ray.md explains it.

Needs the extra \\[serve], with --engine ray \\[ray]: pip install "musetune\\[serve]"

Examples:

  musetune serve

  curl -s localhost:8000/v1/generations -H 'Content-Type: application/json' -d '{"prompt": "jazz trio",
  "harmonic_progression": "ii7 V7 Imaj7", "key": "F major"}'

  MUSETUNE_API_KEYS=me:$(openssl rand -hex 24) musetune serve --host 0.0.0.0 --workers 2 --rate 60/minute
"""


def serve(
    host: Annotated[str, typer.Option(help="address to serve on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to serve on", min=1, max=65535)] = 8000,
    folder: Annotated[Path, typer.Option(help="where jobs and results are kept")] = Path("out/service"),
    base: Annotated[str, typer.Option(help="nano, a folder, or a Hub id such as cvssp/audioldm2")] = "nano",
    adapter: Annotated[
        str | None, typer.Option(help="bundled name, folder or Hub id; default the base's own, else theory")
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(help="a genre adapter of your own, NAME=FOLDER or NAME=HUB/ID, beside ours; more than once"),
    ] = None,
    device: Annotated[str | None, typer.Option(help="such as cpu or cuda:1; default cuda where there is one")] = None,
    workers: Annotated[int, typer.Option(help="processes that generate, each with its models", min=1, max=64)] = 1,
    analysers: Annotated[int, typer.Option(help="processes that analyse", min=1, max=64)] = 1,
    threads: Annotated[
        int | None, typer.Option(help="processor threads of each; default torch's choice", min=1)
    ] = None,
    queue: Annotated[int, typer.Option(help="jobs that may wait; one more is refused with 429", min=1)] = 64,
    max_seconds: Annotated[float, typer.Option(help="longest audio of one generation", min=1)] = 120.0,
    job_seconds: Annotated[float, typer.Option(help="longest time of one job", min=1)] = 1800.0,
    upload_mb: Annotated[int, typer.Option(help="largest song, in MB", min=1)] = 256,
    uploads_mb: Annotated[
        int, typer.Option(help="all that clients send and jobs wait for, together, in MB", min=1)
    ] = 4096,
    disk_mb: Annotated[int, typer.Option(help="all requests and results, in MB; the oldest go", min=1)] = 20480,
    free_mb: Annotated[
        int, typer.Option(help="of the disk, in MB, that stay free; below that requests get 507", min=0)
    ] = 256,
    keep_hours: Annotated[float, typer.Option(help="how long results are kept", min=0.01)] = 24.0,
    batch: Annotated[
        int, typer.Option(help="how many requests that fit together a worker generates at once", min=1, max=64)
    ] = 4,
    memory_mb: Annotated[
        int | None, typer.Option(help="what a worker may take for itself, in MB; a job that needs more fails", min=256)
    ] = None,
    rate: Annotated[str, typer.Option(help="requests of each key, such as 60/minute; none: no limit")] = "300/minute",
    keys: Annotated[Path | None, typer.Option(help="file with a SHA-256, or NAME:SHA-256, a line")] = None,
    drain: Annotated[float, typer.Option(help="seconds that running jobs get to end when it is stopped", min=0)] = 60.0,
    engine: Annotated[str, typer.Option(help="local: this machine; ray: a cluster, with Ray Serve")] = "local",
    store: Annotated[
        str | None,
        typer.Option(
            help="with --engine ray: PostgreSQL's URL, for several machines; default MUSETUNE_STORE, else SQLite"
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="of Ray's cluster; default RAY_ADDRESS, else one is started here")
    ] = None,
    every_node: Annotated[
        bool, typer.Option("--every-node", help="with --engine ray: every machine answers, not its head alone")
    ] = False,
    idle: Annotated[
        float, typer.Option(help="with --engine ray: seconds until a replica that is not needed goes", min=1)
    ] = 300.0,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="a further name by which it is reached, such as a proxy's; more than once")
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="a site whose pages may use it, such as https://music.example.org; more than once"),
    ] = None,
) -> None:
    if engine not in ENGINES:
        raise ValueError(f"--engine {engine} is not one of {', '.join(ENGINES)}")
    if engine == "local":
        check_port(host, port)
    try:
        from musetune.serve.service.access import KEYS_VARIABLE, ApiKeys, RateLimit
        from musetune.serve.service.app import build_app
        from musetune.serve.service.http_server import run_server
        from musetune.serve.service.monitoring import set_up_logs
        from musetune.serve.service.reading import spool_into
        from musetune.serve.service.service import JobService
        from musetune.serve.service.settings import MEGABYTE, ServiceSettings
        from musetune.serve.service.stores import check_store
        from musetune.serve.service.tracing import Tracing
    except ImportError as error:
        raise ImportError(f'the service needs its extra: pip install "musetune[serve]" ({error})') from error
    api_keys = ApiKeys.load(keys)
    if not api_keys and not _is_loopback(host):
        raise ValueError(
            f"--host {host} lets other machines in, and there are no keys: set {KEYS_VARIABLE} or give --keys FILE, or "
            "serve on 127.0.0.1"
        )
    limit = None if rate.lower() == "none" else rate
    RateLimit(limit)
    settings = ServiceSettings(
        folder=folder.resolve(),
        base=base,
        adapter=adapter,
        loras=tuple(map(_named_folder, lora or ())),
        device=device,
        workers=workers,
        analysers=analysers,
        threads=threads,
        max_queue=queue,
        max_seconds=max_seconds,
        max_job_seconds=job_seconds,
        max_upload=upload_mb * MEGABYTE,
        max_uploads=uploads_mb * MEGABYTE,
        batch=batch,
        memory=None if memory_mb is None else memory_mb * MEGABYTE,
        max_bytes=disk_mb * MEGABYTE,
        min_free=free_mb * MEGABYTE,
        keep_seconds=keep_hours * 3600,
        rate=limit,
        drain_seconds=drain,
        allow_hosts=tuple(allow_host or ()),
        cors_origins=tuple(map(_origin, cors_origin or ())),
        store=store or os.environ.get(STORE_VARIABLE),
    )
    check_store(settings.store)
    if engine == "local" and settings.store is not None:
        raise ValueError(
            "--store shares jobs between the machines of a cluster: give --engine ray too, or leave --store out"
        )
    if engine == "ray":
        try:
            from musetune.serve.service.ray_engine import ClusterSettings, run
        except ImportError as error:
            raise ImportError(f'--engine ray needs its extra: pip install "musetune[ray]" ({error})') from error
        place = ClusterSettings(address, host, port, every_node, idle)
        run(settings, api_keys, place, lambda: typer.echo(f"http://{host}:{port}  (Ctrl+C ends it)", err=True))
        return
    service = JobService(settings, Tracing.from_environment())
    set_up_logs()
    spool_into(service.settings.spool)
    typer.echo(f"http://{host}:{port}  (Ctrl+C ends it)", err=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn drains first, then raises the signal once more
    run_server(build_app(service, api_keys, host), service, host, port)


def _named_folder(text: str) -> tuple[str, str]:
    """Name and place of an adapter. Raises ValueError."""
    name, _, place = text.partition("=")
    if not re.fullmatch(r"[\w.-]{1,40}", name) or not place:
        raise ValueError(f"--lora {text[:80]!r}: give NAME=FOLDER, such as house=out/house/adapter")
    if not Path(place).is_dir():
        return name, place  # on the Hub
    if not is_lora(Path(place)):
        raise ValueError(f"--lora {text[:200]}: the folder holds no genre adapter, as `musetune train` makes one")
    return name, str(Path(place).resolve())


def _origin(text: str) -> str:
    """A site as browsers name it. Raises ValueError."""
    if not re.fullmatch(r"https?://[\w.-]+(:\d+)?", text):
        raise ValueError(
            f"--cors-origin {text[:80]!r}: give scheme and host, such as https://music.example.org; no path"
        )
    return text.lower()


def _is_loopback(host: str) -> bool:
    """Whether an address reaches this machine alone."""
    addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)
