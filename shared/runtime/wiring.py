"""All loops of a process, joined: a loop is put together when it is first asked for, and let go when it is gone."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from shared.domain.clock import Clock
from shared.domain.errors import AccessDeniedError, ResourceNotFoundError, UnreadableError
from shared.domain.loop import DEFAULT_LOOP, LoopRecord, is_loop_name
from shared.domain.recent import Recent
from shared.runtime.assembly.log import build_erasure
from shared.runtime.assembly.process import build_common, build_rooms
from shared.runtime.auth import check_key, is_known, refusal
from shared.runtime.latency import Latencies
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import AppSettings
from shared.services.serving.model_server import Polling
from shared.storage.copying.mark import check_whole
from shared.storage.ports import Storage

if TYPE_CHECKING:
    from shared.services.loops.loops import Loops

_NAMES_REMEMBERED = 1_000
"""Of loops that are not there: asking for one again and again costs storage nothing."""

_WRITTEN_AFTER = timedelta(days=1)
"""How long after a loop's end a process that had not heard of it may have written."""

_UNUSED: Final = 3_600.0
"""Seconds after which what serves a loop is let go in a process that nobody asks for it; the next call builds it again."""
_SWEPT_EVERY: Final = 60.0

_OF_A_CLIENT = "Access denied: this is a client key, which may only rank, reward and activate. Send one of the loop's other keys."
_OF_A_LOOP = "one of the keys of this loop, and that there is a loop of this name"


@dataclass(frozen=True, slots=True)
class _Absent:
    """A loop that was not there: until when that is believed, and whose keys opened it once."""

    until: float
    key_digests: Sequence[str]


class Deployment:
    """All loops of the app in this process: what serves one is built when it is first asked for, and let go when it is deleted.

    ``storage``, ``clock`` and ``polling`` take the place of the real ones, for tests.
    """

    def __init__(
        self, settings: AppSettings, *, storage: Storage | None = None, clock: Clock | None = None, polling: Polling | None = None
    ) -> None:
        self._common = common = build_common(settings, storage=storage, clock=clock, polling=polling)
        self.settings, self.storage, self.host_storage, self.clock = settings, common.storage, common.host_storage, common.clock
        self.polling, self.shared, self.store, self.jobs = common.polling, common.shared, common.store, common.jobs
        self.rooms = build_rooms()
        self.latencies = Latencies(self.clock.now())
        self._present: dict[str, LoopServices] = {}
        self._asked: dict[str, float] = {}
        self._swept = time.monotonic()
        self._absent: Recent[_Absent] = Recent(size=_NAMES_REMEMBERED, longest=64)
        self._is_whole = False

    @property
    def loops(self) -> "Loops":
        """The loops, made, changed and deleted."""
        return self._common.loops

    async def admit(self, loop: str, headers: Mapping[str, str], *, by_client_key: bool = False) -> LoopServices:
        """Give a loop's services to the holder of one of its keys; raises `AccessDeniedError` for everyone else.

        ``by_client_key`` says whether a client key will do. Raises `ResourceNotFoundError` when there is no such loop and the caller
        holds a key of the default loop, of the administrator or of the loop that was there: to others a loop that is not there looks
        like one whose key they lack.
        """
        services = await self.find(loop)
        if services is not None and is_known(headers, services.key_digests):
            return services
        if services is not None and is_known(headers, services.client_digests):
            if by_client_key:
                return services
            raise AccessDeniedError(_OF_A_CLIENT)
        if loop == DEFAULT_LOOP and services is not None:
            check_key(headers, services.key_digests)
            return services
        if services is None and is_known(headers, await self._may_know_of(loop)):
            raise ResourceNotFoundError(f"there is no loop {loop[:40]!r}")
        raise refusal(headers, _OF_A_LOOP)

    async def find(self, loop: str) -> LoopServices | None:
        """Give the services of a loop that is there, which is polled for from now on.

        Storage is asked for a loop that is new to this process, and whether one is still as it was that nobody called for lately; raises
        as `shared.domain.ports.LoopStore`.
        """
        present = self._present.get(loop)
        if present is not None and not present.models.watch():
            await present.models.catch_up()
        if present is None or not present.is_current:
            present = None if self._is_known_absent(loop) else await self._look_for(loop)
            if present is not None:
                present.models.watch()
        if present is not None:
            self._asked[loop] = time.monotonic()
        return present

    async def fresh(self, loop: str) -> LoopServices | None:
        """Give the services of a loop that is there, by its record as it is stored now; raises as `find`."""
        record = await self.record(loop)
        self._let_go_of_unused()
        if not record.is_there:
            self._let_go(loop)
            return None
        self._asked[loop] = time.monotonic()
        return self.services_of(record)

    async def names(self) -> Sequence[str]:
        """List the loops, deleted ones among them: the default one, then by name."""
        return [DEFAULT_LOOP, *[name for name in await self.store.names() if name != DEFAULT_LOOP]]

    async def record(self, loop: str) -> LoopRecord:
        """Read a loop's record; an empty one if there is none.

        Of the default loop one that cannot be read leaves the app's settings in force, but with the keys that are in it. Raises
        `StorageUnavailableError` while storage is a copy that is not whole.
        """
        if not self._is_whole:  # a copy that was ended is never begun again while a service works with it
            await check_whole(self.storage)
            self._is_whole = True
        try:
            stored = await self.store.read(loop)
        except UnreadableError:
            if loop != DEFAULT_LOOP:
                raise
            return await self.store.keys_of(loop)
        return LoopRecord(loop) if stored is None else stored[0]

    def services_of(self, record: LoopRecord) -> LoopServices:
        """Give what serves this life of the loop, built if it is not there yet."""
        present = self._present.get(record.name)
        if present is None or present.place != record.place:
            self._let_go(record.name)
            present = self._present[record.name] = LoopServices.of(record, self._common, looked=self._looked)
        return present

    async def note(self, record: LoopRecord) -> None:
        """Follow a change that was made through this process at once."""
        self._absent.put(record.name.encode(), _Absent(0.0, ()))
        present = self._present.get(record.name)
        if present is None:
            return
        present.configuration.note(record)
        if record.is_there and record.place == present.place:
            await asyncio.to_thread(present.models.refresh)
        else:
            self._let_go(record.name)

    async def erase(self, loop: str) -> None:
        """Erase what lives of this loop that ended left behind; a place where something may still be written is looked at again."""
        ended = (await self.record(loop)).remains
        if not ended:
            return
        for remains in ended:
            is_empty = await build_erasure(self._common, remains.place).run()
            if is_empty and self.clock.now() - remains.ended_at > _WRITTEN_AFTER:
                await self.loops.erased(loop, remains)

    async def close(self) -> None:
        """Stop the polling threads and close the connections."""
        self.polling.stop()
        await self.storage.close()
        await self.host_storage.close()

    async def _look_for(self, loop: str) -> LoopServices | None:
        if not is_loop_name(loop):
            return None
        record = await self.record(loop)
        if record.is_there:
            return self.services_of(record)
        self._let_go(loop)
        until = time.monotonic() + self.settings.model_poll_interval.total_seconds()
        self._absent.put(loop.encode(), _Absent(until, record.keys))
        return None

    def _is_known_absent(self, loop: str) -> bool:
        absent = self._absent.get(loop.encode("utf-8", "surrogatepass"))
        return absent is not None and time.monotonic() < absent.until

    async def _may_know_of(self, loop: str) -> Sequence[str]:
        default = await self.find(DEFAULT_LOOP)
        absent = self._absent.get(loop.encode("utf-8", "surrogatepass"))
        return [*self.settings.admin_digests, *(default.key_digests if default else ()), *(absent.key_digests if absent else ())]

    def _let_go(self, loop: str) -> None:
        present = self._present.pop(loop, None)
        self._asked.pop(loop, None)
        if present is not None:
            present.let_go()

    def _looked(self, loop: str) -> None:
        """Let go of a loop of which a look told that it is gone."""
        present = self._present.get(loop)
        if present is not None and not present.is_current:
            self._let_go(loop)
        self._let_go_of_unused()

    def _let_go_of_unused(self) -> None:
        """Let go of what nobody has asked for, in case that nobody tells this process of its end either."""
        now = time.monotonic()
        if now - self._swept < _SWEPT_EVERY:
            return
        self._swept = now
        for loop in [name for name in list(self._present) if now - self._asked.get(name, now) > _UNUSED]:
            self._let_go(loop)


def build(settings: AppSettings, *, storage: Storage | None = None, clock: Clock | None = None) -> LoopServices:
    """Put the default loop together by itself, for tools; ``storage`` and ``clock`` take the place of the real ones, for tests."""
    return Deployment(settings, storage=storage, clock=clock).services_of(LoopRecord(DEFAULT_LOOP))
