"""A service as a place that the page sends its work to: it is submitted, followed, and cancelled where nobody waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

from musetune.client import JobStatus, ServiceClient, ServiceError

Answer = TypeVar("Answer")
POLL_S = 0.5  # how often a job is asked for: 120 requests a minute, of the 300 that a key has by default
BUSY = ("rate", "queue-full")  # codes of refusals that pass
GONE = ("no-such-job", "no-such-file")  # codes where an earlier job's files are not kept any more


class ServiceQueue:
    """A service as a place that work is sent to: its refusals come back as ValueErrors in its own words.

    Args:
        client: The client.
        url: Where the service is, for messages.
    """

    def __init__(self, client: ServiceClient, url: str) -> None:
        self.client, self.url = client, url

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """What the service answers. Raises ValueError where it refuses or does not answer."""
        try:
            return request()
        except ServiceError as error:
            raise ValueError(f"the service at {self.url}: {error}") from error
        except httpx.TransportError as error:
            raise ValueError(
                f"the service at {self.url} does not answer ({error}): start it, then try again"
            ) from error

    def follow(self, job: JobStatus, check: Callable[[JobStatus], None]) -> JobStatus:
        """Wait for a job.

        Args:
            job: As it was submitted.
            check: Called about every POLL_S with the job; what it raises cancels the job.

        Raises:
            ValueError: The job failed.
        """
        try:
            while not job.final:
                check(job)
                time.sleep(POLL_S)
                job = self._poll(job)
        except BaseException:
            self.ask(lambda: self.client.cancel(job.id))
            raise
        if job.state != "succeeded":
            raise ValueError(f"the service at {self.url}: {job.error.detail if job.error else 'the job was cancelled'}")
        return job

    def _poll(self, job: JobStatus) -> JobStatus:
        """A job as it is now, or as it was where the service has no time for the question."""
        try:
            return self.client.job(job.id)
        except ServiceError as error:
            if error.problem.code not in BUSY:
                raise ValueError(f"the service at {self.url}: {error}") from error
        except httpx.TransportError:
            pass  # it may have been started again: the job lives on, and `check` says how long anybody waits
        return job
