"""What was deleted may answer for a while that it is being deleted: that is like not there, and never like there already."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
from azure.core.exceptions import HttpResponseError

from shared.domain.errors import StorageUnavailableError
from shared.storage import names
from shared.storage.azure.deletions import is_being_deleted
from shared.storage.event_log import RowEventLog
from shared.storage.files import Files
from shared.storage.job_queue import QueuedJobs
from shared.storage.lease import lease
from shared.storage.ports import Storage
from tests.builders import T0, after, decision
from tests.reliability.world import event_log
from tests.storage_proxy import Call, Fault, StorageProxy, no_faults
from tests.stores import ENGINES, opened


@pytest.fixture(params=ENGINES[1:])
def engine(request: pytest.FixtureRequest) -> str:
    """Only the Azure engine has a state between there and not there."""
    found: str = request.param
    return found


@pytest.fixture
def proxy(storage) -> Iterator[StorageProxy]:
    with StorageProxy(storage) as proxy:
        yield proxy


@pytest.fixture
async def faulty(proxy) -> AsyncIterator[Storage]:
    account = opened(proxy.connection_string)
    yield account
    await account.close()


@pytest.fixture
def log(faulty, clock) -> RowEventLog:
    return event_log(faulty, clock)


def being_deleted(what: str, *, code: str, most: int = 1_000):
    """Answer calls for this so, up to so many."""
    left = most

    def plan(call: Call) -> Fault | None:
        nonlocal left
        if what not in call.path or left == 0:
            return None
        left -= 1
        return Fault(409, headers={"x-ms-error-code": code})

    return plan


async def decided(log: RowEventLog) -> list[str]:
    heads = [head async for minute in log.decision_heads(T0, after(60)) for head in minute]
    return [event.event_id for segment in await log.decisions(heads) for event in segment.events or ()]


async def test_a_table_that_is_being_deleted_holds_nothing(proxy, log):
    await log.append_decision(decision())
    heads = [head async for minute in log.decision_heads(T0, after(60)) for head in minute]
    proxy.plan = being_deleted(f"{names.DayTable('default', 1, names.Kind.DECISIONS, T0.date()).name}(", code="TableBeingDeleted")
    assert await decided(log) == []
    assert [segment.events for segment in await log.decisions(heads)] == [None]
    assert (await log.search("e1", T0, after(60), limit=100)).heads == []
    assert await log.drop_tables(before=after(86_400)) == 1


async def test_an_append_to_a_table_that_is_being_deleted_is_refused_until_it_is_gone(proxy, log):
    await log.append_decision(decision("before"))
    proxy.forget()
    proxy.plan = lambda call: Fault(409, headers={"x-ms-error-code": "TableBeingDeleted"}) if "personalizer" not in call.path else None
    with pytest.raises(StorageUnavailableError):
        await log.append_decision(decision("refused"))
    assert len(proxy.calls) <= 4
    with pytest.raises(StorageUnavailableError):
        await log.create_tables(T0)
    proxy.plan = no_faults
    await log.append_decision(decision("after"))
    assert await decided(log) == ["before", "after"]


async def test_an_append_is_stored_where_only_the_old_table_is_being_deleted(proxy, log):
    """As a deletion of the log leaves it: the pointer tells of a new generation."""
    await log.append_decision(decision("before"))
    proxy.plan = being_deleted("x0001d", code="TableBeingDeleted", most=1)
    await log.append_decision(decision("after"))
    assert await decided(log) == ["before", "after"]


async def test_a_sweep_goes_on_behind_a_table_that_is_being_deleted(proxy, log):
    await log.append_decision(decision())
    await log.create_tables(T0)
    proxy.plan = lambda call: Fault(409, headers={"x-ms-error-code": "TableBeingDeleted"}) if call.method == "DELETE" else None
    assert await log.drop_all() == 2


async def test_a_file_cannot_be_written_to_a_container_that_is_being_deleted(proxy, faulty):
    files = Files(faulty, names.MODELS)
    proxy.plan = being_deleted(names.MODELS, code="ContainerBeingDeleted")
    for write in (files.replace("a", b"1", expected=None), files.write_once("a", b"1")):
        with pytest.raises(StorageUnavailableError):
            await write
    with pytest.raises(StorageUnavailableError):
        async with lease(files, "a"):
            pass
    proxy.plan = no_faults
    await files.write_once("a", b"1")
    proxy.plan = lambda call: Fault(409, headers={"x-ms-error-code": "ContainerBeingDeleted"}) if call.method == "PUT" else None
    with pytest.raises(StorageUnavailableError):
        async with lease(files, "a"):
            pass


async def test_a_job_cannot_be_sent_to_a_queue_that_is_being_deleted(proxy, faulty):
    jobs = QueuedJobs(faulty)
    proxy.plan = being_deleted("personalizer-jobs", code="QueueBeingDeleted")
    with pytest.raises(StorageUnavailableError):
        await jobs.send(json.dumps({}).encode())
    proxy.plan = no_faults
    await jobs.send(json.dumps({}).encode())


def test_other_conflicts_are_none_of_this():
    answer = HttpResponseError("refused")
    answer.status_code = 409
    assert not is_being_deleted(answer)
