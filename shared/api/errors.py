"""Errors on the wire: the contract's shape."""

from shared.api.wire import WireModel


class ErrorPart(WireModel):
    """One of several facts about an error, such as a rule of a gate."""

    code: str
    message: str


class ErrorDetail(WireModel):
    """The error: its code and message; ``details`` where several facts make one error."""

    code: str
    message: str
    target: str | None = None
    details: list[ErrorPart] | None = None


class ErrorResponse(WireModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
