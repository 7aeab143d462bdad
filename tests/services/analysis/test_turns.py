"""A loop has few analyses under way at a time: the others wait their turn, in the order in which they were asked for, and none is lost."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.evaluation import Evaluation, EvaluationKind, Job, JobKind, JobStatus, Listed
from shared.domain.events import JoinedEvent
from shared.services.analysis import running
from shared.services.analysis.board import Message, run_of
from shared.services.analysis.turns import TURNS, Place, has_turn
from shared.services.analysis.weighing import Weighing
from tests.builders import T0, after
from tests.services.analysis.desk import TOMORROW, Desk, Died, Records
from tests.services.analysis.logs import drawn
from tests.services.analysis.test_lane import GREEDY
from tests.sweeps import STRIDES

EVENTS = drawn(30, every=60.0)
PARTS = [EVENTS[first : first + 10] for first in range(0, 30, 10)]
LOGGED = (T0, after(3600))


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(running, "STEP_EVENTS", 10)


def place(number: int, status: JobStatus = JobStatus.NOT_SUBMITTED, *, is_automatic: bool = False, since: int = 0) -> Place:
    job = Job(f"e{number}", "", after(since), after(since + 60), after(number), status)
    listed = Listed(job, EvaluationKind.AUTO if is_automatic else EvaluationKind.MANUAL)
    return Place.of(JobKind.EVALUATION, listed, logged=LOGGED)


def next_of(places: Sequence[Place]) -> list[str]:
    return [each.job.id for each in places if each.is_waiting and has_turn(each, places)]


def test_the_first_that_were_asked_for_have_their_turn():
    assert next_of([place(number) for number in (5, 3, 1, 4, 2)]) == ["e1", "e2"]


def test_those_that_are_under_way_count_whenever_they_were_asked_for():
    under_way = [place(number, JobStatus.RUNNING) for number in (7, 8)]
    assert next_of([place(1), under_way[0], place(2)]) == ["e1"]
    assert next_of([place(1), *under_way]) == []


def test_one_without_anything_to_do_yet_keeps_nobody_waiting():
    idle = [place(number, since=9_000) for number in (1, 2)]
    assert [has_turn(each, [*idle, place(3), place(4)]) for each in (place(3), place(4), place(5))] == [True, True, False]


def test_automatic_optimisation_waits_for_its_own_only():
    manual = [place(number, JobStatus.RUNNING) for number in (1, 2)] + [place(number) for number in range(3, 9)]
    assert next_of([*manual, place(9, is_automatic=True), place(10, is_automatic=True)]) == ["e9"]
    assert next_of([place(1), place(9, JobStatus.RUNNING, is_automatic=True), place(2)]) == ["e1", "e2"]


# --- whole analyses --------------------------------------------------------------------------------------------------------


def new_desk(parts: Sequence[Sequence[JoinedEvent]] = PARTS) -> Desk:
    """Give one whose feature importances have records of their own."""
    desk = Desk(parts)
    desk.methods[JobKind.IMPORTANCE] = Weighing(Records(desk.fate))
    return desk


async def asked(desk: Desk, count: int, *, first: int = 0, kind: EvaluationKind = EvaluationKind.MANUAL) -> None:
    for number in range(first, first + count):
        desk.clock.pass_(1)
        await desk.asked(GREEDY, job_id=f"e{number}", kind=kind)


def statuses(desk: Desk) -> dict[str, JobStatus]:
    return {name: record.job.status for name, (record, _) in desk.records.values.items()}


def under_way(desk: Desk) -> list[str]:
    return [name for name, status in statuses(desk).items() if status is JobStatus.RUNNING]


async def delivered(desk: Desk, most: int = 2_000) -> int:
    """Deliver until the queue is empty; gives the most analyses that were under way at a time."""
    seen = 0
    for _ in range(most):
        if not desk.queue.waiting:
            return seen
        await desk.deliver()
        seen = max(seen, len(under_way(desk)))
    raise AssertionError("it goes on and on")


async def test_of_many_at_once_few_are_under_way_and_all_are_done_in_their_order():
    desk = new_desk()
    await asked(desk, 7)
    ended: list[str] = []
    edit = desk.records.put

    def noted(name, value, expected):
        if value.job.status.is_over and name not in ended:
            ended.append(name)
        return edit(name, value, expected)

    desk.records.put = noted  # type: ignore[method-assign]
    assert await delivered(desk) == TURNS
    assert {*statuses(desk).values()} == {JobStatus.SUCCEEDED}
    assert ended == sorted(ended)
    assert not [name for name in desk.files.values if name.endswith(running.WAITS)]


async def test_one_that_waits_says_so():
    desk = new_desk()
    await asked(desk, 4)
    for _ in range(4):
        await desk.deliver()
    last = desk.records.values["e3"][0].job
    assert (last.status, last.description) == (JobStatus.NOT_SUBMITTED, "It waits for its turn. A loop runs 2 analyses at the same time.")


async def test_what_many_that_waited_find_is_what_each_would_by_itself():
    alone, many = new_desk(), new_desk()
    await asked(alone, 1)
    await asked(many, 5)
    await delivered(alone)
    await delivered(many)
    assert [record.results for record, _ in many.records.values.values()] == [alone.records.values["e0"][0].results] * 5


@pytest.mark.parametrize("which", ["e0", "e3"])
async def test_one_that_is_deleted_lets_the_next_go(which):
    desk = new_desk()
    await asked(desk, 5)
    for _ in range(6):
        await desk.deliver()
    job = desk.records.values[which][0].job
    await desk.records.delete(which)
    await desk.runner.drop(JobKind.EVALUATION, job)
    assert await delivered(desk) <= TURNS
    assert statuses(desk) == dict.fromkeys([f"e{number}" for number in range(5) if f"e{number}" != which], JobStatus.SUCCEEDED)
    desk.clock.pass_(running.STALE.total_seconds() + 1)
    await desk.runner.sweep()
    assert not [name for name in desk.files.values if name.startswith(run_of(JobKind.EVALUATION, job))]


async def test_one_that_times_out_or_fails_lets_the_next_go():
    desk = new_desk()
    await asked(desk, 4)
    for _ in range(4):
        await desk.deliver()
    desk.clock.pass_(running.LONGEST.total_seconds() + 1)
    await delivered(desk)
    assert statuses(desk) == {
        **dict.fromkeys(["e0", "e1"], JobStatus.TIMEOUT),
        **dict.fromkeys(["e2", "e3"], JobStatus.SUCCEEDED),  # their day begins with their turn
    }


async def test_automatic_optimisation_is_done_while_others_wait():
    desk = new_desk()
    await asked(desk, 6)
    await asked(desk, 1, first=6, kind=EvaluationKind.AUTO)
    while not statuses(desk)["e6"].is_over:
        await desk.deliver()
    assert JobStatus.NOT_SUBMITTED in statuses(desk).values()


@pytest.mark.parametrize("lost", range(12))
@pytest.mark.sweep(keep=4)
async def test_a_lost_message_costs_a_sweep_at_most(lost):
    """Whichever message it is: the one that begins a job, one of its steps, or the one that wakes the next."""
    desk = new_desk()
    await asked(desk, 4)
    for _ in range(4 + lost):
        if desk.queue.waiting:
            await desk.deliver()
    if desk.queue.waiting:
        desk.queue.waiting.pop(0)
    await delivered(desk)
    for _ in range(4):
        desk.clock.pass_(running.STALE.total_seconds() + 1)
        await desk.runner.sweep()
        await delivered(desk)
    assert {*statuses(desk).values()} == {JobStatus.SUCCEEDED}


@pytest.mark.slow
@pytest.mark.parametrize("done_first", [False, True])
@STRIDES
async def test_a_worker_that_dies_anywhere_loses_none_of_those_that_wait(done_first, stride):
    """The message comes again, as a queue's do; and the sweep finds what that does not."""
    small = [EVENTS[:5], EVENTS[5:10]]
    whole = new_desk(small)
    await asked(whole, TURNS + 1)
    await delivered(whole)
    for number in range(1, whole.fate.calls + 1, 3 * stride):
        desk = new_desk(small)
        await asked(desk, TURNS + 1)
        desk.fate.number, desk.fate.done_first, desk.fate.calls = number, done_first, 0
        await delivered(desk)
        desk.clock.pass_(running.STALE.total_seconds() + 1)
        for _ in range(2):
            try:
                await desk.runner.sweep()
            except Died:
                continue
        await delivered(desk)
        assert {*statuses(desk).values()} == {JobStatus.SUCCEEDED}, number
        assert [record.results for record, _ in desk.records.values.values()] == [
            record.results for record, _ in whole.records.values.values()
        ], number


async def test_the_evaluation_of_another_loop_is_done_while_many_of_one_wait():
    first, second = new_desk(), new_desk()
    second.queue = first.queue  # which is shared, and first in, first out
    await asked(first, 20)
    mine = Job("mine", "mine", T0, TOMORROW, second.clock.now())
    await second.records.create(Evaluation(mine, GREEDY, ()))
    theirs = set(first.queue.waiting)
    await second.runner.start(JobKind.EVALUATION, mine)
    of_second = set(first.queue.waiting) - theirs
    while not statuses(second)["mine"].is_over:
        text = first.queue.waiting.pop(0)
        desk = second if text in of_second else first
        before = [*first.queue.waiting]
        await desk.runner.handle(Message.read(text))
        if desk is second:
            of_second |= {each for each in first.queue.waiting if each not in before}
    assert [*statuses(first).values()].count(JobStatus.NOT_SUBMITTED) >= 10


async def test_jobs_and_messages_of_the_release_before_go_on():
    """All of them were begun at once then, and their plans do not say when."""
    desk = new_desk()
    await asked(desk, 5)
    messages = [*desk.queue.waiting]
    for number in range(5):
        record, etag = desk.records.values[f"e{number}"]
        await desk.records.replace(replace(record, job=replace(record.job, status=JobStatus.RUNNING)), expected=etag)
    await delivered(desk)
    desk.queue.waiting += messages
    await delivered(desk)
    for _ in range(3):
        desk.clock.pass_(timedelta(minutes=21).total_seconds())
        await desk.runner.sweep()
        await delivered(desk)
    assert {*statuses(desk).values()} == {JobStatus.SUCCEEDED}
