"""Errors on the wire: the contract's shape."""

from shared.api.wire import WireModel


class ErrorDetail(WireModel):
    """The error: its code and message."""

    code: str
    message: str
    target: str | None = None


class ErrorResponse(WireModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
