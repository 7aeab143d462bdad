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
    """What was asked, whoever writes it how."""

    context: tuple[Features, ...]
    actions: tuple[Action, ...]
    slots: tuple[Slot, ...]
    baseline_id: str


class AskedReader:
    """Reads what lines asked, one after another."""

    def __init__(self) -> None:
        self._recent: Recent[tuple[Action, bool]] = Recent(size=_REMEMBERED_ACTIONS, longest=_LONGEST_REMEMBERED)

    def read(self, text: msgspec.Raw) -> Asked:
        """Give what a line asked; ``text`` is its ``c``. Raises as the decoders of JSON, and `UnreadableError`."""
        c = _MEMBERS.decode(text)
        listed = _LIST.decode(c.get("_multi", b"[]"))
        if not 1 <= len(listed) <= MAX_ACTIONS:
            refuse(f"c has {len(listed)} actions (_multi): there may be 1 to {MAX_ACTIONS}")
        others = {name: _loaded(bytes(text)) for name, text in c.items() if name != "_multi"}
        slot, slots = others.get("_slot"), others.get("_slots")
        return Asked(
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
                    refuse(f"two actions have the id {action.id!r}")
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
        refuse(f"action {number} is not an object")
    if "_slot_id" in given:
        raise KindNotReadError("lines of slates, where each slot has actions of its own, are not read")
    identity = given.get("i")
    is_identity = isinstance(identity, dict) and "id" in identity and identity.keys() <= {"id", "constant"}
    features = _objects(given, listed="j", without=("i",) if is_identity else ())
    named = _given_id(given)
    if len(named) > MAX_ID_LENGTH:
        refuse(f"the id of action {number} has {len(named)} characters: at most {MAX_ID_LENGTH} are read")
    action_id = named or hashlib.sha256(orjson.dumps(features)).hexdigest()[:12]
    return Action(action_id, features, action_text(action_id, features)), bool(named)


def _given_id(given: Mapping[str, Any]) -> str:
    identity = given.get("i")
    found = identity.get("id") if isinstance(identity, dict) else None
    if found is None:
        found = given.get("_tag")
    return str(found) if isinstance(found, str | int | float) else ""


def _slot(given: Any) -> Slot:
    if not isinstance(given, dict):
        refuse("a slot is not an object")
    found = given.get("_id")
    return Slot(found if isinstance(found, str) else "", _objects(given, listed="j"))


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
