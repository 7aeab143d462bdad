"""What the model learns of an event depends on what was logged of it alone: not on settings, which may have changed since."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.events import JoinedEvent, SkipReason
from shared.joining.dsjson import read_situation
from shared.learning.arguments import parse_arguments
from shared.learning.artifact import dump_state, load_learner
from shared.learning.encoding import Batch, Encoder, to_batch
from shared.learning.learner import KEPT_FROM, Learner
from shared.services.training.lessons import lessons
from tests.builders import apprentice, decision


def learned(*events: JoinedEvent) -> Batch:
    return lessons(events, Encoder())


def same(one: Batch, other: Batch) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch))


def outcomes(batch: Batch) -> list[tuple[float, float]]:
    return list(zip(batch.rewards.tolist(), batch.probabilities.tolist(), strict=True))


def test_online_the_reward_of_what_was_shown_is_learned():
    events = [JoinedEvent(decision(chosen=chosen), reward) for chosen, reward in ((0, 0.5), (1, -1.0))]
    assert outcomes(learned(*events)) == [(0.5, 0.75), (-1.0, 0.25)]


@pytest.mark.parametrize(("proposed", "reward"), [(0, 1.0), (1, 0.0)])
def test_imitating_the_proposal_is_learned_with_1_if_it_was_the_baseline_and_0_if_not(proposed, reward):
    event = JoinedEvent(apprentice(proposed=proposed, chance=0.2), 0.625)
    assert outcomes(learned(event)) == [(reward, 0.2)]
    told = to_batch([decision(chosen=proposed).encoded], rewards=[reward], probabilities=[0.2])
    assert same(learned(event), replace(told, imitated=1))


@pytest.mark.parametrize("proposed", [0, 1])
def test_observing_the_baselines_reward_is_learned_whatever_was_proposed(proposed):
    event = JoinedEvent(apprentice(proposed=proposed, chance=0.2, is_lesson=False), 0.625)
    assert same(learned(event), to_batch([decision(chosen=0).encoded], rewards=[0.625], probabilities=[1.0]))


OBSERVED = JoinedEvent(apprentice("o", proposed=1, chance=0.2, is_lesson=False), 0.625)
TO_IMITATE = JoinedEvent(apprentice("i", proposed=1, chance=0.2), 0.625)


@pytest.mark.parametrize("proposed", [0, 1])
def test_who_was_taught_by_enough_rewards_is_not_taught_to_imitate_but_by_the_baselines_rewards(proposed):
    lesson = apprentice(proposed=proposed, chance=0.2)
    observed = learned(JoinedEvent(apprentice(proposed=proposed, chance=0.2, is_lesson=False), 0.625))
    assert same(lessons([JoinedEvent(lesson, 0.625)], Encoder(), rewarded=KEPT_FROM), observed)
    assert same(lessons([JoinedEvent(lesson, 0.625)], Encoder(), rewarded=KEPT_FROM - 1), learned(JoinedEvent(lesson, 0.625)))


@pytest.mark.parametrize("before", [0, 1, 7])
def test_what_counts_is_how_many_rewards_came_before_an_event_in_the_same_window_or_an_earlier_one(before):
    skipped = replace(OBSERVED, skip=SkipReason.DUPLICATE)
    events = [TO_IMITATE, *[skipped] * 3, *[OBSERVED] * (KEPT_FROM - before - 1), TO_IMITATE, OBSERVED, TO_IMITATE, TO_IMITATE]
    batch = lessons(events, Encoder(), rewarded=before)
    assert batch.imitated == 2
    assert [number for number, reward in enumerate(batch.rewards.tolist()) if reward != 0.625] == [0, KEPT_FROM - before]


def test_where_an_encoding_is_damaged_the_action_that_is_learned_about_stays_the_same():
    damaged = replace(TO_IMITATE, decision=replace(TO_IMITATE.decision, encoded=TO_IMITATE.decision.encoded[:-4]))
    for rewarded in (0, KEPT_FROM):
        assert same(lessons([damaged] * 2, Encoder(), rewarded=rewarded), lessons([TO_IMITATE] * 2, Encoder(), rewarded=rewarded))


MODES = {
    "online": JoinedEvent(decision("n", chosen=1), 0.25),
    "imitate": TO_IMITATE,
    "observe": OBSERVED,
    "logging": replace(OBSERVED, skip=SkipReason.LOGGING_ONLY),
}


@given(st.lists(st.tuples(st.sampled_from([*MODES]), st.integers(1, 130)), min_size=1, max_size=6), st.integers(30, 120))
@example([("observe", 98), ("imitate", 4), ("online", 2), ("imitate", 4)], 5)
@settings(max_examples=25)
def test_whatever_the_sequence_of_modes_no_lesson_to_imitate_comes_after_a_hundred_rewards(phases, size):
    """Played in windows of ``size``, each after a round trip of the learner's state; the windows do not matter either."""
    events = [MODES[mode] for mode, count in phases for _ in range(count)]
    learner, rewards = Learner.cold(), []
    for first in range(0, len(events), size):
        batch = lessons(events[first : first + size], Encoder(), rewarded=learner.rewarded)
        if len(batch):
            learner.learn(batch)
        learner = load_learner(dump_state(learner))
        rewards += batch.rewards.tolist()
    learned_from = [event for event in events if event.skip is None]
    taught, count = [], 0
    for event in learned_from:
        imitates = event is TO_IMITATE and count < 100
        count += not imitates
        taught.append(0.0 if imitates else event.reward)
    assert rewards == taught
    assert learner.rewarded == min(count, KEPT_FROM)


def test_both_kinds_can_be_in_one_window_and_what_was_skipped_is_left_out():
    events = [
        JoinedEvent(apprentice("e1", proposed=1, chance=0.2), 0.5),
        JoinedEvent(apprentice("e2", is_lesson=False), 0.5),
        JoinedEvent(apprentice("e3"), 0.5, skip=SkipReason.DUPLICATE),
        JoinedEvent(decision("e4"), -0.5),
    ]
    assert outcomes(learned(*events)) == [(0.0, 0.2), (0.5, 1.0), (-0.5, 0.75)]
    assert len(learned(*events[2:3])) == len(learned()) == 0


@pytest.mark.parametrize("logged", [b"", b"\xff\0\0\0"], ids=["not at all", "by another encoder"])
@pytest.mark.parametrize(
    "decided", [decision(chosen=1), apprentice(proposed=1), apprentice(proposed=1, is_lesson=False)], ids=["online", "imitate", "observe"]
)
def test_what_is_encoded_anew_is_what_rank_would_have_encoded(decided, logged):
    anew = replace(decided, encoded=logged)
    assert same(learned(JoinedEvent(anew, 1.0)), learned(JoinedEvent(decided, 1.0)))


@pytest.mark.parametrize("damage", [lambda good: good[:-4], lambda good: good[:-4] + np.float32("nan").tobytes(), lambda good: good[:8]])
def test_one_damaged_encoding_is_made_anew_and_stops_no_other(damage):
    sound = [decision(f"e{number}", chosen=number % 2) for number in range(5)]
    damaged = [replace(each, encoded=damage(each.encoded)) if number == 2 else each for number, each in enumerate(sound)]
    assert same(learned(*[JoinedEvent(each, 0.5) for each in damaged]), learned(*[JoinedEvent(each, 0.5) for each in sound]))


def test_what_was_encoded_for_other_interactions_is_encoded_anew():
    decided = decision(chosen=1)
    interactions = parse_arguments("--cb_explore_adf --ignore i").interactions
    learned_ = lessons([JoinedEvent(decided, 1.0)], Encoder(interactions))
    expected = Encoder(interactions).encode(read_situation(decided.situation)).logged(1)
    assert same(learned_, to_batch([expected], rewards=[1.0], probabilities=[decided.probabilities[1]]))
