"""Takes the connections of a listening socket that other processes have as well, so that each gets its share."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

LATER: Final = 0.0003
"""Seconds that a process lets pass before it takes connections, for each that it has already."""

LONGEST: Final = 0.003
"""And at most."""

SHARE: Final = 1 / 8
"""How many it takes then, beside one, for each that it has already: one that has many is not to be slow."""

NO_ROOM: Final = 1.0
"""Seconds until the next try when the process may open no more files."""

log = logging.getLogger("local.host")


class Accepting:
    """One listening socket, as one of its processes sees it: whoever has the fewest connections takes the next.

    All of them are woken by a connection. Left alone, the one that wakes first takes all of a burst, and clients keep what they have.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        *,
        count: Callable[[], int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``make`` gives a connection its protocol, ``count`` tells how many this process has."""
        listener.setblocking(False)
        self._listener = listener
        self._make = make
        self._count = count
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[object]] = set()
        self._is_closed = False
        self._listen()

    def close(self) -> None:
        """Take no more connections; the socket stays open, for the others."""
        self._is_closed = True
        self._loop.remove_reader(self._listener)
        if self._due is not None:
            self._due.cancel()
            self._due = None

    @property
    def is_waiting(self) -> bool:
        """Whether it lets others go first just now."""
        return self._due is not None

    @property
    def is_beginning(self) -> bool:
        """Whether a connection was taken that has no protocol yet."""
        return bool(self._beginning)

    def _listen(self) -> None:
        self._due = None
        if not self._is_closed:
            self._loop.add_reader(self._listener, self._wait)

    def _wait(self) -> None:
        """Let those go first that have fewer connections."""
        self._loop.remove_reader(self._listener)
        self._due = self._loop.call_later(min(LATER * self._had(), LONGEST), self._take)

    def _had(self) -> int:
        return self._count() + len(self._beginning)

    def _take(self) -> None:
        for _ in range(1 + int(SHARE * self._had())):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, ConnectionError, InterruptedError):  # another process has it, or it is gone
                break
            except OSError as error:
                log.error("a connection cannot be taken", extra={"error": str(error)})
                self._due = self._loop.call_later(NO_ROOM, self._listen)
                return
            self._take_up(connection)
        self._listen()

    def _take_up(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = self._loop.create_task(self._begin(connection))
        self._beginning.add(begun)
        begun.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection, ssl=self._tls)
        except OSError as error:  # a handshake that fails is one as well
            log.debug("a connection did not begin", extra={"error": str(error)})
            connection.close()
