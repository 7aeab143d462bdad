"""Whatever is asked in whatever order, the store answers as plain dictionaries would."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.storage.embedded.storage import EmbeddedStorage
from shared.storage.embedded.tables import Asked, Tables
from shared.storage.ports import EVERYTHING, AbsentError, KeyRange, Message
from shared.storage.settings import FolderSettings
from tests.builders import T0
from tests.computers import Computer

Answer = TypeVar("Answer")

KEYS = st.text(st.sampled_from("a1~\u00e9\U0001f600"), max_size=2)
NAMES = st.lists(st.sampled_from(["a", "b", "a-b", "ab", "\u00e9"]), min_size=1, max_size=3).map("/".join)
VALUES = st.one_of(st.binary(max_size=40), st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False))
DATA = st.one_of(st.binary(max_size=100), st.binary(min_size=1, max_size=4).map(lambda part: part * 40_000))
LIMITS = settings(max_examples=10, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


class OnAStore(RuleBasedStateMachine):
    """A store in a folder that is thrown away, asked from one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        place = Path(self.folder.name) / "store"
        self.computer = Computer(place)
        self.runner = asyncio.Runner()
        self.store = EmbeddedStorage(FolderSettings(place, make=True), time=self.computer.time())

    def ask(self, asked: Awaitable[Answer]) -> Answer:
        async def wait() -> Answer:
            return await asked

        return self.runner.run(wait())

    @rule()
    def close(self) -> None:
        self.ask(self.store.close())

    def teardown(self) -> None:
        self.ask(self.store.close())
        self.runner.close()
        self.folder.cleanup()


class OfRows(OnAStore):
    """Tables, which another process writes as well."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        self.steps = 0
        self.ask(self.store.rows.tables())
        self.other = Tables(Path(self.folder.name) / "store", maintain=lambda job: job())

    def teardown(self) -> None:
        self.other.close()
        super().teardown()

    table_names = st.sampled_from(["day", "other", "not a plain name"])

    @rule(table=table_names, is_other=st.booleans())
    def create(self, table: str, is_other: bool) -> None:
        if is_other:
            self.other.create(table, due=_due())
        else:
            self.ask(self.store.rows.create(table))
        self.tables.setdefault(table, {})

    @initialize()
    def fill(self) -> None:
        self.create("day", is_other=False)
        for p in ("", "1", "a", "~"):
            for r in ("", "a", "\u00e9"):
                self.put("day", p, r, {"A": r, "B": 1}, is_other=p == "a")

    @precondition(lambda self: self.steps % 7 == 6)
    @rule(table=table_names, is_other=st.booleans())
    def drop(self, table: str, is_other: bool) -> None:
        if is_other:
            self.other.drop(table, due=_due())
        else:
            self.ask(self.store.rows.drop(table))
        self.tables.pop(table, None)

    @rule(table=table_names, p=KEYS, r=KEYS, columns=st.dictionaries(st.sampled_from("ABCD"), VALUES), is_other=st.booleans())
    def put(self, table: str, p: str, r: str, columns: dict[str, Any], is_other: bool) -> None:
        row = {"PartitionKey": p, "RowKey": r, **columns}
        put: Callable[[], None] = (
            (lambda: self.other.put(table, row, due=_due())) if is_other else (lambda: self.ask(self.store.rows.put(table, row)))
        )
        if table in self.tables:
            put()
            self.tables[table][p, r] = columns
        else:
            with pytest.raises(AbsentError):
                put()

    @rule(
        table=table_names,
        ends=st.tuples(KEYS, KEYS, KEYS, KEYS).map(lambda keys: (*sorted(keys[:2]), *sorted(keys[2:]))),
        closed=st.booleans(),
        select=st.none() | st.sets(st.sampled_from(["A", "C", "none"])),
        page=st.integers(1, 5),
    )
    def read(self, table: str, ends: tuple[str, str, str, str], closed: bool, select: set[str] | None, page: int) -> None:
        chosen = KeyRange(*ends, closed=closed)
        names = None if select is None else ["PartitionKey", "RowKey", *select]
        found = self.ask(self._pages(table, chosen, names, page))
        assert all(1 <= len(each) <= page for each in found)
        expected = [
            {"PartitionKey": p, "RowKey": r, **{name: value for name, value in columns.items() if select is None or name in select}}
            for (p, r), columns in sorted(self.tables.get(table, {}).items())
            if _is_in(p, ends[0], ends[1], closed) and _is_in(r, ends[2], ends[3], closed)
        ]
        assert repr([dict(sorted(each.items())) for part in found for each in part]) == repr([dict(sorted(e.items())) for e in expected])

    async def _pages(self, table: str, chosen: KeyRange, select: list[str] | None, page: int) -> list[Any]:
        return [each async for each in self.store.rows.read(table, chosen, select=select, page=page)]

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        self.steps += 1
        assert self.ask(self.store.rows.tables()) == sorted(self.tables)
        for table, rows in self.tables.items():
            page = self.other.page(table, Asked(EVERYTHING, frozenset(["PartitionKey", "RowKey"]), None, 1_000), due=_due())
            assert [(each["PartitionKey"], each["RowKey"]) for each in page.rows] == sorted(rows)


def _due() -> float:
    return time.monotonic() + 30.0


def _is_in(key: str, first: str, last: str, closed: bool) -> bool:
    return first <= key <= last if closed else first <= key < last


class OfFiles(OnAStore):
    """Files of an area."""

    etags: Bundle[str] = Bundle("etags")

    def __init__(self) -> None:
        super().__init__()
        self.present: dict[str, tuple[bytes, str, dict[str, str]]] = {}
        self.files = self.store.files("models")

    @rule(target=etags, name=NAMES, data=DATA, labels=st.dictionaries(st.sampled_from(["kind", "size"]), st.just("x")))
    def write(self, name: str, data: bytes, labels: dict[str, str]) -> str:
        known = self.present[name][1] if name in self.present else None
        etag = self.ask(self.files.put(name, data, expected=known, metadata=labels))
        self.present[name] = (data, etag, labels)
        return etag

    @rule(name=NAMES, data=DATA, expected=etags | st.none())
    def write_by_any_etag(self, name: str, data: bytes, expected: str | None) -> None:
        known = self.present[name][1] if name in self.present else None
        if expected == known:
            self.present[name] = (data, self.ask(self.files.put(name, data, expected=expected)), {})
            return
        with pytest.raises(ConflictError):
            self.ask(self.files.put(name, data, expected=expected))

    @rule(name=NAMES, expected=etags | st.none())
    def delete(self, name: str, expected: str | None) -> None:
        self.ask(self.files.delete(name, expected=expected))
        if name in self.present and expected in (None, self.present[name][1]):
            del self.present[name]

    @rule(name=NAMES, size=st.integers(0, 200_000))
    def read(self, name: str, size: int) -> None:
        found, first = self.ask(self.files.read(name)), self.ask(self.files.head(name, size=size))
        if name not in self.present:
            assert found is first is None
            return
        assert found is not None
        assert first is not None
        assert (found.data, found.etag, found.metadata) == self.present[name]
        assert (first.data, first.etag, first.metadata) == (found.data[:size], found.etag, found.metadata)
        assert self.ask(self._whole(name)) == found.data

    async def _whole(self, name: str) -> bytes:
        return b"".join([block async for block in self.files.blocks(name)])

    @rule(prefix=st.sampled_from(["", "a", "a/", "a-", "ab/", "\u00e9", "a/b/"]))
    def look(self, prefix: str) -> None:
        names = sorted(name for name in self.present if name.startswith(prefix))
        assert [(each.name, each.size) for each in self.ask(self._listed(prefix))] == [(name, len(self.present[name][0])) for name in names]
        parts = [name.removeprefix(prefix).split("/") for name in names]
        assert self.ask(self.files.folders(prefix)) == sorted({part[0] for part in parts if len(part) > 1})

    async def _listed(self, prefix: str) -> list[Any]:
        return [each async for each in self.files.listing(prefix)]

    @invariant()
    def no_content_is_kept_that_no_file_has(self) -> None:
        contents = list((Path(self.folder.name) / "store" / "content").glob("*/*"))
        assert len(contents) == sum(len(data) > 64 * 1024 for data, _, _ in self.present.values())


class OfMessages(OnAStore):
    """A queue, whose time passes as it is told."""

    received: Bundle[Message] = Bundle("received")

    def __init__(self) -> None:
        super().__init__()
        self.queue = self.store.queue("jobs")
        self.messages: dict[str, tuple[datetime, str, int]] = {}
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.ask(self.store.areas())

    @rule(after=st.integers(0, 3))
    def send(self, after: int) -> None:
        self.count += 1
        self.ask(self.queue.send(f"{self.count}", after=timedelta(seconds=after)))
        self.messages[f"{self.count}"] = (self.now() + timedelta(seconds=after), "", 0)

    @rule(seconds=st.integers(1, 4))
    def pass_(self, seconds: int) -> None:
        self.computer.pass_(seconds)

    @rule(target=received, hidden=st.integers(1, 4))
    def receive(self, hidden: int) -> MultipleResults[Message]:
        taken = self.ask(self.queue.receive(most=1, hidden_for=timedelta(seconds=hidden)))
        seen = [text for text, (at, _, _) in self.messages.items() if at <= self.now()]
        assert bool(taken) == bool(seen)
        if not taken:
            return multiple()
        [message] = taken
        assert message.text in seen
        assert message.dequeue_count == self.messages[message.text][2] + 1
        self.messages[message.text] = (self.now() + timedelta(seconds=hidden), message.receipt, message.dequeue_count)
        return multiple(message)

    @rule(target=received, message=consumes(received), during=st.integers(0, 4))
    def hide(self, message: Message, during: int) -> Message:
        hiding = self.queue.hide(message, during=timedelta(seconds=during))
        if not self._is_held(message):
            with pytest.raises(StorageUnavailableError):
                self.ask(hiding)
            return message
        hidden = self.ask(hiding)
        self.messages[message.text] = (self.now() + timedelta(seconds=during), hidden.receipt, hidden.dequeue_count)
        return hidden

    @rule(message=received)
    def delete(self, message: Message) -> None:
        if message.text in self.messages and not self._is_held(message):
            with pytest.raises(StorageUnavailableError):
                self.ask(self.queue.delete(message))
            return
        self.ask(self.queue.delete(message))
        self.messages.pop(message.text, None)

    def _is_held(self, message: Message) -> bool:
        return message.text in self.messages and self.messages[message.text][1] == message.receipt

    @precondition(lambda self: self.count)
    @rule(seconds=st.integers(1, 100))
    def set_the_clock_back(self, seconds: int) -> None:
        """Nothing becomes visible again, or later, for that: the store's time goes on."""
        self.computer.clock.pass_(-seconds)

    def now(self) -> datetime:
        """The time that passed, whatever the clock says."""
        return T0 + timedelta(seconds=self.computer.passed)


TestRows = OfRows.TestCase
TestRows.settings = LIMITS
TestFiles = OfFiles.TestCase
TestFiles.settings = LIMITS
TestMessages = OfMessages.TestCase
TestMessages.settings = LIMITS
