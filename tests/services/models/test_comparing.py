"""Two kept versions side by side: what moved is told by name, by events that were learned."""

from dataclasses import replace

import pytest

from shared.domain.errors import ResourceNotFoundError
from shared.domain.events import JoinedEvent
from shared.joining.dsjson import situation_text
from shared.learning.learner import Learner
from shared.services.models.comparing import Comparer, what_moved
from tests.builders import decision, observation
from tests.keeping import keeper
from tests.learning.test_explanation import colourful
from tests.learning.test_explanation import model as model
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP


def event(colour: str, chosen: int) -> JoinedEvent:
    logged = replace(decision(), situation=situation_text(colourful(colour, 4.0)), probabilities=(0.5, 0.3, 0.2), chosen=chosen)
    return JoinedEvent(logged, 1.0)


def test_what_was_learned_is_what_moved_from_a_model_that_knew_nothing(model):
    moved = what_moved(Learner.cold().model(), model, [event("green", 1)] * 5)
    assert {each.before for each in moved} == {0.0}
    assert {each.events for each in moved} == {5}
    assert "user.colour=green" in moved[0].name
    assert moved[0].after > 0.1
    assert [each.name for each in what_moved(model, Learner.cold().model(), [event("green", 1)])] == [each.name for each in moved]


def test_between_a_model_and_itself_nothing_moves(model):
    assert {each.after - each.before for each in what_moved(model, model, [event("red", 0)])} == {0.0}


async def test_versions_are_compared_by_the_newest_events_that_were_learned(one: Process):
    for number in range(2):
        now = one.clock.now()
        await one.log.append_decision(decision(f"e{number}", at=now))
        await one.log.append_observation(observation(f"e{number}", 1.0, at=now))
        one.clock.pass_(WAIT + 1)
        await one.train()
    versions = keeper(one.account, one.clock.now(), store=LOOP.name)
    newest, older = [each.version for each in await versions.versions()]
    comparer = Comparer(versions, one.joined, one.store)
    found = await comparer.compare(older, newest, most=3)
    assert (found.before.version, found.after.version, found.events) == (older, newest, 2)
    assert 0 < len(found.moved) <= 3
    for names, target in ((("00000009-x", newest), "from"), ((older, "nothing"), "to")):
        with pytest.raises(ResourceNotFoundError) as refused:
            await comparer.compare(*names, most=3)
        assert refused.value.target == target
