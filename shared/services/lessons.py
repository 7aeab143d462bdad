"""From joined events to what a learner learns; what it needs to know of a decision was logged with it, settings are not asked."""

from collections.abc import Sequence

from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, JoinedEvent
from shared.joining.dsjson import read_situation
from shared.learning.encoding import Batch, Encoder, is_encoded_for, to_batch


def lessons(events: Sequence[JoinedEvent], encoder: Encoder) -> Batch:
    """Make a batch of the events that are not skipped, in their order."""
    learned = [event for event in events if event.skip is None]
    outcomes = [_outcome(event) for event in learned]
    rewards, probabilities = [reward for reward, _ in outcomes], [probability for _, probability in outcomes]
    encoded = [_encoded(event.decision, encoder) for event in learned]
    try:
        return to_batch(encoded, rewards=rewards, probabilities=probabilities)
    except UnreadableError:  # one of thousands must not stop them all
        sound = [_sound(each, event.decision, encoder) for each, event in zip(encoded, learned, strict=True)]
        return to_batch(sound, rewards=rewards, probabilities=probabilities)


def _outcome(event: JoinedEvent) -> tuple[float, float]:
    """Give the reward of the action that is learned about, and what it was drawn with."""
    decision = event.decision
    if decision.proposal is not None and decision.proposal.is_lesson:
        return float(decision.is_imitated), decision.proposal.probability
    return event.reward, decision.probabilities[decision.chosen]


def _encoded(decision: Decision, encoder: Encoder) -> bytes:
    """Give what Rank encoded, or encode anew what another version of the encoder did, or one for other interactions."""
    return decision.encoded if is_encoded_for(decision.encoded, encoder.interactions) else _anew(decision, encoder)


def _sound(encoded: bytes, decision: Decision, encoder: Encoder) -> bytes:
    try:
        to_batch([encoded], rewards=[0.0], probabilities=[1.0])
    except UnreadableError:
        return _anew(decision, encoder)
    return encoded


def _anew(decision: Decision, encoder: Encoder) -> bytes:
    return encoder.encode(read_situation(decision.situation)).logged(decision.learned_action)
