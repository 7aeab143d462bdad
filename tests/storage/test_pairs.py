"""A file that could not be read again is not written, and the one that is there stays."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.errors import NotWrittenError
from shared.domain.ledger import Pointer
from shared.domain.loop import LoopRecord
from shared.domain.schedules import Plan, Schedule
from shared.storage.loop_store import FileLoopStore
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from shared.storage.schedule_store import FileScheduleStore
from tests.builders import T0

NOWHERE = float("nan")


class Kept(NamedTuple):
    """What is written and read again, and the same with something that no reader takes."""

    good: Any
    bad: Any
    write: Callable[[Any, str | None], Awaitable[str]]
    read: Callable[[], Awaitable[Any]]


def pointer(storage: Storage) -> Kept:
    store = FileModelStore(storage, loop="default")
    good = Pointer(sequence=1, version="1-a", published_at=T0, watermark=T0)
    bad = replace(good, apprentice=ApprenticeMetrics((NOWHERE,), (True,)))
    return Kept(good, bad, lambda value, expected: store.commit(value, expected=expected), store.pointer)


def record(storage: Storage) -> Kept:
    store = FileLoopStore(storage)
    good = LoopRecord("news", overrides={"default_reward": 0.5}, created_at=T0)
    bad = replace(good, overrides={"name": "another"})
    return Kept(good, bad, lambda value, expected: store.write(value, expected=expected), lambda: store.read("news"))


def schedule(storage: Storage) -> Kept:
    store = FileScheduleStore.of(storage, loop="default")
    good = Schedule("weekly", Plan("weekly", 7, 7, T0), T0)
    bad = replace(good, plan=replace(good.plan, least_lifts={"mine": NOWHERE}))
    return Kept(good, bad, lambda value, expected: store.write(value, expected=expected), lambda: store.read("weekly"))


@pytest.mark.parametrize("kind", [pointer, record, schedule])
async def test_what_could_not_be_read_again_is_not_written_and_told(account, kind, caplog):
    kept = kind(account)
    etag = await kept.write(kept.good, None)
    with pytest.raises(NotWrittenError):
        await kept.write(kept.bad, etag)
    assert await kept.read() == (kept.good, etag)
    assert [each.levelname for each in caplog.records] == ["ERROR"]
