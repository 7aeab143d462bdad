from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.events import Features
from shared.learning.artifact import dump_model, dump_state, load_learner
from shared.learning.averaging import Losses
from shared.learning.learner import Learner
from shared.learning.model import MEMBERS
from tests.learning.building import encoded, goes_on_in, learned_in

STEADY, RECENT = 0, 1  # of the shared part
OF_JOINT = 4


def losses_of(predictions, rewards) -> Losses:
    losses = Losses()
    losses.add(np.asarray(predictions), np.asarray(rewards))
    return losses


def noisy_members(seed: int, *, events: int = 300):
    """Give members' predictions, each wrong by an amount of its own, and rewards."""
    rng = np.random.default_rng(seed)
    truth = rng.random(events)
    errors = rng.normal(0.0, 0.3, (events, MEMBERS)) * rng.random(MEMBERS)
    return truth[:, None] + errors @ rng.normal(size=(MEMBERS, MEMBERS)), truth


@given(seed=st.integers(0, 2**32), events=st.integers(1, 60))
@settings(deadline=None, max_examples=50)
def test_shares_are_not_negative_and_together_one(seed, events):
    shares = losses_of(*noisy_members(seed, events=events)).shares()
    assert (shares >= 0.0).all()
    assert shares.sum() == pytest.approx(1.0)


@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_the_average_predicts_no_worse_than_the_best_steady_member(seed):
    losses = losses_of(*noisy_members(seed))
    shares = losses.shares()
    assert shares @ losses.products @ shares <= losses.squared[::2].min() * (1 + 1e-2)


def test_members_that_err_in_different_ways_share_alike_though_one_is_a_little_better():
    rng = np.random.default_rng(1)
    rewards, predictions = rng.random(500), np.full((500, MEMBERS), 9.0)
    predictions[:, STEADY] = rewards + rng.normal(0.0, 0.10, 500)
    predictions[:, OF_JOINT] = rewards + rng.normal(0.0, 0.11, 500)
    shares = losses_of(predictions, rewards).shares()
    assert 0.4 < shares[OF_JOINT] < 0.55
    assert shares[STEADY] + shares[OF_JOINT] == pytest.approx(1.0, abs=0.02)


def test_what_another_member_knows_already_counts_for_nothing():
    rng = np.random.default_rng(2)
    rewards, predictions = rng.random(500), np.full((500, MEMBERS), 9.0)
    predictions[:, STEADY] = rewards + rng.normal(0.0, 0.1, 500)
    predictions[:, OF_JOINT] = predictions[:, STEADY] + rng.normal(0.0, 0.1, 500)
    assert losses_of(predictions, rewards).shares()[OF_JOINT] < 0.15


@pytest.mark.parametrize("events", [0, 10, 1000])
def test_of_members_that_are_equal_the_first_counts(events):
    losses = losses_of(np.full((events, MEMBERS), 0.5), np.arange(events) % 2 * 1.0) if events else Losses()
    assert losses.shares().tolist() == [1.0, *[0.0] * (MEMBERS - 1)]


def test_a_recent_member_counts_where_it_is_much_better_and_not_where_chance_may_have_made_it_so():
    rng = np.random.default_rng(3)
    rewards = rng.integers(2, size=1000) * 1.0
    for wrong_by, share in ((0.05, 0.0), (0.6, 1.0)):
        predictions = np.full((1000, MEMBERS), 0.5) + wrong_by * rng.choice([-1.0, 1.0], (1000, 1))
        predictions[:, RECENT] = 0.5
        assert losses_of(predictions, rewards).shares()[RECENT] == pytest.approx(share, abs=0.1)


@given(seed=st.integers(0, 2**32), scale=st.sampled_from([0.01, 0.1, 0.5]))
@settings(deadline=None, max_examples=30)
def test_shares_do_not_depend_on_the_unit_of_rewards(seed, scale):
    predictions, rewards = noisy_members(seed)
    predictions = np.clip(predictions, 0.0, 1.0)
    given_shares = losses_of(predictions, rewards).shares()
    assert losses_of(scale * predictions, scale * rewards).shares() == pytest.approx(given_shares, abs=1e-2)


def shown_by_a_policy(*, steady: float, recent: float, clicks: float, seed: int = 4) -> Losses:
    """Give the losses where what a policy shows has paid for long what both predicted, and then is clicked so often."""
    rng = np.random.default_rng(seed)
    losses = losses_of(np.full((1000, MEMBERS), steady), rng.random(1000) < steady)
    predictions = np.full((400, MEMBERS), steady)
    predictions[:, RECENT::2] = recent
    losses.add(predictions, (rng.random(400) < clicks).astype(float))
    return losses


def test_a_change_is_seen_where_clicks_became_rare_and_errors_small():
    before = losses_of(np.full((1000, MEMBERS), 0.45), np.random.default_rng(5).random(1000) < 0.45)
    after = shown_by_a_policy(steady=0.45, recent=0.1, clicks=0.05)
    assert after.squared[STEADY] / after.events < 1.05 * before.squared[STEADY] / before.events
    assert after.show_change()


def test_a_policy_that_shows_what_pays_more_than_was_thought_is_no_change():
    better = shown_by_a_policy(steady=0.45, recent=0.85, clicks=0.9)
    assert better.squared[STEADY] - better.squared[RECENT] > 50.0 * better.squared.min() / better.events
    assert not better.show_change()


# --- a world that changes ---

CONTEXTS: list[Features] = [{"plan": "free"}, {"plan": "family"}]


def taste(context, action):
    return 0.7 if (context["plan"] == "free") == (action == 0) else 0.3


def opposite(context, action):
    return 1.0 - taste(context, action)


def lived_through(*worlds, events: int = 2500) -> Learner:
    learner = learned_in(worlds[0], CONTEXTS, actions=2, events=events, seed=4)
    for number, world in enumerate(worlds[1:]):
        goes_on_in(learner, world, CONTEXTS, actions=2, events=900, rng=np.random.default_rng(number))
    return learner


@cache
def changed() -> Learner:
    """Give one whose world changed: it is made when it is first needed, and not when tests are collected."""
    return lived_through(taste, opposite)


def test_where_the_world_has_changed_the_steady_members_begin_anew_and_agree_with_the_recent_ones():
    assert 2000 <= changed().begun <= changed().learned
    estimates = [changed().model().scores(encoded({"u": context}, [{}] * 2)).mean for context in CONTEXTS]
    wanted = [[opposite(context, action) for action in range(2)] for context in CONTEXTS]
    assert np.array(estimates) == pytest.approx(np.array(wanted), abs=0.15)


def test_it_remembers_no_more_events_than_came_since_then_and_counts_all_that_were_learned():
    model = changed().model()
    assert model.learned == 3400
    assert model.remembered <= 3400 - changed().begun


def test_where_the_world_stays_nothing_is_forgotten():
    assert lived_through(taste, taste).begun == 0


def test_a_young_learner_is_not_held_to_have_seen_a_change():
    assert learned_in(taste, CONTEXTS, actions=2, events=300, seed=5).begun == 0


@pytest.mark.parametrize("events", [100, 500])
def test_a_learner_out_of_its_state_begins_anew_as_the_one_that_never_went(events):
    warm = lived_through(taste)
    returned = load_learner(dump_state(warm))
    for learner in (warm, returned):
        goes_on_in(learner, opposite, CONTEXTS, actions=2, events=events, rng=np.random.default_rng(6))
    again = load_learner(dump_state(returned))
    for learner in (warm, again):
        goes_on_in(learner, opposite, CONTEXTS, actions=2, events=200, rng=np.random.default_rng(7))
    assert (dump_state(again), dump_model(again)) == (dump_state(warm), dump_model(warm))
