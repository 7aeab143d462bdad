"""What a lane has in memory does not grow with the chunk that it goes over, but for what is to be learned of it."""

import gc
import tracemalloc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import UnreadableError
from shared.domain.events import Action, JoinedEvent, Situation
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.joining.dsjson import lines
from shared.learning import artifact
from shared.services.analysis import running
from shared.services.analysis.lane import Lane
from shared.services.analysis.scoring import AT_ONCE, MOST_CELLS
from tests.builders import T0, decision
from tests.services.analysis.logs import drawn
from tests.services.analysis.test_lane import GREEDY, lane

MEBIBYTE = 1 << 20
OTHERS = [GREEDY, LearningPolicy("soft", "--cb_explore_adf --softmax --lambda 3")]


def wide(count: int, *, actions: int = 50, numbers: int = 0) -> Iterator[JoinedEvent]:
    """Draw events whose actions are never the same again, with an embedding of so many numbers each."""
    chance = Random(1)
    for number in range(count):
        drawn_actions = [
            Action(
                f"a{index}",
                ({"at": {"price": chance.random(), "kind": f"k{index % 3}", "age": chance.random()}, "e": vector(chance, numbers)},),
            )
            for index in range(actions)
        ]
        asked = Situation(({"user": {"age": chance.random()}},), tuple(drawn_actions))
        made = decision(
            f"e{number}", at=T0 + timedelta(seconds=number), chosen=number % actions, probabilities=(1 / actions,) * actions, asked=asked
        )
        yield JoinedEvent(made, float(number % 3 == 0))


def vector(chance: Random, numbers: int) -> list[float]:
    return [chance.random() for _ in range(numbers)]


def peak_of(text: bytes) -> int:
    """Give the most bytes that going over a chunk takes beside its text, by a lane that knows something already."""
    mine = lane(*OTHERS)
    mine.take(drawn(200))
    gc.collect()
    tracemalloc.start()
    try:
        running.take(mine, text, LoopSettings())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_chunk_of_five_times_as_many_events_takes_hardly_more():
    few, many = peak_of(lines(wide(60))), peak_of(lines(wide(300)))
    learned_and_scored = 240 * (1_000 + 8 * 50 * (1 + 3 * 5))
    assert many < few + learned_and_scored + 16 * MEBIBYTE  # they took 121 KiB each, which is 28 MiB


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_chunk_of_five_times_as_many_large_events_takes_hardly_more():
    few, many = lines(wide(7, numbers=430)), lines(wide(35, numbers=430))
    assert len(many) > len(few) + 11 * MEBIBYTE
    assert peak_of(many) < peak_of(few) + 10 * MEBIBYTE  # mostly what learning takes; it was twice the text


def test_few_events_are_in_memory_at_a_time():
    alive: list[weakref.ref[JoinedEvent]] = []
    most = 0

    class Noted(JoinedEvent):
        __slots__ = ("__weakref__",)

    def noted() -> Iterator[JoinedEvent]:
        nonlocal most
        for each in drawn(1_000):
            event = Noted(each.decision, each.reward, each.observations, each.skip)
            alive.append(weakref.ref(event))
            most = max(most, sum(ref() is not None for ref in alive[-500:]))
            yield event

    lane(GREEDY).take(noted())
    assert len(alive) == 1_000
    assert most <= 401


def as_written(mine: Lane) -> tuple[object, bytes, object]:
    return {slot: sums.plain() for slot, sums in mine.sums.items()}, artifact.dump_state(mine.learner), mine.counts


@given(count=st.integers(1, 250), seed=st.integers(0, 5))
@settings(max_examples=8, deadline=None)
def test_whether_a_chunk_comes_as_a_list_or_as_it_is_read_makes_no_difference(count, seed):
    events = drawn(count, seed=seed)
    at_once, as_read = lane(GREEDY), lane(GREEDY)
    for _ in range(2):
        at_once.take(events)
        as_read.take(iter(events))
    assert as_written(at_once) == as_written(as_read)


@given(damaged=st.integers(0, 449), what=st.sampled_from([b"{}", b"[", b'{"FromUrl":[],"_multi":[]}']))
@settings(max_examples=8, deadline=None)
def test_a_chunk_with_a_line_anywhere_that_cannot_be_read_changes_nothing(damaged, what):
    mine, events = lane(GREEDY), drawn(450, seed=2)
    mine.take(drawn(50))
    before = as_written(mine)
    events[damaged] = replace(events[damaged], decision=replace(events[damaged].decision, situation=what))
    with pytest.raises(UnreadableError):
        mine.take(iter(events))
    assert as_written(mine) == before


def test_rounds_that_are_too_wide_to_be_summed_up_at_once_come_to_the_same_sums(monkeypatch):
    events = drawn(300)
    at_once, in_parts = lane(GREEDY), lane(GREEDY)
    at_once.take(drawn(60, seed=3))
    in_parts.take(drawn(60, seed=3))
    at_once.take(events)
    monkeypatch.setattr("shared.services.analysis.scoring.MOST_CELLS", 9 * 3 * 7)
    in_parts.take(events)
    whole, parts = at_once.sums[""].tally.estimates(), in_parts.sums[""].tally.estimates()
    assert {name: values.tolist() for name, values in parts.items()} == {
        name: pytest.approx(values.tolist()) for name, values in whole.items()
    }
    assert artifact.dump_state(at_once.learner) == artifact.dump_state(in_parts.learner)


def test_rounds_of_fifty_actions_and_twenty_policies_are_summed_up_as_many_at_a_time_as_ever():
    assert AT_ONCE * 50 * (1 + 2 * 20) <= MOST_CELLS
