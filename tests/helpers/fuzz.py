"""How many hostile inputs a fuzz test tries: few where one waits for it, many by `make fuzz`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("MUSETUNE_FUZZ_EXAMPLES", "200"))


def fuzz(test: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a hypothesis test (above `@given`) as one that `make fuzz` runs, with EXAMPLES inputs, each time others.

    Example:
        @fuzz
        @given(text=st.text())
        def test_any_text(text): ...
    """
    unhurried = settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )
    return pytest.mark.fuzz(unhurried(test))
