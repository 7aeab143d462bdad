"""Faults that are put into the service, one at a time, to see whether the simulation finds them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final


def plant(name: str) -> None:
    """Put a fault into the service, for the rest of this process; none without a name."""
    if name:
        PLANTED[name]()


PLANTED: Final[Mapping[str, Callable[[], None]]] = MappingProxyType({})
