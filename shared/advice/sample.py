"""What a sample of events holds, by the names of their features: the few facts that advice is made of, and no value."""

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
_SECONDS: Final = (1e9, 1e10)
_MILLISECONDS: Final = (1e12, 1e13)


@dataclass(frozen=True, slots=True)
class Feature:
    """What was seen of one feature.

    ``side`` is `CONTEXT`, `ACTIONS` or `EVENTS`. ``seen`` counts where it was given: events, or actions of events. ``distinct`` is the
    number of its values, ``shared`` tells whether two different actions had the same one, ``is_identifier`` whether all of them are
    texts, or times to the second. ``personal`` says what of a person's some value, or the name itself, looked like ("": nothing).
    """

    side: str
    name: str
    seen: int
    distinct: int
    shared: bool
    is_identifier: bool
    personal: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts over a sample of events, each slot of an event one.

    ``events`` counts the events that features were looked at in, of which ``choices`` had more than one action, and ``with_context``
    some context. ``actions`` is how many different actions there were, of ``offered`` in all. ``learned`` counts the
    events with a final reward, of which ``rewarded`` were told one; ``distinct_rewards`` are the different final rewards.
    """

    events: int = 0
    choices: int = 0
    with_context: int = 0
    actions: int = 0
    offered: int = 0
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
    owners: dict[object, str] = field(default_factory=dict)
    shared: bool = False
    is_identifier: bool = True
    personal: str = ""


def sampled(events: Iterable[tuple[JoinedEvent, Situation]]) -> Sample:
    """Look through a sample: at most 20,000 values of 500 features, and the first 50 actions of each event."""
    look = _Look()
    for event, situation in events:
        look.at(event, situation)
    return look.sample()


class _Look:
    """Looks at events one after another."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._values = 0
        self._event_ids: dict[str, None] = {}
        self._action_ids: set[str] = set()
        self._rewards: set[float] = set()
        self._times: list[datetime] = []
        self._events = self._choices = self._with_context = self._offered = self._learned = self._rewarded = 0

    def at(self, event: JoinedEvent, situation: Situation) -> None:
        decision = event.decision
        self._times.append(decision.decided_at)
        if event.skip is None:
            self._learned += 1
            self._rewarded += any(not each.is_activation for each in event.observations)
            self._rewards.add(event.reward)
        if decision.event_id in self._event_ids or self._values >= _MOST_VALUES:  # the slots of an event have its features in common
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
            self._note(ACTIONS, ACTION_ID, action.id, action.id)
            for name, value in _values(action.features):
                self._note(ACTIONS, name, value, action.id)

    def sample(self) -> Sample:
        return Sample(
            events=self._events,
            choices=self._choices,
            with_context=self._with_context,
            actions=len(self._action_ids),
            offered=self._offered,
            learned=self._learned,
            rewarded=self._rewarded,
            distinct_rewards=len(self._rewards),
            since=min(self._times, default=None),
            until=max(self._times, default=None),
            features=[
                Feature(side, name, each.seen, len(each.owners), each.shared, each.is_identifier, each.personal)
                for (side, name), each in self._seen.items()
            ],
        )

    def _note(self, side: str, name: str, value: object, action_id: str) -> None:
        self._values += 1
        place = side, name[:_LONGEST_NAME]
        seen = self._seen.get(place)
        if seen is None:
            if len(self._seen) >= _MOST_NAMES:
                return
            seen = self._seen[place] = _Seen(personal=personal_kind("", name) or "")
        seen.seen += 1
        key = tuple(value) if isinstance(value, list) else (type(value), value)
        if key in seen.owners:
            seen.shared = seen.shared or seen.owners[key] != action_id
            return
        seen.owners[key] = action_id
        seen.personal = seen.personal or personal_kind(name, value) or ""
        seen.is_identifier = seen.is_identifier and _is_identifier(value)


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


def _is_identifier(value: object) -> bool:
    """Whether a value, if it differs each time, tells nothing that could be known again: a text, or a time to the second."""
    if isinstance(value, str):
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return any(first <= value < last for first, last in (_SECONDS, _MILLISECONDS))
