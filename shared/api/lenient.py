"""What a value means that is not quite of its member's kind: the original's binder read such values, and clients have their habits.

Numbers are texts where a text belongs, and texts numbers; ``"true"`` is a boolean, a whole float an integer; null and PHP's empty map,
``[]``, among objects of features are objects, and the empty map is one wherever nothing has to be in it; an object whose names are
numbers, PHP's list with gaps, is a list, and an empty one an empty list. What has no such meaning is left as it is, and refused by who
checks it.
"""

import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from math import isinf
from typing import Annotated, Any, Final, Union, get_args, get_origin

import orjson
from pydantic import BaseModel
from typing_extensions import TypeIs

Place = tuple[str | int, ...]

EMPTY_IS_NONE: Final = "an empty text counts as missing"
"""Marks a text that may be missing, and is when it is empty."""

_LONGEST_NUMBER: Final = 64
_MOST_MODELS: Final = 1_000
"""In a list: longer ones are refused by every body, and so not gone through first."""

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_TRUTHS: Final[Mapping[str, bool]] = {"true": True, "false": False}


class _Written(str):
    """A number as it was written."""

    __slots__ = ()


class Source:
    """A body as it came, to look up how a number in it was written: more digits than a float has may be an id."""

    def __init__(self, body: bytes, *, place: Place = (), root: "Source | None" = None) -> None:
        self._body = body
        self._place = place
        self._root = root or self

    def at(self, *place: str | int) -> "Source":
        """Give the part of the body that stands there."""
        return Source(self._body, place=(*self._place, *place), root=self._root)

    def number(self, place: Place) -> str | None:
        """Give the number that stands there, as it was written; None if there is none."""
        found = self._root._document
        for each in (*self._place, *place):
            found = _inside(found, each)
        return str(found) if isinstance(found, _Written) else None

    @cached_property
    def _document(self) -> object:
        try:
            return json.loads(self._body.decode("utf-8-sig"), parse_int=_Written, parse_float=_Written)
        except (ValueError, RecursionError):
            return None


Mend = Callable[[object, Place, Source | None], object]


def mended(document: object, model: type[BaseModel], source: Source | bytes | None = None) -> object:
    """Give the document with each member as its model has it, where its value means something there.

    Members whose names differ in their case are taken if a member that is required is missing. ``source`` is what the document was
    parsed from.
    """
    return _of_model(model)(document, (), Source(source) if isinstance(source, bytes) else source)


@lru_cache(maxsize=64)
def _of_model(model: type[BaseModel]) -> Mend:
    members = {
        field.alias or name: _of_kind(Annotated[field.annotation, *field.metadata, ""]) for name, field in model.model_fields.items()
    }
    required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}

    def mend(given: object, place: Place, source: Source | None) -> object:
        if given == [] and not required:
            return {}
        if not isinstance(given, dict):
            return given
        names = _names(given, members, takes_any_case=not required or not required <= given.keys())
        rest = {name: value for name, value in given.items() if name not in names.values()}
        return rest | {member: members[member](given[name], (*place, name), source) for member, name in names.items()}

    return mend


def _names(given: Mapping[str, object], members: Mapping[str, Mend], *, takes_any_case: bool) -> dict[str, str]:
    """Give for each member that is there the name that it has in the document."""
    names = {member: member for member in members if member in given}
    if takes_any_case:
        by_case = {name.lower(): name for name in given}
        names |= {each: by_case[each.lower()] for each in members if each not in names and each.lower() in by_case}
    return names


def _of_kind(kind: Any) -> Mend:
    """Give what mends a value of this kind."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *marks = get_args(kind)
        return _text_or_none if EMPTY_IS_NONE in marks else _of_kind(inner)
    if origin in (Union, types.UnionType):
        return _of_kind(next(each for each in get_args(kind) if each is not type(None)))
    if origin is list:
        return _of_list(get_args(kind)[0])
    if _is_object(kind):
        return _of_map(get_args(kind)[1])
    if _is_model(kind):
        return _of_model(kind)
    return _SCALARS.get(origin or kind, _as_it_is)


def _of_list(kind: Any) -> Mend:
    mend_each = _object if _is_object(kind) else _of_kind(kind)
    longest = _MOST_MODELS if _is_model(kind) else None

    def mend(given: object, place: Place, source: Source | None) -> object:
        if longest is not None and isinstance(given, list | dict) and len(given) > longest:
            return given
        if given == {}:
            return []
        if is_list_with_gaps(given):
            return [mend_each(each, (*place, key), source) for key, each in given.items()]
        return [mend_each(each, (*place, index), source) for index, each in enumerate(given)] if isinstance(given, list) else given

    return mend


def _of_map(kind: Any) -> Mend:
    """Give what mends an object whose names are the caller's own, and all of whose values are of this kind."""
    mend_each = _of_kind(kind)

    def mend(given: object, place: Place, source: Source | None) -> object:
        if not isinstance(given, dict):
            return _object_or_null(given, place, source)
        return {name: mend_each(each, (*place, name), source) for name, each in given.items()}

    return _object_or_null if mend_each is _as_it_is else mend


def is_list_with_gaps(given: object) -> TypeIs[dict[str, Any]]:
    """Whether this is what PHP writes of a list after something was taken out of it: an object whose names are numbers."""
    return isinstance(given, dict) and bool(given) and all(name.isascii() and name.isdigit() for name in given)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_object(kind: Any) -> bool:
    inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return (get_origin(inner) or inner) is dict


def _as_it_is(given: object, place: Place, source: Source | None) -> object:
    return given


def _text(given: object, place: Place, source: Source | None) -> object:
    if type(given) is int:
        return str(given)
    if type(given) is not float:
        return given
    return (source.number(place) if source is not None else None) or orjson.dumps(given).decode()


def _text_or_none(given: object, place: Place, source: Source | None) -> object:
    return _text(given, place, source) if given != "" else None


def _number(given: object, place: Place, source: Source | None) -> object:
    if isinstance(given, str) and len(given) <= _LONGEST_NUMBER and _NUMBER.fullmatch(given):
        return float(given)
    return given


def _whole_number(given: object, place: Place, source: Source | None) -> object:
    number = _number(given, place, source)
    return int(number) if isinstance(number, float) and number.is_integer() else given


def is_number(given: object) -> bool:
    """Whether this is a number, or the text of one."""
    return not isinstance(given, bool) and isinstance(_number(given, (), None), int | float)


def is_too_large(number: str) -> bool:
    """Whether a number is none of those that JSON's readers take: it is beyond what a double holds.

    >>> is_too_large("1e999"), is_too_large("-1e308"), is_too_large("1-2")
    (True, False, False)
    """
    try:
        return isinf(float(number))
    except ValueError:
        return False


def _truth(given: object, place: Place, source: Source | None) -> object:
    return _TRUTHS.get(given.strip().lower(), given) if isinstance(given, str) else given


def _object_or_null(given: object, place: Place, source: Source | None) -> object:
    return {} if given == [] else given


def _object(given: object, place: Place, source: Source | None) -> object:
    """Take null and an empty list, PHP's empty map, among objects for one without members."""
    return {} if given is None or given == [] else given


_SCALARS: Final[Mapping[object, Mend]] = {str: _text, float: _number, int: _whole_number, bool: _truth}


def _inside(document: object, place: str | int) -> object:
    if isinstance(document, list) and isinstance(place, int):
        return document[place] if place < len(document) else None
    if isinstance(document, dict) and isinstance(place, int):
        return _inside(list(document.values()), place)
    if isinstance(document, dict) and isinstance(place, str):
        return document[place] if place in document else {name.lower(): value for name, value in document.items()}.get(place.lower())
    return None


def place_of_no_number(text: str) -> Sequence[str | int] | None:
    """Give where the first NaN, Infinity or number that is too large stands in what would be JSON otherwise.

    >>> place_of_no_number('{"a": [1, {"b": NaN}]}'), place_of_no_number('{"c": 1e999}')
    (('a', 1, 'b'), ('c',))
    """
    found = object()

    def read(number: str) -> object:
        return found if is_too_large(number) else None

    try:
        return _place_of(found, json.loads(text, parse_constant=lambda _: found, parse_float=read, parse_int=read), ())
    except (ValueError, RecursionError):
        return None


def _place_of(sought: object, document: object, place: Place) -> Place | None:
    if document is sought:
        return place
    if not isinstance(document, dict | list):
        return None
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    return next((found for name, value in inner if (found := _place_of(sought, value, (*place, name))) is not None), None)
