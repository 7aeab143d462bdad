"""The rules of a Rank call that no schema says: for the service, and for applications that decide in their own process.

Nothing here needs more than the standard library.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn

from shared.api.features import count_values, has_value, problem, with_names
from shared.domain.errors import InvalidRankRequestError

MAX_ACTIONS: Final = 50
MAX_SLOTS: Final = 50
MAX_ID_LENGTH: Final = 256
MAX_EVENT_ID_LENGTH: Final = 256
MAX_PLACE_LENGTH: Final = 200
"""Feature names are part of the places that errors name, and may be as long as the body."""

NO_EVENT_ID: Final = "An event id may not be '.' or '..' nor hold a NUL: no Reward call could name it"
_ENCODED_SLASH = re.compile("%2F", re.IGNORECASE)


def with_slashes(text: str) -> str:
    """Decode slashes, which hosts leave encoded in the path when they decode all else.

    >>> with_slashes("a%2Fb c")
    'a/b c'
    """
    return _ENCODED_SLASH.sub("/", text) if "%" in text else text


def can_be_in_a_path(event_id: str) -> bool:
    """Whether a Reward call could name this event: a dot segment is resolved away, and a NUL is refused by servers.

    >>> can_be_in_a_path("e1"), can_be_in_a_path("..")
    (True, False)
    """
    return event_id not in {".", ".."} and "\0" not in event_id


class Checked(NamedTuple):
    """Feature objects that break no rule, how many values they have, and where features without a name were left out."""

    objects: Sequence[dict[str, Any]]
    values: int
    left_out: tuple[str, ...] = ()


def checked(objects: Sequence[dict[str, Any]], where: str) -> Checked:
    """Check the features at this place of a body, without those that have no name; raises `InvalidRankRequestError`."""
    count = count_values(objects)
    if count is not None:
        return Checked(objects, count)
    named, left_out = with_names(objects, where)
    count = count_values(named)
    if count is None:
        refuse(*(problem(named, where) or (where, "these features break a rule")))
    return Checked(named, count, left_out)


def check_has_feature(features: Checked, where: str) -> None:
    """Refuse an action that has no feature; one whose features had no name is left with its id. Raises `InvalidRankRequestError`."""
    if not features.left_out and not has_value(features.objects):
        refuse(where, "an action needs at least one feature that is not null")


def refuse(where: str, what: str) -> NoReturn:
    """Raise `InvalidRankRequestError`, which names the place."""
    place = where if len(where) <= MAX_PLACE_LENGTH else f"{where[:MAX_PLACE_LENGTH]}..."
    raise InvalidRankRequestError(f"{place}: {what}", target=place)
