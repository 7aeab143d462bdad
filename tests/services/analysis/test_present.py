"""One lane values the present policy and tells the others of it: each policy is compared with it as if it went beside in its own lane."""

import asyncio
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.domain.evaluation import PRESENT, JobStatus
from shared.domain.loop import LearningPolicy
from shared.services.analysis import running
from shared.services.analysis.board import Board, Message, Standing
from shared.services.analysis.lane import Lane, contenders, lineups, take_together
from shared.services.analysis.present import Chances, Part
from tests.patience import PATIENCE
from tests.services.analysis.desk import Desk
from tests.services.analysis.logs import drawn
from tests.services.analysis.test_lane import UNCROSSED

EVENTS = drawn(160, every=60.0)
PARTS = [EVENTS[first : first + 20] for first in range(0, 160, 20)]
OTHER = LearningPolicy("other", "--cb_explore_adf --ignore n")


@pytest.fixture(autouse=True)
def short_parts_and_steps(monkeypatch):
    monkeypatch.setattr(running, "PART_EVENTS", 40)
    monkeypatch.setattr(running, "STEP_EVENTS", 80)


async def gone(desk: Desk):
    await desk.asked(UNCROSSED, OTHER)
    return await desk.run()


def sums(desk: Desk):
    """Give what each lane found, lane by lane, as plain numbers."""
    standings = [(name, data) for name, (data, _) in desk.files.values.items() if name.partition("/")[2].startswith("lane-")]
    return [Standing.read(data).sums[""].plain() for _, data in sorted(standings)]


def side_by_side():
    lanes = [Lane(each) for each in lineups(contenders(LearningPolicy(), [UNCROSSED, OTHER]), exploration_percentage=0.2)]
    for part in PARTS:
        take_together(lanes, part)
    return lanes


async def test_a_runner_compares_as_lanes_side_by_side_do():
    desk = Desk(PARTS)
    await gone(desk)
    assert sums(desk) == [lane.sums[""].plain() for lane in side_by_side()]


def test_a_policy_that_is_the_present_one_in_a_lane_of_its_own_differs_by_nothing():
    """The comparison of a twin of the present policy, that learns from the same features under another name, has only zeros."""
    own = LearningPolicy("own", "--cb_explore_adf --ignore q")
    alone, beside = [Lane(each) for each in lineups(contenders(LearningPolicy(), [own]), exploration_percentage=0.2)]
    for part in PARTS:
        take_together([alone, beside], part)  # no feature begins with q: they learn the same
    pairs = beside.sums[""].pairs[PRESENT]
    assert pairs.scope.rounds.tolist() == [160.0]
    assert pairs.scope.differing.tolist() == [0.0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.sweep(keep=2)
async def test_messages_in_any_order_compare_the_same(seed):
    """A lane that comes first waits for the one that values the present policy."""
    rng, expected = np.random.default_rng(seed), Desk(PARTS)
    record = await gone(expected)
    desk = Desk(PARTS)
    await desk.asked(UNCROSSED, OTHER)
    for _ in range(500):
        if not desk.queue.waiting:
            break
        desk.queue.waiting.insert(0, desk.queue.waiting.pop(int(rng.integers(len(desk.queue.waiting)))))
        await desk.deliver()
    assert not desk.queue.waiting
    assert sums(desk) == sums(expected)
    assert desk.records.values["e1"][0].results == record.results


async def test_a_lane_that_comes_first_is_sent_again_and_learns_nothing():
    desk = Desk(PARTS)
    await desk.asked(UNCROSSED)
    await desk.deliver()
    first, second = (Message.read(text) for text in desk.queue.waiting)
    assert (first.lane, second.lane) == (0, 1)
    desk.queue.waiting.reverse()
    await desk.deliver()
    assert [Message.read(text) for text in desk.queue.waiting] == [first, second]
    assert desk.queue.delays[-1] == running.BEHIND


async def test_a_lane_goes_on_as_soon_as_it_is_told_and_others_of_its_process_work_while_it_waits():
    desk = Desk(PARTS)
    await desk.asked(UNCROSSED)
    await desk.deliver()
    desk.queue.waiting.reverse()

    async def pause(span):
        desk.pause = desk.passed
        await desk.deliver()  # of the lane that values the present policy

    desk.pause = pause
    async with asyncio.timeout(PATIENCE):
        await desk.deliver()
    assert running.BEHIND not in desk.queue.delays
    assert sorted((message.lane, message.step) for message in map(Message.read, desk.queue.waiting)) == [(0, 2), (1, 2)]
    assert desk.paused == timedelta(0)


async def test_a_lane_looks_some_times_before_its_message_waits():
    desk = Desk(PARTS)
    await desk.asked(UNCROSSED)
    await desk.deliver()
    desk.queue.waiting.reverse()
    await desk.deliver()
    assert desk.paused == (running.LOOKS - 1) * running.LOOK


async def test_what_an_earlier_release_did_not_tell_is_not_waited_for():
    """Its lane is further, and nothing was told: the others go on, and are compared with what was shown."""
    desk = Desk(PARTS)
    await desk.asked(UNCROSSED)
    await desk.deliver()
    await desk.deliver()
    for name in [each for each in desk.files.values if "/present-" in each]:
        del desk.files.values[name]
    record = await desk.run()
    assert record.job.status is JobStatus.SUCCEEDED
    assert [each.sums.rounds for each in record.results if each.sums] == [160.0] * 5
    assert [set(each["pairs"]) for each in sums(desk)] == [{"online", "baseline1", PRESENT}, {"online", "baseline1"}]


async def test_a_chunk_that_the_telling_lane_leaves_out_is_left_out_by_all():
    desk = Desk(PARTS)
    desk.log.damaged.add([*desk.log.texts][3])
    record = await gone(desk)
    assert {each.sums.rounds for each in record.results if each.sums} == {140.0}
    assert {plain["pairs"][PRESENT]["scope"]["rounds"][0] for plain in sums(desk)} == {140.0}
    assert "1 of 8 chunks" in record.job.description


async def test_an_evaluation_that_an_earlier_release_planned_goes_on():
    """Its lanes took the present policy along by themselves, and its learner stood behind their own."""
    desk = Desk(PARTS)
    await desk.asked(UNCROSSED)
    await desk.deliver()
    [(name, text, etag)] = [(name, data, etag) for name, (data, etag) in desk.files.values.items() if name.endswith("/board")]
    text = text.replace(b'"beside_present":true', b'"present":"--cb_explore_adf","present_begins":""')
    assert not any(lane.beside_present for lane in Board.read(text).stage.lanes)
    desk.files.values[name] = (text, etag)
    record = await desk.run()
    assert record.job.status is JobStatus.SUCCEEDED
    assert [each.sums.rounds for each in record.results if each.sums] == [160.0] * 5


ROUNDS = st.lists(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5), max_size=6)


def chances(rounds: list[list[float]]) -> Chances:
    return Chances(np.array([len(each) for each in rounds], dtype=np.int64), np.array([chance for each in rounds for chance in each]))


@given(st.lists(st.none() | ROUNDS, max_size=5))
def test_what_is_told_is_read_back(told):
    part = Part(tuple([None if each is None else chances(each) for each in told]))
    again = Part.read(part.written())
    assert [None if each is None else (each.sizes.tolist(), each.flat.tolist()) for each in again.chunks] == [
        None if each is None else (each.sizes.tolist(), each.flat.tolist()) for each in part.chunks
    ]


@given(st.lists(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5), min_size=1, max_size=8), st.data())
def test_rounds_are_laid_out_as_they_were(rounds, data):
    first = data.draw(st.integers(0, len(rounds) - 1))
    given_ = chances(rounds).laid_out(first, [len(each) for each in rounds[first:]], width=6)
    assert [row[: len(each)] for row, each in zip(given_.tolist(), rounds[first:], strict=True)] == rounds[first:]
    assert Chances.of(given_, [len(each) for each in rounds[first:]]).flat.tolist() == [one for each in rounds[first:] for one in each]


def test_what_is_of_other_rounds_or_damaged_is_refused():
    with pytest.raises(UnreadableError):
        chances([[1.0]]).laid_out(0, [2], width=2)
    with pytest.raises(UnreadableError):
        chances([[1.0]]).laid_out(0, [1, 1], width=2)
    written = Part((chances([[0.5, 0.5]]),)).written()
    for damaged in (b"", written[:5], written[:-1], written[:-8], written + b"12345678", b"\xff" * 40):
        with pytest.raises(UnreadableError):
            Part.read(damaged)
    with pytest.raises(NewerFormatError):
        Part.read(written.replace(b'"format":1', b'"format":9'))


def test_a_batch_with_what_is_told_of_other_rounds_changes_nothing():
    _, beside = [Lane(each) for each in lineups(contenders(LearningPolicy(), [UNCROSSED]), exploration_percentage=0.2)]
    with pytest.raises(UnreadableError):
        beside.take(PARTS[0], chances([[1.0]] * 20))
    assert (beside.counts.events, beside.learner.learned, beside.sums) == (0, 0, {})
