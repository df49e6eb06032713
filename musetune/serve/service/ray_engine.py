"""`musetune serve --engine ray`: the same application as deployments of Ray Serve.

    api          the HTTP application, its dispatchers, and what tends the store; beside the cluster's head
    generation   replicas that hold a pipeline each, routed by the adapters that they have loaded
    analysis     replicas that hold an analyser's process each

The last two scale by the number of jobs that wait.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve

from musetune.datasets.engines import ray_cluster
from musetune.serve.service.access import ApiKeys
from musetune.serve.service.jobs import JobStore
from musetune.serve.service.monitoring import set_up_logs
from musetune.serve.service.ray_pool import RayPool
from musetune.serve.service.ray_replica import JobReplica, gpus_of_replica
from musetune.serve.service.service import JobService, runner_factories
from musetune.serve.service.settings import ServiceSettings
from musetune.serve.service.stores import open_store
from musetune.serve.service.tracing import Tracing

APPLICATION = "musetune"
LOADED_ADAPTERS = 4  # mixes of genre adapters that a replica keeps loaded
HEAD = "node:__internal_head__"  # a resource that the cluster's head alone has
STOP_S = 30.0  # beyond the drain's time, for a replica to end


@dataclass(frozen=True)
class ClusterSettings:
    """How the service lies on a cluster.

    Attributes:
        address: Of the cluster; None: $RAY_ADDRESS, else one of this machine is started.
        host: Address that the proxies serve on.
        port: Their port.
        every_node: Whether every machine has a proxy, or the head alone.
        idle_seconds: How long there must be too little to do for a replica until it goes.
    """

    address: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    every_node: bool = False
    idle_seconds: float = 300.0


class AdapterMix:
    """Genre adapters that a replica has loaded for some requests; when it is dropped, those that no other needs go.

    Args:
        pipe: The replica's pipeline.
        names: The adapters.
        users: How many mixes need each adapter, shared by all mixes of the replica.
        loras: Adapters of one's own, by name and folder.
    """

    def __init__(
        self, pipe: Any, names: list[str], users: dict[str, int], loras: Sequence[tuple[str, str]] = ()
    ) -> None:
        from musetune.serve.service.runner import load_loras
        from musetune.serve.work import genre_folders, stack

        self.pipe, self.users = pipe, users
        load_loras(pipe, [one for one in loras if one[0] in names])
        stack(pipe, [folder for folder in genre_folders() if folder.name in names])
        self.names = [name for name in names if name in pipe.adapters]
        for name in self.names:
            users[name] = users.get(name, 0) + 1

    def unload(self) -> None:
        """Drop the adapters that no other mix needs."""
        names, self.names = getattr(self, "names", []), []  # Serve calls it, and the collector once more
        for name in names:
            self.users[name] -= 1
            if not self.users[name] and name in self.pipe.adapters:
                self.pipe.unload_adapter(name)

    def __del__(self) -> None:  # by Serve, when another mix takes its place
        self.unload()


class GenerationDeployment:
    """A replica that generates. A request names a job, and Serve knows which adapters it needs."""

    def __init__(self, settings: ServiceSettings) -> None:
        from musetune.serve.work import genres_of

        self.replica = make_replica(settings, "generation")
        self._pipe = self.replica.runner.pipe  # type: ignore[attr-defined]
        self._users: dict[str, int] = {}
        self._loras = settings.loras
        for name in genres_of(self._pipe):  # each comes with the first request for it
            self._pipe.unload_adapter(name)

    @serve.multiplexed(max_num_models_per_replica=LOADED_ADAPTERS)
    async def load(self, names: str) -> AdapterMix:
        """Load the adapters of a request; Serve calls it once for each mix that it routes here."""
        return await asyncio.to_thread(AdapterMix, self._pipe, names.split("+"), self._users, self._loras)

    async def perform(self, job_id: str) -> str:
        """Do a job."""
        if names := serve.get_multiplexed_model_id():
            await self.load(names)
        return await asyncio.to_thread(self.replica.perform, job_id)


class AnalysisDeployment:
    """A replica that analyses."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.replica = make_replica(settings, "analysis")

    async def perform(self, job_id: str) -> str:
        """Do a job."""
        return await asyncio.to_thread(self.replica.perform, job_id)


def make_replica(settings: ServiceSettings, kind: str) -> JobReplica:
    """The inside of a replica, in its own process."""
    set_up_logs()
    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)
    make = runner_factories(settings)[kind]
    return JobReplica(kind, open_store(settings), make, settings.folder, settings.max_job_seconds)


class ServiceApi:
    """The HTTP application in a replica; its handles lead to the deployments that do the jobs."""

    def __init__(self, settings: ServiceSettings, keys: ApiKeys, host: str, generation: Any, analysis: Any) -> None:
        self.settings, self.keys, self.host = settings, keys, host
        self.handles = {"generation": generation, "analysis": analysis}

    def __serve_build_asgi_app__(self) -> Any:
        from musetune.serve.service.app import build_app

        set_up_logs()
        service = JobService(self.settings, Tracing.from_environment(), self._pools)
        return build_app(service, self.keys, self.host)

    def _pools(self, store: JobStore) -> dict[str, RayPool]:
        counts = {"generation": self.settings.workers, "analysis": self.settings.analysers}
        return {kind: RayPool(kind, handle, store, counts[kind]) for kind, handle in self.handles.items()}


def build_application(settings: ServiceSettings, keys: ApiKeys, cluster: ClusterSettings, gpus: int = 0) -> Any:
    """The deployments, bound to each other.

    Args:
        settings: Of the service; ``workers`` and ``analysers`` are the most replicas that there may be.
        keys: Who may use it.
        cluster: Where it is served, and how long idle replicas stay.
        gpus: That each replica which generates has for itself.
    """

    def scaled(body: Callable[..., Any], name: str, most: int, gpus: int = 0) -> Any:
        return serve.deployment(
            body,
            name=name,
            max_ongoing_requests=1,
            autoscaling_config={
                "min_replicas": 1,
                "max_replicas": most,
                "target_ongoing_requests": 1,
                "metrics_interval_s": 1,
                "look_back_period_s": 5,
                "upscale_delay_s": 5,
                "downscale_delay_s": cluster.idle_seconds,
            },
            ray_actor_options={"num_cpus": settings.threads or 1, "num_gpus": gpus},
            graceful_shutdown_timeout_s=settings.drain_seconds + STOP_S,
            health_check_period_s=5,
            health_check_timeout_s=60,  # a replica that loads or computes may answer late
        )

    generation = scaled(GenerationDeployment, "generation", settings.workers, gpus)
    analysis = scaled(AnalysisDeployment, "analysis", settings.analysers)
    api: Any = serve.deployment(
        serve.ingress()(ServiceApi),
        name="api",
        num_replicas=1,
        max_ongoing_requests=512,
        ray_actor_options={"num_cpus": 0, "resources": {HEAD: 0.001}},
        graceful_shutdown_timeout_s=settings.drain_seconds + STOP_S,
    )
    return api.bind(settings, keys, cluster.host, generation.bind(settings), analysis.bind(settings))


def run(settings: ServiceSettings, keys: ApiKeys, cluster: ClusterSettings, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM comes.

    Args:
        settings: Of the service; its folder lies where all machines see it.
        keys: Who may use it.
        cluster: Where.
        ready: Called once the deployments are up.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: There is no cluster at the address.
        ValueError: The settings name one GPU of one machine.
    """
    gpus_of_replica(settings.device, 0)  # before anything is started
    end = threading.Event()
    with ray_cluster(cluster.address, os.cpu_count()):
        location = "EveryNode" if cluster.every_node else "HeadOnly"
        options = {"host": cluster.host, "port": cluster.port}
        serve.start(proxy_location=location, http_options=options)
        try:
            gpus = gpus_of_replica(settings.device, ray.cluster_resources().get("GPU", 0))
            serve.run(build_application(settings, keys, cluster, gpus), name=APPLICATION, route_prefix="/")
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: end.set())
            ready()
            end.wait()
        finally:
            serve.shutdown()
