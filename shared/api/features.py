"""The rules for feature objects, which are the caller's own JSON and so have no schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_DEPTH = 32
MAX_VALUES = 50_000
"""In one request: an embedding of 768 numbers for each of 50 actions, and room beside it."""


def problem(objects: Sequence[Mapping[str, Any]], where: str) -> tuple[str, str] | None:
    """Find the first broken rule, as the place and what is wrong there; None when all is well.

    >>> problem([{"user": {"age": 30, "tags": [1, "two"]}}], "contextFeatures")
    ('contextFeatures[0].user.tags[1]', 'an array of features may hold only numbers')
    """
    for index, features in enumerate(objects):
        for found in _problems(features, f"{where}[{index}]", MAX_DEPTH):
            return found
    return None


def has_value(value: object) -> bool:
    """Whether there is anything but nulls and empty objects inside.

    >>> has_value({"a": {"b": None}}), has_value({"a": {"b": 0}})
    (False, True)
    """
    if isinstance(value, Mapping):
        return any(map(has_value, value.values()))
    if isinstance(value, list):
        return any(map(has_value, value))
    return value is not None


def count_values(value: object) -> int:
    """Count the single values inside.

    >>> count_values([{"a": 1, "b": {"c": [1, 2, 3], "d": None}}])
    5
    """
    if isinstance(value, dict):
        return sum(map(count_values, value.values()))
    if isinstance(value, list):
        return sum(map(count_values, value)) if value and isinstance(value[0], dict) else len(value)
    return 1


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
            for index, element in enumerate(value):
                if isinstance(element, bool) or not isinstance(element, int | float):
                    yield f"{where}.{name}[{index}]", "an array of features may hold only numbers"
