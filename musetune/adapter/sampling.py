"""How a LoRA of few steps is to be sampled: what its metadata say of scheduler and steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from musetune.formats.json_object import object_field

if TYPE_CHECKING:
    from typing import Self

    from diffusers.schedulers.scheduling_utils import SchedulerMixin

SCHEDULERS = ("DDIMScheduler", "LCMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler")
MOST_STEPS = 1000
_FIELDS = ("steps", "fewest", "most")


@dataclass(frozen=True)
class Sampling:
    """Scheduler and number of steps that a LoRA of few steps was distilled for.

    Attributes:
        overrides: what its scheduler has otherwise than the base's, as diffusers' configurations name it;
            "_class_name" is one of ``SCHEDULERS``.
        steps: denoising steps that it is made for.
        fewest: and most: between which it fits, 1–1000.
        most: see ``fewest``.

    Raises:
        ValueError: for another scheduler and for steps out of range or order.

    Example:
        >>> Sampling({"_class_name": "DDIMScheduler"}, 4, 4, 8).fits(20)
        False
    """

    overrides: Mapping[str, Any]
    steps: int
    fewest: int
    most: int

    def __post_init__(self) -> None:
        name = self.overrides.get("_class_name")
        if name not in SCHEDULERS:
            raise ValueError(f"its scheduler {name!r} is not one of {', '.join(SCHEDULERS)}")
        if not 1 <= self.fewest <= self.steps <= self.most <= MOST_STEPS:
            raise ValueError(
                f"its steps fewest={self.fewest}, steps={self.steps}, most={self.most} are not in this order within "
                f"1–{MOST_STEPS}"
            )

    def fits(self, steps: int) -> bool:
        """Return whether it was distilled for so many steps."""
        return self.fewest <= steps <= self.most

    def scheduler(self, base: Mapping[str, Any]) -> SchedulerMixin:
        """Return its scheduler; ``base`` is the configuration of the base's, from which the noise schedule is."""
        import diffusers

        options = {name: value for name, value in self.overrides.items() if not name.startswith("_")}
        kind = getattr(diffusers, self.overrides["_class_name"])
        scheduler: SchedulerMixin = kind.from_config(dict(base), **options)
        return scheduler

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as a LoRA's musetune.json holds them."""
        return {"scheduler": dict(self.overrides)} | {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> Self:
        """Return what ``to_json`` wrote.

        Raises:
            ValueError: for what is none.
        """
        scheduler = object_field(values, "scheduler", source)
        numbers = [values.get(name) for name in _FIELDS]
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            raise ValueError(f"its sampling must have whole numbers as {', '.join(_FIELDS)}")
        if not all(isinstance(value, str | int | float | bool | None) for value in scheduler.values()):
            raise ValueError("its sampling's scheduler must hold plain values")
        return cls(scheduler, *numbers)  # type: ignore[arg-type] # checked above
