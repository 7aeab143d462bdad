"""What to show in a situation: the same function of model, settings, situation and event id wherever it is computed.

The service and applications that decide in their own process both call it, so their answers are the same to the last bit.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.events import LearningMode, Proposal, Situation
from shared.domain.loop import ApprenticeLearning, LoopSettings
from shared.learning.arguments import PolicyArguments
from shared.learning.encoding import EncodedSituation
from shared.learning.exploration import draw
from shared.learning.model import Model
from shared.learning.policy import Policy


class Basis(Protocol):
    """What choices are made by: a model, the loop's settings, and the arguments of their policy, parsed."""

    @property
    def model(self) -> Model:
        """The model; a cold one knows nothing."""
        ...

    @property
    def settings(self) -> LoopSettings:
        """The settings of the loop, whose name is part of the draw."""
        ...

    @property
    def arguments(self) -> PolicyArguments:
        """The arguments of the settings' policy."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What to show, what it is drawn from, and, in Apprentice mode, what the policy would have shown."""

    action: int
    probabilities: tuple[float, ...]
    proposal: Proposal | None = None


def choose(situation: Situation, encoded: EncodedSituation, *, basis: Basis, event_id: str) -> Choice:
    """Draw by the policy; outside Online mode the application's own choice is shown, whatever the policy would have shown.

    ``encoded`` is the situation as the encoder for the model's interactions gives it.
    """
    mode = basis.settings.learning_mode
    if mode is LearningMode.ONLINE:
        return _drawn(situation, encoded, basis, event_id)
    baseline = situation.baseline
    certain = tuple([float(index == baseline) for index in range(len(situation.actions))])
    if mode is LearningMode.LOGGING_ONLY:
        return Choice(baseline, certain)
    drawn = _drawn(situation, encoded, basis, event_id)
    is_lesson = basis.settings.apprentice_learning is ApprenticeLearning.IMITATE
    return Choice(baseline, certain, Proposal(drawn.action, drawn.probabilities[drawn.action], is_lesson))


def _drawn(situation: Situation, encoded: EncodedSituation, basis: Basis, event_id: str) -> Choice:
    settings = basis.settings
    policy = Policy(basis.model, exploration_percentage=settings.exploration_percentage, arguments=basis.arguments)
    probabilities = policy.probabilities(encoded, situation.allowed)
    seed = f"{event_id}\0{situation.slot}" if situation.slot else event_id
    return Choice(draw(probabilities, loop=settings.name, event_id=seed), probabilities)
