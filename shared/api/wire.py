"""What all bodies share: camelCase names, strict types, and errors that name the field."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from shared.api.lenient import EMPTY_IS_NONE, Source, is_too_large, mended, place_of_no_number
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
_PLAIN = frozenset({"", "identity"})
_BEGINNINGS_OF_JSON = (b"{", b"[", b'"')
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
_NUMBER = re.compile(r"-?\d[\d.eE+-]*")
_LONGEST_NUMBER = 40
_LONGEST_PLACE = 200
_LONGEST_NAME = 40
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

    What looks like JSON is read whatever was said of it: what stands in front may have unpacked it.
    """
    coding = encoding.rpartition(",")[2].strip().lower()
    if coding not in _PLAIN and body and not _looks_like_json(body):
        raise _is_compressed(coding[:_LONGEST_NAME])


def _looks_like_json(body: bytes) -> bool:
    """Whether a body begins as JSON does and is a text: what brotli writes may begin with a bracket."""
    return body.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(_BEGINNINGS_OF_JSON) and _no_utf_8(body) is None


def _is_compressed(coding: str) -> UnsupportedMediaTypeError:
    return UnsupportedMediaTypeError(f"the body is compressed ({coding}): send it as it is, without a Content-Encoding")


def not_json(text: bytes, cause: orjson.JSONDecodeError, *, is_line: bool = False) -> str:
    """Say why a text, or a line of one, is no JSON.

    NaN and Infinity, which some libraries write, and numbers that are too large are named with their place.
    """
    other = next((name for mark, name in _OTHER_TEXT if text.startswith(mark)), None)
    if other is not None:
        return f"it is {other}, and has to be UTF-8"
    if (wrong := _no_utf_8(text)) is not None:
        return f"it has to be UTF-8, which byte {wrong + 1} (0x{text[wrong]:02x}) is not"
    written = text.decode("utf-8-sig")
    where = f"column {cause.colno}" if is_line else f"line {cause.lineno} column {cause.colno}"
    problem = _problem_of_number(written, cause.pos)
    if problem is None:
        return f"{cause.msg}: {where}"
    place = path(place_of_no_number(written) or ())
    return f"{problem} ({f'{place[:_LONGEST_PLACE]}, ' if place else ''}{where}): send a number, or leave a feature out"


def _no_utf_8(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as cause:
        return cause.start
    return None


def _problem_of_number(written: str, at: int) -> str | None:
    if found := _NO_NUMBER.match(written, at):
        return f"{'-' if written[at - 1 : at] == '-' else ''}{found[0]} is not a number of JSON"
    if (found := _NUMBER.match(written, at)) and is_too_large(found[0]):
        return f"{found[0] if len(found[0]) <= _LONGEST_NUMBER else f'{found[0][:_LONGEST_NUMBER]}...'} is too large a number"
    return None


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
