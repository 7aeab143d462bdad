"""The difference of two policies is known long before each of the two values is, and is not told where there is none."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import comb
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import assume, given, settings

from shared.evaluation.estimators import doubly_robust
from shared.evaluation.intervals import ALPHA, Range
from shared.evaluation.moments import Moments
from shared.evaluation.pairs import Drawn, Pairs, lift, lift_interval, lift_sequence
from shared.evaluation.rounds import Rounds
from shared.evaluation.sequences import confidence_sequence
from shared.evaluation.sums import Floats, Sums
from tests.evaluation.building import Choices, logs, random_choices

# --- a world whose truth is known --------------------------------------------------------------------------------------

KINDS, ACTIONS = 8, 4
SumsOf = TypeVar("SumsOf", bound=Sums)


@dataclass(frozen=True, eq=False)
class World:
    """Visitors of eight kinds; the present policy knows what each likes best, or the candidate knows it better of the last kind."""

    pays: Floats
    present: Floats
    candidate: Floats

    @property
    def truth(self) -> float:
        return float(((self.candidate - self.present) * self.pays).sum(axis=1).mean())

    @property
    def largest_weight(self) -> float:
        return float((self.candidate / self.present).max())


def world(*, gain: float, exploration: float = 0.4, middle: float = 0.4) -> World:
    """Let the candidate earn so much more than the present policy, both with their exploration."""
    first, other = np.zeros(KINDS, dtype=np.int64), np.where(np.arange(KINDS) == KINDS - 1, 1, 0)
    pays = np.full((KINDS, ACTIONS), 0.5 * middle)
    pays[:, 0] = middle
    pays[-1, 1] = middle + gain * KINDS / (1.0 - exploration)
    return World(pays, _greedy(first, exploration), _greedy(other, exploration))


def _greedy(favourites: np.ndarray, exploration: float) -> Floats:
    chances = np.full((KINDS, ACTIONS), exploration / ACTIONS)
    chances[np.arange(KINDS), favourites] += 1.0 - exploration
    return chances


def played(world: World, *, loops: int, looks: np.ndarray, seed: int) -> tuple[Pairs, Moments, Moments]:
    """Let the present policy serve many loops: sums up to each look, [loops, looks], of both policies and of their difference."""
    rng, each = np.random.default_rng(seed), int(looks[-1])
    visitors = rng.integers(KINDS, size=loops * each)
    logged, target = world.present[visitors], world.candidate[visitors]
    chosen = (logged.cumsum(axis=1) > rng.random((len(visitors), 1))).argmax(axis=1)
    rewards = (rng.random(len(visitors)) < world.pays[visitors, chosen]).astype(float)
    guessed = 0.8 * world.pays[visitors]
    drawn = Drawn(chosen, logged, rewards, guessed)
    starts = (each * np.arange(loops)[:, None] + np.concatenate([[0], looks[:-1]])).ravel()

    def of_policy(chances: Floats) -> Moments:
        rounds = Rounds.of_choices(chosen=chosen, logged=logged, target=chances, rewards=rewards, predictions=guessed)
        return _so_far(Moments.of_parts(rounds, starts), loops)

    pairs = Pairs.of_parts(drawn, target[None], logged, starts).taken(0)
    return Pairs(_so_far(pairs.moments, loops), _so_far(pairs.scope, loops)), of_policy(target), of_policy(logged)


def _so_far(sums: SumsOf, loops: int) -> SumsOf:
    return sums.each(lambda merge, values: merge.accumulate(values.reshape(loops, -1), axis=-1))


def first_time(is_sure: np.ndarray, looks: np.ndarray) -> Floats:
    """Give at how many events each loop was sure for the first time; twice as many as there are if it never was."""
    times: Floats = np.where(is_sure.any(axis=1), looks[is_sure.argmax(axis=1)], 2 * looks[-1])
    return times


def chance_of_more(count: int, runs: int, chance: float) -> float:
    """Give the binomial distribution's upper tail beyond a count."""
    return sum(comb(runs, each) * chance**each * (1 - chance) ** (runs - each) for each in range(count + 1, runs + 1))


# --- the proof ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exploration", [0.4, 0.2])
def test_a_candidate_that_is_a_hundredth_better_is_found_on_a_third_of_the_events_that_two_intervals_take(exploration):
    looks = np.unique(np.geomspace(1_000, 120_000, 30).astype(np.int64))
    chosen = world(gain=0.01, exploration=exploration)
    assert chosen.truth == pytest.approx(0.01)
    pairs, candidate, present = played(chosen, loops=4, looks=looks, seed=11)
    paired = first_time(lift_sequence(pairs).lower > 0.0, looks)
    least = confidence_sequence(candidate, largest_weight=chosen.largest_weight, alpha=ALPHA / 3).lower
    most = confidence_sequence(present, largest_weight=1.0, alpha=ALPHA / 3).upper
    apart = first_time(least > most, looks)
    assert paired.max() < 2 * looks[-1]
    assert np.median(paired) <= np.median(apart) / 3


WORSE_OR_EQUAL = {
    "equal": world(gain=0.0),
    "equal, explored less": world(gain=0.0, exploration=0.1),
    "equal, rare rewards": world(gain=0.0, middle=0.02),
    "worse": world(gain=-0.01),
}


def wrongly_promoted(chosen: World, *, loops: int, rounds: int, seed: int) -> int:
    looks = np.unique(np.geomspace(rounds / 100, rounds, 40).astype(np.int64))
    assert len(looks) == 40
    pairs, _, _ = played(chosen, loops=loops, looks=looks, seed=seed)
    return int((lift_sequence(pairs).lower > 0.0).any(axis=1).sum())


@pytest.mark.parametrize("name", WORSE_OR_EQUAL)
def test_one_that_is_worse_or_equal_is_promoted_at_any_of_40_looks_in_5_percent_of_loops_at_most(name):
    promoted = wrongly_promoted(WORSE_OR_EQUAL[name], loops=60, rounds=2_000, seed=3)
    assert promoted <= 0.05 * 60


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", WORSE_OR_EQUAL)
def test_one_that_is_worse_or_equal_is_promoted_in_5_percent_of_1000_loops_at_most(name):
    loops = 1_000
    promoted = sum(wrongly_promoted(WORSE_OR_EQUAL[name], loops=100, rounds=5_000, seed=seed) for seed in range(loops // 100))
    assert promoted <= 0.05 * loops
    assert chance_of_more(promoted, loops, 0.05) > 0.5


@pytest.mark.parametrize("middle", [0.4, 0.03])
def test_at_one_look_the_interval_holds_the_truth_in_95_percent_of_logs(middle):
    runs, chosen = 300, world(gain=0.01, middle=middle)
    pairs, _, _ = played(chosen, loops=runs, looks=np.array([1_000]), seed=21)
    missed = int((~lift_interval(pairs).covers(chosen.truth)).sum())
    assert chance_of_more(missed - 1, runs, 0.05) > 0.01


# --- laws --------------------------------------------------------------------------------------------------------------


def drawn_of(choices: Choices) -> Drawn:
    return Drawn(choices.chosen, choices.logged, choices.rewards, choices.predictions)


def compared(choices: Choices, rows=slice(None)) -> Pairs:
    """Compare the target policy with an even choice."""
    drawn = drawn_of(choices)
    some = Drawn(drawn.chosen[rows], drawn.logged[rows], drawn.rewards[rows], drawn.predictions[rows])
    even = np.full(some.logged.shape, 1.0 / some.logged.shape[1])
    return Pairs.of(some, choices.target[None, rows], even).taken(0)


def ends(pairs: Pairs, **others) -> list[float]:
    found = [each(pairs, **others) for each in (lift_interval, lift_sequence)]
    return [float(end) for each in found for end in (each.lower, each.upper)]


@settings(max_examples=25)
@given(logs)
def test_neither_the_order_of_events_nor_the_cut_of_the_log_changes_anything(choices):
    size = len(choices.chosen)
    assume(size > 1)
    whole = compared(choices)
    order = np.random.default_rng(size).permutation(size)
    shuffled = compared(choices, order[: size // 2]) + compared(choices, order[size // 2 :])
    assert float(lift(shuffled)) == pytest.approx(float(lift(whole)), abs=1e-9)
    assert ends(shuffled) == pytest.approx(ends(whole), abs=1e-6)


def test_a_log_doubled_halves_the_variance():
    choices = random_choices(4, n=4_000)
    once = compared(choices)
    twice = once + once
    assert float(lift(twice)) == pytest.approx(float(lift(once)))
    assert float(lift_interval(once).width / lift_interval(twice).width) ** 2 == pytest.approx(2.0, rel=0.05)


@settings(max_examples=25)
@given(logs)
def test_while_nothing_changes_bands_only_shrink(choices):
    pairs = compared(choices)
    bands = [ends(pairs)]
    for _ in range(4):
        pairs = pairs + pairs
        bands.append(ends(pairs))
    for before, after in pairwise(bands):
        assert (after[0] >= before[0] - 1e-9, after[1] <= before[1] + 1e-9) == (True, True)
        if after[2:] != [-1.0, 1.0]:  # nothing is told where the log contradicts its own probabilities, as a small one many times over may
            assert (after[2] >= before[2] - 1e-6, after[3] <= before[3] + 1e-6) == (True, True)


@settings(max_examples=25)
@given(logs)
def test_the_other_way_round_everything_is_mirrored(choices):
    drawn, even = drawn_of(choices), np.full(choices.logged.shape, 1.0 / choices.logged.shape[1])
    one = Pairs.of(drawn, choices.target[None], even).taken(0)
    other = Pairs.of(drawn, even[None], choices.target).taken(0)
    lower, upper, least, most = ends(one)
    assert ends(other) == pytest.approx([-upper, -lower, -most, -least], abs=1e-6)


@settings(max_examples=25)
@given(logs)
def test_rewards_of_twice_the_range_make_twice_the_difference(choices):
    wider = replace(choices, rewards=2.0 * choices.rewards - 1.0, predictions=2.0 * choices.predictions - 1.0)
    plain = ends(compared(choices))
    assert ends(compared(wider), rewards=Range(-1.0, 1.0)) == pytest.approx([2.0 * each for each in plain], abs=1e-5)


@settings(max_examples=25)
@given(logs)
def test_a_difference_is_the_difference_of_the_two(choices):
    even = np.full(choices.logged.shape, 1.0 / choices.logged.shape[1])
    blind = Rounds.of_choices(
        chosen=choices.chosen, logged=choices.logged, target=even, rewards=choices.rewards, predictions=choices.predictions
    )
    one, other = (float(doubly_robust(Moments.of(each))) for each in (choices.rounds, blind))
    assert float(doubly_robust(compared(choices).moments)) == pytest.approx(one - other, abs=1e-9)


def test_policies_that_choose_alike_earn_the_same_for_sure():
    choices = random_choices(2, n=2_000)
    pairs = Pairs.of(drawn_of(choices), choices.target[None], choices.target).taken(0)
    lower, upper, least, most = ends(pairs)
    assert (lower, upper, float(pairs.scope.differing)) == (0.0, 0.0, 0.0)
    assert -0.01 < least <= 0.0 <= most < 0.01


def test_a_log_of_hardly_any_rounds_says_nothing():
    assert ends(compared(random_choices(2, n=2)))[:2] == [-1.0, 1.0]


def test_a_round_that_stands_for_ten_counts_as_ten():
    choices = random_choices(5, n=300)
    even = np.full(choices.logged.shape, 0.2)
    many = Pairs.of(replace(drawn_of(choices), counts=np.full(300, 10.0)), choices.target[None], even).taken(0)
    assert float(many.moments.rounds) == 3_000.0
    assert float(lift(many)) == pytest.approx(float(lift(compared(choices))), abs=1e-3)
    assert float(lift_interval(many).width) == pytest.approx(float(lift_interval(compared(choices)).width), rel=0.05)


def test_what_was_written_is_read_and_anything_else_is_refused():
    pairs = compared(random_choices(1))
    again = Pairs.of_plain(pairs.plain())
    assert again.plain() == pairs.plain()
