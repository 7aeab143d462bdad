import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import InvalidPolicyConfigurationError, UnreadableError
from shared.domain.events import Action, Features, Situation
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.crosses import crossed, groups_of
from shared.learning.encoding import CONSTANT, ENCODER_VERSION, NO_ID, WIDTH, Encoder, is_encoded_for, to_batch
from shared.learning.event_waves import EventWaves
from shared.learning.explanation import explain
from shared.learning.interactions import CONSTANT_GROUP, EVERYTHING, Interactions
from shared.learning.learner import Learner
from shared.learning.local_ridge import arms_of
from shared.learning.measures import Measures
from tests.learning.building import any_features, entries

CONTEXT: Features = {"user": {"age": 31.5, "city": "Zürich"}, "place": {"name": "home", "sizes": [1, 2]}, "hour": 7}
ACTIONS = (Action("a", ({"article": {"topic": "food"}, "price": 5},)), Action("b", ({"maker": {"name": "x"}},)))
ASKED = Situation((CONTEXT,), ACTIONS)


def of(arguments):
    return parse_arguments(f"--cb_explore_adf {arguments}").interactions


def encoded(interactions, asked=ASKED):
    return Encoder(interactions).encode(asked)


def hashes(*contexts):
    return [set(Encoder().encode(Situation((context,), ACTIONS)).context.hashes) for context in contexts]


def learned(interactions, *, events=200, seed=3):
    rng, encoder, learner = np.random.default_rng(seed), Encoder(interactions), Learner.cold(interactions)
    logged, rewards = [], []
    for number in range(events):
        context: Features = {
            "user": {"city": ("Rome", "Oslo")[number % 2], "age": float(rng.normal(40, 10))},
            "place": {"name": f"p{number % 3}"},
        }
        chosen = int(rng.integers(2))
        logged.append(encoder.encode(Situation((context,), ACTIONS)).logged(chosen))
        rewards.append(float(rng.random() < (0.8 if chosen == number % 2 else 0.2)))
    learner.learn(to_batch(logged, rewards=rewards, probabilities=[0.5] * events))
    return learner


# --- what is left out ---


@pytest.mark.parametrize("arguments", ["", "-q ::", "--cubic :::", "-q :: -q ab", "--noconstant", "--epsilon 0.1"])
def test_what_uses_everything_encodes_as_a_policy_that_says_nothing(arguments):
    assert of(arguments) == EVERYTHING
    assert encoded(of(arguments)).logged(0) == encoded(EVERYTHING).logged(0)


def test_an_ignored_namespace_says_nothing_on_either_side():
    without = Situation(({"place": CONTEXT["place"], "hour": 7},), (Action("a", ({"price": 5},)), ACTIONS[1]))
    ignoring, kept = encoded(of("--ignore ua")), encoded(EVERYTHING, without)
    assert entries(ignoring.context) == entries(kept.context)
    assert [entries(row) for row in ignoring.actions] == [entries(row) for row in kept.actions]


def test_features_without_a_namespace_are_of_the_namespace_j_and_ids_of_i():
    bare = Situation(({"user": CONTEXT["user"]},), (Action("a", ({"article": {"topic": "food"}},)), ACTIONS[1]))
    assert entries(encoded(of("--ignore jp")).context) == entries(encoded(EVERYTHING, bare).context)
    assert [row.hashes[0] for row in encoded(of("--ignore i")).actions] == [NO_ID, NO_ID]


def test_a_context_that_is_in_no_interaction_says_nothing():
    only_users = encoded(of("-q ua"))
    assert len(only_users.context.hashes) == 1 + 2
    assert len(only_users.actions[0].hashes) == 3, "an action's own features count by themselves"


# --- what is crossed ---


def worth(interactions):
    """The number of crosses that count, for each group of the context."""
    asked = encoded(interactions)
    batch = to_batch([asked.logged(0)], rewards=[0.0], probabilities=[1.0])
    crosses = crossed(batch, Measures.none(), interactions)
    width = len(asked.actions[0].hashes)
    counts = np.count_nonzero(crosses.values.reshape(-1, width), axis=1)
    return dict(zip(groups_of(batch.context_hashes).tolist(), counts.tolist(), strict=True)), width


def test_only_the_namespaces_named_are_crossed_and_the_constant_with_all():
    interactions = of("-q ua")
    counts, width = worth(interactions)
    assert counts == {CONSTANT_GROUP: width, interactions.group("u"): 1}


def test_any_stands_for_every_namespace():
    interactions = of("-q u:")
    counts, width = worth(interactions)
    assert counts[interactions.group("u")] == width
    assert counts[0] == 0, "the other namespaces of the context would meet an action's that begins with u, which there is none of"


def test_of_three_namespaces_each_two_are_crossed():
    assert worth(of("--cubic upa")) == worth(of("-q up -q ua -q pa"))


def test_what_is_ignored_linearly_counts_in_crosses_only():
    interactions = of("--ignore_linear a")
    counts, width = worth(interactions)
    assert counts[CONSTANT_GROUP] == width - 1
    assert counts[0] == width


def test_so_many_namespaces_that_they_cannot_be_told_apart_are_refused():
    pairs = " ".join(f"-q {one}{other}" for one, other in zip("abcdefgh", "klmnopqr", strict=True))
    with pytest.raises(InvalidPolicyConfigurationError, match="at most 14 namespaces"):
        of(pairs)
    assert of(pairs.removesuffix(" -q hr"))


# --- in learning and ranking ---


@pytest.mark.parametrize("arguments", ["-q ua", "-q :a --ignore p", "--ignore i", "--ignore_linear a -q u:", "--cubic u:a"])
def test_rank_sees_what_the_learner_sees(arguments):
    learner = learned(of(arguments))
    model = artifact.load_model(artifact.dump_model(learner))
    assert model.interactions == learner.interactions == of(arguments)
    asked = encoded(of(arguments))
    batch = to_batch([asked.logged(0), asked.logged(1)], rewards=[0, 0], probabilities=[1, 1])
    shared = learner.shared.predict(crossed(batch, learner.measures, learner.interactions))
    local = learner.local.predict(EventWaves.of(batch, learner.measures).own, arms_of(batch), shared)
    joint = learner.joint.predict(EventWaves.of(batch, learner.measures).joint)
    assert not learner.joint.waiting
    assert model.scores(asked).mean == pytest.approx(np.hstack([shared, local, joint]) @ learner.losses.shares(), abs=1e-3)
    explanation = explain(model, ASKED, 0)
    assert explanation.score == pytest.approx(float(model.scores(asked).mean[0]), abs=1e-6)
    assert sum(each.worth for each in explanation.contributions) == pytest.approx(explanation.score, abs=1e-4)


@pytest.mark.parametrize("arguments", ["-q ua", "--ignore i", ""])
def test_a_learner_goes_on_from_its_state_for_the_same_interactions(arguments):
    learner = learned(of(arguments))
    again = artifact.load_learner(artifact.dump_state(learner))
    assert again.interactions == of(arguments)
    assert artifact.dump_state(again) == artifact.dump_state(learner)


@pytest.mark.parametrize("arguments", ["", "-q uc", "-q ua", "--ignore_linear u", "--ignore a"])
@pytest.mark.parametrize("age", [0.0, 40.0])
def test_who_goes_on_from_the_state_learns_the_same_as_who_stayed(arguments, age):
    """What is crossed with nothing, or is worth 0, is not in the state, and must have no part in what is learned next."""
    interactions = of(arguments)
    staying, returning = Learner.cold(interactions), Learner.cold(interactions)
    for number in range(6):
        asked = Situation(({"user": {"age": age * (number % 3), "city": f"c{number % 2}"}, "hour": number % 2},), ACTIONS)
        batch = to_batch([Encoder(interactions).encode(asked).logged(number % 2)], rewards=[number % 3 / 2], probabilities=[0.5])
        for learner in (staying, returning):
            learner.learn(batch)
        returning = artifact.load_learner(artifact.dump_state(returning))
        assert artifact.dump_state(returning) == artifact.dump_state(staying)
        assert artifact.dump_model(returning) == artifact.dump_model(staying)


def test_a_namespace_that_is_ignored_changes_no_score():
    learner = learned(of("--ignore p"))
    places = [Situation(({"user": {"city": "Rome"}, "place": {"name": name}},), ACTIONS) for name in ("p0", "p1", "elsewhere")]
    model = learner.model()
    scores = [model.scores(encoded(of("--ignore p"), place)).mean.tolist() for place in places]
    assert scores[0] == scores[1] == scores[2]
    assert scores[0][0] > scores[0][1], "what the city says is learned"


def test_actions_without_ids_have_no_part_of_their_own():
    assert not learned(of("--ignore i")).local.arms
    assert learned(EVERYTHING).local.arms


# --- on the way ---


def test_what_was_encoded_for_other_interactions_is_told_apart():
    logged = encoded(of("-q ua")).logged(0)
    assert logged[0] == ENCODER_VERSION
    assert is_encoded_for(logged, of("-q ua"))
    assert not is_encoded_for(logged, EVERYTHING)
    assert not is_encoded_for(logged, of("-q up"))
    assert not is_encoded_for(b"", EVERYTHING)


letters = st.sampled_from("abcxyz:é\n ")
crosses = st.none() | st.lists(st.text(st.sampled_from("abé:"), min_size=2, max_size=3), min_size=1, max_size=4).map(tuple)


@given(crosses, st.frozensets(st.sampled_from("abc é=")), st.frozensets(st.sampled_from("abc é=")))
def test_what_is_written_down_is_read_back(named, ignored, ignored_linear):
    interactions = Interactions(named, ignored, ignored_linear)
    again = Interactions.read(interactions.text())
    assert (again, again.fingerprint) == (interactions, interactions.fingerprint)
    assert (interactions.text() == "") == (interactions == EVERYTHING)


@pytest.mark.parametrize("text", ["ab", "ab\n", "a\nb\nc\nd", " ".join(f"{chr(200 + i)}{chr(300 + i)}" for i in range(9)) + "\n\n"])
def test_other_texts_are_refused(text):
    with pytest.raises(UnreadableError):
        Interactions.read(text)


@given(any_features, any_features)
@settings(deadline=None, max_examples=40)
def test_whatever_is_sent_fits_and_is_marked_with_a_group(context, features):
    interactions = of("-q ab -q c: --ignore x")
    asked = Encoder(interactions).encode(Situation(tuple(context), (Action("tea", tuple(features)),)))
    assert asked.context.hashes[0] == CONSTANT
    for row in (asked.context, *asked.actions):
        assert len(row.hashes) <= WIDTH
        assert all(name % 2 for name in row.hashes)
        assert set(groups_of(np.array(row.hashes, dtype=np.uint32)[1:]).tolist()) <= {0, 1, 2, 3}


def test_more_features_than_fit_are_folded_within_their_namespaces():
    wide = {"a": {f"n{i}": 1 for i in range(500)}, "c": {f"n{i}": 1 for i in range(300)}}
    row = Encoder(of("-q ab -q c:")).encode(Situation((wide,), ACTIONS)).context
    interactions = of("-q ab -q c:")
    sums: dict[int, float] = {}
    for group, value in zip(groups_of(np.array(row.hashes, dtype=np.uint32)).tolist(), row.values, strict=True):
        sums[group] = sums.get(group, 0.0) + value
    assert len(row.hashes) <= WIDTH
    assert sums == {CONSTANT_GROUP: 1.0, interactions.group("a"): 500.0, interactions.group("c"): 300.0}
