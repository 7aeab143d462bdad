"""Rank: a situation in, a stored decision out."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from shared.domain.clock import Clock
from shared.domain.events import Decision, LearningMode, Situation
from shared.domain.order import laid_out
from shared.domain.ports import EventLog
from shared.learning.encoding import Encoders
from shared.learning.explanation import explain_all
from shared.services.serving.deciding import Decider, Scored, best_first, new_event_id
from shared.services.serving.model_server import ModelServer, Served

MOST_REASONS: Final = 100
"""How many contributions to a score are told one by one."""

_LARGE: Final = 16 * 1024
"""Bytes of a situation's text from which on it is explained beside the event loop: that takes milliseconds for each 10 kB."""

Reasons = tuple[str, tuple[tuple[str, float], ...]]
"""An action's id, and what adds how much to its score, the largest first."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer: the action to show, the id to report its reward under, and all actions with their probabilities, in order.

    ``reasons`` tell of each action, in that order too, what adds how much to its score; there are none unless the settings ask
    for them. ``scored`` are all actions with the reward that the model expects of them, the best first, if the caller asks for them.
    """

    event_id: str
    reward_action_id: str
    action_ids: tuple[str, ...]
    probabilities: tuple[float, ...]
    reasons: tuple[Reasons, ...] = ()
    scored: tuple[Scored, ...] = ()


class Ranker:
    """Answers Rank calls; a call returns only when its decision is stored."""

    def __init__(self, log: EventLog, models: ModelServer, *, clock: Clock, encoders: Encoders | None = None) -> None:
        self._log = log
        self._models = models
        self._clock = clock
        self._decider = Decider(encoders)

    async def rank(self, situation: Situation, *, event_id: str | None, deferred: bool, is_scored: bool = False) -> Ranking:
        """Choose an action; the same event id, situation and model give the same answer, with scores if it ``is_scored``.

        Raises `EventTooLargeError`, `StorageUnavailableError` or `BacklogFullError`, and then nothing was acknowledged.
        """
        served = await self._models.served()
        decision = self._decider.decide(situation, served, event_id=event_id or new_event_id(), at=self._clock.now(), deferred=deferred)
        reasons = await _explained(situation, served, size=len(decision.situation))
        await self._log.append_decision(decision)
        answer = ranking(situation, decision, reasons)
        return replace(answer, scored=best_first(situation, self._decider.scores(situation, served))) if is_scored else answer


async def _explained(situation: Situation, served: Served, *, size: int) -> tuple[Reasons, ...]:
    """Explain each action's score, where that is asked for; in LoggingOnly mode there is none."""
    settings = served.settings
    if not settings.is_inference_explainability_enabled or settings.learning_mode is LearningMode.LOGGING_ONLY:
        return ()
    return _reasons(situation, served) if size < _LARGE else await asyncio.to_thread(_reasons, situation, served)


def _reasons(situation: Situation, served: Served) -> tuple[Reasons, ...]:
    explained = explain_all(served.model, situation, most=MOST_REASONS)
    return tuple([(each.action_id, tuple([(part.name, part.worth) for part in each.contributions])) for each in explained])


def ranking(situation: Situation, decision: Decision, reasons: tuple[Reasons, ...] = ()) -> Ranking:
    """Lay out the answer: excluded actions stay where they were, the others follow the chosen one from likely to unlikely."""
    places = laid_out(situation.allowed, decision.probabilities, decision.chosen)
    return Ranking(
        event_id=decision.event_id,
        reward_action_id=situation.actions[decision.chosen].id,
        action_ids=tuple([situation.actions[index].id for index in places]),
        probabilities=tuple([decision.probabilities[index] for index in places]),
        reasons=tuple([reasons[index] for index in places]) if reasons else (),
    )
