"""What a line of others asked: its ``c``, read as context, actions and slots."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from shared.domain.errors import KindNotReadError
from shared.domain.events import Action, Features
from shared.domain.recent import Recent
from shared.joining.dsjson import action_text
from shared.joining.foreign.line import MAX_ID_LENGTH, refuse

MAX_ACTIONS: Final = 1_000
MAX_DEPTH: Final = 32
"""Of features, as Rank takes them."""
_MAX_LEVELS: Final = MAX_DEPTH + 3
"""With the action and the list that features stand in, and an array of numbers inside."""

_REMEMBERED_ACTIONS: Final = 1 << 12
_LONGEST_REMEMBERED: Final = 1 << 12

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot as it was asked for; without an id of its own it has ""."""

    id: str
    features: tuple[Features, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, whoever writes it how; it ``has_twins`` if actions had the same id, and got others."""

    context: tuple[Features, ...]
    actions: tuple[Action, ...]
    slots: tuple[Slot, ...]
    baseline_id: str
    has_twins: bool


class AskedReader:
    """Reads what lines asked, one after another."""

    def __init__(self) -> None:
        self._recent: Recent[Action] = Recent(size=_REMEMBERED_ACTIONS, longest=_LONGEST_REMEMBERED)

    def read(self, text: msgspec.Raw) -> Asked:
        """Give what a line asked; ``text`` is its ``c``. Raises as the decoders of JSON, and `UnreadableError`."""
        c = _members(text)
        listed = _list(c.get("_multi", msgspec.Raw(b"[]")))
        if not 1 <= len(listed) <= MAX_ACTIONS:
            refuse(f"c has {len(listed)} actions (_multi): there may be 1 to {MAX_ACTIONS}")
        actions = self._actions(listed)
        has_twins = len({action.id for action in actions}) < len(actions)
        others = {name: _loaded(bytes(text)) for name, text in c.items() if name != "_multi"}
        slot, slots = others.get("_slot"), others.get("_slots")
        return Asked(
            context=_objects(others, listed="FromUrl"),
            actions=_apart(actions) if has_twins else actions,
            slots=tuple(map(_slot, slots)) if isinstance(slots, list) else (),
            baseline_id=str(slot.get("baseline", "")) if isinstance(slot, dict) else "",
            has_twins=has_twins,
        )

    def _actions(self, listed: Sequence[msgspec.Raw]) -> tuple[Action, ...]:
        return tuple([self._action(bytes(text), number) for number, text in enumerate(listed, start=1)])

    def _action(self, text: bytes, number: int) -> Action:
        """Read an action; most lines have the same ones."""
        known = self._recent.get(text)
        if known is None:
            known = _read_action(_loaded(text), number)
            self._recent.put(text, known)
        return known


def _members(text: msgspec.Raw) -> dict[str, msgspec.Raw]:
    if bytes(text)[:1] != b"{":
        refuse("c is not an object, so the request is not known")
    return _MEMBERS.decode(text)


def _list(text: msgspec.Raw) -> list[msgspec.Raw]:
    if bytes(text)[:1] != b"[":
        refuse("the actions (_multi) are no list")
    return _LIST.decode(text)


def told_apart(ids: Sequence[str]) -> list[str]:
    """Give ids that differ: of several alike, all but the first are named by their place, from 1.

    >>> told_apart(["a", "b", "a", "a-3"])
    ['a', 'b', 'a-3-3', 'a-3']
    """
    taken, seen, found = set(ids), set[str](), list[str]()
    for number, given in enumerate(ids, start=1):
        made, suffix = given, f"-{number}"
        while made in seen or (made != given and made in taken):
            made = given[: MAX_ID_LENGTH - len(suffix)] + suffix
            suffix += f"-{number}"
        seen.add(made)
        found.append(made)
    return found


def _objects(members: Mapping[str, Any], *, listed: str, without: Iterable[str] = ()) -> tuple[Features, ...]:
    """Give feature objects as Rank gets them: those that stand in a list under this name, or alone, and all other members as one object."""
    left_out = set(without)
    inner: Sequence[Any] = ()
    found = members.get(listed)
    if isinstance(found, list | dict):
        told = [each for each in (found if isinstance(found, list) else [found]) if each not in (None, [])]  # Rank takes both for none
        if all(isinstance(each, dict) for each in told):
            inner = told
            left_out.add(listed)
    others = {name: value for name, value in members.items() if not name.startswith("_") and name not in left_out}
    return (*inner, others) if others else tuple(inner)


def _apart(actions: Sequence[Action]) -> tuple[Action, ...]:
    ids = told_apart([action.id for action in actions])
    return tuple([each if each.id == made else Action(made, each.features) for each, made in zip(actions, ids, strict=True)])


def _read_action(given: Any, number: int) -> Action:
    """Give an action with the id that it has; one without is known by what it looks like."""
    if not isinstance(given, dict):
        refuse(f"action {number} is not an object")
    if "_slot_id" in given:
        raise KindNotReadError("lines of slates, where each slot has actions of its own, are not read")
    features = _objects(given, listed="j", without=_identity(given))
    named = _given_id(given, "_tag")
    if len(named) > MAX_ID_LENGTH:
        refuse(f"the id of action {number} has {len(named)} characters: at most {MAX_ID_LENGTH} are read")
    action_id = named or hashlib.sha256(orjson.dumps(features)).hexdigest()[:12]
    return Action(action_id, features, action_text(action_id, features))


def _identity(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the member that tells an id, and no feature."""
    identity = given.get("i")
    return ("i",) if isinstance(identity, dict) and "id" in identity and identity.keys() <= {"id", "constant"} else ()


def _given_id(given: Mapping[str, Any], other: str) -> str:
    identity = given.get("i")
    found = identity.get("id") if isinstance(identity, dict) else None
    if found is None:
        found = given.get(other)
    return str(found) if isinstance(found, str | int | float) else ""


def _slot(given: Any) -> Slot:
    if not isinstance(given, dict):
        refuse("a slot is not an object")
    named = _given_id(given, "_id")
    if len(named) > MAX_ID_LENGTH:
        refuse(f"the id of a slot has {len(named)} characters: at most {MAX_ID_LENGTH} are read")
    return Slot(named, _objects(given, listed="sj" if "sj" in given else "j", without=_identity(given)))


def _loaded(text: bytes) -> Any:
    value = orjson.loads(text)
    if text.count(b"{") + text.count(b"[") > _MAX_LEVELS and _is_deep(value, _MAX_LEVELS):
        refuse(f"features may be nested at most {MAX_DEPTH} levels deep")
    return value


def _is_deep(value: Any, left: int) -> bool:
    """Whether there are more than so many objects and arrays within one another."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_is_deep(each, left - 1) for each in inner)
