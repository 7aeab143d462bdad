"""The embedded storage: `shared.storage.ports` on a folder of this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from shared.domain.clock import Clock
from shared.storage.embedded.catalogue import LISTED, Found, read_at
from shared.storage.embedded.engine import Engine, give_back, take
from shared.storage.embedded.failures import translated
from shared.storage.embedded.snapshots import snapshot
from shared.storage.embedded.tables import Asked, Page
from shared.storage.embedded.times import FolderTime
from shared.storage.ports import AbsentError, Content, Entry, FileStore, KeyRange, Message, QueueStore, Row, RowStore, Storage
from shared.storage.settings import FolderSettings
from shared.storage.waiting import Waiter

Answer = TypeVar("Answer")
BLOCK_BYTES: Final = 4 * 1024 * 1024


class EmbeddedStorage:
    """A store in a folder, as one event loop asks it; opened when it is first asked.

    ``clock`` takes the place of the machine's, for tests.
    """

    def __init__(self, settings: FolderSettings, *, clock: Clock | None = None, time: FolderTime | None = None) -> None:
        self._settings = replace(settings, path=settings.path.absolute())  # the process may go to another folder
        self._time = time or FolderTime(self._settings.path, clock)
        self._engine: Engine | None = None
        self._process = os.getpid()
        self._waiter: Waiter[Storage] | None = None

    @property
    def time(self) -> FolderTime:
        """The store's own time, beside the machine's clock."""
        return self._time

    @property
    def waiter(self) -> Waiter[Storage]:
        """The same store for threads that wait."""
        if self._waiter is None:
            self._waiter = Waiter(lambda: EmbeddedStorage(self._settings, time=self._time))
        return self._waiter

    @property
    def is_emulator(self) -> bool:
        """It is none: what stands on this machine beside a store is nobody's mirror."""
        return False

    @property
    def rows(self) -> RowStore:
        """Its tables."""
        return EmbeddedRows(self)

    def files(self, area: str) -> FileStore:
        """Give the files of an area."""
        return EmbeddedFiles(self, area)

    async def areas(self) -> Sequence[str]:
        """List the areas that have, or had, a file."""
        return await self.run("list the areas", lambda engine, due: engine.files.areas(due=due))

    def queue(self, name: str) -> QueueStore:
        """Give a queue."""
        return EmbeddedQueue(self, name)

    async def run(
        self, what: str, job: Callable[[Engine, float], Answer], *, sent_by: float | None = None, is_append: bool = False
    ) -> Answer:
        """Do a job on what this process has open of the store."""
        return await self._held().run(what, job, sent_by=sent_by, is_append=is_append)

    async def snapshot(self, to: Path, *, order: Callable[[str], Any] = str) -> None:
        """Copy the store to a folder that is not there, or empty, while it is used: files of one moment, and rows of no earlier one.

        Tables come one after the other, in this order of their names.

        Raises `SettingsError` for a folder that cannot be used, and `StorageUnavailableError` when the copy is not made.
        """
        await asyncio.to_thread(snapshot, self._held(), to, order=order)

    async def close(self) -> None:
        """Let go of connections; the next call opens them again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            await waiter.close()
        engine, self._engine = self._engine, None
        if engine is not None and self._process == os.getpid():
            await asyncio.to_thread(give_back, engine)

    def _held(self) -> Engine:
        if self._engine is None or self._process != os.getpid():  # a child of the process that it was opened in has nothing open
            self._engine, self._process = take(self._settings, self._time), os.getpid()
        return self._engine


class EmbeddedRows:
    """The tables of a store: `shared.storage.ports.RowStore`."""

    def __init__(self, storage: EmbeddedStorage) -> None:
        self._storage = storage

    async def put(self, table: str, row: Row) -> None:
        """Write a row in place of the one of its keys; raises `AbsentError`."""

        def job(engine: Engine, due: float) -> None:
            engine.time.keep()
            engine.tables.put(table, row, due=due)

        await self._storage.run(f"write to {table}", job, sent_by=self._storage.time.send_by(), is_append=True)

    async def read(
        self, table: str, chosen: KeyRange, *, select: Sequence[str] | None = None, page: int = 1_000
    ) -> AsyncIterator[Sequence[Row]]:
        """Give the rows of a range in the order of their keys, page by page."""
        after: tuple[str, str] | None = None
        while True:
            asked = Asked(chosen, None if select is None else frozenset(select), after, page)
            read = await self._storage.run(f"read {table}", partial(_page, table=table, asked=asked))
            if read is None:
                return
            if read.rows:
                yield read.rows
            if read.after is None:
                return
            after = read.after

    async def create(self, table: str) -> None:
        """Make a table unless it is there."""
        await self._storage.run(f"create {table}", lambda engine, due: engine.tables.create(table, due=due))

    async def drop(self, table: str) -> None:
        """Drop a table, if it is there."""
        await self._storage.run(f"drop {table}", lambda engine, due: engine.tables.drop(table, due=due))

    async def tables(self) -> Sequence[str]:
        """List the tables."""
        return await self._storage.run("list the tables", lambda engine, due: engine.tables.names(due=due))


class EmbeddedFiles:
    """The files of an area of a store: `shared.storage.ports.FileStore`."""

    def __init__(self, storage: EmbeddedStorage, area: str) -> None:
        self._storage = storage
        self._area = area

    async def read(self, name: str, *, unless: str = "") -> Content | None:
        """Read a file; None when there is none. Raises `NotModified` when its ETag is ``unless``."""
        return await self._storage.run(f"read {name}", lambda engine, due: engine.files.read(self._area, name, unless=unless, due=due))

    async def head(self, name: str, *, size: int) -> Content | None:
        """Read a file's first bytes, and its metadata."""
        return await self._storage.run(f"read {name}", lambda engine, due: engine.files.head(self._area, name, size=size, due=due))

    async def blocks(self, name: str) -> AsyncIterator[bytes]:
        """Read one state of a file, some MiB at a time."""
        reading = await self._storage.run(f"read {name}", lambda engine, due: _Reading.begun(engine, self._area, name, due))
        try:
            for at in range(0, reading.size, BLOCK_BYTES):
                yield await self._storage.run(f"read {name}", partial(_block, reading=reading, at=at))
        finally:
            reading.close()

    async def put(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None = None) -> str:
        """Write a file on condition; raises `ConflictError`."""

        def job(engine: Engine, due: float) -> str:
            engine.time.keep()  # a pointer tells until when the log was read: nothing is sealed before that later
            return engine.files.put(self._area, name, data, expected=expected, metadata=metadata or {}, due=due)

        return await self._storage.run(f"write {name}", job)

    async def listing(self, prefix: str) -> AsyncIterator[Entry]:
        """List the files whose names begin so."""
        after: str | None = None
        while True:
            entries = await self._storage.run(f"list {prefix}", partial(_listed, area=self._area, prefix=prefix, after=after))
            for entry in entries:
                yield entry
            if len(entries) < LISTED:
                return
            after = entries[-1].name

    async def folders(self, prefix: str) -> Sequence[str]:
        """List what stands between the prefix and the next slash."""
        return await self._storage.run(f"list {prefix}", lambda engine, due: engine.files.folders(self._area, prefix, due=due))

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        """Delete a file, if it is there and has still the ETag that is expected."""
        await self._storage.run(f"delete {name}", lambda engine, due: engine.files.delete(self._area, name, expected=expected, due=due))

    async def acquire(self, name: str, *, seconds: int) -> str | None:
        """Take the lease of a file; None while another holds it."""
        return await self._storage.run(
            f"lease {name}", lambda engine, due: engine.files.acquire(self._area, name, seconds=seconds, due=due)
        )

    async def renew(self, name: str, lease: str) -> None:
        """Hold a lease for as long again."""
        await self._storage.run(f"renew the lease of {name}", lambda engine, due: engine.files.renew(self._area, name, lease, due=due))

    async def release(self, name: str, lease: str) -> None:
        """Let go of a lease."""
        await self._storage.run(f"release the lease of {name}", lambda engine, due: engine.files.release(self._area, name, lease, due=due))


class EmbeddedQueue:
    """A queue of a store: `shared.storage.ports.QueueStore`."""

    def __init__(self, storage: EmbeddedStorage, name: str) -> None:
        self._storage = storage
        self._name = name

    async def send(self, text: str, *, after: timedelta = timedelta(0), life: timedelta | None = None) -> None:
        """Put a message in."""

        def job(engine: Engine, due: float) -> None:
            engine.queues.send(self._name, text, after=after, life=life, due=due)

        await self._storage.run(f"send to {self._name}", job)

    async def receive(self, *, most: int, hidden_for: timedelta) -> Sequence[Message]:
        """Take messages that can be seen."""

        def job(engine: Engine, due: float) -> Sequence[Message]:
            return engine.queues.receive(self._name, most=most, hidden_for=hidden_for, due=due)

        return await self._storage.run(f"receive from {self._name}", job)

    async def hide(self, message: Message, *, during: timedelta) -> Message:
        """Hide a received message from now on for that time."""

        def job(engine: Engine, due: float) -> Message:
            return engine.queues.hide(self._name, message, during=during, due=due)

        return await self._storage.run(f"hide a message of {self._name}", job)

    async def delete(self, message: Message) -> None:
        """Delete a received message."""
        await self._storage.run(f"delete a message of {self._name}", lambda engine, due: engine.queues.delete(self._name, message, due=due))


def check_store(settings: FolderSettings) -> None:
    """Open a store, and make it where there is none and one may be made; raises `SettingsError` with what a person has to mend."""
    engine = take(settings, FolderTime(settings.path))
    try:
        engine.open()
    finally:
        give_back(engine)


def _page(engine: Engine, due: float, *, table: str, asked: Asked) -> Page | None:
    try:
        return engine.tables.page(table, asked, due=due)
    except AbsentError:
        return None


def _listed(engine: Engine, due: float, *, area: str, prefix: str, after: str | None) -> list[Entry]:
    return engine.files.listing(area, prefix, after=after, due=due)


def _block(engine: Engine, due: float, *, reading: "_Reading", at: int) -> bytes:
    return reading.block(at)


class _Reading:
    """One state of a file that is being read: its content stays open, whatever becomes of its name."""

    def __init__(self, found: Found | None, descriptor: int, path: Path) -> None:
        self._found = found
        self._descriptor = descriptor
        self._path = path

    @staticmethod
    def begun(engine: Engine, area: str, name: str, due: float) -> "_Reading":
        """Look the file up."""
        found, descriptor = engine.files.opened(area, name, due=due)
        return _Reading(found, descriptor, engine.files.path(found.content if found and found.content else ""))

    @property
    def size(self) -> int:
        """The file's bytes; 0 when there is none."""
        return 0 if self._found is None else self._found.size

    def block(self, at: int) -> bytes:
        """Read the block that begins there."""
        if self._descriptor < 0:
            return (self._found.data if self._found and self._found.data else b"")[at : at + BLOCK_BYTES]
        with translated(self._path):
            return read_at(self._descriptor, at, min(BLOCK_BYTES, self.size - at))

    def close(self) -> None:
        """Close the content."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()
