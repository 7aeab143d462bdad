"""What the client remembers of earlier calls changes no answer."""

import json
from base64 import b64decode
from functools import cache
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from open_personalizer import Action
from open_personalizer.deciding import Deciding
from open_personalizer.serving import Basis

from shared.domain.loop import LoopSettings
from shared.learning.artifact import load_model
from shared.learning.model import Model
from tests.learning.vectors import written

IDS = "abcdef"
lists = st.lists(st.sampled_from(range(len(IDS))), min_size=1, max_size=4, unique=True)
steps = st.lists(st.tuples(lists, st.booleans(), st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=8)


@cache
def files() -> list[bytes]:
    return [b64decode(each) for each in written()["models"].values()]


def basis(model: Model) -> Basis:
    return Basis(LoopSettings(), "v", model, ticket="ticket")


def described(number: int, length: int) -> dict[str, Any]:
    return {"topic": {"kind": "news" if number % 2 else "sport"}, "length": length * 100.0}


def answer(deciding: Deciding, by: Basis, *call: Any) -> tuple[object, bytes]:
    decided = deciding.rank(by, *call, excluded=(), event_id="e", deferred=False)
    return (decided.answer.probabilities, decided.answer.reward_action_id), decided.record.line


@example([([0, 1], False, 2, 0, 0), ([0, 1], False, 2, 1, 0)])
@given(steps)
def test_a_client_that_has_decided_before_decides_as_one_that_has_not(given_steps):
    """Lists come again, whole or in part, in another order, as other objects, by another model, and with features that were changed."""
    known = [Action(each, described(number, number)) for number, each in enumerate(IDS)]
    dictionaries = [{"id": each, "features": described(number, number)} for number, each in enumerate(IDS)]
    seasoned, offered = Deciding(), [basis(load_model(each)) for each in files()]
    for places, as_actions, which, changed, hour in given_steps:
        dictionaries[places[0]]["features"]["length"] = 100.0 * changed
        call = {"hour": hour}, [(known if as_actions else dictionaries)[place] for place in places]
        fresh = basis(load_model(files()[which]))
        assert answer(seasoned, offered[which], *call) == answer(Deciding(), fresh, *call)


def test_a_list_that_is_changed_in_place_is_another_list():
    deciding, by = Deciding(), basis(load_model(files()[0]))
    offer: list[Any] = [Action("a", described(0, 0)), {"id": "b", "features": [described(1, 1)]}]
    answer(deciding, by, {}, offer)
    offer[1]["features"][0]["length"] = 7
    assert b'"length":7}' in answer(deciding, by, {}, offer)[1]
    offer[0] = Action("a", described(0, 9))
    assert b'"length":900.0}' in answer(deciding, by, {}, offer)[1]
    del offer[0]
    assert json.loads(answer(deciding, by, {}, offer)[1] + b"}")["rewardActionId"] == "b"
