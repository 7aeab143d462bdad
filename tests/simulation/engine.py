"""Storage in memory: `shared.storage.ports` without a disk and without a network, proven by the laws that all engines have.

What is stored is one object (`Stored`); each process of a simulation has an opening of its own (`MemoryStorage`), with what it knows of
storage's clock. What storage does with a call is done at once; when that is, and what comes of the answer, is the network's.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from shared.domain.clock import EPOCH
from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.storage.clocks import StorageTime
from shared.storage.ports import ROW_BYTES, AbsentError, Content, Entry, KeyRange, Message, NotModified, Row, Storage
from shared.storage.waiting import Waiter
from tests.simulation.network import Call, Network, Straight, Traffic

Answer = TypeVar("Answer")
BLOCK_BYTES: Final = 4 * 1024 * 1024
PAGE_BYTES: Final = 4 * 1024 * 1024
LISTED: Final = 5_000
MESSAGE_BYTES: Final = 64 * 1024
_NOTHING: Final = timedelta(0)
_NUMBER: Final = 8


@dataclass(slots=True)
class File:
    """A file as it is stored; ``lease`` is held until that time."""

    data: bytes
    etag: str
    metadata: Mapping[str, str]
    modified: datetime
    lease: str = ""
    held_until: datetime = EPOCH


@dataclass(slots=True)
class Stored:
    """All that is stored, and storage's clock. A table that was dropped keeps its name for as long as ``name_is_kept``."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name_is_kept: timedelta = _NOTHING
    tables: dict[str, dict[tuple[str, str], dict[str, object]]] = field(default_factory=dict)
    dropped: dict[str, datetime] = field(default_factory=dict)
    areas: dict[str, dict[str, File]] = field(default_factory=dict)
    queues: dict[str, dict[str, Message]] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 62)))

    def number(self) -> int:
        return next(self.numbers)


def copied(stored: Stored) -> Stored:
    """Give what is stored at this moment, to be changed by itself."""
    return replace(
        stored,
        tables={name: dict(rows) for name, rows in stored.tables.items()},
        dropped=dict(stored.dropped),
        areas={area: {name: replace(file) for name, file in files.items()} for area, files in stored.areas.items()},
        queues={name: dict(messages) for name, messages in stored.queues.items()},
        traffic=Traffic(),
    )


class MemoryStorage:
    """One opening of storage in memory, by one process."""

    is_emulator = False

    def __init__(self, stored: Stored, *, network: Network | None = None, time: StorageTime | None = None) -> None:
        self.stored = stored
        self.time = time or StorageTime()
        self._network = network or Straight(stored.now)
        self.rows = MemoryRows(self)
        self._waiter: Waiter[Storage] | None = None

    @property
    def waiter(self) -> Waiter[Storage]:
        if self._waiter is None:
            self._waiter = Waiter(lambda: MemoryStorage(self.stored, network=self._network, time=self.time))
        return self._waiter

    def files(self, area: str) -> "MemoryFiles":
        return MemoryFiles(self, area)

    async def areas(self) -> Sequence[str]:
        return await self.call(Call("areas", ""), lambda: sorted(self.stored.areas))

    def queue(self, name: str) -> "MemoryQueue":
        return MemoryQueue(self, name)

    async def close(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            await waiter.close()

    async def call(self, call: Call, apply: Callable[[], Answer]) -> Answer:
        """Have the network bring a call."""
        return await self._network.bring(call, partial(self._counted, call, apply), self.time)

    def _counted(self, call: Call, apply: Callable[[], Answer]) -> Answer:
        self.stored.traffic.add(call)
        return apply()


class MemoryRows:
    """Tables: `shared.storage.ports.RowStore`."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self._stored = storage.stored

    async def put(self, table: str, row: Row) -> None:
        size = _size_of(row)
        key = (row["PartitionKey"], row["RowKey"])
        if size > ROW_BYTES:
            raise StorageUnavailableError("the row is too large")
        await self._storage.call(Call("put", table, key[1], size), partial(self._put, table, key, dict(row)))

    def _put(self, table: str, key: tuple[str, str], row: dict[str, object]) -> None:
        if table not in self._stored.tables:
            raise AbsentError(table)
        self._stored.tables[table][key] = row

    async def read(
        self, table: str, chosen: KeyRange, *, select: Sequence[str] | None = None, page: int = 1_000
    ) -> AsyncIterator[Sequence[Row]]:
        after: tuple[str, str] | None = None
        while True:
            rows, after = await self._storage.call(Call("rows", table), partial(self._page, table, chosen, after, select, min(page, 1_000)))
            if rows:
                yield rows
            if after is None:
                return

    def _page(
        self, table: str, chosen: KeyRange, after: tuple[str, str] | None, select: Sequence[str] | None, page: int
    ) -> tuple[list[Row], tuple[str, str] | None]:
        stored = self._stored.tables.get(table, {})
        rows: list[Row] = []
        size = 0
        for key in sorted(key for key in stored if _is_in(chosen, key) and (after is None or key > after)):
            if len(rows) == page or size > PAGE_BYTES:
                return rows, (rows[-1]["PartitionKey"], rows[-1]["RowKey"])
            row = stored[key]
            size += _size_of(row)
            rows.append(dict(row) if select is None else {name: row[name] for name in select if name in row})
        return rows, None

    async def create(self, table: str) -> None:
        await self._storage.call(Call("create", table), partial(self._create, table))

    def _create(self, table: str) -> None:
        gone = self._stored.dropped.get(table)
        if gone is not None and self._stored.now() - gone < self._stored.name_is_kept:
            raise StorageUnavailableError(f"the table {table} is being deleted")
        self._stored.tables.setdefault(table, {})

    async def drop(self, table: str) -> None:
        await self._storage.call(Call("drop", table), partial(self._drop, table))

    def _drop(self, table: str) -> None:
        if self._stored.tables.pop(table, None) is not None:
            self._stored.dropped[table] = self._stored.now()

    async def tables(self) -> Sequence[str]:
        return await self._storage.call(Call("tables", ""), lambda: sorted(self._stored.tables))


def _size_of(row: Mapping[str, object]) -> int:
    """Count a row's characters and bytes.

    >>> _size_of({"Payload": b"four", "Events": 7.0})
    12
    """
    try:
        return sum(map(len, row.values()))  # type: ignore[arg-type]  # all that the service writes have a length
    except TypeError:
        return sum(len(value) if isinstance(value, (str, bytes)) else _NUMBER for value in row.values())


def _is_in(chosen: KeyRange, key: tuple[str, str]) -> bool:
    """Whether a key is in a range, as Table storage sees it: both of its texts are.

    >>> [_is_in(KeyRange("a", "b", "1", "2", closed=closed), ("b", "2")) for closed in (False, True)]
    [False, True]
    """
    partition, row = key
    if partition < chosen.first_partition or row < chosen.first_row:
        return False
    if chosen.closed:
        return partition <= chosen.last_partition and row <= chosen.last_row
    return partition < chosen.last_partition and row < chosen.last_row


class MemoryFiles:
    """An area: `shared.storage.ports.FileStore`."""

    def __init__(self, storage: MemoryStorage, area: str) -> None:
        self._storage = storage
        self._stored = storage.stored
        self._area = area

    @property
    def _files(self) -> dict[str, File]:
        return self._stored.areas.get(self._area, {})

    def _call(self, verb: str, name: str, size: int = 0) -> Call:
        return Call(verb, self._area, name, size)

    async def read(self, name: str, *, unless: str = "") -> Content | None:
        content = await self._storage.call(self._call("read", name), partial(self._content, name))
        if content is not None and content.etag == unless:
            raise NotModified
        return content

    async def head(self, name: str, *, size: int) -> Content | None:
        content = await self._storage.call(self._call("head", name), partial(self._content, name))
        return None if content is None else replace(content, data=content.data[:size])

    def _content(self, name: str) -> Content | None:
        file = self._files.get(name)
        return None if file is None else Content(file.data, file.etag, dict(file.metadata))

    async def blocks(self, name: str) -> AsyncIterator[bytes]:
        content = await self._storage.call(self._call("read", name), partial(self._content, name))
        if content is None:
            return
        for at in range(0, len(content.data), BLOCK_BYTES):
            if at:
                await self._storage.call(self._call("block", name), partial(self._check_same, name, content.etag))
            yield content.data[at : at + BLOCK_BYTES]

    def _check_same(self, name: str, etag: str) -> None:
        file = self._files.get(name)
        if file is None or file.etag != etag:
            raise StorageUnavailableError(f"{name} was written while it was read")

    async def put(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None = None) -> str:
        return await self._storage.call(
            self._call("write", name, len(data)), partial(self._put, name, data, expected, dict(metadata or {}))
        )

    def _put(self, name: str, data: bytes, expected: str | None, metadata: Mapping[str, str]) -> str:
        files = self._stored.areas.setdefault(self._area, {})
        present = files.get(name)
        if (present.etag if present else None) != expected:
            raise ConflictError(f"{name} was written by another")
        etag, now = f'"0x8D{self._stored.number():X}"', self._stored.now()
        if present is None:
            files[name] = File(data, etag, metadata, now)
        else:
            present.data, present.etag, present.metadata, present.modified = data, etag, metadata, now
        return etag

    async def listing(self, prefix: str) -> AsyncIterator[Entry]:
        after = ""
        while True:
            page = await self._storage.call(self._call("list", prefix), partial(self._listed, prefix, after))
            for entry in page:
                yield entry
            if len(page) < LISTED:
                return
            after = page[-1].name

    def _listed(self, prefix: str, after: str) -> list[Entry]:
        names = sorted(name for name in self._files if name.startswith(prefix) and name > after)
        found = [(name, self._files[name]) for name in islice(names, LISTED)]
        return [Entry(name, len(file.data), file.modified, dict(file.metadata)) for name, file in found]

    async def folders(self, prefix: str) -> Sequence[str]:
        return await self._storage.call(self._call("folders", prefix), partial(self._folders, prefix))

    def _folders(self, prefix: str) -> list[str]:
        rest = [name[len(prefix) :] for name in self._files if name.startswith(prefix)]
        return sorted({name.partition("/")[0] for name in rest if "/" in name})

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        await self._storage.call(self._call("delete", name), partial(self._delete, name, expected))

    def _delete(self, name: str, expected: str | None) -> None:
        if name in self._files and expected in (None, self._files[name].etag):
            del self._files[name]

    async def acquire(self, name: str, *, seconds: int) -> str | None:
        lease = f"lease-{self._stored.number()}"  # chosen by the client: asked for again, it is the same
        return await self._storage.call(self._call("acquire", name), partial(self._acquire, name, lease, seconds))

    def _acquire(self, name: str, lease: str, seconds: int) -> str | None:
        file, now = self._present(name), self._stored.now()
        if file.lease not in ("", lease) and file.held_until > now:
            return None
        file.lease, file.held_until = lease, now + timedelta(seconds=seconds)
        return lease

    async def renew(self, name: str, lease: str) -> None:
        await self._storage.call(self._call("renew", name), partial(self._renew, name, lease))

    def _renew(self, name: str, lease: str) -> None:
        file = self._present(name)
        if file.lease != lease:
            raise StorageUnavailableError(f"the lease of {name} is another's")
        file.held_until = self._stored.now() + timedelta(seconds=15)

    async def release(self, name: str, lease: str) -> None:
        await self._storage.call(self._call("release", name), partial(self._release, name, lease))

    def _release(self, name: str, lease: str) -> None:
        file = self._present(name)
        if file.lease == lease:
            file.lease = ""

    def _present(self, name: str) -> File:
        file = self._files.get(name)
        if file is None:
            raise StorageUnavailableError(f"{name} is not there")
        return file


class MemoryQueue:
    """A queue: `shared.storage.ports.QueueStore`."""

    def __init__(self, storage: MemoryStorage, name: str) -> None:
        self._storage = storage
        self._stored = storage.stored
        self._name = name

    @property
    def _messages(self) -> dict[str, Message]:
        return self._stored.queues.setdefault(self._name, {})

    async def send(self, text: str, *, after: timedelta = _NOTHING, life: timedelta | None = None) -> None:
        if len(text.encode()) > MESSAGE_BYTES:
            raise StorageUnavailableError("the message is too large")
        await self._storage.call(Call("send", self._name, size=len(text)), partial(self._send, text, after, life))

    def _send(self, text: str, after: timedelta, life: timedelta | None) -> None:
        now = self._stored.now()
        number = f"message-{self._stored.number()}"
        self._messages[number] = Message(number, "", text, 0, now, now + after, None if life is None else now + life)

    async def receive(self, *, most: int, hidden_for: timedelta) -> Sequence[Message]:
        return await self._storage.call(Call("receive", self._name), partial(self._receive, most, hidden_for))

    def _receive(self, most: int, hidden_for: timedelta) -> list[Message]:
        now = self._stored.now()
        for each in [each for each in self._messages.values() if each.expires is not None and each.expires <= now]:
            del self._messages[each.id]
        seen = list(islice((each for each in self._messages.values() if each.next_visible <= now), most))
        return [self._kept(replace(each, dequeue_count=each.dequeue_count + 1), now + hidden_for) for each in seen]

    def _kept(self, message: Message, until: datetime) -> Message:
        kept = self._messages[message.id] = replace(message, receipt=f"receipt-{self._stored.number()}", next_visible=until)
        return kept

    async def hide(self, message: Message, *, during: timedelta) -> Message:
        return await self._storage.call(Call("hide", self._name), partial(self._hide, message, during))

    def _hide(self, message: Message, during: timedelta) -> Message:
        if not self._is_held(message):
            raise StorageUnavailableError("the message is gone")
        return self._kept(message, self._stored.now() + during)

    async def delete(self, message: Message) -> None:
        await self._storage.call(Call("remove", self._name), partial(self._delete, message))

    def _delete(self, message: Message) -> None:
        if self._is_held(message):
            del self._messages[message.id]

    def _is_held(self, message: Message) -> bool:
        present = self._messages.get(message.id)
        if present is not None and present.receipt != message.receipt:
            raise StorageUnavailableError("another has received the message")
        return present is not None
