"""Decisions, and the lines that report them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from time import time
from typing import Any, Generic, NamedTuple, TypeVar

from open_personalizer.errors import InvalidRequestError
from open_personalizer.rankings import FilledSlot, Ranking, SlotsRanking
from open_personalizer.records import Record
from open_personalizer.requests import LONGEST_LINE, Action, Asked, AskedSlots, EventIds, Features, Reader, Slot, text_of
from open_personalizer.serving import Basis
from shared.domain import events
from shared.domain.events import Situation
from shared.domain.slots import Filling
from shared.learning.arguments import is_multi_slot
from shared.learning.choosing import choose
from shared.learning.encoding import EncodedSituation, Encoder, Encoders, Row
from shared.learning.holdout import later_chance
from shared.learning.model import Model

AnswerOf = TypeVar("AnswerOf", Ranking, SlotsRanking)
_is_multi_slot = lru_cache(maxsize=32)(is_multi_slot)


class Decided(NamedTuple, Generic[AnswerOf]):
    """An answer, the record that reports it, and the answer to give where that cannot be kept."""

    answer: AnswerOf
    record: Record
    fallback: Callable[[], AnswerOf]


class Deciding:
    """Decides as the service does; remembers actions met lately, which changes nothing in what it decides."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._encoders = Encoders()
        self._ids = EventIds()
        self._last: tuple[Encoder | None, tuple[events.Action, ...], tuple[Row, ...]] = None, (), ()
        """The actions of the last call, what encoded them, and what came of it."""

    def rank(
        self,
        basis: Basis,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        *,
        excluded: Sequence[str],
        event_id: str | None,
        deferred: bool,
    ) -> Decided[Ranking]:
        """Decide for one slot; raises `InvalidRequestError`."""
        asked = self._reader.read(context, actions, excluded)
        named = self._ids.of(event_id)
        answer = self._ranked(asked, basis, named)
        place = answer.index
        chosen = b',"rewardActionId":%b,"probability":%a' % (asked.actions[place].id_text, answer.probabilities[place])
        record = _record(basis, named, asked.text, chosen, deferred=deferred)
        return Decided(answer, record, lambda: replace(self._ranked(asked, _unlearned(basis), named), is_logged=False))

    def rank_slots(
        self,
        basis: Basis,
        context: Features,
        actions: Sequence[Action | Mapping[str, Any]],
        slots: Sequence[Slot],
        *,
        event_id: str | None,
        deferred: bool,
    ) -> Decided[SlotsRanking]:
        """Decide for several slots; raises `InvalidRequestError`."""
        if basis.ticket is not None and not _is_multi_slot(basis.settings.policy.arguments):
            raise InvalidRequestError("slots: this loop ranks one slot in a call: its learning policy needs --ccb_explore_adf for several")
        asked = self._reader.read_slots(context, actions, slots)
        named = self._ids.of(event_id)
        answer = self._filled(asked, basis, named)
        filled = b",".join(
            [
                b'{"id":%b,"rewardActionId":%b,"probability":%b}'
                % (text_of(each.id, "slots"), text_of(each.reward_action_id, "actions"), repr(each.probability).encode())
                for each in answer.slots
            ]
        )
        record = _record(basis, named, asked.text, b',"filled":[%b]' % filled, deferred=deferred)
        return Decided(answer, record, lambda: replace(self._filled(asked, _unlearned(basis), named), is_logged=False))

    def _ranked(self, asked: Asked, basis: Basis, event_id: str) -> Ranking:
        situation = asked.situation
        encoded = self._encoded(self._encoders.of(basis.model.interactions), situation)
        choice = choose(situation, encoded, basis=basis, event_id=event_id)
        action = situation.actions[choice.action].id
        return Ranking(event_id, action, choice.action, choice.probabilities, basis.version, True, situation)

    def _encoded(self, encoder: Encoder, situation: Situation) -> EncodedSituation:
        of, actions, rows = self._last  # all at once: another thread may put its own there
        if actions is situation.actions and of is encoder:
            return encoder.with_rows(situation.context, rows)
        encoded = encoder.encode(situation)
        self._last = encoder, situation.actions, encoded.actions
        return encoded

    def _filled(self, asked: AskedSlots, basis: Basis, event_id: str) -> SlotsRanking:
        return SlotsRanking(event_id, tuple(self._fillings(asked, basis, event_id)), basis.version, True)

    def _fillings(self, asked: AskedSlots, basis: Basis, event_id: str) -> Iterator[FilledSlot]:
        whole = asked.situation
        common = self._encoders.of(basis.model.interactions).common(whole.context, whole.actions)
        filling, chance = Filling(whole), None
        for slot in whole.slots:
            situation = filling.situation(slot)
            encoded = common.encode(situation.context[len(whole.context) :])
            choice = choose(situation, encoded, basis=basis, event_id=event_id, chance=chance)
            if choice.holdout is not None:
                of_event, shown = choice.holdout.chance, choice.probabilities
                chance = later_chance(of_event, shown, baseline=situation.baseline, chosen=choice.action)
            action = whole.actions[choice.action].id
            filling.take(action)
            yield FilledSlot(slot.id, action, choice.probabilities[choice.action])


def _unlearned(basis: Basis) -> Basis:
    return replace(basis, model=Model.cold(), version="")


def _record(basis: Basis, event_id: str, asked: bytes, chosen: bytes, *, deferred: bool) -> Record:
    defer = b',"deferActivation":true' if deferred else b""
    line = b'{"eventId":%b,%b%b%b' % (text_of(event_id, "eventId"), asked, defer, chosen)
    if len(line) > LONGEST_LINE:
        raise InvalidRequestError(f"the request takes {len(line)} bytes; at most {LONGEST_LINE} can be sent")
    return Record(True, time(), line, basis.ticket)
