"""The rules for feature objects, which are the caller's own JSON and so have no schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_DEPTH = 32
_NUMBERS = frozenset({int, float})
_TEXTS = frozenset({str})
MAX_VALUES = 50_000
"""In one request: an embedding of 768 numbers for each of 50 actions, and room beside it."""

MAX_PLACES = 3
"""Where features without a name are told of, in each list of objects."""


def problem(objects: Sequence[Mapping[str, Any]], where: str) -> tuple[str, str] | None:
    """Find the first broken rule, as the place and what is wrong there; None when all is well.

    >>> problem([{"user": {"age": 30, "tags": [1, "two"]}}], "contextFeatures")
    ('contextFeatures[0].user.tags[1]', 'an array of features may hold only numbers, or only texts')
    """
    for index, features in enumerate(objects):
        for found in _problems(features, f"{where}[{index}]", MAX_DEPTH):
            return found
    return None


def count_values(objects: Sequence[Mapping[str, Any]]) -> int | None:
    """Count the single values inside; None if a rule is broken, which `problem` then names.

    This is what every Rank pays for, and `problem` only what is refused.

    >>> count_values([{"a": 1, "b": {"c": [1, 2, 3], "d": None}}]), count_values([{"a": ["one", 1]}])
    (5, None)
    """
    counts = [_count(features, MAX_DEPTH) for features in objects]
    return None if any(count < 0 for count in counts) else sum(counts)


def with_names(objects: Sequence[Mapping[str, Any]], where: str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Leave out features whose name is empty, as in PHP's and Python's empty keys; gives the rest, and where they were.

    >>> with_names([{"": 1, "user": {"": 2, "age": 30}}], "contextFeatures")
    ([{'user': {'age': 30}}], ('contextFeatures[0]', 'contextFeatures[0].user'))
    """
    found: list[tuple[str, ...]] = []
    named = [_named(features, (f"{where}[{index}]",), MAX_DEPTH, found) for index, features in enumerate(objects)]
    return named, tuple([".".join(place) for place in found])


def has_value(value: object) -> bool:
    """Whether there is anything but nulls and empty objects inside.

    >>> has_value({"a": {"b": None}}), has_value({"a": {"b": 0}})
    (False, True)
    """
    kind = type(value)
    if kind is not dict and kind is not list:
        return value is not None
    inner = value.values() if isinstance(value, dict) else value
    return any(has_value(inside) for inside in inner)  # type: ignore[attr-defined]  # a list


def _count(features: Mapping[str, Any], depth: int) -> int:
    """Count the values, or give a negative number if a rule is broken."""
    if depth == 0 or "" in features:
        return -1
    total = 0
    for value in features.values():
        kind = type(value)
        if kind is dict:
            inside = _count(value, depth - 1)
            if inside < 0:
                return -1
            total += inside
        elif kind is list:
            if not _NUMBERS.issuperset(map(type, value)) and not _TEXTS.issuperset(map(type, value)):
                return -1
            total += len(value)
        else:
            total += 1
    return total


def _named(features: Mapping[str, Any], where: tuple[str, ...], depth: int, found: list[tuple[str, ...]]) -> dict[str, Any]:
    """Copy without what has no name, as deep as features may be; what is deeper is left to be refused."""
    if "" in features and len(found) < MAX_PLACES:
        found.append(where)
    return {
        name: _named(value, (*where, name), depth - 1, found) if depth and isinstance(value, dict) else value
        for name, value in features.items()
        if name
    }


def _problems(features: Mapping[str, Any], where: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth == 0:
        yield where, f"features may be nested at most {MAX_DEPTH} levels deep"
        return
    for name, value in features.items():
        if not name:
            yield where, "a feature's name may not be empty"
        elif isinstance(value, dict):
            yield from _problems(value, f"{where}.{name}", depth - 1)
        elif isinstance(value, list):
            kinds = _TEXTS if value and type(value[0]) is str else _NUMBERS
            for index, element in enumerate(value):
                if type(element) not in kinds:
                    yield f"{where}.{name}[{index}]", "an array of features may hold only numbers, or only texts"
