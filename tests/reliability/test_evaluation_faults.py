"""An evaluation asked for while storage fails, at each of its calls: there is one in the end, however often the call is repeated."""

import itertools

import pytest

from shared.domain.errors import EvaluationNotFoundError, StorageUnavailableError
from shared.domain.evaluation import Asked
from shared.domain.loop import LearningPolicy
from shared.services.analysis.evaluations import Evaluations
from shared.storage.evaluation_store import evaluation_store
from tests.builders import T0, after
from tests.clocks import SetClock
from tests.services.analysis.test_evaluations import Log, Work
from tests.storage_proxy import Call, Fault, no_faults
from tests.stores import in_memory_first

ASKED = Asked("first", T0, after(60), (LearningPolicy("mine", "--cb_explore_adf"),))
BEFORE, AFTERWARDS = Fault(400), Fault(400, done_first=True)
"""Answers that the SDK does not repeat by itself: the call was lost, or its answer."""


def evaluations(account) -> Evaluations:
    return Evaluations(evaluation_store(account, loop="default"), Log(), Work(), clock=SetClock(after(120)))


async def submit(account, *, job_id: str = "e1"):
    return await evaluations(account).submit(ASKED, online=LearningPolicy(), request_id="r1", job_id=job_id)


@in_memory_first
@pytest.mark.parametrize("fault", [BEFORE, AFTERWARDS], ids=["call lost", "answer lost"])
@pytest.mark.parametrize("job_id", ["e1", ""], ids=["the caller's id", "an id of ours"])
async def test_a_call_that_failed_anywhere_and_is_repeated_makes_one_evaluation(account, faulty, proxy, fault, job_id):
    await evaluations(account).submit(ASKED, online=LearningPolicy(), request_id="", job_id="before")  # the container is there
    for number in itertools.count(1):
        proxy.forget()
        proxy.plan = lambda call, at=number: fault if call.number == at else None
        failed = False
        try:
            await submit(faulty, job_id=job_id)
        except StorageUnavailableError:
            failed = True
        proxy.plan = no_faults
        made = await submit(faulty, job_id=job_id)
        assert sorted(each.job.id for each in await evaluations(account).listed()) == sorted([made.job.id, "before"])
        await evaluations(account).delete(made.job.id)
        if not failed:
            break
    assert number > 3, "looked, counted and wrote"


@in_memory_first
@pytest.mark.parametrize("fault", [BEFORE, AFTERWARDS], ids=["call lost", "answer lost"])
async def test_a_deletion_that_failed_anywhere_can_be_repeated_until_it_is_gone(account, faulty, proxy, fault):
    for at in (1, 2, 3):
        await submit(account)
        proxy.forget()
        proxy.plan = lambda call, at=at: fault if call.number == at else None
        with pytest.raises(StorageUnavailableError):
            await evaluations(faulty).delete("e1")
        proxy.plan = no_faults
        try:
            await evaluations(faulty).delete("e1")
        except EvaluationNotFoundError:
            assert (at, fault) == (3, AFTERWARDS)
        assert list(await evaluations(account).listed()) == []


async def test_what_storage_refuses_is_not_said_to_be_missing(account, faulty, proxy):
    await submit(account)

    def refused(call: Call) -> Fault:
        return BEFORE

    proxy.plan = refused
    for asked in (evaluations(faulty).read("e1"), evaluations(faulty).listed(), evaluations(faulty).opened()):
        with pytest.raises(StorageUnavailableError):
            await asked
