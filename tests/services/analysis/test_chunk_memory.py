"""What a process remembers of chunks changes no figure, takes no more than its room, and serves each lane that comes after the first."""

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.domain.evaluation import JobStatus
from shared.domain.loop import LearningPolicy
from shared.joining.dsjson import lines
from shared.joining.reading import read_lines
from shared.services.analysis import running
from shared.services.analysis.chunk_memory import ROOM, ChunkKey, ChunkMemory
from tests.services.analysis.desk import Desk
from tests.services.analysis.logs import drawn
from tests.services.analysis.test_lane import UNCROSSED
from tests.services.analysis.test_lane_memory import wide
from tests.services.analysis.test_present import PARTS, sums

OTHER = LearningPolicy("other", "--cb_explore_adf --ignore n")
SIZE_OF_A_CHUNK = 30_000


@pytest.fixture(autouse=True)
def short_parts_and_steps(monkeypatch):
    monkeypatch.setattr(running, "PART_EVENTS", 40)
    monkeypatch.setattr(running, "STEP_EVENTS", 80)


def key(name: object) -> ChunkKey:
    return ChunkKey("default", str(name), "")


def noted(memory: ChunkMemory, name: object, events) -> None:
    assert [each.size for each in memory.noting(key(name), events)] == [len(event.decision.situation) for event in events]


async def through(desk: Desk, *, seed: int | None = None):
    """Give what the lanes found, and the record, after the messages came in the order that the seed draws, or in their own."""
    chance = np.random.default_rng(seed)
    await desk.asked(UNCROSSED, OTHER)
    while desk.queue.waiting:
        place = 0 if seed is None else int(chance.integers(len(desk.queue.waiting)))
        desk.queue.waiting.insert(0, desk.queue.waiting.pop(place))
        await desk.deliver()
    [(record, _)] = desk.records.values.values()
    return sums(desk), record


class Counting:
    """Wraps a log, and counts how often a chunk is read."""

    def __init__(self, desk: Desk) -> None:
        self.reads: list[str] = []
        self._chunk = desk.log.chunk
        desk.log.chunk = self.read  # type: ignore[method-assign]

    async def read(self, name: str) -> bytes:
        self.reads.append(name)
        return await self._chunk(name)


@pytest.mark.parametrize("room", [0, SIZE_OF_A_CHUNK, 3 * SIZE_OF_A_CHUNK, ROOM])
@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.sweep(keep=4)
async def test_an_evaluation_finds_the_same_with_any_memory_in_any_order_of_its_lanes(room, seed):
    expected, plain = await through(Desk(PARTS))
    memory = ChunkMemory(room=room)
    found, record = await through(Desk(PARTS, memory=memory), seed=seed)
    assert found == expected
    assert (record.job.status, record.job.description, record.results) == (plain.job.status, plain.job.description, plain.results)


async def test_a_chunk_that_one_lane_has_read_is_not_read_again_by_the_others():
    desk = Desk(PARTS, memory=ChunkMemory())
    counting = Counting(desk)
    await through(desk)
    assert sorted(counting.reads) == sorted(desk.log.texts)


async def test_nothing_is_remembered_when_an_analysis_is_over():
    memory = ChunkMemory()
    await through(Desk(PARTS, memory=memory))
    assert memory.size == 0


async def test_a_chunk_that_was_deleted_is_not_used_although_it_is_remembered():
    desk = Desk(PARTS, memory=ChunkMemory())
    await desk.asked(UNCROSSED)
    await desk.deliver()
    await desk.deliver()
    del desk.log.texts[next(iter(desk.log.texts))]
    record = await desk.run()
    assert record.job.status is JobStatus.FAILED
    assert "is not there any more" in record.job.description


async def test_a_damaged_chunk_is_left_out_by_all_lanes():
    found = []
    for memory in (None, ChunkMemory()):
        desk = Desk(PARTS, memory=memory)
        desk.log.damaged.add([*desk.log.texts][3])
        found.append(await through(desk))
    assert found[0][0] == found[1][0]
    assert found[0][1].job.description == found[1][1].job.description


def test_a_chunk_that_cannot_be_read_to_its_end_is_not_remembered():
    memory = ChunkMemory()

    def broken():
        yield from drawn(5)
        raise UnreadableError("line 6")

    with pytest.raises(UnreadableError):
        list(memory.noting(key("a"), broken()))
    assert (memory.known(key("a")), memory.size) == (None, 0)


def test_what_a_step_has_used_stays_and_what_it_has_not_goes_first():
    events = drawn(20)
    of_one = ChunkMemory()
    noted(of_one, 0, events)
    memory = ChunkMemory(room=3 * of_one.size)
    memory.begin_step()
    for number in range(5):
        noted(memory, number, events)
    assert [number for number in range(5) if memory.known(key(number))] == [0, 1, 2]
    memory.begin_step()
    assert memory.known(key(1))
    for number in range(5, 9):
        noted(memory, number, events)
    assert [number for number in range(9) if memory.known(key(number))] == [1, 5, 6]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30), st.booleans()), max_size=25), st.integers(0, 120_000))
@settings(max_examples=30)
def test_all_chunks_together_take_no_more_than_the_room(uses, room):
    memory = ChunkMemory(room=room)
    for number, count, begins in uses:
        if begins:
            memory.begin_step()
        if memory.known(key(number)) is None:
            noted(memory, number, drawn(count, seed=number))
        assert 0 <= memory.size <= room


@pytest.mark.parametrize("events", [lambda: drawn(100), lambda: [*wide(20)], lambda: [*wide(20, actions=1, numbers=5)]])
def test_the_room_is_counted_in_bytes_that_are_really_taken(events):
    memory, text = ChunkMemory(), lines(events())
    gc.collect()
    tracemalloc.start()
    try:
        for _ in memory.noting(key("a"), read_lines(text)):
            pass
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken <= memory.size <= 4 * taken
