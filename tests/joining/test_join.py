import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.events import Decision, EventKey, LearningMode, Observation, SkipReason
from shared.domain.identity import fingerprint, segment_tag
from shared.domain.ledger import Counters, Segment, Sighting
from shared.domain.loop import LoopSettings, RewardAggregation
from shared.joining.join import EARLY, REMEMBERED, Joined, Window, join
from tests.builders import T0, after, decision, observation, reports_of, segment

LONG_AGO, LATER = after(-1000), after(9000)
LOOP = LoopSettings(reward_wait=timedelta(seconds=60), default_reward=-0.5)
GRACE = timedelta(seconds=30)
"""How much later than its events a segment is sealed at most, unless a test is about that."""


def sightings_of(decisions: Sequence[Segment[Decision]], *, before: datetime = LATER) -> dict[int, list[Sighting]]:
    found: dict[int, list[Sighting]] = {}
    for each in decisions:
        key = each.head.key
        for index, event in enumerate(each.events or ()):
            if key.sealed_at < before:
                seen = Sighting(event.decided_at, key.sealed_at, segment_tag(key.name), index)
                found.setdefault(fingerprint(event.key), []).append(seen)
    return found


def window(
    decisions: Sequence[Segment[Decision]],
    observations: Sequence[Segment[Observation]] = (),
    *,
    since: datetime = LONG_AGO,
    until: datetime = LATER,
    before: Joined | None = None,
    seen: frozenset[str] = frozenset(),
    seen_observations: frozenset[str] = frozenset(),
) -> Window:
    """The window that a trainer would make of this whole log, with these segments seen already."""
    unseen = [s for s in decisions if s.head.key.name not in seen]
    unknown, late = (before.unknown, before.late) if before else (frozenset(), frozenset())
    due = {s.head.key.name for s in observations if s.head.key.sealed_at < until} - seen_observations
    return Window(
        since=since,
        until=until,
        fresh=[s for s in decisions if since <= s.head.key.sealed_at < until],
        stragglers=[s for s in unseen if s.head.key.sealed_at < since],
        reports=reports_of(observations, due=due, counted=unknown | late),
        sightings=sightings_of(decisions),
        unknown=unknown,
        late=late,
        grace=GRACE,
    )


def joined(*events: Decision | Observation, loop: LoopSettings = LOOP) -> Joined:
    decisions = [segment([e], writer=f"d{n}") for n, e in enumerate(events) if isinstance(e, Decision)]
    observations = [segment([e], writer=f"o{n}") for n, e in enumerate(events) if isinstance(e, Observation)]
    return join(window(decisions, observations), loop=loop)


@pytest.mark.parametrize(
    ("how", "expected"), [("earliest", 0.5), ("sum", 1.75), ("average", 7 / 12), ("median", 0.5), ("min", 0.25), ("max", 1.0)]
)
def test_rewards_are_aggregated_as_the_loop_says(how, expected):
    loop = replace(LOOP, reward_aggregation=RewardAggregation(how))
    rewards = [observation(reward=0.25, at=after(3)), observation(reward=0.5, at=after(1)), observation(reward=1.0, at=after(2))]
    assert joined(decision(), *rewards, loop=loop).events[0].reward == pytest.approx(expected)


@pytest.mark.parametrize(
    ("how", "expected"), [("earliest", 0.5), ("sum", 1.75), ("average", 0.875), ("median", 0.875), ("min", 0.5), ("max", 1.25)]
)
def test_a_reward_that_its_client_sends_again_counts_once_however_rewards_are_aggregated(how, expected):
    loop = replace(LOOP, reward_aggregation=RewardAggregation(how))
    first = [observation(reward=0.5, at=after(at), id="r1") for at in (1, 2, 50)]
    result = joined(
        decision(), *first, observation(reward=1.25, at=after(3), id="r2"), observation(reward=1.25, at=after(9), id="r2"), loop=loop
    )
    assert result.events[0].reward == expected
    assert result.counters == Counters(learned=1, rewards=5, repeated_rewards=3)


def test_of_rewards_with_the_same_id_the_first_that_is_in_time_counts_whatever_the_others_say():
    first, again = observation(reward=0.25, at=after(5), id="r"), observation(reward=0.75, at=after(9), id="r")
    too_early, late = observation(reward=-1.0, at=after(-121), id="r"), observation(reward=1.0, at=after(61), id="r")
    result = joined(decision(), again, first, too_early, late)
    assert result.events[0].observations == (first,)
    assert result.counters == Counters(learned=1, rewards=4, late_rewards=1, unknown_rewards=1, repeated_rewards=1)


def test_the_same_id_tells_nothing_of_another_event_or_slot_and_rewards_without_an_id_all_count():
    loop = replace(LOOP, reward_aggregation=RewardAggregation.SUM)
    decided = [decision("e1"), decision("e2"), decision("e3", slot="top"), decision("e3", slot="side")]
    told = [("e1", ""), ("e2", ""), ("e3", "top"), ("e3", "side")]
    rewards = [observation(event, 0.5, at=after(at), slot=slot, id="r") for event, slot in told for at in (1, 2)]
    result = joined(*decided, *rewards, *[observation("e1", 0.25, at=after(at)) for at in (3, 3, 4)], loop=loop)
    assert [e.reward for e in result.events] == [1.25, 0.5, 0.5, 0.5]
    assert result.counters == Counters(learned=4, rewards=11, repeated_rewards=4)


def test_a_repeated_reward_that_only_a_repeated_decision_is_in_time_for_is_late():
    rewards = [observation(at=after(at), id="r") for at in (50, 130, 131)]
    result = joined(decision(), decision(at=after(30)), decision(at=after(100)), *rewards)
    assert result.counters == Counters(learned=1, skipped={"duplicate": 2}, rewards=3, late_rewards=2)


def test_an_id_counts_anew_where_its_event_id_is_used_anew():
    anew = (LOOP.reward_wait + REMEMBERED).total_seconds() + 1
    result = joined(decision(), decision(at=after(anew)), *[observation(at=after(at), id="r") for at in (1, 2, anew + 1, anew + 2)])
    assert [e.skip for e in result.events] == [None, None]
    assert result.counters == Counters(learned=2, rewards=4, repeated_rewards=2)


def test_the_largest_of_negative_rewards_is_negative():
    loop = replace(LOOP, reward_aggregation=RewardAggregation.MAX)
    rewards = [observation(reward=-0.25, at=after(1)), observation(reward=-0.5, at=after(2))]
    assert joined(decision(), *rewards, loop=loop).events[0].reward == -0.25


def test_a_decision_without_a_reward_gets_the_default():
    assert joined(decision()).events[0].reward == -0.5


@pytest.mark.parametrize(
    ("seconds", "reward"), [(-120, 1.0), (-120.000001, -0.5), (60, 1.0), (60.000001, -0.5)], ids=["early", "too early", "in time", "late"]
)
def test_a_reward_counts_from_two_minutes_before_the_decision_until_the_wait_is_over(seconds, reward):
    assert joined(decision(), observation(at=after(seconds))).events[0].reward == reward


def test_a_late_reward_is_counted_as_late_and_one_for_nobody_as_unknown():
    result = joined(decision(), observation(at=after(61)), observation("nobody", at=after(1)), observation(at=after(5)))
    assert result.counters == Counters(learned=1, rewards=3, late_rewards=1, unknown_rewards=1)


def test_an_activation_is_not_a_reward():
    assert joined(decision(), observation(reward=None), observation("nobody", None)).counters == Counters(learned=1)


def test_a_deferred_decision_is_learned_only_if_it_was_activated_in_time():
    late = joined(decision(deferred=True), observation(reward=1.0, at=after(1)), observation(reward=None, at=after(61)))
    assert late.events[0].skip is SkipReason.NOT_ACTIVATED
    assert late.counters.skipped == {"notActivated": 1}
    in_time = joined(decision(deferred=True), observation(reward=None, at=after(59)))
    assert (in_time.events[0].skip, in_time.events[0].reward) == (None, -0.5)


def test_a_reward_does_not_activate():
    assert joined(decision(deferred=True), observation()).counters.learned == 0


def test_of_two_decisions_with_one_event_id_the_first_wins():
    result = joined(decision(at=after(1), chosen=1), decision(at=T0), observation(at=after(2)))
    assert [(e.decision.decided_at, e.skip) for e in result.events] == [(T0, None), (after(1), SkipReason.DUPLICATE)]
    assert result.counters.skipped == {"duplicate": 1}


def test_the_same_decision_twice_in_one_segment_is_learned_once():
    result = join(window([segment([decision(), decision(), decision()])]), loop=LOOP)
    assert (result.counters.learned, result.counters.skipped) == (1, {"duplicate": 2})


def test_an_event_id_may_be_used_again_once_it_is_forgotten():
    span = (LOOP.reward_wait + REMEMBERED).total_seconds()
    assert joined(decision(), decision(at=after(span))).counters.learned == 1
    everything = [segment([decision()]), segment([decision(at=after(span + 1))])]
    assert join(window(everything, until=after(span + 100)), loop=LOOP).counters.learned == 2


def test_what_was_only_logged_is_not_learned():
    assert joined(decision(mode=LearningMode.LOGGING_ONLY)).counters == Counters(skipped={"loggingOnly": 1})


def test_a_segment_that_does_not_verify_is_counted_and_the_rest_is_learned():
    damaged = replace(segment([decision("x"), decision("y")], writer="bad"), events=None)
    result = join(window([damaged, segment([decision()])]), loop=LOOP)
    assert result.counters == Counters(learned=1, skipped={"quarantined": 2})


def test_rewards_in_a_damaged_segment_are_counted_as_unknown():
    damaged = replace(segment([observation(), observation(reward=None)]), events=None)
    assert join(window([segment([decision()])], [damaged]), loop=LOOP).counters == Counters(learned=1, rewards=1, unknown_rewards=1)


def test_a_segment_that_turned_up_behind_the_watermark_is_learned_and_counted():
    late, usual = segment([decision("late", at=after(-5))]), segment([decision("usual", at=after(5))])
    result = join(window([late, usual], [segment([observation("late", at=after(-4))])], since=T0), loop=LOOP)
    assert [(e.decision.event_id, e.reward) for e in result.events] == [("late", 1.0), ("usual", -0.5)]
    assert result.counters.stragglers == 1


def test_a_straggler_is_a_duplicate_of_what_was_learned_without_it():
    late, learned = segment([decision(at=after(-5))], writer="late"), segment([decision(at=after(-4))], writer="learned")
    result = join(window([late, learned], since=T0, seen=frozenset([learned.head.key.name])), loop=LOOP)
    assert result.counters == Counters(skipped={"duplicate": 1}, stragglers=1)


def test_a_reward_that_turned_up_behind_the_watermark_is_late_for_what_was_learned_without_it():
    learned = segment([decision(at=after(-100))])
    lost = segment([observation(at=after(-90))])
    result = join(window([learned], [lost], since=T0, seen=frozenset([learned.head.key.name])), loop=LOOP)
    assert result.counters == Counters(rewards=1, late_rewards=1)


def test_a_reward_counted_as_unknown_is_taken_back_when_its_decision_comes():
    early, decided = segment([observation(at=after(-60))]), segment([decision()])
    first = join(replace(window([], [early], since=after(-100), until=after(-30)), sightings={}), loop=LOOP)
    assert first.counters == Counters(rewards=1, unknown_rewards=1)
    seen = frozenset([early.head.key.name])
    second = join(window([decided], [early], since=after(-30), before=first, seen_observations=seen), loop=LOOP)
    assert second.counters == Counters(learned=1, unknown_rewards=-1)
    assert second.events[0].reward == 1.0
    assert second.unknown == frozenset()


def test_unknown_rewards_are_remembered_only_while_their_decision_may_still_come():
    early = segment([observation(at=after(-60))])
    result = join(replace(window([], [early], since=after(-100), until=after(-60) + EARLY + timedelta(seconds=1)), sightings={}), loop=LOOP)
    assert (result.counters.unknown_rewards, result.unknown) == (1, frozenset())


def test_a_late_reward_is_taken_back_when_a_decision_comes_that_it_is_early_for():
    decided, observed = [segment([decision()]), segment([decision(at=after(3700))])], [segment([observation(at=after(3650))])]
    learned = frozenset([decided[0].head.key.name])
    first = join(window(decided[:1], observed, since=after(3600), until=after(3660), seen=learned), loop=LOOP)
    assert first.counters == Counters(rewards=1, late_rewards=1)
    counted = frozenset([observed[0].head.key.name])
    second = join(window(decided, observed, since=after(3660), before=first, seen=learned, seen_observations=counted), loop=LOOP)
    assert first.counters.plus(second.counters) == Counters(learned=1, rewards=1)
    assert second.late == frozenset()


def test_a_reward_that_only_a_repeated_decision_is_in_time_for_is_late():
    result = joined(decision(), decision(at=after(100)), observation(at=after(130)))
    assert result.counters == Counters(learned=1, skipped={"duplicate": 1}, rewards=1, late_rewards=1)


def test_a_reward_that_several_repeated_decisions_are_in_time_for_is_late_once():
    repeated = [decision(at=after(seconds)) for seconds in (0, 100, 110, 120)]
    result = joined(*repeated, observation(at=after(130)), observation(at=after(30)))
    assert result.counters == Counters(learned=1, skipped={"duplicate": 3}, rewards=2, late_rewards=1)


def test_a_reward_is_late_as_long_as_its_event_is_remembered_and_unknown_from_then_on():
    remembered = (LOOP.reward_wait + REMEMBERED).total_seconds()
    result = join(window([segment([decision()])], [segment([observation(at=after(remembered))])]), loop=LOOP)
    assert result.counters == Counters(learned=1, rewards=1, late_rewards=1)
    result = join(window([segment([decision()])], [segment([observation(at=after(remembered + 1))])]), loop=LOOP)
    assert result.counters == Counters(learned=1, rewards=1, unknown_rewards=1)


def joined_as_it_turns_up(decided: list[Segment], observed: list[Segment], ends: Sequence[float], found: dict[str, int]) -> list[Joined]:
    """Join window after window, each a wait and a grace after its end.

    A segment of decisions that ``found`` names turns up so many windows after its own. The others are there as soon as they are
    sealed, and a window looks as far ahead as a trainer does.
    """
    results: list[Joined] = []
    seen: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    since, bounds = T0, [*sorted({after(end) for end in ends} - {T0}), LATER, after(9001), after(9002)]
    for number, until in enumerate(bounds):
        places = {s.head.key.name: next(n for n, end in enumerate(bounds) if s.head.key.sealed_at < end) for s in decided}
        reach = until + min(EARLY, LOOP.reward_wait) + GRACE
        there = [
            s
            for s in decided
            if places[s.head.key.name] + found.get(s.head.key.name, 0) <= number
            or (not found.get(s.head.key.name) and s.head.key.sealed_at < reach)
        ]
        before = results[-1] if results else None
        results.append(
            join(window(there, observed, since=since, until=until, before=before, seen=seen, seen_observations=counted), loop=LOOP)
        )
        seen |= {s.head.key.name for s in there if s.head.key.sealed_at < until}
        counted |= {s.head.key.name for s in observed if s.head.key.sealed_at < until}
        since = until
    return results


@pytest.mark.parametrize("reward_at", [10, 61, 100])
def test_a_reward_that_was_unknown_is_not_once_its_decision_has_turned_up_behind_the_watermark(reward_at):
    decided, observed = [segment([decision()])], [segment([observation(at=after(reward_at))])]
    name = decided[0].head.key.name
    results = joined_as_it_turns_up(decided, observed, [1000.0], {name: 1})
    is_used = reward_at <= 60
    assert outcome(results)[0][0][2] == (1.0 if is_used else -0.5)
    assert outcome(results)[1].unknown_rewards + outcome(results)[1].late_rewards == (0 if is_used else 1)


def test_a_late_reward_is_late_once_though_a_repeated_decision_turns_up_that_it_is_in_time_for():
    decided = [segment([decision()], writer="a"), segment([decision(at=after(100))], writer="b")]
    results = joined_as_it_turns_up(decided, [segment([observation(at=after(130))])], [1000.0], {decided[1].head.key.name: 1})
    assert outcome(results)[1] == Counters(learned=1, skipped={"duplicate": 1}, rewards=1, late_rewards=1, stragglers=1)


def test_an_event_that_every_call_names_takes_no_longer_than_others():
    decided = [segment([decision("same", at=after(0.001 * n)) for n in range(first, first + 500)]) for first in range(0, 10_000, 500)]
    everything = window(decided)
    began = time.process_time()
    result = join(everything, loop=LOOP)
    assert result.counters == Counters(learned=1, skipped={"duplicate": 9_999})
    assert time.process_time() - began < 4.0  # each looked at beside each other takes 14 seconds


@pytest.mark.parametrize("slot", ["", "s"])
def test_many_rewards_of_an_event_that_every_call_names_take_no_more_room_than_others(slot):
    decided = [segment([decision("same", at=after(0.001 * n), slot=slot) for n in range(4_000)])]
    observed = [segment([observation("same", at=after(1 + 0.001 * n), slot=slot) for n in range(4_000)])]
    everything = window(decided, observed)
    began = time.process_time()
    result = join(everything, loop=LOOP)
    assert result.counters == Counters(learned=1, skipped={"duplicate": 3_999}, rewards=4_000)
    assert len(result.events[0].observations) == 4_000
    assert sum(len(event.observations) for event in result.events) < 100_000  # 16 million otherwise
    assert time.process_time() - began < 8.0


@pytest.mark.parametrize(("sealed", "learned"), [(30, 0), (31, 0), (32, 1), (400, 1)])
@pytest.mark.parametrize("ends", [[], [2.0], [31.5], [200.0]])
@pytest.mark.parametrize("slot", ["", "s"])
def test_of_two_decisions_the_one_made_first_is_learned_unless_it_was_sealed_a_grace_after_the_other(sealed, learned, ends, slot):
    decided = [
        segment([decision(slot=slot)], sealed_at=after(sealed), writer="a"),
        segment([decision(at=after(1), slot=slot)], sealed_at=after(1), writer="b"),
    ]
    observed = [segment([observation(at=after(10), slot=slot)])]
    events, counters = outcome(joined_as_it_turns_up(decided, observed, ends, {}))
    assert [(at, skip) for _, at, _, skip in events if skip is None] == [(after(learned), None)]
    assert counters == Counters(learned=1, skipped={"duplicate": 1}, rewards=1)


def test_a_reward_that_was_unknown_is_not_once_its_decision_is_sealed_long_after_it_was_made():
    """Its process stood still: windows went by in which nobody knew of the decision."""
    decided, observed = [segment([decision()], sealed_at=after(400))], [segment([observation(at=after(5))])]
    results = joined_as_it_turns_up(decided, observed, [10.0, 200.0], {})
    assert [each.counters.unknown_rewards for each in results[:3]] == [1, 0, -1]
    assert (outcome(results)[0][0][2], outcome(results)[1]) == (1.0, Counters(learned=1, rewards=1))


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from([0, 5, 29, 30, 31, 95, 400]), st.sampled_from([0, 0, 0, 1, 2]), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    st.lists(
        st.tuples(
            st.integers(-130, 500), st.sampled_from([0, 5, 29, 31, 60]), st.sampled_from([1.0, 1.0, None]), st.sampled_from(["", "r"])
        ),
        max_size=6,
    ),
    st.lists(st.integers(0, 700).map(float), max_size=4),
)
@settings(max_examples=100, deadline=None)
def test_one_decision_of_an_event_counts_whatever_the_order_of_sealing_and_however_late_some_turn_up(decided, observed, ends):
    decisions = [
        segment([decision(at=after(at), deferred=deferred)], sealed_at=after(at + later), writer=f"d{n}")
        for n, (at, later, _, deferred) in enumerate(decided)
    ]
    reports = [
        segment([observation(reward=reward, at=after(at), id=id if reward else "")], sealed_at=after(at + later), writer=f"o{n}")
        for n, (at, later, reward, id) in enumerate(observed)
    ]
    found = {s.head.key.name: windows for s, (_, _, windows, _) in zip(decisions, decided, strict=True)}
    results = joined_as_it_turns_up(decisions, reports, ends, found)
    kept = [e for r in results for e in r.events if e.skip is not SkipReason.DUPLICATE]
    counters = outcome(results)[1]
    assert (len(kept), counters.processed) == (1, len(decided))
    used = [o for o in kept[0].observations if not o.is_activation]
    assert counters.rewards == sum(reward is not None for _, _, reward, _ in observed)
    assert len(used) + counters.late_rewards + counters.unknown_rewards + counters.repeated_rewards == counters.rewards


@example([(0, 5), (1, 0)], [(0, 0, "")] * 30, [2.0])  # the first is sealed in a later window than the other
@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0, 5, 29, 30, 31, 95, 400])), min_size=2, max_size=6),
    st.lists(
        st.tuples(st.integers(0, 500), st.sampled_from([0, 5, 29, 31, 60]), st.sampled_from(["", "r", "s"])), min_size=30, max_size=60
    ),
    st.lists(st.integers(0, 700).map(float), max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_of_many_rewards_of_a_repeated_event_each_is_used_or_late(decided, observed, ends):
    decisions = [segment([decision(at=after(at))], sealed_at=after(at + later), writer=f"d{n}") for n, (at, later) in enumerate(decided)]
    rewards = [
        segment([observation(at=after(at), id=id)], sealed_at=after(at + later), writer=f"o{n}")
        for n, (at, later, id) in enumerate(observed)
    ]
    results = joined_as_it_turns_up(decisions, rewards, ends, {})
    counters = outcome(results)[1]
    used = [o for r in results for e in r.events if e.skip is None for o in e.observations]
    assert (counters.learned, counters.skipped) == (1, {"duplicate": len(decided) - 1})
    assert len(used) + counters.late_rewards + counters.unknown_rewards + counters.repeated_rewards == counters.rewards == len(observed)


@pytest.mark.parametrize(("sealed", "late"), [(69.999, 0), (70, 1)])
def test_a_reward_that_is_sealed_when_its_decision_may_have_been_learned_is_late(sealed, late):
    """Made in time, but stored so late that the trainer need not have seen it."""
    observed = segment([observation(at=after(55))], sealed_at=after(sealed))
    for until in (30, 1000):  # in one window with its decision, or in another
        early = replace(window([segment([decision()])], [observed], until=after(until)), grace=timedelta(seconds=10))
        results = [join(early, loop=LOOP)]
        if until < sealed:
            learned = frozenset([segment([decision()]).head.key.name])
            following = window([segment([decision()])], [observed], since=after(until), seen=learned)
            results.append(join(replace(following, grace=timedelta(seconds=10)), loop=LOOP))
        assert outcome(results)[1] == Counters(learned=1, rewards=1, late_rewards=late)


# --- slots ---------------------------------------------------------------------------------------------------------------


def test_each_slot_gets_its_own_rewards():
    slots = [decision(slot="top"), decision(slot="side"), decision(slot="foot")]
    result = joined(*slots, observation(reward=0.25, slot="side", at=after(1)), observation(reward=1.0, slot="top", at=after(2)))
    assert {e.decision.slot: e.reward for e in result.events} == {"top": 1.0, "side": 0.25, "foot": -0.5}
    assert result.counters == Counters(learned=3, rewards=2)


def test_several_rewards_for_a_slot_become_one_as_for_any_event():
    loop = replace(LOOP, reward_aggregation=RewardAggregation.SUM)
    rewards = [observation(reward=0.25, slot="top", at=after(n)) for n in range(3)]
    result = joined(decision(slot="top"), decision(slot="side"), *rewards, loop=loop)
    assert {e.decision.slot: e.reward for e in result.events} == {"top": 0.75, "side": -0.5}


def test_an_activation_names_the_event_and_is_for_all_its_slots():
    slots = [decision(slot="top", deferred=True), decision(slot="side", deferred=True)]
    assert joined(*slots, observation(slot="top")).counters == Counters(skipped={"notActivated": 2}, rewards=1)
    activated = joined(*slots, observation(slot="top", at=after(2)), observation(reward=None, at=after(1)))
    assert activated.counters == Counters(learned=2, rewards=1)
    assert [[o.reward for o in e.observations] for e in activated.events] == [[None, 1.0], [None]]


def test_a_slot_of_an_event_is_decided_once():
    result = joined(decision(slot="top"), decision(slot="side"), decision(slot="top", at=after(1)))
    assert [(e.decision.slot, e.skip) for e in result.events] == [("top", None), ("side", None), ("top", SkipReason.DUPLICATE)]


def test_a_reward_without_a_slot_is_for_no_slot_and_one_for_a_slot_not_for_the_event():
    result = joined(decision(slot="top"), decision("e2"), observation(), observation("e2", slot="top"), observation(slot="none"))
    assert [e.reward for e in result.events] == [-0.5, -0.5]
    assert result.counters == Counters(learned=2, rewards=3, unknown_rewards=3)


def test_an_event_id_may_be_used_with_and_without_slots():
    both = [decision(deferred=True), decision(slot="top", deferred=True)]
    result = joined(*both, observation(reward=0.5), observation(reward=0.25, slot="top"), observation(reward=None))
    assert [(e.decision.slot, e.reward, e.skip) for e in result.events] == [("", 0.5, None), ("top", 0.25, None)]


@pytest.mark.parametrize("separator", ["\x1f", "\0", ":", ""])
def test_no_event_id_and_slot_can_be_taken_for_others(separator):
    result = joined(decision(f"a{separator}b"), decision("a", slot="b"), observation("a", slot="b"))
    assert [e.reward for e in result.events] == [-0.5, 1.0]


def test_a_late_reward_of_a_slot_is_late():
    result = joined(decision(slot="top"), decision(slot="side", at=after(30)), observation(slot="top", at=after(61)))
    assert result.counters == Counters(learned=2, rewards=1, late_rewards=1)


# --- laws ----------------------------------------------------------------------------------------------------------------

event_ids = st.sampled_from(["e1", "e2", "e3", "e4"])
seconds = st.integers(0, 400).map(float) | st.integers(3500, 4200).map(float)
"""Close together, and far enough apart for an event id to be used again."""

slots = st.sampled_from(["", "", "s1", "s2"])
decisions = st.builds(
    lambda e, t, deferred, slot: decision(e, at=after(t), deferred=deferred, slot=slot), event_ids, seconds, st.booleans(), slots
)
observations = st.builds(
    lambda e, t, reward, slot, id: (
        observation(e, reward, at=after(t), slot=slot, id=id) if reward is not None else observation(e, None, at=after(t))
    ),
    event_ids,
    seconds,
    st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    slots,
    st.sampled_from(["", "r1", "r2"]),
)


def cut(events: Sequence, sizes: Sequence[int], writer: str) -> list[Segment]:
    """Make segments of these events: in order of time, so many in each, sealed when their last event was made, and within the grace."""
    ordered = sorted(events, key=_time)
    segments: list[Segment] = []
    while ordered:
        size = sizes[len(segments) % len(sizes)]
        together = [each for each in ordered[:size] if _time(each) < _time(ordered[0]) + GRACE]
        segments.append(segment(together, writer=f"{writer}{len(segments)}"))
        ordered = ordered[len(together) :]
    return segments


def _time(event: Decision | Observation) -> datetime:
    return event.decided_at if isinstance(event, Decision) else event.observed_at


def outcome(results: Sequence[Joined]) -> tuple[list[tuple[EventKey, datetime, float, object]], Counters]:
    events = [(e.decision.key, e.decision.decided_at, e.reward, e.skip) for r in results for e in r.events]
    total = Counters()
    for result in results:
        total = total.plus(result.counters)
    return sorted(events, key=str), total


def joined_in_windows(decided: list[Segment], observed: list[Segment], ends: Sequence[float]) -> list[Joined]:
    """Join window after window, as a trainer does that comes by a grace after each of these times."""
    results: list[Joined] = []
    since = T0
    for end in [*sorted(ends), 9000.0]:
        until = after(end)
        if until <= since:
            continue
        counted = frozenset(s.head.key.name for s in observed if s.head.key.sealed_at < since)
        this = window(decided, observed, since=since, until=until, before=results[-1] if results else None, seen_observations=counted)
        results.append(join(replace(this, stragglers=(), sightings=sightings_of(decided, before=until + GRACE)), loop=LOOP))
        since = until
    return results


@given(
    st.lists(decisions, max_size=12, unique_by=lambda d: (d.key, d.decided_at)),
    st.lists(observations, max_size=20, unique_by=lambda o: (o.key, o.observed_at)),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.lists(st.integers(0, 5000).map(float), max_size=8),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_the_result_depends_neither_on_order_nor_on_segments_nor_on_windows(decided, observed, sizes, ends, random):
    whole = outcome([join(window(cut(decided, sizes, "d"), cut(observed, sizes, "o"), since=T0), loop=LOOP)])
    shuffled_decisions, shuffled_observations = cut(decided, sizes, "d"), cut(observed, sizes, "o")
    random.shuffle(shuffled_decisions)
    random.shuffle(shuffled_observations)
    assert outcome(joined_in_windows(shuffled_decisions, shuffled_observations, ends)) == whole


@given(
    st.lists(decisions, max_size=12, unique_by=lambda d: (d.key, d.decided_at)),
    st.lists(observations, max_size=20, unique_by=lambda o: (o.key, o.observed_at)),
    st.sampled_from(["s1", "s2"]),
)
@settings(max_examples=100, deadline=None)
def test_a_slot_fares_as_an_event_of_its_own_would(decided, observed, slot):
    """Its rewards being that event's, and the activations of the whole event its own."""
    loop = replace(LOOP, reward_aggregation=RewardAggregation.SUM)
    own = [d for d in decided if d.slot == slot]
    reports = [o for o in observed if o.slot == slot or o.is_activation]
    alone = join(
        window(cut([replace(d, slot="") for d in own], [3], "d"), cut([replace(o, slot="") for o in reports], [3], "o")), loop=loop
    )
    among = join(window(cut(decided, [3], "d"), cut(observed, [3], "o")), loop=loop)

    def fates(result: Joined, slot: str) -> list[tuple[str, datetime, float, object]]:
        return [(e.decision.event_id, e.decision.decided_at, e.reward, e.skip) for e in result.events if e.decision.slot == slot]

    assert sorted(fates(among, slot), key=str) == sorted(fates(alone, ""), key=str)


@given(st.lists(decisions, max_size=12), st.lists(observations, max_size=20))
@settings(max_examples=100, deadline=None)
def test_every_decision_is_learned_or_skipped_and_every_reward_is_counted(decided, observed):
    counters = join(window(cut(decided, [3], "d"), cut(observed, [3], "o"), since=T0), loop=LOOP).counters
    assert counters.processed == len(decided)
    assert counters.rewards == sum(not o.is_activation for o in observed)
    assert counters.late_rewards + counters.unknown_rewards + counters.repeated_rewards <= counters.rewards


@given(
    st.lists(decisions, max_size=8, unique_by=lambda d: (d.key, d.decided_at)),
    st.lists(observations, max_size=12, unique_by=lambda o: (o.key, o.observed_at)),
    st.lists(st.sampled_from([100.0, 300.0, 600.0, 1000.0, 3600.0, 4000.0, 5000.0]), min_size=1, max_size=6),
    st.lists(st.sampled_from([0, 1, 1, 2]), min_size=8, max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_every_reward_is_used_late_unknown_or_repeated_whatever_turns_up_behind_the_watermark(decided, observed, ends, found):
    """Used is what the decision has that counts, and what one has that is not to be learned or was not activated."""
    cut_decisions, cut_observations = cut(decided, [1], "d"), cut(observed, [2], "o")
    names = [s.head.key.name for s in cut_decisions]
    results = joined_as_it_turns_up(cut_decisions, cut_observations, ends, dict(zip(names, found, strict=False)))
    counters = outcome(results)[1]
    kept = [e for r in results for e in r.events if e.skip is not SkipReason.DUPLICATE]
    used = {(o.key, o.observed_at) for e in kept for o in e.observations if not o.is_activation}
    assert counters.processed == len(decided)
    assert counters.rewards == len([o for o in observed if not o.is_activation])
    assert len(used) + counters.late_rewards + counters.unknown_rewards + counters.repeated_rewards == counters.rewards
    assert all(len(marks) == len(set(marks)) for e in kept if (marks := [o.mark for o in e.observations if o.mark]))
