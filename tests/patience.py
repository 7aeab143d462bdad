"""How long a test waits for an event before it fails."""

from typing import Final

PATIENCE: Final = 120.0
"""Seconds. No law is about this time: on a machine with ten times the work that it can do, the event still comes sooner."""

BUSY: Final = 15.0
"""Seconds that a busy machine may take beyond a time that a law is about. Where the law is broken, a test takes much longer: a minute."""
