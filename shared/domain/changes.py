"""What was changed in a loop by its owners: when, by whom, from what to what."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

MOST_TOLD: Final = 500
"""Changes that are kept of a loop, the newest ones."""

SERVICE: Final = "service"
"""Who changes something that nobody has asked for by a call, as automatic optimisation does."""

ADMINISTRATOR: Final = "administrator"


class ChangeKind(StrEnum):
    """What was changed."""

    SETTINGS = "settings"
    POLICY = "policy"
    TIER = "tier"
    KEYS = "keys"
    LOOP_MADE = "loopMade"
    MODEL_IMPORTED = "modelImported"
    MODEL_RESTORED = "modelRestored"
    MODEL_DELETED = "modelDeleted"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the settings, or another thing that has a name: what it was and what it is (None: nothing, or a secret)."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change. It ``is_certain`` once it is known to be stored; one that is not was begun, and perhaps broken off."""

    at: datetime
    by: str
    kind: ChangeKind
    members: tuple[Member, ...] = ()
    is_certain: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))


_caller: ContextVar[str] = ContextVar("caller", default=SERVICE)


@contextmanager
def called_by(name: str) -> Iterator[None]:
    """Let what is changed inside be told of as changed by the holder of this key, which is named and never told."""
    token = _caller.set(name)
    try:
        yield
    finally:
        _caller.reset(token)


def caller() -> str:
    """Tell who changes something now.

    >>> with called_by("key 1"):
    ...     caller()
    'key 1'
    >>> caller()
    'service'
    """
    return _caller.get()


def newest_first(changes: Sequence[Change], *, most: int) -> list[Change]:
    """Give the newest changes."""
    return [*reversed(changes)][:most]
