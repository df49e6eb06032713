"""What a job spent its time on, read from its events: every wait in the queue, every attempt, every stage of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from musetune.serve.service.jobs import FINAL, JobEvent


@dataclass(frozen=True)
class StageTime:
    """A stage of an attempt: its name, such as "denoising", and when it began and ended, seconds since 1970."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class AttemptTime:
    """One attempt at a job, the wait before it included.

    Attributes:
        number: From 1 on; 0 where the job ended while it waited.
        queued: When the wait began, seconds since 1970; so are ``started`` and ``ended``.
        started: When a worker began; None where none did.
        ended: When it was over.
        outcome: succeeded, failed or cancelled; "queued" where the job went back to the queue.
        cause: Why it did.
        stages: What the worker did, in order.
        died: Whether its worker died, and was not stopped in order.
    """

    number: int
    queued: float
    started: float | None
    ended: float
    outcome: str
    cause: str = ""
    stages: tuple[StageTime, ...] = field(default=())
    died: bool = False


def read_timeline(events: Sequence[JobEvent]) -> list[AttemptTime]:
    """The attempts that the events of an ended job tell of.

    Args:
        events: All events of one job, in their order. Kinds that are unknown here are passed over.

    Example:
        >>> kinds = ["queued", "running", "progress", "succeeded"]
        >>> events = [JobEvent(at, float(at), kind, {"stage": "denoising"}) for at, kind in enumerate(kinds, 1)]
        >>> [attempt] = read_timeline(events)
        >>> attempt.started - attempt.queued, [(stage.name, stage.end - stage.start) for stage in attempt.stages]
        (1.0, [('denoising', 1.0)])
    """
    attempts: list[AttemptTime] = []
    queued = events[0].at if events else 0.0
    number, started, begun = 0, None, list[tuple[str, float]]()
    for event in events:
        if event.kind == "running":
            number, started, begun = int(event.data.get("attempt", number + 1)), event.at, []
        elif event.kind == "progress":
            stage = str(event.data.get("stage", ""))
            if stage and (not begun or begun[-1][0] != stage):
                begun.append((stage, event.at))
        elif event.kind in FINAL or (event.kind == "queued" and started is not None):
            ends = [at for _, at in begun[1:]] + [event.at]
            stages = tuple(StageTime(name, at, end) for (name, at), end in zip(begun, ends))
            cause = str(event.data.get("cause", ""))
            counted = number if started is not None else 0
            died = event.kind == "queued" and bool(event.data.get("death", True))
            attempts.append(AttemptTime(counted, queued, started, event.at, event.kind, cause, stages, died))
            queued, started, begun = event.at, None, []
    return attempts
