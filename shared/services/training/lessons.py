"""From joined events to what a learner learns; what it needs to know of a decision was logged with it, settings are not asked.

A learner that rewards have taught is not taught to imitate, by which it would forget that: it learns what the application's choices earn.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, JoinedEvent
from shared.joining.dsjson import read_situation
from shared.learning.encoding import Batch, Encoder, is_encoded_for, to_batch
from shared.learning.learner import KEPT_FROM


class Lessons:
    """Events on their way to a batch, one after another: what was told of one is all that stays of it in memory.

    ``rewarded`` is how many events have taught the learner by their rewards, as far as it counts them: it is to learn the whole batch.
    """

    def __init__(self, encoder: Encoder, *, rewarded: int = 0) -> None:
        self._encoder = encoder
        self._rewarded = rewarded
        self._imitated = 0
        self._actions: list[int] = []
        self._encoded: list[bytes] = []
        self._rewards: list[float] = []
        self._probabilities: list[float] = []
        self._counts: list[float] = []

    def add(self, event: JoinedEvent) -> None:
        """Take an event in, unless it is skipped; raises `UnreadableError` for a situation that has to be read and cannot be."""
        if event.skip is None:
            self.add_encoded(event, partial(_encoded, event.decision, self._encoder))

    def add_encoded(self, event: JoinedEvent, encoded: Callable[[int], bytes]) -> None:
        """Take in an event that is not skipped; ``encoded`` gives its situation with the action of this index, by the same encoder."""
        decision = event.decision
        if decision.proposal is not None and decision.proposal.is_lesson and self._rewarded < KEPT_FROM:
            action, reward, probability = decision.proposal.action, float(decision.is_imitated), decision.proposal.probability
            self._imitated += 1
        else:
            action, reward, probability = decision.chosen, event.reward, decision.probabilities[decision.chosen]
            self._rewarded += 1
        self._actions.append(action)
        self._rewards.append(reward)
        self._probabilities.append(probability)
        self._counts.append(event.weight)
        self._encoded.append(encoded(action))

    def batch(self, *, sound: Sequence[JoinedEvent] = ()) -> Batch:
        """Give all, in order. Where one's encoding is damaged, it is made anew from the ``sound`` events, which are those taken in.

        Raises `UnreadableError` if there are none.
        """
        try:
            return self._batch(self._encoded)
        except UnreadableError:  # one of thousands must not stop them all
            if not sound:
                raise
            all_of_them = zip(self._encoded, sound, self._actions, strict=True)
            return self._batch([_sound(each, event.decision, self._encoder, action) for each, event, action in all_of_them])

    def _batch(self, encoded: Sequence[bytes]) -> Batch:
        batch = to_batch(encoded, rewards=self._rewards, probabilities=self._probabilities, counts=self._counts)
        return replace(batch, imitated=self._imitated) if self._imitated else batch


def lessons(events: Sequence[JoinedEvent], encoder: Encoder, *, rewarded: int = 0) -> Batch:
    """Make a batch of the events that are not skipped, in their order, for a learner that so many events have taught by rewards."""
    taken = Lessons(encoder, rewarded=rewarded)
    for event in events:
        taken.add(event)
    return taken.batch(sound=[event for event in events if event.skip is None])


def _encoded(decision: Decision, encoder: Encoder, action: int) -> bytes:
    """Give what Rank encoded, or encode anew what another version of the encoder did, or for another action or other interactions."""
    is_at_hand = action == decision.learned_action and is_encoded_for(decision.encoded, encoder.interactions)
    return decision.encoded if is_at_hand else _anew(decision, encoder, action)


def _sound(encoded: bytes, decision: Decision, encoder: Encoder, action: int) -> bytes:
    try:
        to_batch([encoded], rewards=[0.0], probabilities=[1.0])
    except UnreadableError:
        return _anew(decision, encoder, action)
    return encoded


def _anew(decision: Decision, encoder: Encoder, action: int) -> bytes:
    return encoder.encode(read_situation(decision.situation)).logged(action)
