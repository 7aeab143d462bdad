"""What a change depends on: that nobody else has changed the same meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from shared.domain.errors import PreconditionFailedError


def tag_of(*values: object) -> str:
    """Give a tag that tells these values from others: equal values have equal tags in every process.

    >>> tag_of("a", 1) == tag_of("a", 1), tag_of("a", 1) == tag_of("a", 2)
    (True, False)
    """
    return sha256(repr(values).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to be so for a change to be made.

    With ``tags``, what is changed has to have one of them; with ``is_new``, there must be nothing yet.
    """

    tags: Sequence[str] | None = None
    is_new: bool = False

    def check(self, tag: str | None, what: str) -> None:
        """Raise `PreconditionFailedError` unless it is so; ``tag`` is that of what is there, None if there is nothing."""
        if self.is_new and tag is not None:
            raise PreconditionFailedError(f"{what} is there already, and was only to be made if it is not (If-None-Match)")
        if self.tags is not None and tag not in self.tags:
            raise PreconditionFailedError(f"{what} has changed since it was read (If-Match): read it again")


ANY: Final = Condition()
"""Of a change that is made in any case."""
