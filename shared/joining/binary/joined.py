"""A binary joined log as lines of dsjson: decisions, and what became of them by the log's own reward settings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Final

import orjson

from shared.domain.errors import KindNotReadError, UnreadableError
from shared.domain.events import LearningMode, SkipReason
from shared.joining.aggregation import aggregate
from shared.joining.binary import schema
from shared.joining.binary.dictionary import Dictionary
from shared.joining.binary.messages import MessageKind, MessageSplitter
from shared.joining.binary.packed import Unpacking
from shared.joining.binary.schema import Checkpoint, Choice, Event, Interaction, Kind, Outcome
from shared.joining.splitting import Line

_DIGITS: Final = 7
"""Of a number of single precision."""

_EARLY: Final = datetime.min.replace(tzinfo=UTC)

_NOT_READ: Final = {
    Kind.SLATES: "slates, where each slot has actions of its own,",
    Kind.CONTINUOUS: "continuous actions",
    Kind.MULTI_STEP: "decisions in several steps",
    Kind.EPISODE: "decisions in several steps",
}
_STRAY: Final = "a reward of an event with slots that names none of them is not counted"


@dataclass(frozen=True, slots=True)
class _Observed:
    at: datetime | None
    outcome: Outcome


@dataclass(slots=True)
class _Group:
    """What a message has of one event id."""

    decision: Event | None = None
    observed: list[_Observed] = field(default_factory=list)
    damage: UnreadableError | None = None
    other: Kind | None = None


class BinaryLog:
    """Reads one file. Memory is bounded by a message, unpacked, and the dictionary of actions."""

    def __init__(self) -> None:
        self._messages = MessageSplitter()
        self._checkpoint = Checkpoint()
        self._dictionary = Dictionary()
        self._unpacking = Unpacking()

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Give a line for each decision that ends in this piece; raises `UnreadableError` where what follows cannot be read."""
        for message in self._messages.feed(piece):
            match message.kind:
                case MessageKind.CHECKPOINT:
                    self._checkpoint = schema.read_checkpoint(message.payload)
                case MessageKind.EVENTS:
                    yield from self._lines(message.payload)
                case MessageKind.MAGIC | MessageKind.HEADER | MessageKind.END:
                    pass
                case other:
                    yield UnreadableError(f"a message of the kind 0x{other:08x}, which is not known")

    def end(self) -> Iterator[Line]:
        """Give nothing more; raises `UnreadableError` where the file is cut off."""
        if self._messages.is_cut_off:
            raise UnreadableError("the file is cut off within a message; the messages before it are read")
        return iter(())

    def _lines(self, payload: bytes) -> Iterator[Line]:
        groups: dict[str, _Group] = {}
        try:
            arrived = list(schema.arrivals(payload))
        except UnreadableError as damage:
            yield damage
            return
        for data, at in arrived:
            try:
                self._sort(self._event(data, at), groups)
            except UnreadableError as damage:
                yield damage
        for group in groups.values():
            try:
                yield from self._line(group)
            except UnreadableError as damage:
                yield damage

    def _event(self, data: bytes, at: datetime | None) -> Event:
        return schema.read_event(data, at, self._unpacking, is_by_client_time=self._checkpoint.is_by_client_time)

    def _sort(self, event: Event, groups: dict[str, _Group]) -> None:
        """Put an event to the others of its id."""
        if event.kind is Kind.DICTIONARY:
            self._dictionary.add(schema.read_dictionary(event))
            return
        group = groups.setdefault(event.id, _Group())
        if event.kind is Kind.OUTCOME:
            try:
                group.observed.append(_Observed(event.at, schema.read_outcome(event)))
            except UnreadableError as damage:
                group.damage = damage
        elif event.kind in _NOT_READ:
            group.other = event.kind
        elif group.decision is None:
            group.decision = event

    def _line(self, group: _Group) -> Iterator[Line]:
        if group.other is not None:
            raise KindNotReadError(f"events of {_NOT_READ[group.other]} are not read")
        if group.damage is not None:
            raise group.damage
        if group.decision is None:
            raise UnreadableError("a reward without its decision")
        decided = schema.read_interaction(group.decision)
        context = self._dictionary.filled_in(decided.context)
        if group.decision.kind is Kind.MULTI_SLOT:
            by_slot, strays = _by_slot(group.observed, decided.choices)
            yield from [KindNotReadError(_STRAY)] * strays
            members = self._of_slots(decided, by_slot)
        else:
            members = self._of_one(decided, group.observed)
        head = _head(group.decision, decided, is_activated=_is_activated(group.observed)) | members
        yield orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)[:-1] + b',"c":' + (context or b"{}") + b"}"

    def _of_one(self, decided: Interaction, observed: Sequence[_Observed]) -> dict[str, object]:
        (choice,) = decided.choices
        costs = _costs(decided.mode, self._reward(observed), choice, baseline=1)
        return {**costs, "a": choice.actions, "p": choice.probabilities, "o": _reports(observed)}

    def _of_slots(self, decided: Interaction, by_slot: Sequence[Sequence[_Observed]]) -> dict[str, object]:
        baselines = [*decided.baselines, *range(len(decided.baselines), len(decided.choices))]
        parts = zip(decided.choices, baselines, by_slot, strict=False)
        outcomes = [self._of_slot(decided.mode, choice, baseline, here) for choice, baseline, here in parts]
        told = decided.baselines if decided.mode is LearningMode.ONLINE else baselines
        return {"_outcomes": outcomes} | ({"_ba": told[: len(outcomes)]} if told and min(told) >= 0 else {})

    def _of_slot(self, mode: LearningMode, choice: Choice, baseline: int, observed: Sequence[_Observed]) -> dict[str, object]:
        """Give what became of a slot; one that nothing was chosen for has no cost, and no event comes of it."""
        if not len(choice.actions) and not len(choice.probabilities):
            return {}
        is_shown = mode is not LearningMode.LOGGING_ONLY  # there the baseline was shown, and what was chosen is logged
        chosen = {"_a": choice.actions, "_p": choice.probabilities} if is_shown else {"_a": [baseline], "_p": [1.0]}
        return {**_costs(mode, self._reward(observed), choice, baseline=baseline), **chosen, "_o": _reports(observed)}

    def _reward(self, observed: Sequence[_Observed]) -> float:
        rewards = [each for each in observed if each.outcome.value is not None]
        if not rewards:
            return self._checkpoint.default_reward
        values = [each.outcome.value or 0.0 for each in sorted(rewards, key=lambda each: each.at or _EARLY)]
        if not all(map(isfinite, values)):
            raise UnreadableError("a reward is NaN or infinite")
        return aggregate(values, self._checkpoint.aggregation)


def _head(event: Event, decided: Interaction, *, is_activated: bool) -> dict[str, object]:
    head: dict[str, object] = {
        "Version": "1",
        "EventId": event.id,
        "VWState": {"m": decided.model},
        "DeferredAction": decided.is_deferred,
        "pdrop": round(1.0 - event.passed, _DIGITS),
    }
    if event.at is not None:
        head["Timestamp"] = event.at
    if decided.mode is not LearningMode.ONLINE:
        head["Mode"] = decided.mode
    if decided.mode is LearningMode.LOGGING_ONLY:
        head |= {"_skipLearn": True, "SkipReason": SkipReason.LOGGING_ONLY}
    elif decided.is_deferred and not is_activated:
        head |= {"_skipLearn": True, "SkipReason": SkipReason.NOT_ACTIVATED}
    return head


def _is_activated(observed: Iterable[_Observed]) -> bool:
    return any(each.outcome.is_activation for each in observed)


def _costs(mode: LearningMode, reward: float, choice: Choice, *, baseline: int) -> dict[str, object]:
    """Write what a choice cost; in Apprentice mode it stands beside what the libraries' own joiner has learned: to propose the baseline."""
    cost = 0.0 - reward
    if mode is not LearningMode.APPRENTICE:
        return {"_label_cost": cost}
    is_baseline = len(choice.actions) > 0 and choice.actions[0] == baseline
    return {"_label_cost": -1.0 if is_baseline else 0.0, "_original_label_cost": cost}


def _reports(observed: Iterable[_Observed]) -> list[dict[str, object]]:
    reports: list[dict[str, object]] = []
    for each in observed:
        at: dict[str, object] = {} if each.at is None else {"ts": each.at}
        reports.append(at | ({"ActionTaken": True} if each.outcome.is_activation else {"v": each.outcome.value}))
    return reports


def _by_slot(observed: Iterable[_Observed], choices: Sequence[Choice]) -> tuple[list[list[_Observed]], int]:
    """Give each slot what was observed of it, and activations, which are of the whole event; count the rewards that are of no slot."""
    places = {choice.slot_id: place for place, choice in enumerate(choices) if choice.slot_id}
    found: list[list[_Observed]] = [[] for _ in choices]
    strays = 0
    for each in observed:
        slot = each.outcome.slot
        place = places.get(slot) if isinstance(slot, str) else slot
        if each.outcome.is_activation:
            for reports in found:
                reports.append(each)
        elif place is not None and 0 <= place < len(found):
            found[place].append(each)
        else:
            strays += 1
    return found, strays
