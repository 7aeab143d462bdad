"""The model changed by hand, or begun anew, while storage fails or the process is killed: all of the change is there or none of it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.domain.clock import TimeLimit
from shared.domain.errors import PersonalizerError
from shared.domain.ledger import ModelKind, Pointer
from shared.learning import artifact
from shared.services.training.trainer import SLICE
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from shared.storage.signing_keys import FileModelSigner
from tests.clocks import SetClock, Ticks
from tests.keeping import content_of, keeper, pointer_of, provenance_of, replayed
from tests.reliability.chosen import chosen, last_calls
from tests.reliability.killed import WHEN, Child
from tests.reliability.test_faults import FAULTS, break_lease
from tests.reliability.world import FIRST, LOOP, RESET, SECOND, retention, trainer, write_log
from tests.storage_proxy import Fault, StorageProxy, no_faults
from tests.stores import embedded_first, in_memory_first
from tests.sweeps import STRIDES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the SDK drops the connection of an answer it refuses
]

STEP = 8
"""Of the calls of a model that is begun anew in many runs, each of this many is failed, or is a process's last: there are some 120.
On an account each sixth of those, in memory each third."""

Change = Callable[[Storage, str], Awaitable[object]]


async def import_oldest(account: Storage, store: str) -> None:
    keeping = keeper(account, FIRST, store=store)
    oldest = (await keeping.versions())[-1].version
    state = await FileModelStore(account, loop=store).state(oldest)
    await keeping.import_(await FileModelSigner(account, clock=SetClock(FIRST)).sign(state))


async def restore_oldest(account: Storage, store: str) -> None:
    keeping = keeper(account, FIRST, store=store)
    await keeping.restore((await keeping.versions())[-1].version)


async def delete(account: Storage, store: str) -> None:
    await keeper(account, FIRST, store=store).delete()


async def begin_anew(account: Storage, store: str) -> None:
    await trainer(account, FIRST, store=store, loop=RESET).run()


CHANGES: dict[str, Change] = {"import": import_oldest, "restore": restore_oldest, "delete": delete, "retrain": begin_anew}
KINDS = {"import": ModelKind.IMPORTED, "restore": ModelKind.RESTORED, "retrain": ModelKind.RETRAINED}


async def learned_half(account: Storage, store: str) -> Pointer:
    await trainer(account, FIRST, store=store, max_events=30).run()
    return await pointer_of(account, store)


async def assert_whole(account: Storage, store: str, before: Pointer) -> None:
    """Check that what is published is there and can be used, and that the log's side of the pointer is as it was."""
    pointer = await pointer_of(account, store)
    told = ("watermark", "chunk", "counters", "lookback", "apprentice", "log")
    assert [getattr(pointer, name) for name in told] == [getattr(before, name) for name in told]
    if pointer.version:
        state, model = await content_of(account, store, pointer.version)
        assert artifact.dump_model(artifact.load_learner(state)) == model
        assert (await provenance_of(account, store, pointer.version)).learned == pointer.learned


async def assert_goes_on(account: Storage, store: str, what: str, before: Pointer) -> None:
    """Make the change, again if it was made, and check that the rest of the log is learned from it once."""
    await CHANGES[what](account, store)
    await assert_whole(account, store, before)
    changed = await pointer_of(account, store)
    assert changed.version == "" if what == "delete" else (await provenance_of(account, store, changed.version)).kind is KINDS[what]
    await trainer(account, SECOND, store=store, loop=replace(RESET, resets=changed.resets)).run()
    done = await pointer_of(account, store)
    assert done.counters == (await pointer_of(account, "expected")).counters
    assert done.learned == changed.learned + done.counters.learned - before.counters.learned
    assert await replayed(account, store)


@in_memory_first
@pytest.mark.parametrize(("name", "offset"), [("412", 0), ("torn, though done", 1)])
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.sweep(keep=2)
async def test_a_fault_at_any_call_leaves_the_old_model_or_the_new_one(proxy, faulty, account, what, name, offset):
    """The two faults take the chosen calls in turn; each comes once to a call that is not reached."""
    await write_log(account)
    for store in ("first", "undisturbed"):
        await learned_half(account, store)
        proxy.forget()
        await CHANGES[what](faulty, store)
    calls = len(proxy.calls)
    assert calls > 2
    for turn, number in enumerate([*chosen(proxy.calls)[offset::2], calls + 10]):
        store = f"run{number}"
        before = await learned_half(account, store)
        proxy.forget()
        proxy.plan = lambda call, number=number: FAULTS.get(name, Fault(412)) if call.number == number else None
        with suppress(PersonalizerError):
            await asyncio.wait_for(CHANGES[what](faulty, store), 60)
        reached = len(proxy.calls) >= number
        proxy.plan = no_faults
        assert reached == (number <= calls)
        await break_lease(account, store)
        await assert_whole(account, store, before)
        if turn % 3 == 1:
            await assert_goes_on(account, store, what, before)


@embedded_first
@WHEN
@pytest.mark.parametrize("what", ["restore", "retrain"])
@pytest.mark.sweep(keep=2)
async def test_a_process_killed_at_any_call_leaves_the_old_model_or_the_new_one(way, account, what, done_first):
    await write_log(account)
    await learned_half(account, "undisturbed")
    whole = Child(way, 0, done_first=False)
    assert (await whole.run(what, "undisturbed"))[0] == 0
    assert whole.calls > 5
    for turn, number in enumerate(last_calls(way, whole.calls, done_first=done_first)):
        store = f"run{number}"
        before = await learned_half(account, store)
        code, _ = await Child(way, number, done_first=done_first).run(what, store)
        assert code in (-signal.SIGKILL, 0)  # after its last call it may be gone already
        assert code == -signal.SIGKILL or number == whole.calls
        await break_lease(account, store)
        await assert_whole(account, store, before)
        if turn % 3 == 1:
            await assert_goes_on(account, store, what, before)


async def assert_begun_anew(account: Storage, store: str) -> None:
    """Bring it to its end, a chunk at a time, and check that it came to what one run comes to, and that nothing is left of it."""
    expected = await pointer_of(account, "expected")
    for _ in range(30):
        await trainer(account, SECOND, store=store, loop=RESET, max_events=30).turn(one_chunk())
        done = await pointer_of(account, store)
        if done.resets and done.watermark == expected.watermark and not await FileModelStore(account, loop=store).checkpoints.progress():
            break
    assert (done.resets, done.counters, done.learned, done.watermark) == (1, expected.counters, expected.learned, expected.watermark)
    assert await content_of(account, store, done.version) == await content_of(
        account, "at once", (await pointer_of(account, "at once")).version
    )
    assert await replayed(account, store) == [done.version]
    await retention(account, store=store, models_kept=5, loop=RESET).run()
    assert await FileModelStore(account, loop=store).checkpoints.progress() is None


def one_chunk() -> TimeLimit:
    return TimeLimit(1.5 * SLICE, monotonic=Ticks(SLICE.total_seconds()))


async def begun_anew_at_once(account: Storage) -> None:
    """Learn all of the log, and all of it anew in one run."""
    await learned_half(account, "at once")
    await trainer(account, SECOND, store="at once", max_events=30).run()
    await trainer(account, SECOND + LOOP.model_export_frequency, store="at once", max_events=30).run()
    await trainer(account, SECOND, store="at once", loop=RESET).run()


@embedded_first
@WHEN
@STRIDES
@pytest.mark.sweep(keep=1)
async def test_killed_at_any_call_while_it_is_begun_anew_in_many_runs_a_model_comes_to_the_bytes_of_one(way, account, done_first, stride):
    """Each new write among them: the first checkpoint and those that follow, the windows in between, the last commit, the deletion."""
    await write_log(account)
    await begun_anew_at_once(account)
    step = 6 * STEP if isinstance(way, StorageProxy) else STEP
    for number in range(1 + (step // 2 if step > STEP else 2) * done_first, 400, step * max(stride // 2, 1)):
        store = f"run{number}"
        await learned_half(account, store)
        code, _ = await Child(way, number, done_first=done_first).run("retrain slowly", store)
        await break_lease(account, store)
        await assert_begun_anew(account, store)
        if code == 0:
            break
    assert code == 0


@in_memory_first
@pytest.mark.parametrize(("name", "first"), [("412", STEP), ("torn, though done", 2 * STEP)])
@pytest.mark.sweep(keep=1)
async def test_a_fault_at_any_call_while_it_is_begun_anew_in_many_runs_changes_nothing_in_the_end(
    proxy, faulty, account, engine, name, first
):
    await write_log(account)
    await begun_anew_at_once(account)
    for number in range(first, 400, (6 if engine == "azurite" else 3) * STEP):
        store = f"run{number}"
        await learned_half(account, store)
        proxy.forget()
        proxy.plan = lambda call, number=number: FAULTS.get(name, Fault(412)) if call.number == number else None
        process = trainer(faulty, SECOND, store=store, loop=RESET, max_events=30)
        for _ in range(12):
            with suppress(PersonalizerError):
                await asyncio.wait_for(process.turn(one_chunk()), 60)
        reached = len(proxy.calls) >= number
        proxy.plan = no_faults
        await break_lease(account, store)
        await assert_begun_anew(account, store)
        if not reached:
            break
    assert not reached


@embedded_first
async def test_two_processes_at_once_train_begin_anew_and_go_back_and_every_event_counts_once(way, account):
    await write_log(account)
    before = await learned_half(account, "busy")
    await asyncio.gather(
        *(Child(way, 0, done_first=False).run(what, "busy") for what in ("retrain", "restore", "train")),
        restore_oldest(account, "busy"),
        trainer(account, SECOND, store="busy").run(),
    )
    await break_lease(account, "busy")
    await trainer(account, SECOND, store="busy", loop=RESET).run()
    done = await pointer_of(account, "busy")
    assert done.counters == (await pointer_of(account, "expected")).counters
    assert done.sequence > before.sequence + 2
    assert await replayed(account, "busy")
