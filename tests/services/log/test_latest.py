"""The latest events: each kind of them, chosen by what became of them, and never more work than is bounded."""

from datetime import timedelta
from typing import Any

import pytest

from shared.services.log.latest import LatestEvents, Wanted, spread_of_delays
from shared.services.log.receipts import Fate
from tests.builders import T0, after, decision, observation
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP


def latest(one: Process, *, most: int = 1_000) -> LatestEvents:
    return LatestEvents(one.log, one.joined, one.store, one.configuration, clock=one.clock, most=most)


async def log(one: Process, *events) -> None:
    for event in events:
        if hasattr(event, "decided_at"):
            await one.log.append_decision(event)
        else:
            await one.log.append_observation(event)


async def learn(one: Process) -> None:
    one.clock.pass_(WAIT + 1)
    await one.train()


async def ids(one: Process, **wanted: Any) -> list[str]:
    return [each.decision.event_id for each in (await latest(one).find(Wanted(**wanted))).events]


async def test_where_nothing_was_ranked_nothing_is_listed(one):
    found = await latest(one).find(Wanted())
    assert (found.events, found.looked_at, found.since, found.is_cut) == ([], 0, None, False)
    assert (found.rewards, found.delays, found.models) == ([], [], [])


async def test_waiting_and_learned_events_are_listed_newest_first(one):
    await log(one, decision("old"), observation("old", 0.5, at=after(2)))
    await learn(one)
    now = one.clock.now()
    await log(one, decision("new", at=now), observation("new", 1.0, at=now + timedelta(seconds=3)))
    found = await latest(one).find(Wanted())
    assert [(each.decision.event_id, each.fate, each.reward, each.rewards) for each in found.events] == [
        ("new", Fate.PENDING, None, 1),
        ("old", Fate.LEARNED, 0.5, 1),
    ]
    assert [each.delay for each in found.events] == [timedelta(seconds=3), timedelta(seconds=2)]
    assert (found.looked_at, found.since, found.until, found.is_cut) == (2, T0, now, False)


async def test_events_are_chosen_by_action_reward_and_exploration(one):
    await log(
        one,
        decision("a", chosen=0, probabilities=(0.9, 0.1)),
        decision("b", chosen=1, probabilities=(0.9, 0.1)),
        observation("b", 1.0, at=after(1)),
    )
    for learned in (False, True):
        if learned:
            await learn(one)
        assert await ids(one, action_id="b") == ["b"]
        assert await ids(one, action_id="nothing") == []
        assert await ids(one, is_rewarded=True) == ["b"]
        assert await ids(one, is_rewarded=False) == ["a"]
        assert await ids(one, is_explored=True) == ["b"]
        assert await ids(one, is_explored=False) == ["a"]
        assert await ids(one, action_id="b", is_explored=False) == []


async def test_a_reward_after_the_wait_is_late_whether_the_event_waits_or_was_learned(one):
    late_by = LOOP.reward_wait.total_seconds() + 5
    await log(one, decision("late"), decision("not"), observation("not", 1.0, at=after(1)))
    one.clock.pass_(late_by)
    await log(one, observation("late", 1.0, at=after(late_by)))
    assert await ids(one, is_late=True) == ["late"]
    await learn(one)
    found = await latest(one).find(Wanted(is_late=True))
    assert [(each.decision.event_id, each.late, each.rewards, each.used_default) for each in found.events] == [("late", 1, 0, True)]
    assert await ids(one, is_late=False) == ["not"]


@pytest.mark.parametrize(("since", "until", "expected"), [(0, 1, ["e0"]), (1, 3, ["e2", "e1"]), (4, None, []), (None, 1, ["e0"])])
async def test_a_time_may_be_chosen(one, since, until, expected):
    await log(one, *[decision(f"e{number}", at=after(number)) for number in range(4)])
    times = {name: after(value) for name, value in (("since", since), ("until", until)) if value is not None}
    assert await ids(one, **times) == expected
    await learn(one)
    assert await ids(one, **times) == expected


async def test_no_more_events_are_looked_at_than_is_bounded_and_the_answer_says_so(one):
    await log(one, *[decision(f"e{number}", at=after(number)) for number in range(10)])
    for learned in (False, True):
        if learned:
            await learn(one)
        found = await latest(one, most=3).find(Wanted())
        assert [each.decision.event_id for each in found.events] == ["e9", "e8", "e7"]
        assert (found.looked_at, found.is_cut) == (3, True)
    assert await ids(one) == [f"e{number}" for number in range(9, -1, -1)]


async def test_only_so_many_are_listed_as_are_wanted_and_all_are_counted(one):
    await log(one, *[decision(f"e{number}") for number in range(5)])
    found = await latest(one).find(Wanted(most=2))
    assert (len(found.events), found.looked_at, found.is_cut) == (2, 5, False)


async def test_rewards_and_delays_are_spread_over_what_was_learned_and_by_the_model_that_chose(one):
    await log(
        one,
        *[decision(f"e{number}", version="v" if number else "") for number in range(4)],
        *[observation(f"e{number}", 1.0, at=after(2)) for number in (1, 2)],
    )
    await learn(one)
    found = await latest(one).find(Wanted())
    assert [(each.low, each.high, each.count) for each in found.rewards] == [(0.0, 0.0, 2), (1.0, 1.0, 2)]
    assert [(each.low, each.high, each.count) for each in found.delays if each.count] == [(1.0, 5.0, 2)]
    assert [(each.version, each.events) for each in found.models] == [("v", 3), ("", 1)]
    assert found.models[0].average_reward == pytest.approx(2 / 3)


async def test_what_was_skipped_says_why_and_has_no_reward(one):
    await log(one, decision("e1"), decision("e1", at=after(1)))
    one.clock.pass_(1)
    await learn(one)
    skipped = [each for each in (await latest(one).find(Wanted())).events if each.fate is Fate.SKIPPED]
    assert [(each.reason, each.reward) for each in skipped] == [("duplicate", None)]


async def test_after_the_log_was_deleted_nothing_of_it_is_listed(one):
    await log(one, decision("gone"))
    await learn(one)
    await one.logs.delete()
    assert await ids(one) == []


def test_a_reward_before_its_decision_came_at_once():
    assert next(iter(spread_of_delays([-1.0]))).count == 1
