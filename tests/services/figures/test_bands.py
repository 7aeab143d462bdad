"""Estimates and bands of the live figures hold the truth in simulated loops whose policy changes as it goes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from shared.domain.ledger import Counters
from shared.evaluation.buckets import expanded, merged
from shared.evaluation.intervals import Interval
from shared.services.figures.bands import anytime, at_one_look, bounds, estimates
from shared.services.figures.logged import Logged
from shared.services.figures.timeline import POLICIES, Timeline
from shared.services.figures.window import Span, window
from tests.builders import T0

EVENTS, LOOKS, LOOPS = 2_400, 20, 150
PAYS = np.array([0.3, 0.6, 0.15])
ONLINE, RANDOM = POLICIES.index("online"), POLICIES.index("random")


def played() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loops that come to prefer the best of three actions, sooner the better they did: the least chance falls from 1/3 to 1/100.

    Gives chances [events, loops, 3], choices and rewards [events, loops].
    """
    rng = np.random.default_rng(4)
    chances = np.zeros((EVENTS, LOOPS, 3))
    chosen, rewards = np.zeros((EVENTS, LOOPS), dtype=np.int64), np.zeros((EVENTS, LOOPS))
    earned = np.zeros(LOOPS)
    for event in range(EVENTS):
        others = np.maximum(1.0 / (3.0 + 0.02 * event * (0.5 + earned / (event + 1.0))), 0.01)
        chances[event] = np.stack([others, 1.0 - 2.0 * others, others], axis=-1)
        chosen[event] = (chances[event].cumsum(axis=-1) > rng.random((LOOPS, 1))).argmax(axis=-1)
        rewards[event] = rng.random(LOOPS) < PAYS[chosen[event]]
        earned += rewards[event]
    return chances, chosen, rewards


def _timeline(chances: np.ndarray, chosen: np.ndarray, rewards: np.ndarray) -> Timeline:
    events = len(chosen)
    none, some = np.zeros(events, dtype=np.bool_), np.arange(events)
    columns = Logged(
        seconds=np.asarray(T0.timestamp() + 300.0 * (some * LOOKS // events), dtype=np.float64),
        rewards=rewards,
        chosen=chances[some, chosen],
        drawn=chances[some, chosen],
        highest=chances.max(axis=1),
        least=chances.min(axis=1),
        likeliest=np.ones(events, dtype=np.int64),
        possible=np.full(events, 3),
        entropy=np.zeros(events),
        baseline=chances[:, 0],
        is_baseline=chosen == 0,
        is_certain=none,
        is_apprentice=none,
        is_proposed=none,
        is_imitated=none,
        is_slot=none,
        is_held_out=none,
    )
    return window(columns, (), Counters(), Span(T0, T0, timedelta(0)))


def beside(parts: Sequence[Any]) -> Any:
    """Put the same sums of all loops beside each other, the loops as the last axis but one."""
    return type(parts[0])(*(np.stack([getattr(part, each.name) for part in parts], axis=-2) for each in fields(parts[0])))


@dataclass(frozen=True)
class Simulated:
    """The loops that were played, and what is true of them."""

    timelines: Sequence[Timeline]
    truth: np.ndarray
    """What could be expected up to each look, in the order of the policies, [P, loops, looks]: online it moves with the policy."""
    truth_by_block: np.ndarray
    """What could be expected of the events of each block, in the same order."""

    @cached_property
    def moments(self) -> Any:
        return beside([each.moments for each in self.timelines])

    @cached_property
    def activity(self) -> Any:
        return beside([each.activity for each in self.timelines])


@pytest.fixture(scope="module")
def loops() -> Simulated:
    """Play them once, when they are first needed."""
    chances, chosen, rewards = played()
    by_block = (chances @ PAYS).reshape(LOOKS, EVENTS // LOOKS, LOOPS).mean(axis=1).T
    expected = by_block.cumsum(axis=-1) / np.arange(1, LOOKS + 1)
    fixed = np.broadcast_to(np.array([PAYS[0], PAYS.mean()])[:, None, None], (2, LOOPS, LOOKS))
    timelines = [_timeline(chances[:, loop], chosen[:, loop], rewards[:, loop]) for loop in range(LOOPS)]
    return Simulated(timelines, np.concatenate([expected[None], fixed]), np.concatenate([by_block[None], fixed]))


@pytest.fixture(scope="module")
def bands(loops) -> Interval:
    return anytime(expanded(loops.moments), bounds(expanded(loops.activity)))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_band_is_wrong_at_any_of_its_looks_in_5_percent_of_loops_at_most(bands, policy, loops):
    held = bands.covers(loops.truth)[POLICIES.index(policy)]
    assert held.shape == (LOOPS, LOOKS)
    assert held.all(axis=-1).mean() >= 0.95


@pytest.mark.parametrize("policy", POLICIES)
def test_estimates_are_right_on_average(policy, loops):
    errors = (estimates(expanded(loops.moments)) - loops.truth)[POLICIES.index(policy), :, -1]
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / np.sqrt(LOOPS)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_bucket_by_itself_is_wrong_in_few_cases(policy, loops):
    place, found = POLICIES.index(policy), at_one_look(loops.moments, bounds(loops.activity))
    is_told = ~np.isnan(found.lower[place])
    assert is_told.mean() > 0.9
    assert found.covers(loops.truth_by_block)[place][is_told].mean() > 0.93


def test_bands_get_narrow_enough_to_tell_the_policies_apart(bands, loops):
    """That of what was logged in a loop, and both after the events of twenty of them."""
    assert bands.width[ONLINE, :, -1].mean() < 0.12
    whole = sum(loops.timelines[1:20], loops.timelines[0])
    of_all = anytime(merged(whole.moments), bounds(merged(whole.activity)))
    assert of_all.lower[ONLINE, 0] > of_all.upper[RANDOM, 0]


def test_where_no_event_tells_nothing_is_told(loops):
    nothing = loops.timelines[0].moments.each(lambda _, values: 0.0 * values)
    assert np.isnan(estimates(nothing)).all()
    assert np.isnan(anytime(nothing, np.zeros((len(POLICIES), LOOKS))).lower).all()
