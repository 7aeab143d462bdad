"""What shards of a log add up to: sums that merge by ``+``, in any order and however the log was cut."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Self, cast

import numpy as np
import numpy.typing as npt

from shared.domain.errors import UnreadableError

Floats = npt.NDArray[np.float64]
Summed = Floats
Smallest = Annotated[Floats, np.minimum]
"""Merged by the smaller one."""
Largest = Annotated[Floats, np.maximum]
"""Merged by the larger one."""


class Sums:
    """A frozen dataclass of arrays, `Summed`, `Smallest` or `Largest`, all of one shape: a value for each policy (bucket, bin, ...)."""

    __slots__ = ()

    def __add__(self, other: Self) -> Self:
        if type(self) is not type(other):
            return NotImplemented
        return type(self)(**{name: _merged(kind, getattr(self, name), getattr(other, name)) for name, kind in _kinds(type(self)).items()})

    def taken(self, index: Any) -> Self:
        """Give some of the policies, as an array's index would."""
        return self.each(lambda _, values: np.asarray(values[index]))

    def each(self, change: Callable[[np.ufunc, Floats], Floats]) -> Self:
        """Change every array, knowing what it is merged by."""
        return type(self)(**{name: change(_merge_of(kind), getattr(self, name)) for name, kind in _kinds(type(self)).items()})

    def plain(self) -> dict[str, Any]:
        """Give nothing but mappings, lists and finite numbers."""
        return {name: getattr(self, name).tolist() for name in _kinds(type(self))}

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read back what `plain` gave; raises `UnreadableError` for anything else."""
        kinds = _kinds(cls)
        if not isinstance(plain, Mapping) or set(plain) != set(kinds):
            raise UnreadableError(f"{cls.__name__} consist of {', '.join(kinds)}")
        values = {name: _read(name, plain[name]) for name in kinds}
        if len({value.shape for value in values.values()}) != 1:
            raise UnreadableError(f"not all of {', '.join(kinds)} have the same shape")
        return cls(**values)


def _kinds(cls: type[Sums]) -> dict[str, Any]:
    return {each.name: each.type for each in fields(cast(Any, cls))}


def _merged(kind: Any, mine: Floats, other: Floats) -> Floats:
    if mine.shape != other.shape:
        raise UnreadableError(f"sums of shapes {mine.shape} and {other.shape} do not merge")
    merged: Floats = _merge_of(kind)(mine, other)
    return merged


def _merge_of(kind: Any) -> np.ufunc:
    merge: np.ufunc = getattr(kind, "__metadata__", (np.add,))[0]
    return merge


def _taken(value: Any, index: Any) -> Any:
    return value.taken(index) if isinstance(value, Sums) else np.asarray(value[index])


def _read(name: str, plain: Any) -> Floats:
    try:
        values = np.array(plain, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise UnreadableError(f"{name} is not made of numbers") from cause
    if not np.isfinite(values).all():
        raise UnreadableError(f"{name} holds a number that is not finite")
    return values
