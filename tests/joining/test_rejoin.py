"""A joined event under other reward settings is what joining it under those would have given, where the log tells enough."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import JoinedEvent, SkipReason
from shared.domain.loop import LoopSettings, RewardAggregation
from shared.joining.join import Window, join
from shared.joining.rejoin import rejoin
from tests.builders import T0, after, decision, observation, reports_of, segment

LOOP = LoopSettings(reward_wait=timedelta(seconds=60))


def joined(decided, *observations, loop=LOOP) -> JoinedEvent:
    observed = [segment([each], writer=f"w{number}") for number, each in enumerate(observations)]
    window = Window(T0, after(1), [segment([decided])], [], reports_of(observed, due=set()), {}, grace=timedelta(seconds=1))
    return join(window, loop=loop).events[0]


AGGREGATIONS = {"earliest": -0.5, "sum": 0.75, "average": 0.25, "median": 0.25, "min": -0.5, "max": 1.0}


@pytest.mark.parametrize(("how", "reward"), AGGREGATIONS.items())
def test_rewards_are_aggregated_in_the_new_way(how, reward):
    event = joined(decision(), *[observation(reward=value, at=after(second)) for second, value in ((1, -0.5), (2, 1.0), (3, 0.25))])
    assert rejoin(event, replace(LOOP, reward_aggregation=RewardAggregation(how))).reward == reward


def test_the_new_default_is_for_events_without_a_reward():
    changed = replace(LOOP, default_reward=-0.5)
    assert rejoin(joined(decision()), changed).reward == -0.5
    assert rejoin(joined(decision(), observation(reward=0.25)), changed).reward == 0.25


def test_a_shorter_wait_leaves_later_rewards_and_activations_out():
    event = joined(decision(deferred=True), observation(reward=None, at=after(10)), observation(reward=1.0, at=after(50)))
    assert (event.reward, event.skip) == (1.0, None)
    shorter = rejoin(event, replace(LOOP, reward_wait=timedelta(seconds=20)))
    assert (shorter.reward, shorter.skip, len(shorter.observations)) == (0.0, None, 1)
    assert rejoin(event, replace(LOOP, reward_wait=timedelta(seconds=5))).skip is SkipReason.NOT_ACTIVATED


def test_a_longer_wait_cannot_find_what_is_not_in_the_log():
    event = joined(decision(), observation(reward=1.0, at=after(70)))
    assert rejoin(event, replace(LOOP, reward_wait=timedelta(seconds=90))).reward == 0.0


@pytest.mark.parametrize("reason", [SkipReason.DUPLICATE, SkipReason.LOGGING_ONLY])
def test_what_was_said_of_repetition_and_mode_stays(reason):
    event = replace(joined(decision(), observation(reward=1.0)), skip=reason)
    assert rejoin(event, LOOP).skip is reason


reports = st.lists(st.tuples(st.integers(-130, 80), st.none() | st.sampled_from([-1.0, -0.0, 0.5, 1.0])), max_size=4)
waits = st.integers(1, 60)
ways = st.sampled_from(RewardAggregation)


@given(reports, st.booleans(), waits, ways, st.sampled_from([0.0, -0.0, 0.5]))
def test_it_is_what_the_join_would_have_given_if_the_wait_is_not_longer(reports, deferred, wait, way, default):
    decided = decision(deferred=deferred)
    observations = [observation(reward=reward, at=after(second)) for second, reward in reports]
    changed = LoopSettings(reward_wait=timedelta(seconds=wait), reward_aggregation=way, default_reward=default)
    event = joined(decided, *observations)
    assert rejoin(event, LOOP) == event
    again, expected = rejoin(event, changed), joined(decided, *observations, loop=changed)
    assert again == expected
    assert str(again.reward) == str(expected.reward)
