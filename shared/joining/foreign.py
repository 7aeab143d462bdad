"""Joined logs of others: dsjson as Azure Personalizer, its client libraries and Vowpal Wabbit's tools write it, read as joined events.

What this service wrote comes back as it was. Other lines tell less, or tell it otherwise; docs/how-to/import-a-log.md has the rules.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isclose, isfinite
from typing import Any, Final, NoReturn

import msgspec
import orjson

from shared.domain.clock import EPOCH
from shared.domain.errors import UnreadableError
from shared.domain.events import Action, Decision, Features, JoinedEvent, LearningMode, Observation, Proposal, Situation, SkipReason
from shared.domain.recent import Recent
from shared.joining.dsjson import action_text, situation_text

MAX_ACTIONS: Final = 1_000
MAX_ID_LENGTH: Final = 256
MAX_DEPTH: Final = 32
"""Of features, as Rank takes them."""
_MAX_LEVELS: Final = MAX_DEPTH + 3
"""With the action and the list that features stand in, and an array of numbers inside."""

_TOLERANCE: Final = 1e-3
"""Others compute in single precision."""

_REMEMBERED_ACTIONS: Final = 1 << 12
_LONGEST_REMEMBERED: Final = 1 << 12

_OWN_MODES: Final = {mode.value: mode for mode in LearningMode}


_NOTHING: Final = msgspec.Raw(b"")


class _Report(msgspec.Struct, rename={"event_id": "EventId", "is_activation": "ActionTaken"}):
    event_id: str | None = None
    ts: datetime | None = None
    v: object = None
    is_activation: bool | None = False


class _Outcome(msgspec.Struct, rename={"cost": "_label_cost", "slot": "_id", "numbers": "_a", "chances": "_p", "reports": "_o"}):
    """What became of one of several slots; actions count from 0, the chosen one first."""

    cost: float | None = None
    slot: str = ""
    numbers: list[int] | int = []  # msgspec copies an empty list
    chances: list[float] | float = []
    reports: list[_Report] | None = None


class _State(msgspec.Struct):
    m: str = ""


class _Proposed(msgspec.Struct):
    a: int
    p: float
    lesson: bool


class _Line(
    msgspec.Struct,
    rename={
        "cost": "_label_cost",
        "probability": "_label_probability",
        "action": "_label_Action",
        "index": "_labelIndex",
        "reports": "o",
        "decided_at": "Timestamp",
        "event_id": "EventId",
        "mode": "Mode",
        "deferred": "DeferredAction",
        "state": "VWState",
        "is_skipped": "_skipLearn",
        "outcomes": "_outcomes",
        "slot": "Slot",
        "proposed": "Proposed",
        "skip": "SkipReason",
        "dangling": "RewardValue",
    },
):
    """The members that mean something; ``c`` stays text. ``dangling`` is a reward that the other service's join had no decision for."""

    c: msgspec.Raw = _NOTHING
    cost: float | None = None
    probability: float | None = None
    action: int | None = None
    index: int | None = None
    reports: list[_Report] | None = None
    decided_at: datetime | None = None
    event_id: str | None = None
    mode: str | None = None
    deferred: bool | None = False
    a: list[int] | None = None
    p: list[float] | None = None
    state: _State | None = None
    is_skipped: bool | None = False
    pdrop: float | None = 0.0
    outcomes: list[_Outcome] | None = None
    slot: str = ""
    proposed: _Proposed | None = None
    skip: SkipReason | None = None
    dangling: object = None


_LINE = msgspec.json.Decoder(_Line)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Read:
    """What a line tells: one event, or one for each slot; ``is_thinned`` if others were left out of its log by chance (``pdrop``)."""

    events: tuple[JoinedEvent, ...]
    is_thinned: bool


@dataclass(frozen=True, slots=True)
class _Slot:
    id: str
    features: tuple[Features, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked, whoever writes it how."""

    context: tuple[Features, ...]
    actions: tuple[Action, ...]
    slots: tuple[_Slot, ...]
    baseline_id: str


@dataclass(frozen=True, slots=True)
class _Head:
    event_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Choice:
    """What was chosen, from what and with which probabilities, and what came of it."""

    situation: Situation
    chosen: int
    probabilities: tuple[float, ...]
    cost: float
    reports: Sequence[_Report] | None


Encode = Callable[[Situation, int], bytes]


class DsjsonReader:
    """Reads the lines of a log in order: one that does not say when it was decided has the time of the one before.

    What is to be learned of a situation and an action is encoded by ``encode``; without it, that is left to whoever learns it.
    """

    def __init__(self, *, undated: datetime, encode: Encode | None = None) -> None:
        self._last = undated
        self._encode = encode
        self._recent: Recent[tuple[Action, bool]] = Recent(size=_REMEMBERED_ACTIONS, longest=_LONGEST_REMEMBERED)

    def read(self, text: bytes, number: int) -> Read:
        """Read a line; by its ``number`` it is told from others of the same text if it has no event id.

        Raises `UnreadableError`, saying why, for one that is not dsjson, or that nothing can be learned from.
        """
        try:
            line = _LINE.decode(text)
            if not bytes(line.c):
                _refuse("a reward without its decision" if line.dangling is not None else "c is missing: nothing says what was asked")
            asked = self._asked(_MEMBERS.decode(line.c))
        except (msgspec.MsgspecError, orjson.JSONDecodeError, RecursionError) as cause:
            raise UnreadableError(f"not a line of dsjson: {cause}") from cause
        head = _Head(_event_id(line, text, number), self._time(line))
        choices = tuple(_slot_choices(line, asked)) if line.outcomes is not None else (_choice(line, asked),)
        self._last = head.at
        return Read(tuple([self._joined(line, head, choice) for choice in choices]), is_thinned=bool(line.pdrop))

    def _joined(self, line: _Line, head: _Head, choice: _Choice) -> JoinedEvent:
        event = _joined(line, _decision(line, head, choice), choice)
        if self._encode is None or event.skip is not None:
            return event
        encoded = self._encode(choice.situation, event.decision.learned_action)
        return replace(event, decision=replace(event.decision, encoded=encoded))

    def _asked(self, c: Mapping[str, msgspec.Raw]) -> _Asked:
        listed = _LIST.decode(c.get("_multi", b"[]"))
        if not 1 <= len(listed) <= MAX_ACTIONS:
            _refuse(f"c has {len(listed)} actions (_multi): there may be 1 to {MAX_ACTIONS}")
        others = {name: _loaded(bytes(text)) for name, text in c.items() if name != "_multi"}
        slot, slots = others.get("_slot"), others.get("_slots")
        return _Asked(
            context=_objects(others, listed="FromUrl"),
            actions=self._actions(listed),
            slots=tuple(map(_slot, slots)) if isinstance(slots, list) else (),
            baseline_id=str(slot.get("baseline", "")) if isinstance(slot, dict) else "",
        )

    def _actions(self, listed: Sequence[msgspec.Raw]) -> tuple[Action, ...]:
        actions: list[Action] = []
        ids: set[str] = set()
        for number, text in enumerate(listed, start=1):
            action, is_named = self._action(bytes(text), number)
            if action.id in ids:
                if is_named:
                    _refuse(f"two actions have the id {action.id!r}")
                action = Action(f"{action.id}-{number}", action.features)
            ids.add(action.id)
            actions.append(action)
        return tuple(actions)

    def _action(self, text: bytes, number: int) -> tuple[Action, bool]:
        """Give an action, and whether it has an id of its own; most lines have the same ones."""
        known = self._recent.get(text)
        if known is None:
            known = _read_action(_loaded(text), number)
            self._recent.put(text, known)
        return known

    def _time(self, line: _Line) -> datetime:
        if line.decided_at is None:
            return self._last
        at = _utc(line.decided_at, "Timestamp")
        if at < EPOCH:
            _refuse("Timestamp is before 1970")
        return at


# --- what was asked --------------------------------------------------------------------------------------------------------


def _objects(members: Mapping[str, Any], *, listed: str, without: Iterable[str] = ()) -> tuple[Features, ...]:
    """Give feature objects as Rank gets them: those that stand in a list under this name, and all other members as one object."""
    left_out = set(without)
    inner: Sequence[Any] = ()
    if isinstance(members.get(listed), list) and all(isinstance(each, dict) for each in members[listed]):
        inner = members[listed]
        left_out.add(listed)
    others = {name: value for name, value in members.items() if not name.startswith("_") and name not in left_out}
    return (*inner, others) if others else tuple(inner)


def _read_action(given: Any, number: int) -> tuple[Action, bool]:
    """Give an action with the id that it has; one without is known by what it looks like."""
    if not isinstance(given, dict):
        _refuse(f"action {number} is not an object")
    if "_slot_id" in given:
        _refuse("lines of slates, where each slot has actions of its own, are not read")
    identity = given.get("i")
    is_identity = isinstance(identity, dict) and "id" in identity and identity.keys() <= {"id", "constant"}
    features = _objects(given, listed="j", without=("i",) if is_identity else ())
    named = _given_id(given)
    if len(named) > MAX_ID_LENGTH:
        _refuse(f"the id of action {number} has {len(named)} characters: at most {MAX_ID_LENGTH} are read")
    action_id = named or hashlib.sha256(orjson.dumps(features)).hexdigest()[:12]
    return Action(action_id, features, action_text(action_id, features)), bool(named)


def _given_id(given: Mapping[str, Any]) -> str:
    identity = given.get("i")
    found = identity.get("id") if isinstance(identity, dict) else None
    if found is None:
        found = given.get("_tag")
    return str(found) if isinstance(found, str | int | float) else ""


def _slot(given: Any) -> _Slot:
    if not isinstance(given, dict):
        _refuse("a slot is not an object")
    found = given.get("_id")
    return _Slot(found if isinstance(found, str) else "", _objects(given, listed="j"))


def _loaded(text: bytes) -> Any:
    value = orjson.loads(text)
    if text.count(b"{") + text.count(b"[") > _MAX_LEVELS and _is_deep(value, _MAX_LEVELS):
        _refuse(f"features may be nested at most {MAX_DEPTH} levels deep")
    return value


def _is_deep(value: Any, left: int) -> bool:
    """Whether there are more than so many objects and arrays within one another."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_is_deep(each, left - 1) for each in inner)


# --- what was decided, and what came of it ---------------------------------------------------------------------------------


def _event_id(line: _Line, text: bytes, number: int) -> str:
    if line.event_id is None or not line.event_id:
        return hashlib.sha256(b"%d\0%b" % (number, text)).hexdigest()[:32]
    if len(line.event_id) > MAX_ID_LENGTH:
        _refuse(f"EventId has {len(line.event_id)} characters: at most {MAX_ID_LENGTH} are read")
    return line.event_id


def _choice(line: _Line, asked: _Asked) -> _Choice:
    if line.cost is None:
        _refuse("_label_cost is missing: nothing says what came of it")
    if asked.slots:
        _refuse("there are slots but no _outcomes")
    chosen = _chosen(line, len(asked.actions))
    situation = Situation(asked.context, asked.actions, slot=line.slot, baseline_id=asked.baseline_id if line.slot else "")
    return _Choice(situation, chosen, _probabilities(line, chosen, len(asked.actions)), line.cost, line.reports)


def _slot_choices(line: _Line, asked: _Asked) -> Iterator[_Choice]:
    """Give a choice for each slot that has an outcome; what the slots before took has no chance there."""
    outcomes = line.outcomes or []
    if len(outcomes) > len(asked.slots):
        _refuse(f"there are {len(outcomes)} outcomes but {len(asked.slots)} slots")
    ids = [slot.id or outcome.slot or str(number) for number, (slot, outcome) in enumerate(zip(asked.slots, outcomes, strict=False))]
    if len(set(ids)) < len(ids) or any(len(each) > MAX_ID_LENGTH for each in ids):
        _refuse(f"the ids of slots must differ, and have at most {MAX_ID_LENGTH} characters")
    if not any(outcome.cost is not None for outcome in outcomes):
        _refuse("no slot has a _label_cost: nothing says what came of it")
    for slot_id, slot, outcome in zip(ids, asked.slots, outcomes, strict=False):
        if outcome.cost is None:
            continue
        numbers = outcome.numbers if isinstance(outcome.numbers, list) else [outcome.numbers]
        chances = outcome.chances if isinstance(outcome.chances, list) else [outcome.chances]
        probabilities = _spread(numbers, chances, len(asked.actions))
        situation = Situation((*asked.context, *slot.features, {"slot": {"id": slot_id}}), asked.actions, slot=slot_id)
        yield _Choice(situation, numbers[0], _checked(probabilities, numbers[0]), outcome.cost, outcome.reports)


def _chosen(line: _Line, count: int) -> int:
    """Find the chosen action's index: what is said first of three ways to say it."""
    if line.index is not None and line.action is not None and line.index != line.action - 1:
        _refuse(f"_labelIndex is {line.index} and _label_Action {line.action}: they name different actions")
    said = [line.index, None if line.action is None else line.action - 1, line.a[0] - 1 if line.a else None]
    chosen = next((each for each in said if each is not None), None)
    if chosen is None:
        _refuse("neither _labelIndex, _label_Action nor a says which action was chosen")
    if not 0 <= chosen < count:
        _refuse(f"action {chosen + 1} of {count} was chosen")
    return chosen


def _probabilities(line: _Line, chosen: int, count: int) -> tuple[float, ...]:
    """Give each action's probability; where only the chosen one's is told, the others share the rest."""
    if line.p is not None:
        numbers = [number - 1 for number in line.a] if line.a is not None else list(range(len(line.p)))
        probabilities = _checked(_spread(numbers, line.p, count), chosen)
        if line.probability is not None and not _agree(line.probability, probabilities[chosen], line.pdrop or 0.0):
            _refuse(f"_label_probability is {line.probability:g}, but p says {probabilities[chosen]:g}")
        return probabilities
    if line.probability is None:
        _refuse("neither p nor _label_probability says with which probability the action was chosen")
    rest = (1.0 - line.probability) / (count - 1) if count > 1 else 0.0
    return _checked([line.probability if index == chosen else rest for index in range(count)], chosen)


def _agree(told: float, probability: float, pdrop: float) -> bool:
    """Whether both say the same; the client libraries' joiner multiplies one by the chance that the event was kept."""
    return any(isclose(told, each, rel_tol=_TOLERANCE) for each in (probability, probability * (1.0 - pdrop)))


def _spread(numbers: Sequence[int], chances: Sequence[float], count: int) -> list[float]:
    """Put probabilities in the order of the actions; those that are not listed had no chance."""
    if not numbers or len(numbers) != len(chances) or len(set(numbers)) < len(numbers) or not all(0 <= each < count for each in numbers):
        _refuse("actions and probabilities do not fit each other")
    by_number = dict(zip(numbers, chances, strict=True))
    return [by_number.get(index, 0.0) for index in range(count)]


def _checked(probabilities: Sequence[float], chosen: int) -> tuple[float, ...]:
    if not all(0.0 <= each <= 1.0 + _TOLERANCE for each in probabilities) or abs(sum(probabilities) - 1.0) > _TOLERANCE:
        _refuse("the probabilities do not add up to 1")
    if not probabilities[chosen] > 0.0:
        _refuse("the chosen action's probability is 0")
    return tuple(probabilities)


def _decision(line: _Line, head: _Head, choice: _Choice) -> Decision:
    mode = _OWN_MODES.get(line.mode or "", LearningMode.ONLINE)
    return Decision(
        event_id=head.event_id,
        decided_at=head.at,
        model_version="" if line.state is None else line.state.m,
        mode=LearningMode.LOGGING_ONLY if _skip(line) is SkipReason.LOGGING_ONLY else mode,
        probabilities=choice.probabilities,
        chosen=choice.chosen,
        deferred=bool(line.deferred),
        situation=situation_text(choice.situation),
        encoded=b"",
        slot=choice.situation.slot,
        proposal=None if line.proposed is None else _proposal(line.proposed, len(choice.probabilities)),
    )


def _proposal(proposed: _Proposed, count: int) -> Proposal:
    if not 1 <= proposed.a <= count or not 0.0 <= proposed.p <= 1.0:
        _refuse("an action was proposed that was not there")
    return Proposal(proposed.a - 1, proposed.p, proposed.lesson)


def _joined(line: _Line, decision: Decision, choice: _Choice) -> JoinedEvent:
    """Put decision and reward together; the reward is among the observations, too, lest it get lost when all is joined anew."""
    reward = 0.0 - choice.cost
    if not isfinite(reward):
        _refuse("the reward is not a finite number")
    skip, is_ours = _skip(line), (line.mode or "") in _OWN_MODES
    observations = [each for report in choice.reports or () for each in _observations(report, decision)]
    if is_ours:
        return JoinedEvent(decision, reward, tuple(observations), skip)
    if reward and not any(not each.is_activation for each in observations):
        observations.append(Observation(decision.event_id, decision.decided_at, reward, decision.slot))
    is_waiting = skip is not None or any(each.is_activation for each in observations)
    return JoinedEvent(replace(decision, deferred=decision.deferred and is_waiting), reward, tuple(observations), skip)


def _skip(line: _Line) -> SkipReason | None:
    if line.skip is not None or not line.is_skipped:
        return line.skip
    return SkipReason.NOT_ACTIVATED if line.deferred else SkipReason.LOGGING_ONLY


def _observations(report: _Report, decision: Decision) -> Iterator[Observation]:
    at = decision.decided_at if report.ts is None else _utc(report.ts, "the time of an observation (ts)")
    event_id = report.event_id or decision.event_id
    if report.is_activation:
        yield Observation(event_id, at, None)
    if isinstance(report.v, int | float) and not isinstance(report.v, bool) and isfinite(report.v):
        yield Observation(event_id, at, float(report.v), decision.slot)


def _utc(at: datetime, what: str) -> datetime:
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as cause:
        raise UnreadableError(f"{what} is out of range") from cause


def _refuse(what: str) -> NoReturn:
    raise UnreadableError(what)
