"""The three ports that every engine of storage has: rows in named tables, files in areas, and queues of messages.

What is ours - segments, epochs, chunks, pointers, leases, erasure - is written once, above them. An engine is small: it keeps what it is
given, and its errors are ours. Each call of a port ends in time by itself, at the latest with what is left to the caller
(`shared.domain.patience`), and raises `StorageUnavailableError` when storage cannot be asked, is full or does not answer; further errors
are said at each. A call that was answered is done, and stays done after a kill or a power cut. One that was not may be done as well.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.storage.clocks import StorageTime
from shared.storage.waiting import Waiter

Row = Mapping[str, Any]
"""Columns by name: the texts ``PartitionKey`` and ``RowKey``, and bytes under any other name. What others wrote may hold anything."""

ROW_BYTES = 1024 * 1024
CELL_BYTES = 64 * 1024
"""The most that a row, and one of its columns, may take in any engine."""


class AbsentError(Exception):
    """There is no such table, or it is being dropped. Never leaves this room."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Which rows of a table, by both of their keys; the upper ends belong to it if it is ``closed``. Texts are compared by code points."""

    first_partition: str
    last_partition: str
    first_row: str
    last_row: str
    closed: bool = False


EVERYTHING = KeyRange("", "\U0010ffff", "", "\U0010ffff")


class RowStore(Protocol):
    """Tables of rows, each row under a partition and a name of its own, in the order of partitions and then of names."""

    async def put(self, table: str, row: Row) -> None:
        """Write a row, in place of the one of its keys; raises `AbsentError`.

        It is not begun later than `StorageTime.sending_within` allows: raises `StorageUnavailableError` then.
        """
        ...

    def read(self, table: str, chosen: KeyRange, *, select: Sequence[str] | None = None, page: int = 1_000) -> AsyncIterator[Sequence[Row]]:
        """Give the rows of a range in the order of their keys, up to ``page`` at a time and at most some MiB; nothing if there is no table.

        ``select`` names the columns to bring; one that a row has not is left out, or None. Rows that come or go meanwhile may be among
        them or not; all others are there once.
        """
        ...

    async def create(self, table: str) -> None:
        """Make a table unless it is there; `StorageUnavailableError` while an older one of its name is being dropped."""
        ...

    async def drop(self, table: str) -> None:
        """Drop a table, if it is there: no row put before or at the same time is acknowledged and then found in a later one of its name."""
        ...

    async def tables(self) -> Sequence[str]:
        """List the tables."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """A file: its bytes (or the first of them), its ETag, and the metadata that were written with it."""

    data: bytes
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing tells of a file."""

    name: str
    size: int
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class NotModified(Exception):  # noqa: N818  # an answer, not an error
    """The file has still the ETag that is known. Never leaves this room."""


class FileStore(Protocol):
    """The files of one area, by names with slashes. The area is made with its first file."""

    async def read(self, name: str, *, unless: str = "") -> Content | None:
        """Read a file; None when there is none. Raises `NotModified` when its ETag is ``unless``."""
        ...

    async def head(self, name: str, *, size: int) -> Content | None:
        """Read a file's first bytes, at most so many, and its metadata; None when there is none. With size 0 no content is read."""
        ...

    def blocks(self, name: str) -> AsyncIterator[bytes]:
        """Read a file some MiB at a time: one state of it, or `StorageUnavailableError`. Nothing comes when there is none."""
        ...

    async def put(self, name: str, data: bytes, *, expected: str | None, metadata: Mapping[str, str] | None = None) -> str:
        """Write a file if its ETag is still ``expected`` (None: if there is none), whole or not at all, and give the new ETag.

        Raises `ConflictError` when it is not. Metadata are names of letters and digits with texts of ASCII; some KiB of them fit.
        """
        ...

    def listing(self, prefix: str) -> AsyncIterator[Entry]:
        """List the files whose names begin so, in the order of their names, page by page."""
        ...

    async def folders(self, prefix: str) -> Sequence[str]:
        """List the parts of names that stand between the prefix and the next slash, each once, in order."""
        ...

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        """Delete a file, if it is there and, where an ETag is expected, still has that; if not, nothing happens."""
        ...

    async def acquire(self, name: str, *, seconds: int) -> str | None:
        """Take the lease of a file that is there, for so long (15 to 60 seconds), and give its id; None while another holds it."""
        ...

    async def renew(self, name: str, lease: str) -> None:
        """Hold a lease for as long again; raises `StorageUnavailableError` when it is another's by now."""
        ...

    async def release(self, name: str, lease: str) -> None:
        """Let go of a lease; one that is another's by now stays there."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was received; the receipt is what it can be hidden on or deleted by, until another has received it."""

    id: str
    receipt: str
    text: str
    dequeue_count: int
    inserted: datetime
    next_visible: datetime
    expires: datetime | None = None


class QueueStore(Protocol):
    """One queue of texts, made with its first message. A message stays until it is deleted, or its life is over."""

    async def send(self, text: str, *, after: timedelta = timedelta(0), life: timedelta | None = None) -> None:
        """Put a message of at most 64 KiB in, to be seen after that time (whole seconds).

        One with a ``life``, longer than ``after``, is removed unread once that is over, or with the next message of that life that is sent.
        """
        ...

    async def receive(self, *, most: int, hidden_for: timedelta) -> Sequence[Message]:
        """Take up to so many (1 to 32) messages that can be seen, each hidden from others for that time and counted once more."""
        ...

    async def hide(self, message: Message, *, during: timedelta) -> Message:
        """Hide a received message from now on for that time (0: show it), and give it with its new receipt.

        Raises `StorageUnavailableError` when another has received it meanwhile, or it is gone.
        """
        ...

    async def delete(self, message: Message) -> None:
        """Delete a received message; raises `StorageUnavailableError` when another has received it meanwhile. Gone already: nothing."""
        ...


class Storage(Protocol):
    """One deployment's storage; any number of processes may have it open, and each has an object for every event loop that asks."""

    @property
    def time(self) -> StorageTime:
        """What is known of storage's clock."""
        ...

    @property
    def waiter(self) -> Waiter["Storage"]:
        """The same storage for threads that wait."""
        ...

    @property
    def is_emulator(self) -> bool:
        """Whether it is an emulator of storage on this machine, beside which other emulated containers may lie."""
        ...

    @property
    def rows(self) -> RowStore:
        """Its tables."""
        ...

    def files(self, area: str) -> FileStore:
        """Give the files of an area."""
        ...

    async def areas(self) -> Sequence[str]:
        """List the areas that have, or had, a file."""
        ...

    def queue(self, name: str) -> QueueStore:
        """Give a queue; raises `SettingsError` for a storage that is not known to have any."""
        ...

    async def close(self) -> None:
        """Let go of connections; the next call opens them again."""
        ...
