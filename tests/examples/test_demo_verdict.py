"""The verdict says yes to a loop that learned, and no to one that did not."""

import dataclasses
import doctest
import importlib
import math

import numpy as np
import pytest

from examples.curve import draw, lines_of
from examples.events import Action, Event, Programme
from examples.news import news
from examples.session import Pace
from examples.verdict import has_learned, judge, score, stretches

PROGRAMME = news(events=1200, seed=1)


def rewards_of(choose, programme=PROGRAMME):
    return np.array([event.reward_of(event.actions[choose(number, event)].id) for number, event in enumerate(programme.events)])


def best(number, event):
    return int(np.argmax(event.expected))


def classes(events=900):
    """Class 0 is right four times out of five: showing the first action is a good answer."""
    menu = (Action("a0", {}), Action("a1", {}))
    return Programme("classes", [Event({}, menu, (0.0, 1.0) if i % 5 == 0 else (1.0, 0.0)) for i in range(events)])


def test_who_knows_the_probabilities_has_learned():
    assert has_learned(judge(PROGRAMME, rewards_of(best)))


@pytest.mark.parametrize("seed", range(20))
def test_who_picks_blindly_has_not(seed):
    rng = np.random.default_rng(seed)
    assert not has_learned(judge(PROGRAMME, rewards_of(lambda number, event: int(rng.integers(len(event.actions))))))


def test_who_shows_the_first_action_has_not():
    assert not has_learned(judge(PROGRAMME, rewards_of(lambda number, event: 0)))


def test_who_forgets_nothing_fails_after_the_drift_and_is_told_where():
    scores = judge(PROGRAMME, rewards_of(lambda number, event: best(number, event) if number < PROGRAMME.drift_at else 0))
    assert [each.learned for each in scores[1:]] == [True, False]
    assert not has_learned(scores)


def test_a_margin_within_two_standard_errors_is_not_enough():
    passed = score(PROGRAMME, rewards_of(best), stretches(1200, 600)[1])
    assert passed.learned
    assert not dataclasses.replace(passed, margin=1.99 * passed.standard_error).learned
    assert dataclasses.replace(passed, margin=2.01 * passed.standard_error).learned


def test_means_are_exact_for_the_events_played_only():
    rewards = rewards_of(best)
    rewards[100:] = np.nan
    whole = judge(PROGRAMME, rewards)[0]
    assert whole.events == 100
    assert whole.reward == pytest.approx(rewards[:100].mean())
    assert whole.optimum == pytest.approx(np.mean([max(event.expected) for event in PROGRAMME.events[:100]]))
    assert whole.random == pytest.approx(np.mean([np.mean(event.expected) for event in PROGRAMME.events[:100]]))
    assert whole.first == pytest.approx(np.mean([event.expected[0] for event in PROGRAMME.events[:100]]))


def test_a_run_without_events_has_not_learned():
    nothing = np.full(len(PROGRAMME.events), math.nan)
    assert not has_learned(judge(PROGRAMME, nothing))
    nothing[-1] = 1.0
    assert not has_learned(judge(PROGRAMME, nothing))


def test_for_classes_the_bar_is_random_and_the_first_action_is_reported():
    programme = classes()
    always_zero = judge(programme, rewards_of(lambda number, event: 0, programme))
    assert [each.stretch.name for each in always_zero] == ["overall", "last third"]
    assert always_zero[1].first == pytest.approx(0.8)
    assert always_zero[1].margin == pytest.approx(0.3)
    assert has_learned(always_zero)


def test_for_an_order_of_the_apps_own_the_bar_is_the_better_of_both():
    last = score(PROGRAMME, rewards_of(best), stretches(1200, 600)[2])
    assert last.margin == pytest.approx(last.reward - max(last.random, last.first))


def test_the_last_quarter_never_reaches_back_before_the_drift():
    late = stretches(1000, 900)
    assert (late[1].start, late[1].stop) == (650, 900)
    assert (late[2].start, late[2].stop) == (900, 1000)


def test_the_curve_is_drawn_as_far_as_was_played_and_marks_the_drift():
    rewards = rewards_of(best)
    rewards[600:] = np.nan
    lines = lines_of(PROGRAMME, rewards, columns=60)
    assert not np.isnan(lines.reward[:30]).any()
    assert np.isnan(lines.reward[32:]).all()
    assert lines.drift == 30
    rows = draw(lines, height=10).plain.splitlines()
    assert len(rows) == 11
    assert {len(row) for row in rows[:10]} == {66}
    assert all(sign in "\n".join(rows) for sign in "●─·╌┊")
    assert "tastes change" in rows[10]


def test_a_curve_without_anything_played_can_be_drawn():
    assert "●" not in "".join(draw(lines_of(PROGRAMME, np.full(1200, np.nan), columns=40)).plain.splitlines()[:-1])


@pytest.mark.parametrize("events", [1, 99, 100, 601, 4000])
def test_rounds_cover_every_event_once(events):
    assert [i for part in Pace.for_events(events).split(events) for i in part] == list(range(events))


@pytest.mark.parametrize("name", ["curve", "events", "session", "status", "verdict"])
def test_the_examples_in_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(f"examples.{name}"))
    assert result.attempted
    assert not result.failed
