"""The simulated news site keeps its laws."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.news import (
    HOURS,
    LIFETIME,
    READERS,
    SHOWN,
    TOPICS,
    Article,
    click_probability,
    draw_tastes,
    news,
)

SEEDS = range(5)


def best_topic(tastes, reader, hour):
    menu = [Article(number=i, topic=topic, length="short", published=0) for i, topic in enumerate(TOPICS)]
    return max(menu, key=lambda article: click_probability(tastes, reader, hour, article, now=0)).topic


@settings(max_examples=20, deadline=None)
@given(events=st.integers(1, 300), seed=st.integers(0, 2**31))
def test_probabilities_are_probabilities_and_nothing_beats_the_optimum(events, seed):
    programme = news(events=events, seed=seed)
    assert len(programme.events) == events
    assert all(0.0 <= p <= 1.0 for event in programme.events for p in event.expected)
    assert (programme.optimum >= programme.first).all()
    assert (programme.optimum >= programme.random).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_seeds_give_equal_runs(seed):
    assert news(events=200, seed=seed) == news(events=200, seed=seed)
    assert news(events=200, seed=seed).events != news(events=200, seed=seed + 1).events


@pytest.mark.parametrize("seed", SEEDS)
def test_the_drift_changes_the_best_article_of_every_reader_at_every_hour(seed):
    rng = np.random.default_rng(seed)
    before = draw_tastes(rng)
    after = draw_tastes(rng, unlike=before)
    assert all(best_topic(before, reader, hour) != best_topic(after, reader, hour) for reader in READERS for hour in HOURS)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_best_before_the_drift_is_worth_little_after_it(seed):
    programme = news(events=2000, seed=seed)
    half = programme.drift_at

    def reader_and_hour(event):
        return event.context["reader"]["name"], event.context["visit"]["hour"]

    liked: dict[tuple[str, str], Any] = {}
    for event in programme.events[:half]:
        liked.setdefault(reader_and_hour(event), event.actions[int(np.argmax(event.expected))].features["article"]["topic"])
    old_taste = []
    for event in programme.events[half:]:
        topics = [action.features["article"]["topic"] for action in event.actions]
        if liked[reader_and_hour(event)] in topics:
            old_taste.append(event.expected[topics.index(liked[reader_and_hour(event)])])
    assert float(np.mean(old_taste)) < 0.6 * programme.optimum[half:].mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_hours_and_readers_interact(seed):
    tastes = draw_tastes(np.random.default_rng(seed))
    assert any(len({best_topic(tastes, reader, hour) for hour in HOURS}) > 1 for reader in READERS)
    assert any(len({best_topic(tastes, reader, hour) for reader in READERS}) > 1 for hour in HOURS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_pool_changes_slowly_and_the_newest_article_comes_first(seed):
    programme = news(events=2 * LIFETIME, seed=seed)
    first, soon, late = (
        {action.id for event in programme.events[i : i + 20] for action in event.actions} for i in (0, 25, 2 * LIFETIME - 20)
    )
    assert len(first & soon) >= 12
    assert not first & late
    for event in programme.events:
        freshness = [action.features["article"]["freshness"] for action in event.actions]
        assert len({action.id for action in event.actions}) == SHOWN
        assert freshness == sorted(freshness, reverse=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_much_to_learn(seed):
    programme = news(events=2000, seed=seed)
    assert programme.optimum.mean() > 3 * max(programme.random.mean(), programme.first.mean())


def test_a_click_happens_as_often_as_its_probability_says():
    events = news(events=4000, seed=7).events
    clicks = np.mean([event.reward_of(event.actions[0].id) for event in events])
    expected = np.array([event.expected[0] for event in events])
    assert clicks == pytest.approx(expected.mean(), abs=4 * float(np.sqrt((expected * (1 - expected)).mean() / len(events))))


def test_an_action_that_was_not_offered_has_no_reward():
    with pytest.raises(KeyError):
        news(events=1, seed=0).events[0].reward_of("article-999")
