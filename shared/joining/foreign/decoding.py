"""A line of others as it was written becomes one of ours, also where members have another type than usual, but one meaning."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.domain.errors import KindNotReadError, NoLogError, UnreadableError
from shared.domain.events import SkipReason
from shared.joining.foreign.line import LINE, Held, Line, Outcome, Proposed, Report, State, as_float, refuse

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

_NUMBER: Final = re.compile(r"\s*[-+]?\d{1,40}(?:\.\d{0,40})?(?:[eE][-+]?\d{1,3})?\s*")
_LARGEST_POSITION: Final = 1 << 53
"""Up to it a number of double precision is exact."""

_FLAGS: Final = {True: True, False: False, "true": True, "false": False, "1": True, "0": False, "": False}

_EXAMPLE: Final = re.compile(rb'"(?:_multi|_label)"\s*:')
_LABELS: Final = {name.lower(): name for name in ("_label_cost", "_label_probability", "_label_Action", "_labelIndex")}
"""Vowpal Wabbit reads these in any case."""
_OTHER_CASE: Final = re.compile(rb'"(?!(?:%b)")(?i:%b)"' % ((b"|".join(name.encode() for name in _LABELS.values()),) * 2))

_NO_NUMBER: Final = re.compile(rb"-?(?:NaN|Infinity|nan|inf)")
_BEGUN: Final = (1, 0, 4)
"""Bytes of it before the place that the decoder tells: a sign, none, or as many as null has."""

_PLACE: Final = re.compile(r"\(byte (\d+)\)$")
_NAME: Final = re.compile(rb'"((?:[^"\\\\]|\\\\.){1,100})"\s*:')
_BEFORE: Final = 200


def decoded(text: bytes) -> Line:
    """Decode a line; raises `UnreadableError`, saying why, for one that is no event, or of a kind that is not read."""
    try:
        line = LINE.decode(text)
    except msgspec.ValidationError as cause:
        line = _leniently(text, because=cause)
    except (msgspec.DecodeError, RecursionError) as cause:
        raise _no_json(text, cause) from cause
    if line.continuous is not None:
        raise KindNotReadError("lines of continuous actions (_label_ca) are not read: there is no list of actions that one was chosen from")
    if not bytes(line.c):
        raise _without_question(line, text)
    if _lacks_something(line) and _OTHER_CASE.search(text):
        return _leniently(text)
    return line


def _lacks_something(line: Line) -> bool:
    """Whether a line without slots does not tell its cost, its choice or a probability."""
    is_chosen = line.index is not None or line.action is not None or bool(line.a)
    return line.outcomes is None and not (line.cost is not None and is_chosen and (line.p is not None or line.probability is not None))


def _without_question(line: Line, text: bytes) -> UnreadableError:
    """Say what a line is that has no ``c``: a reward without its decision, an event that lacks it, or nothing of a log."""
    if _EXAMPLE.search(text):
        return KindNotReadError("a line of Vowpal Wabbit's --json format, which holds no events: only dsjson is read")
    if line.cost is not None or line.outcomes is not None or line.index is not None or line.action is not None:
        return UnreadableError("c is missing, so the request is not known")
    if line.event_id or line.dangling is not None or line.queued_at is not None:
        return KindNotReadError("a reward without its decision")
    return NoLogError("JSON that holds no event")


def _no_json(text: bytes, cause: Exception) -> UnreadableError:
    """Say why a line cannot be decoded; what Python's json.dumps writes in place of numbers is called by its name."""
    place = _PLACE.search(str(cause))
    at = int(place[1]) if place else len(text)
    found = next(filter(None, [_NO_NUMBER.match(text, max(at - begun, 0)) for begun in _BEGUN]), None)
    if found is None:
        return UnreadableError(f"not a line of dsjson: {cause}")
    names = _NAME.findall(text, max(found.start() - _BEFORE, 0), found.start())
    where = f" at {names[-1].decode(errors='replace')}" if names else ""
    writer = ", though Python's json.dumps writes it" if found[0].endswith((b"NaN", b"Infinity")) else ""
    return UnreadableError(f"{found[0].decode()}{where} is not a number in JSON{writer}: write null, or leave the member out")


# --- members of another type ---------------------------------------------------------------------------------------------


def _leniently(text: bytes, because: Exception | None = None) -> Line:
    """Decode a line with members of other types, or labels in another case; raises `UnreadableError` for one that has no meaning."""
    try:
        members = _MEMBERS.decode(text)
    except msgspec.ValidationError as cause:
        raise UnreadableError(f"not a line of dsjson: {because or cause}") from cause
    except (msgspec.DecodeError, RecursionError) as cause:
        raise _no_json(text, cause) from cause
    members = {_LABELS.get(name.lower(), name): value for name, value in members.items()} | {
        name: members[name] for name in _LABELS.values() if name in members
    }
    given = {field: _read(members[name], name, read) for name, (field, read) in _LINE_MEMBERS.items() if name in members}
    return Line(c=members.get("c", msgspec.Raw(b"")), **given)


def _read(text: msgspec.Raw, name: str, read: Callable[[Any, str], Any]) -> Any:
    try:
        return read(msgspec.json.decode(text), name)
    except (msgspec.MsgspecError, RecursionError) as cause:
        raise UnreadableError(f"{name} cannot be read: {cause}") from cause


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise UnreadableError(f"{name} is no number")
    number = as_float(value)
    if number is None:
        refuse(f"{name} is larger than any number that can be read")
    return number


def _position(value: Any, name: str) -> int | None:
    number = _number(value, name)
    if number is None:
        return None
    if abs(number) > _LARGEST_POSITION or number != int(number):
        refuse(f"{name} is no whole number")
    return int(number)


def _flag(value: Any, name: str) -> bool:
    if value is None:
        return False
    if isinstance(value, str):
        value = value.strip().lower()
    found = _FLAGS.get(value) if isinstance(value, str | int | float) else None
    if found is None:
        refuse(f"{name} is neither true nor false")
    return found


def _text(value: Any, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise UnreadableError(f"{name} is no text")


def _some_text(value: Any, name: str) -> str:
    return _text(value, name) or ""


def _time(value: Any, name: str) -> datetime | None:
    """Take a time in any form of ISO 8601, also one that says neither seconds nor a time of day."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        pass
    try:
        return datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError) as cause:
        raise UnreadableError(f"{name} is not a time such as 2023-05-17T08:30:00Z") from cause


def _time_if_told(value: Any) -> datetime | None:
    """Take the time of an observation where it is one; it decides nothing."""
    try:
        return _time(value, "")
    except UnreadableError:
        return None


def _text_if_told(value: Any) -> str | None:
    return None if isinstance(value, bool | list | dict) else _text(value, "")


def _proposed(value: Any, _: str) -> Proposed | None:
    return msgspec.convert(value, Proposed | None)


def _held(value: Any, _: str) -> Held | None:
    return msgspec.convert(value, Held | None)


def _skip(value: Any, _: str) -> SkipReason | None:
    return msgspec.convert(value, SkipReason | None)


def _whatever(value: Any, _: str) -> Any:
    return value


def _state(value: Any, _: str) -> State | None:
    """Take the model's version where there is one; the state decides nothing."""
    found = value.get("m") if isinstance(value, dict) else value
    return State(str(found)) if isinstance(found, str | int | float) else None


def _positions(value: Any, name: str) -> list[int] | None:
    found = None if value is None else [_position(each, name) for each in _listed(value)]
    return None if found is None else _all_there(found, name)


def _baselines(value: Any, name: str) -> list[int] | None:
    """Take the slots' own actions; a slot that has none may be null."""
    return None if value is None else [-1 if each is None else _position(each, name) or 0 for each in _listed(value)]


def _numbers(value: Any, name: str) -> list[float] | None:
    found = None if value is None else [_number(each, name) for each in _listed(value)]
    return None if found is None else _all_there(found, name)


def _all_there(values: list[Any], name: str) -> Any:
    if any(each is None for each in values):
        refuse(f"{name} holds null")
    return values


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _reports(value: Any, name: str) -> list[Report]:
    """Take the observations that are objects; others tell nothing that the cost does not."""
    return [_report(each, name) for each in _listed(value) if isinstance(each, dict)]


def _report(given: dict[str, Any], name: str) -> Report:
    return Report(
        event_id=_text_if_told(given.get("EventId")),
        ts=_time_if_told(given.get("ts")),
        v=given.get("v"),
        is_activation=_flag(given.get("ActionTaken"), f"{name}.ActionTaken"),
    )


def _outcomes(value: Any, name: str) -> list[Outcome] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        refuse(f"{name} is no list")
    return [_outcome(each, f"{name}[{number}]") for number, each in enumerate(value)]


def _outcome(given: Any, name: str) -> Outcome:
    """Take what came of a slot; one of which nothing came may be null."""
    if given is None:
        return Outcome()
    if not isinstance(given, dict):
        refuse(f"{name} is no object")
    found = {
        field: read(given[member], f"{name}.{member}")
        for member, (field, read) in _OUTCOME_MEMBERS.items()
        if given.get(member) is not None
    }
    return Outcome(**found)


_OUTCOME_MEMBERS: Final[dict[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "_label_cost": ("cost", _number),
    "_original_label_cost": ("original", _number),
    "_a": ("numbers", _positions),
    "_p": ("chances", _numbers),
    "_o": ("reports", _reports),
}

_LINE_MEMBERS: Final[dict[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "_label_cost": ("cost", _number),
    "_original_label_cost": ("original", _number),
    "_label_probability": ("probability", _number),
    "_label_Action": ("action", _position),
    "_labelIndex": ("index", _position),
    "o": ("reports", _reports),
    "Timestamp": ("decided_at", _time),
    "EventId": ("event_id", _text),
    "Mode": ("mode", _text),
    "DeferredAction": ("deferred", _flag),
    "a": ("a", _positions),
    "p": ("p", _numbers),
    "VWState": ("state", _state),
    "_skipLearn": ("is_skipped", _flag),
    "_deferred": ("is_deferred", _flag),
    "pdrop": ("pdrop", _number),
    "_outcomes": ("outcomes", _outcomes),
    "_ba": ("baselines", _baselines),
    "Slot": ("slot", _some_text),
    "Proposed": ("proposed", _proposed),
    "Holdout": ("held", _held),
    "SkipReason": ("skip", _skip),
    "RewardValue": ("dangling", _whatever),
    "EnqueuedTimeUtc": ("queued_at", _whatever),
    "_label_ca": ("continuous", _whatever),
}
"""How each member of a line is read; a test compares it with `Line`."""
