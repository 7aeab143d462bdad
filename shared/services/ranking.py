"""Rank: a situation in, a stored decision out."""

import secrets
from dataclasses import dataclass

from shared.domain.clock import Clock
from shared.domain.events import Decision, LearningMode, Situation
from shared.domain.ports import EventLog
from shared.joining.dsjson import chosen_first, situation_text
from shared.learning.encoding import EncodedSituation, Encoder
from shared.learning.exploration import draw
from shared.learning.policy import Policy
from shared.services.serving import ModelServer, Served


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer: the action to show, the id to report its reward under, and all actions with their probabilities, in order."""

    event_id: str
    reward_action_id: str
    action_ids: tuple[str, ...]
    probabilities: tuple[float, ...]


class Ranker:
    """Answers Rank calls; a call returns only when its decision is stored."""

    def __init__(self, log: EventLog, models: ModelServer, *, clock: Clock) -> None:
        self._log = log
        self._models = models
        self._clock = clock
        self._encoder = Encoder()

    async def rank(self, situation: Situation, *, event_id: str | None, deferred: bool) -> Ranking:
        """Choose an action; the same event id, situation and model give the same answer.

        Raises `EventTooLargeError`, `StorageUnavailableError` or `BacklogFullError`, and then nothing was acknowledged.
        """
        decision = self._decide(situation, await self._models.served(), event_id=event_id or new_event_id(), deferred=deferred)
        await self._log.append_decision(decision)
        return ranking(situation, decision)

    def _decide(self, situation: Situation, served: Served, *, event_id: str, deferred: bool) -> Decision:
        settings = served.settings
        encoded = self._encoder.encode(situation)
        probabilities = self._probabilities(situation, encoded, served)
        chosen = draw(probabilities, loop=settings.name, event_id=event_id)
        return Decision(
            event_id=event_id,
            decided_at=self._clock.now(),
            model_version=served.version,
            mode=settings.learning_mode,
            probabilities=probabilities,
            chosen=chosen,
            deferred=deferred,
            situation=situation_text(situation),
            encoded=encoded.logged(chosen),
        )

    def _probabilities(self, situation: Situation, encoded: EncodedSituation, served: Served) -> tuple[float, ...]:
        """Give what to draw from: the policy's, or, outside Online mode, the application's own choice."""
        if served.settings.learning_mode is LearningMode.ONLINE:
            policy = Policy(served.model, exploration_percentage=served.settings.exploration_percentage)
            return policy.probabilities(encoded, situation.allowed)
        baseline = situation.baseline
        return tuple(float(index == baseline) for index in range(len(situation.actions)))


def ranking(situation: Situation, decision: Decision) -> Ranking:
    """Lay out the answer: excluded actions stay where they were, the others follow the chosen one from likely to unlikely."""
    allowed = situation.allowed
    order = iter([index for index in chosen_first(decision.probabilities, decision.chosen) if allowed[index]])
    places = [next(order) if may else index for index, may in enumerate(allowed)]
    return Ranking(
        event_id=decision.event_id,
        reward_action_id=situation.actions[decision.chosen].id,
        action_ids=tuple([situation.actions[index].id for index in places]),
        probabilities=tuple([decision.probabilities[index] for index in places]),
    )


def new_event_id() -> str:
    """Make an event id: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)
