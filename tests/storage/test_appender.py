import asyncio
import random
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import BacklogFullError, EventTooLargeError, StorageUnavailableError
from shared.domain.patience import patience, seconds_left
from shared.storage.appender import Appender, Limits
from shared.storage.segments import TooLargeError
from tests.patience import BUSY, PATIENCE

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


class Time:
    """Seconds as a process counts them, and what it missed while it stood still."""

    def __init__(self) -> None:
        self.missed = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.missed


async def outcomes(tasks: Sequence[asyncio.Task[None]]) -> list[str]:
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    return ["stored" if result is None else type(result).__name__ for result in results]


def due(log: Appender[str], event: str, seconds: float) -> asyncio.Task[None]:
    return asyncio.create_task(log.append([event], due=time.monotonic() + seconds))


async def test_what_waited_too_long_is_refused_without_being_written(store):
    log = appender(store)
    store.gate.clear()
    first = due(log, "a", PATIENCE)
    await asyncio.sleep(0.01)
    late, patient = due(log, "b", 0.05), due(log, "c", 5)
    await asyncio.sleep(0.1)
    store.gate.set()
    assert await outcomes([first, late, patient]) == ["stored", "StorageUnavailableError", "stored"]
    assert store.batches == [["a"], ["c"]]


async def test_each_caller_of_a_row_under_way_is_answered_at_its_own_time():
    gates = [asyncio.Event(), asyncio.Event()]
    written: list[list[str]] = []

    async def write(appends: Sequence[Sequence[str]]) -> None:
        await gates[len(written)].wait()
        written.append([event for events in appends for event in events])

    log: Appender[str] = Appender(write, size_of=len, limits=ROOMY)
    begun = time.monotonic()
    first = due(log, "a", PATIENCE)
    await asyncio.sleep(0.01)
    hasty, patient = due(log, "b", 0.3), due(log, "c", PATIENCE)
    gates[0].set()
    await first
    assert await outcomes([hasty]) == ["StorageUnavailableError"]
    assert 0.2 < time.monotonic() - begun < BUSY
    gates[1].set()
    await patient
    assert written == [["a"], ["b", "c"]]


async def test_a_write_that_does_not_end_is_given_up_and_the_next_has_its_turn(store):
    log = appender(store)
    store.gate.clear()
    first, second = due(log, "a", 0.1), due(log, "b", 0.15)
    await asyncio.sleep(0.01)
    third = due(log, "c", 2)
    assert await outcomes([first, second]) == ["StorageUnavailableError"] * 2
    store.gate.set()
    assert await outcomes([third]) == ["stored"]
    assert store.batches[-1] == ["c"]


async def test_whoever_is_given_up_with_the_row_hears_that_it_was_the_time(store):
    """By a clock that does not go on, nobody's own time is over before the row's."""
    log: Appender[str] = Appender(store.write, size_of=len, limits=ROOMY, monotonic=lambda: 0.0)
    store.gate.clear()
    with pytest.raises(StorageUnavailableError, match="did not take it in time"):
        await log.append(["a"], due=0.05)


async def test_nothing_is_acknowledged_after_its_time_by_a_process_that_stood_still(store):
    clock = Time()
    log: Appender[str] = Appender(store.write, size_of=len, limits=ROOMY, monotonic=clock)
    store.gate.clear()
    under_way = due(log, "a", 10)
    await asyncio.sleep(0.01)
    waiting_ = due(log, "b", 10)
    await asyncio.sleep(0.01)
    clock.missed = 720.0
    store.gate.set()
    assert await outcomes([under_way, waiting_]) == ["StorageUnavailableError"] * 2
    assert store.batches == [["a"]]


@given(delays=st.lists(st.sampled_from([0.0, 0.02, 0.06]), min_size=1, max_size=6), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_nobody_waits_much_longer_than_its_time_and_what_is_acknowledged_is_stored(delays, seed):
    async def run() -> None:
        chance, slow = random.Random(seed), list(delays)
        written: list[str] = []

        async def write(appends: Sequence[Sequence[str]]) -> None:
            await asyncio.sleep(slow.pop() if slow else 0.0)
            written.extend(event for events in appends for event in events)

        log: Appender[str] = Appender(write, size_of=len, limits=Limits(4, 100, 1_000, 10_000))

        async def call(event: str, seconds: float) -> None:
            begun = time.monotonic()
            try:
                await log.append([event], due=begun + seconds)
            except StorageUnavailableError:
                assert time.monotonic() - begun >= seconds - 0.001
            else:
                assert event in written
            assert time.monotonic() - begun < seconds + BUSY

        calls = []
        for number in range(20):
            calls.append(asyncio.create_task(call(f"e{number}", chance.choice([0.01, 0.05, 0.1]))))
            if chance.random() < 0.3:
                await asyncio.sleep(0.01)
        await asyncio.gather(*calls)
        assert len(written) == len(set(written))

    asyncio.run(run())


async def test_the_writer_does_not_run_out_of_the_patience_of_the_call_that_began_it():
    left: list[float] = []

    async def write(appends: Sequence[Sequence[str]]) -> None:
        left.append(seconds_left(timedelta(seconds=30)))

    log: Appender[str] = Appender(write, size_of=len, limits=ROOMY)
    with patience(timedelta(seconds=1)):
        await log.append(["a"])
    assert left == [30.0]
