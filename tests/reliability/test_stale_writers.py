"""A writer that has not heard that the log was deleted loses nothing that it acknowledges, whenever it writes."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta

import pytest

from shared.domain.errors import BusyError, StorageUnavailableError
from shared.domain.ledger import COMMIT_WITHIN, Pointer
from shared.runtime.settings import read_settings
from shared.storage.epochs import Hearing
from shared.storage.event_log import FollowedFeed, RowEventLog
from shared.storage.polling import FileModelFeed
from tests.builders import T0, decision
from tests.clocks import SetClock
from tests.processes import Process
from tests.reliability.world import LOOP, SETTLED_FOR, event_log
from tests.storage_proxy import Call, Fault, StorageProxy
from tests.stores import opened, overwrite

OLD = f"{LOOP.name}x0001"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(T0)


@pytest.fixture
async def one(faulty, clock):
    """The process that deletes and clears up, by way of the proxy."""
    process = Process(faulty, clock)
    yield process
    process.models.stop()


async def rank(log: RowEventLog, clock: SetClock, event_id: str) -> str:
    await log.append_decision(decision(event_id, at=clock.now()))
    return event_id


def drops(call: Call) -> bool:
    return call.method == "DELETE" and OLD in call.path


def moves(call: Call) -> bool:
    return call.method == "PUT" and f"{LOOP.name}x0002" in call.path


def meanwhile(proxy: StorageProxy, act: Callable[[], Coroutine[None, None, object]], *, at: Callable[[Call], bool]) -> None:
    """Do something the first time such a call comes by, before it is let through."""
    loop, is_done = asyncio.get_running_loop(), False

    def plan(call: Call) -> Fault | None:
        nonlocal is_done
        if not is_done and at(call):
            is_done = True
            asyncio.run_coroutine_threadsafe(act(), loop).result(20)
        return None

    proxy.plan = plan


@pytest.mark.parametrize("at", [moves, drops], ids=["before a row is moved", "before the table is dropped"])
async def test_what_a_stale_writer_stores_while_tables_are_cleared_is_kept(proxy, account, one, clock, at):
    """It was cut off from the pointer all the while, and comes back just then: its table is still there."""
    stale = event_log(account, clock)
    await rank(stale, clock, "old")
    clock.pass_(1)
    await one.logs.delete()
    await rank(stale, clock, "meanwhile")
    assert stale.epoch.generation == 1
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    meanwhile(proxy, lambda: rank(stale, clock, "late"), at=at)
    await one.retention.run()
    assert not [name for name in await one.tables() if name.startswith(OLD)]
    assert sorted(await one.logged()) == ["late", "meanwhile"]
    assert stale.epoch.generation == 2


async def test_who_heard_lately_writes_without_asking_and_who_did_not_asks_once(proxy, faulty, clock):
    log = event_log(faulty, clock)
    await rank(log, clock, "first")
    for passed, asked in [(1, 0), (14, 0), (1, 1), (15, 0), (0.1, 1), (3_600, 1), (-5, 1)]:
        clock.pass_(passed)
        proxy.forget()
        await rank(log, clock, f"after {passed}")
        assert [call.method for call in proxy.calls] == ["PUT"] + ["GET"] * asked, passed


async def test_polling_saves_asking_though_there_is_nothing_new(proxy, faulty, one, clock):
    await one.rank("e1")
    clock.pass_(30)
    await one.train()
    log = event_log(faulty, clock)
    feed = FollowedFeed(FileModelFeed(faulty, loop=LOOP.name), log)
    for number in range(4):
        clock.pass_(3_600)
        assert (await asyncio.to_thread(feed.news) is None) is (number > 0)
        clock.pass_(14)
        proxy.forget()
        await rank(log, clock, f"e{number}")
        assert [call.method for call in proxy.calls] == ["PUT"]


def no_pointer(call: Call) -> Fault | None:
    return Fault(403) if call.path.endswith("pointer.json") else None


async def test_polling_that_gets_no_answer_saves_nothing_but_stops_no_writer_either(proxy, faulty, clock):
    """The tables tell that nobody has begun to clear old ones; storage is not asked for the pointer each time."""
    log = event_log(faulty, clock)
    feed = FollowedFeed(FileModelFeed(faulty, loop=LOOP.name), log)
    await rank(log, clock, "first")
    clock.pass_(60)
    proxy.plan = no_pointer
    with pytest.raises(StorageUnavailableError):
        await asyncio.to_thread(feed.news)
    for event_id, asked in [("second", 2), ("third", 1), ("fourth", 1)]:
        clock.pass_(1)
        proxy.forget()
        await rank(log, clock, event_id)
        assert [call.method for call in proxy.calls] == ["PUT"] + ["GET"] * asked
    clock.pass_(10)
    proxy.plan = lambda call: None
    proxy.forget()
    await rank(log, clock, "fifth")
    assert ["pointer.json" in call.path for call in proxy.calls] == [False, True]
    assert [event.event_id for event in await stored(log)] == ["first", "second", "third", "fourth", "fifth"]


async def test_a_writer_that_cannot_hear_of_a_deletion_is_refused_once_its_tables_are_cleared(proxy, faulty, account, clock):
    """It is another process that clears up, and one without files that writes."""
    clearing = Process(account, clock)
    log = event_log(faulty, clock)
    await rank(log, clock, "old")
    clock.pass_(1)
    await clearing.logs.delete()
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    proxy.plan = no_pointer
    await rank(log, clock, "kept")
    clock.pass_(SETTLED_FOR.total_seconds() + 1)
    await clearing.retention.run()
    with pytest.raises(StorageUnavailableError):
        await rank(log, clock, "refused")
    assert await clearing.logged() == ["kept"]
    proxy.plan = lambda call: None
    clock.pass_(11)
    await rank(log, clock, "heard")
    assert await clearing.logged() == ["kept", "heard"]
    clearing.models.stop()


@pytest.mark.parametrize("at", [moves, drops], ids=["before a row is moved", "before the table is dropped"])
async def test_what_such_a_writer_stores_while_tables_are_cleared_is_refused(proxy, storage, one, clock, at):
    """It writes to the old table, which is still there, and sees that there is a new one."""
    with StorageProxy(storage) as cut_off:
        account = opened(cut_off.connection_string)
        stale = event_log(account, clock)
        await rank(stale, clock, "old")
        clock.pass_(1)
        await one.logs.delete()
        await rank(stale, clock, "meanwhile")
        clock.pass_(SETTLED_FOR.total_seconds() + 1)
        cut_off.plan = no_pointer
        answers: list[BaseException | str] = []

        async def late() -> None:
            answers.extend(await asyncio.gather(rank(stale, clock, "late"), return_exceptions=True))

        meanwhile(proxy, late, at=at)
        await one.retention.run()
        assert [type(answer) for answer in answers] == [StorageUnavailableError]
        assert await one.logged() == ["meanwhile"]
        await account.close()


async def stored(log: RowEventLog) -> list:
    heads = [head async for minute in log.decision_heads(T0, T0 + timedelta(days=1)) for head in minute]
    return [event for segment in await log.decisions(heads) for event in segment.events or ()]


async def test_an_append_does_not_wait_long_for_the_pointer_and_the_next_not_at_all(proxy, faulty, clock):
    log = event_log(faulty, clock)
    await rank(log, clock, "first")
    clock.pass_(60)
    proxy.plan = lambda call: Fault(503, delay=8) if call.path.endswith("pointer.json") else None
    for most in (2.5, 0.9):
        begun = asyncio.get_running_loop().time()
        await rank(log, clock, f"in {most} s")
        assert asyncio.get_running_loop().time() - begun < most


async def test_a_pointer_that_a_later_release_wrote_stops_no_writer(one, account, clock):
    await one.rank("e1")
    clock.pass_(30)
    await one.train()
    await overwrite(account, "personalizer-models", f"loops/{LOOP.name}/pointer.json", b'{"format": 99}')
    clock.pass_(60)
    log = event_log(account, clock)
    await rank(log, clock, "e2")
    assert "e2" in [event.event_id for event in await stored(log)]


async def test_a_deletion_that_takes_too_long_after_its_cut_is_not_made(one, clock, monkeypatch):
    """Who writes by what was heard just before its commit would be waited for too short."""
    await one.rank("kept")
    read: Callable[[], Awaitable[tuple[Pointer, str] | None]] = one.store.pointer

    async def slowly() -> tuple[Pointer, str] | None:
        clock.pass_(COMMIT_WITHIN.total_seconds() - 20)
        return await read()

    monkeypatch.setattr(one.store, "pointer", slowly)
    with pytest.raises(BusyError, match="slow"):
        await one.logs.delete()
    assert await one.logged() == ["kept"]


@pytest.mark.parametrize("interval", ["PT0.1S", "PT15S", "PT1H"])
@pytest.mark.parametrize("grace", ["PT0S", "PT30S", "PT5M"])
def test_tables_are_dropped_only_when_nobody_can_write_to_them_any_more(interval, grace):
    named = {"PERSONALIZER_MODEL_POLL_INTERVAL": interval, "PERSONALIZER_INGEST_GRACE": grace, "PERSONALIZER_KEYS": "k"}
    settings = read_settings({"AzureWebJobsStorage": "UseDevelopmentStorage=true", **named})
    assert settings.asks_after > settings.model_poll_interval
    assert settings.settled_for >= settings.asks_after + settings.append_deadline + COMMIT_WITHIN


def test_what_was_heard_is_old_by_the_clock_or_by_the_seconds_that_passed():
    clock, seconds = SetClock(T0), [0.0]
    hearing = Hearing(clock, monotonic=lambda: seconds[0])
    age = timedelta(seconds=15)
    assert hearing.is_older_than(age)
    hearing.note(hearing.now())
    assert not hearing.is_older_than(age)
    clock.pass_(16)  # the machine slept
    assert hearing.is_older_than(age)
    clock.pass_(-17)  # the clock was set back
    assert hearing.is_older_than(age)
    clock.pass_(2)
    assert not hearing.is_older_than(age)
    seconds[0] = 16.0  # and again, while time passed
    assert hearing.is_older_than(age)
    early = hearing.now()
    seconds[0] = 20.0
    hearing.note(hearing.now())
    hearing.note(early)  # an answer that was overtaken
    seconds[0] = 34.0
    assert not hearing.is_older_than(age)
