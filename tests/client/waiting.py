"""Waits for facts."""

import time
from collections.abc import Callable

from tests.patience import PATIENCE


def until(holds: Callable[[], object]) -> None:
    """Wait until this holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.005)
