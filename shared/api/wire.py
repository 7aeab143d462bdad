"""What all bodies share: camelCase names, strict types, and errors that name the field."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from shared.domain.errors import InvalidRequestError, RequestError

MAX_EVENT_ID_LENGTH = 256
_ENCODED_SLASH = re.compile("%2F", re.IGNORECASE)


def with_slashes(text: str) -> str:
    """Decode slashes, which hosts leave encoded in the path when they decode all else.

    >>> with_slashes("a%2Fb c")
    'a/b c'
    """
    return _ENCODED_SLASH.sub("/", text)


def _can_be_in_a_path(event_id: str) -> str:
    """Refuse what no Reward call could name: a dot segment is resolved away, and a NUL is refused by servers.

    An id with an encoded slash in it is taken as its Reward call will be: hosts do not tell whether the slash was encoded once or twice.
    """
    if event_id in {".", ".."} or "\0" in event_id:
        raise PydanticCustomError("event_id", "An event id may not be '.' or '..' nor hold a NUL: no Reward call could name it")
    return with_slashes(event_id)


EVENT_ID_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_EVENT_ID_LENGTH, "pattern": r"^(?!\.{1,2}$)[^\u0000]*$"}

EventId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_EVENT_ID_LENGTH),
    AfterValidator(_can_be_in_a_path),
    WithJsonSchema(EVENT_ID_SCHEMA),
]

_NOT_AN_OBJECT = frozenset({"model_type", "dict_type", "is_instance_of"})
"""Errors whose own text tells of Python's classes."""


class WireModel(BaseModel):
    """A body, or part of one."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    def to_wire(self) -> bytes:
        """Write as JSON; members that are null are left out, as the contract does."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


def one_of(words: Iterable[str]) -> WithJsonSchema:
    """Describe a member that holds one of these words."""
    return WithJsonSchema({"type": "string", "enum": [*words]})


Body = TypeVar("Body", bound=WireModel)


def parse(body: bytes, model: type[Body], invalid: Callable[..., RequestError]) -> Body:
    """Read a JSON body; raises `InvalidRequestError` for what is not JSON and ``invalid`` for what breaks the schema."""
    if not body:
        raise InvalidRequestError("the request has no body: send JSON with a Content-Length (chunked bodies do not reach every host)")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as cause:
        raise InvalidRequestError(f"the body is not valid JSON: {cause}") from cause
    return validated(document, model, invalid)


def validated(document: object, model: type[Body], invalid: Callable[..., RequestError], *, where: tuple[str | int, ...] = ()) -> Body:
    """Check parsed JSON, which stands at ``where`` in its body; raises ``invalid`` for what breaks the schema."""
    try:
        return model.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as cause:
        first = cause.errors(include_url=False, include_context=False, include_input=False)[0]
        place = path((*where, *first["loc"]))
        message = "Input should be a JSON object" if first["type"] in _NOT_AN_OBJECT else first["msg"]
        raise invalid(f"{place or 'the body'}: {message}", target=place or None) from cause


def path(places: Sequence[str | int]) -> str:
    """Write where a field is, as a client would.

    >>> path(("actions", 3, "id"))
    'actions[3].id'
    """
    return "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places).lstrip(".")
