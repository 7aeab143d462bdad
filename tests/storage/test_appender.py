import asyncio
from collections.abc import Sequence

import pytest

from shared.domain.errors import BacklogFullError, EventTooLargeError, StorageUnavailableError
from shared.storage.appender import Appender, Limits
from shared.storage.segments import TooLargeError

ROOMY = Limits(batch_events=100, batch_bytes=10_000, waiting_events=1_000, waiting_bytes=100_000)


class Store:
    """Keeps what is written; a gate can hold writes up, and an error can end them."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def write(self, appends: Sequence[Sequence[str]]) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if "too large" in [event for events in appends for event in events]:
            raise TooLargeError
        self.batches.append([event for events in appends for event in events])


@pytest.fixture
def store():
    return Store()


def appender(store: Store, limits: Limits = ROOMY) -> Appender[str]:
    return Appender(store.write, size_of=len, limits=limits)


async def waiting(log: Appender[str], *events: str) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(log.append([event])) for event in events]
    await asyncio.sleep(0.01)
    return tasks


async def test_an_idle_process_writes_rows_of_one(store):
    log = appender(store)
    await log.append(["a"])
    await log.append(["b"])
    assert store.batches == [["a"], ["b"]]


async def test_what_arrives_during_a_write_leaves_together_in_the_next(store):
    log = appender(store)
    store.gate.clear()
    tasks = await waiting(log, "a", "b", "c")
    assert not any(task.done() for task in tasks)
    store.gate.set()
    await asyncio.gather(*tasks)
    assert store.batches == [["a", "b", "c"]] or store.batches == [["a"], ["b", "c"]]


async def test_a_batch_is_bounded_in_events_and_in_bytes(store):
    log = appender(store, Limits(batch_events=3, batch_bytes=10, waiting_events=100, waiting_bytes=1_000))
    await asyncio.gather(*(log.append(["x" * size]) for size in (1, 1, 1, 1, 9, 2, 20)))
    assert [[len(event) for event in batch] for batch in store.batches] == [[1, 1, 1], [1, 9], [2], [20]]


async def test_what_is_appended_together_is_never_torn_apart(store):
    log = appender(store, Limits(batch_events=3, batch_bytes=6, waiting_events=100, waiting_bytes=1_000))
    together = [["a", "b"], ["c", "d"], ["e"], ["ff", "ff", "ff"], ["g"], ["h"] * 5, ["i" * 9, "j"], ["k"]]
    await asyncio.gather(*(log.append(events) for events in together))
    assert store.batches == [["a", "b"], ["c", "d", "e"], ["ff", "ff", "ff"], ["g"], ["h"] * 5, ["i" * 9, "j"], ["k"]]


@pytest.mark.parametrize("place", range(5))
async def test_what_does_not_fit_by_itself_is_refused_to_its_caller_alone(store, place):
    log = appender(store)
    store.gate.clear()
    events = ["a", "b", "c", "d"]
    events.insert(place, "too large")
    tasks = await waiting(log, *events)
    store.gate.set()
    results = dict(zip(events, await asyncio.gather(*tasks, return_exceptions=True), strict=True))
    assert isinstance(results.pop("too large"), EventTooLargeError)
    assert results == dict.fromkeys("abcd")
    assert [event for batch in store.batches for event in batch] == ["a", "b", "c", "d"]
    await log.append(["e"])
    assert store.batches[-1] == ["e"]


async def test_a_half_that_storage_refuses_takes_nothing_back_of_the_other(store):
    """The first half is stored, and its callers are told so; only those of the second may have to call again."""

    class Failing(Store):
        async def write(self, appends: Sequence[Sequence[str]]) -> None:
            if len(appends) > 2:
                raise TooLargeError
            if ["c"] in appends:
                raise StorageUnavailableError("down")
            await super().write(appends)

    store = Failing()
    log = Appender(store.write, size_of=len, limits=ROOMY)
    results = await asyncio.gather(*(log.append([event]) for event in "abcd"), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), type(None), StorageUnavailableError, StorageUnavailableError]
    assert store.batches == [["a", "b"]]


async def test_each_event_of_an_append_counts_against_the_backlog(store):
    log = appender(store, Limits(batch_events=1, batch_bytes=10, waiting_events=3, waiting_bytes=1_000))
    store.gate.clear()
    tasks = await waiting(log, "a")  # being written
    tasks += [asyncio.create_task(log.append(["b", "c"]))]
    await asyncio.sleep(0.01)
    with pytest.raises(BacklogFullError):
        await log.append(["d", "e"])
    tasks += await waiting(log, "f")
    store.gate.set()
    await asyncio.gather(*tasks)
    assert store.batches == [["a"], ["b", "c"], ["f"]]


async def test_a_failed_write_reaches_every_caller_of_its_batch_and_no_other(store):
    log = appender(store)
    store.error = StorageUnavailableError("down")
    results = await asyncio.gather(*(log.append([event]) for event in "abc"), return_exceptions=True)
    assert [str(result) for result in results] == ["down"] * 3
    store.error = None
    await log.append(["d"])
    assert store.batches == [["d"]]


@pytest.mark.parametrize("limits", [Limits(1, 10, 2, 1_000), Limits(1, 10, 100, 2)], ids=["events", "bytes"])
async def test_a_full_backlog_refuses_at_once_and_recovers(store, limits):
    log = appender(store, limits)
    store.gate.clear()
    tasks = await waiting(log, "a")  # being written
    tasks += await waiting(log, "b", "c")
    with pytest.raises(BacklogFullError):
        await log.append(["d"])
    store.gate.set()
    await asyncio.gather(*tasks)
    await log.append(["e"])
    assert [event for batch in store.batches for event in batch] == ["a", "b", "c", "e"]


async def test_a_caller_that_goes_away_takes_nothing_with_it(store):
    log = appender(store)
    store.gate.clear()
    first, second, third = await waiting(log, "a", "b", "c")
    second.cancel()
    store.gate.set()
    await asyncio.gather(first, third)
    assert sorted(event for batch in store.batches for event in batch) == ["a", "b", "c"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_nobody_waits_for_a_writer_that_broke(store):
    log = appender(store, Limits(batch_events=1, batch_bytes=10, waiting_events=10, waiting_bytes=100))
    store.error = ZeroDivisionError("a bug")
    results = await asyncio.wait_for(asyncio.gather(*(log.append([event]) for event in "abc"), return_exceptions=True), 5)
    assert all(isinstance(result, StorageUnavailableError) for result in results)
    store.error = None
    await log.append(["d"])
    assert store.batches == [["d"]]
