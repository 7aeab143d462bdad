"""Calls over a few connections that stay open, made when they are due, whatever became of those before."""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks.samples import Traffic

_TOPICS = ("politics", "sports", "music", "food", "science", "travel", "health", "finance")
_END = b"\r\n\r\n"
_PATIENCE = 30.0
_MOST_WAITING = 2_000
"""Calls that wait for a connection at most: more are not made, and counted as errors."""


class FreshTraffic(Traffic):
    """Requests of 1.5 kB with 10 actions, none of whose ids and texts has ever been seen before."""

    def __init__(self, *, seed: int) -> None:
        super().__init__(actions=10, seed=seed)
        self._chance = random.Random(seed)

    def body(self, event_id: str) -> dict[str, Any]:
        """Make a Rank request."""
        chance = self._chance
        user = {"id": f"u{chance.getrandbits(48):x}", "city": f"c{chance.getrandbits(32):x}", "age": chance.randrange(16, 90)}
        return {"contextFeatures": [{"user": user}], "actions": [self._new_action() for _ in range(10)], "eventId": event_id}

    def reward(self) -> float:
        """Draw a click."""
        return float(self._chance.random() < 0.3)

    def part(self) -> float:
        """Draw a number from 0 to 1."""
        return self._chance.random()

    def _new_action(self) -> dict[str, Any]:
        chance = self._chance
        number = f"{chance.getrandbits(40):x}"
        article = {
            "title": f"t{number}",
            "topic": chance.choice(_TOPICS),
            "author": f"a{chance.getrandbits(24):x}",
            "words": chance.randrange(100, 3000),
            "age": round(chance.random(), 2),
        }
        return {"id": f"article-{number}", "features": [{"article": article}]}


class HungUpError(Exception):
    """The connection ended before the answer was there."""


class Wire(asyncio.Protocol):
    """One connection that stays open, one call at a time; it spends little, since it shares the machine with whom it calls."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._got = bytearray()

    @staticmethod
    async def opened(port: int) -> "Wire":
        """Connect to a port of 127.0.0.1; raises `OSError`."""
        _, wire = await asyncio.get_running_loop().create_connection(Wire, "127.0.0.1", port)
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that it is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_open = transport, True

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._got += data
        head, end, body = bytes(self._got).partition(_END)
        if not end:
            return
        lowered = head.lower()
        _, _, told = lowered.partition(b"\r\ncontent-length:")
        if len(body) < int(told.split(b"\r\n", 1)[0] or 0):
            return
        self._got.clear()
        if b"\r\nconnection: close" in lowered:
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that there will be no answer."""
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(HungUpError("the connection ended"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and give its answer's status and body; raises `HungUpError`, or `TimeoutError` after half a minute."""
        if self._transport is None or not self.is_open:
            raise HungUpError("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(_PATIENCE):
            return await self._answer

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service listens on 127.0.0.1, and its key."""

    port: int
    key: str

    def request(self, path: str, body: bytes, *, method: str = "POST") -> bytes:
        """Lay out a request."""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nOcp-Apim-Subscription-Key: {self.key}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def rank(self, body: dict[str, Any]) -> bytes:
        """Lay out a Rank call."""
        return self.request("/personalizer/v1.0/rank", orjson.dumps(body))

    def reward(self, event_id: str, value: float) -> bytes:
        """Lay out a Reward call."""
        return self.request(f"/personalizer/v1.0/events/{event_id}/reward", orjson.dumps({"value": value}))


@dataclass(slots=True)
class Tally:
    """The seconds of each call, from when it was due until its answer was there; and what was no success."""

    rank: list[float] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Take what another counted as well."""
        self.rank += other.rank
        self.reward += other.reward
        self.errors += other.errors


class Callers:
    """Calls a service over a few connections; those that are closed are opened again."""

    def __init__(self, place: Place, *, connections: int = 8) -> None:
        self._place = place
        self._free: asyncio.Queue[Wire | None] = asyncio.Queue()
        for _ in range(connections):
            self._free.put_nowait(None)
        self._waiting = 0

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Make a call when a connection is free; raises `HungUpError`, `OSError` and `TimeoutError`."""
        if self._waiting >= _MOST_WAITING:
            raise HungUpError("too many calls wait")
        self._waiting += 1
        try:
            wire = await self._free.get()
        finally:
            self._waiting -= 1
        try:
            if wire is None or not wire.is_open:
                wire = None
                wire = await Wire.opened(self._place.port)
            return await wire.ask(request)
        except BaseException:
            if wire is not None:
                wire.close()
            raise
        finally:
            self._free.put_nowait(wire)

    async def close(self) -> None:
        """Close the connections that are free; the next calls open them again."""
        for _ in range(self._free.qsize()):
            wire = self._free.get_nowait()
            if wire is not None:
                wire.close()
            self._free.put_nowait(None)

    async def play(self, traffic: FreshTraffic, *, rate: float, seconds: float) -> Tally:
        """Rank so often a second, and reward each event half a second after its answer; returns when all calls are answered."""
        tally, begin = Tally(), time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(rate * seconds)):
                due = begin + number / rate
                await asyncio.sleep(due - time.perf_counter())
                tasks.create_task(self._event(traffic, due, tally))
        return tally

    async def _event(self, traffic: FreshTraffic, due: float, tally: Tally) -> None:
        event_id = secrets.token_hex(16)
        if not await self._timed(self._place.rank(traffic.body(event_id)), due, tally.rank, tally.errors):
            return
        due = time.perf_counter() + 0.5
        await asyncio.sleep(0.5)
        await self._timed(self._place.reward(event_id, traffic.reward()), due, tally.reward, tally.errors)

    async def _timed(self, request: bytes, due: float, taken: list[float], errors: list[str]) -> bool:
        try:
            status, body = await self.ask(request)
        except (HungUpError, OSError, TimeoutError) as error:
            errors.append(f"{type(error).__name__}: {error}")
            return False
        taken.append(time.perf_counter() - due)
        if status >= 300:
            errors.append(f"{status}: {body[:200].decode(errors='replace')}")
        return status < 300


async def in_turn(wires: Sequence[Wire], requests: Iterator[bytes], seconds: float) -> tuple[float, int]:
    """Have each connection make one call after another; gives the answers a second, and how many were no success."""
    done = failed = 0
    begin = time.perf_counter()
    until = begin + seconds

    async def caller(wire: Wire) -> None:
        nonlocal done, failed
        while time.perf_counter() < until:
            request = next(requests, None)
            if request is None:
                raise ValueError("there are not enough requests for so many seconds")
            status, _ = await wire.ask(request)
            done += 1
            failed += status >= 300

    await asyncio.gather(*(caller(wire) for wire in wires))
    return done / (time.perf_counter() - begin), failed
