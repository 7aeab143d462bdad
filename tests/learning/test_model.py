import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.events import Action, Features, Situation
from shared.learning import scorer
from shared.learning.crosses import cells, crossed
from shared.learning.encoding import Encoder
from shared.learning.event_waves import EventWaves
from shared.learning.local_ridge import arms_of
from shared.learning.model import MEMBERS, Mixture, Model, Parts
from shared.learning.shared_ridge import DRAWS
from shared.learning.sizes import bytes_in
from tests.learning.building import batch_of, encoded, learned_in, many_crosses, random_batch
from tests.learning.test_learner import CORNERS, learned


def mixed(learner, *shares):
    parts, mixture = Parts(learner.shared, learner.local, learner.joint), Mixture(*shares, *[0.0] * (MEMBERS - len(shares)))
    return Model.of(parts, learner.measures, mixture, learned=learner.learned, deviation=0.4)


YOUNG, GROWN = learned(random_batch(1, 60)), learned(many_crosses(2, 150))
OPEN = mixed(YOUNG, 0.5, 0.5, 0.0, 0.0)
MIXED = mixed(YOUNG, 0.4, 0.3, 0.2, 0.1)
CLOSED = mixed(GROWN, 0.6, 0.4, 0.0, 0.0)
LOCAL = mixed(
    learned_in(
        lambda context, action: 0.9 if (context["left"] == context["right"]) == (action == 0) else 0.1,
        CORNERS,
        actions=2,
        events=400,
        seed=1,
    ),
    *(0.05, 0.0, 0.65, 0.3),
)
"""Most of its score is the actions' own: no sum over single features tells what is right there."""

JOINT = mixed(YOUNG, 0.1, 0.0, 0.1, 0.1, 0.4, 0.3)
KINDS = {"open": OPEN, "mixed": MIXED, "closed": CLOSED, "local": LOCAL, "joint": JOINT, "cold": Model.cold()}
EVERY_KIND = pytest.mark.parametrize("model", KINDS.values(), ids=KINDS.keys())


def anew(model):
    """The same model with nothing in its memory."""
    return replace(model)


def test_a_cold_model_scores_everything_alike():
    cold = Model.cold()
    assert cold.is_cold
    assert cold.scores(encoded({"u": {"a": 1}}, [{}, {"b": 2}])).mean.tolist() == [0.0, 0.0]


def drawing(model):
    """Which kinds of parts have draws."""
    return [weights.shape[axis] > 1 for weights, axis in ((model.weights, 1), (model.arm_weights, 1), (model.joint_weights, 0))]


@pytest.mark.parametrize(
    ("learner", "shares", "kind"),
    [
        ("young", (0.5, 0.5), 0),
        ("young", (0.4, 0.3, 0.2, 0.1), 0),
        ("young", (0.2, 0.2, 0.3, 0.3), 1),
        ("young", (0.2, 0.1, 0.2, 0.1, 0.2, 0.2), 2),
        ("grown", (0.5, 0.0, 0.5, 0.0), 1),
        ("grown", (0.9, 0.0, 0.04, 0.0, 0.06, 0.0), 2),
        ("grown", (0.6, 0.4), 2),
        ("grown", (0.99, 0.0, 0.01, 0.0), 2),
    ],
    ids=str,
)
def test_draws_are_of_the_kind_that_counts_most_and_has_some_or_else_of_the_joint_part(learner, shares, kind):
    """The shared part has none any more once it is wide."""
    learners = {"young": YOUNG, "grown": GROWN}
    assert drawing(mixed(learners[learner], *shares)) == [place == kind for place in range(3)]


def test_the_average_remembers_the_less_the_more_the_recent_members_count():
    assert mixed(YOUNG, 1.0, 0.0, 0.0, 0.0).remembered == YOUNG.learned == 60
    old = [Mixture(1.0 - share, share / 4, 0.0, share / 2, 0.0, share / 4).remembered(100_000) for share in (0.0, 0.5, 1.0)]
    assert old == pytest.approx([100_000, 50_250, 500])


@EVERY_KIND
@pytest.mark.parametrize("count", [1, 2, 50])
def test_there_is_an_estimate_for_each_action_and_each_draw(model, count):
    scores = model.scores(encoded({"u": {"a": 1}}, [{"b": i} for i in range(count)]))
    assert scores.mean.shape == (count,)
    assert scores.draws.shape in ((count, 0), (count, DRAWS))
    assert scores.mean.dtype == scores.draws.dtype == np.float32


# --- what is remembered changes nothing ---

WIDE = 200


def pool():
    """Situations with 200 features of 3,000 and 30 actions of 900: more of both than a model has places for."""
    rng, encoder = np.random.default_rng(3), Encoder()
    actions = [Action(f"a{i}", ({"v": {"kind": f"k{i % 7}", "price": float(i)}},)) for i in range(900)]
    made = []
    for number in range(40):
        names = rng.choice(3000, 1 if number % 4 == 0 else WIDE, replace=False).tolist()
        context = {"u": {f"f{name}": (f"x{name}" if name % 2 else name / 100) for name in names}}
        shown = rng.choice(900, 30, replace=False).tolist()
        made.append(encoder.encode(Situation((context,), tuple(actions[each] for each in shown))))
    return made


POOL = pool()


@EVERY_KIND
def test_scores_do_not_depend_on_what_was_scored_before(model):
    """To the bit, also of requests all of whose actions but one were met."""
    asked = [each._replace(actions=each.actions[first:]) for each in POOL for first in (0, 1, 29)]
    expected = [anew(model).scores(one) for one in asked]
    seasoned = anew(model)

    @given(st.lists(st.integers(0, len(asked) - 1), max_size=60))
    @settings(deadline=None, max_examples=10)
    def in_any_order(order):
        for number in order:
            scores = seasoned.scores(asked[number])
            assert scores.mean.tolist() == expected[number].mean.tolist()
            assert scores.draws.tolist() == expected[number].draws.tolist()

    in_any_order()


def test_scores_given_are_not_written_to_by_later_ones():
    model = anew(MIXED)
    first = model.scores(POOL[0])
    before = first.mean.copy(), first.draws.copy()
    for one in POOL:
        model.scores(one)
    assert first.mean.tolist() == before[0].tolist()
    assert first.draws.tolist() == before[1].tolist()


@EVERY_KIND
def test_an_actions_score_does_not_depend_on_the_company(model):
    together = anew(model).scores(POOL[1])
    for at in (0, 7, 29):
        alone = anew(model).scores(POOL[1]._replace(actions=POOL[1].actions[at : at + 1]))
        np.testing.assert_allclose(alone.mean[0], together.mean[at], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(alone.draws[0], together.draws[at], rtol=1e-4, atol=1e-2)  # some hundreds large


def test_rank_sees_what_the_learner_sees():
    """A model scores what was logged as its members predict it, strings said often and numbers far out included."""
    learner = learned(random_batch(6, 60))
    said: Features = {"user": {"n0": 1e9, "n1": -7.5, "n2": 0.25}, "words": {"w": ["x"] * 50 + ["y"] * 3}}
    asked = encoded(said, [{"v": {"tags": ["t"] * 20, "price": 1e7}}, {}])
    learner.learn(batch_of([asked.logged(0), asked.logged(1)] * 10, [0.3, 0.9] * 10))
    batch = batch_of([asked.logged(0), asked.logged(1)], [0.0, 0.0])
    shared = learner.shared.predict(crossed(batch, learner.measures))
    local = learner.local.predict(EventWaves.of(batch, learner.measures).own, arms_of(batch), shared)
    joint = learner.joint.predict(EventWaves.of(batch, learner.measures).joint)
    assert not learner.joint.waiting
    for shares, predicted in zip(np.eye(MEMBERS).tolist(), [*shared.T, *local.T, *joint.T], strict=True):
        assert mixed(learner, *shares).scores(asked).mean == pytest.approx(predicted, abs=1e-3)


# --- what a score is ---


def shared_score(model, asked, row):
    """Sum over all crosses, one at a time."""
    weights = dict(zip(model.cells.tolist(), model.weights[:, 0].tolist(), strict=True))
    measures, action = model.measures, asked.actions[row]
    sides = [(each.hashes, measures.scaled(np.array(each.hashes, np.uint32), each.values)) for each in (asked.context, action)]
    (names, sizes), (partners, partner_sizes) = sides
    places = cells(np.array(names, np.uint32)[:, None], np.array(partners, np.uint32))
    return sum(
        weights.get(int(places[i, j]), 0.0) * float(sizes[i]) * float(partner_sizes[j])
        for i in range(len(names))
        for j in range(len(partners))
    )


@pytest.mark.parametrize("model", [OPEN, MIXED, CLOSED], ids=["open", "mixed", "closed"])
def test_the_shared_part_of_a_score_is_the_sum_over_all_crosses(model):
    often = ["u1", "u77"] + ["u5"] * 9  # more often than counts
    asked = encoded({"u": {"names": often, "age": 55.5}, "user": {"n0": 0.5, "n1": -3}}, [{"v": {"kind": "k1", "price": 20}}, {}])
    scores = replace(model, share=0.0).scores(asked).mean
    assert scores == pytest.approx([shared_score(model, asked, row) for row in range(2)], abs=1e-5)


def test_of_an_action_without_a_part_of_its_own_only_the_shared_part_is_asked():
    actions = (Action("a0", ()), Action("new", ({"v": {"b": 2}},)), Action("a1", ()))
    asked = Encoder().encode(Situation(({"u": {"left": "x", "right": "y"}},), actions))
    whole, shared = LOCAL.scores(asked).mean, replace(LOCAL, share=0.0).scores(asked).mean
    assert whole[1] == pytest.approx(shared[1], abs=1e-6)
    assert abs(whole[0] - shared[0]) > 0.05
    assert abs(whole[2] - shared[2]) > 0.05


def test_the_widest_request_is_scored_in_bounded_memory(monkeypatch):
    wide = {"u": {f"n{i}": 0.01 * i for i in range(1, 300)}}
    asked = encoded(wide, [{"v": {f"m{j}-{i}": 0.1 for i in range(300)}} for j in range(50)])
    model = replace(OPEN)
    model.prepare()
    tracemalloc.start()
    at_once = model.scores(asked)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    monkeypatch.setattr("shared.learning.scorer._LOOKED_UP_AT_ONCE", 1)
    one_by_one = replace(OPEN).scores(asked)
    assert np.array_equal(at_once.mean, one_by_one.mean)
    assert np.array_equal(at_once.draws, one_by_one.draws)


def test_a_score_is_the_average_of_its_parts():
    asked = encoded({"user": {"n0": 0.5, "n1": -3}}, [{}] * 3)
    members = [mixed(YOUNG, *shares).scores(asked).mean for shares in np.eye(4).tolist()]
    assert mixed(YOUNG, 0.4, 0.3, 0.2, 0.1).scores(asked).mean == pytest.approx(np.array([0.4, 0.3, 0.2, 0.1]) @ members, abs=1e-5)


def test_of_what_was_never_met_less_is_certain():
    """Known and unknown features for the shared part's draws; known and unknown actions for those of the actions' own."""
    for known, unknown in (({"n0": 0.5}, {"never": 0.5}), ({"n1": -1}, {"v": "never"})):
        deviations = [np.abs(OPEN.scores(encoded({"user": each}, [{}] * 3)).draws).mean() for each in (known, unknown)]
        assert deviations[1] > 2 * deviations[0]
    actions = (Action("a0", ()), Action("new", ()))
    stranger = Encoder().encode(Situation(({"u": {"left": "x", "right": "y"}},), actions))
    old, new = np.abs(LOCAL.scores(stranger).draws).mean(axis=1)
    assert new > 3 * old


def test_more_events_make_it_more_certain():
    deviations = []
    for events in (40, 400):
        model = learned_in(lambda context, action: 0.5, CORNERS, actions=2, events=events, seed=4).model()
        deviations.append(np.mean([np.abs(model.scores(encoded({"u": corner}, [{}, {}])).draws).mean() for corner in CORNERS]))
    assert deviations[1] < 0.6 * deviations[0]


# --- many at once ---


def offers():
    """Situations of the same features and of one to twelve actions: what an application asks, and much of it again and again."""
    rng, encoder = np.random.default_rng(4), Encoder()
    made = []
    for number in range(90):
        names = rng.choice(30, 4 + number % 3, replace=False).tolist()
        context = {"u": {f"f{name}": (f"x{name}" if name % 2 else name / 10) for name in names}}
        shown = [Action(f"a{each}", ({"v": {"kind": f"k{each % 7}"}},)) for each in rng.choice(40, 1 + number % 12, replace=False).tolist()]
        made.append(encoder.encode(Situation((context, {"age": number, "again": [1, 1, "z", "z"]}), tuple(shown))))
    return made


OFFERS = [*offers(), *POOL[:9]]


@EVERY_KIND
@pytest.mark.parametrize("count", [1, 2, len(OFFERS)])
def test_many_situations_are_scored_as_each_of_them_is(model, count):
    asked, seen = OFFERS[-count:], []
    for places, scores in anew(model).scores_of_many(asked):
        for place, mean, draws in zip(places.tolist(), scores.mean, scores.draws, strict=True):
            alone = model.scores(asked[place])
            assert (mean.shape, draws.shape, mean.dtype) == (alone.mean.shape, alone.draws.shape, np.float32)
            assert mean == pytest.approx(alone.mean, abs=1e-6)
            assert draws == pytest.approx(alone.draws, abs=1e-5)
            seen.append(place)
    assert sorted(seen) == [*range(count)]


@EVERY_KIND
def test_many_situations_that_have_too_much_for_one_look_are_scored_the_same(model, monkeypatch):
    expected = [(places, scores) for places, scores in anew(model).scores_of_many(OFFERS)]
    monkeypatch.setattr(scorer, "_LOOKED_UP_AT_ONCE", 100)
    for (places, scores), (again, same) in zip(expected, anew(model).scores_of_many(OFFERS), strict=True):
        assert again.tolist() == places.tolist()
        assert same.mean == pytest.approx(scores.mean, abs=1e-6)
        assert same.draws == pytest.approx(scores.draws, abs=1e-5)


def test_many_are_none_of_none():
    assert [*Model.cold().scores_of_many([])] == []


def test_the_memory_that_many_take_does_not_grow_with_their_number():
    model, asked = anew(JOINT), [each for each in OFFERS if len(each.actions) == 12]

    def peak(times):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in model.scores_of_many(asked * times):
            pass
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(1)
        few, most = peak(20), peak(80)
    finally:
        tracemalloc.stop()
    assert most < few + 60 * len(asked) * 20_000  # of each its entries and angles, and not what it is laid out in


# --- what it takes ---


@EVERY_KIND
def test_what_scoring_takes_follows_what_a_loop_asks_and_not_what_the_widest_may(model):
    small, wide = anew(model), anew(model)
    for number in range(200):
        small.scores(encoded({"u": {"a": number % 5}}, [{"b": each} for each in range(10)]))
    for one in POOL:
        wide.scores(one)
    assert bytes_in(small) < 1.8e6
    assert bytes_in(small) < bytes_in(wide) / 4 < 8e6


@EVERY_KIND
def test_a_model_that_let_go_of_what_scoring_takes_scores_as_before(model):
    seasoned = anew(model)
    for one in POOL[:10]:
        before = seasoned.scores(one)
        seasoned.let_go()
        assert not seasoned.is_prepared
        assert bytes_in(seasoned) < 300_000
        after = seasoned.scores(one)
        assert after.mean.tolist() == before.mean.tolist()
        assert after.draws.tolist() == before.draws.tolist()


@EVERY_KIND
def test_actions_that_an_encoder_made_anew_have_the_places_that_they_had(model):
    seasoned = anew(model)
    expected = seasoned.scores(encoded({"u": {"a": 1}}, [{"b": each} for each in range(10)]))
    before = bytes_in(seasoned)
    for _ in range(600):  # more rows than may be known
        again = seasoned.scores(encoded({"u": {"a": 1}}, [{"b": each} for each in range(10)]))
    assert again.mean.tolist() == expected.mean.tolist()
    assert bytes_in(seasoned) - before < 400_000
    assert seasoned._prepared[0]._pairs.actions == 32


# --- in several threads ---


def widely():
    """Situations that have too many features and actions to remember them all."""
    encoder = Encoder()
    return [encoder.encode(wide_situation(number)) for number in range(60)]


def wide_situation(number):
    actions = [Action(f"a{each}", ({"v": {"kind": f"k{each}"}},)) for each in range(12 * number, 12 * number + 24)]
    return Situation(({"u": {f"f{number}-{each}": f"x{each}" for each in range(80)}},), tuple(actions))


@pytest.fixture
def restless():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("model", [OPEN, JOINT], ids=["open", "joint"])
def test_threads_may_share_a_model(model):
    asked, shared = widely(), anew(model)
    alone = [anew(model).scores(each).mean.tolist() for each in asked]

    def one_by_one(first):
        return all(shared.scores(asked[place]).mean.tolist() == alone[place] for place in [*range(first, 60), *range(first)])

    def together(first):
        some = asked[first : first + 20]
        found = {place: mean for places, scores in shared.scores_of_many(some) for place, mean in zip(places, scores.mean, strict=True)}
        return all(mean == pytest.approx(alone[first + place], abs=1e-6) for place, mean in found.items()) and len(found) == 20

    with ThreadPoolExecutor(6) as pool:
        firsts = (0, 13, 31, 40)
        assert all([*pool.map(one_by_one, firsts), *pool.map(together, firsts * 2)])
