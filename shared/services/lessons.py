"""From joined events to what a learner learns; what it needs to know of a decision was logged with it, settings are not asked."""

from collections.abc import Sequence

from shared.domain.events import Decision, JoinedEvent
from shared.joining.dsjson import read_situation
from shared.learning.encoding import Batch, Encoder, is_encoded_for, to_batch


def lessons(events: Sequence[JoinedEvent], encoder: Encoder) -> Batch:
    """Make a batch of the events that are not skipped, in their order."""
    learned = [event for event in events if event.skip is None]
    outcomes = [_outcome(event) for event in learned]
    return to_batch(
        [_encoded(event.decision, encoder) for event in learned],
        rewards=[reward for reward, _ in outcomes],
        probabilities=[probability for _, probability in outcomes],
    )


def _outcome(event: JoinedEvent) -> tuple[float, float]:
    """Give the reward of the action that is learned about, and what it was drawn with."""
    decision = event.decision
    if decision.proposal is not None and decision.proposal.is_lesson:
        return float(decision.is_imitated), decision.proposal.probability
    return event.reward, decision.probabilities[decision.chosen]


def _encoded(decision: Decision, encoder: Encoder) -> bytes:
    """Give what Rank encoded, or encode the text anew when that was done by another version of the encoder, or for other interactions."""
    if is_encoded_for(decision.encoded, encoder.interactions):
        return decision.encoded
    return encoder.encode(read_situation(decision.situation)).logged(decision.learned_action)
