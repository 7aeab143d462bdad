"""Connections of one port, taken by several: here by several in one process, each on a socket of its own that is the same."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from local.accepting import Accepting
from tests.patience import PATIENCE


class Taker:
    """One process of several: it has what it took."""

    def __init__(self, listener: socket.socket) -> None:
        self.has: set[asyncio.Protocol] = set()
        self.accepting = Accepting(listener, lambda: Greeting(self), count=lambda: len(self.has))


class Greeting(asyncio.Protocol):
    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._taker.has.add(self)
        transport.write(b"welcome")

    def connection_lost(self, exc: Exception | None) -> None:
        self._taker.has.discard(self)


class Place:
    """A port with its takers, and connections to it."""

    def __init__(self, count: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._port = self._listener.getsockname()[1]
        self._sockets = [self._listener.dup() for _ in range(count)]
        self.takers = [Taker(each) for each in self._sockets]
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.contextmanager
    def joined(self) -> Iterator[Taker]:
        """One more taker of the port."""
        with self._listener.dup() as listener:
            taker = Taker(listener)
            try:
                yield taker
            finally:
                taker.accepting.close()

    @property
    def shares(self) -> list[int]:
        return [len(taker.has) for taker in self.takers]

    async def connect(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        assert await asyncio.wait_for(reader.readexactly(7), PATIENCE) == b"welcome"

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._writers.clear()

    async def close(self) -> None:
        for taker in self.takers:
            taker.accepting.close()
        await self.hang_up()
        for each in (self._listener, *self._sockets):
            each.close()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = Place(4)
    yield made
    await made.close()


async def test_a_burst_of_connections_is_shared_evenly(place):
    await asyncio.gather(*(place.connect() for _ in range(64)))
    assert sum(place.shares) == 64
    assert min(place.shares) >= 8


async def test_one_that_comes_later_gets_the_next_connections_until_it_has_as_many(place):
    late = place.takers[0]
    late.accepting.close()
    await asyncio.gather(*(place.connect() for _ in range(30)))
    assert late.has == set()
    with place.joined() as again:
        for _ in range(6):
            await place.connect()
            while any(taker.accepting.is_waiting for taker in (*place.takers, again)):  # noqa: ASYNC110  # all begin alike
                await asyncio.sleep(0)
        assert len(again.has) >= 4


async def test_more_connections_than_a_pause_lets_by_one_at_a_time_are_all_taken(place):
    for _ in range(3):
        await asyncio.gather(*(place.connect() for _ in range(150)))
    assert sum(place.shares) == 450


async def test_where_nobody_takes_it_a_connection_waits_and_is_not_refused(place):
    for taker in place.takers:
        taker.accepting.close()
    waiting = asyncio.create_task(place.connect())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    with place.joined() as last:
        await waiting
        assert len(last.has) == 1
        await place.hang_up()
