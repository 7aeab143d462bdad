"""If-Match and If-None-Match on the wire: a change only of what the caller has read."""

import re
from collections.abc import Mapping
from typing import Final

from shared.domain.conditions import Condition
from shared.domain.errors import InvalidRequestError

_LONGEST: Final = 2_000
_TAG: Final = re.compile(r'(?:W/)?"([!#-~]*)"')
_TAGS: Final = re.compile(rf"\s*{_TAG.pattern}(?:\s*,\s*{_TAG.pattern})*\s*")
_EVERY: Final = "*"


def read_condition(headers: Mapping[str, str], *, may_be_new: bool = False) -> Condition:
    """Read the condition of a change; raises `InvalidRequestError`, naming the header. ``headers`` have lower-case names.

    A tag that a proxy has made a weak one, because it compresses answers, is the same tag: it tells values, not bytes. ``may_be_new``
    is for what is made by the same call. If-Match with ``*`` asks for what is always so.

    >>> read_condition({"if-match": 'W/"a", "b"'}).tags
    ('a', 'b')
    """
    return Condition(_tags(headers.get("if-match", "").strip()), may_be_new and _is_new(headers.get("if-none-match", "").strip()))


def etag(tag: str) -> dict[str, str]:
    """Give the header that tells a tag."""
    return {"ETag": f'"{tag}"'}


def _tags(given: str) -> tuple[str, ...] | None:
    if not given or given == _EVERY:
        return None
    if len(given) > _LONGEST or not _TAGS.fullmatch(given):
        raise InvalidRequestError('If-Match: must be * or tags in quotes, as ETag told them: "0f2a…"', target="If-Match")
    return tuple(_TAG.findall(given))


def _is_new(given: str) -> bool:
    if given and given != _EVERY:
        raise InvalidRequestError("If-None-Match: only * is understood here: make it only if it is not there", target="If-None-Match")
    return bool(given)
