"""What a commit removes from real storage, where that fails or the process is killed in it."""

import signal
from datetime import datetime

import pytest

from shared.domain.ledger import Pointer
from shared.runtime.pruning_store import PruningModelStore
from shared.services.training.trainer import Trainer
from shared.storage import names
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from tests.keeping import content_of
from tests.reliability.chosen import chosen
from tests.reliability.killed import WHEN, Child
from tests.reliability.test_faults import FAULTS
from tests.reliability.world import FIRST, SECOND, committed, models_and_states, retention, trainer, write_log
from tests.storage_proxy import Call, Fault, no_faults
from tests.stores import embedded_first, in_memory_first
from tests.sweeps import STRIDES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the SDK drops the connection of an answer it refuses
]

KEPT = 2


def pruning(account: Storage, at: datetime, *, store: str, max_events: int = 50_000) -> Trainer:
    return trainer(account, at, store=store, max_events=max_events, kept=PruningModelStore(account, loop=store, models_kept=KEPT))


async def assert_tidy(account: Storage, store: str) -> Pointer:
    """Check that nothing is there but what is needed: the two models that were published last, the figures and the lookback."""
    pointer = await committed(account, store)
    models, states = await models_and_states(account, store)
    assert models == states
    assert len(models) == KEPT
    assert models[-1] == pointer.version
    kept = FileModelStore(account, loop=store)
    assert [name async for name in kept.figures_kept()] == [pointer.figures]
    assert [name async for name in kept.lookbacks_kept()] == [pointer.lookback]
    assert [name async for name in kept.breakdowns_kept()] == [pointer.breakdown]
    return pointer


@in_memory_first
async def test_after_many_commits_there_is_what_is_needed_and_the_same_model_as_without_removing_anything(proxy, faulty, account):
    await write_log(account)
    for at in (FIRST, SECOND):
        await trainer(account, at, store="all", max_events=16).run()
        await pruning(faulty, at, store="few", max_events=16).run()
    pointer, other = await assert_tidy(account, "few"), await committed(account, "all")
    assert pointer.sequence > 5
    assert (pointer.version, pointer.counters, pointer.figures) == (other.version, other.counters, other.figures)
    assert await content_of(account, "few", pointer.version) == await content_of(account, "all", other.version)
    listed = [call for call in proxy.calls if call.method == "GET" and call.path.endswith(f"/{names.MODELS}")]
    assert len(listed) == 5 * 2, "models, states, figures, lookbacks and breakdowns, once a process"


class FailsRemovals:
    """Fails the removal's call of this number: a listing or a deletion."""

    def __init__(self, fault: Fault, number: int) -> None:
        self._fault, self._number = fault, number
        self.calls = 0

    def __call__(self, call: Call) -> Fault | None:
        if call.method != "DELETE" and not call.path.endswith(f"/{names.MODELS}"):
            return None
        self.calls += 1
        return self._fault if self.calls == self._number else None


@in_memory_first
@pytest.mark.parametrize(("name", "first"), [("412", 1), ("torn, though done", 2)])
@STRIDES
async def test_a_removal_that_fails_at_any_call_fails_no_commit_and_is_made_up_for(proxy, faulty, account, name, first, caplog, stride):
    """The two faults take the calls in turn."""
    await write_log(account)
    await trainer(account, SECOND, store="all", max_events=30).run()
    expected = await committed(account, "all")
    for number in range(first, 100, 2 * stride):
        store = f"run{number}"
        plan = proxy.plan = FailsRemovals(FAULTS.get(name, Fault(412)), number)
        commits = await pruning(faulty, SECOND, store=store, max_events=30).run()
        proxy.plan = no_faults
        done = await committed(account, store)
        assert len(commits) == done.sequence == expected.sequence > 3
        assert (done.counters, done.version) == (expected.counters, expected.version)
        await retention(account, store=store, models_kept=KEPT).run()
        await assert_tidy(account, store)
        if plan.calls < number:
            break
    assert number > 6
    assert plan.calls < number
    assert ("left to the next one" in caplog.text) == (name == "412")


@embedded_first
@WHEN
@pytest.mark.sweep(keep=1)
async def test_a_process_killed_at_any_call_leaves_what_is_needed_and_the_next_one_removes_the_rest(way, account, done_first):
    await write_log(account)
    await pruning(account, FIRST, store="undisturbed", max_events=30).run()
    whole = Child(way, 0, done_first=False)
    assert (await whole.run("train and prune", "undisturbed"))[0] == 0
    each = range(1 + done_first, whole.calls + 1, 3) if isinstance(way, str) else chosen(way.calls)[done_first::2]
    for number in each:
        store = f"run{number}"
        await pruning(account, FIRST, store=store, max_events=30).run()
        code, _ = await Child(way, number, done_first=done_first).run("train and prune", store)
        models, states = await models_and_states(account, store)
        assert set(models) <= set(states)
        assert (await committed(account, store)).version in models
        assert KEPT <= len(models) <= len(states) <= KEPT + 1
        assert code in (-signal.SIGKILL, 0)  # after its last call it may be gone already
        assert code == -signal.SIGKILL or number == whole.calls
