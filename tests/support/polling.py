"""Waiting for something observable, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ("wait_until",)

INTERVAL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 15.0) -> None:
    """Return when the condition holds; fail the test with `what` when it does not within the seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(INTERVAL_SECONDS)
