"""Suites: sets of lead sheets that are played and judged, for `musetune evaluate`."""

from musetune.suites.run import SUITES, run_suite

__all__ = ["SUITES", "run_suite"]
