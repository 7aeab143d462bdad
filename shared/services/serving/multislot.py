"""Multi-slot Rank: several slots in, a stored decision for each out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from shared.domain.clock import Clock
from shared.domain.errors import EventTooLargeError, InvalidMultiSlotApiAccessError
from shared.domain.events import Decision
from shared.domain.loop import LoopSettings
from shared.domain.ports import EventLog
from shared.domain.slots import Filling, MultiSlotSituation
from shared.learning.arguments import is_multi_slot
from shared.learning.encoding import Encoders
from shared.services.serving.deciding import Decider, Scored, best_first, new_event_id
from shared.services.serving.model_server import ModelServer, Served

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a call's situations, one for each slot: no row of the log holds more, so the work on a call that has more ends at once."""

_is_multi_slot = lru_cache(maxsize=128)(is_multi_slot)


def check_multi_slot(settings: LoopSettings) -> None:
    """Raise `InvalidMultiSlotApiAccessError` unless the loop's settings are for several slots a call."""
    if not _is_multi_slot(settings.policy.arguments):
        raise InvalidMultiSlotApiAccessError(
            "this loop ranks one slot in a call: replace --cb_explore_adf by --ccb_explore_adf in its learning policy to rank several"
        )
    if settings.is_auto_optimization_enabled:
        raise InvalidMultiSlotApiAccessError("this loop optimises its policy automatically, which is not possible with several slots")


@dataclass(frozen=True, slots=True)
class FilledSlot:
    """The action to show in a slot; ``scored`` are those that could be, with the reward expected of each, if the caller asks for it."""

    slot_id: str
    reward_action_id: str
    scored: tuple[Scored, ...] = ()


@dataclass(frozen=True, slots=True)
class MultiSlotRanking:
    """The answer: the id to report rewards under, and the slots in the order of the request."""

    event_id: str
    slots: tuple[FilledSlot, ...]


class MultiSlotRanker:
    """Answers multi-slot Rank calls; a call returns only when the decisions of all its slots are stored, in one row."""

    def __init__(self, log: EventLog, models: ModelServer, *, clock: Clock, encoders: Encoders | None = None) -> None:
        self._log = log
        self._models = models
        self._clock = clock
        self._decider = Decider(encoders)

    async def rank(self, asked: MultiSlotSituation, *, event_id: str | None, deferred: bool, is_scored: bool = False) -> MultiSlotRanking:
        """Fill the slots in order, each with an action of its own; outside Online mode each gets its baseline.

        The same event id, situation and model give the same answer. Raises `EventTooLargeError`, `StorageUnavailableError` or
        `BacklogFullError`, and then nothing was acknowledged.
        """
        served = await self._models.served()
        named, now = event_id or new_event_id(), self._clock.now()
        decisions = list(decide_slots(self._decider, asked, served, event_id=named, at=now, deferred=deferred))
        await self._log.append_decisions(decisions)
        filled = [FilledSlot(each.slot, asked.actions[each.chosen].id) for each in decisions]
        if is_scored:
            filled = list(self._scored(asked, served, filled))
        return MultiSlotRanking(decisions[0].event_id, tuple(filled))

    def _scored(self, asked: MultiSlotSituation, served: Served, filled: Sequence[FilledSlot]) -> Iterator[FilledSlot]:
        common = self._decider.common(asked.context, asked.actions, served)
        filling = Filling(asked)
        for slot, each in zip(asked.slots, filled, strict=True):
            situation = filling.situation(slot)
            scored = best_first(situation, self._decider.scores(situation, served, common=common))
            may = {action.id for action, allowed in zip(situation.actions, situation.allowed, strict=True) if allowed}
            yield replace(each, scored=tuple([one for one in scored if one[0] in may]))
            filling.take(each.reward_action_id)


def decide_slots(  # noqa: PLR0913 - it is all that decisions are made of
    decider: Decider,
    asked: MultiSlotSituation,
    served: Served,
    *,
    event_id: str,
    at: datetime,
    deferred: bool,
    shown: Sequence[str] = (),
) -> Iterator[Decision]:
    """Decide one slot after another; raises `EventTooLargeError` when their situations together are.

    ``shown`` has for each slot what a client has chosen, as in `Decider.decide`.
    """
    size = 0
    common = decider.common(asked.context, asked.actions, served)
    filling = Filling(asked)
    for slot, told in zip(asked.slots, shown or (None,) * len(asked.slots), strict=True):
        asked_here = filling.situation(slot)
        decision = decider.decide(asked_here, served, event_id=event_id, at=at, deferred=deferred, common=common, shown=told)
        common = common.after(asked_here, decision)
        size += len(decision.situation)
        if size > MOST_BYTES:
            raise EventTooLargeError("the event is too large to be logged: send fewer slots, or fewer or shorter features")
        filling.take(asked.actions[decision.chosen].id)
        yield decision
