"""Requests: checked by the service's own rules, as the service would read them from JSON."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np

from open_personalizer.errors import InvalidRequestError
from shared.api.features import MAX_DEPTH, MAX_VALUES
from shared.api.rules import (
    MAX_ACTIONS,
    MAX_EVENT_ID_LENGTH,
    MAX_ID_LENGTH,
    MAX_SLOTS,
    NO_EVENT_ID,
    Checked,
    can_be_in_a_path,
    check_has_feature,
    checked,
    refuse,
    with_slashes,
)
from shared.domain import events, slots
from shared.domain.recent import Recent

Features = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One object of features, or several: ``{"name": value}`` or ``{"namespace": {"name": value}}``, as in the body of a Rank call."""

LONGEST_LINE: Final = 900_000
"""Bytes of a decision as it is sent: a batch takes 1 MiB."""

_IDS: Final = 64
_REMEMBERED: Final = 1 << 12
_LONGEST_REMEMBERED: Final = 1 << 12
_WRITTEN: Final = frozenset({dict, list})
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_NOTHING: Final[frozenset[str]] = frozenset()
_DICTS: Final = frozenset({dict})
_FLOATS: Final = frozenset({float})
_SAFE_BITS: Final = 1000
"""Whole numbers of so many bits are surely no larger than the largest number of JSON's readers."""
_PLAIN_TEXTS: Final = frozenset({str})
_KINDS_OF_NUMPY: Final = frozenset("biufU")
_LONGEST_NAME: Final = 100


def _of_numpy(value: object) -> object:
    """Give what JSON's writer is to write for a value that it does not know: numbers and lists of numpy, as a row of a table has them."""
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer) and not isinstance(value, np.timedelta64):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS_OF_NUMPY:
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is no value of JSON")


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_of_numpy)


class Action:
    """One of the things that could be shown, checked and written once: calls with known actions need not do so again.

    ``features`` are kept as they are now. Raises `InvalidRequestError`.
    """

    __slots__ = ("id_text", "known", "text", "values")

    def __init__(self, id: str, features: Features) -> None:
        self.text = _json({"id": id, "features": _listed(features, "features")}, "action")
        read = _read(self.text, "action")
        check_id(read["id"], "id")
        of_action = _checked(read["features"], "features")
        check_has_feature(of_action, "features")
        self.values = of_action.values
        self.known = events.Action(read["id"], tuple(of_action.objects), self.text)
        self.id_text = text_of(read["id"], "id")

    @property
    def id(self) -> str:
        """The id, by which the action is chosen."""
        return self.known.id

    @property
    def features(self) -> tuple[Mapping[str, Any], ...]:
        """The features, as the service reads them."""
        return self.known.features

    def __repr__(self) -> str:
        return f"Action({self.id!r}, {list(self.features)!r})"


class Slot(NamedTuple):
    """A place to fill; ``baseline_action`` is the id of the action that the application itself would show there."""

    id: str
    baseline_action: str
    features: Features = ()
    excluded: Sequence[str] = ()


class Asked(NamedTuple):
    """A call for one slot, and its text on the wire, without the brackets around it."""

    situation: events.Situation
    text: bytes
    actions: Sequence[Action]


class AskedSlots(NamedTuple):
    """A call for several slots, and its text on the wire, without the brackets around it."""

    situation: slots.MultiSlotSituation
    text: bytes


class Listed(NamedTuple):
    """Actions that were offered together: checked, counted and written once."""

    actions: tuple[Action, ...]
    known: tuple[events.Action, ...]
    values: int
    text: bytes


class Reader:
    """Reads requests, and remembers actions that were met lately, and those of the last call."""

    def __init__(self) -> None:
        self._recent: Recent[Action] = Recent(size=_REMEMBERED, longest=_LONGEST_REMEMBERED)
        self._last = Listed((), (), 0, b"")

    def read(self, context: Features, actions: Sequence[Action | Mapping[str, Any]], excluded: Sequence[str]) -> Asked:
        """Read a call for one slot; raises `InvalidRequestError`."""
        given, text = _context(context)
        read = self._actions(actions)
        _check_values(given.values + read.values)
        without = _excluded(excluded)
        situation = events.Situation(tuple(given.objects), read.known, without)
        if without:
            if not any(situation.allowed):
                refuse("excludedActions", "at least one action must not be excluded")
            text += b',"excludedActions":' + _json(sorted(without), "excludedActions")
        return Asked(situation, text + read.text, read.actions)

    def read_slots(self, context: Features, actions: Sequence[Action | Mapping[str, Any]], given_slots: Sequence[Slot]) -> AskedSlots:
        """Read a call for several slots; raises `InvalidRequestError`."""
        given, text = _context(context)
        read = self._actions(actions)
        if not 1 <= len(given_slots) <= MAX_SLOTS:
            refuse("slots", f"there must be 1 to {MAX_SLOTS} slots, not {len(given_slots)}")
        written = [_slot(slot, number) for number, slot in enumerate(given_slots)]
        features = [_checked(each["features"], f"slots[{number}].features") for number, each in enumerate(written)]
        _check_values(given.values * len(written) + read.values + sum([each.values for each in features]))
        asked = tuple(
            [
                slots.Slot(each["id"], each["baselineAction"], tuple(own.objects), frozenset(each["excludedActions"]))
                for each, own in zip(written, features, strict=True)
            ]
        )
        situation = slots.MultiSlotSituation(tuple(given.objects), read.known, asked)
        return AskedSlots(situation, text + read.text + b',"slots":' + _json(written, "slots"))

    def _actions(self, actions: Sequence[Action | Mapping[str, Any]]) -> Listed:
        if not 1 <= len(actions) <= MAX_ACTIONS:
            refuse("actions", f"there must be 1 to {MAX_ACTIONS} actions, not {len(actions)}")
        read = tuple([each if type(each) is Action else self._action(each, index) for index, each in enumerate(actions)])
        last = self._last  # at once: another thread may put its own there
        if read == last.actions:
            return last
        if len({each.known.id for each in read}) < len(read):
            _refuse_equal_ids(read)
        text = b',"actions":[' + b",".join([each.text for each in read]) + b"]"
        listed = Listed(read, tuple([each.known for each in read]), sum([each.values for each in read]), text)
        self._last = listed
        return listed

    def _action(self, given: object, index: int) -> Action:
        text = self._text(given, index)
        known = self._recent.get(text)
        if known is None:
            try:
                known = Action(given["id"], given["features"])  # type: ignore[index]  # a mapping, or its text would be refused
            except InvalidRequestError as cause:
                place = f"actions[{index}].{cause.target}" if cause.target else f"actions[{index}]"
                raise type(cause)(f"actions[{index}].{cause}", target=place) from cause
            self._recent.put(text, known)
        return known

    def _text(self, given: object, index: int) -> bytes:
        """Write a mapping as it is: by that it is known again, unless it was changed."""
        if type(given) is dict and len(given) == 2 and "id" in given and "features" in given and type(given["features"]) in _WRITTEN:
            return _json(given, f"actions[{index}]")
        if not isinstance(given, Mapping) or not given.keys() >= {"id", "features"}:
            refuse(f"actions[{index}]", "must be an Action, or a mapping with 'id' and 'features'")
        return _json({"id": given["id"], "features": _listed(given["features"], f"actions[{index}].features")}, f"actions[{index}]")


def check_id(given: object, where: str) -> str:
    """Give an id that the wire can carry; raises `InvalidRequestError`."""
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_ID_LENGTH:
        refuse(where, f"must be a text of 1 to {MAX_ID_LENGTH} characters")
    return given


class EventIds:
    """New event ids: 128 random bits in hexadecimal. Those of a process that was forked have to be its own."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def of(self, given: str | None) -> str:
        """Give the event id as the service takes it, a new one where there is none; raises `InvalidRequestError`."""
        return event_id_of(given) if given else self._new()

    def _new(self) -> str:
        try:
            return self._ready.pop()
        except IndexError:
            bits = secrets.token_hex(16 * _IDS)  # many at a time: to ask the system takes as long as to rank
            self._ready.extend([bits[place : place + 32] for place in range(32, len(bits), 32)])
            return bits[:32]


def event_id_of(given: str) -> str:
    """Give the event id as the service takes it; raises `InvalidRequestError`."""
    if not isinstance(given, str) or len(given) > MAX_EVENT_ID_LENGTH:
        refuse("eventId", f"must be a text of at most {MAX_EVENT_ID_LENGTH} characters")
    if not can_be_in_a_path(given):
        refuse("eventId", NO_EVENT_ID)
    return with_slashes(given)


def text_of(given: str, where: str) -> bytes:
    """Write a text as JSON; raises `InvalidRequestError` for what is no Unicode."""
    try:
        return json.encoder.encode_basestring(given).encode()
    except UnicodeEncodeError as cause:
        raise InvalidRequestError(f"{where}: cannot be written as JSON: {cause}", target=where) from cause


def _context(context: Features) -> tuple[Checked, bytes]:
    listed = _listed(context, "contextFeatures")
    text = _json(listed, "contextFeatures")
    counts = [_plain_values(each, MAX_DEPTH) for each in listed]
    if -1 in counts:
        return _checked(_read(text, "contextFeatures"), "contextFeatures"), b'"contextFeatures":' + text
    return Checked(listed, sum(counts)), b'"contextFeatures":' + text


def _checked(objects: Sequence[Any], where: str) -> Checked:
    for index, each in enumerate(objects):
        if not isinstance(each, dict):
            refuse(f"{where}[{index}]", "Input should be a JSON object")
    return checked(objects, where)


def _check_values(total: int) -> None:
    if total > MAX_VALUES:
        refuse("actions", f"context and actions may hold at most {MAX_VALUES} feature values together, not {total}")


def _excluded(given: Sequence[str]) -> frozenset[str]:
    if type(given) is tuple and not given:
        return _NOTHING
    if isinstance(given, str) or not isinstance(given, Iterable):
        refuse("excludedActions", "must be ids of actions")
    listed = list(given)  # at once: it may be something that can be gone through only once
    if not all(isinstance(each, str) for each in listed):
        refuse("excludedActions", "must be ids of actions")
    return frozenset(listed)


def _slot(slot: Slot, number: int) -> dict[str, Any]:
    where = f"slots[{number}]"
    if not isinstance(slot, Slot):
        refuse(where, "must be a Slot")
    return {
        "id": check_id(slot.id, f"{where}.id"),
        "baselineAction": check_id(slot.baseline_action, f"{where}.baselineAction"),
        "features": _read(_json(_listed(slot.features, f"{where}.features"), f"{where}.features"), f"{where}.features"),
        "excludedActions": sorted(_excluded(slot.excluded)),
    }


def _refuse_equal_ids(actions: Sequence[Action]) -> NoReturn:
    ids = [each.id for each in actions]
    index = next(index for index, each in enumerate(ids) if each in ids[:index])
    refuse(f"actions[{index}].id", f"actions[{ids.index(ids[index])}] has the same id")


def _listed(features: Features, where: str) -> list[Any]:
    if type(features) is dict:  # quicker to ask than an abstract class
        return [features]
    if type(features) is list and _DICTS.issuperset(map(type, features)):
        return features.copy()
    if isinstance(features, Mapping):
        return [dict(features)]
    if not isinstance(features, list | tuple):
        refuse(where, "must be a mapping, or a list of mappings")
    return [dict(each) if isinstance(each, Mapping) and type(each) is not dict else each for each in features]


def _plain_values(features: object, depth: int) -> int:
    """Count the values of features that are what would be read from their own JSON, and break no rule; -1 for all others.

    Those have to be read and checked. A kind that is merely written as if it were one of JSON's is no plain one.
    """
    if type(features) is not dict or not depth:
        return -1
    total = 0
    for name, value in features.items():
        kind = type(value)
        if type(name) is not str or not name:
            return -1
        if kind in _PLAIN:
            if kind is int and value.bit_length() > _SAFE_BITS:
                return -1
            total += 1
            continue
        if kind is list:
            inside = len(value) if _FLOATS.issuperset(map(type, value)) or _PLAIN_TEXTS.issuperset(map(type, value)) else -1
        else:
            inside = _plain_values(value, depth - 1)
        if inside < 0:
            return -1
        total += inside
    return total


def _read(text: bytes, where: str) -> Any:
    """Read what was written; raises `InvalidRequestError` for a whole number that the service could not read."""
    try:
        return json.loads(text, parse_int=_whole)
    except (OverflowError, RecursionError) as cause:
        raise InvalidRequestError(f"{where}: cannot be read again: {cause}", target=where) from cause


def _whole(digits: str) -> int:
    number = int(digits)
    float(number)  # raises OverflowError
    return number


def _made_once() -> Callable[[object], str]:
    """Give what writes JSON; the standard library makes that anew for each text, which takes longer than to write a short one."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return _encoder.encode
    write = make(None, _encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(write(value, 0))


_write = _made_once()


def _json(value: object, where: str) -> bytes:
    try:
        return _write(value).encode()
    except (TypeError, ValueError, RecursionError) as cause:
        place, why = _place_of_fault(value, where, cause)
        raise InvalidRequestError(f"{place}: cannot be written as JSON: {why}", target=place) from cause


def _place_of_fault(value: object, where: str, cause: Exception, depth: int = MAX_DEPTH) -> tuple[str, Exception]:
    """Name the innermost value that cannot be written, and say why; no deeper than features may be."""
    with suppress(TypeError):
        value = _of_numpy(value)
    inside: Iterable[tuple[str, object]] = ()
    if isinstance(value, dict):
        inside = ((f"{where}.{name[:_LONGEST_NAME]}", each) for name, each in value.items() if isinstance(name, str))
    elif isinstance(value, list | tuple):
        inside = ((f"{where}[{index}]", each) for index, each in enumerate(value))
    for place, each in inside if depth else ():
        try:
            _write(each).encode()
        except (TypeError, ValueError, RecursionError) as found:
            return _place_of_fault(each, place, found, depth - 1)
    if isinstance(value, float):
        return where, ValueError(f"{value} is no number of JSON; leave the feature out")
    return where, cause
