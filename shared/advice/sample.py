"""What a sample of events holds, by the names of their features: the few facts that advice is made of, and no value."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from shared.advice.personal import LONGEST, personal_kind
from shared.domain.events import JoinedEvent, Situation

CONTEXT: Final = "the context"
ACTIONS: Final = "the actions"
EVENTS: Final = "the events"
EVENT_ID: Final = "eventId"
ACTION_ID: Final = "id"

_MOST_VALUES: Final = 20_000
_MOST_NAMES: Final = 500
_MOST_ACTIONS: Final = 50
_LONGEST_NAME: Final = 128
_NESTED: Final = 32
_TIMES: Final = tuple([(10.0**digits, 10.0 ** (digits + 1)) for digits in (9, 12, 15, 18)])
"""Seconds, milliseconds, microseconds and nanoseconds since 1970, from 2001 to 2286; ticks of .NET, which counts from the year 1, too."""
_TICKS: Final = (6.3e17, 7.3e17)
_DIGITS: Final = 19
_MOMENT: Final = re.compile(r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d.{0,24}")


@dataclass(frozen=True, slots=True)
class Feature:
    """What was seen of one feature.

    ``side`` is `CONTEXT`, `ACTIONS` or `EVENTS`. ``seen`` counts where it was given: events, or actions of events. ``distinct`` is the
    number of its values, ``again`` how often it had one that had come with an earlier event, ``shared`` tells whether two different
    actions had the same one, ``is_identifier`` whether all of them are texts, or times to the second, and ``is_moment`` whether all of
    them are times to the minute or finer. ``personal`` says what of a person's some value, or the name itself, looked like ("": nothing).
    """

    side: str
    name: str
    seen: int
    distinct: int
    again: int
    shared: bool
    is_identifier: bool
    is_moment: bool
    personal: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts over a sample of events, each slot of an event one.

    ``events`` counts the events that features were looked at in, of which ``choices`` had more than one action, and ``with_context``
    some context. ``actions`` is how many different actions there were, of ``offered`` in all; the features of ``described`` ones were
    looked at. ``learned`` counts the
    events with a final reward, of which ``rewarded`` were told one; ``distinct_rewards`` are the different final rewards.
    """

    events: int = 0
    choices: int = 0
    with_context: int = 0
    actions: int = 0
    offered: int = 0
    described: int = 0
    learned: int = 0
    rewarded: int = 0
    distinct_rewards: int = 0
    since: datetime | None = None
    until: datetime | None = None
    features: Sequence[Feature] = ()


@dataclass(slots=True)
class _Seen:
    """What was seen of one feature so far; values are kept while the sample is looked at, and not longer."""

    seen: int = 0
    owners: dict[object, tuple[str, int]] = field(default_factory=dict)
    again: int = 0
    shared: bool = False
    is_identifier: bool = True
    is_moment: bool = True
    personal: str = ""


def sampled(events: Iterable[tuple[JoinedEvent, Situation]]) -> Sample:
    """Look through a sample: at most 20,000 values of contexts, as many of actions, 500 features, and each event's first 50 actions.

    Where the actions have more, those of the first events are looked at; the contexts and all ids still are.
    """
    look = _Look()
    for event, situation in events:
        look.at(event, situation)
    return look.sample()


class _Look:
    """Looks at events one after another."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._values = dict.fromkeys((EVENTS, CONTEXT, ACTIONS), 0)
        self._event_ids: dict[str, None] = {}
        self._action_ids: set[str] = set()
        self._rewards: set[float] = set()
        self._times: list[datetime] = []
        self._events = self._choices = self._with_context = self._offered = self._described = self._learned = self._rewarded = 0

    def at(self, event: JoinedEvent, situation: Situation) -> None:
        decision = event.decision
        self._times.append(decision.decided_at)
        if event.skip is None:
            self._learned += 1
            self._rewarded += any(not each.is_activation for each in event.observations)
            self._rewards.add(event.reward)
        if decision.event_id in self._event_ids or self._is_full(CONTEXT):  # the slots of an event have its features in common
            return
        self._event_ids[decision.event_id] = None
        self._events += 1
        self._with_context += any(situation.context)
        self._choices += len(situation.actions) > 1
        self._note(EVENTS, EVENT_ID, decision.event_id, "")
        for name, value in _values(situation.context):
            self._note(CONTEXT, name, value, "")
        for action in situation.actions[:_MOST_ACTIONS]:
            self._offered += 1
            self._action_ids.add(action.id)
            if self._is_full(ACTIONS):
                continue
            self._described += 1
            self._note(ACTIONS, ACTION_ID, action.id, action.id)
            for name, value in _values(action.features):
                self._note(ACTIONS, name, value, action.id)

    def _is_full(self, side: str) -> bool:
        return self._values[side] >= _MOST_VALUES

    def sample(self) -> Sample:
        return Sample(
            events=self._events,
            choices=self._choices,
            with_context=self._with_context,
            actions=len(self._action_ids),
            offered=self._offered,
            described=self._described,
            learned=self._learned,
            rewarded=self._rewarded,
            distinct_rewards=len(self._rewards),
            since=min(self._times, default=None),
            until=max(self._times, default=None),
            features=[
                Feature(side, name, each.seen, len(each.owners), each.again, each.shared, each.is_identifier, each.is_moment, each.personal)
                for (side, name), each in self._seen.items()
            ],
        )

    def _note(self, side: str, name: str, value: object, action_id: str) -> None:
        self._values[side] += 1
        place = side, name[:_LONGEST_NAME]
        seen = self._seen.get(place)
        if seen is None:
            if len(self._seen) >= _MOST_NAMES:
                return
            seen = self._seen[place] = _Seen(personal=personal_kind("", name) or "")
        seen.seen += 1
        key = tuple(value) if isinstance(value, list) else (type(value), value)
        if key in seen.owners:
            owner, number = seen.owners[key]
            seen.shared = seen.shared or owner != action_id
            seen.again += number != self._events
            return
        seen.owners[key] = action_id, self._events
        seen.personal = seen.personal or personal_kind(name, value) or ""
        seen.is_identifier = seen.is_identifier and (isinstance(value, str) or _is_time(value))
        seen.is_moment = seen.is_moment and _is_moment(value)


def _values(objects: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, object]]:
    for features in objects:
        yield from _inside(features, "", _NESTED)


def _inside(features: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    """Walk all that is stored; what stands below a name that begins with ``_`` is not learned from."""
    for name, value in features.items():
        if isinstance(value, Mapping):
            if depth:
                yield from _inside(value, f"{prefix}{name}.", depth - 1)
        else:
            yield prefix + name, value[:LONGEST] if isinstance(value, str | list) else value


def _is_moment(value: object) -> bool:
    """Whether a value is a time to the minute or finer, written or counted; a day, or an hour of the day, comes again."""
    return _is_time(value) if not isinstance(value, str) else _MOMENT.fullmatch(value) is not None or _is_time(_number(value))


def _is_time(value: object) -> bool:
    """Whether a number counts from 1970, or from the year 1, to a moment of our days."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return any(first <= value < last for first, last in _TIMES) or _TICKS[0] <= value < _TICKS[1]


def _number(text: str) -> object:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None
