"""What all bodies share: camelCase names, strict types, and errors that name the field."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from shared.api.lenient import EMPTY_IS_NONE, Source, mended, place_of_no_number
from shared.api.rules import MAX_EVENT_ID_LENGTH, NO_EVENT_ID, can_be_in_a_path, with_slashes
from shared.domain.errors import InvalidRequestError, RequestError, UnsupportedMediaTypeError


def _can_be_in_a_path(event_id: str) -> str:
    """Refuse what no Reward call could name.

    An id with an encoded slash in it is taken as its Reward call will be: hosts do not tell whether the slash was encoded once or twice.
    """
    if not can_be_in_a_path(event_id):
        raise PydanticCustomError("event_id", NO_EVENT_ID)
    return with_slashes(event_id)


EVENT_ID_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_EVENT_ID_LENGTH, "pattern": r"^(?!\.{1,2}$)[^\u0000]*$"}

EventId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_EVENT_ID_LENGTH),
    AfterValidator(_can_be_in_a_path),
    WithJsonSchema(EVENT_ID_SCHEMA),
]

WishedEventId = Annotated[EventId, EMPTY_IS_NONE] | None
"""The event id of a Rank call, which may be left to the service."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes([0x78, level]), "deflate") for level in (0x01, 0x5E, 0x9C, 0xDA)),
)
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})
_BEGINNINGS_OF_JSON = b" \t\r\n{[\xef"
_OTHER_TEXT = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"{\0\0\0", "UTF-32"),
    (b"\0\0\0{", "UTF-32"),
    (b"{\0", "UTF-16"),
    (b"\0{", "UTF-16"),
)
"""How texts in other encodings begin: with their byte order mark, or with a bracket."""
_NO_NUMBER = re.compile("nan|inf(inity)?", re.IGNORECASE)
_LONGEST_PLACE = 200
_OF_A_NAME = "[key]"
"""Stands last in the place of an error about the name of a member, behind the name."""

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
    """Read a JSON body; raises as `read_json`, and ``invalid`` for what breaks the schema."""
    return validated(read_json(body), model, invalid, source=body)


def read_json(body: bytes) -> Any:
    """Read JSON, with or without a byte order mark before it.

    Raises `InvalidRequestError` for what is not JSON, and `UnsupportedMediaTypeError` for what is compressed.
    """
    if not body:
        raise InvalidRequestError("the request has no body: send JSON with a Content-Length (chunked bodies do not reach every host)")
    try:
        return orjson.loads(body.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as cause:
        raise _no_json(body, cause) from cause


def _no_json(body: bytes, cause: orjson.JSONDecodeError) -> RequestError:
    return compressed(body) or InvalidRequestError(f"the body is not valid JSON: {not_json(body, cause)}")


def compressed(body: bytes) -> UnsupportedMediaTypeError | None:
    """Give the error of a body that is compressed; None for what is not, as far as its first bytes tell."""
    compression = next((name for mark, name in _COMPRESSED if body.startswith(mark)), None)
    return None if compression is None else _is_compressed(compression)


def check_encoding(encoding: str, body: bytes) -> None:
    """Raise `UnsupportedMediaTypeError` for a body that its ``Content-Encoding`` calls compressed.

    What begins as JSON does is read whatever was said of it: what stands in front may have unpacked it.
    """
    coding = encoding.rpartition(",")[2].strip().lower()
    if coding in _CODINGS and body and body[0] not in _BEGINNINGS_OF_JSON:
        raise _is_compressed(coding)


def _is_compressed(coding: str) -> UnsupportedMediaTypeError:
    return UnsupportedMediaTypeError(f"the body is compressed ({coding}): send it as it is, without a Content-Encoding")


def not_json(text: bytes, cause: orjson.JSONDecodeError) -> str:
    """Say why a text is no JSON; NaN and Infinity, which some libraries write, are named with their place."""
    other = next((name for mark, name in _OTHER_TEXT if text.startswith(mark)), None)
    if other is not None:
        return f"it is {other}, and has to be UTF-8"
    written = text.decode("utf-8-sig", "replace")
    found = _NO_NUMBER.match(written, cause.pos)
    if found is None:
        return str(cause)
    name = f"{'-' if written[cause.pos - 1 : cause.pos] == '-' else ''}{found[0]}"
    place = path(place_of_no_number(written) or ())
    where = f"{place[:_LONGEST_PLACE]}, " if place else ""
    return f"{name} is not a number of JSON ({where}line {cause.lineno} column {cause.colno}): send a number, or leave a feature out"


def validated(
    document: object,
    model: type[Body],
    invalid: Callable[..., RequestError],
    *,
    where: tuple[str | int, ...] = (),
    source: Source | bytes | None = None,
) -> Body:
    """Check parsed JSON, which stands at ``where`` in its body; raises ``invalid`` for what breaks the schema.

    What breaks it is mended first, as far as its meaning is plain; ``source`` is the text of the document, if it is at hand.
    """
    try:
        return model.model_validate(document, by_alias=True, by_name=False)
    except ValidationError:
        return _checked(mended(document, model, source), model, invalid, where)


def _checked(document: object, model: type[Body], invalid: Callable[..., RequestError], where: tuple[str | int, ...]) -> Body:
    try:
        return model.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as cause:
        first = cause.errors(include_url=False, include_context=False, include_input=False)[0]
        loc, message = first["loc"], "Input should be a JSON object" if first["type"] in _NOT_AN_OBJECT else first["msg"]
        if loc[-1:] == (_OF_A_NAME,):
            loc, message = loc[:-2], f"the name {str(loc[-2])[:_LONGEST_PLACE]!r} cannot be: {message}"
        place = path((*where, *loc))
        raise invalid(f"{place or 'the body'}: {message}", target=place or None) from cause


def path(places: Sequence[str | int]) -> str:
    """Write where a field is, as a client would.

    >>> path(("actions", 3, "id"))
    'actions[3].id'
    """
    return "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places).lstrip(".")
