"""The time that a run has trained for, over all the processes in which it went on."""

from __future__ import annotations

from time import monotonic


class TrainingClock:
    """Counts a run's time and ends it; what `spent_s` says goes into the checkpoint, and back in when a run goes on.

    The time is read once a step, by `tick`, so that a checkpoint and the decision to end agree.

    Args:
        minutes: After which training ends; 0: never.
        spent_s: Seconds that the run had trained for when its checkpoint was written.

    Example:
        >>> clock = TrainingClock(37.0, spent_s=18.5 * 60)
        >>> clock.is_over, round(clock.share_done(100, 9000), 2)
        (False, 0.5)
    """

    def __init__(self, minutes: float, spent_s: float = 0.0) -> None:
        self.minutes, self.spent_s = minutes, spent_s
        self._read_s = monotonic()

    def tick(self) -> None:
        """Read the time."""
        now = monotonic()
        self.spent_s += now - self._read_s
        self._read_s = now

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return self.minutes > 0 and self.spent_s >= 60 * self.minutes

    def share_done(self, step: int, steps: int) -> float:
        """How much of the run is done, 0…1: by steps or by time, whichever ends it first."""
        by_time = self.spent_s / (60 * self.minutes) if self.minutes > 0 else 0.0
        return min(1.0, max(step / steps, by_time))
