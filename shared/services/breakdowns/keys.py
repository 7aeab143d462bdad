"""What events are told apart by: the action that was shown, and the value that a feature of the context had."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final

import orjson

from shared.domain.errors import UnreadableError
from shared.domain.events import Decision, Features, JsonValue
from shared.joining.dsjson import read_parts, read_situation

LONGEST: Final = 128
"""Bytes of an id or a value; of a longer one the beginning is kept, and a hash tells it from others that begin so."""

NO_VALUE: Final = ""
"""The key of events without the feature; the keys of all others begin with `_VALUE`."""

_VALUE: Final = "="
_DIGITS: Final = 8
_SIGNIFICANT: Final = 2
_ACTION: Final = b'{"i":{"id":'
_END: Final = b'},"j":'
"""Around an action's id in a logged situation. Neither can be part of a string there: its quotes would be escaped."""


def cut(text: str) -> str:
    """Give a text of at most `LONGEST` bytes that stands for this one.

    >>> cut("short"), len(cut("long" * 100).encode()), cut("long" * 100)[-9:]
    ('short', 128, '…0184fa9c')
    """
    written = text.encode("utf-8", "replace")
    if len(written) <= LONGEST:
        return text
    end = f"…{sha256(written).hexdigest()[:_DIGITS]}"
    return written[: LONGEST - len(end.encode())].decode("utf-8", "ignore") + end


def value_key(value: JsonValue) -> str:
    """Give the key of a feature's value: a text as it is, a whole number too, another number with two digits, and the rest as JSON.

    >>> value_key("mobile"), value_key(30), value_key(0.1234), value_key(True), value_key(["a", "b"]), value_key(None)
    ('=mobile', '=30', '=0.12', '=true', '=["a","b"]', '=null')
    """
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{_SIGNIFICANT}g}")
    try:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
    except TypeError:  # a number or a depth that JSON can be read with, but not written
        text = str(value)
    return _VALUE + cut(text)


def value_of(key: str) -> str | None:
    """Give the value that a key tells, None for `NO_VALUE`.

    >>> value_of("=mobile"), value_of("")
    ('mobile', None)
    """
    return None if key == NO_VALUE else key.removeprefix(_VALUE)


def found_value(context: Sequence[Features], feature: str) -> str:
    """Give the key of the first value that a context has for a feature, which is named as in a feature importance.

    >>> found_value(({"user": {"device": "phone"}}, {"device": "tv"}), "user.device"), found_value(({"user": {"device": "phone"}},), "age")
    ('=phone', '')
    """
    for features in context:
        for value in _values(features, feature):
            return value_key(value)
    return NO_VALUE


def _values(features: Mapping[str, JsonValue], path: str) -> Iterator[JsonValue]:
    if path in features:
        yield features[path]
    for end, character in enumerate(path):
        inner = features.get(path[:end]) if character == "." else None
        if isinstance(inner, dict):
            yield from _values(inner, path[end + 1 :])


class KeyReader:
    """Reads what the situations of a window are told apart by; what recurs, to the last byte, is read once.

    ``feature`` is "" where no values are asked for.
    """

    def __init__(self, feature: str) -> None:
        self._feature = feature
        self._ids: dict[bytes, str] = {}
        self._values: dict[bytes, str] = {}

    def read(self, decision: Decision) -> tuple[str, str] | None:
        """Give the key of the action that was shown and that of the feature's value; None for a situation that cannot be read."""
        text, count = decision.situation, len(decision.probabilities)
        try:
            if text.count(_ACTION) != count:  # a feature looks like an action
                return self._read_slowly(decision)
            parts = text.split(_ACTION, decision.chosen + 2)
            return self._id(parts[decision.chosen + 1].partition(_END)[0]), self._value(parts[0])
        except (UnreadableError, orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
            return None

    def _id(self, text: bytes) -> str:
        found = self._ids.get(text)
        if found is None:
            found = self._ids[text] = cut(str(orjson.loads(text)))
        return found

    def _value(self, before_actions: bytes) -> str:
        if not self._feature:
            return NO_VALUE
        found = self._values.get(before_actions)
        if found is None:
            context = orjson.loads(before_actions + b"]}")["FromUrl"]
            found = self._values[before_actions] = found_value(context, self._feature)
        return found

    def _read_slowly(self, decision: Decision) -> tuple[str, str]:
        action = read_situation(decision.situation).actions[decision.chosen]
        value = found_value(read_parts(decision.situation).context, self._feature) if self._feature else NO_VALUE
        return cut(action.id), value
