"""What systemd is told of the service: that it is ready, that it stops, and that it is alive."""

import contextlib
import os
import socket
from collections.abc import Mapping

OF_SYSTEMD = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
"""What it says to the process that it started, and to none of that one's children."""


class Systemd:
    """The manager that started this process; where none did, nothing happens."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        waits = environment.get("WATCHDOG_USEC", "") if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()) else ""
        self.asks_every = int(waits) / 1e6 / 3 if waits else None
        """Seconds between two signs of life, of which it may miss two; None when it waits for none."""

    def ready(self) -> None:
        """Say that calls are answered."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Say that calls are still answered."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that it ends."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.sendto(state.encode(), self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address)
