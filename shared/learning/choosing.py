"""What to show in a situation: the same function of model, settings, situation and event id wherever it is computed.

The service and applications that decide in their own process both call it, so their answers are the same to the last bit.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from shared.domain.events import Holdout, LearningMode, Proposal, Situation
from shared.domain.loop import ApprenticeLearning, LoopSettings
from shared.learning.arguments import PolicyArguments
from shared.learning.encoding import EncodedSituation
from shared.learning.exploration import draw, is_drawn
from shared.learning.holdout import is_held_out, mixed
from shared.learning.model import Model
from shared.learning.policy import Policy

ROUNDING: Final = 0.001
"""How far sums of probabilities may be apart on two processors: γ, which is large, multiplies the last digits of scores."""


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


class Choice(NamedTuple):
    """What to show, what it is drawn from, and, in Apprentice mode, what the policy would have shown."""

    action: int
    probabilities: tuple[float, ...]
    proposal: Proposal | None = None
    holdout: Holdout | None = None


def choose(  # noqa: PLR0913 - it is all that a choice is made of
    situation: Situation,
    encoded: EncodedSituation,
    *,
    basis: Basis,
    event_id: str,
    chance: float | None = None,
    shown: int | None = None,
    probabilities: Sequence[float] | None = None,
) -> Choice:
    """Draw by the policy; outside Online mode the application's own choice is shown, whatever the policy would have shown.

    ``encoded`` is the situation as the encoder for the model's interactions gives it. In a call for several slots, ``chance`` is that of
    the event to be held out as far as the slots before this one tell (`shared.learning.holdout.later_chance`); None for the first one.
    An action that another processor has drawn, and that was ``shown``, is chosen if rounding alone may make the difference. The policy's
    ``probabilities`` are given if they are known already.
    """
    mode = basis.settings.learning_mode
    if mode is LearningMode.ONLINE:
        drawn = _drawn(situation, encoded, basis, event_id, shown, probabilities)
        return _with_holdout(drawn, situation, basis.settings, event_id, chance) if basis.settings.holdout_percentage else drawn
    baseline = situation.baseline
    certain = tuple([float(index == baseline) for index in range(len(situation.actions))])
    if mode is LearningMode.LOGGING_ONLY:
        return Choice(baseline, certain)
    drawn = _drawn(situation, encoded, basis, event_id, None, probabilities)
    is_lesson = basis.settings.apprentice_learning is ApprenticeLearning.IMITATE
    return Choice(baseline, certain, Proposal(drawn.action, drawn.probabilities[drawn.action], is_lesson))


def policy_of(basis: Basis) -> Policy:
    """Give the policy that choices are drawn by."""
    return Policy(basis.model, exploration_percentage=basis.settings.exploration_percentage, arguments=basis.arguments)


def _drawn(
    situation: Situation,
    encoded: EncodedSituation,
    basis: Basis,
    event_id: str,
    shown: int | None,
    known: Sequence[float] | None,
) -> Choice:
    loop = basis.settings.name
    probabilities = tuple(known) if known is not None else policy_of(basis).probabilities(encoded, situation.allowed)
    seed = f"{event_id}\0{situation.slot}" if situation.slot else event_id
    if shown is not None and is_drawn(shown, probabilities, loop=loop, event_id=seed, tolerance=ROUNDING):
        return Choice(shown, probabilities)
    return Choice(draw(probabilities, loop=loop, event_id=seed), probabilities)


def _with_holdout(drawn: Choice, situation: Situation, settings: LoopSettings, event_id: str, chance: float | None) -> Choice:
    """Show the application's own choice if the event is held out; either way the probabilities are those of both together."""
    share, baseline = settings.holdout_percentage, situation.baseline
    holdout = Holdout(share, share if chance is None else chance, is_held_out(share, loop=settings.name, event_id=event_id))
    probabilities = mixed(drawn.probabilities, baseline=baseline, chance=holdout.chance)
    return Choice(baseline if holdout.is_held_out else drawn.action, probabilities, holdout=holdout)
