"""The client for asyncio: the same, and no call waits in the event loop."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from open_personalizer.client import AnswerOf, Engine, Personalizer, Promise, WhenFull, activation, not_stored, observation
from open_personalizer.deciding import Decided
from open_personalizer.errors import QueueFullError
from open_personalizer.health import Health
from open_personalizer.rankings import Ranking, SlotsRanking
from open_personalizer.records import Record
from open_personalizer.requests import Action, Features, Slot


class AsyncPersonalizer:
    """`Personalizer` for asyncio, with the same arguments and promises. Decisions are made in the event loop: they take microseconds."""

    def __init__(
        self,
        endpoint: str,
        key: str,
        *,
        promise: Promise = "spooled",
        when_full: WhenFull = "wait",
        timeout: float = 10.0,
        queue_bytes: int | None = None,
        spool: Path | str | None = None,
        fsync: bool = False,
        poll_seconds: float | None = None,
        http: urllib3.PoolManager | None = None,
    ) -> None:
        self._client = Personalizer(
            endpoint,
            key,
            promise=promise,
            when_full=when_full,
            timeout=timeout,
            queue_bytes=queue_bytes,
            spool=spool,
            fsync=fsync,
            poll_seconds=poll_seconds,
            http=http,
        )

    async def rank(
        self,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        *,
        excluded: Sequence[str] = (),
        event_id: str | None = None,
        defer: bool = False,
    ) -> Ranking:
        """Do as `Personalizer.rank`."""
        engine, decided = self._client.decided(context, actions, excluded=excluded, event_id=event_id, defer=defer)
        return await self._kept(engine, decided)

    async def rank_slots(
        self,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        slots: Sequence[Slot],
        *,
        event_id: str | None = None,
        defer: bool = False,
    ) -> SlotsRanking:
        """Do as `Personalizer.rank_slots`."""
        engine, decided = self._client.decided_slots(context, actions, slots, event_id=event_id, defer=defer)
        return await self._kept(engine, decided)

    async def reward(self, event_id: str, value: float, *, slot: str | None = None, id: str | None = None) -> None:
        """Do as `Personalizer.reward`."""
        await self._tell(observation(event_id, value, slot, id))

    async def activate(self, event_id: str) -> None:
        """Do as `Personalizer.activate`."""
        await self._tell(activation(event_id))

    async def wait_until_ready(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as the other client has it
        """Do as `Personalizer.wait_until_ready`."""
        return await asyncio.to_thread(self._client.wait_until_ready, timeout)

    @property
    def health(self) -> Health:
        """How this client does."""
        return self._client.health

    async def close(self, timeout: float = 10.0) -> int:  # noqa: ASYNC109 - as the other client has it
        """Do as `Personalizer.close`."""
        return await asyncio.to_thread(self._client.close, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _kept(self, engine: Engine, decided: Decided[AnswerOf]) -> AnswerOf:
        record = self._client.awaited(decided.record)
        waits = engine.options.when_full == "wait"
        try:
            await self._put(engine, record, waits=waits)
        except QueueFullError:
            if waits:
                raise
            engine.tally.count(not_logged=1)
            return decided.fallback()
        await self._stored(engine, record)
        return decided.answer

    async def _tell(self, record: Record) -> None:
        engine = self._client.engine
        await self._put(engine, self._client.awaited(record), waits=True)
        await self._stored(engine, record)

    async def _put(self, engine: Engine, record: Record, *, waits: bool) -> None:
        queue, timeout = engine.queue, engine.options.timeout
        if engine.options.fsync:
            await asyncio.to_thread(queue.put, record, timeout if waits else 0.0)
            return
        try:
            queue.put(record, 0.0)
        except QueueFullError:
            if not waits:
                raise
            await asyncio.to_thread(queue.put, record, timeout)

    async def _stored(self, engine: Engine, record: Record) -> None:
        if record.outcome is None:
            return
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(record.outcome)), engine.options.timeout)
        except TimeoutError as cause:
            raise not_stored(engine, record) from cause
