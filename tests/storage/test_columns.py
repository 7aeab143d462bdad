"""What is remembered of the log takes few bytes an event, and tells what the events would have told."""

import asyncio
import tracemalloc
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.budget import Budget
from shared.domain.clock import to_micros
from shared.domain.events import EventKey, Observation
from shared.domain.identity import report_id, report_tag
from shared.domain.ledger import Segment
from shared.storage.columns import OBSERVED, SIGHTED, Block, Keys, blocks, observation, observed
from shared.storage.gathering import Gathering
from shared.storage.tail import Piece, Tail, Upkeep
from tests.builders import T0, after, reports_of, segment
from tests.builders import observation as built
from tests.clocks import SetClock, Ticks

pytestmark = pytest.mark.long


def test_an_event_takes_as_many_bytes_as_the_pages_tell():
    assert (OBSERVED.itemsize, SIGHTED.itemsize) == (48, 26)


event_keys = st.sampled_from(["a", "b", "ü/%2F"])
observations = st.builds(
    lambda event_id, reward, seconds, slot, id: built(event_id, reward, at=after(seconds), slot=slot if reward is not None else "", id=id),
    event_keys,
    st.none() | st.floats(-1, 1),
    st.floats(-3600, 3600),
    st.sampled_from(["", "s1"]),
    st.sampled_from(["", "r1", "r2"]),
)


@given(st.lists(observations, min_size=1, max_size=8))
def test_an_observation_comes_back_as_it_was(events):
    block = Block.of([observed(segment(events))], OBSERVED)
    keys: set[EventKey] = {event.key for event in events}
    found = {place: observation(block, place, key) for key, place in Keys(keys).found(block)}
    assert [found[place] for place in range(len(events))] == events


@given(st.lists(st.lists(observations, min_size=1, max_size=4), max_size=8), st.sets(event_keys), st.integers(0, 255), st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_gathered_is_what_the_segments_tell(rows, keys, due_bits, data):
    """Whatever is due, was counted before, or turned up when the blocks had been read."""
    segments = [segment(events, writer=f"w{number}") for number, events in enumerate(rows)]
    due = [each for number, each in enumerate(segments) if due_bits >> number & 1]
    others = [each for each in segments if each not in due]
    remembered = [report_id(each.head.key.sealed_at, report_tag(each.head.key.name, 0)) for each in others]
    counted = data.draw(st.sets(st.sampled_from(remembered))) if remembered else set()
    turned_up = data.draw(st.sets(st.sampled_from([each.head.key.name for each in due]))) if due else set()
    wanted = {event.key for each in segments for event in each.events or () if event.event_id in keys}
    gathering = Gathering(Keys(wanted), [each.head for each in due], counted)
    for block in blocks([observed(s) for s in segments if s.head.key.name not in turned_up], OBSERVED):
        gathering.add(block)
    missing = {head.key.name for head in gathering.missing()}
    assert missing >= turned_up
    found = gathering.reports([each for each in due if each.head.key.name in missing])
    expected = reports_of(segments, due={each.head.key.name for each in due}, counted=counted)
    assert {key: sorted(reports) for key, reports in found.of.items()} == {
        key: sorted(reports) for key, reports in expected.of.items() if key in wanted
    }
    assert sorted(found.due) == sorted(expected.due)
    assert (found.rewards, found.lost) == (expected.rewards, expected.lost)


def test_rewards_of_a_damaged_segment_that_is_due_are_lost():
    whole = segment([built("a"), built("b", None)])
    damaged: Segment[Observation] = Segment(whole.head, None)
    gathering = Gathering(Keys(set()), [whole.head], frozenset())
    gathering.add(Block.of([observed(damaged)], OBSERVED))
    assert gathering.missing() == [whole.head]
    assert gathering.reports([damaged]).lost == 1


def test_blocks_put_together_keep_their_times_though_the_later_one_was_cut_from_an_earlier_beginning():
    parts = [observed(s) for s in (segment([built(f"e{second}", at=after(second))]) for second in (0, 5, 9))]
    first = Block.of([parts[1]], OBSERVED)
    later = Block.of([parts[0], parts[2]], OBSERVED).between(after(6), after(10))
    assert first.joins(later)
    whole = first.plus(later)
    assert whole.sealed(slice(None)).tolist() == [to_micros(after(second)) for second in (5, 9)]


# --- the tail ------------------------------------------------------------------------------------------------------------


class Log:
    """A log of one observation each second that tells what was read of it."""

    def __init__(self, *, piece: timedelta = timedelta(seconds=7)) -> None:
        self.read: list[tuple[datetime, datetime]] = []
        self._piece = piece

    async def load(self, since, until):
        while since < until:
            end = min(since + self._piece, until)
            self.read.append((since, end))
            yield Piece(since, end, Block.of([observed(s) for s in self.segments(since, end)], OBSERVED))
            since = end

    def segments(self, since: datetime, until: datetime) -> list[Segment[Observation]]:
        first, last = (round((at - T0) / timedelta(seconds=1) + 0.4999) for at in (since, until))
        return [segment([built(f"e{second}", at=after(second))]) for second in range(first, last)]


async def told(tail: Tail, since: datetime, until: datetime) -> list[EventKey]:
    keys = Keys({f"e{second}" for second in range(-1, 5000)})
    found = []
    async for block in tail.between(since, until):
        found += [key for key, _ in sorted(keys.found(block), key=lambda each: each[1])]
    return found


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 200)), min_size=1, max_size=6), st.integers(0, 400), st.integers(0, 250))
@settings(max_examples=40, deadline=None)
def test_a_tail_gives_what_the_log_holds_wherever_it_looks_and_however_little_it_may_keep(looks, now, most):
    async def look() -> None:
        log, clock = Log(), SetClock(after(now))
        tail = Tail(log.load, Upkeep(clock, timedelta(seconds=20)), most=most)
        for since, length in looks:
            clock.at = max(clock.at, after(since + length))
            expected = [f"e{second}" for second in range(since, since + length)]
            assert await told(tail, after(since), after(since + length)) == expected
            assert len(tail) <= most

    asyncio.run(look())


async def test_a_tail_that_was_stopped_goes_on_from_there():
    log, clock = Log(), SetClock(after(10_000))
    tail = Tail(log.load, Upkeep(clock, timedelta(seconds=20)), most=10_000)
    async for _ in tail.between(T0, after(1000)):
        if len(log.read) == 50:
            break
    reached = log.read[-1][1]
    log.read.clear()
    assert len(await told(tail, T0, after(1000))) == 1000
    assert log.read[0][0] >= reached - timedelta(seconds=7)


async def test_what_does_not_fit_is_read_again_and_what_fits_is_not():
    log, clock = Log(), SetClock(after(10_000))
    tail = Tail(log.load, Upkeep(clock, timedelta(seconds=20)), most=350)
    await told(tail, T0, after(1000))
    log.read.clear()
    await told(tail, after(100), after(1000))
    assert log.read[0][0] == after(350)
    log.read.clear()
    await told(tail, after(200), after(1000))
    assert log.read[0][0] > after(440)  # there was room for more, when the first hundred had gone


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300), st.integers(1, 200), st.booleans()), max_size=8), st.integers(1, 400))
@settings(max_examples=20, deadline=None)
def test_tails_that_share_a_budget_keep_no_more_than_it_allows_and_give_what_their_logs_hold(looks, most):
    async def look() -> None:
        ticks, clock = Ticks(0.0), SetClock(after(1_000))
        budget = Budget(most * OBSERVED.itemsize, in_use=timedelta(seconds=60), monotonic=ticks)
        tails = [Tail(Log().load, Upkeep(clock, timedelta(seconds=20), budget), most=10_000) for _ in range(4)]
        for number, since, length, is_later in looks:
            ticks.now += 100.0 if is_later else 1.0
            expected = [f"e{second}" for second in range(since, since + length)]
            assert await told(tails[number], after(since), after(since + length)) == expected
            assert sum(map(len, tails)) * OBSERVED.itemsize == budget.held <= budget.most
        for tail in tails:
            tail.close()
        assert budget.held == sum(map(len, tails)) == 0

    asyncio.run(look())


async def test_tails_that_do_not_fit_together_do_not_drive_each_other_out_while_both_are_used():
    clock = SetClock(after(10_000))
    upkeep = Upkeep(clock, timedelta(seconds=20), Budget(1_000 * OBSERVED.itemsize))
    logs = [Log(), Log(), Log()]
    tails = [Tail(log.load, upkeep, most=10_000) for log in logs]
    for tail in tails:
        await told(tail, T0, after(400))
    kept = list(map(len, tails))
    assert kept[0] == kept[1] == 400
    assert kept[2] >= 190
    for log in logs:
        log.read.clear()
    for _ in range(3):
        for tail in tails:
            await told(tail, T0, after(400))
    assert list(map(len, tails)) == kept
    assert not logs[0].read
    assert not logs[1].read


@pytest.mark.slow
async def test_remembering_takes_few_bytes_an_event_though_each_comes_in_a_row_of_its_own():
    log, clock = Log(piece=timedelta(minutes=2)), SetClock(after(100_000))
    tail = Tail(log.load, Upkeep(clock, timedelta(seconds=20)), most=1_000_000)
    keys = Keys(set())
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    async for block in tail.between(T0, after(30_000)):
        assert not [*keys.found(block)]
    log.read.clear()
    took, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tail) == 30_000
    assert (took - before) / 30_000 < 52
