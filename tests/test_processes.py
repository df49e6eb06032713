"""The pool goes on when an item kills its process."""

from __future__ import annotations

import os
import signal

import pytest

from musetune.processes import crash_safe_map


def work(item: int) -> int:
    if item < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


@pytest.mark.slow
def test_crash_costs_only_its_item() -> None:
    assert list(crash_safe_map(work, [2, -1, 3], 1)) == [(2, 4), (-1, None), (3, 9)]


def test_without_processes() -> None:
    assert list(crash_safe_map(work, [3, 1], 0)) == [(3, 9), (1, 1)]
