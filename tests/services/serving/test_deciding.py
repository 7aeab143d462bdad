"""What a decision holds in each learning mode."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.domain.events import Decision, LearningMode, Situation
from shared.domain.loop import ApprenticeLearning, LoopSettings
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoder
from shared.learning.model import Model
from shared.services.serving.deciding import Decider
from shared.services.serving.model_server import Served
from tests.builders import T0, situation
from tests.services.serving.test_model_server import trained

ASKED = replace(situation(*"abcd"), excluded=frozenset("a"))
MODELS = {"cold": Model.cold(), "trained": artifact.load_model(trained())}
WAYS = list(ApprenticeLearning)


@pytest.fixture(params=MODELS)
def model(request) -> Model:
    return MODELS[request.param]


def decided(model: Model, mode: LearningMode, *, learning: ApprenticeLearning = WAYS[0], asked: Situation = ASKED) -> Sequence[Decision]:
    settings = LoopSettings(learning_mode=mode, apprentice_learning=learning, exploration_percentage=1.0)
    served = Served("v1", T0, model, settings)
    return [Decider().decide(asked, served, event_id=f"e{number}", at=T0, deferred=False) for number in range(60)]


@pytest.mark.parametrize("mode", [LearningMode.ONLINE, LearningMode.LOGGING_ONLY])
def test_only_apprentice_mode_proposes(model, mode):
    for decision in decided(model, mode):
        assert decision.proposal is None
        assert decision.encoded == Encoder().encode(ASKED).logged(decision.chosen)


@pytest.mark.parametrize("learning", WAYS)
@pytest.mark.parametrize("slot", ["", "top"])
def test_apprentice_shows_the_baseline_and_proposes_what_online_mode_would_have_shown(model, learning, slot):
    asked = replace(ASKED, slot=slot, baseline_id="c" if slot else "")
    shown = decided(model, LearningMode.ONLINE, asked=asked)
    apprentice = decided(model, LearningMode.APPRENTICE, learning=learning, asked=asked)
    for one, other in zip(shown, apprentice, strict=True):
        assert (other.chosen, other.probabilities) == ((2, (0.0, 0.0, 1.0, 0.0)) if slot else (1, (0.0, 1.0, 0.0, 0.0)))
        assert other.proposal is not None
        assert (other.proposal.action, other.proposal.probability) == (one.chosen, one.probabilities[one.chosen])
    assert {each.proposal.action for each in apprentice if each.proposal} == {1, 2, 3}
    assert {each.is_imitated for each in apprentice} == {True, False}


@pytest.mark.parametrize("learning", WAYS)
def test_what_is_logged_encoded_is_what_will_be_learned_about(model, learning):
    for decision in decided(model, LearningMode.APPRENTICE, learning=learning):
        assert decision.proposal is not None
        assert decision.proposal.is_lesson == (learning is ApprenticeLearning.IMITATE)
        assert decision.learned_action == (decision.proposal.action if decision.proposal.is_lesson else decision.chosen)
        assert decision.encoded == Encoder().encode(ASKED).logged(decision.learned_action)


@pytest.mark.parametrize("mode", LearningMode)
@pytest.mark.parametrize("arguments", ["", "--epsilon 0.3", "--softmax --lambda 3", "--bag 4", "--regcb"])
def test_what_is_computed_for_many_situations_together_is_decided_by_as_what_is_computed_for_each(model, mode, arguments):
    settings = LoopSettings(learning_mode=mode, exploration_percentage=1.0, holdout_percentage=0.3)
    served = Served("v1", T0, model, settings, arguments=parse_arguments(f"--cb_explore_adf {arguments}"))
    asked = [ASKED, situation("a"), situation(*"abcdefgh"), replace(ASKED, excluded=frozenset("bc")), ASKED]
    decider = Decider()
    for number, (each, estimate) in enumerate(zip(asked, decider.estimates(asked, served), strict=True)):
        one = decider.decide(each, served, event_id=f"e{number}", at=T0, deferred=False)
        other = decider.decide(each, served, event_id=f"e{number}", at=T0, deferred=False, estimate=estimate)
        assert replace(other, probabilities=one.probabilities, proposal=one.proposal) == one
        assert other.probabilities == pytest.approx(one.probabilities)
        if one.proposal is not None:
            assert other.proposal is not None
            assert other.proposal.action == one.proposal.action
            assert other.proposal.probability == pytest.approx(one.proposal.probability)
