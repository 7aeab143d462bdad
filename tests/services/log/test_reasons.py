"""Why a logged decision came out as it did, within bounds."""

from dataclasses import replace

import pytest

from shared.domain.events import Decision, LearningMode
from shared.joining.dsjson import situation_text
from shared.services.log import reasons
from shared.services.log.reasons import Reasons, circumstances
from tests.builders import decision
from tests.learning.test_explanation import colourful
from tests.learning.test_explanation import model as model
from tests.processes import Process


def colourful_decision(**members) -> Decision:
    text = situation_text(colourful("green", 4.0))
    return replace(decision(), situation=text, probabilities=(0.1, 0.9, 0.0), chosen=0, **members)


def test_all_actions_are_told_with_their_features_chances_and_what_was_shown():
    told = circumstances(colourful_decision(), None)
    assert told is not None
    assert told.context == ({"user": {"colour": "green", "size": 4.0}, "list": {"numbers": [4.0, 2.0]}},)
    chances = [(each.action_id, each.probability, each.is_chosen) for each in told.options]
    assert chances == [
        ("a0", 0.1, True),
        ("a1", 0.9, False),
        ("a2", 0.0, False),
    ]
    assert told.options[1].features == ({"kind": {"kind": "green"}},)
    assert {each.explanation for each in told.options} == {None}


def test_the_reasons_of_an_action_add_up_to_its_score_and_the_best_is_the_one_that_was_learned(model):
    told = circumstances(colourful_decision(), model)
    assert told is not None
    scores = []
    for each in told.options:
        assert each.explanation is not None
        assert sum(part.worth for part in each.explanation.contributions) == pytest.approx(each.explanation.score, abs=1e-6)
        assert len(each.explanation.contributions) <= reasons.MOST_REASONS + 1
        scores.append(each.explanation.score)
    assert scores.index(max(scores)) == 1


def test_a_situation_that_cannot_be_read_is_not_told():
    assert circumstances(replace(decision(), situation=b"{}"), None) is None


async def test_a_model_that_is_not_kept_or_that_there_was_not_explains_nothing(one: Process):
    told = await Reasons(one.store).told([colourful_decision(model_version="00000009-x"), colourful_decision(model_version="")])
    assert [each.options[0].explanation for each in told if each] == [None, None]


async def test_what_was_only_logged_has_no_reasons(one: Process):
    (told,) = await Reasons(one.store).told([colourful_decision(model_version="v", mode=LearningMode.LOGGING_ONLY)])
    assert told is not None
    assert told.options[0].explanation is None


async def test_decisions_that_are_too_many_or_too_large_are_left_out(one: Process):
    many = await Reasons(one.store).told([colourful_decision()] * (reasons.MOST_DECISIONS + 2))
    assert [each is None for each in many] == [False] * reasons.MOST_DECISIONS + [True] * 2
    large = replace(colourful_decision(), situation=situation_text(colourful("x" * reasons.MOST_BYTES, 1.0)))
    assert await Reasons(one.store).told([large]) == [None]
