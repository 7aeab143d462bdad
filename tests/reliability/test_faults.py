"""Storage answers 429, 412, 500, 503, late or not at all, at each call: nothing is lost, learned twice, or left hanging."""

import asyncio
import re
import time

import pytest

from shared.domain.errors import PersonalizerError, StorageUnavailableError
from shared.domain.ledger import Provenance
from shared.storage import names
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from tests.builders import T0, after, decision, observation
from tests.clocks import SetClock
from tests.patience import BUSY
from tests.reliability.chosen import NEVER, chosen, stops
from tests.reliability.world import (
    FIRST,
    SECOND,
    assert_as_undisturbed,
    committed,
    event_log,
    models_and_states,
    retention,
    trainer,
    write_log,
)
from tests.storage_proxy import Call, Fault, no_faults
from tests.stores import end_lease, in_memory_first
from tests.sweeps import STRIDES

pytestmark = pytest.mark.long

FAULTS = {
    "429": Fault(429),
    "429, retry after": Fault(429, headers={"Retry-After": "1"}),
    "500": Fault(500),
    "500, though done": Fault(500, done_first=True),
    "503": Fault(503),
    "torn": Fault(),
    "torn, though done": Fault(done_first=True),
    "late": Fault(delay=3.0, done_first=True, status=500),
}
DEADLINE = 2.0


async def stored(log) -> list[str]:
    segments = [segment for minute in [m async for m in log.decision_heads(T0, after(60))] for segment in await log.decisions(minute)]
    return [event.event_id for segment in segments for event in segment.events or ()]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("number", [1, 2, 3, 4], ids=["first write", "look for a deletion", "new table", "second write"])
@pytest.mark.sweep(keep=6)
async def test_one_failed_call_costs_no_event(proxy, faulty, account, fault, number):
    """An append is acknowledged and stored once, or refused in time; after that all is well again."""
    log = event_log(faulty, SetClock(T0), deadline=DEADLINE)
    proxy.plan = lambda call: fault if call.number == number else None
    started = time.monotonic()
    result = (await asyncio.gather(log.append_decision(decision("first")), return_exceptions=True))[0]
    assert time.monotonic() - started < DEADLINE + BUSY
    present = await stored(event_log(account, SetClock(T0)))
    if result is None:
        assert present == ["first"]
    else:
        assert isinstance(result, StorageUnavailableError)
        assert present in ([], ["first"])
    await log.append_decision(decision("second"))
    assert sorted(await stored(event_log(account, SetClock(T0))))[-1] == "second"


@pytest.mark.parametrize("name", ["429", "503", "torn", "late"])
async def test_when_storage_stays_away_callers_are_told_in_time(proxy, faulty, name):
    log = event_log(faulty, SetClock(T0), deadline=DEADLINE)
    proxy.plan = lambda call: FAULTS[name]
    started = time.monotonic()
    appends = [log.append_observation(observation(f"e{n}")) for n in range(20)]
    results = await asyncio.gather(*appends, return_exceptions=True)
    assert all(isinstance(result, StorageUnavailableError) for result in results)
    assert time.monotonic() - started < 2 * DEADLINE + BUSY  # one row under way, the rest in the next


async def calls_of_second_run(proxy, faulty, account) -> list[Call]:
    await trainer(account, FIRST, store="counted").run()
    proxy.forget()
    await trainer(faulty, SECOND, store="counted").run()
    return list(proxy.calls)


@in_memory_first
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK drops the connection of an answer it refuses
@pytest.mark.parametrize(
    ("name", "offset", "step"),
    [("412", 0, 1), ("500, though done", 0, 2), ("torn", 0, 2), ("torn, though done", 1, 2), ("503 from then on", 1, 4)],
)
@pytest.mark.sweep(keep=2)
async def test_a_fault_at_any_call_of_the_trainer_changes_nothing_in_the_end(proxy, faulty, account, name, offset, step):
    """``step`` leaves chosen calls out: the faults that are alike take them in turn, and patience makes some of them take seconds."""
    await write_log(account)
    calls = await calls_of_second_run(proxy, faulty, account)
    assert len(calls) >= 10
    for number in chosen(calls)[offset::step]:
        store = f"run{number}"
        await trainer(account, FIRST, store=store).run()
        proxy.forget()
        if name == "503 from then on":
            proxy.plan = lambda call, number=number: Fault(503) if call.number >= number else None
        else:
            fault = Fault(412) if name == "412" else FAULTS[name]
            proxy.plan = lambda call, number=number, fault=fault: fault if call.number == number else None
        await disturbed_run(faulty, store)
        proxy.plan = no_faults
        await break_lease(account, store)
        await trainer(account, SECOND, store=store).run()
        await assert_as_undisturbed(account, store)


@in_memory_first
async def test_a_commit_writes_the_state_then_the_model_and_last_the_pointer(proxy, faulty, account):
    await write_log(account)
    await calls_of_second_run(proxy, faulty, account)
    written = [re.search(r"/loops/counted/(log|states|models|pointer)", call.path) for call in proxy.calls if call.method == "PUT"]
    assert [each[1] for each in written if each] == ["log", "states", "models", "pointer"]


@in_memory_first
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
@STRIDES
async def test_retention_stopped_at_any_call_leaves_no_model_without_its_state_and_the_next_run_does_the_rest(
    proxy, faulty, account, engine, stride
):
    await write_log(account)
    assert not await _is_stopped(proxy, faulty, account, NEVER)
    calls = list(proxy.calls)
    assert len(calls) > 6
    for number in stops(calls, engine=engine, stride=stride):
        assert await _is_stopped(proxy, faulty, account, number)


async def _is_stopped(proxy, faulty: Storage, account: Storage, number: int) -> bool:
    store = f"kept{number}"
    await trainer(account, SECOND, store=store, max_events=40).run()
    await leave_behind(account, store)
    proxy.forget()
    proxy.plan = lambda call: Fault(412) if call.number >= number else None
    try:
        await retention(faulty, store=store, models_kept=2).run()
    except PersonalizerError:
        stopped = True
    else:
        stopped = False
    proxy.plan = no_faults
    models, states = await models_and_states(account, store)
    assert set(models) <= set(states)
    await retention(account, store=store, models_kept=2).run()
    assert await models_and_states(account, store) == (models[-2:], models[-2:])
    assert (await committed(account, store)).version == models[-1]
    return stopped


async def leave_behind(account, store: str) -> None:
    """Do as a run that was stopped: one after its state, long ago, and one after its model."""
    kept = FileModelStore(account, loop=store)
    await kept.write_state("00000001-ffff", b"state")
    await kept.write_state("00000000-ffff", b"state")
    await kept.write_artifact("00000000-ffff", b"model", provenance=Provenance("", T0, T0, "", 0, ""))


async def disturbed_run(account, store: str) -> None:
    """Run until it ends, well or not; it must end."""
    try:
        await asyncio.wait_for(trainer(account, SECOND, store=store).run(), 60)
    except PersonalizerError:
        return


async def break_lease(account: Storage, store: str) -> None:
    """Do what 15 seconds would: a lease that its holder could not give back ends."""
    await end_lease(account, names.MODELS, names.lease_file(store))
