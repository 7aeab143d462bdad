"""From a situation to the decision that is logged: what both kinds of Rank call share."""

import secrets
from datetime import datetime

from shared.domain.events import Decision, LearningMode, Situation
from shared.joining.dsjson import situation_text
from shared.learning.encoding import EncodedSituation, Encoder
from shared.learning.exploration import draw
from shared.learning.policy import Policy
from shared.services.serving import Served


class Decider:
    """Decides by what is served; remembers actions met lately, which changes nothing in what it decides."""

    def __init__(self) -> None:
        self._encoder = Encoder()

    def decide(self, situation: Situation, served: Served, *, event_id: str, at: datetime, deferred: bool) -> Decision:
        """Choose an action; the same event id, slot, situation and model give the same choice."""
        settings = served.settings
        encoded = self._encoder.encode(situation)
        probabilities = _probabilities(situation, encoded, served)
        chosen = draw(probabilities, loop=settings.name, event_id=f"{event_id}\0{situation.slot}" if situation.slot else event_id)
        return Decision(
            event_id=event_id,
            decided_at=at,
            model_version=served.version,
            mode=settings.learning_mode,
            probabilities=probabilities,
            chosen=chosen,
            deferred=deferred,
            situation=situation_text(situation),
            encoded=encoded.logged(chosen),
            slot=situation.slot,
        )


def _probabilities(situation: Situation, encoded: EncodedSituation, served: Served) -> tuple[float, ...]:
    """Give what to draw from: the policy's, or, outside Online mode, the application's own choice."""
    if served.settings.learning_mode is LearningMode.ONLINE:
        policy = Policy(served.model, exploration_percentage=served.settings.exploration_percentage)
        return policy.probabilities(encoded, situation.allowed)
    baseline = situation.baseline
    return tuple(float(index == baseline) for index in range(len(situation.actions)))


def new_event_id() -> str:
    """Make an event id: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)
