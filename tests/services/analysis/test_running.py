"""An analysis goes on step by step, whatever happens to its messages, its workers and its log."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.clock import EARLIEST, LATEST
from shared.domain.errors import StorageUnavailableError
from shared.domain.evaluation import Job, JobKind, JobStatus, PolicySource
from shared.domain.events import SkipReason
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.joining.chunks import ChunkName
from shared.runtime.telemetry import MESSAGES
from shared.services.analysis import running
from shared.services.analysis.board import Board, Message, run_of
from shared.services.analysis.lane import Lane
from tests.builders import T0, after, apprentice
from tests.services.analysis.desk import Desk
from tests.services.analysis.logs import drawn
from tests.services.analysis.test_lane import GREEDY, UNCROSSED, estimates, taken
from tests.sweeps import STRIDES

EVENTS = drawn(160, every=150.0)
PARTS = [EVENTS[first : first + 20] for first in range(0, 160, 20)]


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(running, "STEP_EVENTS", 40)
    monkeypatch.setattr(running, "PART_EVENTS", 20)


@pytest.fixture
def desk():
    return Desk(PARTS)


async def finished(desk: Desk, *policies: LearningPolicy, **others):
    await desk.asked(*policies, **others)
    return await desk.run()


FEW = [EVENTS[first : first + 10] for first in range(0, 40, 10)]


@pytest.fixture
def in_short_steps(monkeypatch):
    monkeypatch.setattr(running, "STEP_EVENTS", 20)
    monkeypatch.setattr(running, "PART_EVENTS", 20)


async def undisturbed(parts=FEW):
    desk = Desk(parts)
    return await finished(desk, GREEDY, UNCROSSED), report(desk)


def report(desk: Desk) -> bytes:
    found: bytes
    [found] = [data for name, (data, _) in desk.files.values.items() if name.endswith("/report")]
    return found


async def test_all_policies_are_valued_as_a_lane_by_itself_would(desk):
    record = await finished(desk, GREEDY, UNCROSSED)
    assert (record.job.status, record.job.description) == (JobStatus.SUCCEEDED, "")
    assert [(each.name, each.source) for each in record.results] == [
        ("online", PolicySource.ONLINE),
        ("baseline1", PolicySource.BASELINE),
        ("random", PolicySource.RANDOM),
        ("present policy", PolicySource.CUSTOM),
        ("greedy", PolicySource.CUSTOM),
        ("blind", PolicySource.CUSTOM),
    ]
    alone = taken(Lane(board_lineup(desk)), EVENTS, 20)
    expected = estimates(alone)
    for result in record.results[:5]:
        assert result.estimate.expected_reward == pytest.approx(expected[result.name])
        assert result.estimate.lower < result.estimate.expected_reward < result.estimate.upper
        assert result.sums.rounds == 160
    assert record.optimal_policy == "greedy"


def board_lineup(desk: Desk):
    board = next(data for name, (data, _) in desk.files.values.items() if name.endswith("/board"))
    return Board.read(board).lineup(0, 0)


async def test_it_tells_how_far_it_is(desk):
    await desk.asked(GREEDY)
    told = []
    while desk.queue.waiting:
        await desk.deliver()
        job = desk.records.values["e1"][0].job
        told.append((job.status, job.description))
    assert told[0] == (JobStatus.RUNNING, "Under way: 0 of 8 chunks of the log done, in 1 lane.")
    assert told[2] == (JobStatus.RUNNING, "Under way: 4 of 8 chunks of the log done, in 1 lane.")
    assert told[-1] == (JobStatus.SUCCEEDED, "")


@pytest.mark.usefixtures("in_short_steps")
@pytest.mark.parametrize("done_first", [False, True], ids=["before", "after"])
@STRIDES
async def test_a_worker_that_dies_at_any_call_changes_nothing_in_the_result(done_first, stride):
    alone = Desk(FEW)
    expected = await finished(alone, GREEDY), report(alone)
    for number in range(1, 40, stride):
        desk = Desk(FEW)
        await desk.asked(GREEDY)
        desk.fate.calls, desk.fate.number, desk.fate.done_first = 0, number, done_first
        assert (await desk.run(), report(desk)) == expected, f"died at call {number}"
        if desk.fate.calls < number:
            break
    assert 20 < number < 39


@pytest.mark.usefixtures("in_short_steps")
@pytest.mark.parametrize("done_first", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("before_the_end", range(2, 14, 3))
@pytest.mark.sweep(keep=3)
async def test_nor_does_one_that_dies_where_lanes_come_together(done_first, before_the_end):
    alone = Desk(FEW)
    expected = await finished(alone, GREEDY, UNCROSSED), report(alone)
    desk = Desk(FEW)
    desk.fate.number, desk.fate.done_first = alone.fate.calls - before_the_end, done_first
    assert (await finished(desk, GREEDY, UNCROSSED), report(desk)) == expected


@pytest.mark.usefixtures("in_short_steps")
async def test_messages_that_come_twice_and_out_of_order_change_nothing():
    expected, sums = await undisturbed()
    desk = Desk(FEW)
    await desk.asked(GREEDY, UNCROSSED)
    seen: list[bytes] = []
    while desk.queue.waiting and len(seen) < 60:
        message = desk.queue.waiting[0]
        if seen.count(message) < 3:
            desk.queue.waiting += [message, *seen[:1]]
        seen.append(message)
        await desk.deliver()
    assert (desk.records.values["e1"][0], report(desk)) == (expected, sums)


@pytest.mark.usefixtures("in_short_steps")
async def test_the_plan_is_fixed_when_it_begins():
    desk = Desk(FEW)
    expected, sums = await undisturbed()
    await desk.asked(GREEDY, UNCROSSED)
    await desk.deliver()
    desk.log.add(drawn(10, seed=9, first=after(150 * 40)))
    desk.settings.loop = LoopSettings(default_reward=1.0, exploration_percentage=0.9)
    assert (await desk.run(), report(desk)) == (expected, sums)


async def test_only_decisions_of_the_range_are_scored_and_only_its_chunks_are_read(desk):
    record = await finished(desk, since=after(60 * 110), until=after(60 * 260))
    assert record.results[0].sums.rounds == 60
    board = next(data for name, (data, _) in desk.files.values.items() if name.endswith("/board"))
    assert len(Board.read(board).chunks) == 4


async def test_one_that_is_deleted_on_the_way_leaves_nothing_behind(desk):
    await desk.asked(GREEDY)
    for _ in range(3):
        await desk.deliver()
    del desk.records.values["e1"]
    while desk.queue.waiting:
        await desk.deliver()
    assert desk.files.values == {}


async def test_another_of_the_same_id_is_not_taken_for_it(desk):
    await desk.asked(GREEDY)
    await desk.deliver()
    del desk.records.values["e1"]
    desk.clock.pass_(1)
    await desk.asked(UNCROSSED)
    record = await desk.run()
    assert [each.name for each in record.results][4:] == ["blind"]
    assert {name.partition("/")[0] for name in desk.files.values} == {run_of(JobKind.EVALUATION, record.job)}


async def test_a_log_that_is_deleted_meanwhile_fails_it_with_the_reason(desk):
    await desk.asked()
    await desk.deliver()
    desk.log.texts.clear()
    record = await desk.run()
    assert record.job.status is JobStatus.FAILED
    assert "not there any more" in record.job.description
    assert desk.files.values == {}


async def test_a_chunk_that_is_damaged_is_left_out_and_said_to_be(desk):
    desk.log.damaged = {[*desk.log.texts][3]}
    record = await finished(desk)
    assert record.results[0].sums.rounds == 140
    assert record.job.description == "1 of 8 chunks of the log could not be read and are left out."


async def test_what_is_not_joined_yet_is_told(desk):
    desk.log.joined_until = after(60 * 400)
    record = await finished(desk, until=after(60 * 700))
    assert record.job.description.startswith("Decisions after 2026-05-17 18:40:00 UTC had not been joined")


async def test_it_waits_for_the_first_events_to_be_joined_but_not_for_ever():
    desk = Desk()
    desk.log.joined_until = None
    await desk.asked()
    await desk.deliver()
    assert desk.queue.delays[-1] == running.WAIT_STEP <= timedelta(seconds=10)
    assert desk.records.values["e1"][0].job.description.startswith("It waits until")
    desk.clock.pass_(running.WAIT.total_seconds())
    record = await desk.run()
    assert (record.job.status, record.results) == (JobStatus.SUCCEEDED, ())
    assert "No event" in record.job.description


async def test_without_anything_left_to_chance_there_are_no_figures_and_it_says_why():
    desk = Desk([[replace(each, skip=SkipReason.LOGGING_ONLY) for each in EVENTS[:20]]])
    record = await finished(desk)
    assert (record.job.status, record.results, record.optimal_policy) == (JobStatus.SUCCEEDED, (), "")
    assert "policies cannot be compared" in record.job.description


async def test_events_that_count_in_another_way_than_once_are_told():
    imitated = [replace(each, decision=apprentice(f"a{n}", at=each.decision.decided_at)) for n, each in enumerate(EVENTS[20:25])]
    desk = Desk([[*[replace(each, pdrop=0.5) for each in EVENTS[:20]], *imitated]])
    record = await finished(desk)
    assert "Events of Apprentice mode (5 here) are learned, but do not count in any estimate" in record.job.description
    assert "(20 here) count 1 / (1 - pdrop) times in rounds, estimates and intervals." in record.job.description
    assert {result.sums.rounds for result in record.results} == {40.0}


async def test_what_failed_five_times_is_failed_with_the_reason_that_was_last(desk, monkeypatch):
    await desk.asked()
    message = Message.read(desk.queue.waiting[0])

    async def down(name: str) -> bytes:
        raise StorageUnavailableError("storage refused with status 500: read a chunk")

    await desk.deliver()
    message = Message.read(desk.queue.waiting.pop())
    monkeypatch.setattr(desk.log, "chunk", down)
    for _ in range(5):
        with pytest.raises(StorageUnavailableError):
            await desk.runner.handle(message)
    await desk.runner.give_up(message)
    record = await desk.run()
    assert record.job.status is JobStatus.FAILED
    assert record.job.description == "Given up after five tries: storage refused with status 500: read a chunk"
    assert desk.files.values == {}


async def test_one_whose_workers_die_without_a_word_is_given_up_as_well_and_the_alert_hears_of_it(desk, caplog):
    await desk.asked()
    await desk.runner.give_up(Message.read(desk.queue.waiting.pop()))
    [told] = [line for line in caplog.records if line.message == "job given up"]
    assert all(getattr(told, fact) for fact in MESSAGES["job given up"])
    record = await desk.run()
    assert "stopped without a message" in record.job.description


async def test_one_that_takes_too_long_times_out(desk):
    await desk.asked()
    await desk.deliver()
    desk.clock.pass_(running.LONGEST.total_seconds() + 1)
    record = await desk.run()
    assert record.job.status is JobStatus.TIMEOUT
    assert "24 hours" in record.job.description


@pytest.mark.usefixtures("in_short_steps")
@pytest.mark.parametrize("steps", range(5))
@pytest.mark.sweep(keep=3)
async def test_one_that_lost_its_message_is_taken_up_again_at_any_step(steps):
    expected, sums = await undisturbed()
    desk = Desk(FEW)
    await desk.asked(GREEDY, UNCROSSED)
    for _ in range(steps):
        await desk.deliver()
    lost = desk.queue.waiting[:]
    desk.queue.waiting.clear()
    await desk.runner.sweep()
    assert desk.queue.waiting == [], "it may be under way"
    desk.clock.pass_(running.STALE.total_seconds() + 1)
    await desk.runner.sweep()
    assert desk.queue.waiting or not lost
    assert (await desk.run(), report(desk)) == (expected, sums)


async def test_what_is_kept_of_one_that_is_over_are_its_sums_and_for_a_while_its_learners(desk):
    await finished(desk, GREEDY, UNCROSSED)
    run = run_of(JobKind.EVALUATION, desk.records.values["e1"][0].job)
    assert {*desk.files.values} == {f"{run}/{name}" for name in ("board", "report", "lane-0-0", "lane-0-1")}
    await desk.runner.sweep()  # files of this store are as old as the log
    desk.clock.at = T0 + running.KEPT + timedelta(days=1)
    await desk.runner.sweep()
    assert {*desk.files.values} == {f"{run}/{name}" for name in ("board", "report")}
    assert len(await desk.runner.found(JobKind.EVALUATION, desk.records.values["e1"][0].job)) == 2


async def test_files_without_a_record_are_swept_up(desk):
    await finished(desk)
    desk.records.values.clear()
    await desk.runner.sweep()
    assert desk.files.values == {}


@given(
    since=st.datetimes(timezones=st.just(UTC)) | st.sampled_from([EARLIEST, T0]),
    until=st.datetimes(timezones=st.just(UTC)) | st.sampled_from([LATEST, after(1)]),
)
@example(since=EARLIEST, until=LATEST)
def test_any_range_of_the_calendar_finds_the_chunks_that_it_meets(since, until):
    job = Job("e1", "mine", since, until, T0)
    chain = [*Desk(PARTS).log.texts]
    met = [name for name in chain if ChunkName.parse(name).until > since and ChunkName.parse(name).since < until]
    assert set(met) <= set(running.in_range(chain, job))
    assert running.finest(until - since) >= 5


async def test_an_evaluation_of_all_there_is_and_ever_will_be_counts_every_event(desk):
    record = await finished(desk, since=EARLIEST, until=LATEST)
    assert record.job.status is JobStatus.SUCCEEDED
    assert [each.sums.rounds for each in record.results] == [160] * 4
