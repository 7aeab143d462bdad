"""The choice: what it depends on, and what rounding may change in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import LearningMode
from shared.domain.loop import ApprenticeLearning, LoopSettings
from shared.domain.uploads import Basis
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.choosing import ROUNDING, choose
from shared.learning.encoding import Encoder
from shared.learning.exploration import draw, is_drawn
from shared.learning.model import Model
from shared.services.serving.model_server import Served
from tests.builders import situation
from tests.services.serving.test_model_server import trained

ASKED = situation(*"abcd")
CHANCES = st.lists(st.floats(0.001, 1.0), min_size=1, max_size=20)


class Watched:
    """Settings that tell what was read of them."""

    def __init__(self, settings: LoopSettings) -> None:
        self._settings = settings
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.read.add(name)
        return getattr(self._settings, name)


@pytest.mark.parametrize("mode", LearningMode)
@pytest.mark.parametrize("apprentice", ApprenticeLearning)
@pytest.mark.parametrize("model", [Model.cold(), artifact.load_model(trained())], ids=["cold", "trained"])
def test_a_choice_depends_on_no_settings_but_those_of_a_ticket(mode, apprentice, model):
    """Whoever has a choice depend on one more has to write it into tickets: `shared.domain.uploads.Basis`."""
    settings = Watched(LoopSettings(learning_mode=mode, apprentice_learning=apprentice))
    served = Served("", None, model, settings, arguments=parse_arguments("--cb_explore_adf"))  # type: ignore[arg-type]
    choose(ASKED, Encoder().encode(ASKED), basis=served, event_id="e1")
    assert settings.read
    assert settings.read <= {"name", *Basis.__dataclass_fields__}


@given(CHANCES, CHANCES, st.text(min_size=1, max_size=9))
def test_what_is_drawn_on_another_processor_may_be_drawn_here(weights, noise, event_id):
    chances = [each / sum(weights) for each in weights]
    room = ROUNDING / (3 * len(chances))
    others = [each + room * (noise[place % len(noise)] - 0.5) for place, each in enumerate(chances)]
    others = [max(each, 1e-9) for each in others]
    elsewhere = [each / sum(others) for each in others]
    assert is_drawn(draw(elsewhere, loop="l", event_id=event_id), chances, loop="l", event_id=event_id, tolerance=ROUNDING)
    assert is_drawn(draw(chances, loop="l", event_id=event_id), chances, loop="l", event_id=event_id, tolerance=0.0) or len(chances) > 1


@given(CHANCES, st.text(min_size=1, max_size=9))
def test_two_actions_at_most_may_be_drawn_but_for_the_least_likely(weights, event_id):
    chances = [each / sum(weights) for each in weights]
    drawn = [n for n in range(len(chances)) if is_drawn(n, chances, loop="l", event_id=event_id, tolerance=ROUNDING)]
    assert len([n for n in drawn if chances[n] > 2 * ROUNDING]) <= 2
    assert not is_drawn(0, [0.0, *chances], loop="l", event_id=event_id, tolerance=1.0)
