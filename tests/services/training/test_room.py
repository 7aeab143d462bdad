"""A window takes no more memory than there is, and after a trainer died of one, the next is smaller."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.attempt import LEAST, Attempt
from shared.domain.clock import EPOCH
from shared.domain.errors import ConflictError, NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.ledger import Pointer, SegmentHead
from shared.domain.lookback import Lookback
from shared.services.training.room import Room
from shared.services.training.windows import Limits, Plan, plan_window
from shared.storage.attempts import FileAttempts, read_attempt, write_attempt
from shared.storage.names import MODELS, attempt_file
from tests.builders import T0, after, decision, segment
from tests.stores import overwrite

MIB = 1 << 20
LIMITS = Limits(grace=timedelta(seconds=30), lookback=timedelta(seconds=60), max_bytes=64 * MIB)
BEGINNING = Pointer(sequence=5, version="", published_at=EPOCH, watermark=T0)
HORIZON = after(1000)


class Heads:
    """As much of a log as a plan looks at."""

    def __init__(self, heads: Sequence[SegmentHead]) -> None:
        self._heads = sorted(heads, key=lambda head: head.key)

    async def decision_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        yield [head for head in self._heads if since <= head.key.sealed_at < until]

    async def observation_heads(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SegmentHead]]:
        for _ in ():
            yield []


class Notes:
    """Attempts in memory."""

    def __init__(self) -> None:
        self.stored: tuple[Attempt, str] | None = None
        self.written: list[Attempt] = []

    async def read(self) -> tuple[Attempt, str] | None:
        return self.stored

    async def write(self, attempt: Attempt, *, expected: str | None) -> str:
        if expected != (self.stored[1] if self.stored else None):
            raise ConflictError
        self.written.append(attempt)
        self.stored = (attempt, str(len(self.written)))
        return self.stored[1]


def head(seconds: float, size: int, *, count: int = 1, writer: str = "w") -> SegmentHead:
    events = [decision(f"e{number}", at=after(seconds)) for number in range(count)]
    return replace(segment(events, writer=writer).head, size=size)


def room(heads: Sequence[SegmentHead], notes: Notes) -> Room:
    return Room(Heads(heads), notes, LIMITS)  # type: ignore[arg-type]  # what a plan looks at


async def planned(heads: Sequence[SegmentHead], limits: Limits = LIMITS, pointer: Pointer = BEGINNING) -> Plan:
    lookback = pointer.lookback
    assert isinstance(lookback, Lookback)
    plan = await plan_window(Heads(heads), pointer, lookback, horizon=HORIZON, limits=limits)  # type: ignore[arg-type]
    assert plan is not None
    return plan


# --- plans ---------------------------------------------------------------------------------------------------------------


async def test_a_window_ends_before_the_segment_that_there_is_no_room_for():
    plan = await planned([head(second, 20 * MIB) for second in range(1, 9)])
    assert (len(plan.fresh), plan.until, plan.is_cut) == (3, after(4), True)
    assert plan.size == 60 * MIB


async def test_a_window_takes_one_segment_however_large_and_all_that_were_sealed_at_the_same_time():
    plan = await planned([head(1, 90 * MIB), head(1, 20 * MIB, writer="x"), head(2, 1)])
    assert (len(plan.fresh), plan.until, plan.is_cut) == (2, after(2), True)


async def test_stragglers_for_which_there_is_no_room_are_left_for_the_next_window():
    heads = [*[head(-second, 20 * MIB) for second in range(1, 9)], head(5, 1)]
    pointer, taken = BEGINNING, []
    for _ in range(3):
        plan = await planned(heads, pointer=pointer)
        taken.append((len(plan.stragglers), len(plan.fresh), plan.until))
        seen = plan.lookback.decisions.plus([each.key.name for each in (*plan.stragglers, *plan.fresh)], first=EPOCH)
        pointer = replace(pointer, watermark=plan.until, lookback=Lookback(decisions=seen))
    assert taken == [(3, 0, T0), (3, 0, T0), (2, 1, HORIZON)]


@given(
    st.lists(st.tuples(st.integers(-50, 900), st.integers(0, 40 * MIB), st.integers(1, 5)), max_size=20),
    st.integers(1, 64 * MIB),
    st.integers(1, 10),
)
def test_windows_one_after_another_take_every_segment_once_and_none_is_too_large(rows, most, events):
    heads = [head(second, size, count=count, writer=f"w{number}") for number, (second, size, count) in enumerate(rows)]
    limits = replace(LIMITS, max_bytes=most, max_events=events)

    async def go() -> list[SegmentHead]:
        pointer, taken = BEGINNING, list[SegmentHead]()
        while pointer.watermark < HORIZON:
            plan = await planned(heads, limits, pointer)
            mine = [*plan.stragglers, *plan.fresh]
            moments = {each.key.sealed_at for each in mine}
            assert len(moments) <= 1 or (plan.size <= most and plan.decisions <= events) or _is_one_too_many(mine, most, events)
            assert mine or plan.until > pointer.watermark
            taken += mine
            seen = plan.lookback.decisions.plus([each.key.name for each in mine], first=EPOCH)
            pointer = replace(pointer, watermark=plan.until, lookback=Lookback(decisions=seen))
        return taken

    taken = asyncio.run(go())
    assert sorted(taken, key=lambda each: each.key) == sorted(heads, key=lambda each: each.key)


def _is_one_too_many(heads: Sequence[SegmentHead], most: int, events: int) -> bool:
    """Whether only what was sealed at the same time as the last that fits makes it too large."""
    last = max(each.key.sealed_at for each in heads)
    others = [each for each in heads if each.key.sealed_at < last]
    return sum(each.size for each in others) <= most and sum(each.count for each in others) <= events


# --- what a trainer died of ----------------------------------------------------------------------------------------------


async def test_a_small_window_is_not_noted():
    notes = Notes()
    one = room([head(1, 8 * MIB)], notes)
    await one.plan(BEGINNING, Lookback(), horizon=HORIZON)
    async with one.taken(BEGINNING):
        pass
    assert notes.written == []


async def test_a_window_that_a_trainer_died_of_is_smaller_next_time_and_smaller_again():
    heads, notes = [head(second, 4 * MIB) for second in range(1, 40)], Notes()
    sizes = []
    for _ in range(9):
        one = room(heads, notes)  # of another process: the one before is dead
        plan = await one.plan(BEGINNING, Lookback(), horizon=HORIZON)
        assert plan is not None
        sizes.append(plan.size // MIB)
        await one.taken(BEGINNING).__aenter__()
    assert sizes == [64, 32, 16, 8, 4, 4, 4, 4, 4]  # a segment is not cut
    assert notes.stored is not None
    assert notes.stored[0].limit == LEAST


async def test_windows_grow_again_when_smaller_ones_went_well():
    heads, notes = [head(second, MIB) for second in range(1, 900)], Notes()
    notes.stored = (Attempt(16 * MIB, under_way=5), "1")
    one, pointer, sizes = room(heads, notes), BEGINNING, []
    for _ in range(60):
        plan = await one.plan(pointer, Lookback(), horizon=HORIZON)
        assert plan is not None
        async with one.taken(pointer):
            sizes.append(plan.size // MIB)
        pointer = replace(pointer, sequence=pointer.sequence + 1)
    assert sizes == [8] * 16 + [16] * 16 + [32] * 16 + [64] * 12


async def test_a_window_that_storage_failed_is_as_large_next_time():
    heads, notes = [head(second, 4 * MIB) for second in range(1, 40)], Notes()
    for _ in range(2):
        one = room(heads, notes)
        plan = await one.plan(BEGINNING, Lookback(), horizon=HORIZON)
        assert plan is not None
        assert plan.size == 64 * MIB
        with pytest.raises(StorageUnavailableError):
            async with one.taken(BEGINNING):
                raise StorageUnavailableError("down")


async def test_a_trainer_that_is_asked_to_stop_has_not_died():
    heads, notes = [head(second, 4 * MIB) for second in range(1, 40)], Notes()
    one = room(heads, notes)
    await one.plan(BEGINNING, Lookback(), horizon=HORIZON)
    with pytest.raises(asyncio.CancelledError):
        async with one.taken(BEGINNING):
            raise asyncio.CancelledError
    plan = await room(heads, notes).plan(BEGINNING, Lookback(), horizon=HORIZON)
    assert plan is not None
    assert plan.size == 64 * MIB


async def test_planning_beside_a_trainer_that_is_at_work_tells_of_no_death(caplog):
    heads, notes = [head(second, 4 * MIB) for second in range(1, 40)], Notes()
    one = room(heads, notes)
    await one.plan(BEGINNING, Lookback(), horizon=HORIZON)
    async with one.taken(BEGINNING):
        await room(heads, notes).plan(BEGINNING, Lookback(), horizon=HORIZON)
    assert not caplog.records


async def test_a_note_that_cannot_be_written_stops_nothing():
    class Full(Notes):
        async def write(self, attempt: Attempt, *, expected: str | None) -> str:
            raise StorageUnavailableError("full")

    one = room([head(second, 4 * MIB) for second in range(1, 40)], Full())
    assert await one.plan(BEGINNING, Lookback(), horizon=HORIZON) is not None
    async with one.taken(BEGINNING):
        pass


# --- the note ------------------------------------------------------------------------------------------------------------


@given(st.integers(LEAST, 2**40), st.integers(-1, 10**9), st.integers(0, 99))
def test_a_note_comes_back_as_it_was(limit, under_way, well):
    assert read_attempt(write_attempt(Attempt(limit, under_way, well))) == Attempt(limit, under_way, well)


def test_a_note_of_a_later_release_is_refused_and_a_damaged_one_is_unreadable():
    with pytest.raises(NewerFormatError):
        read_attempt(b'{"format": 2}')
    for text in (b"", b"[]", b'{"limit": 3}', b'{"format": "1"}'):
        with pytest.raises(UnreadableError):
            read_attempt(text)


async def test_a_damaged_note_is_replaced_by_the_next(account):
    notes = FileAttempts(account, loop="default")
    etag = await notes.write(Attempt(MIB), expected=None)
    assert await notes.read() == (Attempt(MIB), etag)
    await overwrite(account, MODELS, attempt_file("default"), b"nonsense")
    found = await notes.read()
    assert found is not None
    await notes.write(Attempt(2 * MIB), expected=found[1])
    again = await notes.read()
    assert again is not None
    assert again[0] == Attempt(2 * MIB)
