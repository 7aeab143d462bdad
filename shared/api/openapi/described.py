"""What there is to say about an operation that its code does not say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.domain.errors import RequestError

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
HTML: Final = "text/html"

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or of the header; those of the path are the same wherever they occur (`PATH_PARAMETERS`)."""

    name: str
    schema: Schema
    description: str
    required: bool = False
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body: ``kind`` is the model that JSON is read as, or None where the content is no JSON.

    A body of JSON lines has the model of a line in ``line``.
    """

    kind: Any = None
    description: str = ""
    example: Any = None
    media_type: str = JSON
    line: Any = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of success: ``kind`` is the model of its JSON, or None; then it has other content, or without a media type none."""

    status: int
    description: str
    kind: Any = None
    example: Any = None
    media_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The media type, "" where there is no content."""
        return JSON if self.kind is not None else self.media_type


@dataclass(frozen=True, slots=True)
class Described:
    """An operation in words: ``errors`` are those that only its own rules bring about.

    ``takes_key`` is for an operation that needs no key and tells more to who has one.
    """

    tag: str
    summary: str
    answers: Sequence[Answer]
    description: str = ""
    body: Body | None = None
    parameters: Sequence[Parameter] = ()
    errors: Sequence[type[RequestError]] = ()
    takes_key: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """What can be answered in place of success: ``meaning`` says when."""

    status: int
    code: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation under one of its routes: ``versions`` are those its path can name, and ``api_version`` is the query's otherwise.

    ``key`` tells whose key opens it: "", ``loop``, ``optional`` or ``administrator``.
    """

    name: str
    method: str
    route: str
    described: Described
    key: str
    versions: Sequence[str] = ()
    api_version: str = ""
    refusals: Sequence[Refusal] = ()
