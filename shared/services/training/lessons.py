"""From joined events to what a learner learns; what it needs to know of a decision was logged with it, settings are not asked."""

from collections.abc import Sequence

from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, JoinedEvent
from shared.joining.dsjson import read_situation
from shared.learning.encoding import Batch, Encoder, is_encoded_for, to_batch


class Lessons:
    """Events on their way to a batch, one after another: what was told of one is all that stays of it in memory."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._encoded: list[bytes] = []
        self._rewards: list[float] = []
        self._probabilities: list[float] = []
        self._counts: list[float] = []

    def add(self, event: JoinedEvent) -> None:
        """Take an event in, unless it is skipped; raises `UnreadableError` for a situation that has to be read and cannot be."""
        if event.skip is None:
            self.add_encoded(event, _encoded(event.decision, self._encoder))

    def add_encoded(self, event: JoinedEvent, encoded: bytes) -> None:
        """Take in an event that is not skipped, and what its situation was just encoded to by the same encoder."""
        reward, probability = _outcome(event)
        self._rewards.append(reward)
        self._probabilities.append(probability)
        self._counts.append(event.weight)
        self._encoded.append(encoded)

    def batch(self, *, sound: Sequence[JoinedEvent] = ()) -> Batch:
        """Give all, in order. Where one's encoding is damaged, it is made anew from the ``sound`` events, which are those taken in.

        Raises `UnreadableError` if there are none.
        """
        try:
            return self._batch(self._encoded)
        except UnreadableError:  # one of thousands must not stop them all
            if not sound:
                raise
            encoded = [_sound(each, event.decision, self._encoder) for each, event in zip(self._encoded, sound, strict=True)]
            return self._batch(encoded)

    def _batch(self, encoded: Sequence[bytes]) -> Batch:
        return to_batch(encoded, rewards=self._rewards, probabilities=self._probabilities, counts=self._counts)


def lessons(events: Sequence[JoinedEvent], encoder: Encoder) -> Batch:
    """Make a batch of the events that are not skipped, in their order."""
    taken = Lessons(encoder)
    for event in events:
        taken.add(event)
    return taken.batch(sound=[event for event in events if event.skip is None])


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
